"""Searches that will not end, because the likelihood has no bound.

A cluster of n rows has a covariance matrix as long as 1 + n e > 0, e the smallest eigenvalue of
Lᵀ Σ_u L with W_qq = L Lᵀ (`likelihood`). A negative between variance may take it to zero at the
largest clusters; if these are few, nothing in the data stops it and ℓ grows as -½ log(1 + n e). A
singular Σ_W does the same where rows are fewer than variables.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.point import MomentPoint
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import lower_factor
from mlsem.core.optimise.runaway import Runaway
from mlsem.core.records import Array

FIRST = 40  # iterations before the first look; most maxima are reached in fewer


EVERY = 20


EDGE = 0.02  # smallest eigenvalue, relative to no clustering, of a covariance near singularity


SINGULAR = 1e-6  # the same where a search stands still


FALLING = 0.8  # what is left of it from one look to the next where it goes to zero


LOOKS = 2  # in a row, of an edge that falls


class MomentWatch:
    """Remembers the last look.

    Parameters
    ----------
    start : MomentPoint
    sizes, clusters : (S,)
        Rows of a cluster of each shape, and how many there are. They say nothing where nothing
        varies between clusters, in a single-level model.
    """

    def __init__(
        self, start: MomentPoint, sizes: Shaped[Array, "S"], clusters: Shaped[Array, "S"]
    ) -> None:
        self._start, self._sizes, self._clusters = start, sizes, clusters
        self._clustered = len(start.between.sigma) > 0
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
        edges = {self._clusters_named(): self._cluster_edge(point)}
        edges["rows within clusters" if self._clustered else "rows"] = _shrunk(
            self._start.within.sigma, point.within.sigma
        )
        where = min(edges, key=lambda name: edges[name])
        return where, edges[where]

    def _clusters_named(self) -> str:
        k = int(np.argmax(self._sizes))
        size, count = int(self._sizes[k]), int(self._clusters[k])
        return (
            f"the cluster of {size} rows" if count == 1 else f"the {count} clusters of {size} rows"
        )

    def _cluster_edge(self, point: MomentPoint) -> float:
        """1 + n e at the largest clusters."""
        if not isinstance(point, Evaluation) or not len(point.effects.sigma_u):
            return np.inf
        split = len(point.effects.sigma_u)
        lower = lower_factor(point.precision[:split, :split])
        if lower is None:
            return np.inf
        least = float(np.linalg.eigvalsh(lower.T @ point.effects.sigma_u @ lower)[0])
        return 1.0 + float(self._sizes.max()) * least


def _shrunk(before: Shaped[Array, "p p"], after: Shaped[Array, "p p"]) -> float:
    """Smallest eigenvalue of one covariance matrix in the metric of another."""
    lower = lower_factor(before)
    if lower is None or not len(before):
        return np.inf
    half = np.linalg.solve(lower, after)
    return float(np.linalg.eigvalsh(np.linalg.solve(lower, half.T))[0])
