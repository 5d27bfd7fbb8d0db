"""The saturated two-level model: all means and (co)variances of each level are free.

Of the rows t_ij of the p variables with a part at both levels, given the variables q = (1, those
of level 2, those of level 1 only),

    t_ij = β q_ij + u_j + e_ij,    Cov e = Σ_W,    Cov u = Σ_B,

and q keeps its sample moments, which are its maximum-likelihood estimates. In a basis with
C Σ_W Cᵀ = I and C Σ_B Cᵀ = Λ the variables are independent: β follows by p generalised
regressions, and the expected information of Σ_W and Σ_B falls apart into one 2×2 matrix for
each pair (i, k) of variables, with d_si = 1 + n_s λ_i:

    I_WW = ½ [N - J + Σ_s J_s / (d_si d_sk)],   I_WB = ½ Σ_s J_s n_s / (d_si d_sk),
    I_BB = ½ Σ_s J_s n_s² / (d_si d_sk).

So a step of Fisher scoring costs as little as the gradient. Where there is no maximum, or Σ_B has
to be a covariance matrix, it is sought among the positive semidefinite Σ_B: on the null space A
of Σ_B a step moves the range, Δ_AA = Δ_AR Λ_R⁻¹ Δ_RA, and directions of A in which the
likelihood rises join the range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import (
    cholesky,
    combinations,
    is_determined,
    least_squares,
    weighted_sum,
)
from mlsem.core.records import Array, frozen
from mlsem.core.sample.shapes import ShapeMoments, covariate_sample

FREE_STEPS = 60  # without the bound
STEPS = 150
TIGHT = 1e-9  # remaining step, in standard errors
ROUGH = 1e-7  # remaining step from which on one that is not shorter than the last is rounding
ROUNDED = 1e-13  # relative rounding error of a log-likelihood
NEAR, NEAR_EDGE = 3e-5, 1e-3  # remaining steps where no point on the way is higher
HALVINGS = 30
ROUNDING = 1e-11  # of the largest ratio
SMALL = 1e-6  # variance between relative to that within, from which on it may be taken for null


@dataclass(frozen=True, slots=True, eq=False)
class SaturatedMoments:
    """Estimates of the saturated model.

    Attributes
    ----------
    means : ((p + a,), (p + b,))
        Of each level: the p split variables, then those of that level alone. The split ones have
        their means at level 2.
    covariances : ((p + a, p + a), (p + b, p + b))
    rank : int
        Of Σ_B, the covariance of the split variables given those of level 2.
    singular : bool
        Whether Σ_B was kept positive semidefinite, as there is no maximum otherwise or it was
        asked for, and is singular.
    """

    means: tuple[Shaped[Array, "pa"], Shaped[Array, "pb"]]
    covariances: tuple[Shaped[Array, "pa pa"], Shaped[Array, "pb pb"]]
    rank: int
    singular: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Cross-products of (t, q) about nothing: within, and of the cluster means by size."""

    n_split: int
    sizes: Shaped[Array, "S"]
    clusters: Shaped[Array, "S"]
    within: Shaped[Array, "k k"]
    cross: Shaped[Array, "S k k"]

    def residual(
        self, slopes: Shaped[Array, "p b"]
    ) -> tuple[Shaped[Array, "p p"], Shaped[Array, "S p p"]]:
        """Of t - β q: within (p, p) and of the cluster means (S, p, p)."""
        maps = np.concatenate((np.eye(self.n_split), -slopes), axis=1)
        return maps @ self.within @ maps.T, maps @ self.cross @ maps.T


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    """Σ_W = F Fᵀ and Σ_B = F Λ Fᵀ, with the best β given these, and residuals in that basis."""

    loglik: float
    basis: Shaped[Array, "p p"]
    ratios: Shaped[Array, "p"]
    slopes: Shaped[Array, "p b"]
    within: Shaped[Array, "p p"]
    cross: Shaped[Array, "S p p"]


