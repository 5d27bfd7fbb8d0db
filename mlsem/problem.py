"""A model met with its data: the objective, its coordinates, and the clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from mlsem.core.carriers import SlopeMoments, slope_moments
from mlsem.core.coordinates import Coordinates, choose_coordinates
from mlsem.core.intercepts import InterceptClusters, InterceptObjective, SingleLevelClusters
from mlsem.core.moments import pooled
from mlsem.core.objective import ClusterView, MomentObjective
from mlsem.core.pattern import ModelPattern
from mlsem.core.records import (
    Array,
    ClusterMoments,
    Index,
    RobustClusters,
    ShapeMoments,
    frozen,
)
from mlsem.core.shapes import shape_moments, shapes_of
from mlsem.core.slope_clusters import SlopeClusters
from mlsem.core.slope_objective import SlopeObjective
from mlsem.data.aggregate import DataRecord
from mlsem.spec.build import build_pattern, parameter_bounds
from mlsem.spec.constraints import compile_constraints
from mlsem.spec.partable import ParameterTable
from mlsem.spec.start import starting_values


@dataclass(frozen=True, eq=False)
class Problem:
    """A model met with its data.

    Attributes
    ----------
    objective : MomentObjective
        The log-likelihood of the user's parameters.
    inner : MomentObjective
        The same of the optimiser's parameters.
    coordinates : Coordinates
        From the one to the other.
    guess : (npar,)
        Default starting values, the user's parameters.
    sample : ShapeMoments
        The data by cluster size, for starting values and display.
    clusters : ClusterView
        The clusters of `moments` as they see a point of the objective.
    moments : ClusterMoments
        The clusters whose scores a robust covariance sums (rows, without `cluster=`).
    shape_of : (J,)
        Each cluster's position in the objective's shapes; in a single-level model clusters
        play no part in the likelihood and `sizes` are those of `moments` alone.
    sizes : (S,)
    robust : RobustClusters
        Of the robust covariance, unions of the clusters of `moments`.
    maps : mapping of name to (D,)
        Each observed variable as a map of h = (1, stored columns).
    means : mapping of name to float
        Overall sample mean of each observed variable.
    """

    table: ParameterTable
    objective: MomentObjective[Any]
    inner: MomentObjective[Any]
    coordinates: Coordinates
    guess: Array
    sample: ShapeMoments
    clusters: ClusterView[Any]
    moments: ClusterMoments
    shape_of: Index
    sizes: Array
    robust: RobustClusters
    maps: Mapping[str, Array]
    means: Mapping[str, float]


def pose(table: ParameterTable, record: DataRecord) -> Problem:
    """Build the pattern and the shape moments."""
    centre = _centre(record.moments)
    means = {name: float(each.constant + each.coefs @ centre) for name, each in record.maps.items()}
    anchored = table.two_level or table.meanstructure
    maps = {
        name: np.concatenate(([each.constant if anchored else 0.0], each.coefs))
        for name, each in record.maps.items()
    }
    data, moments, sizes, shape_of = _counted(table, record.moments)
    if table.bounds:
        from mlsem.spec.bounds import with_bounds

        table = with_bounds(table, data, maps)
    pattern = build_pattern(table, maps)
    guess = starting_values(table, data, maps)
    objective, clusters = _objective(pattern, data, moments, sizes, shape_of)
    coordinates = choose_coordinates(objective, data, restricted(table), guess)
    inner = objective
    if not coordinates.same:
        inner, clusters = _objective(coordinates.internal, data, moments, sizes, shape_of)
    return Problem(
        table=table,
        objective=objective,
        inner=inner,
        coordinates=coordinates,
        guess=guess,
        sample=data,
        clusters=clusters,
        moments=moments,
        shape_of=shape_of,
        sizes=sizes,
        robust=record.robust,
        maps=maps,
        means=means,
    )


def with_moments(
    problem: Problem,
    moments: ClusterMoments,
    guess: Array,
    robust: RobustClusters | None = None,
) -> Problem:
    """The same model met with other moments of the same stored columns.

    Coordinates are kept: what is far from zero is so in all data sets like this one.

    Parameters
    ----------
    moments : ClusterMoments
        With the columns and the shift of `problem.moments`.
    guess : (npar,)
        Starting values, the user's parameters.
    robust : RobustClusters, optional
        The problem's, if the clusters of `moments` are the problem's.
    """
    moved = _centre(moments) - _centre(problem.moments)
    means = {
        name: mean + float(problem.maps[name][1:] @ moved) for name, mean in problem.means.items()
    }
    data, moments, sizes, shape_of = _counted(problem.table, moments)
    objective, clusters = _objective(problem.objective.pattern, data, moments, sizes, shape_of)
    inner = objective
    if not problem.coordinates.same:
        inner, clusters = _objective(problem.inner.pattern, data, moments, sizes, shape_of)
    return replace(
        problem,
        objective=objective,
        inner=inner,
        guess=guess,
        sample=data,
        clusters=clusters,
        moments=moments,
        shape_of=shape_of,
        sizes=sizes,
        robust=robust or problem.robust,
        means=means,
    )


def with_table(problem: Problem, table: ParameterTable) -> Problem:
    """Another model of the same variables met with the same data."""
    data, maps = problem.sample, problem.maps
    pattern = build_pattern(table, maps)
    given = (problem.moments, problem.sizes, problem.shape_of)
    objective, clusters = _objective(pattern, data, *given)
    guess = starting_values(table, data, maps)
    coordinates = choose_coordinates(objective, data, restricted(table), guess)
    inner = objective
    if not coordinates.same:
        inner, clusters = _objective(coordinates.internal, data, *given)
    return replace(
        problem,
        table=table,
        objective=objective,
        inner=inner,
        coordinates=coordinates,
        guess=guess,
        clusters=clusters,
    )


def arranged(problem: Problem) -> SlopeMoments:
    """The clusters as the optimiser's carriers see them."""
    inner = problem.inner
    if isinstance(inner, SlopeObjective):
        return inner.data
    return slope_moments(inner.pattern, problem.moments)


