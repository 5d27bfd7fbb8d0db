"""Log-likelihood of the random-intercept two-level model, and its gradient.

Level 1: y_ij = ν + Π x_ij + Z u_j + ε_ij, Cov ε = Σ_W; Z picks the split variables, which stand
first. Level 2: (u_j, z_j) = μ_B(w_j) + ζ_j, Cov ζ = Σ_B. Given z_j,

    u_j ~ N(m_j, Σ_u),   m_j = μ_u + A (z_j - μ_z),   A = Σ_uz Σ_zz⁻¹,   Σ_u = Σ_uu - A Σ_zu.

With W = Σ_W⁻¹, C = n W_qq (the block of the split variables) and e*_j = ȳ_j - ν - Π x̄_j - Z m_j:

    F = (C⁻¹ + Σ_u)⁻¹,   K = (I + Σ_u C)⁻¹ Σ_u,   V̄⁻¹ = n W - n² W Z K Zᵀ W

With G = W Z W_qq⁻¹, V̄⁻¹ = n (W - G W_qq Gᵀ) + G F Gᵀ and n W_qq K W_qq = W_qq - F / n =: D. In
this form nothing cancels, however large a between variance is; K itself is not formed. Then

    -2 ℓ = N p log 2π + N log|Σ_W| + tr W Σ_ij (e_ij - ē_j)(e_ij - ē_j)ᵀ
           + Σ_j [ log|I + Σ_u C_j| + e*_jᵀ V̄_j⁻¹ e*_j - 2 log f(z_j | w_j) ].

Every residual is linear in the data row h = (1, cluster means), so the code carries the *maps*
(matrices acting on h) and meets the data as Σ h hᵀ per shape only. Σ_u is never inverted: a zero
or slightly negative between variance is an ordinary point as long as each cluster's implied
covariance is positive definite.

Many data sets of the same shapes are one computation: parameters (..., npar) and moments of the
data with the same axes before their own. Sizes of clusters are those of all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.implied.derivatives import MomentGradients
from mlsem.core.implied.pattern import LevelGradient, LevelMoments, Pattern
from mlsem.core.implied.point import MomentPoint
from mlsem.core.linalg import (
    LOG_2PI,
    add_identity,
    applied,
    definite_inverse,
    inner,
    log_determinant,
    lower_factor,
    merged,
    scaled,
    shape_factors,
    solved,
    weighted_matrices,
)
from mlsem.core.records import Array, Numbers, frozen
from mlsem.core.sample.shapes import ShapeMoments

NOUGHT = 1e-6  # per row: sums of squares that are zero but for rounding


@dataclass(frozen=True, eq=False)
class RandomEffects:
    """What each shape knows of its random effects.

    Attributes
    ----------
    sigma_u : (q, q)
        Σ_u, the covariance of u given z.
    regression : (q, r)
        A.
    sigma_zz_inverse : (r, r)
    lift : (p, q)
        G.
    rest : (p, p)
        W - G W_qq Gᵀ, what the within-only variables add.
    information : (S, q, q)
        F_s.
    absorbed : (S, q, q)
        D_s, from K_s, the posterior covariance of u.
    log_determinants : (S,)
        log|I + Σ_u C_s|.
    log_determinant_z : float
        log|Σ_zz|.
    """

    sigma_u: Shaped[Array, "... q q"]
    regression: Shaped[Array, "... q r"]
    sigma_zz_inverse: Shaped[Array, "... r r"]
    lift: Shaped[Array, "... p q"]
    rest: Shaped[Array, "... p p"]
    information: Shaped[Array, "... S q q"]
    absorbed: Shaped[Array, "... S q q"]
    log_determinants: Shaped[Array, "... S"]
    log_determinant_z: Numbers

    @cached_property
    def between_information(self) -> Shaped[Array, "... S qr qr"]:
        """Ω (S, q + r, q + r) = [[F, -F A], [-Aᵀ F, Σ_zz⁻¹ + Aᵀ F A]]."""
        q = self.information.shape[-1]
        size = q + self.sigma_zz_inverse.shape[-1]
        omega = np.empty((*self.information.shape[:-2], size, size))
        regression = self.regression[..., None, :, :]
        pulled = self.information @ regression
        omega[..., :q, :q] = self.information
        omega[..., :q, q:] = -pulled
        omega[..., q:, :q] = -pulled.swapaxes(-1, -2)
        omega[..., q:, q:] = regression.swapaxes(-1, -2) @ pulled
        omega[..., q:, q:] += self.sigma_zz_inverse[..., None, :, :]
        return omega


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Residuals as maps of the data row h.

    Attributes
    ----------
    rows : (p, D)
        e = y - ν - Π x; its deviations from the cluster mean are these maps of deviations.
    mean : (p, D)
        e*, the cluster mean less what z says of u.
    weighted : (S, p, D)
        ω = V̄⁻¹ e* = Σ_i W (e_i - Z û).
    level2 : (r, D)
        z - μ_z(w).
    between : (S, q + r, D)
        ρ, the gradient in μ_B.
    """

    rows: Shaped[Array, "... p D"]
    mean: Shaped[Array, "... p D"]
    weighted: Shaped[Array, "... S p D"]
    level2: Shaped[Array, "... r D"]
    between: Shaped[Array, "... S qr D"]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation(MomentPoint):
    """The likelihood at one point, or at one of each of many data sets, with all that its
    derivatives share.

    `precision` is W (p, p); `mean_precision` is V̄⁻¹ (S, p, p).
    """

    params: Shaped[Array, "... npar"]
    loglik: Numbers
    precision: Shaped[Array, "... p p"]
    mean_precision: Shaped[Array, "... S p p"]
    effects: RandomEffects
    residuals: Residuals


