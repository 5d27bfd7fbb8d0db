"""Log-likelihood of the two-level model with missing values, and its gradient.

Level 1: y_ij = ν + Π x_ij + Z_ij u_j + ε_ij, Cov ε = Σ_W, of which a pattern π of outcomes is
observed. Level 2: (u_j, z_j) = μ_B(w_j) + ζ_j, Cov ζ = Σ_B, z_j observed in part.

W_π is the inverse of the observed block of Σ_W, zero elsewhere, and likewise Σ_zz⁻¹ (`padded`).
With the observed z_j alone, u_j ~ N(m_j, Σ_u), m_j = μ_u + A (z_j - μ_z), A = Σ_uz Σ_zz⁻¹,
Σ_u = Σ_uu - A Σ_zu. In the coordinates of `carriers`, e_r = y_r - ν - Π x_r and

    C_j = Σ_r Z_rᵀ W Z_r = L Lᵀ,   β_j = L⁺ Σ_r Z_rᵀ W e_r,   t_j = L⁺ᵀ β_j,   E_r = e_r - Z_r t_j,
    P_j = I + Lᵀ Σ_u L,   a_j = β_j - Lᵀ m_j.

t_j is what the rows of the cluster alone say of u_j: what is left after it is free of the level of
the cluster, however large the variance between clusters is. Then

    -2 ℓ = Σ_π [n_π (p_π log 2π + log|Σ_π|) + tr W_π R S_π Rᵀ] + Σ_r E_rᵀ W E_r
           + Σ_j [log|P_j| + a_jᵀ P_j⁻¹ a_j - 2 log f(z_j | w_j)],

S_π the pooled cross-products of the other coordinates and R = y - ν - Π x as a map. Derivatives
need

    ω_r = W (E_r + Z_r L⁺ᵀ P⁻¹ a) = (V⁻¹ e)_r,   F = L P⁻¹ Lᵀ,   K = L⁺ᵀ (LᵀΣ_u L) P⁻¹ L⁺,
    ρ = (L P⁻¹ a, Σ_zz⁻¹ (z - μ_z) - Aᵀ L P⁻¹ a),   Ω = [[F, -F A], [-Aᵀ F, Σ_zz⁻¹ + Aᵀ F A]].

Nothing of Σ_B is inverted but Σ_zz. An outcome that is wholly missing in a cluster is a row of
zeros in L, and needs no case of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.derivatives import MomentGradients
from mlsem.core.implied.pattern import LevelGradient, LevelMoments, Pattern
from mlsem.core.implied.point import MomentPoint
from mlsem.core.linalg import (
    LOG_2PI,
    add_identity,
    cholesky,
    flatten,
    inner,
    is_determined,
    log_determinant,
    weighted_sum,
)
from mlsem.core.patterns.carriers import PatternMoments
from mlsem.core.patterns.padded import padded_inverses, semidefinite_roots
from mlsem.core.records import Array, Index, frozen

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NOUGHT = 1e-6  # per row: sums of squares that are zero but for rounding


@dataclass(frozen=True, slots=True, eq=False)
class PatternPoint(MomentPoint):
    """The likelihood at one point, with all that its derivatives share.

    Attributes
    ----------
    precision : (P, p, p)
        W_π.
    determinants : (P,)
        log|Σ_π|.
    zz_inverse, regression : (Q, r, r), (Q, q, r)
        Σ_zz⁻¹ and A by level-2 pattern.
    root, back : (J, q, q)
        L and L⁺.
    white : (J, q, q)
        R with P⁻¹ = Rᵀ R.
    posterior : (J, q, q)
        K.
    residuals : (p, D)
        y - ν - Π x as a map.
    weighted : (R, p)
        ω_r.
    between_weighted : (J, q + r)
        ρ.
    """

    precision: Shaped[Array, "P p p"]
    determinants: Shaped[Array, "P"]
    zz_inverse: Shaped[Array, "Q r r"]
    regression: Shaped[Array, "Q q r"]
    root: Shaped[Array, "J q q"]
    back: Shaped[Array, "J q q"]
    white: Shaped[Array, "J q q"]
    posterior: Shaped[Array, "J q q"]
    residuals: Shaped[Array, "p D"]
    weighted: Shaped[Array, "R p"]
    between_weighted: Shaped[Array, "J qr"]

    @property
    def split(self) -> int:
        """q."""
        return self.root.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Effects:
    """What does not depend on means: of the level-2 patterns, then of the clusters."""

    zz_inverse: Shaped[Array, "Q r r"]
    zz_determinants: Shaped[Array, "Q"]
    regression: Shaped[Array, "Q q r"]
    root: Shaped[Array, "J q q"]
    back: Shaped[Array, "J q q"]
    white: Shaped[Array, "J q q"]
    log_determinants: Shaped[Array, "J"]
    posterior: Shaped[Array, "J q q"]


def evaluate(
    pattern: Pattern[Any], data: PatternMoments, params: Shaped[Array, "npar"]
) -> PatternPoint | None:
    """Log-likelihood at `params`; None outside the parameter space (a covariance that is not
    positive definite, a singular I - B)."""
    level1, level2 = pattern.levels
    within, between = level1.moments(params), level2.moments(params)
    if within is None or between is None or not np.isfinite(within.sigma).all():
        return None
    inverses = padded_inverses(within.sigma, data.observed)
    if inverses is None or not np.isfinite(between.sigma).all():
        return None
    effects = _random_effects(data, between.sigma, inverses[0], pattern.split)
    if effects is None:
        return None
    return _with_means(pattern, data, params, (within, between), inverses, effects)


def _random_effects(
    data: PatternMoments,
    sigma_between: Shaped[Array, "qr qr"],
    precision: Shaped[Array, "P p p"],
    split: int,
) -> _Effects | None:
    """Condition u on the observed z and weigh it against each cluster's rows."""
    uz, zz = sigma_between[:split, split:], sigma_between[split:, split:]
    level2 = padded_inverses(zz, data.level2_observed)
    if level2 is None:
        return None
    regression = uz @ level2[0]
    sigma_u = sigma_between[:split, :split] - regression @ uz.T
    root, back = semidefinite_roots(information_of_effects(data, precision))
    moved = root.swapaxes(1, 2) @ sigma_u[data.level2_of] @ root
    matrices = add_identity(moved.copy())
    factor = cholesky(matrices)
    if factor is None or not is_determined(factor, np.einsum("jqq->jq", matrices)):
        return None
    white = np.asarray(np.linalg.inv(factor), dtype=np.float64)
    posterior = back.swapaxes(1, 2) @ (moved @ white.swapaxes(1, 2) @ white) @ back
    determinants = log_determinant(factor)
    return _Effects(*level2, regression, root, back, white, determinants, posterior)


