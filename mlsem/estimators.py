"""What is maximised, and over which covariances: the estimators behind one function.

Maximum likelihood of a structural equation model is unbounded: a variance may become negative.
Mixed models (`lmm`) and all fits by REML are fitted over positive semidefinite covariances of the
random effects, as lme4 fits them: first without that bound, which is quick, and with it where the
optimum is outside. A structural equation model with random slopes that has no maximum is fitted
over these covariances too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mlsem.core.components import ComponentObjective, components
from mlsem.core.factored import Factors, factored, random_effect_factors
from mlsem.core.linalg import inverse_root
from mlsem.core.mixed import fixed_effects
from mlsem.core.objective import Conditioned, D, Objective, P
from mlsem.core.optimize import Optimum, Restricted, maximize
from mlsem.core.pattern import ModelPattern
from mlsem.core.records import Array
from mlsem.core.reml import RemlObjective
from mlsem.errors import EstimationError, IdentificationError, SpecificationError, listed
from mlsem.estimate import (
    estimate,
    estimate_from,
    identified,
    inside,
    involved,
    numerically,
    starting_params,
    starting_point,
)
from mlsem.problem import Problem, arranged, restricted
from mlsem.spec.partable import ParameterTable
from mlsem.spec.settings import Settings

SPANNED = 1e-8  # parts of a direction below are rounding
UNBOUNDED = 40  # iterations without the bound; an optimum that is there takes fewer than 15


def optimum_of(problem: Problem, settings: Settings, start: object = None) -> Optimum:
    """Find the estimates by the estimator of the settings.

    Raises
    ------
    SpecificationError
        The model cannot be fitted by REML.
    IdentificationError, EstimationError
        As `estimate`.
    """
    if settings.estimator == "REML":
        return _by_reml(problem, settings, start)
    if problem.table.semidefinite:
        return _mixed(problem, settings, start)
    found = estimate(problem, settings, start)
    if found.converged or not problem.table.slopes or len(restricted(problem.table)):
        return found
    first, factors = starting_point(problem, start), random_effect_factors(problem.inner.pattern)
    with numerically():
        again = _bounded(problem.inner, factors, first.params, None, settings)
    return _settled(factors, again, found.n_iterations) if again.converged else found


# --- maximum likelihood -----------------------------------------------------------------------


def _mixed(problem: Problem, settings: Settings, start: object) -> Optimum:
    first = starting_point(problem, start)
    found = estimate_from(problem, _shorter(settings), first)
    factors = random_effect_factors(problem.inner.pattern)
    if _inside(factors, found):
        return _settled(factors, found, 0)
    with numerically():
        again = _bounded(problem.inner, factors, first.params, None, settings)
    return _settled(factors, again, found.n_iterations)


def _shorter(settings: Settings) -> Settings:
    return replace(settings, max_iter=min(UNBOUNDED, settings.max_iter))


def _inside(factors: Factors, found: Optimum[Any]) -> bool:
    return found.converged and factors.inside(found.params)


def _bounded(
    objective: Objective[P, D],
    factors: Factors,
    params: Array,
    free: Array | None,
    settings: Settings,
) -> Optimum[P]:
    """The maximum over positive semidefinite covariances of the random effects, as an optimum of
    the objective itself: without derivatives, for on the boundary its gradient is not zero."""
    outer = factored(objective, factors)
    first = inside(outer.evaluate(factors.factored(params)))
    free = np.eye(len(params)) if free is None else free
    found = maximize(
        outer,
        first,
        free,
        outer.conditioned(first, free),
        tol=settings.tol,
        max_iter=settings.max_iter,
    )
    return Optimum(
        point=found.point.point,
        free=free,
        at=None,
        observed=None,
        status=found.status,
        n_iterations=found.n_iterations,
        distance=found.distance,
    )


def _settled(factors: Factors, found: Optimum[Any], before: int) -> Optimum[Any]:
    """With the iterations before it, and whether it lies on the boundary."""
    sigma2 = float(found.point.within.sigma.diagonal().min())
    return replace(
        found,
        n_iterations=before + found.n_iterations,
        singular=factors.singular(found.params, sigma2),
    )


# --- restricted maximum likelihood ------------------------------------------------------------


def _by_reml(problem: Problem, settings: Settings, start: object) -> Optimum:
    pattern = problem.inner.pattern
    fixed, others = map(_axes, _split(problem.table, pattern))
    params = inside(starting_params(problem, start))
    with numerically():
        # coordinates differ from the user's by maps of determinant 1: |A| is the same
        objective = _restricted_likelihood(problem, fixed, params)
        point, at_start = _started(problem, objective, params, others)
        found = maximize(
            objective,
            point,
            others,
            at_start,
            tol=settings.tol,
            max_iter=_shorter(settings).max_iter,
        )
        before, factors = 0, random_effect_factors(pattern)
        if not _inside(factors, found):
            before = found.n_iterations
            found = _bounded(objective, factors, point.params, others, settings)
        return _settled(factors, _likelihood_at(problem, objective, found, fixed, others), before)


def _restricted_likelihood(problem: Problem, fixed: Array, params: Array) -> Objective[Any, Any]:
    """As quick as the model allows."""
    pattern, data = problem.inner.pattern, arranged(problem)
    model = components(pattern, data, fixed, params)
    if model is None:
        return RemlObjective(pattern, data, fixed)
    return ComponentObjective(pattern, model)


def _started(
    problem: Problem, objective: Objective[Any, Any], params: Array, others: Array
) -> tuple[Any, Conditioned[Any]]:
    """A point at which the data determine all parameters, and its derivatives."""
    point = objective.evaluate(params)
    found = None if point is None else objective.conditioned(point, others)
    if found is not None and not found.lost:
        return point, found
    first, unit = inside(problem.inner.evaluate(params)), np.eye(len(params))
    full = problem.inner.conditioned(first, unit)
    if full.lost:
        first, _ = identified(problem, first, unit, full)
    point = objective.evaluate(first.params)
    if point is None:
        raise EstimationError("the restricted likelihood does not exist at the start.")
    return point, _determined(objective.conditioned(point, others), problem.table)


def _split(table: ParameterTable, pattern: ModelPattern) -> tuple[Array, Array]:
    """Directions of the fixed effects and of the covariances."""
    if not table.two_level:
        raise SpecificationError(
            'estimator="REML" is for two-level models: with one level it would only divide the '
            "residual sum of squares by N - p in place of N."
        )
    if table.constraints or len(restricted(table)):
        raise SpecificationError(
            'estimator="REML" takes no constraints and no bounds: the restricted likelihood is '
            "defined by the free fixed effects. Give equal parameters one label, or use "
            'estimator="ML".'
        )
    found = fixed_effects(pattern, np.eye(pattern.n_params))
    if found is not None:
        return found
    levels = (pattern.within, pattern.between)
    paths = np.unique(np.concatenate([level.directed.params for level in levels]))
    names = [table.names[k] for k in paths]
    why = (
        f"{listed(names)} {'is a path' if len(names) == 1 else 'are paths'} from a variable that "
        "the model explains"
        if names
        else "a label stands for a mean and for a covariance"
    )
    raise SpecificationError(
        'estimator="REML" needs means that are linear in their parameters and separate from the '
        f'covariances: {why}. Use estimator="ML".'
    )


def _axes(directions: Array) -> Array:
    """The parameters (npar, m) that the directions of a model without constraints span."""
    return np.eye(len(directions))[:, np.abs(directions).max(axis=1, initial=0.0) > SPANNED]


def _determined(found: Conditioned[D], table: ParameterTable) -> Conditioned[D]:
    if found.lost:
        names = listed(involved(found.at.basis[:, : found.lost], table.names))
        raise IdentificationError(
            f"the model is not identified by REML: the fixed effects leave no data that determine "
            f"{names}. Take fixed effects out, or random ones."
        )
    return found


def _likelihood_at(
    problem: Problem,
    objective: Objective[Any, Any],
    found: Optimum[Any],
    fixed: Array,
    others: Array,
) -> Optimum[Any]:
    """The optimum as one of the likelihood's, which robust errors and predictions ask."""
    point = problem.inner.evaluate(found.params)
    if point is None:
        raise EstimationError("the likelihood does not exist at the REML estimates.")
    at = objective.conditioned(found.point, others)
    along = at.at.basis[:, at.lost :]
    root = inverse_root(at.expected[at.lost :, at.lost :])
    lost = at.at.basis[:, : at.lost]
    if root is None:
        root, lost = np.zeros((along.shape[1], 0)), others
    directions = (fixed @ found.point.root, along @ root)
    return replace(
        found,
        point=point,
        free=np.eye(len(found.params)),
        at=None,
        observed=None,
        restricted=Restricted(found.loglik, np.concatenate(directions, axis=1), lost),
    )
