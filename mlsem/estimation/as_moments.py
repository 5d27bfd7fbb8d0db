"""A point of one model in the saturated space of another fit's variables.

Two models of the same variables meet there: one is a special case of another where each of its
points is one of the other's (Bentler & Satorra, 2010).
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from mlsem.core.implied.pattern import LevelJacobian
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index
from mlsem.errors import InferenceError
from mlsem.estimation.efficient import at_params
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.problem import Problem
from mlsem.estimation.saturated import coordinates_of
from mlsem.model.table import ParameterTable


@quiet
def as_moments(
    estimates: Estimates[Problem], table: ParameterTable, params: Array
) -> tuple[Array, Array]:
    """β (b,) and ∂β/∂θ (b, npar) of a table at its parameters, β being those of the saturated model
    of the variables of a fit of one group.

    Raises
    ------
    InferenceError
        The table is of other variables, or its parameters are outside the parameter space.
    """
    problem = estimates.problem
    if not set(table.observed) <= set(problem.maps):
        raise InferenceError("the models are of other variables.")
    met = problem if table is problem.table else problem.with_table(table, params)
    there = cast("Estimates[Problem]", at_params(estimates, met, params))
    space = coordinates_of(estimates)
    order = [
        _order(own, other)
        for own, other in zip(_outcomes(problem), _outcomes(there.problem), strict=True)
    ]
    within, between = (
        replace(level, sigma=level.sigma[np.ix_(rows, rows)], mean=level.mean[rows])
        for level, rows in zip(there.implied, order, strict=True)
    )
    along = there.along(np.eye(len(params))).at.along
    jacobians = tuple(
        LevelJacobian(level.sigma[:, rows][:, :, rows], level.mean[:, rows])
        for level, rows in zip(along, order, strict=True)
    )
    return space.at((within, between)), space.along(jacobians)


def _outcomes(problem: Problem) -> list[list[str]]:
    """Names of the observed outcomes of each level, in the order of their moments."""
    return [[level.names[k] for k in level.observed] for level in problem.pattern.levels]


def _order(wanted: list[str], given: list[str]) -> Index:
    if set(wanted) != set(given):
        raise InferenceError("the models are of other variables.")
    return np.array([given.index(name) for name in wanted], dtype=np.intp)