def information_of_effects(
    data: PatternMoments, precision: Shaped[Array, "P p p"]
) -> Shaped[Array, "J q q"]:
    """C_j = Σ_r Z_rᵀ M Z_r of one symmetric matrix M for each pattern."""
    return by_cluster(data, precision[:, None], slice(None))[:, 0]


def by_cluster(
    data: PatternMoments,
    matrices: Shaped[Array, "i n p p"],
    part: slice | Shaped[Index, "j"],
    there: slice | Shaped[Index, "i"] = slice(None),
) -> Shaped[Array, "j n q q"]:
    """Σ_r Z_rᵀ M Z_r of n matrices for each pattern, for some clusters; `there` are the patterns
    whose matrices are given, all that occur in the clusters."""
    effects, (patterns, n) = data.effects, matrices.shape[:2]
    q = len(effects.responses)
    total = np.zeros((len(data.weights[part]), n, q, q))
    for s in range(effects.n_carriers):
        own = effects.of(s)
        half = effects.at(own, matrices, axis=-2)
        for t in range(effects.n_carriers):
            other = effects.of(t)
            block = effects.at(other, half)
            products = picked(data.products[s][t], part)
            if not isinstance(there, slice):
                products = products[:, there]
            sums = products @ block.reshape(patterns, -1)
            total[:, :, own[:, None], other] = sums.reshape(-1, n, len(own), len(other))
    return total


def picked(matrix: csr_array, part: slice | Shaped[Index, "j"]) -> csr_array:
    """Some rows of a sparse matrix; all of them cost nothing."""
    if isinstance(part, slice) and part.indices(matrix.shape[0]) == (0, matrix.shape[0], 1):
        return matrix
    return matrix[part]


