"""The columns of `parameter_estimates`, and implied moments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.core.sample.shapes import covariate_sample
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.joint import JointMoments, joint_moments
from mlsem.estimation.problem import Problem
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.estimated import Estimated
from mlsem.model.expressions import compile_definitions
from mlsem.model.pattern import level_names
from mlsem.model.table import ParameterTable

BROOM = {
    "estimate": "est",
    "std.error": "se",
    "statistic": "stat",
    "df": "df",
    "p.value": "pvalue",
    "conf.low": "ci_lower",
    "conf.high": "ci_upper",
}
COLUMNS = ("lhs", "op", "rhs", "level", "group", "label")


def estimate_columns(estimates: Estimates, covariance: Covariance, level: float) -> dict[str, Any]:
    """Columns of the table of estimates, in lavaan's rows and order; definitions last."""
    return tested_columns(estimates, row_values(estimates), covariance, level)


def tested_columns(
    estimates: Estimated, values: Array, covariance: Covariance, level: float
) -> dict[str, Any]:
    """The same of whatever has names and a covariance; `values` (rows,) are those of the rows."""
    table, se = estimates.table, covariance.se
    random = random_slopes(table)
    names = [
        (r.lhs, r.op, r.rhs, r.level, r.group, random.get(k, r.label))
        for k, r in enumerate(table.rows)
    ]
    of_all = group_of_all(table)
    names += [(d.name, ":=", d.source, 0, of_all, d.name) for d in table.definitions]
    errors = [se[row.free] if row.free >= 0 else 0.0 for row in table.rows]
    df = [covariance.df[row.free] if row.free >= 0 else np.inf for row in table.rows]
    defined, slopes = defined_parameters(estimates)
    defined_se, defined_df = covariance.of_functions(slopes)
    tests = wald(
        np.concatenate((values, defined)),
        np.concatenate((errors, defined_se)),
        np.concatenate((df, defined_df)),
        level,
    )
    columns: dict[str, Any] = dict(zip(COLUMNS, zip(*names, strict=True), strict=True))
    return columns | {
        "est": tests.est,
        "se": tests.se,
        "stat": tests.stat,
        "df": tests.df,
        "pvalue": tests.pvalue,
        "ci_lower": tests.lower,
        "ci_upper": tests.upper,
    }


def group_of_all(table: ParameterTable) -> int:
    """The group of what is of none: lavaan's 0, and 1 where there is one group."""
    return 0 if table.groups else 1


def row_values(estimates: Estimates) -> Array:
    """Estimates of the rows of the table, (rows,); NaN of a path that is random."""
    return np.concatenate([_values_of(group.estimates) for group in estimates.groups])


def _values_of(estimates: Estimates[Problem]) -> Array:
    """Of one group."""
    table, params, exo = estimates.table, estimates.params, _exo_values(estimates.problem)
    values = [
        params[row.free] if row.free >= 0 else exo[k] if row.exo else row.fixed
        for k, row in enumerate(table.rows)
    ]
    for k in random_slopes(table):
        values[k] = np.nan  # it is a variable of level 2, which has its mean there
    return np.array(values, dtype=float)


def without_auxiliary(columns: Mapping[str, Any], table: ParameterTable) -> dict[str, Any]:
    """Columns in the rows of the table, and perhaps more, without those of auxiliary variables."""
    if not table.auxiliary:
        return dict(columns)
    size = len(next(iter(columns.values())))
    beside = {k for k, row in enumerate(table.rows) if table.is_auxiliary(row)}
    kept = [k for k in range(size) if k not in beside]
    return {
        name: values[kept] if isinstance(values, np.ndarray) else [values[k] for k in kept]
        for name, values in columns.items()
    }


def tidy_columns(estimates: Mapping[str, Any], *, grouped: bool) -> dict[str, Any]:
    """The columns of the table of estimates under the names of R's broom; that of the group where
    there are several."""
    term = [
        f"{lhs} ~1" if op == "~1" else f"{lhs} {op} {rhs}"
        for lhs, op, rhs in zip(estimates["lhs"], estimates["op"], estimates["rhs"], strict=True)
    ]
    kept = ("op", "level", "group", "label") if grouped else ("op", "level", "label")
    same = {name: estimates[name] for name in kept}
    return {"term": term} | same | {new: estimates[old] for new, old in BROOM.items()}


def random_slopes(table: ParameterTable) -> dict[int, str]:
    """Rows of paths that vary between clusters, and the variables of level 2 that they are."""
    found: dict[int, str] = {}
    first = (block for block in table.blocks if block.key.is_lowest)
    for block, own in zip(first, each_table(table), strict=True):
        named = {(slope.outcome, "~", slope.carrier): slope.name for slope in own.slopes}
        for k, row in zip(block.places, block.rows, strict=True):
            if (row.lhs, row.op, row.rhs) in named:
                found[k] = named[row.lhs, row.op, row.rhs]
    return found


def each_table(table: ParameterTable) -> tuple[ParameterTable, ...]:
    """That of each group; of one group itself."""
    return tuple(group.table for group in table.groups) or (table,)


def defined_parameters(estimates: Estimated) -> tuple[Array, Array]:
    """Values of the d `:=` parameters and their gradients (d, npar), for the delta method."""
    if not estimates.table.definitions:
        return np.zeros(0), np.zeros((0, len(estimates.names)))
    return compile_definitions(estimates.table)(estimates.params)


def _exo_values(problem: Problem) -> dict[int, float]:
    """Moments of fixed covariates, by position of the row that shows them: the sample's, with
    parts of covariates those of the saturated model (in which the others have the sample's)."""
    moments: dict[int, float] = {}
    for number, block in enumerate(problem.table.blocks):
        names, (mean, cov) = block.variables.covariates, _covariates(problem, number + 1)
        if block.variables.parts:
            assert problem.saturated is not None
            names = level_names(problem.table)[number]
            mean = problem.saturated.means[number]
            cov = problem.saturated.covariances[number]
        place = {name: k for k, name in enumerate(names)}
        for k, row in zip(block.places, block.rows, strict=True):
            if row.exo:
                i = place[row.lhs]
                moments[k] = float(mean[i] if row.op == "~1" else cov[i, place[row.rhs]])
    return moments


def _covariates(problem: Problem, level: int) -> tuple[Array, Array]:
    names = problem.table.levels[level - 1].covariates
    if not names:
        return np.zeros(0), np.zeros((0, 0))
    maps = np.array([problem.maps[name] for name in names])
    return covariate_sample(problem.sample, maps, level)


@quiet
def implied_moments(estimates: Estimates[Problem], level: int) -> JointMoments:
    """Of a level's observed variables at the estimates, without auxiliary ones."""
    joint = joint_moments(estimates.problem, level, estimates.implied[level - 1])
    return joint.without(estimates.table.auxiliary)