def _centre(moments: ClusterMoments) -> Array:
    """Mean over rows of each stored column."""
    return moments.counts @ moments.means / moments.n_rows


def _counted(
    table: ParameterTable, moments: ClusterMoments
) -> tuple[ShapeMoments, ClusterMoments, Array, Index]:
    """The objective's data; the clusters, their distinct sizes and the shape of each."""
    if table.two_level:
        sizes, shape_of = shapes_of(moments)
        return shape_moments(moments, sizes, shape_of), moments, sizes, shape_of
    whole = pooled(moments)
    if not table.meanstructure:  # the data count as deviations from their means
        moments, whole = _less(moments, whole.means[0]), _less(whole, whole.means[0])
    return shape_moments(whole, *shapes_of(whole)), moments, *shapes_of(moments)


def _objective(
    pattern: ModelPattern,
    data: ShapeMoments,
    moments: ClusterMoments,
    sizes: Array,
    shape_of: Index,
) -> tuple[MomentObjective[Any], ClusterView[Any]]:
    """The objective that suits the pattern, and its clusters."""
    if pattern.carriers is not None:
        arranged = slope_moments(pattern, moments)
        return SlopeObjective(pattern, arranged), SlopeClusters(moments, arranged)
    groups = InterceptClusters(moments, shape_of, sizes)
    clusters = groups if pattern.two_level else SingleLevelClusters(groups)
    return InterceptObjective(pattern, data), clusters


def _less(moments: ClusterMoments, centre: Array) -> ClusterMoments:
    return replace(moments, means=frozen(moments.means - centre), shift=moments.shift + centre)


@lru_cache(maxsize=256)
def restricted(table: ParameterTable) -> Index:
    """Parameters with a bound or in a constraint."""
    lower, upper = parameter_bounds(table)
    used = np.isfinite(lower) | np.isfinite(upper)
    for compiled in compile_constraints(table) if table.constraints else ():
        used[compiled.positions] = True
    return frozen(np.flatnonzero(used))
