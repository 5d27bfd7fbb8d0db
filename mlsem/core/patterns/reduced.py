"""A linear mixed model whose rows fall into classes, each robust cluster reduced to a few rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters, joined, reduced_rows
from mlsem.core.clusters.unions import arranged, summed
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.patterns.carriers import CellRows, PatternMoments
from mlsem.core.patterns.clusters import cells_of
from mlsem.core.patterns.likelihood import PatternPoint
from mlsem.core.patterns.packed import packed
from mlsem.core.records import Index


def mixed_clusters(
    point: PatternPoint,
    data: PatternMoments,
    cells: CellRows,
    along: Jacobians,
    clusters: Shaped[Index, "j"],
    robust: Shaped[Index, "j"],
) -> MixedClusters:
    """Each robust cluster as the coordinates of its clusters, turned to the axes of their working
    covariance D(σ²) + T Ψ Tᵀ, and what the design has in the other rows of each class, where that
    is σ_g²."""
    count = int(robust.max()) + 1
    moved = _moved(point, data, cells, along, clusters)
    order, starts = arranged(robust)
    sizes = np.diff(starts)
    parts = [
        (_some(moved, order[starts[:-1][sizes > k] + k]), np.flatnonzero(sizes > k))
        for k in range(int(sizes.max()))
    ]
    parts += _others(point, cells, along, clusters, robust)
    return joined(parts, count)


def _some(whole: MixedClusters, which: Shaped[Index, "g"]) -> MixedClusters:
    design, residuals = whole.design[..., which], whole.residuals[:, which]
    return MixedClusters(whole.variances[:, which], design, residuals)


def _moved(
    point: PatternPoint,
    data: PatternMoments,
    cells: CellRows,
    along: Jacobians,
    clusters: Shaped[Index, "j"],
) -> MixedClusters:
    """The coordinates of some clusters that random effects move, each cluster for itself."""
    rows, above = packed(data, cells, clusters), data.rows[clusters]
    within, between = point.levels
    loadings = rows.loadings
    covariance = loadings @ between.sigma @ loadings.swapaxes(1, 2)
    np.einsum("jdd->jd", covariance)[...] += within.sigma.diagonal()[rows.classes]
    own, axes = np.linalg.eigh(covariance)
    inner = np.concatenate((along[0].mean[:, 0], point.residuals[:1]))
    outer = np.concatenate((along[1].mean, -between.mean[None]))
    columns = rows.coordinates @ inner.T
    columns += loadings @ np.einsum("nqe,je->jqn", outer, above)
    columns = (axes.swapaxes(1, 2) @ columns).transpose(1, 2, 0)
    return MixedClusters(own.T, columns[:, :-1], columns[:, -1])


def _others(
    point: PatternPoint,
    cells: CellRows,
    along: Jacobians,
    clusters: Shaped[Index, "j"],
    robust: Shaped[Index, "j"],
) -> Iterator[tuple[MixedClusters, Shaped[Index, "g"]]]:
    """The design and the residuals in the coordinates that random effects do not move, class by
    class: of the robust clusters that have rows of it."""
    inner = slice(1, 1 + cells.rest.shape[1])
    slopes, residual = along[0].mean[:, 0, inner], point.residuals[0, inner]
    own, starts = cells_of(cells, clusters)
    owner = np.repeat(robust, np.diff(starts, append=len(own)))
    for g, variance in enumerate(point.within.sigma.diagonal().tolist()):
        there = cells.pattern_of[own] == g
        if not there.any():
            continue
        groups, codes = np.unique(owner[there], return_inverse=True)
        rest = cells.rest[own[there]]
        gram = summed(slopes @ rest @ slopes.T, codes).transpose(1, 2, 0)
        design, residuals = reduced_rows(gram, summed(rest @ residual @ slopes.T, codes).T)
        if len(design):
            yield MixedClusters(np.full(residuals.shape, variance), design, residuals), groups
