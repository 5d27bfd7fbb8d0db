"""A model met with its data: the objective, its coordinates, and the clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np

from mlsem.base.caching import remember
from mlsem.core.clusters.view import MomentClusters
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.intercepts.objective import (
    InterceptClusters,
    InterceptObjective,
    SingleLevelClusters,
)
from mlsem.core.linalg import cholesky
from mlsem.core.nested.objective import NestedObjective, NestedUnits
from mlsem.core.nested.sample import nested_sample, nested_shapes
from mlsem.core.optimise.coordinates import Coordinates, choose_coordinates
from mlsem.core.optimise.objective import MomentObjective, Objective
from mlsem.core.optimise.runaway import MomentWatch, Watch
from mlsem.core.patterns.carriers import pattern_moments
from mlsem.core.patterns.completed import completed, pooled_cells
from mlsem.core.patterns.convert import as_clusters
from mlsem.core.patterns.objective import (
    PatternClusters,
    PatternObjective,
    SingleLevelPatternClusters,
)
from mlsem.core.records import (
    Array,
    CellMoments,
    ClusterMoments,
    Index,
    NestedMoments,
    RobustClusters,
    frozen,
)
from mlsem.core.sample.moments import pooled
from mlsem.core.sample.saturated import SaturatedMoments, saturated_moments
from mlsem.core.sample.shapes import ShapeMoments, shape_moments, shapes_of
from mlsem.core.slopes.carriers import SlopeMoments, slope_moments
from mlsem.core.slopes.objective import SlopeClusters, SlopeObjective
from mlsem.data.moments.aggregate import DataRecord
from mlsem.errors import DataError, EstimationError
from mlsem.estimation.incomplete import joint_moments
from mlsem.estimation.posed import Posed, PosedGroup
from mlsem.estimation.start import starting_values
from mlsem.model.expressions import compile_constraints
from mlsem.model.pattern import build_pattern, level_names, parameter_bounds, with_saturated_moments
from mlsem.model.table import ParameterTable

Moments: TypeAlias = ClusterMoments | CellMoments

NONE: Index = frozen(np.zeros(0, dtype=np.intp))
NO_PART = 1e-8  # share of a variance that is between clusters from which on there is such a part


@dataclass(frozen=True, eq=False)
class Problem(Posed):
    """A model of one group met with its data.

    Attributes
    ----------
    sample : ShapeMoments
        The data by cluster size, for starting values and display.
    shape_of : (J,)
        Each cluster's position in the objective's shapes; in a single-level model clusters
        play no part in the likelihood and `sizes` are those of `moments` alone.
    sizes : (S,)
    maps : mapping of name to (D,)
        Each observed variable as a map of h = (1, stored columns).
    means : mapping of name to float
        Overall sample mean of each observed variable.
    saturated : SaturatedMoments or None
        Where parts of covariates have their moments from the saturated model.
    """

    objective: MomentObjective[Any, ModelPattern]
    inner: MomentObjective[Any, ModelPattern]
    coordinates: Coordinates
    clusters: MomentClusters[Any]
    moments: Moments
    sample: ShapeMoments
    shape_of: Index
    sizes: Array
    maps: Mapping[str, Array]
    means: Mapping[str, float]
    saturated: SaturatedMoments | None = None

    @property
    def pattern(self) -> ModelPattern:
        """Of the user's parameters."""
        return self.objective.pattern

    @property
    def groups(self) -> tuple[PosedGroup, ...]:
        return (PosedGroup(None, 1, np.arange(len(self.table.names)), self),)

    def with_table(self, table: ParameterTable, guess: Array, held: Index = NONE) -> Self:
        """`held` as for `pose_one`."""
        data = (self.sample, self.moments, self.sizes, self.shape_of)
        views = _views(table, self.maps, self.saturated, guess, data, held)
        return replace(self, table=table, guess=guess, **views)

    def with_moments(
        self, moments: Moments, guess: Array, robust: RobustClusters | None = None
    ) -> Self:
        changed = _with_moments(self, moments)
        return replace(self, guess=guess, robust=robust or self.robust, **changed)

    def if_complete(self) -> Objective[Any, Any]:
        if isinstance(self.moments, ClusterMoments) or not self.incomplete:
            return self.inner
        moments = as_clusters(self.moments)
        return _objective(self.inner.pattern, *_counted(self.table, moments))[0]

    def watch(self, first: Any) -> Watch:
        return MomentWatch(first, self.inner.edge)

    def at_sample_means(self, params: Array) -> Array:
        return self.coordinates.at_sample_means(params, self.sample)

    def gathered(self, values: Callable[[Problem], Array]) -> Array:
        return values(self)