def saturated_moments(
    data: ShapeMoments,
    split: Shaped[Array, "p D"],
    within: Shaped[Array, "a D"],
    between: Shaped[Array, "b D"],
    *,
    semidefinite: bool,
) -> SaturatedMoments | None:
    """Maximum-likelihood estimates of the saturated model.

    Parameters
    ----------
    split, within, between : (p, D), (a, D), (b, D)
        The variables with two parts, of level 1 alone and of level 2 alone as maps of the data
        row h.
    semidefinite : bool
        Whether Σ_B is kept positive semidefinite.

    Returns
    -------
    SaturatedMoments or None
        None where no maximum was found.
    """
    arranged = _arranged(data, (split, between, within))
    with np.errstate(all="ignore"):  # a likelihood without a maximum runs off
        maximum = _maximum(arranged, semidefinite=semidefinite)
    if maximum is None:
        return None
    found, bounded = maximum
    sample = covariate_sample(data, within, 1), covariate_sample(data, between, 2)
    slopes = found.slopes[:, 1 + len(between) :], found.slopes[:, 1 : 1 + len(between)]
    residual = (
        found.basis @ found.basis.T,
        (found.basis * found.ratios) @ found.basis.T,
    )
    away = [mean - maps[:, 0] for (mean, _), maps in zip(sample, (within, between), strict=True)]
    level = split[:, 0] + found.slopes[:, 0] + slopes[0] @ away[0] + slopes[1] @ away[1]
    means = np.zeros(len(split)), level
    return SaturatedMoments(
        means=(
            frozen(np.append(means[0], sample[0][0])),
            frozen(np.append(means[1], sample[1][0])),
        ),
        covariances=(
            frozen(_joined(residual[0], slopes[0], sample[0][1])),
            frozen(_joined(residual[1], slopes[1], sample[1][1])),
        ),
        rank=int((found.ratios != 0.0).sum()),
        singular=bounded and bool((found.ratios <= 0.0).any()),
    )


def _joined(
    residual: Shaped[Array, "p p"], slopes: Shaped[Array, "p a"], spread: Shaped[Array, "a a"]
) -> Shaped[Array, "pa pa"]:
    """Cov(t, q) where t = Γ q + residual."""
    across = slopes @ spread
    return np.block([[residual + across @ slopes.T, across], [across.T, spread]])


def _arranged(
    data: ShapeMoments,
    variables: tuple[Shaped[Array, "p D"], Shaped[Array, "b D"], Shaped[Array, "a D"]],
) -> _Data:
    """Of t, the constant, and q; all less their constants, which may be large."""
    split, between, within = variables
    constant = np.eye(1, split.shape[1])
    maps = np.concatenate((split, constant, between, within)) * (1.0 - constant)
    maps[len(split)] = constant
    return _Data(
        n_split=len(split),
        sizes=data.sizes,
        clusters=data.clusters,
        within=maps @ data.within @ maps.T,
        cross=maps @ data.cross @ maps.T,
    )


# --- the maximum ----------------------------------------------------------------------------------


def _maximum(data: _Data, *, semidefinite: bool) -> tuple[_Point, bool] | None:
    """And whether Σ_B was kept positive semidefinite."""
    first = _start(data)
    if first is None:
        return None
    for bounded in (True,) if semidefinite else (False, True):
        found = _climbed(data, first, STEPS if bounded else FREE_STEPS, bounded=bounded)
        if found is not None:
            return found, bounded
    return None


def _start(data: _Data) -> _Point | None:
    """The estimates of balanced data: eigenvalues of the between part relative to the within part
    that are below 1 belong to the within part."""
    p = data.n_split
    freedom = float(data.sizes @ data.clusters - data.clusters.sum())
    total = weighted_sum(data.sizes, data.cross)
    design = data.within[p:, p:] + total[p:, p:]
    outer = data.within[p:, :p] + total[p:, :p]
    slopes: Array = least_squares(design, outer).T
    inner, cross = data.residual(slopes)
    size = float(data.sizes @ data.clusters / data.clusters.sum())
    between = weighted_sum(data.sizes, cross) / data.clusters.sum()
    within = inner / max(freedom, 1.0)
    try:
        ratios, basis = _canonical(within, between)
    except np.linalg.LinAlgError:
        return None
    share = freedom / (freedom + data.clusters.sum())
    pooled = np.where(ratios > 1.0, 1.0, share + (1.0 - share) * ratios)
    rest = np.maximum(ratios - 1.0, 0.0) / size
    return _point(data, (basis * pooled) @ basis.T, (basis * rest) @ basis.T)


