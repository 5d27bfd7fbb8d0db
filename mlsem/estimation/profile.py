"""The likelihood over all parameters but one variance, which is held at a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlsem.core.implied.means import outside_means
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import null_space
from mlsem.core.optimise.factored import ZERO, Block, Factors
from mlsem.core.optimise.maximise import climb, maximise
from mlsem.core.optimise.optimum import Optimum, RestrictedMaximum
from mlsem.core.records import Array, Index
from mlsem.errors import EstimationError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.faces import bounded
from mlsem.estimation.posed import Posed
from mlsem.estimation.semidefinite import factors_of
from mlsem.estimation.settings import Settings

LOOSE = 1e-4  # remaining step of a constrained fit, in standard errors


PATIENCE = 60  # iterations of a constrained fit


ROUNDING = 1e-10  # parts of unit vectors below are none


CORRECTIONS = 5  # fits until a variance that bends between coordinates has its value


EXACT = 1e-9  # and how near that is


ASIDE = 1e-3  # standard errors between which log|M| is differenced


@dataclass(frozen=True, slots=True, eq=False)
class VarianceProfile:
    """ℓ_R of one variance θ_k of the user's parameters; all else in the optimiser's.

    Attributes
    ----------
    place : int
        k.
    factors : Factors or None
        What the fit keeps positive semidefinite, θ_k held.
    means : (npar, p)
        Directions that move the means alone.
    path : (npar,)
        How θ_c moves with c at the estimates: A⁻¹ ∂θ_k/∂θ, along which θ_k moves by 1.
    straight : (npar,)
        The shortest way, along which θ_k moves by 1.
    guess : (npar,)
        The default start, as near as the constraints allow.
    """

    problem: Posed
    optimum: Optimum
    place: int
    factors: Factors | None
    means: Array
    path: Array
    straight: Array
    guess: Array

    def at(self, value: float, near: Evaluation) -> Evaluation | None:
        """θ_c at c = `value` from a point near by: along the path, straight, then from the
        default start. None if it is found from none of these."""
        away = value - self._value(near.params)
        starts = [near.params + away * self.path, near.params + away * self.straight]
        starts.append(self.guess + (value - self._value(self.guess)) * self.straight)
        if self.factors is not None:
            point = self._maximum(starts[0], value, climb)
            if point is not None and self.factors.inside(point.params):
                return point
            return self._bounded(starts, value)
        for start in starts:
            point = self._maximum(start, value, maximise)
            if point is not None:
                return point
        return None

    def _value(self, params: Array) -> float:
        """θ_k."""
        return float(self.problem.coordinates.to_user(params)[self.place])

    def _maximum(self, start: Array, value: float, search: Any) -> Evaluation | None:
        """θ_c, from where θ_k = c to first order."""
        for _ in range(CORRECTIONS):
            point = self._along(start, search)
            if point is None:
                return None
            gap = value - self._value(point.params)
            if abs(gap) <= EXACT * (abs(value) + abs(self._value(self.optimum.params))):
                return point
            start = point.params + gap * self.straight
        return None

    def _along(self, start: Array, search: Any) -> Evaluation | None:
        """The maximum over the directions that hold θ_k, as they are at the start."""
        inner = self.problem.inner
        row = self.problem.coordinates.jacobian(start)[self.place]
        free = _held(self.optimum.free, row)
        try:
            with np.errstate(all="ignore"):  # a step too far is refused, whatever it overflows
                first = inner.evaluate(start)
                if first is None or not free.shape[1]:
                    return first
                conditioned = inner.conditioned(first, free)
                optimum = search(inner, first, free, conditioned, tol=LOOSE, max_iter=PATIENCE)
        except np.linalg.LinAlgError:
            return None
        return optimum.point if optimum.converged else None

    def _bounded(self, starts: list[Array], value: float) -> Evaluation | None:
        """θ_c within the bound."""
        assert self.factors is not None
        free = np.delete(np.eye(len(self.guess)), self._apart(), axis=1)
        settings = Settings(tol=LOOSE, max_iter=PATIENCE)
        try:
            with np.errstate(all="ignore"):
                optimum = bounded(self.problem.inner, iter(starts), free, settings, self.factors)
        except (np.linalg.LinAlgError, EstimationError):
            return None
        if not optimum.converged or abs(self._value(optimum.params) - value) > LOOSE * abs(value):
            return None
        return optimum.point

    def _apart(self) -> list[int]:
        """k where no factor holds θ_k."""
        assert self.factors is not None
        held = any(block.pin is not None for block in self.factors.blocks)
        return [] if held else [self.place]

    def reml(self, point: Evaluation) -> float:
        """ℓ - ½ log|M|."""
        return point.loglik - 0.5 * self._log_means(point)

    def _log_means(self, point: Evaluation) -> float:
        if not self.means.shape[1]:
            return 0.0
        inner = self.problem.inner
        information = inner.expected(point, inner.derivatives(point, self.means))
        return float(np.linalg.slogdet(information)[1])

    def slope(self, se: float) -> float:
        """b, the slope of -½ log|M| along the path at the estimates."""
        origin, step = self.optimum.params, ASIDE * se * self.path
        sides = [self.problem.inner.evaluate(origin + sign * step) for sign in (-1.0, 1.0)]
        below, above = (None if each is None else self._log_means(each) for each in sides)
        if below is None or above is None:
            return 0.0  # an estimate at the very end of the parameter space
        return -0.5 * (above - below) / (2.0 * ASIDE * se)


def variance_profile(estimates: Estimates, along: Array, place: int) -> VarianceProfile:
    """Prepare the profile of the variance at position `place`.

    Parameters
    ----------
    along : (npar,)
        Model-based covariances of the estimates with that of the variance.
    """
    problem, optimum = estimates.problem, estimates.optimum
    jacobian = problem.coordinates.jacobian(optimum.params)
    path = np.linalg.solve(jacobian, along) / along[place]
    free, row = _held(optimum.free, jacobian[place]), jacobian[place]
    others = free[_outside_means(problem)]
    projection = optimum.free @ np.linalg.pinv(optimum.free)
    guess = problem.coordinates.to_internal(problem.guess)
    return VarianceProfile(
        problem=problem,
        optimum=optimum,
        place=place,
        factors=_factors(problem, optimum, place),
        means=free @ null_space(np.where(np.abs(others) > ROUNDING, others, 0.0)),
        path=np.asarray(path, dtype=np.float64),
        straight=projection @ row / (row @ projection @ row),
        guess=optimum.params + projection @ (guess - optimum.params),
    )


def _outside_means(problem: Posed) -> Index:
    """Parameters that are in some group other than intercepts and effects of covariates."""
    found = [
        group.places[outside_means(group.problem.inner.pattern, len(group.places))]
        for group in problem.groups
    ]
    return np.unique(np.concatenate(found))


def _held(free: Array, row: Array) -> Array:
    """Free directions along which a quantity with this gradient does not move."""
    return free @ null_space((row @ free)[None])


def _factors(problem: Posed, optimum: Optimum, place: int) -> Factors | None:
    """What the fit keeps positive semidefinite, with the variance at `place` held; None for a fit
    without that bound."""
    restricted = isinstance(optimum, RestrictedMaximum)
    bound = optimum.singular or restricted or problem.table.semidefinite
    if not bound:
        return None
    factors = factors_of(problem, optimum.params, explained=optimum.singular)
    blocks: list[Block] = []
    for block in factors.blocks:
        if float(block.values(optimum.params)[0]) < -(ZERO**2):
            continue  # a residual of what latent variables explain, and not bounded
        for k in np.flatnonzero(block.cells.diagonal() == place):
            block = block.pinned(_way(problem, block, int(k)))
        blocks.append(block)
    return Factors(tuple(blocks))


def _way(problem: Posed, block: Block, k: int) -> Array:
    """The user's effect k of a block, as a combination of the optimiser's."""
    group = next(each for each in problem.groups if np.isin(block.cells, each.places).all())
    coordinates = group.problem.coordinates
    if coordinates.same:
        return np.eye(len(block.cells))[k]
    return coordinates.effects_to_user()[np.ix_(block.effects[[k]], block.effects)][0]