def by_pattern(
    data: PatternMoments, matrices: Shaped[Array, "J q q"], size: int
) -> Shaped[Array, "P p p"]:
    """Σ_r w_j Z_r M_j Z_rᵀ over the rows of each pattern, of one matrix for each cluster."""
    effects, weighted = data.effects, data.weights[:, None, None] * matrices
    total = np.zeros((len(data.observed), size, size))
    for s in range(effects.n_carriers):
        own = effects.of(s)
        for t in range(effects.n_carriers):
            other = effects.of(t)
            block = weighted[:, own[:, None], other]
            sums = data.products[s][t].T @ flatten(block)
            effects.add_products(own, other, total, sums.reshape(-1, len(own), len(other)))
    return total


def pulled_back(data: PatternMoments, vectors: Shaped[Array, "R p"]) -> Shaped[Array, "J q"]:
    """Σ_r Z_rᵀ v_r."""
    effects = data.effects
    total = np.zeros((data.n_clusters, len(effects.responses)))
    for s, members in enumerate(data.members):
        own = effects.of(s)
        total[:, own] = members @ effects.at(own, vectors)
    return total


def lifted(data: PatternMoments, values: Shaped[Array, "J q"], size: int) -> Shaped[Array, "R p"]:
    """Z_r u_j of each row."""
    effects = data.effects
    total = np.zeros((len(data.carried), size))
    for s in range(effects.n_carriers):
        own = effects.of(s)
        of_rows = values[:, own][data.cluster_of]
        effects.add(own, total, data.carried[:, s, None] * of_rows)
    return total


def weigh(
    data: PatternMoments, precision: Shaped[Array, "P p p"], vectors: Shaped[Array, "R p"]
) -> Shaped[Array, "R p"]:
    """W_π v_r."""
    total = np.empty_like(vectors)
    for k, matrix in enumerate(precision):
        rows = data.rows_of(k)
        np.matmul(vectors[rows], matrix, out=total[rows])
    return total


def _with_means(
    pattern: Pattern[Any],
    data: PatternMoments,
    params: Shaped[Array, "npar"],
    moments: tuple[LevelMoments, ...],
    inverses: tuple[Shaped[Array, "P p p"], Shaped[Array, "P"]],
    effects: _Effects,
) -> PatternPoint | None:
    q, (within, between) = pattern.split, moments
    precision, determinants = inverses
    residuals = pattern.within.responses - within.mean
    size = len(residuals)
    rows = data.coordinates @ residuals.T
    known = data.level2_observed[data.level2_of]
    above = known * (data.rows @ (pattern.between.responses[q:] - between.mean[q:]).T)
    pulled = pulled_back(data, weigh(data, precision, rows))
    beta = _times(effects.back, pulled)
    left = rows - lifted(data, _times(effects.back.swapaxes(1, 2), beta), size)
    expected = data.rows @ between.mean[:q].T
    expected += _times(effects.regression[data.level2_of], above)
    white = _times(effects.white, beta - _times(effects.root.swapaxes(1, 2), expected))
    shrunk = _times(effects.white.swapaxes(1, 2), white)
    weighted = weigh(data, precision, left)
    own = data.row_weights @ np.einsum("rp,rp->r", left, weighted)
    weighted += weigh(
        data, precision, lifted(data, _times(effects.back.swapaxes(1, 2), shrunk), size)
    )
    level2 = _times(effects.zz_inverse[data.level2_of], above)
    distances = (
        float(own),
        inner((precision @ residuals @ data.rest).sum(axis=0), residuals),
        float(data.weights @ np.einsum("jq,jq->j", white, white)),
        float(data.weights @ np.einsum("jr,jr->j", above, level2)),
    )
    outcomes, others = data.observed.sum(axis=1), data.level2_observed.sum(axis=1)
    clusters = np.bincount(data.level2_of, data.weights, len(others))
    deviance = (
        float(data.counts @ (outcomes * LOG_2PI + determinants))
        + float(clusters @ (others * LOG_2PI + effects.zz_determinants))
        + float(data.weights @ effects.log_determinants)
        + sum(distances)
    )
    # a sum of squares below zero is one of a matrix that only rounding makes positive definite
    if not np.isfinite(deviance) or min(distances) < -NOUGHT * data.counts.sum():
        return None
    rho = _times(effects.root, shrunk)
    level2 = level2 - _times(effects.regression[data.level2_of].swapaxes(1, 2), rho)
    return PatternPoint(
        params=frozen(params.copy()),
        loglik=-0.5 * deviance,
        levels=moments,
        precision=precision,
        determinants=determinants,
        zz_inverse=effects.zz_inverse,
        regression=effects.regression,
        root=effects.root,
        back=effects.back,
        white=effects.white,
        posterior=effects.posterior,
        residuals=residuals,
        weighted=weighted,
        between_weighted=np.concatenate((rho, level2), axis=1),
    )


