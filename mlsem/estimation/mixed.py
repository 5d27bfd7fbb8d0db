"""Linear mixed models of one outcome among the models: which are, and how their fixed effects'
covariance moves with the variances."""

from __future__ import annotations

import numpy as np

from mlsem.core.records import frozen
from mlsem.core.restricted.arranged import components
from mlsem.core.restricted.components import ComponentObjective
from mlsem.core.restricted.variation import ComponentVariation
from mlsem.core.sample.moments import require_unweighted
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import Problem, mixed_data, restricted


def obstacle(problem: Posed) -> str:
    """What keeps the model from being a linear mixed one; empty if nothing does."""
    table = problem.table
    if table.three_level:
        return "this model has three levels"
    if not table.two_level:
        return "this model has one level"
    if problem.moments.is_weighted:
        return "rows or clusters have weights here"
    if not isinstance(problem, Problem):
        return "this one has several groups"
    slopes = {slope.name for slope in table.slopes}
    if any(set(level.latent) - slopes for level in table.levels):
        return "this one has latent variables"
    effects = problem.inner.fixed_effects()
    if effects is None:
        return "this one has several outcomes (a covariate with parts at both levels is one)"
    if table.constraints or len(restricted(table)):
        return "this one has constraints or bounds (parameters that are equal may share a label)"
    paths = any(level.directed.support().any() for level in problem.inner.pattern.levels)
    if paths or effects.tied:
        return "this one has paths between random effects, or a label for a mean and a variance"
    return ""


def variation(estimates: Estimates) -> ComponentVariation:
    """How the covariance of the fixed effects moves with the variances that it is taken at.

    Raises
    ------
    DataError
        The data are weighted.
    """
    problem, params = estimates.problem, estimates.optimum.params
    require_unweighted(
        problem.moments,
        "degrees of freedom of a mixed model's own standard errors are not defined for them. Use "
        'se="CR2", or test="z".',
    )
    effects = problem.inner.fixed_effects()
    assert effects is not None
    fixed = np.eye(len(params))[:, effects.means]
    model = components(problem.inner.pattern, mixed_data(problem), fixed, params)
    assert model is not None
    point = ComponentObjective(model).evaluate(params)
    assert point is not None
    return ComponentVariation(
        model=model,
        point=point,
        basis=frozen(estimates.to_user(fixed @ point.root)),
        restricted=estimates.restricted,
        interior=not estimates.boundary,
    )
