"""The saturated model of a fit's variables, at its own estimates and at those of the fit.

Its parameters β are all covariances of each level and the coefficients of all its outcomes on its
covariates (`core.implied.saturated`); where the fit takes moments of covariates from the saturated
model, both hold them. In a single-level model β̂ are sample moments; in a two-level one the maximum
is sought without a bound on Σ_B, as that of the fit is, and among positive semidefinite matrices
where there is none; in one of three levels without a bound, from the fit on. The saturated model of
several groups is that of each: they share nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mlsem.core.clusters.unions import summed
from mlsem.core.evidence.clusterwise import ClusterFit
from mlsem.core.implied.pattern import LevelMoments
from mlsem.core.implied.saturated import Held, Saturated, saturate
from mlsem.core.linalg import whitened_by
from mlsem.core.optimise.objective import MomentDerivatives, MomentObjective
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, CellMoments, Index, frozen
from mlsem.errors import InferenceError, in_group
from mlsem.estimation.clusterwise import cluster_fit
from mlsem.estimation.directions import Directions
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.incomplete import climbed
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import Problem, unrestricted
from mlsem.estimation.saturated_moments import (
    given_covariates,
    sample_moments,
    single_level_moments,
)

if TYPE_CHECKING:
    from mlsem.core.clusters.sum import TermDirections

AT_REST = 1e-6  # squared remaining step, in standard errors, of a maximum without a bound


@dataclass(frozen=True, eq=False)
class SaturatedPoint:
    """The saturated model at some β, and what the likelihood says about it there.

    Attributes
    ----------
    problem : Problem
        Of the fit.
    coordinates : Saturated
    params : (b,)
        β.
    rank : int
        Of Σ_B of the variables with a part at both levels.
    singular : bool
        Whether Σ_B was kept positive semidefinite and is singular.
    """

    problem: Problem
    coordinates: Saturated
    params: Array
    rank: int = 0
    singular: bool = False

    @property
    def groups(self) -> tuple[SaturatedPoint, ...]:
        """Those of each group; of one group itself."""
        return (self,)

    @property
    def robust_places(self) -> tuple[Index, ...]:
        """Which of the clusters of the robust covariance are those of `scores`, by group."""
        return (np.arange(self.problem.robust.n_clusters),)

    @property
    def n_params(self) -> int:
        """b."""
        return self.coordinates.n_params

    @property
    def loglik(self) -> float:
        return self._point.loglik

    def tangents(self, directions: Directions) -> tuple[tuple[Index, Array], ...]:
        """Δ = ∂β/∂θ along directions of the fit's parameters, by group: which of them move its
        β, (n,), and Δ of these, (b, n)."""
        along = self.coordinates.along(directions.at.along)
        return ((np.arange(along.shape[1]), along),)

    @property
    def moments(self) -> tuple[LevelMoments, ...]:
        """Of each level."""
        return self._point.levels

    def moments_at(self, params: Array) -> tuple[LevelMoments, ...]:
        """Of each level at other values of β."""
        return tuple([level.moments(params) for level in self.coordinates.pattern.levels])

    def clusters(self) -> ClusterFit:
        """ℓ_j and distance of each cluster of the likelihood."""
        return cluster_fit(self.problem, self.coordinates.pattern, self.params)

    @cached_property
    def _objective(self) -> MomentObjective[Any, Any]:
        return replace(self.problem.inner, pattern=self.coordinates.pattern)

    @cached_property
    @quiet
    def _point(self) -> Any:
        point = self._objective.evaluate(self.params)
        if point is None:
            raise InferenceError("the moments are outside the parameter space.")
        return point

    @cached_property
    @quiet
    def _at(self) -> MomentDerivatives:
        return self._objective.derivatives(self._point, np.eye(self.n_params))

    @cached_property
    @quiet
    def gradient(self) -> Array:
        """∂ℓ/∂β, (b,)."""
        return frozen(self._at.gradient)

    @cached_property
    @quiet
    def expected(self) -> Array:
        """A, the expected information, (b, b)."""
        return frozen(self._objective.expected(self._point, self._at))

    @cached_property
    @quiet
    def observed(self) -> Array:
        """The observed information, (b, b)."""
        return frozen(self._objective.observed(self._point, self._at))

    @cached_property
    @quiet
    def scores(self) -> Array:
        """∂ℓ_j/∂β of the clusters of a robust covariance, (G, b)."""
        problem = self.problem
        scores = problem.clusters.scores(self._point, self._at.along)
        return frozen(scores if problem.robust.same else summed(scores, problem.robust.codes))

    @cached_property
    def information(self) -> Array:
        """The observed information; where Σ_B is on the edge, where the gradient is not zero, the
        expected one."""
        white = whitened_by(self.expected, self.gradient)
        at_rest = white is not None and float(white @ white) < AT_REST
        return self.observed if at_rest else self.expected


@dataclass(frozen=True, eq=False)
class SaturatedGroups:
    """The saturated model of several groups at some β: the sum of theirs.

    Attributes
    ----------
    problem : Posed
        Of the fit.
    groups : tuple of SaturatedPoint
        Of each group.
    """

    problem: Posed
    groups: tuple[SaturatedPoint, ...]

    @property
    def robust_places(self) -> tuple[Index, ...]:
        """Which of the clusters of the robust covariance are those of a group's `scores`, by
        group; one may be in several groups."""
        found, first = [], 0
        for group in self.groups:
            own = group.problem.robust
            stop = first + len(own.codes)
            places = np.empty(own.n_clusters, dtype=np.intp)
            places[own.codes] = self.problem.robust.codes[first:stop]
            found.append(frozen(places))
            first = stop
        return tuple(found)

    @property
    def n_params(self) -> int:
        return sum(group.n_params for group in self.groups)

    @property
    def loglik(self) -> float:
        return sum(group.loglik for group in self.groups)

    def tangents(self, directions: Directions) -> tuple[tuple[Index, Array], ...]:
        """As `SaturatedPoint.tangents`."""
        terms = cast("tuple[TermDirections, ...]", directions.at.along)
        return tuple(
            (term.columns, group.coordinates.along(term.along))
            for group, term in zip(self.groups, terms, strict=True)
        )


SaturatedModel = SaturatedPoint | SaturatedGroups


def coordinates_of(estimates: Estimates[Problem]) -> Saturated:
    """The saturated model of the variables of a fit of one group.

    Raises
    ------
    InferenceError
        The model has random slopes, or residual variances by group: its covariances differ from row
        to row, and no saturated model is one of moments.
    """
    if estimates.table.differing:
        raise InferenceError(
            f"a model with {estimates.table.differing} has no saturated model to be compared with: "
            "the covariances that it implies differ from cluster to cluster. Compare it with other "
            "models by lr_test, aic or bic."
        )
    pattern, table = estimates.problem.inner.pattern, estimates.table
    held: list[Held] = []
    for k, level in enumerate(pattern.levels):
        names = [level.names[row] for row in level.observed]
        parts = table.levels[k].parts if k < len(table.levels) else ()
        absent = table.passing if k == 1 else ()
        held.append(Held(_positions(names, parts), _positions(names, absent)))
    covariates = [level.covariates for level in pattern.levels]
    return saturate(pattern, covariates, estimates.implied, held)


def _positions(names: Sequence[str], chosen: tuple[str, ...]) -> Index:
    return np.array([names.index(name) for name in chosen], dtype=np.intp)


def at_estimates(estimates: Estimates) -> SaturatedModel:
    """The saturated model at the moments that the fitted model implies, β(θ̂)."""
    points: list[SaturatedPoint] = []
    for own in (group.estimates for group in estimates.groups):
        coordinates = coordinates_of(own)
        params = coordinates.at(own.implied)
        points.append(SaturatedPoint(own.problem, coordinates, params))
    return _of_all(estimates, points)


def _of_all(estimates: Estimates, points: Sequence[SaturatedPoint]) -> SaturatedModel:
    if isinstance(estimates.problem, Problem):
        return points[0]
    return SaturatedGroups(estimates.problem, tuple(points))


@quiet
def saturated_fit(estimates: Estimates, *, semidefinite: bool | None = None) -> SaturatedModel:
    """The maximum of the saturated model.

    Parameters
    ----------
    semidefinite : bool, optional
        Whether Σ_B is kept positive semidefinite. Default: where there is no maximum without that
        bound, and where the model has one on its variances at level 2 and does not fit better.

    Raises
    ------
    InferenceError
        The model has random slopes, or no maximum was found.
    """
    points: list[SaturatedPoint] = []
    for group in estimates.groups:
        with in_group(group.label) if estimates.table.groups else nullcontext():
            points.append(_fit_of_group(group.estimates, semidefinite))
    return _of_all(estimates, points)


def _fit_of_group(estimates: Estimates[Problem], semidefinite: bool | None) -> SaturatedPoint:
    """`saturated_fit` of one group."""
    coordinates, problem = coordinates_of(estimates), estimates.problem
    if isinstance(problem.moments, CellMoments):
        return _incomplete_fit(estimates, coordinates, semidefinite)
    if estimates.table.three_level:
        if semidefinite:
            raise InferenceError(
                "h1(semidefinite=True) is there for two levels; with three leave it out: the "
                "saturated model is then sought without that bound."
            )
        return _climbed_from(estimates, coordinates)
    if not estimates.table.two_level:
        within = single_level_moments(problem.sample, coordinates)
        params = coordinates.at((within, estimates.implied[1]))
        return SaturatedPoint(problem, coordinates, params)
    for bounded in _bounds_to_try(estimates, semidefinite):
        found = unrestricted(problem.table, problem.sample, problem.maps, semidefinite=bounded)
        if found is None:
            continue
        moments = [
            given_covariates(problem, k, found.means[k], found.covariances[k]) for k in (0, 1)
        ]
        params = coordinates.at(tuple(moments))
        point = SaturatedPoint(problem, coordinates, params, found.rank, found.singular)
        if semidefinite is not None or point.loglik >= estimates.loglik or not bounded:
            return point
    raise _no_maximum()


def _climbed_from(estimates: Estimates[Problem], coordinates: Saturated) -> SaturatedPoint:
    """Of three levels, by a search that begins at the moments that the model implies."""
    objective = replace(estimates.problem.inner, pattern=coordinates.pattern)
    start = coordinates.at(estimates.implied)
    found = climbed(objective, coordinates.pattern, start, semidefinite=False)
    if found is None:
        raise _no_maximum()
    return SaturatedPoint(estimates.problem, coordinates, found.params)


def _bounds_to_try(estimates: Estimates, semidefinite: bool | None) -> tuple[bool, ...]:
    """Whether Σ_B is to be kept positive semidefinite, first and if there is nothing then."""
    if semidefinite is not None:
        return (semidefinite,)
    return tuple(dict.fromkeys((bounds_variances(estimates), False)))


def _no_maximum() -> InferenceError:
    return InferenceError(
        "no maximum of the saturated model was found: some variable has next to no variance at "
        "level 1, or there are too few clusters for its covariates."
    )


def _incomplete_fit(
    estimates: Estimates[Problem], coordinates: Saturated, semidefinite: bool | None
) -> SaturatedPoint:
    """`saturated_fit` where values are missing."""
    problem = estimates.problem
    start = coordinates.at(tuple([sample_moments(problem, k) for k in (0, 1)]))
    objective = replace(problem.inner, pattern=coordinates.pattern)
    wanted = _bounds_to_try(estimates, semidefinite)
    if semidefinite is None and wanted == (False,):
        wanted = (False, True)  # as without missing values where there is no maximum unbounded
    for bounded in wanted:
        found = climbed(objective, coordinates.pattern, start, semidefinite=bounded)
        if found is None:
            continue
        point = SaturatedPoint(problem, coordinates, found.params, found.rank, found.singular)
        if semidefinite is not None or point.loglik >= estimates.loglik or not bounded:
            return point
    raise _no_maximum()


def bounds_variances(estimates: Estimates) -> bool:
    """Whether variances above level 1 are kept from being negative."""
    table = estimates.table
    return table.semidefinite or any(
        row.is_variance and row.level > 1 and row.free >= 0 and row.lower >= 0.0
        for row in table.rows
    )
