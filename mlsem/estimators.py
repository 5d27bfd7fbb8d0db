"""What is maximised, and over which covariances: the estimators behind one function.

Maximum likelihood of a structural equation model is unbounded: a variance may become negative.
Mixed models (`lmm`) and all fits by REML are fitted over positive semidefinite covariances of the
random effects, as lme4 fits them: first without that bound, which is quick, and with it where the
optimum is outside. What latent variables leave of random effects that they explain is no
covariance matrix of these, and may have a negative variance by REML too. A structural equation
model that has no maximum, by REML or with random slopes, is fitted over positive semidefinite
matrices of both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mlsem.core.carriers import slope_moments
from mlsem.core.factored import (
    Factors,
    explained_effects,
    factored,
    random_effect_factors,
)
from mlsem.core.linalg import inverse_root
from mlsem.core.means import mean_paths
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
    found = estimate(problem, settings, start)
    if found.converged or not problem.table.slopes or len(restricted(problem.table)):
        return found
    factors = random_effect_factors(problem.inner.pattern)
    first = starting_point(problem, start).params
    with numerically():
        again = _bounded(problem.inner, first, None, settings, factors)
    return _settled(again, found.n_iterations, factors) if again.converged else found


# --- maximum likelihood -----------------------------------------------------------------------


def _mixed(problem: Problem, settings: Settings, start: object) -> Optimum:
    first = starting_point(problem, start)
    found = estimate_from(problem, _shorter(settings), first)
    factors = _kept(problem.inner.pattern, found)
    if _inside(found, factors):
        return _settled(found, 0, factors)
    with numerically():
        again = _bounded(problem.inner, first.params, None, settings, factors)
    return _settled(again, found.n_iterations, factors)


def _shorter(settings: Settings) -> Settings:
    return replace(settings, max_iter=min(UNBOUNDED, settings.max_iter))


def _kept(pattern: ModelPattern, found: Optimum) -> Factors:
    """What is kept positive semidefinite: the covariances of the random effects; where there is
    no maximum without a bound, what latent variables leave of them as well."""
    return random_effect_factors(pattern, explained=not found.converged)


def _inside(found: Optimum, factors: Factors) -> bool:
    return found.converged and factors.inside(found.params)


def _bounded(
    objective: Objective[P],
    params: Array,
    free: Array | None,
    settings: Settings,
    factors: Factors,
) -> Optimum[P]:
    """The maximum over positive semidefinite matrices, as an optimum of the objective itself:
    without derivatives, for on the boundary its gradient is not zero."""
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


def _settled(found: Optimum[P], before: int, factors: Factors) -> Optimum[P]:
    """With the iterations before it, and whether it lies on the boundary."""
    sigma2 = float(found.point.within.sigma.diagonal().min())
    return replace(
        found,
        n_iterations=before + found.n_iterations,
        singular=factors.singular(found.params, sigma2),
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
        if not optimum.converged:
            optimum = _from_ml(problem, objective, others, settings, start) or optimum
        before, factors = 0, _kept(pattern, optimum)
        if not _inside(optimum, factors):
            before = optimum.n_iterations
            optimum = _bounded(objective, first.params, others, settings, factors)
        return _likelihood_at(problem, objective, _settled(optimum, before, factors), others)


def _from_ml(
    problem: Problem, objective: RemlObjective, others: Array, settings: Settings, start: object
) -> Optimum[RemlPoint] | None:
    """The optimum near the maximum-likelihood estimates, where latent variables explain random
    effects; None where there is none."""
    if not explained_effects(objective.pattern).any():
        return None
    try:
        nearby = estimate(problem, settings, start)
    except EstimationError:
        return None
    point = objective.evaluate(nearby.params) if nearby.converged else None
    first = None if point is None else objective.conditioned(point, others)
    if point is None or first is None or first.lost:
        return None
    most = _shorter(settings).max_iter
    found = maximize(objective, point, others, first, tol=settings.tol, max_iter=most)
    return found if found.converged else None


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
    raise SpecificationError(
        'estimator="REML" needs means that are linear in their parameters and separate from the '
        f'covariances: {_tied(table, pattern)}. Use estimator="ML".'
    )


def _tied(table: ParameterTable, pattern: ModelPattern) -> str:
    """What makes means and covariances share a parameter, or multiplies one by another."""
    paths: dict[str, None] = {}
    sources: dict[str, None] = {}
    for level in (pattern.within, pattern.between):
        found = mean_paths(level)
        paths |= dict.fromkeys(table.names[k] for k in found.params)
        sources |= dict.fromkeys(level.names[k] for k in found.sources)
    if not paths:
        return "a label stands for a mean and for a covariance"
    one = len(paths) == 1
    return (
        f"{listed(paths)} {'is a path' if one else 'are paths'} from {listed(sources)}, whose mean "
        f"(an intercept, or effects of covariates) {'it multiplies' if one else 'they multiply'}; "
        "a free path may start only where the model fixes the mean to zero"
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
