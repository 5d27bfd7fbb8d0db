"""From a specified model and its data to the optimum, and what to say about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mlsem.core.linalg import null_space
from mlsem.core.objective import Conditioned, Point
from mlsem.core.optimize import ADVICE, Optimum, maximize
from mlsem.core.records import (
    Array,
    ConstraintFunctions,
)
from mlsem.errors import (
    EstimationError,
    IdentificationError,
    OptionValueError,
    SpecificationError,
    listed,
    nearest,
)
from mlsem.problem import Problem, restricted
from mlsem.spec.build import parameter_bounds
from mlsem.spec.constraints import CompiledExpression, compile_constraints
from mlsem.spec.mirror import mirror_images
from mlsem.spec.partable import ParameterTable
from mlsem.spec.settings import Settings
from mlsem.spec.start import CAREFUL, starting_values

EARLY = (6, 20)  # iterations after which a fit that fails later is mirrored
RETRY = 100  # iterations of each further try
RETRY_SLOPES = 60  # with random slopes: most have no maximum, and a fit within bounds follows
NUDGES = 3  # points at which an information matrix must be singular to be so everywhere

T = TypeVar("T")


def estimate(problem: Problem, settings: Settings, start: object = None) -> Optimum:
    """Find the maximum-likelihood estimates.

    Unless the user chose the start, a failure is followed by other starts: further inside the
    parameter space, and mirror images of early iterates in the poles of small variances. The
    highest maximum counts.

    Raises
    ------
    IdentificationError
        The model does not determine some parameters, whatever their values.
    EstimationError
        No starting point inside the parameter space.
    """
    first = starting_point(problem, start)
    optimum = estimate_from(problem, settings, first)
    if optimum.converged or start is not None or optimum.n_iterations < EARLY[0]:
        return optimum
    most = RETRY_SLOPES if problem.table.slopes else RETRY
    shorter = replace(settings, max_iter=min(most, settings.max_iter))
    tries = [_tried(problem, shorter, each) for each in _other_starts(problem, settings, first)]
    found = [again for again in tries if again is not None and again.converged]
    return max(found, key=lambda again: again.point.loglik, default=optimum)


def _tried(problem: Problem, settings: Settings, first: Point) -> Optimum | None:
    """The optimum from a start that may be a bad one."""
    try:
        return estimate_from(problem, settings, first)
    except (EstimationError, IdentificationError):
        return None


def _other_starts(problem: Problem, settings: Settings, first: Point) -> Iterator[Point]:
    careful = starting_values(problem.table, problem.sample, problem.maps, CAREFUL)
    point = problem.inner.evaluate(problem.coordinates.to_internal(careful))
    if point is not None:
        yield point
    if len(restricted(problem.table)):
        return  # a mirror image would leave the bounds, or break the constraints
    for count in EARLY:
        early = _tried(problem, replace(settings, max_iter=count), first)
        if early is None:
            return
        for image in mirror_images(problem.table, problem.coordinates.to_user(early.params)):
            point = problem.inner.evaluate(problem.coordinates.to_internal(image))
            if point is not None:
                yield point


def estimate_from(problem: Problem, settings: Settings, first: Point) -> Optimum:
    """The maximum that this start leads to."""
    with numerically():
        return _maximized(problem, settings, first)


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


def _maximized(problem: Problem, settings: Settings, first: Point) -> Optimum:
    constraints = compile_constraints(problem.table)
    linear = _linear_equalities(problem.table, constraints)
    if linear is None:
        return _estimate_constrained(problem, settings, first, constraints)
    rows, values = linear
    free = np.eye(len(first.params))
    if len(rows):
        free = null_space(rows)
        first = _feasible(problem, first.params, rows, values)
    at_start = problem.inner.conditioned(first, free)
    if at_start.lost:
        first, at_start = identified(problem, first, free, at_start)
    return maximize(
        problem.inner, first, free, at_start, tol=settings.tol, max_iter=settings.max_iter
    )


def _estimate_constrained(
    problem: Problem,
    settings: Settings,
    first: Point,
    constraints: tuple[CompiledExpression, ...],
) -> Optimum:
    from mlsem.core.constrained import maximize_constrained

    functions = constraint_functions(problem.table, constraints)
    # seen at the start: a bound that is active at the end says nothing of the model
    equal = [slope for _, slope in (each(first.params) for each in functions.equalities)]
    free = null_space(np.array(equal)) if equal else np.eye(len(first.params))
    found = problem.inner.conditioned(first, free)
    if found.lost:
        identified(problem, first, free, found)
    return maximize_constrained(
        problem.inner, first, functions, tol=settings.tol, max_iter=settings.max_iter
    )


def starting_point(problem: Problem, start: object) -> Point:
    """The user's starting values over the default ones, as a point inside."""
    params = starting_params(problem, start)
    return inside(None if params is None else problem.inner.evaluate(params))


def inside(found: T | None) -> T:
    """What was found at the starting values, if they are inside the parameter space."""
    if found is None:
        raise EstimationError(
            "the starting values are outside the parameter space: a covariance matrix that they "
            "imply is not positive definite. Change start= (or start()* in the model)."
        )
    return found


def starting_params(problem: Problem, start: object) -> Array | None:
    """The user's starting values over the default ones, as parameters of the optimiser; None if
    they are seen to be outside."""
    params = problem.guess.copy()
    given = _given(start, problem.table.names)
    for name, value in given:
        params[problem.table.names.index(name)] = value
    if problem.coordinates.same:
        return params
    if problem.objective.evaluate(params) is None:
        return None
    inner = problem.coordinates.to_internal(params)
    return inner if given else problem.coordinates.settled(inner, problem.sample)


