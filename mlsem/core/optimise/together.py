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
from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.point import M, taken
from mlsem.core.linalg import applied, factors_of_many, solved
from mlsem.core.optimise.maximise import (
    FLOOR,
    HALVINGS,
    NEAR,
    NOISE,
    STALLED,
    SUFFICIENT,
)
from mlsem.core.optimise.objective import (
    ILL_CONDITIONED,
    ROUNDING,
    SINGULAR,
    MomentDerivatives,
    MomentObjective,
)
from mlsem.core.optimise.optimum import Maximum
from mlsem.core.optimise.runaway import FIRST
from mlsem.core.records import Array, Index

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Reached(Generic[M]):
    """Maxima of some of the data sets, which took as many steps.

    Attributes
    ----------
    numbers : (r,)
        Which of the R data sets these are.
    point : MomentPoint
        Of many.
    free : (npar, n)
    n_iterations : int
    distance : (r,)
        As of an `Optimum`.
    at : MomentDerivatives
    observed : (r, n, n) or None
        Observed information along `at`, if it was computed.
    """

    numbers: Shaped[Index, "r"]
    point: M
    free: Shaped[Array, "npar n"]
    n_iterations: int
    distance: Shaped[Array, "r"]
    at: MomentDerivatives
    observed: Shaped[Array, "r n n"] | None

    def optimum(self, k: int) -> Maximum[M]:
        """Of the k-th of them, as `climb` returns it."""
        point = taken(self.point, k)
        point = replace(point, loglik=float(point.loglik))  # type: ignore[type-var]
        maximum = Maximum(point, self.free, self.n_iterations, float(self.distance[k]))
        if self.observed is None:
            return maximum
        return maximum.with_derivatives(_derivatives_of(self.at, k), self.observed[k])


def climb_together(
    objective: MomentObjective[M, Any],
    start: M,
    free: Shaped[Array, "npar n"],
    *,
    tol: float,
    max_iter: int,
) -> Iterator[Reached[M]]:
    """Maximise ℓ of each data set over its start + span(free); the maxima as they are reached.

    Parameters
    ----------
    objective : MomentObjective
        Of R data sets.
    start : MomentPoint
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
    good = _well_conditioned(expected)
    if good.any():
        kept = np.flatnonzero(good)
        first = _derivatives_of(at, kept), expected[kept]
        yield from _climb(batch.some(kept), free, first, tol, max_iter)
    if not good.all():
        other = np.flatnonzero(~good)
        yield from _conditioned(batch.some(other), expected[other], free, tol, max_iter)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch(Generic[M]):
    """Data sets that are still searched: their objective, points and numbers."""

    objective: MomentObjective[M, Any]
    point: M
    numbers: Shaped[Index, "r"]

    def some(self, which: Shaped[Index, "s"]) -> _Batch[M]:
        if len(which) == len(self.numbers):  # all of them
            return self
        return _Batch(self.objective.of(which), taken(self.point, which), self.numbers[which])

    def derivatives(self, basis: Shaped[Array, "... npar n"]) -> MomentDerivatives:
        return self.objective.derivatives(self.point, basis)

    def slack(self) -> Shaped[Array, "r"]:
        """Rounding error of ℓ."""
        return NOISE * (1.0 + np.abs(np.asarray(self.point.loglik)))


def _derivatives_of(at: MomentDerivatives, which: Any) -> MomentDerivatives:
    """Those of one data set, or of some; a basis may be that of all."""
    basis = at.basis if at.basis.ndim == 2 else at.basis[which]
    along, moments = taken(at.along, which), taken(at.moments, which)
    return MomentDerivatives(basis, at.gradient[which], along, moments)


def _conditioned(
    batch: _Batch[M],
    expected: Shaped[Array, "r n n"],
    free: Shaped[Array, "npar n"],
    tol: float,
    max_iter: int,
) -> Iterator[Reached[M]]:
    """The search along a well-conditioned basis of each data set (`Objective.conditioned`)."""
    diagonal = np.diagonal(expected, axis1=-2, axis2=-1)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(expected * scale[..., None] * scale[..., None, :])
    spread = np.sqrt(np.maximum(values, ROUNDING * values[..., -1:]))
    basis = free @ (scale[..., None] * vectors / spread[..., None, :])
    turned = batch.objective.expected(batch.point, batch.derivatives(basis))
    values, vectors = np.linalg.eigh(turned)
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
    batch: _Batch[M],
    free: Shaped[Array, "npar n"],
    first: tuple[MomentDerivatives, Shaped[Array, "r n n"]],
    tol: float,
    max_iter: int,
) -> Iterator[Reached[M]]:
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
    batch: _Batch[M],
    at: MomentDerivatives,
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
        step[which], decrement[which] = _newton_steps(observed[which], at.gradient[which])
    newton = np.isfinite(decrement)
    which = np.flatnonzero(~newton)
    if len(which):
        if expected is None:
            own, there = batch.some(which), _derivatives_of(at, which)
            information = own.objective.expected(own.point, there)
        else:
            information = expected[which]
        step[which], decrement[which] = _newton_steps(information, at.gradient[which])
    return _Moves(step, decrement, newton, observed)


def _newton_steps(
    information: Shaped[Array, "r n n"], gradient: Shaped[Array, "r n"]
) -> tuple[Shaped[Array, "r n"], Shaped[Array, "r"]]:
    """`newton_step`; NaN where the information is not positive definite."""
    matrix, scale = _unit_diagonal(information)
    vector = scale * gradient
    step = solved(factors_of_many(matrix), vector[..., None])[..., 0]
    return scale * step, (vector * step).sum(axis=-1)


def _unit_diagonal(
    information: Shaped[Array, "r n n"],
) -> tuple[Shaped[Array, "r n n"], Shaped[Array, "r n"]]:
    """`unit_diagonal`; NaN where the diagonal is not positive."""
    diagonal = np.diagonal(information, axis1=-2, axis2=-1)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, np.nan))
    return information * scale[..., None] * scale[..., None, :], scale


def _well_conditioned(information: Shaped[Array, "r n n"]) -> Shaped[Mask, "r"]:
    """`well_conditioned` of each."""
    factor = factors_of_many(_unit_diagonal(information)[0])
    pivots = np.diagonal(factor, axis1=-2, axis2=-1) ** 2
    return np.asarray((pivots > ILL_CONDITIONED).all(axis=-1))


def _line_search(
    batch: _Batch[M], direction: Shaped[Array, "r npar"], decrement: Shaped[Array, "r"]
) -> tuple[M, Shaped[Array, "r"]]:
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
    batch: _Batch[M],
    free: Shaped[Array, "npar n"],
    iteration: int,
    at: MomentDerivatives,
    moves: _Moves,
    done: Shaped[Mask, "r"],
) -> Iterator[Reached[M]]:
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


def _some_of(point: M, which: Shaped[Index, "s"]) -> M:
    return point if len(which) == len(point.params) else taken(point, which)
