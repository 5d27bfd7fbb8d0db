"""What is maximised, and over which covariances: the estimators behind one function.

Maximum likelihood of a structural equation model is unbounded: a variance may become negative.
Mixed models (`lmm`) and all fits by REML are fitted over positive semidefinite covariances of the
random effects, as lme4 fits them: first without that bound, which is quick, and with it where the
optimum is outside. A structural equation model that has no maximum, by REML or with random slopes,
is fitted over positive semidefinite matrices too.
"""

from __future__ import annotations

from mlsem.bounded import bounded, is_inside, kept, settled, shorter
from mlsem.core.factored import random_effect_factors
from mlsem.core.optimize import Optimum
from mlsem.estimate import estimate_from, numerically, starting_point
from mlsem.problem import Problem, restricted
from mlsem.reml import by_reml
from mlsem.search import estimate
from mlsem.spec.settings import Settings


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
        return by_reml(problem, settings, start)
    if problem.table.semidefinite:
        return _mixed(problem, settings, start)
    found = estimate(problem, settings, start)  # its tries may find a higher maximum, outside
    if found.converged or not problem.table.slopes or len(restricted(problem.table)):
        return found
    factors = random_effect_factors(problem.inner.pattern)
    first = starting_point(problem, start).params
    with numerically():
        again = bounded(problem.inner, first, None, settings, factors)
    return settled(again, found.n_iterations, factors) if again.converged else found


def _mixed(problem: Problem, settings: Settings, start: object) -> Optimum:
    first = starting_point(problem, start)
    found = estimate_from(problem, shorter(settings), first)
    factors = kept(problem.inner.pattern, found)
    if is_inside(found, factors):
        return settled(found, 0, factors)
    with numerically():
        again = bounded(problem.inner, first.params, None, settings, factors)
    return settled(again, found.n_iterations, factors)
