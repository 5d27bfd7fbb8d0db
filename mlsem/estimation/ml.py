"""From a specified model, its data and a start to the optimum, and what to say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.point import Point
from mlsem.core.linalg import null_space
from mlsem.core.optimise.constrained import ConstraintFunctions
from mlsem.core.optimise.maximise import maximise
from mlsem.core.optimise.objective import Conditioned
from mlsem.core.optimise.optimum import Maximum, Optimum
from mlsem.core.records import Array
from mlsem.errors import (
    EstimationError,
    IdentificationError,
    OptionValueError,
    SpecificationError,
    listed,
    nearest,
)
from mlsem.estimation.maximum_within import maximum_within
from mlsem.estimation.posed import Posed
from mlsem.estimation.settings import Settings
from mlsem.estimation.start import safer_starts
from mlsem.model.expressions import CompiledExpression, compile_constraints, equality_space
from mlsem.model.pattern import parameter_bounds
from mlsem.model.table import ParameterTable

NUDGES = 3  # points at which an information matrix must be singular to be so everywhere

T = TypeVar("T")


def estimate_from(problem: Posed, settings: Settings, first: Point) -> Optimum:
    """The maximum that this start leads to."""
    with numerically():
        return _maximised(problem, settings, first)


@contextmanager
def numerically() -> Iterator[None]:
    """What numpy cannot go on with is an error of the estimation."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise EstimationError(
            f"the estimation broke down numerically ({error}): give other starting values "
            "(start=), or simplify the model."
        ) from error


