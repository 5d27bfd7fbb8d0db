"""Points of a search: parameters, their likelihood and the moments that they imply."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated as Shaped
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np

from mlsem.core.implied.pattern import LevelMoments
from mlsem.core.records import Array


@runtime_checkable
class Point(Protocol):
    """The log-likelihood at some parameters."""

    @property
    def params(self) -> Shaped[Array, "npar"]: ...
    @property
    def loglik(self) -> float: ...


@dataclass(frozen=True, slots=True, eq=False)
class MomentPoint:
    """The log-likelihood at some parameters, with the implied moments of each level."""

    params: Shaped[Array, "npar"]
    loglik: float
    levels: tuple[LevelMoments, ...]

    @property
    def within(self) -> LevelMoments:
        return self.levels[0]

    @property
    def between(self) -> LevelMoments:
        return self.levels[1]


@dataclass(frozen=True, slots=True, eq=False)
class SumPoint:
    """A sum of log-likelihoods at some parameters, and the point of each term at its own."""

    params: Shaped[Array, "npar"]
    loglik: float
    terms: tuple[Any, ...]

    @property
    def levels(self) -> tuple[LevelMoments, ...]:
        """Those of the first term, then those of the next ones."""
        return tuple(moments for term in self.terms for moments in term.levels)


R = TypeVar("R")


def taken(record: R, which: Any) -> R:
    """Of a record of many data sets, whose arrays have these on their first axis, that of one or
    of some of them."""
    whole: Any = record
    if isinstance(record, np.ndarray):
        return whole[which]
    if isinstance(record, tuple):
        return cast("R", tuple([taken(each, which) for each in whole]))
    return type(record)(*(taken(getattr(whole, each.name), which) for each in fields(whole)))


P = TypeVar("P", bound=Point)


M = TypeVar("M", bound=MomentPoint)