def random_effects(
    sigma_between: Shaped[Array, "... qr qr"],
    precision: Shaped[Array, "... p p"],
    sizes: Shaped[Array, "S"],
    split: int,
) -> RandomEffects | None:
    """Condition u on z and weigh it against each shape's data; None (of many: NaN) outside the
    parameter space.

    With W_qq = L Lᵀ and P = I + n Lᵀ Σ_u L: F = n L P⁻¹ Lᵀ and |I + Σ_u C| = |P|. P is positive
    definite exactly where the cluster's covariance is.
    """
    uz, zz = sigma_between[..., :split, split:], sigma_between[..., split:, split:]
    own = precision[..., :split, :split]
    level2, lower = definite_inverse(zz), lower_factor(own)
    if level2 is None or lower is None:
        return None
    zz_inverse, zz_determinant = level2
    regression = uz @ zz_inverse
    sigma_u = sigma_between[..., :split, :split] - regression @ uz.swapaxes(-1, -2)
    moved = (lower.swapaxes(-1, -2) @ sigma_u @ lower)[..., None, :, :]
    factor = shape_factors(add_identity(sizes[:, None, None] * moved))
    if factor is None:
        return None
    half = lower[..., None, :, :] @ np.linalg.inv(factor).swapaxes(-1, -2)
    share = half @ half.swapaxes(-1, -2)
    # in exact arithmetic lift is I and rest zero but for the within-only variables
    p, rest = precision.shape[-1], np.zeros_like(precision)
    lift = rest[..., :split] + np.eye(p, split)
    if split < p:
        across = precision[..., :split, split:]
        lift[..., split:, :] = solved(lower, across).swapaxes(-1, -2)
        rest[..., split:, split:] = precision[..., split:, split:] - lift[..., split:, :] @ across
    return RandomEffects(
        sigma_u=sigma_u,
        regression=regression,
        sigma_zz_inverse=zz_inverse,
        lift=lift,
        rest=rest,
        information=sizes[:, None, None] * share,
        absorbed=own[..., None, :, :] - share,
        log_determinants=log_determinant(factor),
        log_determinant_z=zz_determinant,
    )


def residual_maps(
    pattern: Pattern[Any],
    moments: tuple[LevelMoments, ...],
    effects: RandomEffects,
    mean_precision: Shaped[Array, "... S p p"],
) -> Residuals:
    """The residuals of the module's docstring, as maps of h."""
    q, (observed, above) = pattern.split, pattern.levels
    within, between = moments
    rows = observed.responses - within.mean
    level2 = above.responses[q:] - between.mean[..., q:, :]
    mean = rows.copy()
    mean[..., :q, :] -= between.mean[..., :q, :] + effects.regression @ level2
    weighted = mean_precision @ mean[..., None, :, :]
    pulled = weighted[..., :q, :]
    own = (effects.sigma_zz_inverse @ level2)[..., None, :, :]
    own = own - effects.regression.swapaxes(-1, -2)[..., None, :, :] @ pulled
    return Residuals(rows, mean, weighted, level2, np.concatenate((pulled, own), axis=-2))


