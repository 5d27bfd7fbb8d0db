"""What the information matrices of the random-intercept two-level model are made of.

Expected and observed information (see `objective`) need a covariance part (the traces) and a mean
part (the quadratic form in V⁻¹). Neither forms V: the traces are taken through F, K, Ω of each
shape, and V⁻¹ acts on a cluster through W within and V̄⁻¹ on its mean.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import (
    merged,
    pairings,
    sandwich_traces,
    scaled,
    symmetrised,
    weighted_matrices,
)
from mlsem.core.records import Array
from mlsem.core.sample.shapes import ShapeMoments

MOST = 2000  # side of a sum of Kronecker products


def covariance_part(
    point: Evaluation, data: ShapeMoments, along: Jacobians
) -> Shaped[Array, "... n n"]:
    """Σ_j ½ tr V⁻¹V_a V⁻¹V_b, (n, n).

    ½[ N tr(WΣ_aWΣ_b) - 2 Σ n tr(K (WΣ_aWΣ_bW)_qq) + Σ tr(K C^a K C^b)
       + Σ tr(Σ_B,b L C^a Lᵀ) + Σ tr(Σ_B,a L C^b Lᵀ) + Σ tr(Ω Σ_B,a Ω Σ_B,b) ],
    C^a = n (WΣ_aW)_qq,  L = [I; -Aᵀ](I - C K),

    with K taken through D = n W_qq K W_qq and (WΣ_aW)_qq = W_qq (GᵀΣ_aG) W_qq; then
    L C^a Lᵀ = [I; -Aᵀ] F (GᵀΣ_aG) F [I, -A] / n.
    """
    effects, precision = point.effects, point.precision[..., None, :, :]
    clusters, sizes = data.clusters, data.sizes
    within, between = along
    sigma_within, sigma_between = within.sigma, between.sigma
    lift, information = effects.lift[..., None, :, :], effects.information
    down = lift.swapaxes(-1, -2)
    absorbed = weighted_matrices(clusters, effects.absorbed)[..., None, :, :]
    half = precision @ sigma_within
    less = half @ (lift @ absorbed @ down)
    sides = half @ scaled(data.n_rows, point.precision)[..., None, :, :]
    traces = pairings(sides - less - less.swapaxes(-1, -2), sigma_within)
    corner = down @ sigma_within @ lift
    traces += sandwich_traces(clusters, effects.absorbed, corner, corner)
    regression = effects.regression.swapaxes(-1, -2)[..., None, :, :]
    level = np.concatenate((information, -regression @ information), axis=-2)
    mixed = sandwich_traces(clusters / sizes, level, corner, sigma_between)
    traces += mixed + mixed.swapaxes(-1, -2)
    traces += sandwich_traces(clusters, effects.between_information, sigma_between, sigma_between)
    return 0.5 * symmetrised(traces)


def _level2_mean(
    point: Evaluation, change: Shaped[Array, "... n qr D"]
) -> Shaped[Array, "... n q D"]:
    """τ_u - A τ_z of changes in the level-2 mean, (n, q + r, D) -> (n, q, D)."""
    q = point.effects.information.shape[-1]
    return change[..., :q, :] - point.effects.regression[..., None, :, :] @ change[..., q:, :]


def expected_mean_part(
    point: Evaluation, data: ShapeMoments, along: Jacobians
) -> Shaped[Array, "... n n"]:
    """Σ_j μ_aᵀ V_j⁻¹ μ_b."""
    q = point.effects.information.shape[-1]
    within, between = along
    means = within.mean.copy()
    means[..., :q, :] += _level2_mean(point, between.mean)
    level2 = between.mean[..., q:, :]
    used = np.flatnonzero(_moving(means) | _moving(level2))
    cross = data.cross[..., used[:, None], used]
    total = _forms(point.mean_precision, cross, means[..., used])
    total += _quadratic(point.precision, within.mean, data.within)
    total += _quadratic(point.effects.sigma_zz_inverse, level2, data.total)
    return symmetrised(total)


def _moving(maps: Shaped[Array, "... D"]) -> Shaped[NDArray[np.bool_], "D"]:
    """Which entries of h some of the maps take."""
    return np.array(maps.any(axis=tuple(range(maps.ndim - 1))))


def _quadratic(
    precision: Shaped[Array, "... p p"],
    maps: Shaped[Array, "... n p d"],
    cross: Shaped[Array, "... d d"],
) -> Shaped[Array, "... n n"]:
    """tr(P A_a C A_bᵀ)."""
    return pairings(precision[..., None, :, :] @ maps @ cross[..., None, :, :], maps)


def observed_mean_part(
    point: Evaluation, data: ShapeMoments, along: Jacobians
) -> Shaped[Array, "... n n"]:
    """Σ_j δ_aᵀ V_j⁻¹ δ_b, δ_a = μ_a + V_a V_j⁻¹ (y_j - μ_j).

    The change of the mean of a cluster's rows is A_a X_s h, that of z is A'_a X'_s h, with

        X_s = [ω_s / n; ρ_s; I],   A_a = [Σ_W,a, (Σ_B,a)*, μ_W,a + (μ_B,a)*],
        X'_s = [ρ_s; I],           A'_a = [Σ_B,a, μ_B,a], its rows z,

    where * takes rows u less the regression on z times rows z.
    """
    residuals, precision, effects = point.residuals, point.precision, point.effects
    q = effects.information.shape[-1]
    within, between = along
    spread = within.sigma @ (precision @ residuals.rows)[..., None, :, :] + within.mean
    total = _quadratic(precision, spread, data.within)
    (*lead, p, width), qr = residuals.weighted.shape, between.sigma.shape[-1]
    inputs = np.empty((*lead, p + qr + width, width))
    inputs[..., :p, :] = residuals.weighted / data.sizes[:, None, None]
    inputs[..., p : p + qr, :] = residuals.between
    inputs[..., p + qr :, :] = np.eye(width)
    level2 = np.concatenate((between.sigma, between.mean), axis=-1)
    maps = np.zeros((*level2.shape[:-2], p, p + qr + width))
    maps[..., :p], maps[..., p + qr :] = within.sigma, within.mean
    maps[..., :q, p:] += _level2_mean(point, level2) if qr > q else level2
    total += _summed_forms(point.mean_precision, maps, inputs, data.cross)
    if qr > q:
        own = inputs[..., p:, :]
        cross = (own @ data.cross @ own.swapaxes(-1, -2)).sum(axis=-3)
        total += _quadratic(effects.sigma_zz_inverse, level2[..., q:, :], cross)
    return symmetrised(total)


def _summed_forms(
    precision: Shaped[Array, "... S p p"],
    maps: Shaped[Array, "... n p m"],
    inputs: Shaped[Array, "... S m D"],
    cross: Shaped[Array, "... S D D"],
) -> Shaped[Array, "... n n"]:
    """Σ_s tr(P_s A_a X_s C_s X_sᵀ A_bᵀ).

    The sum over shapes is taken once, of P_s ⊗ X_s C_s X_sᵀ; for many variables each shape on its
    own is less work, and takes less room.
    """
    (*_, n, p, m), (*_, shapes, _, width) = maps.shape, inputs.shape
    once = (p * m) ** 2 * (shapes + n)
    each = shapes * n * p * width * (m + p + width + n)
    if p * m <= MOST and once <= each:
        return _forms(precision, inputs @ cross @ inputs.swapaxes(-1, -2), maps)
    total = np.zeros((*maps.shape[:-2], n))
    for s in range(shapes):
        changes = maps @ inputs[..., s, None, :, :]
        total += _quadratic(precision[..., s, :, :], changes, cross[..., s, :, :])
    return total


def _forms(
    precision: Shaped[Array, "... S p p"],
    cross: Shaped[Array, "... S d d"],
    maps: Shaped[Array, "... n p d"],
) -> Shaped[Array, "... n n"]:
    """Σ_s tr(P_s A_a C_s A_bᵀ)."""
    p, d = maps.shape[-2:]
    weights = merged(precision).swapaxes(-1, -2) @ merged(cross)
    lead = weights.shape[:-2]
    weights = weights.reshape(*lead, p, p, d, d).swapaxes(-2, -3).reshape(*lead, p * d, p * d)
    flat = merged(maps)
    return flat @ weights @ flat.swapaxes(-1, -2)