def single_level_point(point: PatternPoint, data: PatternMoments) -> PatternPoint:
    """A single-level model's point as other sets of the rows see it: there are no random effects,
    so that each row is weighed by its own pattern."""
    inverses = padded_inverses(point.within.sigma, data.observed)
    assert inverses is not None  # its covariances are those of the point
    effects = _random_effects(data, np.zeros((0, 0)), inverses[0], 0)
    assert effects is not None
    rows = data.coordinates @ point.residuals.T
    return replace(
        point,
        precision=inverses[0],
        determinants=inverses[1],
        zz_inverse=effects.zz_inverse,
        regression=effects.regression,
        root=effects.root,
        back=effects.back,
        white=effects.white,
        posterior=effects.posterior,
        weighted=weigh(data, inverses[0], rows),
        between_weighted=np.zeros((data.n_clusters, 0)),
    )


def _times(matrices: Shaped[Array, "J a b"], vectors: Shaped[Array, "J b"]) -> Shaped[Array, "J a"]:
    """M_j v_j."""
    return (matrices @ vectors[:, :, None])[:, :, 0]


def between_information(
    point: PatternPoint, data: PatternMoments, part: slice | Shaped[Index, "j"] = slice(None)
) -> Shaped[Array, "j qr qr"]:
    """Ω of some clusters."""
    half = point.white[part] @ point.root[part].swapaxes(1, 2)
    level2 = data.level2_of[part]
    half = half @ conditioning(point)[level2]
    total = half.swapaxes(1, 2) @ half
    total[:, point.split :, point.split :] += point.zz_inverse[level2]
    return total


def effect_maps(
    point: PatternPoint, data: PatternMoments, part: slice | Shaped[Index, "j"]
) -> Shaped[Array, "j q qr"]:
    """X = L⁺ᵀ P⁻¹ Lᵀ [I, -A] = (I - K C) [I, -A] of some clusters."""
    white = point.white[part]
    shrunk = point.back[part].swapaxes(1, 2) @ white.swapaxes(1, 2) @ white
    return shrunk @ point.root[part].swapaxes(1, 2) @ conditioning(point)[data.level2_of[part]]


def conditioning(point: PatternPoint) -> Shaped[Array, "Q q qr"]:
    """[I, -A] by level-2 pattern."""
    count, q, _ = point.regression.shape
    return np.concatenate((np.broadcast_to(np.eye(q), (count, q, q)), -point.regression), axis=2)


def moment_gradients(point: PatternPoint, data: PatternMoments) -> MomentGradients:
    """∂ℓ/∂(Σ_W, Π_W L, Σ_B, Π_B L), summed over clusters:

    ∂ℓ/∂Σ_W   = ½ [Σ_π (W R S Rᵀ W - n_π W + Σ_r W Z K Zᵀ W) + Σ_r ω ωᵀ]
    ∂ℓ/∂Π_W L = Σ_π W R S + Σ_r ω H_rᵀ
    ∂ℓ/∂Σ_B   = ½ Σ_j [ρ ρᵀ - Ω],   ∂ℓ/∂Π_B L = Σ_j ρ h_jᵀ
    """
    precision = point.precision
    spread = precision @ point.residuals @ data.rest
    moved = spread @ point.residuals.T
    moved += precision @ by_pattern(data, point.posterior, precision.shape[1])
    weighted = data.row_weights[:, None] * point.weighted
    sigma_within = (moved @ precision).sum(axis=0) + weighted.T @ point.weighted
    sigma_within -= weighted_sum(data.counts, precision)
    rho = point.between_weighted
    above = data.weights[:, None] * rho
    omega = np.einsum("j,jab->ab", data.weights, between_information(point, data))
    return (
        LevelGradient(0.5 * sigma_within, spread.sum(axis=0) + weighted.T @ data.coordinates),
        LevelGradient(0.5 * (above.T @ rho - omega), above.T @ data.rows),
    )
