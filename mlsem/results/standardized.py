"""Standardized parameters, with standard errors by the delta method.

A parameter is scaled by powers of variances of the variables of its row (`estimation.units`),

    θ* = θ Π_k V_k^{e_k},     ∂θ* = Π_k V_k^{e_k} ∂θ + θ* Σ_k e_k ∂V_k / V_k.

Defined parameters are the same functions of the standardized parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.errors import InferenceError, OptionValueError, listed
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.problem import Problem
from mlsem.estimation.scales import Scales, scales_at
from mlsem.estimation.units import Kind, Scaled, powers, scaled_variables
from mlsem.inference.covariance.groups import placed
from mlsem.inference.covariance.intervals import Wald, wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.model.expressions import Symbols, compile_definitions, names_in
from mlsem.model.table import ParameterTable, Row
from mlsem.results.tables import group_of_all, random_slopes, row_values

ROUNDING = 1e-10  # share of the terms of a derivative from which on it is rounding
NEGATIVE = (
    "standardized values are missing where a variance that they are scaled by is not positive."
)
SLOPES = (
    "standardized values of level 1: an outcome with random slopes has its mean variance over the "
    "rows, and a random path is the mean slope."
)
LABELS = (
    "standardized values: rows with the same label are scaled by variances of their own; "
    "definitions take the first row that is labelled {}."
)


@dataclass(frozen=True, slots=True, eq=False)
class Standardized:
    """Standardized parameters: rows of the table, then the defined ones.

    Attributes
    ----------
    values : (m,)
        NaN where a variance is not positive.
    gradients : (m, npar)
        ∂θ*/∂θ; zero where it is a constant.
    """

    values: Array
    gradients: Array

    def tested(self, covariance: Covariance, level: float) -> Wald:
        """With standard errors, tests and limits; constants have the standard error 0."""
        se, df = covariance.of_functions(self.gradients)
        return wald(self.values, se, df, level)


@quiet
def standardized(estimates: Estimates, kind: object = "all") -> Standardized:
    """The standardized parameters.

    Raises
    ------
    OptionValueError
        There is no such kind.
    InferenceError
        The fit did not converge, or the outcome has several residual variances.
    """
    if kind not in get_args(Kind):
        raise OptionValueError(f"kind={kind!r}: it takes one of {listed(get_args(Kind))}.")
    if not estimates.converged:
        raise InferenceError("the fit did not converge: there are no estimates to standardize.")
    if estimates.table.classes:
        raise InferenceError(
            "the outcome has another variance in each group of residual=, so that there is none to "
            "standardize by. Scale the variables of the data instead, scale(x1) in the formula."
        )
    parts = [
        (values, placed(gradients, group.places, len(estimates.names)))
        for group in estimates.groups
        for values, gradients in (_of_group(group.estimates, kind),)
    ]
    values, gradients = (np.concatenate(each) for each in zip(*parts, strict=True))
    defined, changes = _definitions(estimates.table, values)
    used = changes != 0.0
    moved = np.where(used, changes, 0.0) @ np.nan_to_num(gradients)
    missing = (used & np.isnan(values)).any(axis=1)
    return Standardized(
        np.concatenate((values, np.where(missing, np.nan, defined))),
        np.concatenate((gradients, np.where(missing[:, None], np.nan, moved))),
    )


def _of_group(estimates: Estimates[Problem], kind: object) -> tuple[Array, Array]:
    """θ* of the rows of one group (m,), and gradients (m, npar)."""
    table, scales = estimates.table, scales_at(estimates.problem, estimates.params)
    values, gradients = _raw(estimates, scales)
    scaled = scaled_variables(table, kind)
    for k, row in enumerate(table.rows):
        values[k], gradients[k] = _rescaled(row, values[k], gradients[k], scales, scaled)
    return values, gradients


def _raw(estimates: Estimates[Problem], scales: Scales) -> tuple[Array, Array]:
    """Unstandardized values of the rows (m,), a random path's its mean, and gradients (m, npar)."""
    table, values = estimates.table, row_values(estimates)
    gradients = np.zeros((len(values), len(estimates.params)))
    for k, row in enumerate(table.rows):
        if row.free >= 0:
            gradients[k, row.free] = 1.0
    for k in random_slopes(table):
        place = scales.slopes[table.rows[k].lhs, table.rows[k].rhs]
        values[k], gradients[k] = scales.slope_means[place], scales.slope_gradients[place]
    return values, gradients


