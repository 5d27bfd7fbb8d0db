"""Log-likelihood of the two-level model with random slopes, and its gradient.

Level 1: y_ij = ν + Π x_ij + Z_ij u_j + ε_ij, Cov ε = Σ_W; effect a enters row k_a times its
carrier, Z_ij[k_a, a] = x_ij[c_a]. Level 2: (u_j, z_j) = μ_B(w_j) + ζ_j, Cov ζ = Σ_B.

In the coordinates of `carriers` a cluster is d rows H_j of (1, columns), which the random effects
move, and n_j - d others of covariance Σ_W. With T_j the map of (u, z) to the coordinates of y,
then z,

    V̄_j = blockdiag(I_d ⊗ Σ_W, 0) + T_j Σ_B T_jᵀ
    ē_j = ((R_W H_j,l)_l, 0) + T_j R_B h_j

where R_W = y - ν - Π x and R_B = (-μ_u, z - μ_z) are maps of the data row h. Then, W = Σ_W⁻¹,

    -2 ℓ = N p log 2π + J r log 2π + (N - J d) log|Σ_W| + tr W R_W S R_Wᵀ
           + Σ_j [ log|V̄_j| + ē_jᵀ V̄_j⁻¹ ē_j ],

S the pooled cross-products of the others. V̄_j must be positive definite, Σ_B need not be. All that
acts on a cluster's mean is a pair of maps, one for each level; the derivatives of the mean and the
columns of a design are such pairs as well as the residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.implied.derivatives import MomentGradients
from mlsem.core.implied.pattern import LevelGradient, LevelMoments, Pattern
from mlsem.core.implied.point import MomentPoint
from mlsem.core.linalg import LOG_2PI, cholesky, inner, log_determinant, positive_inverse
from mlsem.core.records import Array, Index, frozen
from mlsem.core.slopes.carriers import SlopeMoments, pooled_products

ALL = slice(None)


@dataclass(frozen=True, slots=True, eq=False)
class MeanMaps:
    """n vectors of a cluster, as maps at both levels: (n, p, D) of H and (n, q + r, D) of h."""

    within: Shaped[Array, "n p D"]
    between: Shaped[Array, "n qr D"]


@dataclass(frozen=True, slots=True, eq=False)
class SlopePoint(MomentPoint):
    """The likelihood at one point, with all that its derivatives share.

    Attributes
    ----------
    precision : (p, p)
        W.
    determinant : float
        log|Σ_W|.
    roots : (J, m, m)
        L̄_jᵀ, lower triangular, with V̄_j⁻¹ = L̄_j L̄_jᵀ and m = d p + r.
    residuals : MeanMaps
        R_W and R_B, one vector.
    weighted : (J, m)
        ω = V̄_j⁻¹ ē_j.
    """

    precision: Shaped[Array, "p p"]
    determinant: float
    roots: Shaped[Array, "J m m"]
    residuals: MeanMaps
    weighted: Shaped[Array, "J m"]


def evaluate(
    pattern: Pattern[Any], data: SlopeMoments, params: Shaped[Array, "npar"]
) -> SlopePoint | None:
    """Log-likelihood at `params`; None outside the parameter space (the covariance of a cluster
    that is not positive definite, a singular I - B)."""
    level1, level2 = pattern.levels
    within, between = level1.moments(params), level2.moments(params)
    if within is None or between is None or not np.isfinite(within.sigma).all():
        return None
    inverse = positive_inverse(within.sigma)
    factor = cholesky(cluster_covariance(data, within.sigma, between.sigma))
    if inverse is None or factor is None:
        return None
    roots = np.asarray(np.linalg.inv(factor), dtype=np.float64)
    return _with_means(pattern, data, params, (within, between), inverse, roots)


def moved(
    pattern: Pattern[Any], data: SlopeMoments, point: SlopePoint, params: Shaped[Array, "npar"]
) -> SlopePoint | None:
    """The point at other parameters that have its covariances: nothing is factored again."""
    level1, level2 = pattern.levels
    within, between = level1.moments(params), level2.moments(params)
    if within is None or between is None:
        return None
    inverse = point.precision, point.determinant
    return _with_means(pattern, data, params, (within, between), inverse, point.roots)


def _with_means(
    pattern: Pattern[Any],
    data: SlopeMoments,
    params: Shaped[Array, "npar"],
    moments: tuple[LevelMoments, ...],
    inverse: tuple[Shaped[Array, "p p"], float],
    roots: Shaped[Array, "J m m"],
) -> SlopePoint | None:
    """The point of these moments, with Σ_W⁻¹ and log|Σ_W|, and the roots L̄_jᵀ."""
    (_, between), (precision, determinant) = moments, inverse
    residuals = residual_maps(pattern, moments)
    white = (roots @ coordinates_of(data, residuals)[:, 0, :, None])[..., 0]
    rows = residuals.within[0]
    own = len(between.sigma) - pattern.split
    deviance = (
        (data.n_rows * len(rows) + data.total_weight * own) * LOG_2PI
        + data.n_others * determinant
        + inner(precision @ rows @ data.rest, rows)
        - float(data.weights @ log_determinant(roots))
        + float(data.weights @ np.einsum("jm,jm->j", white, white))
    )
    if not np.isfinite(deviance):
        return None
    return SlopePoint(
        params=frozen(params.copy()),
        loglik=-0.5 * deviance,
        levels=moments,
        precision=precision,
        determinant=determinant,
        roots=roots,
        residuals=residuals,
        weighted=pull(roots, white[:, None])[:, 0],
    )


def cluster_covariance(
    data: SlopeMoments,
    within: Shaped[Array, "*s p p"],
    between: Shaped[Array, "*s qr qr"],
    part: slice | Shaped[Index, "j"] = ALL,
) -> Shaped[Array, "j *s m m"]:
    """V̄_j of (…, p, p) and (…, q + r, q + r), (j, …, m, m); linear, so of changes as well."""
    loadings = data.loadings[part]
    shape = (len(loadings), *(1,) * (within.ndim - 2), *loadings.shape[1:])
    loadings = loadings.reshape(shape)  # no -1: a single level has none
    total = loadings @ between @ loadings.swapaxes(-1, -2)
    p = within.shape[-1]
    for start in range(0, data.depth * p, p):
        row = slice(start, start + p)
        total[..., row, row] += within
    return total


def residual_maps(pattern: Pattern[Any], moments: tuple[LevelMoments, ...]) -> MeanMaps:
    """R_W and R_B."""
    q, (observed, above), (within, between) = pattern.split, pattern.levels, moments
    level2 = -between.mean
    level2[q:] += above.responses[q:]
    return MeanMaps((observed.responses - within.mean)[None], level2[None])


def coordinates_of(
    data: SlopeMoments, maps: MeanMaps, part: slice | Shaped[Index, "j"] = ALL
) -> Shaped[Array, "j n m"]:
    """The coordinates of n vectors in some clusters."""
    used = np.flatnonzero(maps.between.any(axis=(0, 1)))
    level2 = _acted(maps.between[:, :, used], data.rows[part, None][..., used])[:, :, 0]
    level1 = _acted(maps.within, data.coordinates[part])
    return assembled(data, level1, level2, part)


def assembled(
    data: SlopeMoments,
    within: Shaped[Array, "j n d p"],
    between: Shaped[Array, "j n qr"],
    part: slice | Shaped[Index, "j"],
) -> Shaped[Array, "j n m"]:
    """(x_1, …, x_d, 0) + T t for values (j, n, d, p) of the rows and (j, n, q + r) of (u, z)."""
    found = between @ data.loadings[part].swapaxes(1, 2)
    size = within.shape[2] * within.shape[3]
    found[:, :, :size] += within.reshape(*within.shape[:2], size)
    return found


def _acted(maps: Shaped[Array, "n p D"], rows: Shaped[Array, "j d D"]) -> Shaped[Array, "j n d p"]:
    """Maps (n, p, D) of each of the rows (j, d, D)."""
    n, p, width = maps.shape
    found = rows @ maps.reshape(n * p, width).T
    return found.reshape(*rows.shape[:2], n, p).swapaxes(1, 2)


def pull(roots: Shaped[Array, "j m m"], white: Shaped[Array, "j n m"]) -> Shaped[Array, "j n m"]:
    """L̄_j x of whitened vectors."""
    return white @ roots


def whiten(
    roots: Shaped[Array, "j m m"], vectors: Shaped[Array, "j n m"]
) -> Shaped[Array, "j n m"]:
    """L̄_jᵀ x."""
    return vectors @ roots.swapaxes(1, 2)


def between_gradient(
    data: SlopeMoments, weighted: Shaped[Array, "j n m"], part: slice | Shaped[Index, "j"] = ALL
) -> Shaped[Array, "j n qr"]:
    """ρ = T_jᵀ ω of n vectors."""
    return weighted @ data.loadings[part]


def by_row(
    data: SlopeMoments, weighted: Shaped[Array, "*s m"], outcomes: int
) -> Shaped[Array, "*s d p"]:
    """ω as rows: (J, n, m) -> (J, n, d, p)."""
    size = data.depth * outcomes
    return weighted[..., :size].reshape(*weighted.shape[:-1], data.depth, outcomes)


def moment_gradients(point: SlopePoint, data: SlopeMoments) -> MomentGradients:
    """∂ℓ/∂(Σ_W, Π_W L, Σ_B, Π_B L), summed over clusters:

    ∂ℓ/∂Σ_W   = ½ [W R S Rᵀ W - (N - J d) W + Σ_j Σ_l (ω_l ω_lᵀ - (V̄_j⁻¹)_ll)]
    ∂ℓ/∂Π_W L = W R S + Σ_j Σ_l ω_l H_lᵀ
    ∂ℓ/∂Σ_B   = ½ Σ_j [ρ ρᵀ - T_jᵀ V̄_j⁻¹ T_j],   ∂ℓ/∂Π_B L = Σ_j ρ h_jᵀ
    """
    weighted = point.weighted[:, None]
    within, between = outer_sums(point, data, point.residuals, weighted)
    sigma_within, sigma_between = information_sums(point, data)
    spread = point.precision @ point.residuals.within[0] @ data.rest
    total = data.weights[:, None, None] * weighted
    level1 = by_row(data, total, len(spread)).reshape(-1, len(spread))
    level2 = between_gradient(data, total)[:, 0]
    mean_within = spread + level1.T @ data.coordinates.reshape(-1, data.rows.shape[1])
    return (
        LevelGradient(0.5 * (within - sigma_within), mean_within),
        LevelGradient(0.5 * (between - sigma_between), level2.T @ data.rows),
    )


def outer_sums(
    point: SlopePoint, data: SlopeMoments, maps: MeanMaps, weighted: Shaped[Array, "J n m"]
) -> tuple[Shaped[Array, "p p"], Shaped[Array, "qr qr"]]:
    """W X S Xᵀ W + Σ_j Σ_l ξ_l ξ_lᵀ and Σ_j (T_jᵀξ)(T_jᵀξ)ᵀ of vectors x with ξ = V̄⁻¹x, summed.

    Parameters
    ----------
    maps : MeanMaps
        The n vectors x.
    weighted : (J, n, m)
        ξ of each.
    """
    pulled = point.precision @ maps.within
    within = (pulled @ data.rest @ pulled.swapaxes(1, 2)).sum(axis=0)
    within += pooled_products(by_row(data, weighted, len(within)), data.weights)
    return within, pooled_products(between_gradient(data, weighted), data.weights)


def information_sums(
    point: SlopePoint, data: SlopeMoments
) -> tuple[Shaped[Array, "p p"], Shaped[Array, "qr qr"]]:
    """(N - J d) W + Σ_j Σ_l (V̄_j⁻¹)_ll and Σ_j T_jᵀ V̄_j⁻¹ T_j."""
    p = len(point.precision)
    total = data.n_others * point.precision
    for start in range(0, data.depth * p, p):
        total = total + pooled_products(point.roots[:, :, start : start + p], data.weights)
    return total, pooled_products(point.roots @ data.loadings, data.weights)
