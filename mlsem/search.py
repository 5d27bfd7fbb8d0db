"""The maximum of the likelihood from as many starts as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mlsem.core.objective import Point
from mlsem.core.optimize import Optimum
from mlsem.core.records import Array
from mlsem.errors import EstimationError, IdentificationError
from mlsem.estimate import estimate_from, numerically, starting_point
from mlsem.problem import Problem, restricted, with_table
from mlsem.spec.mirror import mirror_images
from mlsem.spec.scale import FixedVariances, fix_variances
from mlsem.spec.settings import Settings
from mlsem.spec.start import CAREFUL, starting_values

EARLY = (1, 6, 20)  # iterations after which a fit that fails later is mirrored
RETRY = 25  # iterations of each further try: a maximum that is there takes fewer
BUDGET = 240  # of all further tries together
FINALISTS = 3  # tries that were cut short and go on, the highest ones
LONGER = 60  # iterations of these
HALVES = 3  # how often a mirror image outside the parameter space is brought nearer


def estimate(problem: Problem, settings: Settings, start: object = None) -> Optimum:
    """Find the maximum-likelihood estimates.

    Unless the user chose the start, a failure is followed by other starts: further inside the
    parameter space, the maximum with factor variances fixed, and mirror images of early iterates
    in the poles of small variances. The highest maximum counts.

    Raises
    ------
    IdentificationError
        The model does not determine some parameters, whatever their values.
    EstimationError
        No starting point inside the parameter space.
    """
    first = starting_point(problem, start)
    optimum = estimate_from(problem, settings, first)
    if optimum.converged or start is not None or optimum.n_iterations < EARLY[1]:
        return optimum
    tries, left = [], BUDGET
    for params in _other_starts(problem, settings, first.params):
        shorter = replace(settings, max_iter=min(RETRY, settings.max_iter, left))
        again = tried(problem, shorter, params)
        if again is None:
            continue
        tries.append(again)
        left -= max(1, again.n_iterations)
        if left <= 0:
            break
    tries += _continued(problem, settings, tries)
    found = [again for again in tries if again.converged]
    return max(found, key=lambda again: again.loglik, default=optimum)


def _continued(problem: Problem, settings: Settings, tries: list[Optimum]) -> list[Optimum]:
    """The highest tries that ran out of iterations, if higher than what converged, go on."""
    highest = max((again.loglik for again in tries if again.converged), default=-np.inf)
    open_ended = [again for again in tries if again.status == "max_iter" and again.loglik > highest]
    open_ended.sort(key=lambda again: -again.loglik)
    longer = replace(settings, max_iter=min(LONGER, settings.max_iter))
    found = (tried(problem, longer, again.params) for again in open_ended[:FINALISTS])
    return [again for again in found if again is not None]


def tried(problem: Problem, settings: Settings, params: Array) -> Optimum | None:
    """The optimum from a start, the optimiser's parameters, that may be a bad one."""
    try:
        point = evaluated(problem, params)
        return None if point is None else estimate_from(problem, settings, point)
    except (EstimationError, IdentificationError):
        return None


def evaluated(problem: Problem, params: Array) -> Point | None:
    """The point of the optimiser's parameters, if they are inside the parameter space."""
    with numerically():
        return problem.inner.evaluate(params)


def _other_starts(problem: Problem, settings: Settings, first: Array) -> Iterator[Array]:
    inward = problem.coordinates.to_internal
    yield inward(starting_values(problem.table, problem.sample, problem.maps, CAREFUL))
    if len(restricted(problem.table)):
        return  # what follows would leave the bounds, or break the constraints
    for sign in (1.0, -1.0):
        params = _rescaled(problem, settings, fix_variances(problem.table, sign))
        if params is not None:
            yield inward(params)
    for count in EARLY:
        early = tried(problem, replace(settings, max_iter=count), first)
        if early is None:
            return
        for image in mirror_images(problem.table, problem.coordinates.to_user(early.params)):
            inner = _nearer(problem, early.params, inward(image))
            if inner is not None:
                yield inner


def _nearer(problem: Problem, origin: Array, image: Array) -> Array | None:
    """The image, or the first point inside the parameter space on the way back from it."""
    for half in range(HALVES + 1):
        params = origin + 0.5**half * (image - origin)
        try:
            if evaluated(problem, params) is not None:
                return params
        except EstimationError:
            continue
    return None


def _rescaled(problem: Problem, settings: Settings, fixed: FixedVariances | None) -> Array | None:
    """The user's parameters at the maximum with factor variances fixed."""
    if fixed is None:
        return None
    other = with_table(problem, fixed.table)
    guess = other.coordinates.to_internal(other.guess)
    found = tried(other, replace(settings, max_iter=min(3 * RETRY, settings.max_iter)), guess)
    if found is None:
        return None
    return fixed.to_user(other.coordinates.to_user(found.params))