def pose_one(table: ParameterTable, record: DataRecord, held: Index = NONE) -> Problem:
    """Build the pattern and the shape moments of a model of one group.

    Parameters
    ----------
    held : (m,), optional
        Parameters that mean what the user wrote in whatever coordinates, beside those with a
        bound or in a constraint.

    Raises
    ------
    DataError, EstimationError
        A covariate with a part at both levels has none at one, or the saturated model has no
        maximum.
    """
    centre = _centre(record.moments)
    means = {name: float(each.constant + each.coefs @ centre) for name, each in record.maps.items()}
    maps = {
        name: np.concatenate(([each.constant if table.meanstructure else 0.0], each.coefs))
        for name, each in record.maps.items()
    }
    data, moments, sizes, shape_of = _counted(table, record.moments)
    if table.bounds:
        from mlsem.estimation.bounds import with_bounds

        table = with_bounds(table, data, maps)
    saturated = _saturated(table, data, maps, moments)
    guess = starting_values(table, data, maps)
    return Problem(
        table=table,
        guess=guess,
        sample=data,
        moments=moments,
        shape_of=shape_of,
        sizes=sizes,
        robust=record.robust,
        maps=maps,
        means=means,
        saturated=saturated,
        **_views(table, maps, saturated, guess, (data, moments, sizes, shape_of), held),
    )


def _views(
    table: ParameterTable,
    maps: Mapping[str, Array],
    saturated: SaturatedMoments | None,
    guess: Array,
    data: tuple[ShapeMoments, Moments, Array, Index],
    held: Index = NONE,
) -> dict[str, Any]:
    """The objective in the user's and in the optimiser's coordinates, and the clusters."""
    pattern = build_pattern(table, maps)
    if saturated is not None:
        pattern = with_saturated_moments(table, pattern, saturated, maps)
    objective, clusters = _objective(pattern, *data)
    fast = np.union1d(restricted(table), held) if len(held) else restricted(table)
    coordinates = choose_coordinates(objective, data[0], fast, guess)
    inner = objective
    if not coordinates.same:
        inner, clusters = _objective(coordinates.internal, *data)
    return {
        "objective": objective,
        "inner": inner,
        "coordinates": coordinates,
        "clusters": clusters,
    }


def _with_moments(problem: Problem, moments: Moments) -> dict[str, Any]:
    """What other moments of the same stored columns change."""
    moved = _centre(moments) - _centre(problem.moments)
    means = {
        name: mean + float(problem.maps[name][1:] @ moved) for name, mean in problem.means.items()
    }
    data, moments, sizes, shape_of = _counted(problem.table, moments)
    saturated = _saturated(problem.table, data, problem.maps, moments)
    coordinates = problem.coordinates
    if saturated is not None:
        user, internal = (
            with_saturated_moments(problem.table, pattern, saturated, problem.maps)
            for pattern in (coordinates.user, coordinates.internal)
        )
        internal = user if coordinates.same else internal
        coordinates = replace(coordinates, user=user, internal=internal)
    objective, clusters = _objective(coordinates.user, data, moments, sizes, shape_of)
    inner = objective
    if not coordinates.same:
        inner, clusters = _objective(coordinates.internal, data, moments, sizes, shape_of)
    return {
        "objective": objective,
        "inner": inner,
        "coordinates": coordinates,
        "sample": data,
        "clusters": clusters,
        "moments": moments,
        "shape_of": shape_of,
        "sizes": sizes,
        "means": means,
        "saturated": saturated,
    }


def arranged(problem: Problem) -> SlopeMoments:
    """The clusters as the optimiser's carriers see them."""
    inner = problem.inner
    if isinstance(inner, SlopeObjective):
        return inner.data
    assert isinstance(problem.moments, ClusterMoments)  # restricted likelihoods have no holes
    return slope_moments(inner.pattern, problem.moments)


def mixed_data(problem: Problem) -> SlopeMoments | PatternClusters:
    """The same, or of rows that fall into classes their cells."""
    if isinstance(problem.clusters, PatternClusters):
        return problem.clusters
    return arranged(problem)


def _centre(moments: Moments) -> Array:
    """Mean over rows of each stored column."""
    return moments.mean


def _counted(table: ParameterTable, moments: Moments) -> tuple[ShapeMoments, Moments, Array, Index]:
    """The sample by cluster size; the clusters, their distinct sizes and the shape of each."""
    if table.classes and isinstance(moments, CellMoments):  # nothing is missing
        whole, (sizes, shape_of) = as_clusters(moments), shapes_of(moments)
        return shape_moments(whole, sizes, shape_of), moments, sizes, shape_of
    if isinstance(moments, CellMoments):
        whole = moments if table.two_level else pooled_cells(moments)
        return completed(whole, two_level=table.two_level), moments, *shapes_of(moments)
    if isinstance(moments, NestedMoments):
        nested = nested_sample(moments)
        return nested_shapes(nested), moments, nested.sizes, nested.shape_of
    if table.two_level:
        sizes, shape_of = shapes_of(moments)
        return shape_moments(moments, sizes, shape_of), moments, sizes, shape_of
    whole = pooled(moments)
    if not table.meanstructure:  # the data count as deviations from their means
        moments, whole = _less(moments, whole.means[0]), _less(whole, whole.means[0])
    return shape_moments(whole, *shapes_of(whole)), moments, *shapes_of(moments)


