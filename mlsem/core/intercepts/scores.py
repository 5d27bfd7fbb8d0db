"""Cluster scores s_j = ∂ℓ_j/∂φ: the moment gradients of one cluster at a time."""

from __future__ import annotations

from math import prod
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import walk
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import (
    apply_maps,
    in_use,
    merged,
    pairings,
    transposed,
)
from mlsem.core.records import Array, ClusterMoments, Index, with_constant


def cluster_scores(
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Shaped[Index, "J"],
    sizes: Shaped[Array, "S"],
    along: Jacobians,
) -> Shaped[Array, "... J n"]:
    """Scores of every cluster, times its weight, (J, n), in the order of `moments`.

    Parameters
    ----------
    shape_of : (J,)
        The shape of each cluster, a position in `sizes` (S,).
    along : Jacobians
        The n directions.

    Notes
    -----
    With ω = V̄⁻¹ e* and ρ the maps of `Residuals` applied to the cluster's data row:

        ∂ℓ_j/∂Σ_W = ½ [W R S_j Rᵀ W + ω ωᵀ / n + G D Gᵀ - n W]
        ∂ℓ_j/∂Π_W = W R S_j + ω hᵀ
        ∂ℓ_j/∂Σ_B = ½ [ρ ρᵀ - Ω],   ∂ℓ_j/∂Π_B = ρ hᵀ

    What is constant within a shape, or linear in S_j, meets the directions before the clusters.
    """
    constants = _shape_constants(point, sizes, along)
    linear = _cross_product_weights(point, moments.varying_entries, along)
    scores = np.empty((*moments.means.shape[:-1], linear.shape[-2]))
    width = max(linear.shape[-1], sum(prod(level.mean.shape[-2:]) for level in along))
    for part in walk(moments.n_clusters, width):
        spread, means = moments.within[..., part, :, :], moments.means[..., part, :]
        found = scores[..., part, :]
        found[...] = constants.take(shape_of[part], -2)
        if spread.strides[-3]:  # clusters of one row have no cross-products
            found += merged(spread) @ transposed(linear)
        _add_mean_scores(found, point, means, shape_of[part], moments.sizes[part], along)
        found *= moments.weights[part, None]
    return scores


def _shape_constants(
    point: Evaluation, sizes: Shaped[Array, "S"], along: Jacobians
) -> Shaped[Array, "... S n"]:
    """½ tr[(G D Gᵀ - n W) ∂Σ_W] - ½ tr[Ω ∂Σ_B], (S, n)."""
    lift, (within, between) = point.effects.lift[..., None, :, :], along
    rows = lift @ point.effects.absorbed @ transposed(lift)
    rows -= sizes[:, None, None] * point.precision[..., None, :, :]
    total = pairings(rows, within.sigma)
    total -= pairings(point.effects.between_information, between.sigma)
    return 0.5 * total


def _cross_product_weights(
    point: Evaluation, columns: slice, along: Jacobians
) -> Shaped[Array, "... n V2"]:
    """Weights E_a with <E_a, S_j> the part of the score linear in S_j, (n, V²)."""
    pulled, (within, _) = point.precision @ point.residuals.rows[..., columns], along
    pulled = pulled[..., None, :, :]
    back = transposed(pulled)
    return merged(0.5 * (back @ within.sigma @ pulled) + back @ within.mean[..., columns])


def _add_mean_scores(
    scores: Shaped[Array, "... j n"],
    point: Evaluation,
    means: Shaped[Array, "... j C"],
    shape_of: Shaped[Index, "j"],
    sizes: Shaped[Array, "j"],
    along: Jacobians,
) -> None:
    rows = with_constant(means)
    # clusters last, where NumPy's products of few variables run along them
    weighted, between = (
        np.ascontiguousarray(transposed(apply_maps(maps, shape_of, rows)))
        for maps in (point.residuals.weighted, point.residuals.between)
    )
    halves = 0.5 * weighted / sizes, 0.5 * between
    for half, residual, jacobian in zip(halves, (weighted, between), along, strict=True):
        used = in_use(jacobian.mean)
        columns, mean = transposed(rows).take(used, -2), jacobian.mean.take(used, -1)
        scores += transposed(_outer(half, residual)) @ transposed(merged(jacobian.sigma))
        scores += transposed(_outer(residual, columns)) @ transposed(merged(mean))


def _outer(
    left: Shaped[Array, "... a j"], right: Shaped[Array, "... b j"]
) -> Shaped[Array, "... ab j"]:
    products = left[..., None, :] * right[..., None, :, :]
    *lead, a, b, count = products.shape
    return products.reshape(*lead, a * b, count)
