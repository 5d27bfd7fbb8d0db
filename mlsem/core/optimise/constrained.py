"""Maximum likelihood under bounds, inequalities and nonlinear equalities.

Sequential quadratic programming with the Fisher information (or the observed information of the
Lagrangian, near the optimum) as its quadratic form. Whitened by that form, each subproblem asks
for the shortest vector that meets linear inequalities, which Lawson & Hanson (1974, ch. 23) solve
by nonnegative least squares: the active set and the multipliers come out exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.point import P
from mlsem.core.linalg import lower_factor, null_space, scaled_eigen
from mlsem.core.optimise.maximise import FLOOR, HALVINGS, NOISE, STALLED, SUFFICIENT
from mlsem.core.optimise.objective import D, Objective
from mlsem.core.optimise.optimum import Constrained, Optimum, Status, Stopped
from mlsem.core.optimise.runaway import Watch
from mlsem.core.records import Array, Index

COMPLEX_STEP = 1e-30
MET = 1e-9  # a violation that is rounding
UNMET = 1e-6  # a violation that is called one when the optimiser stops


@dataclass(frozen=True, slots=True, eq=False)
class Linearised:
    """Constraint values and Jacobians at a point: c_e = 0 and c_i ≥ 0."""

    equal: Shaped[Array, "e"]
    equal_jacobian: Shaped[Array, "e npar"]
    least: Shaped[Array, "i"]
    least_jacobian: Shaped[Array, "i npar"]

    @property
    def violation(self) -> float:
        return float(np.abs(self.equal).sum() + np.maximum(-self.least, 0.0).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Subproblem:
    """Step, multipliers of the equalities and of the inequalities, length in standard errors;
    `restore` (npar, equalities) takes values of the equalities to the shortest way back."""

    step: Shaped[Array, "npar"]
    equal_multipliers: Shaped[Array, "e"]
    least_multipliers: Shaped[Array, "i"]
    distance: float
    restore: Shaped[Array, "npar e"]

    @property
    def largest_multiplier(self) -> float:
        both = np.concatenate((self.equal_multipliers, self.least_multipliers))
        return float(np.abs(both).max(initial=0.0))


def linearise(constraints: ConstraintFunctions, params: Shaped[Array, "npar"]) -> Linearised:
    """Values and gradients of all constraints; bounds count as inequalities (lower, then upper)."""
    size = len(params)
    equal = [function(params) for function in constraints.equalities]
    least = [function(params) for function in constraints.inequalities]
    low = np.flatnonzero(np.isfinite(constraints.lower))
    high = np.flatnonzero(np.isfinite(constraints.upper))
    identity = np.eye(size)
    return Linearised(
        np.array([np.real(value) for value, _ in equal]),
        np.array([np.real(slope) for _, slope in equal]).reshape(-1, size),
        np.concatenate(
            (
                [np.real(value) for value, _ in least],
                params[low] - constraints.lower[low],
                constraints.upper[high] - params[high],
            )
        ),
        np.concatenate(
            (
                np.array([np.real(slope) for _, slope in least]).reshape(-1, size),
                identity[low],
                -identity[high],
            )
        ),
    )


def curvature(
    constraints: ConstraintFunctions,
    params: Shaped[Array, "npar"],
    equal: Shaped[Array, "e"],
    least: Shaped[Array, "i"],
) -> Shaped[Array, "npar npar"]:
    """Σ λ ∂²c/∂θ∂θᵀ by complex steps of the exact gradients (exact to rounding)."""
    size = len(params)
    total = np.zeros((size, size))
    functions = (*constraints.equalities, *constraints.inequalities)
    for function, multiplier in zip(functions, (*equal, *least), strict=False):
        if multiplier == 0.0:
            continue
        for k in range(size):
            moved = params.astype(complex)
            moved[k] += 1j * COMPLEX_STEP
            total[k] += multiplier * np.imag(function(moved)[1]) / COMPLEX_STEP
    return 0.5 * (total + total.T)


def shortest(
    matrix: Shaped[Array, "i n"], bound: Shaped[Array, "i"]
) -> tuple[Shaped[Array, "n"], Shaped[Array, "i"]] | None:
    """min |x| subject to matrix @ x ≥ bound, with multipliers; None if nothing meets it."""
    from scipy.optimize import nnls

    origin = np.zeros(matrix.shape[1])
    if (bound <= 0).all():
        return origin, np.zeros_like(bound)
    lengths = np.linalg.norm(matrix, axis=1)
    unit = float((bound / np.where(lengths > 0, lengths, 1.0)).max())  # else 1 / |x|² is rounding
    scaled = bound / unit
    weights: Array = nnls(np.vstack((matrix.T, scaled)), np.append(origin, 1.0))[0]
    rest = 1.0 - float(scaled @ weights)
    if rest <= 1e-12:
        return None
    multipliers: Array = unit * weights / rest
    return matrix.T @ multipliers, multipliers


def subproblem(
    information: Shaped[Array, "npar npar"], gradient: Shaped[Array, "npar"], at: Linearised
) -> Subproblem | None:
    """max gᵀs - ½ sᵀ I s subject to the linearised constraints."""
    values, vectors, scale = scaled_eigen(information)
    whiten = scale[:, None] * vectors / np.sqrt(np.maximum(values, 1e-10 * values[-1]))
    target = whiten.T @ gradient
    equal, least = at.equal_jacobian @ whiten, at.least_jacobian @ whiten
    inverse = np.linalg.pinv(equal) if len(equal) else np.zeros((len(target), 0))
    free = null_space(equal) if len(equal) else np.eye(len(target))
    shift = inverse @ (-at.equal - equal @ target)
    found = shortest(least @ free, -at.least - least @ (target + shift))
    if found is None:
        return None
    moved, multipliers = found
    whitened = target + shift + free @ moved
    residual = whitened - target - least.T @ multipliers
    distance = float(np.linalg.norm(whitened))
    return Subproblem(
        whiten @ whitened, inverse.T @ residual, multipliers, distance, whiten @ inverse
    )


def maximise_constrained(
    objective: Objective[P, D],
    start: P,
    constraints: ConstraintFunctions,
    *,
    tol: float,
    max_iter: int,
    watch: Watch | None = None,
) -> Optimum[P]:
    """Maximise ℓ subject to `constraints`; same record as `maximise`.

    The optimum's basis spans the directions that keep the equalities and the active
    inequalities, so that covariances of the estimates are those of the reduced model.
    """
    point, penalty = start, 0.0
    identity = np.eye(len(start.params))
    multipliers: Subproblem | None = None
    status: Status = "max_iter"
    where = ""
    count, distance = max_iter, np.inf
    best, poor = np.inf, 0
    least, stuck = np.inf, 0  # of the violation: parameters without information step for nothing
    for iteration in range(max_iter):
        at = objective.derivatives(point, identity)
        linear = linearise(constraints, point.params)
        form, newton = _quadratic_form(objective, point, at, constraints, multipliers)
        found = subproblem(form, at.gradient, linear)
        if found is None:
            status, count = "infeasible", iteration
            break
        multipliers, distance = found, found.distance
        floor = max(tol, float(np.sqrt(NOISE * (1.0 + abs(point.loglik)))))
        poor = 0 if distance < 0.5 * best else poor + 1
        best = min(best, distance)
        stuck = 0 if linear.violation < 0.5 * least else stuck + 1
        least = min(least, linear.violation)
        patience = FLOOR if newton else STALLED
        still = distance <= tol or (poor > patience and distance <= floor)
        if still and (linear.violation <= MET or stuck > STALLED):
            status = "converged" if linear.violation <= UNMET else "infeasible"
            count = iteration
            break
        runs = None if watch is None else watch(iteration, point)
        if runs is not None:
            status, count, where = runs.status, iteration, runs.where
            break
        needed = 2.0 * found.largest_multiplier
        penalty = max(needed, 0.5 * (penalty + needed))  # one that never falls hems steps in
        moved = _merit_search(objective, point, constraints, found, at.gradient, linear, penalty)
        if moved is None:
            met = linear.violation <= UNMET
            ended = found.distance <= max(1e3 * tol, floor)
            status = "infeasible" if not met else "converged" if ended else "stalled"
            count = iteration
            break
        point = moved
    ended = _finish(objective, point, constraints, multipliers, status, count, distance)
    return replace(ended, details=where) if isinstance(ended, Stopped) else ended


def _quadratic_form(
    objective: Objective[P, D],
    point: P,
    at: D,
    constraints: ConstraintFunctions,
    multipliers: Subproblem | None,
) -> tuple[Shaped[Array, "npar npar"], bool]:
    """Observed information of the Lagrangian where near and positive definite, else expected; and
    whether it is the former."""
    if multipliers is not None and multipliers.distance < 0.5:
        bend = curvature(
            constraints, point.params, multipliers.equal_multipliers, multipliers.least_multipliers
        )
        form = objective.observed(point, at) - bend
        if lower_factor(form) is not None:
            return form, True
    return objective.expected(point, at), False


def _merit_search(
    objective: Objective[P, D],
    point: P,
    constraints: ConstraintFunctions,
    found: Subproblem,
    gradient: Shaped[Array, "npar"],
    linear: Linearised,
    penalty: float,
) -> P | None:
    """Backtracking on ℓ - penalty · violation.

    Where curved equalities spoil the whole step, it is tried with the second-order correction
    that takes it back to them (Nocedal & Wright, 2006, eq. 18.36).
    """
    merit = point.loglik - penalty * linear.violation
    expected_gain = float(gradient @ found.step) + penalty * linear.violation
    slack = NOISE * (1.0 + abs(point.loglik))

    def accepted(params: Shaped[Array, "npar"], step: float) -> P | None:
        candidate = objective.evaluate(params)
        if candidate is None:
            return None
        value = candidate.loglik - penalty * linearise(constraints, params).violation
        enough = value >= merit + SUFFICIENT * step * max(expected_gain, 0.0) - slack
        return candidate if enough else None

    step = 1.0
    for _ in range(HALVINGS):
        params = np.clip(point.params + step * found.step, constraints.lower, constraints.upper)
        candidate = accepted(params, step)
        if candidate is None and step == 1.0 and len(linear.equal):
            back = found.restore @ linearise(constraints, params).equal
            if np.isfinite(back).all():
                params = np.clip(params - back, constraints.lower, constraints.upper)
                candidate = accepted(params, step)
        if candidate is not None:
            return candidate
        step *= 0.5
    return None


def _at_bounds(
    objective: Objective[P, D],
    point: P,
    constraints: ConstraintFunctions,
    active: Shaped[Index, "a"],
) -> P:
    """The point with parameters at active bounds exactly there."""
    low = np.flatnonzero(np.isfinite(constraints.lower))
    high = np.flatnonzero(np.isfinite(constraints.upper))
    first = len(constraints.inequalities)
    middle = first + len(low)
    params = point.params.copy()
    at_low = low[active[(active >= first) & (active < middle)] - first]
    at_high = high[active[active >= middle] - middle]
    params[at_low], params[at_high] = constraints.lower[at_low], constraints.upper[at_high]
    return objective.evaluate(params) or point


def _finish(
    objective: Objective[P, D],
    point: P,
    constraints: ConstraintFunctions,
    multipliers: Subproblem | None,
    status: Status,
    count: int,
    distance: float,
) -> Optimum[P]:
    """The optimum with its active set, the basis that keeps it, and the constraints' curvature."""
    linear = linearise(constraints, point.params)
    size = len(point.params)
    if multipliers is None:
        weights_equal, weights_least = np.zeros(len(linear.equal)), np.zeros(len(linear.least))
    else:
        weights_equal, weights_least = multipliers.equal_multipliers, multipliers.least_multipliers
    active = np.flatnonzero(weights_least > 0)
    point = _at_bounds(objective, point, constraints, active)
    rows = np.concatenate((linear.equal_jacobian, linear.least_jacobian[active]))
    basis = null_space(rows) if len(rows) else np.eye(size)
    basis = np.where(np.abs(basis) < 1e-13, 0.0, basis)
    held = tuple(int(k) for k in active)
    if status != "converged":
        return Stopped(point, basis, count, distance, status, held=held)
    bend = curvature(constraints, point.params, weights_equal, weights_least)
    return Constrained(point, basis, count, distance, held, bend)


@dataclass(frozen=True, slots=True, eq=False)
class ConstraintFunctions:
    """Constraints on the parameters as functions: equalities are 0, inequalities are ≥ 0.

    Attributes
    ----------
    equalities, inequalities : tuple of callables
        params -> (value, gradient (npar,)); analytic, so that complex parameters work.
    lower, upper : (npar,)
        Bounds.
    """

    equalities: tuple[
        Callable[[Shaped[NDArray[Any], "npar"]], tuple[Any, Shaped[NDArray[Any], "npar"]]], ...
    ]
    inequalities: tuple[
        Callable[[Shaped[NDArray[Any], "npar"]], tuple[Any, Shaped[NDArray[Any], "npar"]]], ...
    ]
    lower: Shaped[Array, "npar"]
    upper: Shaped[Array, "npar"]
