"""Units of parameters: powers of the variances of the variables of a row, at its level.

A parameter θ is standardized as θ Π_k V_k^{e_k}:

    loading f =~ y      √(V_f / V_y)          path y ~ x      √(V_x / V_y)
    variance            1 / V                 intercept       1 / √V
    covariance          1 / √(R_a R_b)        R the (residual) variances of the model

V are total variances (`estimation.scales`). "all" takes those of all variables, "lv" of latent ones
alone, and "nox" of all but exogenous observed variables (Muthén & Muthén's StdYX, Std, StdY).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from mlsem.estimation.scales import Scales
from mlsem.model.table import ParameterTable, Row

Kind = Literal["all", "lv", "nox"]
Scaled = Callable[[int, str], bool]
"""Whether the variable of a level and a name is scaled."""


def unit_of(row: Row, scales: Scales, scaled: Scaled) -> float:
    """Π_k V_k^{e_k}, also of a row that the table does not have; NaN where a variance is not
    positive."""
    level, unit = scales.levels[row.level - 1], 1.0
    for name, power, residual in powers(row):
        if scaled(row.level, name):
            variances = level.residual if residual else level.total
            variance = float(variances[level.names.index(name)])
            unit *= variance**power if variance > 0 else np.nan
    return unit


def powers(row: Row) -> Iterator[tuple[str, float, bool]]:
    """Variables, exponents of their variances, and whether these are residual."""
    match row.op:
        case "=~":
            yield from ((row.lhs, 0.5, False), (row.rhs, -0.5, False))
        case "~":
            yield from ((row.rhs, 0.5, False), (row.lhs, -0.5, False))
        case "~~" if row.is_variance:
            yield row.lhs, -1.0, False
        case "~~":
            yield from ((row.lhs, -0.5, True), (row.rhs, -0.5, True))
        case _:
            yield row.lhs, -0.5, False


def scaled_variables(table: ParameterTable, kind: object) -> Scaled:
    """Which variables of which level are scaled."""
    latent = {(k, name) for k, level in enumerate(table.levels, 1) for name in level.latent}
    if kind == "all":
        return lambda level, name: True
    if kind == "lv":
        return lambda level, name: (level, name) in latent
    outside = _exogenous(table) - latent
    return lambda level, name: (level, name) not in outside


def _exogenous(table: ParameterTable) -> set[tuple[int, str]]:
    """By level: what predicts and is neither predicted nor an indicator; and fixed covariates."""
    paths = [row for row in table.rows if row.op == "~"]
    explained = {(row.level, row.lhs) for row in paths}
    explained |= {(row.level, row.rhs) for row in table.rows if row.op == "=~"}
    fixed = {
        (k, name)
        for k, level in enumerate(table.levels, 1)
        for name in level.covariates + level.parts
    }
    return ({(row.level, row.rhs) for row in paths} - explained) | fixed
