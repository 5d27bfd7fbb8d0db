"""Points of a search: parameters, their likelihood and the moments that they imply."""

from __future__ import annotations

from typing import Protocol, TypeVar

from mlsem.core.implied.pattern import LevelMoments
from mlsem.core.records import Array


class Point(Protocol):
    """The log-likelihood at some parameters."""

    @property
    def params(self) -> Array: ...
    @property
    def loglik(self) -> float: ...


class MomentPoint(Point, Protocol):
    """With the implied moments."""

    @property
    def within(self) -> LevelMoments: ...
    @property
    def between(self) -> LevelMoments: ...


P = TypeVar("P", bound=Point)


M = TypeVar("M", bound=MomentPoint)
