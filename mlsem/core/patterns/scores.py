"""Cluster scores s_j = ∂ℓ_j/∂φ of the model with missing values: the sums of
`likelihood.moment_gradients` kept apart."""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import blocks
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.linalg import flatten
from mlsem.core.patterns.carriers import CellRows, Effects, PatternMoments
from mlsem.core.patterns.likelihood import PatternPoint, between_information
from mlsem.core.records import Array, Index


def cluster_scores(
    point: PatternPoint, data: PatternMoments, cells: CellRows, along: Jacobians
) -> Shaped[Array, "J n"]:
    """Scores of every cluster, times its weight, (J, n)."""
    within, between = along
    used = np.flatnonzero(within.mean.any(axis=(0, 1)))
    p, clusters = len(point.residuals), data.n_clusters
    scores = -0.5 * (data.sizes @ (flatten(point.precision) @ flatten(within.sigma).T))
    bounds = np.searchsorted(cells.cluster_of, np.arange(clusters + 1))
    width = (p * (p + len(used) + cells.rest.shape[1]) * len(cells.sizes)) // max(1, clusters)
    for part in blocks(clusters, width + between.mean[0].size):
        own = slice(int(bounds[part.start]), int(bounds[part.stop]))
        starts = bounds[part] - own.start
        sigma, mean = _within_gradients(point, data, cells, own, used)
        sigma, mean = (np.add.reduceat(each, starts, axis=0) for each in (sigma, mean))
        scores[part] += 0.5 * flatten(sigma) @ flatten(within.sigma).T
        scores[part] += flatten(mean) @ flatten(within.mean[:, :, used]).T
        rho = point.between_weighted[part]
        above = rho[:, :, None] * rho[:, None, :] - between_information(point, data, part)
        scores[part] += 0.5 * flatten(above) @ flatten(between.sigma).T
        columns = np.flatnonzero(between.mean.any(axis=(0, 1)))
        outer = rho[:, :, None] * data.rows[part, None][:, :, columns]
        scores[part] += flatten(outer) @ flatten(between.mean[:, :, columns]).T
    return data.weights[:, None] * scores


def _within_gradients(
    point: PatternPoint,
    data: PatternMoments,
    cells: CellRows,
    own: slice,
    used: Shaped[Index, "d"],
) -> tuple[Shaped[Array, "k p p"], Shaped[Array, "k p d"]]:
    """Of each cell, 2 ∂ℓ/∂Σ_W but for the -n W, and ∂ℓ/∂Π_W of the used columns."""
    precision = point.precision[cells.pattern_of[own]]
    weighted = point.weighted[cells.rows[own]]
    posterior = point.posterior[cells.cluster_of[own]]
    sigma = weighted.swapaxes(1, 2) @ weighted
    sigma += precision @ spread_effects(data, cells, own, posterior) @ precision
    mean = weighted.swapaxes(1, 2) @ cells.coordinates[own][:, :, used]
    if cells.rest.any():
        inner = slice(1, 1 + cells.rest.shape[1])
        pulled = precision @ point.residuals[:, inner]
        spread = pulled @ cells.rest[own]
        sigma += spread @ pulled.swapaxes(1, 2)
        varying = np.flatnonzero((used > 0) & (used <= cells.rest.shape[1]))
        mean[:, :, varying] += spread[:, :, used[varying] - 1]
    return sigma, mean


def spread_effects(
    data: PatternMoments,
    cells: CellRows,
    own: slice | Shaped[Index, "k"],
    matrices: Shaped[Array, "k *c q q"],
) -> Shaped[Array, "k *c p p"]:
    """Σ_r Z_r M Z_rᵀ over the coordinates of each cell, of matrices for each."""
    products = carrier_products(data, cells, own)
    return placed(data.effects, products, matrices, data.observed.shape[1])


def carrier_products(
    data: PatternMoments, cells: CellRows, own: slice | Shaped[Index, "k"]
) -> Shaped[Array, "k m m"]:
    """Σ_r x_r x_rᵀ over the coordinates of each cell."""
    carried = data.carried[cells.rows[own]]
    return carried.swapaxes(1, 2) @ carried


def placed(
    effects: Effects,
    products: Shaped[Array, "k m m"],
    matrices: Shaped[Array, "k *c q q"],
    size: int,
) -> Shaped[Array, "k *c p p"]:
    """[k_a, k_b] ← Σ over effects a, b of products[κ_a, κ_b] M[a, b]."""
    total = np.zeros((*matrices.shape[:-2], size, size))
    extra = (1,) * (matrices.ndim - 1)
    for s in range(effects.n_carriers):
        one = effects.of(s)
        for t in range(effects.n_carriers):
            other = effects.of(t)
            scale = products[:, s, t].reshape(-1, *extra)
            effects.add_products(one, other, total, scale * matrices[..., one[:, None], other])
    return total
