"""The search of `maximise` for many data sets of one model at once.

    objective.evaluate(params)      params (R, npar), data with R on their first axes
    climb_together(objective, objective.evaluate(starts), free, tol=…, max_iter=…)

Every data set takes the steps that `climb` would take for it alone, to rounding, with its own
basis, line search and stopping rule; those that have converged leave the batch. What meets
anything special (a start outside, directions that the data say nothing of, an information that is
not positive definite, a line search in vain, a search that is long) leaves it as well, without a
result: the usual road is for these, from their start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Annotated as Shaped
from typing import Any, Generic, cast

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.point import P, taken
from mlsem.core.linalg import applied, finite_or_zero, scaled_eigen
from mlsem.core.optimise.maximise import (
    FLOOR,
    HALVINGS,
    NEAR,
    NOISE,
    STALLED,
    SUFFICIENT,
    newton_step,
)
from mlsem.core.optimise.objective import (
    ROUNDING,
    SINGULAR,
    D,
    Derivatives,
    Objective,
    well_conditioned,
)
from mlsem.core.optimise.optimum import Maximum
from mlsem.core.optimise.runaway import FIRST
from mlsem.core.records import Array, Index

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Reached(Generic[P]):
    """Maxima of some of the data sets, which took as many steps.

    Attributes
    ----------
    numbers : (r,)
        Which of the R data sets these are.
    point : Point
        Of many.
    free : (npar, n)
    n_iterations : int
    distance : (r,)
        As of an `Optimum`.
    at : Derivatives
    observed : (r, n, n) or None
        Observed information along `at`, if it was computed.
    """

    numbers: Shaped[Index, "r"]
    point: P
    free: Shaped[Array, "npar n"]
    n_iterations: int
    distance: Shaped[Array, "r"]
    at: Derivatives
    observed: Shaped[Array, "r n n"] | None

    def optimum(self, k: int) -> Maximum[P]:
        """Of the k-th of them, as `climb` returns it."""
        point: Any = taken(self.point, k)
        point = cast("P", replace(point, loglik=float(point.loglik)))
        maximum = Maximum(point, self.free, self.n_iterations, float(self.distance[k]))
        if self.observed is None:
            return maximum
        return maximum.with_derivatives(_derivatives_of(self.at, k), self.observed[k])


def climb_together(
    objective: Objective[P, Any],
    start: P,
    free: Shaped[Array, "npar n"],
    *,
    tol: float,
    max_iter: int,
) -> Iterator[Reached[P]]:
    """Maximise ℓ of each data set over its start + span(free); the maxima as they are reached.

    Parameters
    ----------
    objective : Objective
        Of R data sets.
    start : Point
        A point of each, (R, npar); one that is outside has no ℓ.
    free, tol, max_iter
        As of `climb`.
    """
    inside = np.flatnonzero(np.isfinite(start.loglik))
    if not len(inside):
        return
    batch = _Batch(objective, start, np.arange(len(start.params))).some(inside)
    at = batch.derivatives(free)
    expected = batch.objective.expected(batch.point, at)
    good = well_conditioned(expected)
    if good.any():
        kept = np.flatnonzero(good)
        first = _derivatives_of(at, kept), expected[kept]
        yield from _climb(batch.some(kept), free, first, tol, max_iter)
    other = np.flatnonzero(~good & np.isfinite(expected).all(axis=(-2, -1)))
    if len(other):
        yield from _conditioned(batch.some(other), expected[other], free, tol, max_iter)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch(Generic[P]):
    """Data sets that are still searched: their objective, points and numbers."""

    objective: Objective[P, Any]
    point: P
    numbers: Shaped[Index, "r"]

    def some(self, which: Shaped[Index, "s"]) -> _Batch[P]:
        if len(which) == len(self.numbers):  # all of them
            return self
        return _Batch(self.objective.of(which), taken(self.point, which), self.numbers[which])

    def derivatives(self, basis: Shaped[Array, "... npar n"]) -> Derivatives:
        return self.objective.derivatives(self.point, basis)

    def slack(self) -> Shaped[Array, "r"]:
        """Rounding error of ℓ."""
        return NOISE * (1.0 + np.abs(np.asarray(self.point.loglik)))


def _derivatives_of(at: D, which: Any) -> D:
    """Those of one data set, or of some; a basis may be that of all."""
    names = [each.name for each in fields(at)]
    found = {name: taken(getattr(at, name), which) for name in names if name != "basis"}
    return type(at)(basis=at.basis if at.basis.ndim == 2 else at.basis[which], **found)


def _conditioned(
    batch: _Batch[P],
    expected: Shaped[Array, "r n n"],
    free: Shaped[Array, "npar n"],
    tol: float,
    max_iter: int,
) -> Iterator[Reached[P]]:
    """The search along a well-conditioned basis of each data set (`Objective.conditioned`)."""
    values, vectors, scale = scaled_eigen(expected)
    spread = np.sqrt(np.maximum(values, ROUNDING * values[..., -1:]))
    basis = free @ (scale[..., None] * vectors / spread[..., None, :])
    turned = batch.objective.expected(batch.point, batch.derivatives(basis))
    values, vectors = np.linalg.eigh(finite_or_zero(turned))
    known = np.flatnonzero((values >= SINGULAR).all(axis=-1))
    if len(known):
        batch, basis = batch.some(known), (basis @ vectors)[known]
        at = batch.derivatives(basis)
        first = at, batch.objective.expected(batch.point, at)
        yield from _climb(batch, free, first, tol, max_iter)


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """`maximise.Move` of each: the step along the basis, its decrement (NaN where there is none),
    and whether it is Newton's, by the observed information (of the others NaN)."""

    step: Shaped[Array, "r n"]
    decrement: Shaped[Array, "r"]
    newton: Shaped[Mask, "r"]
    observed: Shaped[Array, "r n n"]