def _rescaled(
    row: Row, value: float, gradient: Array, scales: Scales, scaled: Scaled
) -> tuple[float, Array]:
    """θ* of a row and ∂θ* (npar,), of which what cancels is zero and not rounding."""
    level, factor, terms = scales.levels[row.level - 1], 1.0, []
    for name, power, residual in powers(row):
        if not scaled(row.level, name):
            continue
        k = level.names.index(name)
        variance, change = level.total[k], level.total_gradients[k]
        if residual:
            variance, change = level.residual[k], level.residual_gradients[k]
        variance = variance if variance > 0 else np.nan
        factor *= variance**power
        terms.append(power * change / variance)
    own = value * factor
    parts = np.array([factor * gradient, *(own * term for term in terms)])
    total, size = parts.sum(axis=0), np.abs(parts).sum(axis=0)
    return own, np.where(np.abs(total) <= ROUNDING * size, 0.0, total)


def _definitions(table: ParameterTable, values: Array) -> tuple[Array, Array]:
    """Defined parameters (d,) as functions of the rows' values, and derivatives (d, rows).

    A label of several rows, which differ when standardized, means the first of them.
    """
    if not table.definitions:
        return np.zeros(0), np.zeros((0, len(values)))
    places = {row.label: k for k, row in reversed([*enumerate(table.rows)]) if row.label}
    expressions = {each.name: each.expression for each in table.definitions}
    symbols = Symbols(places, {}, expressions, len(values))
    return compile_definitions(table, symbols)(values)


def with_standardized(columns: Mapping[str, Any], estimates: Estimates) -> dict[str, Any]:
    """The columns of `parameter_estimates` with `std_lv` and `std_all`; NaN in rows of R²."""
    found = dict(columns)
    for kind in ("lv", "all"):
        values = standardized(estimates, kind).values
        none = np.full(len(found["est"]) - len(values), np.nan)
        found[f"std_{kind}"] = np.concatenate((values, none))
    return found


def notes_of(columns: Mapping[str, Any], table: ParameterTable) -> tuple[str, ...]:
    """What a reader of standardized values should know."""
    wanted = [k for k, op in enumerate(columns["op"]) if op != "r2"]
    notes = (NEGATIVE,) if np.isnan(columns["std_all"][wanted]).any() else ()
    notes += (SLOPES,) if table.slopes else ()
    used = {each.name for defined in table.definitions for each in names_in(defined.expression)}
    labels = [row.label for row in table.rows if row.label in used]
    several = dict.fromkeys(label for label in labels if labels.count(label) > 1)
    return (*notes, LABELS.format(listed(several))) if several else notes


def standardized_columns(
    estimates: Estimates, covariance: Covariance, kind: object, level: float
) -> dict[str, Any]:
    """The columns of `FitResult.standardized`."""
    tested = standardized(estimates, kind).tested(covariance, level)
    table = estimates.table
    names = [(row.lhs, row.op, row.rhs, row.level, row.group) for row in table.rows]
    of_all = group_of_all(table)
    names += [(each.name, ":=", each.source, 0, of_all) for each in table.definitions]
    heads = ("lhs", "op", "rhs", "level", "group")
    columns: dict[str, Any] = dict(zip(heads, zip(*names, strict=True), strict=True))
    return columns | {
        "est_std": tested.est,
        "se": tested.se,
        "stat": tested.stat,
        "df": tested.df,
        "pvalue": tested.pvalue,
        "ci_lower": tested.lower,
        "ci_upper": tested.upper,
    }
