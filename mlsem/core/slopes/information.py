"""What the information matrices of a model with random slopes are made of, and its scores.

The random effects move d coordinates of a cluster, of covariance V̄_j; the others have Σ_W (see
`slopes`). Traces and quadratic forms are sums over the two.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import blocks
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.linalg import flatten, sandwich_traces, symmetrised
from mlsem.core.records import Array
from mlsem.core.slopes.carriers import SlopeMoments
from mlsem.core.slopes.likelihood import (
    MeanMaps,
    SlopePoint,
    assembled,
    by_row,
    coordinates_of,
    whiten,
)


def covariance_part(
    point: SlopePoint, data: SlopeMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j ½ tr V⁻¹V_a V⁻¹V_b, (n, n).

    With V̄_a = blockdiag(I ⊗ Σ_a, 0) + T B_a Tᵀ, P = V̄⁻¹ in blocks of rows and X = Tᵀ P,

        tr P V̄_a P V̄_b = Σ_lk tr P_lk Σ_a P_kl Σ_b + Σ_l tr X_l Σ_a X_lᵀ B_b
                          + Σ_l tr X_l Σ_b X_lᵀ B_a + tr Ω B_a Ω B_b,     Ω = Tᵀ P T.
    """
    within, between = along[0].sigma, along[1].sigma
    p, size = within.shape[1], data.depth * within.shape[1]
    sides = data.n_others * (point.precision @ within @ point.precision)
    traces = flatten(sides) @ flatten(within).T
    for part in blocks(data.n_clusters, point.roots[0].size):
        roots, loadings, weights = point.roots[part], data.loadings[part], data.weights[part]
        moved = roots @ loadings
        rows = roots[:, :, :size]
        inverse = (rows.swapaxes(1, 2) @ rows).reshape(-1, data.depth, p, data.depth, p)
        inverse = inverse.swapaxes(2, 3).reshape(-1, p, p)
        squares = np.repeat(weights, data.depth**2)
        traces += sandwich_traces(squares, inverse, within, within)
        across = (moved.swapaxes(1, 2) @ rows).reshape(len(roots), -1, data.depth, p)
        across = across.swapaxes(1, 2).reshape(-1, between.shape[1], p)
        mixed = sandwich_traces(np.repeat(weights, data.depth), across, within, between)
        traces += mixed + mixed.T
        level2 = moved.swapaxes(1, 2) @ moved
        traces += sandwich_traces(weights, level2, between, between)
    return 0.5 * symmetrised(traces)


def expected_mean_part(
    point: SlopePoint, data: SlopeMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j μ_aᵀ V_j⁻¹ μ_b, (n, n)."""
    within, between = along[0].mean, along[1].mean
    total = inner_products(point.precision @ within @ data.rest, within)
    moving = np.flatnonzero(within.any(axis=(1, 2)) | between.any(axis=(1, 2)))
    maps = MeanMaps(within[moving], between[moving])
    for part in blocks(data.n_clusters, len(moving) * point.weighted.shape[1]):
        white = whiten(point.roots[part], coordinates_of(data, maps, part))
        total[np.ix_(moving, moving)] += _products(white, data.weights[part])
    return symmetrised(total)


def observed_mean_part(
    point: SlopePoint, data: SlopeMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j δ_aᵀ V_j⁻¹ δ_b, δ_a = μ_a + V_a V_j⁻¹ (y_j - μ_j)."""
    pulled = point.precision @ point.residuals.within[0]
    within, between = along
    spread = within.mean + within.sigma @ pulled
    total = inner_products(point.precision @ spread @ data.rest, spread)
    maps = MeanMaps(within.mean, between.mean)
    weighted = point.weighted[:, None]
    for part in blocks(data.n_clusters, len(spread) * weighted.shape[2]):
        changes = coordinates_of(data, maps, part)
        changes += covariance_changes(data, along, weighted[part], part)[:, :, 0]
        total += _products(whiten(point.roots[part], changes), data.weights[part])
    return symmetrised(total)


def covariance_changes(
    data: SlopeMoments,
    along: Jacobians,
    weighted: Shaped[Array, "j c m"],
    part: slice = slice(None),
) -> Shaped[Array, "j n c m"]:
    """V̄_a ω of each direction and each of c vectors, (j, c, m) -> (j, n, c, m)."""
    within, between = along[0].sigma, along[1].sigma
    n, p, size = len(within), within.shape[1], between.shape[1]
    count, columns, m = weighted.shape
    rows = by_row(data, weighted, p) @ within.reshape(n * p, p).T  # (j, c, d, n p)
    rows = rows.reshape(count, columns, data.depth, n, p).transpose(0, 3, 1, 2, 4)
    level2 = weighted @ data.loadings[part] @ between.reshape(n * size, size).T
    level2 = level2.reshape(count, columns, n, size).swapaxes(1, 2)
    found = assembled(
        data,
        rows.reshape(count, n * columns, data.depth, p),
        level2.reshape(count, n * columns, size),
        part,
    )
    return found.reshape(count, n, columns, m)


def _products(white: Shaped[Array, "j n m"], weights: Shaped[Array, "j"]) -> Shaped[Array, "n n"]:
    """Σ_j w_j x_jaᵀ x_jb of (j, n, m)."""
    count, n, m = white.shape
    weighted = np.sqrt(weights)[:, None, None] * white
    flat = weighted.swapaxes(0, 1).reshape(n, count * m)
    return flat @ flat.T


def inner_products(
    left: Shaped[Array, "n ..."], right: Shaped[Array, "m ..."]
) -> Shaped[Array, "n m"]:
    return flatten(left) @ flatten(right).T
