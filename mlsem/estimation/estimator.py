"""What is maximised, and over which covariances: the estimators behind one function.

Maximum likelihood of a structural equation model is unbounded: a variance may become negative.
Mixed models (`lmm`) and all fits by REML are fitted over positive semidefinite covariances of the
random effects, as lme4 fits them: first without that bound, which is quick, and with it where the
optimum is outside. A structural equation model that has no maximum, by REML or with random slopes,
is fitted over positive semidefinite matrices too.
"""

from __future__ import annotations

import numpy as np

from mlsem.core.optimise.maximise import Optimum, climb
from mlsem.estimation.ml import identified, numerically, starting_point
from mlsem.estimation.problem import Problem, restricted
from mlsem.estimation.reml import by_reml
from mlsem.estimation.search import estimate
from mlsem.estimation.semidefinite import inside_bound, shorter
from mlsem.estimation.separable import require_separable
from mlsem.estimation.settings import Settings


def optimum_of(problem: Problem, settings: Settings, start: object = None) -> Optimum:
    """Find the estimates by the estimator of the settings.

    Raises
    ------
    SpecificationError
        The model cannot be fitted by REML.
    IdentificationError, EstimationError
        As `estimate`.
    """
    require_separable(problem)
    if settings.estimator == "REML":
        return by_reml(problem, settings, start)
    if problem.table.semidefinite:
        return _mixed(problem, settings, start)
    found = estimate(problem, settings, start)  # its tries may find a higher maximum, outside
    if found.converged or not problem.table.slopes or len(restricted(problem.table)):
        return found
    again = _inside_bound(problem, settings, start, found)
    return again if again.converged else found


def _mixed(problem: Problem, settings: Settings, start: object) -> Optimum:
    """Without the bound first; where that makes no progress, a trust region would only find out
    that there is no maximum."""
    first, most = starting_point(problem, start), shorter(settings).max_iter
    free = np.eye(len(first.params))
    with numerically():
        at = problem.inner.conditioned(first, free)
        if at.lost:
            first, at = identified(problem, first, free, at)
        found = climb(problem.inner, first, free, at, tol=settings.tol, max_iter=most)
    return _inside_bound(problem, settings, start, found)


def _inside_bound(problem: Problem, settings: Settings, start: object, found: Optimum) -> Optimum:
    first = starting_point(problem, start).params
    with numerically():
        return inside_bound(problem, problem.inner, found, first, np.eye(len(first)), settings)
