"""Likelihood-ratio tests of fit against the saturated model.

    X = -2 (ℓ₀ - ℓ₁),     c = [tr(M₁ I₁⁻¹) - tr(M₀ I₀⁻¹)] / df,     X / c ~ χ²_df

with I the observed information of a model's free parameters at its estimates and M the sum of
squares of its clusters' scores (Yuan & Bentler, 2000; Asparouhov & Muthén, 2005). With few clusters
c is far too small: see docs/studies/fit_tests.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from scipy.special import chdtrc

from mlsem.core.arrow import Arrow, dense
from mlsem.core.linalg import whitened_by
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.saturated import SaturatedModel

EXACT = 1e-9  # of a log-likelihood: differences that are rounding


@dataclass(frozen=True, slots=True, eq=False)
class ChiSquare:
    """A likelihood-ratio test against the saturated model.

    Attributes
    ----------
    statistic : float
        X.
    df : int
    scaling : float
        c; NaN where no robust standard errors were asked for, or there is none.
    """

    statistic: float
    df: int
    scaling: float = np.nan

    @property
    def pvalue(self) -> float:
        return self.tail(self.statistic)

    @property
    def scaled(self) -> float:
        """X / c."""
        return self.statistic / self.scaling if self.df else 0.0

    def tail(self, statistic: float) -> float:
        """P(χ²_df > statistic); NaN without degrees of freedom."""
        return float(chdtrc(self.df, statistic)) if self.df and statistic == statistic else np.nan


def chi_square(
    estimates: Estimates, saturated: SaturatedModel, traces: tuple[float, float] | None
) -> ChiSquare:
    """Of a model; `traces` are tr(M I⁻¹) of the model and of the saturated one."""
    df = saturated.n_params - estimates.n_params
    statistic = 2.0 * (saturated.loglik - estimates.loglik)
    if abs(statistic) < EXACT * abs(estimates.loglik):
        statistic = 0.0
    if traces is None or not df:
        return ChiSquare(statistic, df)
    own, full = traces
    scaling = (full - own) / df
    return ChiSquare(statistic, df, scaling if scaling > 0 else np.nan)


@quiet
def trace_of_estimates(estimates: Estimates) -> float:
    """tr(M₀ I₀⁻¹), I₀ observed (expected where a bound holds)."""
    directions = estimates.directions()
    kind = "expected" if estimates.boundary else "observed"
    information = estimates.arranged_information(directions, kind)
    scores = estimates.robust_scores(directions)
    if isinstance(information, Arrow) and len(information.blocks) > 1:
        root = information.root()
        return np.nan if root is None else float((root.whitened(scores.T) ** 2).sum())
    return trace(dense(information), scores)


@quiet
def trace_of_saturated(saturated: SaturatedModel) -> float:
    """tr(M₁ I₁⁻¹); of several groups, which share nothing there, the sum of theirs, also where
    clusters are in several of them."""
    return sum(trace(group.information, group.scores) for group in saturated.groups)


def trace(information: Shaped[Array, "n n"], scores: Shaped[Array, "G n"]) -> float:
    """tr(Σ_j s_j s_jᵀ I⁻¹); NaN where the information (n, n) is not positive definite."""
    if not len(information):
        return 0.0
    white = whitened_by(information, scores.T)
    return np.nan if white is None else float((white**2).sum())
