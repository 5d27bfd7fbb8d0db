"""Maxima over positive semidefinite covariances of the random effects, as lme4 fits them.

What latent variables leave of random effects that they explain is no covariance matrix of these,
and may have a negative variance; where there is no maximum without a bound, it is bounded as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mlsem.core.factored import Factors, factored, random_effect_factors
from mlsem.core.objective import D, Objective, P
from mlsem.core.optimize import Optimum, maximize
from mlsem.core.pattern import ModelPattern
from mlsem.core.records import Array
from mlsem.estimate import inside
from mlsem.spec.settings import Settings

UNBOUNDED = 40  # iterations without the bound; an optimum that is there takes fewer than 15


def shorter(settings: Settings) -> Settings:
    """For a search without the bound."""
    return replace(settings, max_iter=min(UNBOUNDED, settings.max_iter))


def kept(pattern: ModelPattern, found: Optimum[Any]) -> Factors:
    """What is kept positive semidefinite: the covariances of the random effects; where there is
    no maximum without a bound, what latent variables leave of them as well."""
    return random_effect_factors(pattern, explained=not found.converged)


def is_inside(found: Optimum[Any], factors: Factors) -> bool:
    """Whether the search without the bound found what the one with it would find."""
    return found.converged and factors.inside(found.params)


def bounded(
    objective: Objective[P, D],
    params: Array,
    free: Array | None,
    settings: Settings,
    factors: Factors,
) -> Optimum[P]:
    """The maximum over positive semidefinite matrices, as an optimum of the objective itself:
    without derivatives, for on the boundary its gradient is not zero."""
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


def settled(found: Optimum[Any], before: int, factors: Factors) -> Optimum[Any]:
    """With the iterations before it, and whether it lies on the boundary."""
    sigma2 = float(found.point.within.sigma.diagonal().min())
    return replace(
        found,
        n_iterations=before + found.n_iterations,
        singular=factors.singular(found.params, sigma2),
    )
