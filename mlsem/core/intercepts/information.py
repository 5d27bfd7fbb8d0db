"""What the information matrices of the random-intercept two-level model are made of.

Expected and observed information (see `objective`) need a covariance part (the traces) and a mean
part (the quadratic form in V⁻¹). Neither forms V: the traces are taken through F, K, Ω of each
shape, and V⁻¹ acts on a cluster through W within and V̄⁻¹ on its mean.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.implied.pattern import LevelJacobian
from mlsem.core.intercepts.likelihood import Evaluation, between_information
from mlsem.core.linalg import blocks, flatten, sandwich_traces, symmetrised, weighted_sum
from mlsem.core.records import Array
from mlsem.core.sample.shapes import ShapeMoments


def covariance_part(
    point: Evaluation, data: ShapeMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j ½ tr V⁻¹V_a V⁻¹V_b, (n, n).

    ½[ N tr(WΣ_aWΣ_b) - 2 Σ n tr(K (WΣ_aWΣ_bW)_qq) + Σ tr(K C^a K C^b)
       + Σ tr(Σ_B,b L C^a Lᵀ) + Σ tr(Σ_B,a L C^b Lᵀ) + Σ tr(Ω Σ_B,a Ω Σ_B,b) ],
    C^a = n (WΣ_aW)_qq,  L = [I; -Aᵀ](I - C K),

    with K taken through D = n W_qq K W_qq and (WΣ_aW)_qq = W_qq (GᵀΣ_aG) W_qq; then
    L C^a Lᵀ = [I; -Aᵀ] F (GᵀΣ_aG) F [I, -A] / n.
    """
    effects, precision = point.effects, point.precision
    clusters, sizes = data.clusters, data.sizes
    within, between = along
    sigma_within, sigma_between = within.sigma, between.sigma
    lift, information = effects.lift, effects.information
    absorbed = lift @ weighted_sum(clusters, effects.absorbed) @ lift.T
    less = precision @ sigma_within @ absorbed
    sides = data.n_rows * (precision @ sigma_within @ precision)
    traces = _inner(sides - less - less.swapaxes(1, 2), sigma_within)
    corner = lift.T @ sigma_within @ lift
    traces += sandwich_traces(clusters, effects.absorbed, corner, corner)
    level = np.concatenate((information, -effects.regression.T @ information), axis=1)
    mixed = sandwich_traces(clusters / sizes, level, corner, sigma_between)
    traces += mixed + mixed.T
    traces += sandwich_traces(clusters, between_information(effects), sigma_between, sigma_between)
    return 0.5 * symmetrised(traces)


def _level2_mean(point: Evaluation, change: Shaped[Array, "*s qr D"]) -> Shaped[Array, "*s q D"]:
    """τ_u - A τ_z of changes in the level-2 mean, (..., q + r, D) -> (..., q, D)."""
    q = point.effects.information.shape[1]
    return change[..., :q, :] - point.effects.regression @ change[..., q:, :]


def expected_mean_part(
    point: Evaluation, data: ShapeMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j μ_aᵀ V_j⁻¹ μ_b."""
    q = point.effects.information.shape[1]
    within, between = along
    means = within.mean.copy()
    means[:, :q] += _level2_mean(point, between.mean)
    level2 = between.mean[:, q:]
    used = np.flatnonzero(means.any(axis=(0, 1)) | level2.any(axis=(0, 1)))
    cross = data.cross[:, used[:, None], used]
    p, d = means.shape[1], len(used)
    weights = flatten(point.mean_precision).T @ flatten(cross)
    weights = weights.reshape(p, p, d, d).transpose(0, 2, 1, 3).reshape(p * d, p * d)
    flat = flatten(means[:, :, used])
    total = flat @ weights @ flat.T
    total += _inner(point.precision @ within.mean @ data.within, within.mean)
    total += _inner(point.effects.sigma_zz_inverse @ level2 @ data.cross.sum(axis=0), level2)
    return symmetrised(total)


def _inner(left: Shaped[Array, "n ..."], right: Shaped[Array, "m ..."]) -> Shaped[Array, "n m"]:
    return flatten(left) @ flatten(right).T


def observed_mean_part(
    point: Evaluation, data: ShapeMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j δ_aᵀ V_j⁻¹ δ_b, δ_a = μ_a + V_a V_j⁻¹ (y_j - μ_j)."""
    residuals, precision = point.residuals, point.precision
    q = point.effects.information.shape[1]
    within, between = along
    spread = within.sigma @ (precision @ residuals.rows) + within.mean
    total = _inner(precision @ spread @ data.within, spread)
    for part in blocks(len(data.sizes), within.mean.size):
        cross = data.cross[part]
        weighted = residuals.weighted[part] / data.sizes[part, None, None]
        change = _changes(between, residuals.between[part])
        means = _changes(within, weighted)
        means[:, :, :q] += _level2_mean(point, change)
        total += _inner(point.mean_precision[part] @ means @ cross, means)
        level2 = change[:, :, q:]
        total += _inner(point.effects.sigma_zz_inverse @ level2 @ cross, level2)
    return symmetrised(total)


def _changes(along: LevelJacobian, weighted: Shaped[Array, "S p D"]) -> Shaped[Array, "n S p D"]:
    """δ_a = μ_a + Σ_a (V⁻¹e) for every direction and shape, as maps (n, S, p, D)."""
    return along.mean[:, None] + along.sigma[:, None] @ weighted
