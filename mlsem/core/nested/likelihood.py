"""Log-likelihood of the random-intercept model of three levels, and its gradient.

Cluster j of unit k has n rows. An orthogonal transformation of them makes n - 1 deviations of
covariance Σ_W, independent of all else, and the mean of (y, z), m numbers of covariance

    V̄ = [[Σ_W / n + Σ_uu, Σ_uz], [Σ_zu, Σ_zz]],      V̄⁻¹ = L̄ L̄ᵀ

given t_k, the parts at level 3 of what varies between clusters, on which the mean depends through
Ū, which picks their rows. With (t, s) ~ N(μ_C, Σ_C) at level 3, A = Σ_ts Σ_ss⁻¹,
m_k = μ_t + A (s - μ_s), Σ_t = Σ_tt - A Σ_st, and residuals e*_j = L̄ᵀ (e_j - Ū m_k), X = L̄ᵀ Ū in
units in which V̄ is the identity:

    Ω_k = Σ_j XᵀX = G Gᵀ,    ρ_k = Σ_j Xᵀ e*_j
    P = I + Gᵀ Σ_t G,        K = (I + Σ_t Ω)⁻¹ Σ_t = G⁻ᵀ P⁻¹ Gᵀ Σ_t
    -2 ℓ = N p log 2π + (N - J) log|Σ_W| + tr W Σ_ij (e_ij - ē_j)(e_ij - ē_j)ᵀ
           + Σ_j [r log 2π + p log n + log|V̄| + e*ᵀe*] + Σ_k [log|P| - ρᵀKρ - 2 log f(s)].

That is the message (ρ_k, Ω_k) which the clusters of a unit send up. What comes down is K, the
covariance of t_k given the data, and x_j = e*_j - X K ρ_k, in which

    ∂ℓ/∂V̄ = ½ L̄ (x xᵀ - I + X K Xᵀ) L̄ᵀ,    ∂ℓ/∂(mean) = L̄ x.

At level 3 ∂ℓ/∂Σ_C = ½ (ρ³ρ³ᵀ - Ω³), ∂ℓ/∂μ_C = ρ³, with R = I - Ω K = G P⁻¹ G⁻¹, F = G P⁻¹ Gᵀ and

    ρ³ = (R ρ, Σ_ss⁻¹ (s - μ_s) - Aᵀ R ρ),    Ω³ = [[F, -F A], [-Aᵀ F, Σ_ss⁻¹ + Aᵀ F A]].

Neither Σ_C nor the covariance of u is inverted: a variance of zero, or slightly below, is an
ordinary point as long as the covariance of each unit is positive definite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.implied.derivatives import MomentGradients
from mlsem.core.implied.pattern import LevelGradient, LevelMoments, Pattern
from mlsem.core.implied.point import MomentPoint
from mlsem.core.intercepts.clusters import joined_means, mean_covariance, mean_places
from mlsem.core.intercepts.likelihood import NOUGHT
from mlsem.core.linalg import (
    LOG_2PI,
    add_identity,
    apply_maps,
    definite_inverse,
    inverse_root,
    log_determinant,
    shape_factors,
    symmetrised,
    weighted_matrices,
)
from mlsem.core.nested.sample import NestedSample
from mlsem.core.records import Array, Index, frozen


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMeans:
    """The means of clusters of each size, given what is of level 3.

    Attributes
    ----------
    root : (p, p)
        L of W = Σ_W⁻¹ = L Lᵀ.
    factor : (S, m, m)
        L̄.
    log_determinants : (S,)
        log|V̄|.
    raised : (S, m, t)
        X.
    """

    root: Shaped[Array, "p p"]
    factor: Shaped[Array, "S m m"]
    log_determinants: Shaped[Array, "S"]
    raised: Shaped[Array, "S m t"]


@dataclass(frozen=True, slots=True, eq=False)
class UnitEffects:
    """What each kind of unit knows of t.

    Attributes
    ----------
    sigma_t : (t, t)
        Σ_t, the covariance of t given s.
    regression : (t, s)
        A.
    sigma_ss_inverse : (s, s)
    log_determinant_s : float
        log|Σ_ss|.
    posterior : (L, t, t)
        K.
    rest : (L, t, t)
        R = I - Ω K.
    information : (L, t, t)
        F.
    log_determinants : (L,)
        log|P|.
    """

    sigma_t: Shaped[Array, "t t"]
    regression: Shaped[Array, "t s"]
    sigma_ss_inverse: Shaped[Array, "s s"]
    log_determinant_s: float
    posterior: Shaped[Array, "L t t"]
    rest: Shaped[Array, "L t t"]
    information: Shaped[Array, "L t t"]
    log_determinants: Shaped[Array, "L"]

    @property
    def upward(self) -> Shaped[Array, "L ts t"]:
        """[I; -Aᵀ] R, through which a change of Ω or ρ reaches level 3."""
        return np.concatenate((self.rest, -self.regression.T @ self.rest), axis=1)

    @property
    def level3(self) -> Shaped[Array, "L ts ts"]:
        """Ω³."""
        t = len(self.regression)
        turn = np.concatenate((np.eye(t), -self.regression), axis=1)
        total = turn.T @ self.information @ turn
        total[:, t:, t:] += self.sigma_ss_inverse
        return total

    def given_s(self, change: Shaped[Array, "... ts d"]) -> Shaped[Array, "... t d"]:
        """(change of t) - A (change of s)."""
        t = len(self.regression)
        return change[..., :t, :] - self.regression @ change[..., t:, :]


@dataclass(frozen=True, slots=True, eq=False)
class NestedPoint(MomentPoint):
    """The likelihood at one point, with all that its derivatives share.

    Attributes
    ----------
    residuals : (p, D)
        y - ν - Π x as a map of h; of deviations from a cluster's mean this map of them.
    means : ClusterMeans
    effects : UnitEffects
    white : (J, m)
        x_j.
    posterior_means : (U, t)
        t̂ = m + K ρ, the part at level 3 given the data.
    scores3 : (U, t + s)
        ρ³.
    """

    residuals: Shaped[Array, "p D"]
    means: ClusterMeans
    effects: UnitEffects
    white: Shaped[Array, "J m"]
    posterior_means: Shaped[Array, "U t"]
    scores3: Shaped[Array, "U ts"]


def cluster_means(
    within: Shaped[Array, "p p"],
    middle: Shaped[Array, "qr qr"],
    sizes: Shaped[Array, "S"],
    split: int,
    raised: Shaped[Index, "t"],
) -> ClusterMeans | None:
    """L, L̄ and X; None where a covariance is not positive definite.

    Parameters
    ----------
    raised : (t,)
        The rows of level 2 that have a part at level 3.
    """
    if definite_inverse(within) is None:
        return None
    root = inverse_root(within)
    lower = shape_factors(mean_covariance(within / sizes[:, None, None], middle, split))
    if root is None or lower is None:
        return None
    factor = np.asarray(np.linalg.inv(lower), dtype=np.float64).swapaxes(1, 2)
    places = mean_places(len(within), len(middle), split)[raised]
    return ClusterMeans(root, factor, log_determinant(lower), factor[:, places].swapaxes(1, 2))


def unit_effects(
    sigma: Shaped[Array, "ts ts"], information: Shaped[Array, "L t t"]
) -> UnitEffects | None:
    """Weigh t against what the clusters of each kind of unit say of it, Ω; None where the
    covariance of some unit is not positive definite."""
    t = information.shape[1]
    known = definite_inverse(sigma[t:, t:])
    lower = shape_factors(information)
    if known is None or lower is None:
        return None
    regression = sigma[:t, t:] @ known[0]
    sigma_t = sigma[:t, :t] - regression @ sigma[t:, :t]
    up = lower.swapaxes(1, 2)
    factor = shape_factors(add_identity(up @ sigma_t @ lower))
    if factor is None:
        return None
    back = np.asarray(np.linalg.inv(factor), dtype=np.float64)
    inner = back.swapaxes(1, 2) @ back
    down = np.asarray(np.linalg.inv(lower), dtype=np.float64)
    return UnitEffects(
        sigma_t=sigma_t,
        regression=regression,
        sigma_ss_inverse=known[0],
        log_determinant_s=float(known[1]),
        posterior=symmetrised(down.swapaxes(1, 2) @ inner @ up @ sigma_t),
        rest=lower @ inner @ down,
        information=lower @ inner @ up,
        log_determinants=log_determinant(factor),
    )


def evaluate(
    pattern: Pattern[Any], data: NestedSample, params: Shaped[Array, "npar"]
) -> NestedPoint | None:
    """Log-likelihood at `params`; None outside the parameter space."""
    levels = tuple([level.moments(params) for level in pattern.levels])
    within, middle, top = levels
    if within is None or middle is None or top is None or not np.isfinite(within.sigma).all():
        return None
    means = cluster_means(within.sigma, middle.sigma, data.sizes, pattern.split, pattern.raised)
    if means is None:
        return None
    sums = weighted_matrices(data.kinds, means.raised.swapaxes(1, 2) @ means.raised)
    effects = unit_effects(top.sigma, sums)
    if effects is None:
        return None
    rows, joined, level3 = residual_maps(pattern, (within, middle, top))
    outer = data.unit_rows @ level3.T
    t = len(effects.regression)
    prior = data.unit_rows @ top.mean[:t].T + outer[:, t:] @ effects.regression.T
    white = apply_maps(means.factor.swapaxes(1, 2) @ joined, data.shape_of, data.rows)
    white -= apply_maps(means.raised, data.shape_of, prior[data.moments.unit_of])
    message = data.by_unit(apply_maps(means.raised.swapaxes(1, 2), data.shape_of, white))
    moved = apply_maps(effects.posterior, data.kind_of, message)
    varying = rows[:, data.moments.varying_entries]
    scaled = means.root.T @ varying
    gained = (message * moved).sum()
    own = outer[:, t:] @ effects.sigma_ss_inverse
    squares = np.vdot(scaled @ data.within, scaled), (white**2).sum() - gained
    distance = squares[0] + squares[1] + (own * outer[:, t:]).sum()
    p, m = len(within.sigma), white.shape[1]
    determinant = -2.0 * np.log(np.diagonal(means.root)).sum()
    deviance = (
        (data.n_rows * p + data.n_clusters * (m - p) + own.size) * LOG_2PI
        + (data.n_rows - data.n_clusters) * determinant
        + data.clusters @ (p * np.log(data.sizes) + means.log_determinants)
        + data.units @ effects.log_determinants
        + data.n_units * effects.log_determinant_s
        + distance
    )
    if not np.isfinite(deviance) or min(squares) < -NOUGHT * data.n_rows:
        return None
    white -= apply_maps(means.raised, data.shape_of, moved[data.moments.unit_of])
    through = apply_maps(effects.rest, data.kind_of, message)
    return NestedPoint(
        frozen(params.copy()),
        -0.5 * float(deviance),
        (within, middle, top),
        residuals=rows,
        means=means,
        effects=effects,
        white=white,
        posterior_means=prior + moved,
        scores3=np.concatenate((through, own - through @ effects.regression), axis=1),
    )


def residual_maps(
    pattern: Pattern[Any], moments: tuple[LevelMoments, LevelMoments, LevelMoments]
) -> tuple[Shaped[Array, "p D"], Shaped[Array, "m D"], Shaped[Array, "ts D"]]:
    """Residuals as maps of h: of the rows, of a cluster's mean of (y, z) with t and its mean left
    in, of level 3."""
    first, second, third = pattern.levels
    within, middle, top = moments
    rows = first.responses - within.mean
    change = second.responses - middle.mean
    change[: pattern.split] = -middle.mean[: pattern.split]
    return rows, joined_means(rows, change, pattern.split), third.responses - top.mean


def mean_maps(pattern: Pattern[Any], moments: tuple[LevelMoments, ...]) -> Shaped[Array, "o D"]:
    """The mean of a cluster's (y, z) and of s, as maps of h."""
    within, middle, top = moments
    second, t = middle.mean.copy(), len(pattern.raised)
    second[pattern.raised] += top.mean[:t]
    joined = joined_means(within.mean, second, pattern.split)
    return np.concatenate((joined, top.mean[t:]))


