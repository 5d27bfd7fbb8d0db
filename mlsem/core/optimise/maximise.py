"""Maximum likelihood by Fisher scoring that ends in Newton steps.

The stopping rule has a statistical unit: sqrt(gᵀ A⁻¹ g), the length of the remaining step in
standard errors. Scoring (expected information) is safe far from the optimum; the observed
information, in closed form, makes the last steps quadratic. Where neither makes progress a
trust region with the exact Hessian takes over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.arrow import Arrow, dense
from mlsem.core.implied.point import P, Point
from mlsem.core.linalg import positive_solve, scaled_eigen, unit_diagonal
from mlsem.core.optimise.objective import Conditioned, D, Objective
from mlsem.core.optimise.optimum import Maximum, Optimum, Stationary, Stopped
from mlsem.core.optimise.runaway import Runaway, Watch
from mlsem.core.records import Array

NEAR = 0.5  # squared distance (in standard errors) from which Newton steps are tried
HALVINGS = 25
SUFFICIENT = 1e-4  # Armijo's constant
NOISE = 1e-13  # relative rounding error of the log-likelihood
LAST = 8  # Newton steps after the trust region, each of which doubles the digits
FLOOR = 1  # Newton steps without progress where ℓ is known to rounding only
STALLED = 8  # iterations without progress before the trust region takes over


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A step along the basis, its decrement gᵀI⁻¹g, and the observed information if used."""

    step: Shaped[Array, "n"]
    decrement: float
    observed: Shaped[Array, "n n"] | Arrow | None


def newton_step(
    information: Shaped[Array, "... n n"] | Arrow, gradient: Shaped[Array, "... n"]
) -> tuple[Shaped[Array, "... n"], Any] | None:
    """Step I⁻¹g and decrement gᵀI⁻¹g; None (of many: NaN) where the information is not positive
    definite."""
    if isinstance(information, Arrow):
        root = information.root()
        half = None if root is None else root.whitened(gradient)
        return None if root is None or half is None else (root.back(half), float(half @ half))
    unit = unit_diagonal(information)
    if unit is None:
        return None
    matrix, scale = unit
    scaled = scale * gradient
    step = positive_solve(matrix, scaled)
    if step is None:
        return None
    return scale * step, float(scaled @ step) if step.ndim == 1 else (scaled * step).sum(axis=-1)


def damped_step(
    information: Shaped[Array, "n n"] | Arrow, gradient: Shaped[Array, "n"]
) -> tuple[Shaped[Array, "n"], float]:
    """As `newton_step`, with eigenvalues that are too small (or negative) raised."""
    values, vectors, scale = scaled_eigen(dense(information))
    raised = np.maximum(values, 1e-8 * max(values[-1], 1e-300))
    half = (vectors.T @ (scale * gradient)) / np.sqrt(raised)
    return scale * (vectors @ (half / np.sqrt(raised))), float(half @ half)


def _rounding(point: Point) -> float:
    """Of ℓ."""
    return NOISE * (1.0 + abs(point.loglik))


def line_search(
    objective: Objective[P, D], point: P, direction: Shaped[Array, "npar"], decrement: float
) -> tuple[P, float] | None:
    """The first of the steps 1, ½, ¼ … that raises ℓ enough; None if there is none."""
    slack = _rounding(point)
    step = 1.0
    for _ in range(HALVINGS):
        candidate = objective.evaluate(point.params + step * direction)
        if candidate is not None:
            gain = candidate.loglik - point.loglik
            if gain >= SUFFICIENT * step * decrement - slack:
                return candidate, step
        step *= 0.5
    return None


def _move(
    objective: Objective[P, D],
    point: P,
    at: D,
    expected: Shaped[Array, "n n"] | Arrow | None,
    near: bool,
) -> Move:
    """Newton's step where it applies, else the scoring step."""
    if near:
        observed = objective.information(point, at, "observed")
        newton = newton_step(observed, at.gradient)
        if newton is not None:
            return Move(*newton, observed)
    if expected is None:
        expected = objective.information(point, at, "expected")
    return Move(*(newton_step(expected, at.gradient) or damped_step(expected, at.gradient)), None)


def maximise(
    objective: Objective[P, D],
    start: P,
    free: Shaped[Array, "npar n"],
    first: Conditioned[D],
    *,
    tol: float,
    max_iter: int,
    watch: Watch | None = None,
) -> Optimum[P]:
    """Maximise ℓ over start + span(free); by a trust region where `climb` makes no progress.

    Parameters as for `climb`.
    """
    found = climb(objective, start, free, first, tol=tol, max_iter=max_iter, watch=watch)
    if found.status != "stalled":
        return found
    return by_trust_region(objective, found.point, free, tol, found.n_iterations, max_iter, watch)


