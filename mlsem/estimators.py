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

from mlsem.core.carriers import slope_moments
from mlsem.core.factored import factored, random_effect_factors
from mlsem.core.linalg import inverse_root
from mlsem.core.mixed import fixed_effects
from mlsem.core.objective import Conditioned, Objective, P
from mlsem.core.optimize import Optimum, Restricted, maximize
from mlsem.core.pattern import ModelPattern
from mlsem.core.records import Array
from mlsem.core.reml import RemlObjective, RemlPoint
from mlsem.errors import EstimationError, IdentificationError, SpecificationError, listed
from mlsem.estimate import (
    estimate,
    estimate_from,
    identified,
    involved,
    numerically,
    starting_point,
)
from mlsem.problem import Problem, restricted
from mlsem.spec.partable import ParameterTable
from mlsem.spec.settings import Settings

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
    found = estimate(problem, settings, start)  # its tries may find a higher maximum, outside
    if found.converged or not problem.table.slopes or len(restricted(problem.table)):
        return found
    with numerically():
        again = _bounded(problem.inner, starting_point(problem, start).params, None, settings)
    return _settled(problem, again, found.n_iterations) if again.converged else found


# --- maximum likelihood -----------------------------------------------------------------------


def _mixed(problem: Problem, settings: Settings, start: object) -> Optimum:
    first = starting_point(problem, start)
    found = estimate_from(problem, _shorter(settings), first)
    if _inside(problem.inner.pattern, found):
        return replace(found, singular=_singular(problem.inner.pattern, found))
    with numerically():
        again = _bounded(problem.inner, first.params, None, settings)
    return _settled(problem, again, found.n_iterations)


def _shorter(settings: Settings) -> Settings:
    return replace(settings, max_iter=min(UNBOUNDED, settings.max_iter))


def _inside(pattern: ModelPattern, found: Optimum) -> bool:
    return found.converged and random_effect_factors(pattern).inside(found.params)


def _singular(pattern: ModelPattern, found: Optimum) -> bool:
    sigma2 = float(found.point.within.sigma.diagonal().min())
    return random_effect_factors(pattern).singular(found.params, sigma2)


def _bounded(
    objective: Objective[P], params: Array, free: Array | None, settings: Settings
) -> Optimum[P]:
    """The maximum over positive semidefinite covariances of the random effects, as an optimum of
    the objective itself: without derivatives, for on the boundary its gradient is not zero."""
    factors = random_effect_factors(objective.pattern)
    outer = factored(objective, factors)
    first = outer.evaluate(factors.factored(params))
    if first is None:
        raise EstimationError("the starting values are outside the parameter space: change start=.")
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


def _settled(problem: Problem, found: Optimum, before: int) -> Optimum:
    """With the iterations before it, and whether it lies on the boundary."""
    return replace(
        found,
        n_iterations=before + found.n_iterations,
        singular=_singular(problem.inner.pattern, found),
    )


# --- restricted maximum likelihood ------------------------------------------------------------


def _by_reml(problem: Problem, settings: Settings, start: object) -> Optimum:
    pattern, unit = problem.inner.pattern, np.eye(len(problem.guess))
    fixed, others = _split(problem.table, pattern)
    first = starting_point(problem, start)
    with numerically():
        found = problem.inner.conditioned(first, unit)
        if found.lost:
            first, _ = identified(problem, first, unit, found)
        # coordinates differ from the user's by maps of determinant 1: |A| is the same
        objective = RemlObjective(pattern, slope_moments(pattern, problem.moments), fixed)
        point = objective.evaluate(first.params)
        if point is None:
            raise EstimationError("the restricted likelihood does not exist at the start.")
        at_start = _determined(objective.conditioned(point, others), problem.table)
        optimum = maximize(
            objective,
            point,
            others,
            at_start,
            tol=settings.tol,
            max_iter=_shorter(settings).max_iter,
        )
        before = 0
        if not _inside(pattern, optimum):
            before = optimum.n_iterations
            optimum = _bounded(objective, first.params, others, settings)
        return _likelihood_at(problem, objective, _settled(problem, optimum, before), others)


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


def _determined(found: Conditioned, table: ParameterTable) -> Conditioned:
    if found.lost:
        names = listed(involved(found.at.basis[:, : found.lost], table.names))
        raise IdentificationError(
            f"the model is not identified by REML: the fixed effects leave no data that determine "
            f"{names}. Take fixed effects out, or random ones."
        )
    return found


def _likelihood_at(
    problem: Problem, objective: RemlObjective, found: Optimum[RemlPoint], others: Array
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
    directions = (objective.fixed @ found.point.root, along @ root)
    return replace(
        found,
        point=point,
        free=np.eye(len(found.params)),
        at=None,
        observed=None,
        restricted=Restricted(found.loglik, np.concatenate(directions, axis=1), lost),
    )