def _climb(
    batch: _Batch[P],
    free: Shaped[Array, "npar n"],
    first: tuple[Derivatives, Shaped[Array, "r n n"]],
    tol: float,
    max_iter: int,
) -> Iterator[Reached[P]]:
    """`climb`, with what it knows of its search on the first axis."""
    at, expected = first
    basis, count = at.basis, len(batch.numbers)
    near, poor, best = np.zeros(count, np.bool_), np.zeros(count, np.intp), np.full(count, np.inf)
    for iteration in range(min(max_iter, FIRST)):  # from then on searches are watched
        if iteration:
            at, expected = batch.derivatives(basis), None
        moves = _moves(batch, at, expected, near)
        decrement = moves.decrement
        poor = np.where(decrement < 0.5 * best, 0, poor + 1)
        best = np.fmin(best, decrement)
        flat = (poor > FLOOR) & moves.newton & (decrement <= batch.slack())
        done = (decrement <= tol**2) | flat
        yield from _reached(batch, free, iteration, at, moves, done)
        going = np.flatnonzero(np.isfinite(decrement) & ~done & (poor <= STALLED))
        if not len(going):
            return
        directions = applied(_own(basis, going), moves.step[going])
        found, length = _line_search(batch.some(going), directions, decrement[going])
        left = np.flatnonzero(length > 0.0)
        if not len(left):
            return
        kept = going[left]
        near = (decrement < NEAR)[kept] & ((length[left] == 1.0) | ~moves.newton[kept])
        poor, best, basis = poor[kept], best[kept], _own(basis, kept)
        batch = replace(batch.some(kept), point=_some_of(found, left))


def _moves(
    batch: _Batch[P],
    at: Derivatives,
    expected: Shaped[Array, "r n n"] | None,
    near: Shaped[Mask, "r"],
) -> _Moves:
    """Newton's step where it applies, else the scoring step."""
    count, n = at.gradient.shape
    step, decrement = np.full((count, n), np.nan), np.full(count, np.nan)
    observed = np.full((count, n, n), np.nan)
    which = np.flatnonzero(near)
    if len(which):
        own, there = batch.some(which), _derivatives_of(at, which)
        observed[which] = own.objective.observed(own.point, there)
        step[which], decrement[which] = _newton(observed[which], at.gradient[which])
    newton = np.isfinite(decrement)
    which = np.flatnonzero(~newton)
    if len(which):
        if expected is None:
            own, there = batch.some(which), _derivatives_of(at, which)
            information = own.objective.expected(own.point, there)
        else:
            information = expected[which]
        step[which], decrement[which] = _newton(information, at.gradient[which])
    return _Moves(step, decrement, newton, observed)


def _newton(
    information: Shaped[Array, "r n n"], gradient: Shaped[Array, "r n"]
) -> tuple[Shaped[Array, "r n"], Shaped[Array, "r"]]:
    """`newton_step` of each, which of many there always is."""
    found = newton_step(information, gradient)
    assert found is not None
    return found


def _line_search(
    batch: _Batch[P], direction: Shaped[Array, "r npar"], decrement: Shaped[Array, "r"]
) -> tuple[P, Shaped[Array, "r"]]:
    """The first of the steps 1, ½, ¼ … that raises ℓ enough, and its length; 0 where none does."""
    params, level, slack = batch.point.params, np.asarray(batch.point.loglik), batch.slack()
    length, trying, step = np.zeros(len(level)), np.arange(len(level)), 1.0
    found = None
    for _ in range(HALVINGS):
        moved = params[trying] + step * direction[trying]
        candidate = batch.some(trying).objective.evaluate(moved)
        assert candidate is not None  # of many there is always something
        gain = np.asarray(candidate.loglik) - level[trying]
        high = gain >= SUFFICIENT * step * decrement[trying] - slack[trying]
        length[trying[high]] = step
        trying = trying[~high]
        if found is None:
            found = candidate
        if not len(trying):
            break
        step *= 0.5
    assert found is not None
    if (length < 1.0).any():
        again = batch.objective.evaluate(params + length[:, None] * direction)
        assert again is not None
        found = again
    return found, length


def _reached(
    batch: _Batch[P],
    free: Shaped[Array, "npar n"],
    iteration: int,
    at: Derivatives,
    moves: _Moves,
    done: Shaped[Mask, "r"],
) -> Iterator[Reached[P]]:
    """Those that are done, with the observed information of those that took Newton's step."""
    for newton in (True, False):
        which = np.flatnonzero(done & (moves.newton == newton))
        if len(which):
            yield Reached(
                batch.numbers[which],
                _some_of(batch.point, which),
                free,
                iteration,
                np.sqrt(moves.decrement[which]),
                _derivatives_of(at, which),
                moves.observed[which] if newton else None,
            )


def _own(basis: Shaped[Array, "... npar n"], which: Shaped[Index, "s"]) -> Shaped[Array, "..."]:
    """The basis of some data sets; or that of all."""
    return basis if basis.ndim == 2 else basis[which]


def _some_of(point: P, which: Shaped[Index, "s"]) -> P:
    return point if len(which) == len(point.params) else taken(point, which)