def climb(
    objective: Objective[P, D],
    start: P,
    free: Shaped[Array, "npar n"],
    first: Conditioned[D],
    *,
    tol: float,
    max_iter: int,
    watch: Watch | None = None,
) -> Optimum[P]:
    """Maximise ℓ over start + span(free) by scoring and Newton steps.

    Parameters
    ----------
    start : Point
        A point inside the parameter space.
    free : (npar, n)
        Directions of movement (the null space of linear equality constraints, or I).
    first : Conditioned
        The start's derivatives along a well-conditioned basis of `free`.
    tol : float
        Largest remaining step, in standard errors.
    max_iter : int
    watch : Watch, optional
        Ends a search that will not end.
    """
    basis = first.at.basis
    point, at, expected = start, first.at, first.expected
    near, poor, best = False, 0, np.inf
    for iteration in range(max_iter):
        if iteration:
            at, expected = objective.derivatives(point, basis), None
        try:
            move = _move(objective, point, at, expected, near)
        except np.linalg.LinAlgError:  # the information overflows: no step leads on
            return Stopped(point, free, iteration, best**0.5, "stalled")
        decrement = move.decrement
        if decrement <= tol**2:
            maximum = Maximum(point, free, iteration, decrement**0.5)
            return maximum.with_derivatives(at, move.observed)
        runs = None if watch is None else watch(iteration, point)
        if runs is not None:
            return _ran(point, free, runs, iteration, decrement**0.5)
        poor = 0 if decrement < 0.5 * best else poor + 1
        best = min(best, decrement)
        if poor > FLOOR and move.observed is not None and decrement <= _rounding(point):
            maximum = Maximum(point, free, iteration, decrement**0.5)
            return maximum.with_derivatives(at, move.observed)
        found = None
        if poor <= STALLED:
            found = line_search(objective, point, basis @ move.step, decrement)
        if found is None:
            return Stopped(point, free, iteration, best**0.5, "stalled")
        point, length = found
        near = decrement < NEAR and (length == 1.0 or move.observed is None)
    return Stopped(point, free, max_iter, best**0.5, "max_iter")


def _ran(
    point: P, free: Shaped[Array, "npar n"], runs: Runaway, count: int, distance: float
) -> Optimum[P]:
    return Stopped(point, free, count, distance, runs.status, runs.where)


class _RunsAwayError(Exception):
    """Ends scipy's search."""


def by_trust_region(
    objective: Objective[P, D],
    point: P,
    free: Shaped[Array, "npar n"],
    tol: float,
    done: int,
    max_iter: int,
    watch: Watch | None = None,
) -> Optimum[P]:
    """Trust region with the exact Hessian (Conn, Gould & Toint, 2000; scipy's trust-exact)."""
    from scipy.optimize import minimize

    first = objective.conditioned(point, free)
    values, vectors, scale = scaled_eigen(dense(first.expected))
    basis = first.at.basis @ (
        scale[:, None] * vectors / np.sqrt(np.maximum(values, 1e-6 * values[-1]))
    )
    origin, best, count = point.params, point, done
    runs: Runaway | None = None

    def look(xk: Shaped[Array, "n"]) -> None:
        nonlocal count, runs
        count += 1
        runs = None if watch is None else watch(count, best)
        if runs is not None:
            raise _RunsAwayError

    def at(phi: Shaped[Array, "n"]) -> P | None:
        return objective.evaluate(origin + basis @ phi)

    def value(phi: Shaped[Array, "n"]) -> float:
        nonlocal best
        found = at(phi)
        if found is not None and found.loglik > best.loglik:
            best = found
        return np.inf if found is None else -found.loglik

    def slope(phi: Shaped[Array, "n"]) -> Shaped[Array, "n"]:
        found = at(phi)  # outside, where every step is refused, scipy asks all the same
        if found is None:
            return np.zeros_like(phi)
        return -objective.derivatives(found, basis).gradient

    def hessian(phi: Shaped[Array, "n"]) -> Shaped[Array, "n n"]:
        found = at(phi)
        if found is None:
            return np.eye(len(phi))
        return objective.observed(found, objective.derivatives(found, basis))

    try:
        result = minimize(
            value,
            np.zeros(basis.shape[1]),
            jac=slope,
            hess=hessian,
            method="trust-exact",
            callback=look,
            options={
                "gtol": 1e-3 * tol,
                "maxiter": max(1, max_iter - done),
                "initial_trust_radius": 0.5,
            },
        )
        count = done + int(result.nit)
    except _RunsAwayError:
        pass
    except (np.linalg.LinAlgError, UnboundLocalError, ValueError):
        pass  # how scipy's solver gives up where the Hessian is all but singular
    found = _judge(objective, best, free, tol, count, max_iter)
    if runs is None and watch is not None and not found.converged:
        runs = watch.at_end(best)
    if runs is None or found.converged:
        return found
    return _ran(best, free, runs, count, found.distance)


def _judge(
    objective: Objective[P, D],
    point: P,
    free: Shaped[Array, "npar n"],
    tol: float,
    count: int,
    max_iter: int,
) -> Optimum[P]:
    """Is this an optimum? The trust region may stop a few Newton steps before one.

    A basis conditioned by the expected information is no use where that is singular although the
    observed one is not: where a cell of Λ is zero (`factored`). So the plain one is tried too.
    """
    basis, most = objective.conditioned(point, free).at.basis, min(LAST, max(max_iter - count, 0))
    for each in (basis, free):
        found = _by_newton(objective, point, free, each, tol, count, most)
        if found is not None:
            return found
    found = objective.conditioned(point, free)
    distance = damped_step(found.expected, found.at.gradient)[1] ** 0.5
    return Stopped(point, free, count, distance, "max_iter" if count >= max_iter else "stalled")


def _by_newton(
    objective: Objective[P, D],
    point: P,
    free: Shaped[Array, "npar n"],
    basis: Shaped[Array, "npar n"],
    tol: float,
    count: int,
    most: int,
) -> Optimum[P] | None:
    """The optimum that up to `most` Newton steps along a basis lead to; None where there is none.

    The gradient is compared with its own rounding error as well.
    """
    least = max(tol**2, _rounding(point))
    for step in range(most + 1):
        at = objective.derivatives(point, basis)
        observed = objective.information(point, at, "observed")
        newton = newton_step(observed, at.gradient)
        if newton is None:
            return None
        if newton[1] <= least:
            distance = newton[1] ** 0.5
            return Stationary(point, free, count + step, distance, at, observed)
        moved = line_search(objective, point, basis @ newton[0], newton[1])
        if moved is None:
            return None
        point = moved[0]
    return None
