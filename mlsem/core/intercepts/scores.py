"""Cluster scores s_j = ∂ℓ_j/∂φ: the moment gradients of one cluster at a time."""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import walk
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import apply_maps, flatten
from mlsem.core.records import Array, ClusterMoments, Index


def cluster_scores(
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Shaped[Index, "J"],
    sizes: Shaped[Array, "S"],
    along: Jacobians,
) -> Shaped[Array, "J n"]:
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
    within, between = along
    count = within.mean.shape[0]
    scores = np.empty((moments.n_clusters, count))
    width = max(linear.shape[1], within.mean[0].size + between.mean[0].size)
    for part in walk(moments.n_clusters, width):
        spread = moments.within[part]
        scores[part] = constants[shape_of[part]]
        if spread.strides[0]:  # clusters of one row have no cross-products
            scores[part] += flatten(spread) @ linear.T
        _add_mean_scores(
            scores[part], point, moments.means[part], shape_of[part], moments.sizes[part], along
        )
        scores[part] *= moments.weights[part, None]
    return scores


def _shape_constants(
    point: Evaluation, sizes: Shaped[Array, "S"], along: Jacobians
) -> Shaped[Array, "S n"]:
    """½ tr[(G D Gᵀ - n W) ∂Σ_W] - ½ tr[Ω ∂Σ_B], (S, n)."""
    lift, (within, between) = point.effects.lift, along
    rows = lift @ point.effects.absorbed @ lift.T - sizes[:, None, None] * point.precision
    total = flatten(rows) @ flatten(within.sigma).T
    total -= flatten(point.effects.between_information) @ flatten(between.sigma).T
    return 0.5 * total


def _cross_product_weights(
    point: Evaluation, columns: slice, along: Jacobians
) -> Shaped[Array, "n V2"]:
    """Weights E_a with <E_a, S_j> the part of the score linear in S_j, (n, V²)."""
    pulled, (within, _) = point.precision @ point.residuals.rows[:, columns], along
    half = 0.5 * (pulled.T @ within.sigma @ pulled)
    return flatten(half + pulled.T @ within.mean[:, :, columns])


def _add_mean_scores(
    scores: Shaped[Array, "j n"],
    point: Evaluation,
    means: Shaped[Array, "j C"],
    shape_of: Shaped[Index, "j"],
    sizes: Shaped[Array, "j"],
    along: Jacobians,
) -> None:
    rows = np.concatenate((np.ones((len(means), 1)), means), axis=1)
    # clusters last, where NumPy's products of few variables run along them
    weighted = np.ascontiguousarray(apply_maps(point.residuals.weighted, shape_of, rows).T)
    between = np.ascontiguousarray(apply_maps(point.residuals.between, shape_of, rows).T)
    halves = 0.5 * weighted / sizes, 0.5 * between
    for half, residual, jacobian in zip(halves, (weighted, between), along, strict=True):
        used = np.flatnonzero(jacobian.mean.any(axis=(0, 1)))
        scores += _outer(half, residual).T @ flatten(jacobian.sigma).T
        scores += _outer(residual, rows.T[used]).T @ flatten(jacobian.mean[:, :, used]).T


def _outer(left: Shaped[Array, "a j"], right: Shaped[Array, "b j"]) -> Shaped[Array, "ab j"]:
    products = left[:, None] * right
    return products.reshape(products.shape[0] * products.shape[1], products.shape[2])
