"""Residual moments: what the saturated model has of a level, less what the model implies.

Standardized residuals divide by standard deviations, of the saturated model (Bentler, 1995) or of
each model its own (Bollen, 1989):

    r_ik = (s_ik - σ_ik) / √(s_ii s_kk),     r_ik = s_ik / √(s_ii s_kk) - σ_ik / √(σ_ii σ_kk)
    SRMR = √(mean of r_ik² over i ≤ k)

covariates included, auxiliary variables not. As in lavaan, the SRMR of a single-level model is
Bentler's, with (s_i - μ_i) / √s_ii of a mean structure; that of a level of two is Bollen's, and
their sum that of the model. That of several groups is their mean over rows, Σ_g N_g r_g / N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.joint import JointMoments, joint_moments
from mlsem.estimation.problem import Problem
from mlsem.estimation.saturated import SaturatedPoint

LEAST = 1e-6  # eigenvalues of an implied covariance are raised to it


@dataclass(frozen=True, slots=True, eq=False)
class LevelResiduals:
    """Saturated and implied moments of one level.

    Attributes
    ----------
    saturated, implied : JointMoments
    """

    saturated: JointMoments
    implied: JointMoments

    @property
    def scale(self) -> Shaped[Array, "v"]:
        """Standard deviations in the saturated model, (v,); NaN where a variance is negative."""
        variances = np.diagonal(self.saturated.cov)
        return np.sqrt(np.where(variances > 0, variances, np.nan))

    @property
    def cov(self) -> Shaped[Array, "v v"]:
        """(v, v)."""
        return self.saturated.cov - self.implied.cov

    @property
    def mean(self) -> Shaped[Array, "v"]:
        """(v,)."""
        return self.saturated.mean - self.implied.mean

    @property
    def bentler(self) -> Shaped[Array, "v v"]:
        """(v, v)."""
        return self.cov / np.outer(self.scale, self.scale)

    @property
    def bollen(self) -> Shaped[Array, "v v"]:
        """(v, v): differences of correlations."""
        return correlations(self.saturated.cov) - correlations(_definite(self.implied.cov))

    @property
    def standardized_mean(self) -> Shaped[Array, "v"]:
        """(v,)."""
        return self.mean / self.scale

    @property
    def mean_by_own_scales(self) -> Shaped[Array, "v"]:
        """(v,): m̄_i / √s_ii - μ_i / √σ_ii."""
        implied = np.sqrt(np.diagonal(self.implied.cov))
        return self.saturated.mean / self.scale - self.implied.mean / implied

    @property
    def srmr(self) -> float:
        """Of a level of two."""
        return root_mean_square(self.bollen)


def root_mean_square(
    residuals: Shaped[Array, "v v"], means: Shaped[Array, "v"] | None = None
) -> float:
    """Of the lower triangle of residuals, and of those of means."""
    cells = residuals[np.tril_indices(len(residuals))]
    if means is not None:
        cells = np.concatenate((cells, means))
    return float(np.sqrt((cells**2).mean())) if len(cells) else 0.0


def correlations(cov: Shaped[Array, "v v"]) -> Shaped[Array, "v v"]:
    """Of a covariance matrix (v, v); NaN where a variance is negative."""
    variances = np.diagonal(cov)
    scale = np.sqrt(np.where(variances > 0, variances, np.nan))
    return cov / np.outer(scale, scale)


def _definite(cov: Shaped[Array, "v v"]) -> Shaped[Array, "v v"]:
    """With its eigenvalues raised to `LEAST`."""
    values, vectors = np.linalg.eigh(cov)
    if values.min(initial=LEAST) >= LEAST:
        return cov
    return (vectors * np.maximum(values, LEAST)) @ vectors.T


def mean_over_rows(estimates: Estimates, values: Sequence[float]) -> float:
    """Of one value for each group."""
    if len(values) == 1:
        return values[0]
    rows = [group.estimates.n_obs for group in estimates.groups]
    return float(np.average(values, weights=rows))


def level_residuals(
    estimates: Estimates[Problem], saturated: SaturatedPoint, level: int
) -> LevelResiduals:
    """Of one level of a group, without auxiliary variables, of which the model says nothing."""
    problem, beside = estimates.problem, estimates.table.auxiliary
    if level == 2:
        beside += estimates.table.passing
    return LevelResiduals(
        joint_moments(problem, level, saturated.moments[level - 1]).without(beside),
        joint_moments(problem, level, estimates.implied[level - 1]).without(beside),
    )
