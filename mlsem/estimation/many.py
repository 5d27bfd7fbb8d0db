"""The estimates of one model for many data sets as those of one, whose arrays have the data sets on
their first axis.

Of random intercepts with complete data, whose clusters have the same sizes one by one and are those
of the robust covariance, at maxima over all parameters. Directions and informations of such
estimates are those of `Estimates`; what is of one data set alone (posteriors, draws, restricted
likelihoods) they do not have.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from mlsem.core.intercepts.objective import (
    InterceptClusters,
    InterceptObjective,
    clusters_of_many,
    objective_of_many,
)
from mlsem.core.optimise.optimum import Stationary
from mlsem.estimation.directions import Directions
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.problem import Problem
from mlsem.estimation.together import design_of


def alike(fits: Mapping[int, Estimates]) -> list[dict[int, Estimates]]:
    """Estimates of one table, by number, that differ in their moments alone; others left out."""
    found: dict[Hashable, dict[int, Estimates]] = {}
    for number, each in fits.items():
        problem = each.problem
        if _is_plain(each):
            design = design_of(problem.inner), problem.moments.sizes.tobytes()
            found.setdefault(design, {})[number] = each
    return list(found.values())


def _is_plain(estimates: Estimates) -> bool:
    """Whether it is a maximum over all parameters, each a direction of its own."""
    problem, optimum, moments = estimates.problem, estimates.optimum, estimates.problem.moments
    return (
        isinstance(problem, Problem)
        and isinstance(problem.inner, InterceptObjective)
        and isinstance(problem.clusters, InterceptClusters)
        and problem.coordinates.same
        and problem.robust.same
        and not moments.is_weighted
        and isinstance(optimum, Stationary)
        and not optimum.singular
        and optimum.at.basis is optimum.free
        and optimum.free.shape[0] == optimum.free.shape[1]
    )


def estimates_of_many(fits: Sequence[Estimates]) -> Estimates[Problem]:
    """Those of data sets that are `alike`."""
    first = cast("Estimates[Problem]", fits[0])
    problem, free = first.problem, first.optimum.free
    objective = objective_of_many([each.problem.inner for each in fits])
    clusters = clusters_of_many([each.problem.clusters for each in fits])
    point = objective.evaluate(np.array([each.optimum.params for each in fits]))
    assert point is not None  # of many there is always something
    views = {"objective": objective, "inner": objective, "clusters": clusters}
    at = objective.derivatives(point, free)
    observed = np.array([cast("Stationary", each.optimum).observed for each in fits])
    return replace(
        first,
        problem=replace(problem, moments=clusters.moments, **views),
        optimum=Stationary(point, free, 0, 0.0, at, observed),
    )


def directions_of_many(estimates: Estimates[Problem], *, apart: bool) -> Directions:
    """As `Estimates.directions`, or `directions_apart`, where they need no conditioning."""
    inner, optimum = estimates.problem.inner, estimates.optimum
    effects = inner.fixed_effects() if apart else None
    split = None if effects is None else effects.apart(optimum.free)
    none = np.zeros((len(optimum.free), 0))
    if split is None or not split[0].shape[1]:
        return Directions(optimum.free, cast("Stationary", optimum).at, none)
    basis = np.concatenate(split, axis=1)
    return Directions(basis, inner.derivatives(optimum.point, basis), none, split[0].shape[1])
