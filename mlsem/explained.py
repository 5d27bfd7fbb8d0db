"""R²: of the endogenous variables of each level, and of linear mixed models as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.mixed import is_mixed
from mlsem.core.pattern import level_moments
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.icc import improper_shares, level_parts
from mlsem.spec.partable import ParameterTable

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.fitted import Fitted
    from mlsem.problem import Problem


@dataclass(frozen=True, slots=True)
class MixedR2:
    """The variance of the outcome of a linear mixed model, in parts.

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
    def total(self) -> float:
        return self.fixed + self.slopes + self.intercepts + self.residual

    @property
    def marginal(self) -> float:
        """σ_f² / total (Nakagawa & Schielzeth, 2013, eq. 26)."""
        return self.fixed / self.total

    @property
    def conditional(self) -> float:
        """(σ_f² + σ_l²) / total (Nakagawa & Schielzeth, 2013, eq. 30; Johnson, 2014)."""
        return 1.0 - self.residual / self.total

    @property
    def frame(self) -> pd.DataFrame:
        """Shares of the total variance, of that within and of that between clusters."""
        within = self.fixed_within, 0.0, self.slopes_within, 0.0, self.residual
        between = 0.0, self.fixed_between, self.slopes_between, self.intercepts, 0.0
        rows = ["fixed within", "fixed between", "slope variation", "intercept variation"]
        parts = np.array([within, between])
        with np.errstate(invalid="ignore"):
            shares = parts / parts.sum(axis=1, keepdims=True)
        columns = {
            "variance": parts.sum(axis=0),
            "total": parts.sum(axis=0) / parts.sum(),
            "within": shares[0],
            "between": shares[1],
        }
        return make_frame(columns, [*rows, "residual"])

    def __str__(self) -> str:
        return (
            f"R2 of the mixed model: marginal {self.marginal:.4f}, conditional "
            f"{self.conditional:.4f}\nShares of variance (Rights & Sterba, 2019):\n"
            + self.frame.round(4).to_string()
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RSquared:
    """R² of a fit; prints as text.

    Attributes
    ----------
    variables : tuple of str
    levels : tuple of int
    values : (n,)
        1 - residual / total implied variance of each endogenous variable at its level.
    mixed : MixedR2 or None
        Of a linear mixed model of one outcome.
    """

    variables: tuple[str, ...]
    levels: tuple[int, ...]
    values: Array
    mixed: MixedR2 | None

    @property
    def frame(self) -> pd.DataFrame:
        """variable, level, r2."""
        return make_frame(
            {"variable": list(self.variables), "level": list(self.levels), "r2": self.values}
        )

    def __str__(self) -> str:
        parts = [] if self.mixed is None else [str(self.mixed)]
        if self.variables:
            text = self.frame.round(4).to_string(index=False)
            text += improper_shares(self.values)
            parts.append("R2 of the endogenous variables of each level:\n" + text)
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        mixed = self.mixed
        whole = (
            ""
            if mixed is None
            else f" marginal {mixed.marginal:.3f}, conditional {mixed.conditional:.3f};"
        )
        return f"<RSquared:{whole} {len(self.variables)} variables>"


@quiet
def r_squared(fit: Fitted) -> RSquared:
    """R² of the endogenous variables and of the whole model.

    Raises
    ------
    InferenceError
        The fit did not converge, or its model explains nothing.
    """
    if not fit.converged:
        raise InferenceError("the fit did not converge: its variances are no estimates.")
    problem, params = fit.problem, fit.estimates
    found: list[tuple[str, int, float]] = []
    for level in range(1, len(fit.table.levels) + 1):
        both = problem.objective.pattern
        pattern = both.within if level == 1 else both.between
        _, total = level_parts(problem, params, level)
        residual = np.diagonal(pattern.symmetric.symmetric_at(params))
        for name in _endogenous(fit.table, level):
            k = pattern.names.index(name)
            share = 1.0 - residual[k] / total[k, k] if total[k, k] > 0 else np.nan
            found.append((name, level, float(share)))
    mixed = fit.table.two_level and is_mixed(problem.objective.pattern)
    whole = mixed_parts(problem, params) if mixed else None
    if not found and whole is None:
        raise InferenceError("no variable of the model is explained by others: there is no R2.")
    return RSquared(
        variables=tuple(name for name, _, _ in found),
        levels=tuple(level for _, level, _ in found),
        values=np.array([value for _, _, value in found]),
        mixed=whole,
    )


def _endogenous(table: ParameterTable, level: int) -> list[str]:
    """Variables with predictors or factors; not those whose slopes are random, whose variance
    within clusters differs from row to row."""
    rows = [row for row in table.rows if row.level == level and row.op in ("~", "=~")]
    explained = {row.lhs if row.op == "~" else row.rhs for row in rows}
    varying = {slope.outcome for slope in table.slopes} if level == 1 else set()
    variables = table.levels[level - 1]
    order = (*variables.modelled, *variables.latent)
    return [name for name in order if name in explained - varying]


def mixed_parts(problem: Problem, params: Array) -> MixedR2:
    """The parts, from the clusters' moments: in cluster j the fixed part of a row h is φ_jᵀ h,
    φ_j = m + Σ_a μ_a(w_j) c_a with the maps m of the mean within, μ_a(w_j) the mean of effect a
    and c_a of its carrier."""
    pattern, moments = problem.objective.pattern, problem.moments
    within, between = (level_moments(each, params) for each in (pattern.within, pattern.between))
    assert within is not None
    assert between is not None
    carriers, inner = pattern.random_effects.maps, slice(1, moments.varying + 1)
    rows = np.concatenate((np.ones((moments.n_clusters, 1)), moments.means), axis=1)
    counts, n = moments.counts.astype(np.float64), float(moments.n_rows)
    paths = within.mean[0] + (rows @ between.mean.T) @ carriers
    level = np.einsum("jd,jd->j", paths, rows)
    spread = np.einsum("jd,jde,je->", paths[:, inner], moments.within, paths[:, inner])
    centre = counts @ level / n
    cross = carriers[:, inner] @ moments.within.sum(axis=0) @ carriers[:, inner].T
    means = rows @ carriers.T
    middle = counts @ means / n
    apart = (means - middle).T @ (counts[:, None] * (means - middle))
    return MixedR2(
        fixed_within=float(spread) / (n - 1.0),
        fixed_between=float(counts @ (level - centre) ** 2) / (n - 1.0),
        slopes_within=float(np.vdot(between.sigma, cross)) / n,
        slopes_between=float(np.vdot(between.sigma, apart)) / n,
        intercepts=float(middle @ between.sigma @ middle),
        residual=float(within.sigma[0, 0]),
    )
