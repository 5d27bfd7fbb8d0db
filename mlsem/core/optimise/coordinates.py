"""Coordinates in which a covariate far from zero does no harm.

With a covariate x of mean c ≫ sd(x), the implied means contain λ γ c: a product of parameters
times a huge number, which bends the likelihood along every path. With x centred at c the same
model has other intercepts and is well-behaved. So the optimiser works on the centred covariates,
and its parameters are mapped to the user's: all the same but those that make the implied moments
equal. Where x carries a random slope s, the random intercept is that at x = c,

    u' = u + c s,    in short (u', s, z) = K (u, s, z),

so that its variance, covariances and regressions differ as well as its intercept. With t the
level-2 covariance and the means,

    t_user(θ) = K⁻¹ t_internal(θ'),    θ = θ' + A⁺ [K⁻¹ t_internal(θ') - t_user(θ')],

A = ∂t/∂(the parameters that differ), in which t is linear. Where no free parameters absorb the
shift (they are fixed, shared or constrained) covariates stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.derivatives import jacobians
from mlsem.core.implied.pattern import (
    Carriers,
    LevelMoments,
    LevelPattern,
    ModelPattern,
)
from mlsem.core.linalg import flatten, least_squares
from mlsem.core.optimise.objective import MomentObjective
from mlsem.core.records import Array, Index, frozen
from mlsem.core.sample.shapes import ShapeMoments

FAR = 10.0  # means beyond this many standard deviations are centred
ABSORBED = 1e-8  # largest part of a shift that parameters may leave over
ROUNDING = 1e-12  # of the largest part of all
EVERY = slice(None)


@dataclass(frozen=True, slots=True, eq=False)
class Tangent:
    """∂θ_user/∂θ_internal by terms: a matrix for the parameters of each, with which those of
    several terms, and of none, do not differ."""

    parts: tuple[tuple[Shaped[Index, "_"], Shaped[Array, "_ _"]], ...]

    def to_user(self, basis: Shaped[Array, "npar n"]) -> Shaped[Array, "npar n"]:
        """Directions of internal parameters as ones of the user's."""
        moved = basis.copy()
        for places, jacobian in self.parts:
            moved[places] = jacobian @ basis[places]
        return moved

    def to_internal(self, basis: Shaped[Array, "npar n"]) -> Shaped[Array, "npar n"]:
        """Directions of the user's parameters as internal ones."""
        moved = basis.copy()
        for places, jacobian in self.parts:
            moved[places] = np.linalg.solve(jacobian, basis[places])
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The user's parameters and those of the optimiser.

    Attributes
    ----------
    user, internal : ModelPattern
        The same object where nothing is centred.
    moved : (m,)
        Parameters that differ.
    """

    user: ModelPattern
    internal: ModelPattern
    moved: Shaped[Index, "m"]

    @property
    def same(self) -> bool:
        return self.user is self.internal

    def to_user(self, params: Shaped[Array, "... npar"]) -> Shaped[Array, "... npar"]:
        """Internal → the user's parameters; those of many data sets where they are the same."""
        return params if self.same else _carried(self.internal, self.user, self.moved, params)

    def to_internal(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar"]:
        """The user's → internal parameters."""
        return params if self.same else _carried(self.user, self.internal, self.moved, params)

    def effects_to_user(self) -> Shaped[Array, "qr qr"]:
        """K: (u, s, z) of the user's model are K times those of the optimiser's."""
        return _turn(self.internal, self.user)

    def at_sample_means(
        self, params: Shaped[Array, "npar"], data: ShapeMoments
    ) -> Shaped[Array, "npar"]:
        """Internal parameters whose intercepts reproduce the sample means as well as they can."""
        row = data.products(2)[0]
        pattern = self.internal
        own, *above = (moments.mean @ row for moments in _implied(pattern, params))
        level2, *rest = _lowered(pattern, above)
        effects = pattern.random_effects
        effects.added(own, EVERY, (effects.maps @ row) * level2[: pattern.split])
        implied = (own, level2[pattern.split :], *rest)
        parts = zip(pattern.levels, (0, pattern.split, len(pattern.raised)), strict=False)
        seen = [level.responses[count:] @ row for level, count in parts]
        gap = np.concatenate([a - b for a, b in zip(seen, implied, strict=True)])
        intercepts = np.intersect1d(self.moved, _free_intercepts(pattern))
        slopes = _mean_slopes(pattern, params, row)[:, intercepts]
        moved = params.copy()
        moved[intercepts] += least_squares(slopes, gap)
        return moved

    def tangent(self, params: Shaped[Array, "npar"]) -> Tangent:
        """`jacobian`, for directions."""
        return Tangent(((np.arange(len(params)), self.jacobian(params)),))

    def jacobian(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "npar npar"]:
        """∂θ_user/∂θ_internal (npar, npar) at internal parameters."""
        result = np.eye(len(params))
        if self.same:
            return result
        turn = _turn(self.internal, self.user)
        inside = _slopes(self.internal, params, turn)
        outside = _slopes(self.user, self.to_user(params), np.eye(len(turn)))
        through = outside[:, self.moved]
        result[self.moved] += least_squares(through, inside - outside)
        return result


def choose_coordinates(
    objective: MomentObjective[Any, ModelPattern],
    data: ShapeMoments,
    restricted: Shaped[Index, "m"],
    params: Shaped[Array, "npar"],
) -> Coordinates:
    """Centre the far covariates if free parameters absorb that.

    Parameters
    ----------
    restricted : (m,)
        Parameters under a constraint or bound, which must mean what the user wrote.
    params : (npar,)
        A point at which to see whether parameters absorb a shift.
    """
    user, spread = objective.pattern, _spread(data)
    same = Coordinates(user, user, np.zeros(0, dtype=np.intp))
    levels = tuple([_centred(level, spread) for level in user.levels])
    carriers = _centred_carriers(user.carriers, spread)
    if carriers is user.carriers and all(map(is_, levels, user.levels)):
        return same
    internal = replace(user, levels=levels, carriers=carriers)
    turn = _turn(user, internal)
    moved = np.setdiff1d(_movable(user, turn), restricted)
    if objective.evaluate(params) is None:
        return same
    unit = np.eye(len(turn))
    gap = _moments(user, params, turn) - _moments(internal, params, unit)
    slopes = _slopes(internal, params, unit)
    # the slopes as well: a regression that starts at zero hides what it does elsewhere
    gaps = np.column_stack((gap, _slopes(user, params, turn) - slopes))
    slopes = slopes[:, moved]
    left = np.abs(gaps - slopes @ least_squares(slopes, gaps))
    size = np.abs(gaps).max(axis=1, keepdims=True)
    if (left > ABSORBED * size + ROUNDING * size.max()).any():
        return same
    return Coordinates(user, internal, moved)


def _carried(
    source: ModelPattern,
    target: ModelPattern,
    moved: Shaped[Index, "m"],
    params: Shaped[Array, "npar"],
) -> Shaped[Array, "npar"]:
    """Parameters of `target` with the implied moments that `params` have in `source`."""
    turn = _turn(source, target)
    unit = np.eye(len(turn))
    gap = _moments(source, params, turn) - _moments(target, params, unit)
    slopes = _slopes(target, params, unit)[:, moved]
    found = params.copy()
    found[moved] += least_squares(slopes, gap)
    return found


def _spread(data: ShapeMoments) -> Shaped[Array, "D D"]:
    """Covariance of the entries of h, about."""
    total = data.products(2)
    return total - np.outer(total[0], total[0]) + data.within / data.n_rows


def _far(
    maps: Shaped[Array, "k D"], spread: Shaped[Array, "D D"]
) -> Shaped[NDArray[np.bool_], "k"]:
    """Which variables, as maps of h, have a constant far from zero."""
    deviations = np.sqrt(((maps @ spread) * maps).sum(axis=1))
    return np.greater(np.abs(maps[:, 0]), FAR * deviations) & _vary(maps)


def _vary(maps: Shaped[Array, "k D"]) -> Shaped[NDArray[np.bool_], "k"]:
    """Which of them are not the constant."""
    return np.array(maps[:, 1:].any(axis=1))


def _without(
    maps: Shaped[Array, "k D"], far: Shaped[NDArray[np.bool_], "k"]
) -> Shaped[Array, "k D"]:
    """The maps with these constants taken off; the same array if there are none."""
    if not far.any():
        return maps
    centred = maps.copy()
    centred[far, 0] = 0.0
    return centred


def _centred(pattern: LevelPattern, spread: Shaped[Array, "D D"]) -> LevelPattern:
    covariates = _without(pattern.covariates, _far(pattern.covariates, spread))
    if covariates is pattern.covariates:
        return pattern
    lost = pattern.covariates[:, 0] - covariates[:, 0]
    constants = pattern.exogenous.constants.copy()
    constants[:, 0] += constants @ lost  # what fixed coefficients add is fixed too
    exogenous = replace(pattern.exogenous, constants=frozen(constants))
    return replace(pattern, covariates=covariates, exogenous=exogenous)


def _centred_carriers(carriers: Carriers | None, spread: Shaped[Array, "D D"]) -> Carriers | None:
    """Carriers of outcomes with a random intercept, which takes on what they lose."""
    far = None if carriers is None else _far(carriers.maps, spread)
    if carriers is None or far is None or not far.any():
        return carriers
    absorbed = np.isin(carriers.responses, carriers.responses[~_vary(carriers.maps)])
    maps = _without(carriers.maps, far & absorbed)
    return carriers if maps is carriers.maps else replace(carriers, maps=maps)


def _turn(source: ModelPattern, target: ModelPattern) -> Shaped[Array, "qr qr"]:
    """K with (u, z) of `target` = K (u, z) of `source`."""
    unit = np.eye(len(source.between.observed))
    first, second = source.random_effects, target.random_effects
    lost = first.maps[:, 0] - second.maps[:, 0]
    for a in np.flatnonzero(~_vary(first.maps)):
        unit[a, : source.split] += (first.responses == first.responses[a]) * lost
    return unit


def _movable(pattern: ModelPattern, turn: Shaped[Array, "qr qr"]) -> Shaped[Index, "m"]:
    """Free intercepts; and free regressions, variances and covariances of the random intercepts
    that K changes."""
    found = _free_intercepts(pattern)
    changed = np.flatnonzero((turn != np.eye(len(turn))).any(axis=1))
    if not len(changed):
        return found
    level = pattern.between
    variables = level.observed[changed]
    symmetric, exogenous = level.symmetric, level.exogenous
    touched = np.isin(symmetric.rows, variables) | np.isin(symmetric.cols, variables)
    own = np.isin(exogenous.rows, variables)
    moved = np.concatenate((found, symmetric.params[touched], exogenous.params[own]))
    other = np.concatenate(
        (
            symmetric.params[~touched],
            level.directed.params,
            pattern.within.cells.covariance_params,
            pattern.within.exogenous.params[pattern.within.exogenous.cols != 0],
        )
    )
    return np.setdiff1d(moved, other)


def _free_intercepts(pattern: ModelPattern) -> Shaped[Index, "m"]:
    """Parameters that are intercepts and nothing else."""
    found: set[int] = set()
    other: set[int] = set()
    for level in pattern.levels:
        exogenous = level.exogenous
        constant = exogenous.cols == 0
        found.update(exogenous.params[constant].tolist())
        other.update(exogenous.params[~constant].tolist())
        other.update(level.cells.covariance_params.tolist())
    return np.array(sorted(found - other), dtype=np.intp)


def _implied(pattern: ModelPattern, params: Shaped[Array, "npar"]) -> tuple[LevelMoments, ...]:
    levels: list[LevelMoments] = []
    for level in pattern.levels:
        moments = level.moments(params)
        assert moments is not None
        levels.append(moments)
    return tuple(levels)


def _moments(
    pattern: ModelPattern, params: Shaped[Array, "npar"], turn: Shaped[Array, "qr qr"]
) -> Shaped[Array, "m"]:
    """t: maps of the means, those of an outcome at both levels together, and K Σ_B Kᵀ."""
    within, between, *above = _implied(pattern, params)
    maps = [turn @ between.mean, *(level.mean for level in above)]
    means = _together(pattern, within.mean, maps)
    return np.concatenate((means.ravel(), (turn @ between.sigma @ turn.T).ravel()))


def _slopes(
    pattern: ModelPattern, params: Shaped[Array, "npar"], turn: Shaped[Array, "qr qr"]
) -> Shaped[Array, "m npar"]:
    """∂t/∂θ, (m, npar)."""
    first, second, *above = jacobians(pattern, _implied(pattern, params), np.eye(len(params)))
    means = _together(
        pattern,
        first.mean.transpose(1, 2, 0),
        [
            np.einsum("ab,nbd->adn", turn, second.mean),
            *(level.mean.transpose(1, 2, 0) for level in above),
        ],
    )
    spread = turn @ second.sigma @ turn.T
    return np.concatenate((means.reshape(-1, len(params)), flatten(spread).T))


def _mean_slopes(
    pattern: ModelPattern, params: Shaped[Array, "npar"], row: Shaped[Array, "D"]
) -> Shaped[Array, "pr npar"]:
    """∂/∂θ of the means of the outcomes and of the variables of higher levels at a data row."""
    along = jacobians(pattern, _implied(pattern, params), np.eye(len(params)))
    own, *above = ((level.mean @ row).T for level in along)
    level2, *rest = _lowered(pattern, above)
    effects = pattern.random_effects
    effects.added(own, EVERY, (effects.maps @ row)[:, None] * level2[: pattern.split])
    return np.concatenate((own, level2[pattern.split :], *rest))


def _together(
    pattern: ModelPattern, within: Shaped[Array, "p *s"], above: Sequence[Shaped[Array, "_ *s"]]
) -> Shaped[Array, "m *s"]:
    """Each outcome with its random intercept, then the random slopes and the variables of higher
    levels."""
    total, (between, *rest) = within.copy(), _lowered(pattern, above)
    effects = pattern.random_effects
    intercepts = np.flatnonzero(~_vary(effects.maps))
    effects.added(total, intercepts, between[intercepts])
    return np.concatenate((total, np.delete(between, intercepts, axis=0), *rest))


def _lowered(
    pattern: ModelPattern, above: Sequence[Shaped[Array, "_ *s"]]
) -> list[Shaped[Array, "_ *s"]]:
    """Of the means of levels 2 and 3 those of level 2 with the parts that they have at level 3,
    and what is of level 3 alone."""
    if len(above) < 2:
        return list(above)
    (second, third), count = above, len(pattern.raised)
    total = second.copy()
    total[pattern.raised] += third[:count]
    return [total, third[count:]]
