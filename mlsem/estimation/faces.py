"""Maxima over positive semidefinite matrices, by the faces on which they lie.

From a point near the maximum a search takes the matrices of the rank that they have there and
maximises over these (`core.optimise.factored`); a column of Λ that goes to zero leaves, and where ℓ
rises with a further one it comes in, until there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mlsem.core.implied.point import P
from mlsem.core.optimise.factored import FactoredPoint, Factors, factored
from mlsem.core.optimise.maximise import by_trust_region, climb
from mlsem.core.optimise.objective import D, Objective
from mlsem.core.optimise.optimum import Maximum, Optimum, Stopped
from mlsem.core.records import Array
from mlsem.errors import EstimationError
from mlsem.estimation.settings import Settings

SLIGHT = 1e-3  # eigenvalues of Σ* that are left out where a search ends without a maximum
RISES = 1e-4  # standard errors to the maximum along a further column that are none
SHRINKS = 8  # halvings of a further column


def bounded(
    objective: Objective[P, D],
    begin: Iterator[Array],
    free: Array,
    settings: Settings,
    factors: Factors,
    looks: int = 1,
) -> Optimum[P]:
    """The highest maximum over positive semidefinite matrices, as an optimum of the objective
    itself: without derivatives, for on the boundary its gradient is not zero.

    Parameters
    ----------
    begin : iterator of (npar,)
        Starts.
    free : (npar, n)
        Directions of one parameter each.
    looks : int
        Starts that shall have led to a maximum.

    Raises
    ------
    EstimationError
        None of the starts is inside the parameter space.
    """
    best: Optimum[P] | None = None
    spent = maxima = 0
    for params in begin:
        optimum = _reached(objective, params, free, settings, factors)
        if optimum is None:
            continue
        spent += optimum.n_iterations
        maxima += optimum.converged
        if best is None or (optimum.converged, optimum.loglik) > (best.converged, best.loglik):
            best = optimum
        if maxima == looks:
            break
    if best is None:
        raise EstimationError(
            "the estimation found no point at which all covariance matrices are positive "
            "definite: give other starting values (start=), or simplify the model."
        )
    return replace(best, n_iterations=spent)


def concluded(
    objective: Objective[P, D], free: Array, again: Optimum[P], *, singular: bool
) -> Optimum[P]:
    """What `bounded` found, with what is known of the matrices there: whether one is singular."""
    if isinstance(again, Stopped):
        return replace(again, flat=singular)
    assert isinstance(again, Maximum)
    if singular:
        return again.at_boundary()
    at = objective.conditioned(again.point, free).at
    return again.with_derivatives(at, objective.observed(again.point, at))


def _reached(
    objective: Objective[P, D], params: Array, free: Array, settings: Settings, factors: Factors
) -> Optimum[P] | None:
    """What a start leads to; None if that breaks down, for it may be a bad one."""
    try:
        return _over_faces(objective, params, free, settings, factors)
    except np.linalg.LinAlgError:
        return None


def _over_faces(
    objective: Objective[P, D], params: Array, free: Array, settings: Settings, factors: Factors
) -> Optimum[P] | None:
    """The maximum that a start leads to; None if the start is outside the parameter space.

    Where steps lead nowhere, a column that goes to zero is the usual cause: it leaves. Once one
    has come in again, a trust region tells.
    """
    face, x = factors.facing(params)
    so_far = None
    spent, patient = 0, False
    for _ in range(2 * (factors.rank + 1)):
        outer = factored(objective, face)
        first = outer.evaluate(x)
        if first is None:
            return so_far
        along, most = face.along(x, free), settings.max_iter - spent
        if most <= 0:
            return so_far and so_far.stopped("max_iter")
        at = outer.conditioned(first, along)
        reached = climb(outer, first, along, at, tol=settings.tol, max_iter=most)
        lower, x = _left(factors, reached, patient)
        if not reached.converged and lower.rank == face.rank:
            done = reached.n_iterations
            reached = by_trust_region(outer, reached.point, along, settings.tol, done, most)
            lower, x = _left(factors, reached, patient)
        spent += reached.n_iterations
        point = reached.point.point
        so_far = Maximum(point, free, spent, reached.distance)
        if isinstance(reached, Stopped):
            so_far = so_far.stopped(reached.reason)
        if lower.rank < face.rank:
            face = lower
            continue
        further = _further(objective, point, reached.point.params, face)
        if not reached.converged or further is None:
            return so_far
        (face, x), patient = factors.facing(further), True
    return so_far and so_far.stopped("stalled")


def _left(
    factors: Factors, reached: Optimum[FactoredPoint[Any]], patient: bool
) -> tuple[Factors, Array]:
    """The face without the columns that went to zero, or are about to."""
    params = reached.point.point.params
    if reached.converged or patient:
        return factors.facing(params)
    return factors.facing(params, SLIGHT)


def _further(objective: Objective[P, D], point: P, x: Array, face: Factors) -> Array | None:
    """Parameters with a column more, at which ℓ is higher; None at a maximum."""
    gradient = objective.derivatives(point, np.eye(len(x))).gradient
    for block in face.blocks:
        slope, column = block.rising(x, gradient)
        if slope <= 0.0:
            continue
        way = np.zeros(len(x))
        way[block.cells] = np.outer(column, column)
        at = objective.derivatives(point, way[:, None])
        information = float(objective.expected(point, at)[0, 0])
        if not slope**2 > RISES**2 * information:
            continue
        step = slope / information if information > 0.0 else 1.0
        for _ in range(SHRINKS):
            moved = objective.evaluate(point.params + step * way)
            if moved is not None and moved.loglik > point.loglik:
                return moved.params
            step *= 0.5
    return None
