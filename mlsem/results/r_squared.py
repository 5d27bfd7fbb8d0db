"""R²: of the endogenous variables of each level, and of linear mixed models as a whole.

Of a variable k at its level, with variances of `estimation.scales`,

    R² = 1 - Ψ_kk / C_kk,     ∂R² = (Ψ_kk / C_kk) ∂C_kk / C_kk - ∂Ψ_kk / C_kk,

with standard errors by the delta method. Limits are those of Fisher's z of R, between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.implied.means import is_mixed
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, CellMoments
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.estimation.scales import scales_at
from mlsem.inference.covariance.groups import covariance_of_group
from mlsem.inference.covariance.intervals import share_limits
from mlsem.model.table import ParameterTable, TableBlock
from mlsem.other_programs.answering import Answering
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns
from mlsem.results.variances import RowParts, improper_shares, row_parts

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.problem import Problem
    from mlsem.inference.covariance.groups import DeltaMethod
    from mlsem.inference.covariance.matrix import Covariance


ENDOGENOUS = "R2 of the endogenous variables of each level"
SHARES = "Shares of variance (Rights & Sterba, 2019)"


@dataclass(frozen=True, slots=True)
class MixedR2(RowParts, Exported):
    """The variance of the outcome of a linear mixed model, in parts (see `RowParts`), and R²."""

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
        return f"{self._title}\n{SHARES}:\n{self.frame.round(4).to_string()}"

    def _grid(self) -> Grid:
        frame = self.frame
        columns = {name: frame[name].tolist() for name in frame}
        table = columns_table({"": list(frame.index), **columns}, 4, self._title, f"{SHARES}.")
        return Grid("", (table,))

    @property
    def _title(self) -> str:
        return (
            f"R2 of the mixed model: marginal {self.marginal:.4f}, conditional "
            f"{self.conditional:.4f}"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RSquared(Exported, Answering):
    """R² of a fit; prints as text.

    Attributes
    ----------
    variables : tuple of str
    levels : tuple of int
    values : (n,)
        1 - residual / total implied variance of each endogenous variable at its level.
    se, df : (n,)
        Standard errors by the delta method with the covariance of the fit, and the degrees of
        freedom of the intervals (CR kinds); infinite for normal ones.
    lower, upper : (n,)
        Confidence limits, those of Fisher's z of the correlation R; R² ± q se where R² is not
        between 0 and 1.
    mixed : MixedR2 or None
        Of a linear mixed model of one outcome.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.r_squared()
    >>> found.frame[["variable", "level", "r2", "se"]].round(3)
      variable  level     r2     se
    0        y      1  0.218  0.032
    1        y      2  0.098  0.082
    >>> found.values.round(3)
    array([0.218, 0.098])
    """

    variables: tuple[str, ...]
    levels: tuple[int, ...]
    values: Array
    se: Array
    df: Array
    lower: Array
    upper: Array
    mixed: MixedR2 | None

    @property
    def _columns(self) -> dict[str, Any]:
        return {
            "variable": list(self.variables),
            "level": list(self.levels),
            "r2": self.values,
            "se": self.se,
            "df": self.df,
            "ci_lower": self.lower,
            "ci_upper": self.upper,
        }

    @property
    def frame(self) -> pd.DataFrame:
        """variable, level, r2, se, df, ci_lower, ci_upper."""
        return make_frame(self._columns)

    def __str__(self) -> str:
        parts = [] if self.mixed is None else [str(self.mixed)]
        if self.variables:
            table = render_columns(self._printed, 4).rstrip("\n") + improper_shares(self.values)
            parts.append(f"{ENDOGENOUS}:\n{table}")
        return "\n\n".join(parts)

    @property
    def _printed(self) -> dict[str, Any]:
        """The columns; degrees of freedom where there are any."""
        limited = np.isfinite(self.df).any()
        return {k: v for k, v in self._columns.items() if k != "df" or limited}

    def _grid(self) -> Grid:
        tables = [] if self.mixed is None else [*self.mixed._grid().tables]
        if self.variables:
            legend = improper_shares(self.values).strip()
            tables.append(columns_table(self._printed, 4, ENDOGENOUS, legend))
        return Grid("", tuple(tables))

    def __repr__(self) -> str:
        mixed = self.mixed
        whole = (
            ""
            if mixed is None
            else f" marginal {mixed.marginal:.3f}, conditional {mixed.conditional:.3f};"
        )
        return f"<RSquared:{whole} {len(self.variables)} variables>"


@quiet
def r_squared(fit: Estimates[Problem], covariance: DeltaMethod, level: float = 0.95) -> RSquared:
    """R² of the endogenous variables and of the whole model.

    Raises
    ------
    InferenceError
        The fit did not converge, or its model explains nothing.
    """
    if not fit.converged:
        raise InferenceError("the fit did not converge: its variances are not estimates.")
    problem, params = fit.problem, fit.params
    variables, levels, values, gradients = _shares(fit)
    mixed = fit.table.two_level and is_mixed(problem.pattern)
    whole = MixedR2(*astuple(_over_classes(problem, params))) if mixed else None
    if not variables and whole is None:
        raise InferenceError("no variable of the model is explained by others: there is no R2.")
    se, df = covariance.of_functions(gradients)
    lower, upper = share_limits(values, se, df, level)
    return RSquared(
        variables=variables,
        levels=levels,
        values=values,
        se=se,
        df=np.where(se > 0, df, np.nan),
        lower=lower,
        upper=upper,
        mixed=whole,
    )


def _over_classes(problem: Problem, params: Array) -> RowParts:
    """The parts of the outcome's variance; of rows of several classes with the mean of their
    residual variances."""
    parts, moments = row_parts(problem, params), problem.moments
    if not isinstance(moments, CellMoments) or not problem.table.classes:
        return parts
    within = problem.pattern.within.moments(params)
    assert within is not None
    weights = np.bincount(moments.pattern_of, moments.cell_weights)
    return replace(parts, residual=float(weights @ within.sigma.diagonal() / weights.sum()))


def _shares(fit: Estimates[Problem]) -> tuple[tuple[str, ...], tuple[int, ...], Array, Array]:
    """Endogenous variables, their levels, R² (n,) and gradients (n, npar); none where the outcome
    has several residual variances."""
    if fit.table.classes:
        return (), (), np.zeros(0), np.zeros((0, len(fit.params)))
    names: list[str] = []
    levels: list[int] = []
    values: list[float] = []
    gradients: list[Array] = []
    both = scales_at(fit.problem, fit.params).levels
    for block, scales in zip(fit.table.blocks, both, strict=True):
        for name in _endogenous(fit.table, block):
            k = scales.names.index(name)
            total = scales.total[k] if scales.total[k] > 0 else np.nan
            rest = scales.residual[k] / total
            change = rest * scales.total_gradients[k] - scales.residual_gradients[k]
            names.append(name)
            levels.append(block.key.level)
            values.append(1.0 - rest)
            gradients.append(change / total)
    shape = len(values), len(fit.params)
    return tuple(names), tuple(levels), np.array(values), np.array(gradients).reshape(shape)


def r_squared_rows(
    fit: Estimates, covariance: Covariance, level: float
) -> Iterator[dict[str, Any]]:
    """As rows of `parameter_estimates`, of each group: op `r2`, without tests, as lavaan's; none
    where the model explains nothing."""
    for group in fit.groups:
        table = group.estimates.table
        if any(_endogenous(table, block) for block in table.blocks):
            own = covariance_of_group(covariance, group)
            yield _rows(r_squared(group.estimates, own, level), group.number)


def _rows(found: RSquared, group: int) -> dict[str, Any]:
    count = len(found.variables)
    missing = np.full(count, np.nan)
    return {
        "lhs": found.variables,
        "op": ("r2",) * count,
        "rhs": found.variables,
        "level": found.levels,
        "group": (group,) * count,
        "label": ("",) * count,
        "est": found.values,
        "se": found.se,
        "stat": missing,
        "df": found.df,
        "pvalue": missing,
        "ci_lower": found.lower,
        "ci_upper": found.upper,
    }


def _endogenous(table: ParameterTable, block: TableBlock) -> list[str]:
    """Variables with predictors or factors; not those whose slopes are random, whose variance
    within clusters differs from row to row."""
    rows = [row for row in block.rows if row.op in ("~", "=~") and not table.is_auxiliary(row)]
    explained = {row.lhs if row.op == "~" else row.rhs for row in rows}
    varying = {slope.outcome for slope in table.slopes} if block.key.is_lowest else set()
    order = (*block.variables.modelled, *block.variables.latent)
    return [name for name in order if name in explained - varying]
