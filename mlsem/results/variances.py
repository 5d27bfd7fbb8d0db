"""The parts of implied variances: by level, and of outcomes with random slopes over rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlsem.core.implied.pattern import LevelMoments
from mlsem.core.implied.total import level_total
from mlsem.core.linalg import flatten
from mlsem.core.patterns.convert import as_clusters
from mlsem.core.records import Array, CellMoments, ClusterMoments
from mlsem.core.sample.shapes import covariate_sample
from mlsem.estimation.problem import Problem


@dataclass(frozen=True, slots=True)
class RowParts:
    """The variance of an outcome over the rows of the data, in parts.

    Attributes
    ----------
    fixed_within, fixed_between : float
        f1, f2: variances of the fixed part within and between clusters (over N - 1 rows).
    slopes_within, slopes_between : float
        v = tr(T S): what random slopes add as their carriers vary within and between clusters;
        T the covariance of the random effects, S that of their carriers (over N rows).
    intercepts : float
        m = c̄ᵀ T c̄, the variance between clusters at the mean of the carriers.
    residual : float
        σ².

    Notes
    -----
    Rights & Sterba (2019); with carriers centred at the means of their clusters the between part
    of v is 0 and these are their measures for the within and the between variance as well. v + m
    is the mean of z_iᵀ T z_i over rows, the random-effect variance of Johnson (2014).
    """

    fixed_within: float
    fixed_between: float
    slopes_within: float
    slopes_between: float
    intercepts: float
    residual: float

    @property
    def fixed(self) -> float:
        return self.fixed_within + self.fixed_between

    @property
    def slopes(self) -> float:
        return self.slopes_within + self.slopes_between

    @property
    def random(self) -> float:
        """Of the random effects, over rows (Johnson, 2014)."""
        return self.slopes + self.intercepts

    @property
    def total(self) -> float:
        return self.fixed + self.random + self.residual


def improper_shares(shares: Array) -> str:
    """A line on shares of variance that are not proportions; empty if all lie between 0 and 1."""
    if ((shares >= 0) & (shares <= 1)).all():
        return ""
    return (
        "\nBelow 0 or above 1: a variance is estimated to be negative, so it is not a proportion."
    )


def level_parts(problem: Problem, params: Array, level: int) -> tuple[LevelMoments, Array]:
    """A level's moments, and the covariances of all its variables, those of v by sample moments of
    fixed covariates: E Ψ Eᵀ + E Γ S_x Γᵀ Eᵀ."""
    pattern = problem.pattern.levels[level - 1]
    moments = pattern.moments(params)
    assert moments is not None
    sample = covariate_sample(problem.sample, pattern.covariates, level)
    return moments, level_total(pattern, moments, params, *sample).covariance


def _spread(moments: ClusterMoments, slopes: Array, carriers: Array, effects: Array) -> float:
    """Σ_j w_j φ_jᵀ S_j φ_j with φ_j = m + Σ_a μ_a c_a, as Σ_ab c_aᵀ (Σ_j w_j μ_a μ_b S_j) c_b; of
    slopes m (V,), carriers c (a, V) and means of the effects μ (J, a)."""
    moving = carriers.any(axis=1)
    maps = np.concatenate((slopes[None], carriers[moving]))
    along = np.concatenate((np.ones((len(effects), 1)), effects[:, moving]), axis=1)
    pairs = (moments.weights[:, None] * along)[:, :, None] * along[:, None]
    return float(np.vdot(np.kron(maps, maps), flatten(pairs).T @ flatten(moments.within)))


def row_parts(problem: Problem, params: Array, outcome: int = 0) -> RowParts:
    """The parts of an outcome, given by its place among the observed rows of level 1.

    From the clusters' moments: in cluster j the fixed part of a row h is φ_jᵀ h,
    φ_j = m + Σ_a μ_a(w_j) c_a with the maps m of the mean within, μ_a(w_j) the mean of effect a
    and c_a of its carrier.
    """
    pattern, moments = problem.pattern, problem.moments
    if isinstance(moments, CellMoments):  # of covariates, which nothing of is missing
        moments = as_clusters(moments)
    within, between = (level.moments(params) for level in pattern.levels)
    assert within is not None
    assert between is not None
    effects = pattern.random_effects
    own = np.flatnonzero(effects.everywhere | (effects.responses == outcome))
    spread_between = between.sigma[np.ix_(own, own)]
    carriers, inner = effects.maps[own], moments.varying_entries
    rows = moments.cluster_rows
    weights = moments.row_weights
    n = float(weights.sum())
    means = rows @ between.mean[own].T
    paths = within.mean[outcome] + means @ carriers
    level = np.einsum("jd,jd->j", paths, rows)
    spread = _spread(moments, within.mean[outcome, inner], carriers[:, inner], means)
    centre = weights @ level / n
    cross = carriers[:, inner] @ moments.pooled_within @ carriers[:, inner].T
    carried = rows @ carriers.T
    middle = weights @ carried / n
    apart = (carried - middle).T @ (weights[:, None] * (carried - middle))
    return RowParts(
        fixed_within=float(spread) / (n - 1.0),
        fixed_between=float(weights @ (level - centre) ** 2) / (n - 1.0),
        slopes_within=float(np.vdot(spread_between, cross)) / n,
        slopes_between=float(np.vdot(spread_between, apart)) / n,
        intercepts=float(middle @ spread_between @ middle),
        residual=float(within.sigma[outcome, outcome]),
    )
