"""Starts that nonlinear constraints allow: inside their domain, and on each side.

What `abs(a) == 0.3`, `a^2 == 0.09` or `(a - 1)*(a + 2) == 0` allow falls into pieces, between which
no search moves: the start decides. As one parameter alone moves, a constraint may hold again at
other values; these are starts in the other pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice, product

import numpy as np

from mlsem.core.implied.point import Point
from mlsem.core.optimise.optimum import Optimum
from mlsem.core.records import Array
from mlsem.errors import EstimationError
from mlsem.estimation.posed import Posed
from mlsem.model.expressions import CompiledExpression, compile_constraints, compiled_pairs
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import ParameterTable

SIDES = 12  # starts on other sides of all constraints together
APART = 1e-6  # of a parameter's size, that tells roots apart

Move = tuple[int, float]
"""A parameter's position, and where it goes."""


def in_domain(problem: Posed, first: Point) -> Point:
    """The start, or the nearest with one parameter of a constraint moved, at which all of them
    have a value and a slope.

    Raises
    ------
    EstimationError
        There is none.
    """
    table, params = problem.table, first.params
    compiled = compile_constraints(table)
    for count, (constraint, each) in enumerate(zip(table.constraints, compiled, strict=True), 1):
        if _defined(each, params):
            continue
        nearest = _nearest_defined(problem, params, each, compiled[:count])
        if nearest is None:
            shown = ", ".join(f"{table.names[k]} = {params[k]:.3g}" for k in each.positions)
            raise EstimationError(
                f"the constraint {constraint.source} has no value at the starting values "
                f"({shown}), and none was found near them: give starting values (start=) at "
                "which it has."
            )
        first, params = nearest, nearest.params
    return first


def _defined(constraint: CompiledExpression, params: Array) -> bool:
    finite = np.isfinite(constraint.value(params))
    return bool(finite and np.isfinite(constraint.gradient(params)).all())


def _nearest_defined(
    problem: Posed,
    params: Array,
    constraint: CompiledExpression,
    all_of: tuple[CompiledExpression, ...],
) -> Point | None:
    moves = [
        (abs(t - params[k]), k, t)
        for k in constraint.positions.tolist()
        for t in _around(float(params[k])).tolist()
    ]
    for _, k, t in sorted(moves):
        moved = _moved(params, ((k, t),))
        if all(_defined(each, moved) for each in all_of):
            point = problem.inner.evaluate(moved)
            if point is not None:
                return point
    return None


def other_sides(problem: Posed, first: Point, optimum: Optimum) -> Iterator[Point]:
    """Starts at which nonlinear constraints hold on other sides than at an optimum; than at the
    start, where there is no optimum."""
    base = optimum.params if optimum.converged else first.params
    sides = [
        [None, *_roots(each.value, base, each.positions.tolist(), parameter_bounds(problem.table))]
        for each in _deciding(problem.table, optimum)
    ]
    for moves in islice(product(*sides), 1, SIDES + 1):  # the first moves nothing
        chosen = tuple(move for move in moves if move is not None)
        both = (problem.inner.evaluate(_moved(each, chosen)) for each in (base, first.params))
        point = next((point for point in both if point is not None), None)
        if point is not None:
            yield point


def _deciding(table: ParameterTable, optimum: Optimum) -> Iterator[CompiledExpression]:
    """Nonlinear equalities, and inequalities that hold with equality."""
    inequalities = 0
    for constraint, each in compiled_pairs(table):
        binds = constraint.equality
        if not constraint.equality:
            binds = inequalities in optimum.active or not optimum.converged
            inequalities += 1
        if binds and each.linear_form() is None:
            yield each


def _roots(
    value: Callable[[Array], float], params: Array, places: list[int], bounds: tuple[Array, Array]
) -> Iterator[Move]:
    """Where a constraint holds with equality, one parameter moved and the others as they are."""
    from scipy.optimize import brentq

    for place in places:

        def at(t: float, place: int = place) -> float:
            return float(value(_moved(params, ((place, t),))))

        own, nodes = float(params[place]), _around(float(params[place]))
        values = np.array([at(t) for t in nodes.tolist()])
        roots = nodes[values == 0.0].tolist()
        for k in np.flatnonzero(values[:-1] * values[1:] < 0.0).tolist():
            with suppress(ValueError):  # no value in between
                root = float(brentq(at, nodes[k], nodes[k + 1], rtol=1e-14, disp=False))
                if abs(at(root)) < 0.5 * max(abs(values[k]), abs(values[k + 1])):  # else a pole
                    roots.append(root)
        low, high = bounds[0][place], bounds[1][place]
        for root in roots:
            if low <= root <= high and abs(root - own) > APART * max(abs(own), abs(root)):
                yield place, root


def _around(value: float) -> Array:
    """Points on both sides of a parameter's value, of zero and of one, ever farther away."""
    near, far = np.geomspace(1e-4, 1.0, 13), np.geomspace(1e-3, 1e3, 25)
    steps = abs(value) * near
    sizes = np.concatenate((far, abs(value) * far))
    return np.unique(np.concatenate((value + steps, value - steps, sizes, -sizes, [0.0])))


def _moved(params: Array, moves: tuple[Move, ...]) -> Array:
    moved = params.copy()
    for place, value in moves:
        moved[place] = value
    return moved
