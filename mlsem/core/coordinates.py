"""Coordinates in which a covariate far from zero does no harm.

With a covariate x of mean c ≫ sd(x), the implied means contain λ γ c: a product of parameters
times a huge number, which bends the likelihood along every path. With x centred at c the same
model has other intercepts and is well-behaved. So the optimiser works on the centred covariates,
and its parameters are mapped to the user's: all the same but the intercepts, which make the
implied means equal,

    t_user(θ) = t_internal(θ'),   t = constants of the implied means,
    α = α' - A⁺ [t_user(θ') - t_internal(θ')]

with A = ∂t/∂α. Where no free intercepts absorb the shift (they are fixed, shared or constrained)
covariates stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlsem.core.objective import Objective
from mlsem.core.pattern import LevelPattern, ModelPattern, level_jacobian, level_moments
from mlsem.core.records import Array, Index, ShapeMoments

FAR = 10.0  # means beyond this many standard deviations are centred
ABSORBED = 1e-8  # largest part of a shift that intercepts may leave over


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The user's parameters and those of the optimiser.

    Attributes
    ----------
    user, internal : ModelPattern
        The same object where nothing is centred.
    intercepts : (m,)
        Parameters that differ.
    """

    user: ModelPattern
    internal: ModelPattern
    intercepts: Index

    @property
    def same(self) -> bool:
        return self.user is self.internal

    def to_user(self, params: Array) -> Array:
        """Internal → the user's parameters."""
        return params if self.same else self._moved(params, -1.0)

    def to_internal(self, params: Array) -> Array:
        """The user's → internal parameters."""
        return params if self.same else self._moved(params, 1.0)

    def settled(self, params: Array, data: ShapeMoments) -> Array:
        """Internal parameters whose intercepts reproduce the sample means as well as they can."""
        row = data.cross.sum(axis=0)[0] / data.n_clusters
        gaps: list[Array] = []
        for level in (self.internal.within, self.internal.between):
            moments = level_moments(level, params)
            assert moments is not None
            gaps.append((level.responses - moments.mean) @ row)
        q = self.internal.split
        gap = _together(self.internal, gaps[0], gaps[1])
        gap[:q] -= self.internal.within.responses[:q] @ row  # a split variable counts once
        slopes = _slopes(self.internal, params)[:, self.intercepts]
        moved = params.copy()
        moved[self.intercepts] += np.linalg.lstsq(slopes, gap, rcond=None)[0]
        return moved

    def _moved(self, params: Array, sign: float) -> Array:
        moved = params.copy()
        gap = _constants(self.user, params) - _constants(self.internal, params)
        slopes = _slopes(self.internal, params)[:, self.intercepts]
        moved[self.intercepts] += sign * np.linalg.lstsq(slopes, gap, rcond=None)[0]
        return moved

    def jacobian(self, params: Array) -> Array:
        """∂θ_user/∂θ_internal (npar, npar) at internal parameters."""
        result = np.eye(len(params))
        if self.same:
            return result
        inside = _slopes(self.internal, params)
        gap = inside - _slopes(self.user, self.to_user(params))
        slopes = inside[:, self.intercepts]
        result[self.intercepts] += np.linalg.lstsq(slopes, gap, rcond=None)[0]
        return result


def choose_coordinates(
    objective: Objective[Any], data: ShapeMoments, restricted: Index, params: Array
) -> Coordinates:
    """Centre the far covariates if free intercepts absorb that.

    Parameters
    ----------
    restricted : (m,)
        Parameters under a constraint or bound, which must mean what the user wrote.
    params : (npar,)
        A point at which to see whether intercepts absorb a shift.
    """
    user = objective.pattern
    internal = replace(
        user, within=_centred(user.within, data), between=_centred(user.between, data)
    )
    same = Coordinates(user, user, np.zeros(0, dtype=np.intp))
    if internal.within is user.within and internal.between is user.between:
        return same
    intercepts = np.setdiff1d(_free_intercepts(user), restricted)
    if objective.evaluate(params) is None:
        return same
    gap = _constants(user, params) - _constants(internal, params)
    slopes = _slopes(user, params)[:, intercepts]
    left = gap - slopes @ np.linalg.lstsq(slopes, gap, rcond=None)[0]
    if np.abs(left).max() > ABSORBED * np.abs(gap).max():
        return same
    return Coordinates(user, internal, intercepts)


def _centred(pattern: LevelPattern, data: ShapeMoments) -> LevelPattern:
    """The pattern with the constants of far covariates taken off; itself if there are none."""
    covariates = pattern.covariates
    if len(covariates) < 2:
        return pattern
    total = data.cross.sum(axis=0) / data.n_clusters
    spread = total - np.outer(total[0], total[0]) + data.within / data.n_rows
    deviations = np.sqrt(np.einsum("kd,de,ke->k", covariates, spread, covariates))
    far = np.abs(covariates[:, 0]) > FAR * deviations
    far[0] = False
    if not far.any():
        return pattern
    centred = covariates.copy()
    centred[far, 0] = 0.0
    return replace(pattern, covariates=centred)


def _free_intercepts(pattern: ModelPattern) -> Index:
    """Parameters that are intercepts and nothing else."""
    found: set[int] = set()
    other: set[int] = set()
    for level in (pattern.within, pattern.between):
        exogenous = level.exogenous
        constant = exogenous.cols == 0
        found.update(exogenous.params[constant].tolist())
        other.update(exogenous.params[~constant].tolist())
        other.update(level.cells.covariance_params.tolist())
    return np.array(sorted(found - other), dtype=np.intp)


def _constants(pattern: ModelPattern, params: Array) -> Array:
    """Constants of the implied means of each variable, its parts at both levels together."""
    within = level_moments(pattern.within, params)
    between = level_moments(pattern.between, params)
    assert within is not None
    assert between is not None
    return _together(pattern, within.mean[:, 0], between.mean[:, 0])


def _slopes(pattern: ModelPattern, params: Array) -> Array:
    """Derivatives of the constants, (m, npar)."""
    columns: list[Array] = []
    for level in (pattern.within, pattern.between):
        moments = level_moments(level, params)
        assert moments is not None
        columns.append(level_jacobian(level, moments, np.eye(len(params))).mean[:, :, 0].T)
    return _together(pattern, columns[0], columns[1])


def _together(pattern: ModelPattern, within: Array, between: Array) -> Array:
    q = pattern.split
    return np.concatenate((within[:q] + between[:q], within[q:], between[q:]))
