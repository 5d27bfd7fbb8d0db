"""Restricted maximum likelihood of a problem."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsem.core.arrow import dense
from mlsem.core.implied.means import mean_parameters, mean_paths
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.implied.point import P, taken
from mlsem.core.linalg import inverse_root
from mlsem.core.optimise.factored import explained_effects
from mlsem.core.optimise.maximise import climb, maximise
from mlsem.core.optimise.objective import Conditioned, D, Objective
from mlsem.core.optimise.optimum import Optimum, RestrictedMaximum, Stationary, Stopped
from mlsem.core.optimise.together import climb_together
from mlsem.core.records import Array
from mlsem.core.restricted.arranged import components
from mlsem.core.restricted.components import (
    ComponentObjective,
    components_of_many,
    kind_of,
)
from mlsem.core.restricted.general import RemlObjective
from mlsem.core.sample.moments import require_unweighted
from mlsem.errors import EstimationError, IdentificationError, SpecificationError, listed
from mlsem.estimation.maximum_within import PATIENCE, maximum_within
from mlsem.estimation.ml import identified, inside, involved, numerically, starting_params
from mlsem.estimation.problem import Problem, arranged, mixed_data, restricted
from mlsem.estimation.search import estimate
from mlsem.estimation.semidefinite import Semidefinite
from mlsem.estimation.settings import Settings
from mlsem.model.table import ParameterTable


def by_reml(problem: Problem, settings: Settings, start: object) -> Optimum:
    """The restricted maximum, over positive semidefinite covariances of the random effects.

    Raises
    ------
    SpecificationError
        The means are not linear, or not apart from the covariances.
    IdentificationError, EstimationError
        The fixed effects leave no data for a variance; there is no start.
    """
    fixed, others = _directions(problem)
    params = origin = inside(starting_params(problem, start))
    if start is not None:  # fixed effects that are far off would cost digits, and are not needed
        origin = inside(starting_params(problem, None))
    with numerically():
        # coordinates differ from the user's by maps of determinant 1: |A| is the same
        objective = _restricted_likelihood(problem, fixed, origin)
        point, at_start = _started(problem, objective, params, others)

        def without(limited: Settings) -> Optimum[Any]:
            optimum = _searched(problem, objective, point, others, at_start, limited)
            if optimum.converged:
                return optimum
            return _from_ml(problem, objective, others, settings, start) or optimum

        bound = Semidefinite(problem, objective, point.params, others, settings)
        maximum = maximum_within(bound, without, settings)
        return _likelihood_at(problem, objective, maximum, fixed, others)


def by_reml_together(
    problems: Mapping[int, Problem], settings: Settings
) -> Iterator[tuple[int, Optimum]]:
    """The maxima that `by_reml` finds for data sets of one table from their usual starts, where
    these have no need of the bound: each with its number, and the same digits whatever others
    there are."""
    alike: dict[Hashable, dict[int, _Restricted]] = {}
    for number, problem in problems.items():
        fixed, others = _directions(problem)
        params = starting_params(problem, None)
        if params is None or explained_effects(problem.inner.pattern).any():
            continue
        with suppress(EstimationError):
            objective = _restricted_likelihood(problem, fixed, params)
            if isinstance(objective, ComponentObjective):
                kind = kind_of(objective.model)
                own = _Restricted(problem, objective, params, fixed, others)
                alike.setdefault(kind, {})[number] = own
    for some in alike.values():
        yield from _reached_together(some, settings)


@dataclass(frozen=True, slots=True, eq=False)
class _Restricted:
    """A data set with its restricted likelihood, start, fixed effects and covariances."""

    problem: Problem
    objective: ComponentObjective
    params: Array
    fixed: Array
    others: Array


def _reached_together(
    some: Mapping[int, _Restricted], settings: Settings
) -> Iterator[tuple[int, Optimum]]:
    numbers, each = list(some), list(some.values())
    others, limited = each[0].others, settings.limited(PATIENCE)
    objective = ComponentObjective(components_of_many([one.objective.model for one in each]))
    point = objective.evaluate(np.array([one.params for one in each]))
    assert point is not None  # of many there is always something
    at = objective.derivatives(point, others)
    known = np.flatnonzero(objective.determined(at, objective.expected(point, at)))
    if not len(known):
        return
    how: Any = {"tol": limited.tol, "max_iter": limited.max_iter}
    for reached in climb_together(objective.of(known), taken(point, known), others, **how):
        for k, which in enumerate(known[reached.numbers].tolist()):
            own, maximum = each[which], reached.optimum(k)
            bound = Semidefinite(own.problem, own.objective, own.params, others, settings)
            inside_bound = bound.accepted(maximum)
            if inside_bound is not None:
                found = _likelihood_at(own.problem, own.objective, inside_bound, own.fixed, others)
                yield numbers[which], found


def _directions(problem: Problem) -> tuple[Array, Array]:
    """Those of the fixed effects, and of the covariances."""
    pattern = problem.inner.pattern
    unit, means = np.eye(pattern.n_params), _means(problem.table, pattern)
    return unit[:, means], unit[:, ~means]


def _restricted_likelihood(problem: Problem, fixed: Array, params: Array) -> Objective[Any, Any]:
    """As quick as the model allows."""
    require_unweighted(
        problem.moments,
        'the restricted likelihood is not defined for them. Use estimator="ML".',
    )
    pattern = problem.inner.pattern
    model = components(pattern, mixed_data(problem), fixed, params)
    if model is None:
        return RemlObjective(pattern, arranged(problem), fixed)
    return ComponentObjective(model)


def _started(
    problem: Problem, objective: Objective[Any, Any], params: Array, others: Array
) -> tuple[Any, Conditioned[Any]]:
    """A point at which the data determine all parameters, and its derivatives."""
    point = objective.evaluate(params)
    conditioned = None if point is None else objective.conditioned(point, others)
    if conditioned is not None and not conditioned.lost:
        return point, conditioned
    first, unit = inside(problem.inner.evaluate(params)), np.eye(len(params))
    full = problem.inner.conditioned(first, unit)
    if full.lost:
        first, _ = identified(problem, first, unit, full)
    point = objective.evaluate(first.params)
    if point is None:
        raise EstimationError("the restricted likelihood does not exist at the start.")
    return point, _determined(objective.conditioned(point, others), problem.table)


def _searched(
    problem: Problem,
    objective: Objective[P, D],
    point: P,
    others: Array,
    first: Conditioned[D],
    settings: Settings,
) -> Optimum[P]:
    """The maximum without the bound. Where nothing but the bound may be missing, there is no
    trust region, which would only find that out."""
    search = maximise if explained_effects(problem.inner.pattern).any() else climb
    tol, most = settings.tol, settings.max_iter
    return search(objective, point, others, first, tol=tol, max_iter=most)


def _from_ml(
    problem: Problem,
    objective: Objective[Any, Any],
    others: Array,
    settings: Settings,
    start: object,
) -> Optimum[Any] | None:
    """The optimum near the maximum-likelihood estimates, where latent variables explain random
    effects; None where there is none."""
    if not explained_effects(problem.inner.pattern).any():
        return None
    try:
        nearby = estimate(problem, settings, start)
    except EstimationError:
        return None
    point = objective.evaluate(nearby.params) if nearby.converged else None
    first = None if point is None else objective.conditioned(point, others)
    if point is None or first is None or first.lost:
        return None
    optimum = _searched(problem, objective, point, others, first, settings.limited(PATIENCE))
    return optimum if optimum.converged else None


def _means(table: ParameterTable, pattern: ModelPattern) -> NDArray[np.bool_]:
    """Which parameters are fixed effects; the others are of covariances."""
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
    means = mean_parameters(pattern)
    if means is not None:
        return means
    raise SpecificationError(
        'estimator="REML" needs means that are linear in their parameters and separate from the '
        f'covariances: {_tied(table, pattern)}. Use estimator="ML".'
    )


def _tied(table: ParameterTable, pattern: ModelPattern) -> str:
    """What makes means and covariances share a parameter, or multiplies one by another."""
    paths: dict[str, None] = {}
    sources: dict[str, None] = {}
    for level in pattern.levels:
        tied = mean_paths(level)
        paths |= dict.fromkeys(table.names[k] for k in tied.params)
        sources |= dict.fromkeys(level.names[k] for k in tied.sources)
    if not paths:
        return "a label stands for a mean and for a covariance"
    one = len(paths) == 1
    return (
        f"{listed(paths)} {'is a path' if one else 'are paths'} from {listed(sources)}, whose mean "
        f"(an intercept, or effects of covariates) {'it multiplies' if one else 'they multiply'}; "
        "a free path may start only where the model fixes the mean to zero"
    )


def _determined(conditioned: Conditioned[D], table: ParameterTable) -> Conditioned[D]:
    if conditioned.lost:
        names = listed(involved(conditioned.at.basis[:, : conditioned.lost], table.names))
        raise IdentificationError(
            f"the model is not identified by REML: the fixed effects leave no data that determine "
            f"{names}. Take fixed effects out, or random ones."
        )
    return conditioned


def _likelihood_at(
    problem: Problem,
    objective: Objective[Any, Any],
    optimum: Optimum[Any],
    fixed: Array,
    others: Array,
) -> Optimum[Any]:
    """The optimum as one of the likelihood's, which robust errors and predictions ask."""
    point = problem.inner.evaluate(optimum.params)
    if point is None:
        raise EstimationError("the likelihood does not exist at the REML estimates.")
    there = point, np.eye(len(optimum.params)), optimum.n_iterations, optimum.distance
    if isinstance(optimum, Stopped):
        return Stopped(*there, optimum.reason, optimum.where, optimum.loglik, flat=optimum.singular)
    root, lost = _root(objective, optimum, others)
    bread = root
    if isinstance(optimum, Stationary):
        observed = inverse_root(dense(optimum.observed))
        bread = root if observed is None else optimum.at.basis @ observed
    root, bread = (np.concatenate((fixed @ optimum.point.root, each), 1) for each in (root, bread))
    return RestrictedMaximum(*there, optimum.loglik, root, bread, lost, optimum.singular)


def _root(
    objective: Objective[Any, Any], optimum: Optimum[Any], others: Array
) -> tuple[Array, Array]:
    """R with R Rᵀ the covariance of the covariance parameters, and directions that are lost."""
    if isinstance(optimum, Stationary):
        root = inverse_root(objective.expected(optimum.point, optimum.at))
        if root is not None:
            return optimum.at.basis @ root, others[:, :0]
    at = objective.conditioned(optimum.point, others)
    basis, lost = at.at.basis[:, at.lost :], at.at.basis[:, : at.lost]
    root = inverse_root(dense(at.expected)[at.lost :, at.lost :])
    return (others[:, :0], others) if root is None else (basis @ root, lost)