def evaluate(
    pattern: Pattern[Any], data: ShapeMoments, params: Shaped[Array, "... npar"]
) -> Evaluation | None:
    """Log-likelihood at `params`; None (of many: NaN) outside the parameter space (a covariance
    that is not positive definite, a singular I - B)."""
    level1, level2 = pattern.levels
    within, between = level1.moments(params), level2.moments(params)
    if within is None or between is None:
        return None
    if params.ndim == 1 and not np.isfinite(within.sigma).all():
        return None
    inverse = definite_inverse(within.sigma)
    if inverse is None:
        return None
    precision, determinant = inverse
    effects = random_effects(between.sigma, precision, data.sizes, pattern.split)
    if effects is None:
        return None
    lift = effects.lift[..., None, :, :]
    mean_precision = data.sizes[:, None, None] * effects.rest[..., None, :, :]
    mean_precision += lift @ effects.information @ lift.swapaxes(-1, -2)
    residuals = residual_maps(pattern, (within, between), effects, mean_precision)
    rows, level2 = residuals.rows, residuals.level2
    distances = np.empty((*params.shape[:-1], len(data.sizes) + 2))
    distances[..., 0] = inner(precision @ rows @ data.within, rows)
    distances[..., 1] = inner(effects.sigma_zz_inverse @ level2 @ data.total, level2)
    distances[..., 2:] = applied(merged(residuals.weighted @ data.cross), merged(residuals.mean))
    deviance = (
        data.n_rows * (precision.shape[-1] * LOG_2PI + determinant)
        + (data.clusters * effects.log_determinants).sum(axis=-1)
        + data.n_clusters * (level2.shape[-2] * LOG_2PI + effects.log_determinant_z)
        + distances.sum(axis=-1)
    )
    # a sum of squares below zero is one of a matrix that only rounding makes positive definite
    inside = np.isfinite(deviance) & (distances.min(axis=-1) >= -NOUGHT * data.n_rows)
    if params.ndim > 1:
        deviance = np.where(inside, deviance, np.nan)
    elif not inside:
        return None
    return Evaluation(
        frozen(params.copy()),
        -0.5 * deviance if params.ndim > 1 else -0.5 * float(deviance),
        (within, between),
        precision,
        mean_precision,
        effects,
        residuals,
    )


def moment_gradients(point: Evaluation, data: ShapeMoments) -> MomentGradients:
    """∂ℓ/∂(Σ_W, Π_W L, Σ_B, Π_B L), summed over clusters.

    By Fisher's identity each is the gradient of a single-level Gaussian structure at expected
    moments: M = Σ E[(e - Z u)(e - Z u)ᵀ] within and ρ ρᵀ - Ω between.
    """
    precision, residuals, effects = point.precision, point.residuals, point.effects
    spread = residuals.rows @ data.within
    weighted_cross = residuals.weighted @ data.cross
    means = weighted_matrices(
        1.0 / data.sizes, weighted_cross @ residuals.weighted.swapaxes(-1, -2)
    )
    absorbed = weighted_matrices(data.clusters, effects.absorbed)
    sigma_within = (
        precision @ (spread @ residuals.rows.swapaxes(-1, -2)) @ precision
        + means
        + effects.lift @ absorbed @ effects.lift.swapaxes(-1, -2)
        - scaled(data.n_rows, precision)
    )
    between_cross = residuals.between @ data.cross
    sigma_between = (between_cross @ residuals.between.swapaxes(-1, -2)).sum(axis=-3)
    sigma_between -= weighted_matrices(data.clusters, effects.between_information)
    return (
        LevelGradient(0.5 * sigma_within, precision @ spread + weighted_cross.sum(axis=-3)),
        LevelGradient(0.5 * sigma_between, between_cross.sum(axis=-3)),
    )
