"""What is maximised, and over which covariances: the estimators behind one function.

ML puts no bounds on variances: in a structural equation model one may become negative.
Mixed models (`lmm`) and all fits by REML are fitted over positive semidefinite covariances of the
random effects, as lme4 fits them: first without that bound, which is quick, and with it where the
optimum is outside. A structural equation model that has no maximum, by REML or with random slopes,
is fitted over positive semidefinite matrices too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from secrets import randbits
from typing import Any

import numpy as np

from mlsem.core.implied.point import Point
from mlsem.core.optimise.maximise import climb
from mlsem.core.optimise.optimum import Optimum, RandomStarts, as_high
from mlsem.core.records import Array, frozen
from mlsem.errors import EstimationError, IdentificationError, SpecificationError, in_group
from mlsem.estimation.maximum_within import brought_within, maximum_within
from mlsem.estimation.ml import given_values, identified, numerically, starting_point
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import Problem, restricted
from mlsem.estimation.reml import by_reml
from mlsem.estimation.search import estimate, random_params
from mlsem.estimation.semidefinite import Semidefinite
from mlsem.estimation.separable import require_separable
from mlsem.estimation.settings import Settings

TRY = 100  # iterations of a search from a random start


@dataclass(frozen=True, slots=True, eq=False)
class Nearby:
    """Estimates (npar,) from data like these, where a search may begin; it begins as usual where
    that leads nowhere."""

    params: Array


def optimum_of(problem: Posed, settings: Settings, start: object = None) -> Optimum:
    """Find the estimates by the estimator of the settings; unless a start is given, from as many
    random starts beside the usual one as they ask for.

    Raises
    ------
    SpecificationError
        The model cannot be fitted by REML.
    IdentificationError, EstimationError
        As `estimate`.
    """
    own = _in_units(problem, settings)
    if isinstance(start, Nearby):
        near = _tried(problem, own, start.params)
        if near is not None:
            return near
        start = None
    for group in problem.groups:
        require_separable(group.problem)
    if problem.separate:
        return _apart(problem, settings, start)
    if start is None and settings.starts:
        return _highest(problem, own)
    return _reached(problem, own, start)


def _in_units(problem: Posed, settings: Settings) -> Settings:
    """`tol` is in standard errors of rows that count one each. Where they count w on average, the
    same step is √w of what the log-likelihood takes for a standard error."""
    moments = [group.problem.moments for group in problem.groups]
    unit = sum(each.row_weights.sum() for each in moments) / sum(each.n_rows for each in moments)
    return replace(settings, tol=settings.tol * np.sqrt(unit)) if unit < 1.0 else settings


def _apart(problem: Posed, settings: Settings, start: object) -> Optimum:
    """The maxima of groups that have nothing in common, each found on its own."""
    from mlsem.estimation.groups import joined  # for few fits
    from mlsem.parallel.progress import bar

    given = None if start is None else dict(given_values(start, problem.table.names))
    found: list[Optimum] = []
    with bar(len(problem.groups), "groups") as advance:
        for group in problem.groups:
            own = group.problem.table.names
            begin = given and {name: given[name] for name in own if name in given}
            with in_group(group.label):
                found.append(optimum_of(group.problem, settings, begin))
            advance(1)
    return joined(problem, found)


def _highest(problem: Posed, settings: Settings) -> Optimum:
    """The highest maximum of the usual search and of those from random starts: of equal ones the
    first, the usual search being before the others."""
    from mlsem.parallel.progress import bar  # for few fits

    seed = randbits(32) if settings.seed is None else settings.seed
    generator = np.random.default_rng(seed)
    limited = settings.limited(TRY)
    first = starting_point(problem, None)
    usual: Optimum | EstimationError
    try:
        usual = _reached(problem, settings, None)
    except EstimationError as error:
        usual = error
    best = usual if isinstance(usual, Optimum) and usual.converged else None
    level = np.nan if best is None else best.loglik
    logliks = np.full(settings.starts, np.nan)
    with bar(settings.starts, "random starts") as advance:
        for k in range(settings.starts):
            drawn = random_params(problem, first, generator)
            other = None if drawn is None else _tried(problem, limited, drawn)
            if other is not None:
                logliks[k] = other.loglik
                if best is None or not as_high(best.loglik, other.loglik):
                    best = other
            advance(1)
    highest = best or usual
    if isinstance(highest, EstimationError):
        raise highest
    return replace(highest, starts=RandomStarts(seed, level, frozen(logliks)))


def _tried(problem: Posed, settings: Settings, start: Array) -> Optimum | None:
    """The maximum that a random start leads to."""
    try:
        optimum = _reached(problem, settings, start)
    except (EstimationError, IdentificationError):
        return None
    return optimum if optimum.converged else None


def _reached(problem: Posed, settings: Settings, start: object) -> Optimum:
    if settings.estimator == "REML":
        return by_reml(_one(problem), settings, start)
    if problem.table.semidefinite:
        return _mixed(problem, settings, start)
    optimum = estimate(problem, settings, start)  # its tries may find a higher maximum, outside
    if optimum.converged or not problem.table.slopes or len(restricted(problem.table)):
        return optimum
    with numerically():
        again = brought_within(
            _semidefinite(problem, settings, starting_point(problem, start)), optimum
        )
    return again if again.converged else optimum


def _one(problem: Posed) -> Problem:
    if isinstance(problem, Problem):
        return problem
    raise SpecificationError(
        'estimator="REML" takes groups that share no parameter and no constraint: the restricted '
        'likelihood is defined by the free fixed effects of each. Use estimator="ML".'
    )


def _mixed(problem: Posed, settings: Settings, start: object) -> Optimum:
    """Without the bound first; where that makes no progress, a trust region would only find out
    that there is no maximum."""
    first = starting_point(problem, start)
    with numerically():
        bound = _semidefinite(problem, settings, first)
        at = problem.inner.conditioned(first, bound.free)
        if at.lost:
            first, at = identified(problem, first, bound.free, at)

        def without(limited: Settings) -> Optimum:
            most = limited.max_iter
            return climb(problem.inner, first, bound.free, at, tol=limited.tol, max_iter=most)

        return maximum_within(bound, without, settings)


def _semidefinite(problem: Posed, settings: Settings, first: Point) -> Semidefinite[Any, Any]:
    unit = np.eye(len(first.params))
    return Semidefinite(problem, problem.inner, first.params, unit, settings)