def moment_gradients(
    point: NestedPoint, pattern: Pattern[Any], data: NestedSample
) -> MomentGradients:
    """∂ℓ/∂(Σ, ΠL) of the three levels."""
    means, effects, columns = point.means, point.effects, data.moments.varying_entries
    precision = means.root @ means.root.T
    pulled = precision @ point.residuals[:, columns]
    spread = pulled @ data.within
    free = float(data.n_rows - data.n_clusters)
    p, split = len(precision), pattern.split
    sigma_within = 0.5 * (spread @ pulled.T - free * precision)
    mean_within = np.zeros_like(point.residuals)
    mean_within[:, columns] = spread
    kept = weighted_matrices(data.kinds.T * data.units, effects.posterior)
    m = point.white.shape[1]
    sigma, mean = np.zeros((m, m)), np.zeros((m, data.rows.shape[1]))
    for s, those in enumerate(data.by_shape):
        white, factor, raised = point.white[those], means.factor[s], means.raised[s]
        slope = white.T @ white - len(those) * np.eye(m) + raised @ kept[s] @ raised.T
        slope = 0.5 * (factor @ slope @ factor.T)
        sigma += slope
        sigma_within += slope[:p, :p] / data.sizes[s]
        mean += factor @ (white.T @ data.rows[those])
    mean_within += mean[:p]
    places = mean_places(p, len(point.levels[1].sigma), split)
    outer = point.scores3.T @ point.scores3 - weighted_matrices(data.units, effects.level3)
    return (
        LevelGradient(sigma_within, mean_within),
        LevelGradient(sigma[np.ix_(places, places)], mean[places]),
        LevelGradient(0.5 * outer, point.scores3.T @ data.unit_rows),
    )