def _saturated(
    table: ParameterTable, data: ShapeMoments, maps: Mapping[str, Array], moments: Moments
) -> SaturatedMoments | None:
    """The saturated model's moments where parts of covariates have them; else None.

    Those where the covariance of the parts between clusters is a covariance matrix: without a
    bound if that is so there, as other estimates have none; else with it.
    """
    if not table.has_parts:
        return None
    for semidefinite in (False, True):
        if isinstance(moments, CellMoments):
            found = joint_moments(table, moments, data, maps, semidefinite=semidefinite)
        else:
            found = unrestricted(table, data, maps, semidefinite=semidefinite)
        if found is None:
            break
        _require_parts(table, found)
        if semidefinite or _are_moments(table, found):
            return found
    raise EstimationError(
        "the saturated model, at whose estimates the moments of covariates with a part at both "
        "levels are fixed, has no maximum that was found. fixed_x=False makes them parameters."
    )


def unrestricted(
    table: ParameterTable,
    data: ShapeMoments,
    maps: Mapping[str, Array],
    *,
    semidefinite: bool,
) -> SaturatedMoments | None:
    """Moments of the saturated two-level model of a table's variables, in the order of
    `level_names`; None where no maximum was found."""
    count, width = len(table.split), len(next(iter(maps.values())))
    split, within, between = (
        np.array([maps[name] for name in names]).reshape(len(names), width)
        for names in (table.split, *(names[count:] for names in level_names(table)))
    )
    return saturated_moments(data, split, within, between, semidefinite=semidefinite)


def _are_moments(table: ParameterTable, saturated: SaturatedMoments) -> bool:
    """Whether the parts between clusters have a positive definite covariance matrix."""
    names = level_names(table)[1]
    parts = [names.index(name) for name in table.levels[1].parts]
    covariance = saturated.covariances[1][np.ix_(parts, parts)]
    return cholesky(covariance) is not None


def _require_parts(table: ParameterTable, saturated: SaturatedMoments) -> None:
    """Refuse covariates that have no variance between clusters."""
    names = level_names(table)[1]
    covariance = saturated.covariances
    for name in table.levels[1].parts:
        k = names.index(name)
        own, total = covariance[1][k, k], covariance[0][k, k] + covariance[1][k, k]
        if own <= NO_PART * total:
            raise DataError(
                f"{name!r} is named at both levels, but its variance between clusters is "
                "estimated to be zero: the cluster means differ no more than rows drawn at "
                "random would make them, so that its effect at level 2 cannot be estimated. "
                "Name it at level 1 only."
            )


def _objective(
    pattern: ModelPattern,
    data: ShapeMoments,
    moments: Moments,
    sizes: Array,
    shape_of: Index,
) -> tuple[MomentObjective[Any, ModelPattern], MomentClusters[Any]]:
    """The objective that suits the pattern and the data, and its clusters."""
    if isinstance(moments, CellMoments):
        return _incomplete(pattern, moments)
    if isinstance(moments, NestedMoments):
        nested = nested_sample(moments)
        return NestedObjective(pattern, nested), NestedUnits(nested)
    if pattern.carriers is not None:
        arranged = slope_moments(pattern, moments)
        return SlopeObjective(pattern, arranged), SlopeClusters(moments, arranged)
    groups = InterceptClusters(moments, shape_of, sizes)
    clusters = groups if len(pattern.between.responses) else SingleLevelClusters(groups)
    return InterceptObjective(pattern, data), clusters


def _incomplete(
    pattern: ModelPattern, cells: CellMoments
) -> tuple[MomentObjective[Any, ModelPattern], MomentClusters[Any]]:
    """The objective of data with missing values, and its clusters."""
    arranged, rows = pattern_moments(pattern, cells)
    clusters = PatternClusters(cells, arranged, rows)
    if len(pattern.between.responses):
        return PatternObjective(pattern, arranged), clusters
    whole, _ = pattern_moments(pattern, pooled_cells(cells))
    return PatternObjective(pattern, whole), SingleLevelPatternClusters(clusters)


def _less(moments: ClusterMoments, centre: Array) -> ClusterMoments:
    return replace(moments, means=frozen(moments.means - centre), shift=moments.shift + centre)


@remember
def restricted(table: ParameterTable) -> Index:
    """Parameters with a bound or in a constraint."""
    lower, upper = parameter_bounds(table)
    used = np.isfinite(lower) | np.isfinite(upper)
    for compiled in compile_constraints(table) if table.constraints else ():
        used[compiled.positions] = True
    return frozen(np.flatnonzero(used))