def _given(start: object, names: tuple[str, ...]) -> list[tuple[str, float]]:
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


def _feasible(problem: Problem, params: Array, rows: Array, values: Array) -> Point:
    """The nearest point that meets Rθ + r = 0."""
    point = problem.inner.evaluate(params - np.linalg.pinv(rows) @ (rows @ params + values))
    if point is None:
        raise EstimationError(
            "no starting point meets the equality constraints inside the parameter space: give "
            "starting values (start=) that do."
        )
    return point


def _linear_equalities(
    table: ParameterTable, constraints: tuple[CompiledExpression, ...]
) -> tuple[Array, Array] | None:
    """R, r of Rθ + r = 0 if these are the model's only restrictions; else None."""
    if np.isfinite(parameter_bounds(table)).any():
        return None
    rows, values = [], []
    for constraint, compiled in zip(table.constraints, constraints, strict=True):
        form = compiled.linear_form() if constraint.equality else None
        if form is None:
            return None
        row, value = form
        if not row.any():
            if abs(value) > 1e-12:
                raise SpecificationError(f"the constraint {constraint.source} cannot hold.")
            continue
        rows.append(row)
        values.append(value)
    matrix = np.array(rows).reshape(len(rows), len(table.names))
    offset = np.array(values)
    if len(rows):
        solution = -np.linalg.pinv(matrix) @ offset
        if np.abs(matrix @ solution + offset).max() > 1e-8 * (1 + np.abs(offset).max()):
            sources = listed(c.source for c in table.constraints)
            raise SpecificationError(f"the constraints contradict each other: {sources}.")
    return matrix, offset


def constraint_functions(
    table: ParameterTable, compiled: tuple[CompiledExpression, ...]
) -> ConstraintFunctions:
    """All restrictions as functions with exact gradients."""

    def function(each: CompiledExpression) -> Callable[[NDArray], tuple[complex, NDArray]]:
        return lambda params: (each.value(params), each.gradient(params))

    pairs = list(zip(table.constraints, compiled, strict=True))
    return ConstraintFunctions(
        tuple(function(each) for constraint, each in pairs if constraint.equality),
        tuple(function(each) for constraint, each in pairs if not constraint.equality),
        *parameter_bounds(table),
    )


def identified(
    problem: Problem, point: Point, free: Array, found: Conditioned
) -> tuple[Point, Conditioned]:
    """A point near `point` where the information is not singular, as it is there.

    Raises
    ------
    IdentificationError
        There is none: it is singular by the model, not by chance.
    """
    generator = np.random.default_rng(20260106)
    for _ in range(NUDGES):
        nudge = free @ (free.T @ (generator.uniform(-1, 1, len(free)) * _units(point.params)))
        moved = problem.inner.evaluate(point.params + 0.1 * nudge)
        if moved is None:
            continue
        found = problem.inner.conditioned(moved, free)
        if not found.lost:
            return moved, found
    names = involved(found.at.basis[:, : found.lost], problem.table.names)
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


def complaint(optimum: Optimum, settings: Settings) -> str:
    """Why the optimiser stopped, and what to try."""
    return (
        ADVICE[optimum.status].format(max_iter=settings.max_iter)
        + f" (remaining step: {optimum.distance:.2g} standard errors)."
    )


def improper(problem: Problem, optimum: Optimum) -> str:
    """A warning of an improper solution: free variances below zero, or latent variables whose
    implied covariance matrix is none; empty if all is well."""
    table, params = problem.table, optimum.params  # variances are the same in all coordinates
    rows = [row for row in table.rows if row.op == "~~" and row.lhs == row.rhs and row.free >= 0]
    values = {table.names[row.free]: params[row.free] for row in rows if params[row.free] < 0}
    if values:
        shown = ", ".join(f"{name} = {value:.3g}" for name, value in values.items())
        by = "" if optimum.restricted is None else ", by ML,"
        return (
            f"negative variance estimates: {shown}. The model may be wrong, or the variance near "
            f'zero; bounds="pos.var"{by} keeps variances from falling below zero.'
        )
    both = (optimum.point.within, optimum.point.between)
    for moments, variables in zip(both, table.levels, strict=False):
        latent = variables.latent
        covariance = moments.covariance[: len(latent), : len(latent)]
        if latent and np.linalg.eigvalsh(covariance)[0] < -1e-8 * np.trace(covariance):
            return (
                f"the implied covariance matrix of the latent variables {listed(latent)} is not "
                "positive definite (a correlation beyond 1): two of them may be one."
            )
    return ""


def on_boundary(optimum: Optimum) -> tuple[str, ...]:
    """A note on random effects whose covariance matrix is singular."""
    if not optimum.singular:
        return ()
    return (
        "the estimated covariance matrix of the random effects is singular (on the boundary): a "
        "variance is zero or a correlation one. Standard errors and tests of variances mean little "
        "there; a model with fewer random effects may do.",
    )


def active_restrictions(table: ParameterTable, optimum: Optimum) -> tuple[str, ...]:
    """A note on the inequalities and bounds that hold with equality."""
    if not optimum.active:
        return ()
    lower, upper = parameter_bounds(table)
    sources = [each.source for each in table.constraints if not each.equality]
    sources += [f"{table.names[k]} > {lower[k]:g}" for k in np.flatnonzero(np.isfinite(lower))]
    sources += [f"{table.names[k]} < {upper[k]:g}" for k in np.flatnonzero(np.isfinite(upper))]
    active = ", ".join(sources[k] for k in optimum.active)
    return (
        f"active at the estimates: {active}. Standard errors take these as equalities and are "
        "approximate so near a boundary.",
    )