def _canonical(
    within: Shaped[Array, "p p"], between: Shaped[Array, "p p"]
) -> tuple[Shaped[Array, "p"], Shaped[Array, "p p"]]:
    """λ and F with Σ_W = F Fᵀ, Σ_B = F Λ Fᵀ."""
    factor: Array = np.linalg.cholesky(within)  # type: ignore[assignment]
    half: Array = np.linalg.solve(factor, between)  # type: ignore[assignment]
    turned: Array = np.linalg.solve(factor, half.T)  # type: ignore[assignment]
    ratios, vectors = np.linalg.eigh(_symmetric(turned))
    return ratios, factor @ vectors


def _symmetric(matrix: Shaped[Array, "p p"]) -> Shaped[Array, "p p"]:
    return (matrix + matrix.T) / 2.0


def _point(
    data: _Data, within: Shaped[Array, "p p"], between: Shaped[Array, "p p"]
) -> _Point | None:
    """The likelihood there and its pieces; None outside the parameter space."""
    try:
        ratios, basis = _canonical(within, between)
        ratios[np.abs(ratios) < ROUNDING * max(1.0, float(np.abs(ratios).max()))] = 0.0
        spread = 1.0 + np.outer(data.sizes, ratios)
        if not (spread > 0).all() or not np.isfinite(spread).all():
            return None
        slopes = _slopes(data, basis, spread)
        inner, cross = data.residual(slopes)
        inverse = np.linalg.inv(basis)
    except np.linalg.LinAlgError:
        return None
    inner, cross = inverse @ inner @ inverse.T, inverse @ cross @ inverse.T
    rows, clusters = data.sizes @ data.clusters, data.clusters
    squares = np.einsum("skk->sk", cross)
    loglik = -0.5 * (
        2.0 * float(rows) * float(np.linalg.slogdet(basis)[1])
        + float(clusters @ np.log(spread).sum(axis=1))
        + float(inner.trace())
        + float((data.sizes[:, None] * squares / spread).sum())
    )
    return _Point(loglik, basis, ratios, slopes, inner, cross) if np.isfinite(loglik) else None


def _slopes(
    data: _Data, basis: Shaped[Array, "p p"], spread: Shaped[Array, "S p"]
) -> Shaped[Array, "p b"]:
    """β by generalised least squares, variable by variable of the basis."""
    p, inverse = data.n_split, np.linalg.inv(basis)
    cross = data.within + combinations((data.sizes[:, None] / spread).T, data.cross)
    design, outcome = cross[:, p:, p:], cross[:, p:, :p] @ inverse[:, :, None]
    factor = cholesky(design)
    if factor is not None and is_determined(factor, np.diagonal(design, axis1=1, axis2=2)):
        rows = np.linalg.solve(design, outcome)
    else:  # covariates that others say
        rows = np.array([least_squares(*each) for each in zip(design, outcome, strict=True)])
    return basis @ rows[:, :, 0]


def _climbed(data: _Data, first: _Point, most: int, *, bounded: bool) -> _Point | None:
    """The maximum that Fisher scoring reaches; None if it does not."""
    point, before = first, np.inf
    for _ in range(most):
        if bounded:
            point = _turned(data, point)
        step, length = _step(data, point, bounded=bounded)
        if length < TIGHT or before <= length < ROUGH:
            return point
        if not np.isfinite(length):
            return None
        least = point.loglik - (ROUNDED * abs(point.loglik) if length < NEAR_EDGE else 0.0)
        found, before = _better(data, point, step, least, bounded=bounded), length
        if found is None:  # as near as rounding lets it come; near the edge steps are rough
            break
        point = found
    return point if before < (NEAR_EDGE if bounded else NEAR) else None


def _gradients(data: _Data, point: _Point) -> tuple[Shaped[Array, "p p"], Shaped[Array, "p p"]]:
    """∂ℓ/∂Σ_W and ∂ℓ/∂Σ_B in the basis, (p, p) each."""
    freedom = float(data.sizes @ data.clusters - data.clusters.sum())
    spread = 1.0 + np.outer(data.sizes, point.ratios)
    scaled = data.sizes[:, None, None] * point.cross / (spread[:, :, None] * spread[:, None, :])
    unit = np.eye(len(point.ratios))
    scaled -= unit * (data.clusters[:, None] / spread)[:, :, None]
    return (
        0.5 * (point.within - freedom * unit + scaled.sum(axis=0)),
        0.5 * weighted_sum(data.sizes, scaled),
    )


