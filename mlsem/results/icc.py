"""Intraclass correlations of the variables that have a part at both levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.base.display import sentences
from mlsem.core.implied.means import is_mixed
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.estimation.problem import Problem
from mlsem.model.table import ParameterTable
from mlsem.other_programs.answering import Answering
from mlsem.parallel.progress import bar
from mlsem.report.export.exported import Exported
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns
from mlsem.results.variances import improper_shares, level_parts, row_parts

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates
    from mlsem.inference.covariance.groups import DeltaMethod

LEGEND = (
    "icc: of all variance, as without covariates. Given the covariates: adjusted, of the rest; "
    "unadjusted (conditional), of all."
)
STEP = 6e-6  # of numerical derivatives, relative: about the cube root of the rounding error


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Icc(Exported, Answering):
    """Intraclass correlations; prints as a table.

    Attributes
    ----------
    variables : tuple of str
        The v split variables.
    between, within : (v,)
        Implied variances, what covariates and random slopes add included.
    icc, se : (v,)
        between / (between + within), as in a model without covariates.
    adjusted, adjusted_se : (v,)
        σ_r² / (σ_r² + σ²): of the variances given the covariates of each level.
    unadjusted, unadjusted_se : (v,)
        σ_r² / (σ_r² + σ² + σ_f²): that part of the whole variance; σ_f² is what the covariates
        explain. Also called conditional.

    Notes
    -----
    `adjusted` and `unadjusted` are those of the R package performance (Nakagawa, Johnson &
    Schielzeth, 2017). With random slopes σ_r² is the mean over rows of the variance of the random
    effects, zᵀ T z (Johnson, 2014), and what a slope adds as its carrier varies within clusters
    is variance within (Rights & Sterba, 2019).

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.icc()
    >>> found.frame[["between", "within", "icc"]].round(2)
       between  within   icc
    y      1.2    1.57  0.43
    """

    variables: tuple[str, ...]
    between: Array
    within: Array
    icc: Array
    se: Array
    adjusted: Array
    adjusted_se: Array
    unadjusted: Array
    unadjusted_se: Array

    @property
    def _columns(self) -> dict[str, Array]:
        shares = ("icc", "se", "adjusted", "adjusted_se", "unadjusted", "unadjusted_se")
        return {name: getattr(self, name) for name in ("between", "within", *shares)}

    @property
    def frame(self) -> pd.DataFrame:
        """One row per variable."""
        return make_frame(self._columns, list(self.variables))

    def __str__(self) -> str:
        table = render_columns({"": self.variables, **self._columns}, 4)
        shares = np.concatenate((self.icc, self.adjusted, self.unadjusted))
        return f"Intraclass correlations:\n{table}{LEGEND}{improper_shares(shares)}"

    def _grid(self) -> Grid:
        shares = np.concatenate((self.icc, self.adjusted, self.unadjusted))
        table = columns_table({"": self.variables, **self._columns}, 4)
        notes = (f"{LEGEND}{improper_shares(shares)}",)
        return Grid("Intraclass correlations", (table,), notes)

    def __repr__(self) -> str:
        shown = ", ".join(map("{}={:.3f}".format, self.variables, self.icc))
        return f"<Icc: {sentences(shown)}>"


@quiet
def icc(fit: Estimates[Problem], covariance: DeltaMethod) -> Icc:
    """Intraclass correlations with delta-method standard errors.

    Raises
    ------
    InferenceError
        The model has no variable at both levels, or did not converge.
    """
    table, problem = fit.table, fit.problem
    names = _variables(table)
    if not names:
        raise InferenceError(
            "no variable of the model has a part at both levels: there is no intraclass "
            "correlation."
        )
    if not fit.converged:
        raise InferenceError("the fit did not converge: its variances are not estimates.")

    def value(params: Array) -> Array:
        between, within, random, rest, fixed = _variances(problem, params).T
        return np.concatenate(
            (
                between / (between + within),
                random / (random + rest),
                random / (random + rest + fixed),
            )
        )

    estimates = fit.params
    se, _ = covariance.of_functions(numerical_jacobian(value, estimates))
    shares, errors = value(estimates).reshape(3, -1), se.reshape(3, -1)
    between, within = _variances(problem, estimates).T[:2]
    return Icc(
        variables=names,
        between=frozen(between),
        within=frozen(within),
        icc=shares[0],
        se=errors[0],
        adjusted=shares[1],
        adjusted_se=errors[1],
        unadjusted=shares[2],
        unadjusted_se=errors[2],
    )


def numerical_jacobian(function: Callable[[Array], Array], params: Array) -> Array:
    """Central differences, (m, npar)."""
    columns: list[Array] = []
    with bar(len(params), "derivatives") as advance:
        for k, value in enumerate(params):
            step = np.zeros_like(params)
            step[k] = STEP * max(1.0, abs(value)) if value == 0 else STEP * abs(value)
            columns.append((function(params + step) - function(params - step)) / (2 * step[k]))
            advance(1)
    return np.array(columns).T


def _variables(table: ParameterTable) -> tuple[str, ...]:
    """Those of both levels; auxiliary ones are none of the model. Of rows of several classes the
    outcome in each."""
    if table.classes:
        return tuple(f"{table.split[0]}[{label}]" for label in table.classes)
    return tuple(name for name in table.split if name not in table.auxiliary)


def _variances(problem: Problem, params: Array) -> Array:
    """Of each variable (v, 5): between and within in total, random and residual given the
    covariates, and what the covariates explain."""
    both, table = problem.pattern, problem.table
    if table.classes:
        return np.array([_by_rows(problem, params, g) for g in range(len(table.classes))])
    first, total_within = level_parts(problem, params, 1)
    second, total_between = level_parts(problem, params, 2)
    sloped = {slope.outcome for slope in table.slopes}
    variances: list[tuple[float, ...]] = []
    for name in _variables(table):
        k, above = both.within.names.index(name), both.between.names.index(name)
        if name in sloped:
            place = both.within.observed.tolist().index(k)
            variances.append(_by_rows(problem, params, place))
            continue
        between, within = total_between[above, above], total_within[k, k]
        random, rest = second.covariance[above, above], first.covariance[k, k]
        fixed = between + within - random - rest
        if is_mixed(both):
            fixed = row_parts(problem, params).fixed  # over rows, as for R²
        variances.append((between, within, random, rest, fixed))
    return np.array(variances)


def _by_rows(problem: Problem, params: Array, place: int) -> tuple[float, ...]:
    """Of an outcome whose variance is taken over rows."""
    parts = row_parts(problem, params, place)
    between = parts.intercepts + parts.slopes_between + parts.fixed_between
    return between, parts.total - between, parts.random, parts.residual, parts.fixed
