"""Searches that will not end, because the likelihood has no bound.

A cluster of n rows has a covariance matrix as long as 1 + n e > 0, e the smallest eigenvalue of
Lᵀ Σ_u L with W_qq = L Lᵀ (`intercepts.likelihood`; with missing values that of P_j,
`patterns.likelihood`). A negative between variance may take it to zero at the largest clusters; if
these are few, nothing in the data stops it and ℓ grows as -½ log(1 + n e). A singular Σ_W does the
same where rows are fewer than variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any, Literal, Protocol

import numpy as np

from mlsem.core.implied.point import MomentPoint
from mlsem.core.linalg import lower_factor
from mlsem.core.records import Array

FIRST = 40  # iterations before the first look; most maxima are reached in fewer


EVERY = 20


EDGE = 0.02  # smallest eigenvalue, relative to no clustering, of a covariance near singularity


SINGULAR = 1e-6  # the same where a search stands still


FALLING = 0.8  # what is left of it from one look to the next where it goes to zero


LOOKS = 2  # in a row, of an edge that falls


@dataclass(frozen=True, slots=True)
class Runaway:
    """How a search fails to end, and where: which rows have a covariance that goes singular."""

    status: Literal["unbounded"]
    where: str


class Watch(Protocol):
    """Looks at the points of a search, and says when it will not end."""

    def __call__(self, iteration: int, point: Any, /) -> Runaway | None: ...
    def at_end(self, point: Any, /) -> Runaway | None:
        """Whether a search that cannot go on stands where the likelihood has no bound."""
        ...


class MomentWatch:
    """Remembers the last look.

    Parameters
    ----------
    start : MomentPoint
    edge : callable
        Of a point, which clusters have the covariance nearest to a singular one, and its smallest
        eigenvalue; None where that is not known.
    """

    def __init__(self, start: MomentPoint, edge: Callable[[Any], tuple[str, float] | None]) -> None:
        self._start, self._of_clusters = start, edge
        self._edge, self._next, self._fallen = np.inf, FIRST, 0

    def __call__(self, iteration: int, point: MomentPoint) -> Runaway | None:
        if iteration < self._next:
            return None
        self._next = iteration + EVERY
        return self._unbounded(point)

    def at_end(self, point: MomentPoint) -> Runaway | None:
        where, edge = self._nearest_edge(point)
        return Runaway("unbounded", where) if edge < SINGULAR else None

    def _unbounded(self, point: MomentPoint) -> Runaway | None:
        where, edge = self._nearest_edge(point)
        before, self._edge = self._edge, edge
        self._fallen = self._fallen + 1 if edge < EDGE and edge < FALLING * before else 0
        return Runaway("unbounded", where) if self._fallen >= LOOKS else None

    def _nearest_edge(self, point: MomentPoint) -> tuple[str, float]:
        rows = "rows within clusters" if len(self._start.between.sigma) else "rows"
        own = rows, _shrunk(self._start.within.sigma, point.within.sigma)
        clusters = self._of_clusters(point)
        return own if clusters is None or own[1] < clusters[1] else clusters


def _shrunk(before: Shaped[Array, "p p"], after: Shaped[Array, "p p"]) -> float:
    """Smallest eigenvalue of one covariance matrix in the metric of another."""
    lower = lower_factor(before)
    if lower is None or not len(before):
        return np.inf
    half = np.linalg.solve(lower, after)
    return float(np.linalg.eigvalsh(np.linalg.solve(lower, half.T))[0])