def _maximised(problem: Posed, settings: Settings, first: Point) -> Optimum:
    constraints = compile_constraints(problem.table)
    rows, values, others = _linear_equalities(problem.table, constraints)
    lower, upper = parameter_bounds(problem.table)
    if others:
        return _estimate_constrained(problem, settings, first, constraints)
    if not (np.isfinite(lower) | np.isfinite(upper)).any():
        return _unbounded(problem, settings, first, rows, values)
    return maximum_within(
        _Limits(problem, settings, first, constraints, lower, upper),
        lambda limited: _unbounded(problem, limited, first, rows, values),
        settings,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    """Bounds of single parameters."""

    problem: Posed
    settings: Settings
    first: Point
    constraints: tuple[CompiledExpression, ...]
    lower: Array
    upper: Array

    def accepted(self, maximum: Maximum) -> Maximum | None:
        inside = ((self.lower <= maximum.params) & (maximum.params <= self.upper)).all()
        return maximum if inside else None

    def searched(self, outside: Optimum) -> Optimum:
        """From the start or from near where the search without the bounds ended, whichever is
        higher; then from the other."""
        near = self.problem.inner.evaluate(np.clip(outside.params, self.lower, self.upper))
        starts = [self.first] if near is None else [self.first, near]
        again, spent = outside, 0
        for start in sorted(starts, key=lambda each: -each.loglik):
            again = _estimate_constrained(self.problem, self.settings, start, self.constraints)
            spent += again.n_iterations
            if again.converged:
                break
        return replace(again, n_iterations=spent)


def _unbounded(
    problem: Posed, settings: Settings, first: Point, rows: Array, values: Array
) -> Optimum:
    """The maximum under Rθ + r = 0 alone."""
    free = np.eye(len(first.params))
    if len(rows):
        free = null_space(rows)
        first = _feasible(problem, first.params, rows, values)
    at_start = problem.inner.conditioned(first, free)
    if at_start.lost:
        first, at_start = identified(problem, first, free, at_start)
    return maximise(
        problem.inner,
        first,
        free,
        at_start,
        tol=settings.tol,
        max_iter=settings.max_iter,
        watch=problem.watch(first),
    )


def _estimate_constrained(
    problem: Posed,
    settings: Settings,
    first: Point,
    constraints: tuple[CompiledExpression, ...],
) -> Optimum:
    from mlsem.core.optimise.constrained import maximise_constrained

    functions = constraint_functions(problem.table, constraints)
    pairs = tuple(zip(problem.table.constraints, constraints, strict=True))

    def free(params: Array) -> Array:
        """A bound that is active says nothing of the model."""
        return equality_space(pairs, params)

    at_start = problem.inner.conditioned(first, free(first.params))
    if at_start.lost:
        first, _ = _nearby(problem, first, free, at_start)
    return maximise_constrained(
        problem.inner,
        first,
        functions,
        tol=settings.tol,
        max_iter=settings.max_iter,
        watch=problem.watch(first),
    )


def starting_point(problem: Posed, start: object) -> Point:
    """The user's starting values over the default ones, as a point inside."""
    params = starting_params(problem, start)
    point = None if params is None else problem.inner.evaluate(params)
    return inside(point or _safer(problem, start))


def _safer(problem: Posed, start: object) -> Point | None:
    """The first of ever more careful starts that is inside; what the user gave stays."""
    given = dict(given_values(start, problem.table.names))
    given_places = np.array([name in given for name in problem.table.names])
    values = np.array([given.get(name, 0.0) for name in problem.table.names])
    for guess in safer_starts(problem, given_places, values):
        point = problem.inner.evaluate(problem.coordinates.to_internal(guess))
        if point is not None:
            return point
    return None


def inside(value: T | None) -> T:
    """What was found at the starting values, if they are inside the parameter space."""
    if value is None:
        raise EstimationError(
            "the starting values are outside the parameter space: a covariance matrix that they "
            "imply is not positive definite. Change start= (or start()* in the model), and see "
            "that no variance is missing: mlsem.lavaan adds those that the model does not name "
            "only with auto_var=True."
        )
    return value


def starting_params(problem: Posed, start: object) -> Array | None:
    """The user's starting values over the default ones, as parameters of the optimiser; None if
    they are seen to be outside."""
    params = problem.guess.copy()
    given = given_values(start, problem.table.names)
    for name, value in given:
        params[problem.table.names.index(name)] = value
    if problem.coordinates.same:
        return params
    if problem.objective.evaluate(params) is None:
        return None
    inner = problem.coordinates.to_internal(params)
    return inner if given else problem.at_sample_means(inner)


def given_values(start: object, names: tuple[str, ...]) -> list[tuple[str, float]]:
    """User's starting values by name: a mapping, a Series, or one value per parameter."""
    if start is None:
        return []
    start = getattr(start, "params", start)  # of another fit
    if hasattr(start, "items"):
        pairs = [(str(name), value) for name, value in start.items()]  # type: ignore[attr-defined]
    else:
        values = _array(start)
        if values.shape != (len(names),):
            raise OptionValueError(
                f"start has shape {values.shape}; it takes a mapping of parameter names to "
                f"values, or {len(names)} values in the order {listed(names)}."
            )
        pairs = list(zip(names, values.tolist(), strict=True))
    for name, value in pairs:
        if name not in names:
            raise OptionValueError(f"start names no parameter {name!r}.{nearest(name, names)}")
        if not isinstance(value, (int, float, np.number)) or not np.isfinite(value):
            raise OptionValueError(f"start[{name!r}]={value!r} is not a finite number.")
    return [(name, float(value)) for name, value in pairs]


def _array(values: object) -> Array:
    try:
        return np.asarray(values)
    except Exception as error:  # of unequal lengths, or whatever an object raises
        raise OptionValueError(
            f"start is a {type(values).__name__} that is no array of numbers."
        ) from error


def _feasible(problem: Posed, params: Array, rows: Array, values: Array) -> Point:
    """The nearest point that meets Rθ + r = 0."""
    point = problem.inner.evaluate(_projected(params, rows, values))
    if point is None:
        raise EstimationError(
            "no starting point meets the equality constraints inside the parameter space: give "
            "starting values (start=) that do."
        )
    return point


def _projected(params: Array, rows: Array, values: Array) -> Array:
    return params - np.linalg.pinv(rows) @ (rows @ params + values)


def nearest_feasible(table: ParameterTable, params: Array) -> Array:
    """The nearest parameters that meet the linear equalities."""
    rows, values, _ = _linear_equalities(table, compile_constraints(table))
    return _projected(params, rows, values) if len(rows) else params


def _linear_equalities(
    table: ParameterTable, constraints: tuple[CompiledExpression, ...]
) -> tuple[Array, Array, bool]:
    """R, r of the linear equalities Rθ + r = 0, rows of length 1, and whether there are other
    constraints.

    Raises
    ------
    SpecificationError
        They cannot hold, or not together.
    """
    rows, values, others = [], [], False
    for constraint, compiled in zip(table.constraints, constraints, strict=True):
        form = compiled.linear_form() if constraint.equality else None
        if form is None:
            others = True
            continue
        row, value = form
        if not row.any():
            if not abs(value) <= 1e-12:
                raise SpecificationError(f"the constraint {constraint.source} cannot hold.")
            continue
        length = row_length(row)
        rows.append(row / length)
        values.append(value / length)
    matrix = np.array(rows).reshape(len(rows), len(table.names))
    offset = np.array(values)
    if len(rows):
        solution = -np.linalg.pinv(matrix) @ offset
        if not np.abs(matrix @ solution + offset).max() <= 1e-8 * (1 + np.abs(offset).max()):
            sources = listed(c.source for c in table.constraints if c.equality)
            raise SpecificationError(f"the constraints contradict each other: {sources}.")
    return matrix, offset, others


def row_length(row: Array) -> float:
    """Euclidean length, also of numbers whose squares are too large or too small."""
    largest = float(np.abs(row).max())
    return largest * float(np.linalg.norm(row / largest))


def constraint_functions(
    table: ParameterTable, compiled: tuple[CompiledExpression, ...]
) -> ConstraintFunctions:
    """All restrictions as functions with exact gradients."""

    def function(each: CompiledExpression) -> Callable[[NDArray], tuple[complex, NDArray]]:
        form = each.linear_form()
        scale = 1.0 if form is None or not form[0].any() else 1.0 / row_length(form[0])
        return lambda params: (scale * each.value(params), scale * each.gradient(params))

    pairs = list(zip(table.constraints, compiled, strict=True))
    return ConstraintFunctions(
        tuple(function(each) for constraint, each in pairs if constraint.equality),
        tuple(function(each) for constraint, each in pairs if not constraint.equality),
        *parameter_bounds(table),
    )


def identified(
    problem: Posed, point: Point, free: Array, singular: Conditioned
) -> tuple[Point, Conditioned]:
    """A point near `point` where the information is not singular, as it is there.

    Raises
    ------
    IdentificationError
        There is none: it is singular by the model, not by chance.
    """
    return _nearby(problem, point, lambda _: free, singular)


def _nearby(
    problem: Posed, point: Point, space: Callable[[Array], Array], conditioned: Conditioned
) -> tuple[Point, Conditioned]:
    """As `identified`, where nonlinear equalities leave other directions at each point."""
    generator = np.random.default_rng(20260106)
    units, free = _units(point.params), space(point.params)
    for _ in range(NUDGES):
        nudge = free @ (free.T @ (generator.uniform(-1, 1, len(free)) * units))
        moved = problem.inner.evaluate(point.params + 0.1 * nudge)
        if moved is None:
            continue
        conditioned = problem.inner.conditioned(moved, space(moved.params))
        if not conditioned.lost:
            return moved, conditioned
    names = involved(conditioned.at.basis[:, : conditioned.lost], problem.table.names)
    raise IdentificationError(
        f"the model is not identified: the data do not determine {listed(names)}. Other values "
        "of these parameters fit equally well. Fix one of them, set parameters equal, or take "
        "paths out."
    )


def _units(params: Array) -> Array:
    scale = float(np.median(np.abs(params[params != 0]))) if params.any() else 1.0
    return np.where(params == 0, scale, np.abs(params))


def involved(directions: Array, names: tuple[str, ...]) -> tuple[str, ...]:
    """Parameters with a part in directions (npar, m) of which the data say nothing."""
    lengths = np.abs(directions) / np.abs(directions).max(axis=0)
    return tuple(name for name, part in zip(names, lengths.max(axis=1), strict=True) if part > 1e-4)
