"""Points of a search: parameters, their likelihood and the moments that they imply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any, Protocol, TypeVar

from mlsem.core.implied.pattern import LevelMoments
from mlsem.core.records import Array


class Point(Protocol):
    """The log-likelihood at some parameters."""

    @property
    def params(self) -> Shaped[Array, "npar"]: ...
    @property
    def loglik(self) -> float: ...


class MomentPoint(Point, Protocol):
    """With the implied moments."""

    @property
    def within(self) -> LevelMoments: ...
    @property
    def between(self) -> LevelMoments: ...


@dataclass(frozen=True, slots=True, eq=False)
class SumPoint:
    """A sum of log-likelihoods at some parameters, and the point of each term at its own."""

    params: Shaped[Array, "npar"]
    loglik: float
    terms: tuple[Any, ...]


P = TypeVar("P", bound=Point)


M = TypeVar("M", bound=MomentPoint)