def _turned(data: _Data, point: _Point) -> _Point:
    """With a basis of the null space of Σ_B in which the gradient there is diagonal; what is
    nearly null and should be smaller is made null."""
    _, slope = _gradients(data, point)
    least = (point.ratios > 0.0) & (point.ratios < SMALL) & (slope.diagonal() < 0.0)
    if least.any():
        kept = (point.basis * np.where(least, 0.0, point.ratios)) @ point.basis.T
        found = _point(data, point.basis @ point.basis.T, kept)
        if found is not None and found.loglik >= point.loglik:
            point = found
            _, slope = _gradients(data, point)
    null = np.flatnonzero(point.ratios <= 0.0)
    if len(null) < 2:
        return point
    turn = np.eye(len(point.ratios))
    turn[np.ix_(null, null)] = np.linalg.eigh(_symmetric(slope[np.ix_(null, null)]))[1]
    return replace(
        point,
        basis=point.basis @ turn,
        within=turn.T @ point.within @ turn,
        cross=turn.T @ point.cross @ turn,
    )


def _step(
    data: _Data, point: _Point, *, bounded: bool
) -> tuple[tuple[Shaped[Array, "p p"], Shaped[Array, "p p"]], float]:
    """Changes of Σ_W and Σ_B in the basis, and their length in standard errors."""
    within, between = _gradients(data, point)
    freedom = float(data.sizes @ data.clusters - data.clusters.sum())
    spread = 1.0 + np.outer(data.sizes, point.ratios)
    pairs = data.clusters[:, None, None] / (spread[:, :, None] * spread[:, None, :])
    own = 0.5 * (freedom + pairs.sum(axis=0))
    both = 0.5 * weighted_sum(data.sizes, pairs)
    outer = 0.5 * weighted_sum(data.sizes**2, pairs)
    moved = np.ones_like(own)
    if bounded:
        null = (point.ratios <= 0.0) & (between.diagonal() <= 0.0)
        moved[np.ix_(null, null)] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            bent = np.where(null, -between.diagonal(), 0.0)[:, None] / point.ratios
        bent[:, point.ratios <= 0.0] = 0.0
        outer = outer + bent + bent.T
    determinant = own * outer - both**2
    both_moved = (outer * within - both * between) / determinant
    change_within: Array = moved * both_moved + (1.0 - moved) * within / own
    change_between = moved * (own * between - both * within) / determinant
    length = float((within * change_within + between * change_between).sum())
    return (_symmetric(change_within), _symmetric(change_between)), np.sqrt(max(length, 0.0))


def _better(
    data: _Data,
    point: _Point,
    step: tuple[Shaped[Array, "p p"], Shaped[Array, "p p"]],
    least: float,
    *,
    bounded: bool,
) -> _Point | None:
    """The first point on the way of the step, halved again and again, that is above `least`."""
    unit, basis = np.eye(len(point.ratios)), point.basis
    share = 1.0
    for _ in range(HALVINGS):
        within = unit + share * step[0]
        between = np.diag(point.ratios) + share * step[1]
        if bounded:
            between = _semidefinite(between, point.ratios, share * step[1])
        found = _point(data, basis @ within @ basis.T, basis @ between @ basis.T)
        if found is not None and found.loglik > least:
            return found
        share /= 2.0
    return None


def _semidefinite(
    between: Shaped[Array, "p p"], ratios: Shaped[Array, "p"], change: Shaped[Array, "p p"]
) -> Shaped[Array, "p p"]:
    """Σ_B of the step, its null space turned along with it; negative eigenvalues are cut."""
    null, range_ = ratios <= 0.0, ratios > 0.0
    if null.any() and range_.any():
        across = change[np.ix_(null, range_)]
        between = between.copy()
        between[np.ix_(null, null)] += (across / ratios[range_]) @ across.T
    values, vectors = np.linalg.eigh(between)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
