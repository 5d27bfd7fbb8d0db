"""A model of several groups met with their data: a sum over groups.

Each group is met with its data as a model of its own; parameters that groups share stand once in
the whole vector, and labels, bounds and constraints are the whole's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from mlsem.core.arrow import Arrow, dense, layout
from mlsem.core.clusters.sum import SumClusters, TermDirections
from mlsem.core.implied.point import SumPoint
from mlsem.core.optimise.objective import Objective
from mlsem.core.optimise.optimum import (
    Boundary,
    Maximum,
    Optimum,
    RandomStarts,
    Reason,
    RestrictedMaximum,
    Stationary,
    Stopped,
)
from mlsem.core.optimise.runaway import Runaway, Watch
from mlsem.core.optimise.sum import (
    Sum,
    SumCoordinates,
    SumDerivatives,
    Term,
    TermCoordinates,
)
from mlsem.core.records import Array, GroupedMoments, Index, RobustClusters, frozen
from mlsem.data.moments.aggregate import DataRecord
from mlsem.errors import in_group
from mlsem.estimation.posed import Posed, PosedGroup, shared_parameters
from mlsem.estimation.problem import Problem, pose_one, restricted
from mlsem.model.table import ParameterTable

if TYPE_CHECKING:
    from mlsem.data.moments.groups import GroupedRecord


@dataclass(frozen=True, eq=False)
class GroupedProblem(Posed):
    """The models of several groups met with their data."""

    objective: Sum
    inner: Sum
    coordinates: SumCoordinates
    clusters: SumClusters
    moments: GroupedMoments
    parts: tuple[PosedGroup, ...]

    @property
    def groups(self) -> tuple[PosedGroup, ...]:
        return self.parts

    @property
    def separate(self) -> bool:
        return not len(self.shared) and not len(restricted(self.table))

    def with_table(self, table: ParameterTable, guess: Array) -> Self:
        held = _held(table)
        parts: list[PosedGroup] = []
        for part, group in zip(self.parts, table.groups, strict=True):
            places = np.array(group.places, dtype=np.intp)
            own = np.flatnonzero(np.isin(places, held))
            problem = part.problem.with_table(group.table, guess[places], own)
            parts.append(replace(part, places=places, problem=problem))
        return replace(self, table=table, guess=guess, **summed(parts))

    def with_moments(
        self, moments: GroupedMoments, guess: Array, robust: RobustClusters | None = None
    ) -> Self:
        parts = [
            replace(part, problem=part.problem.with_moments(own, guess[part.places]))
            for part, own in zip(self.parts, moments.groups, strict=True)
        ]
        return replace(self, guess=guess, robust=robust or self.robust, **summed(parts))

    def if_complete(self) -> Objective[Any, Any]:
        terms = [Term(part.problem.if_complete(), part.places) for part in self.parts]  # type: ignore[arg-type]
        return Sum(tuple(terms))

    def watch(self, first: SumPoint) -> Watch:
        pairs = zip(self.parts, first.terms, strict=True)
        return _Watch([(part.label, part.problem.watch(point)) for part, point in pairs])

    def at_sample_means(self, params: Array) -> Array:
        return self.coordinates.at_sample_means(params)


class _Watch:
    """Watches each term of a sum."""

    def __init__(self, terms: Sequence[tuple[object, Watch]]) -> None:
        self._terms = terms

    def __call__(self, iteration: int, point: SumPoint) -> Runaway | None:
        return self._first(
            watch(iteration, own) for (_, watch), own in zip(self._terms, point.terms, strict=True)
        )

    def at_end(self, point: SumPoint) -> Runaway | None:
        return self._first(
            watch.at_end(own) for (_, watch), own in zip(self._terms, point.terms, strict=True)
        )

    def _first(self, found: Any) -> Runaway | None:
        for (label, _), runs in zip(self._terms, found, strict=True):
            if runs is not None:
                return Runaway(runs.status, f"{runs.where} of group {label!r}")
        return None


def pose_groups(table: ParameterTable, record: GroupedRecord) -> GroupedProblem:
    """A table of several groups met with their data.

    Raises
    ------
    DataError, EstimationError
        As `pose_one`; with the group's label.
    """
    held = _held(table)
    parts = [
        PosedGroup(
            label=group.label,
            number=number,
            places=np.array(group.places, dtype=np.intp),
            problem=_pose_group(table, number, own, held),
        )
        for number, (group, own) in enumerate(
            zip(table.groups, record.groups, strict=True), start=1
        )
    ]
    if table.bounds:
        table = _with_bounds_of(table, [part.problem.table for part in parts])
    whole = summed(parts)
    found = GroupedProblem(
        table=table, guess=np.zeros(len(table.names)), robust=record.robust, **whole
    )
    return replace(found, guess=found.gathered(lambda problem: problem.guess))


def joined(problem: Posed, optima: Sequence[Optimum[Any]]) -> Optimum[Any]:
    """The maxima of groups that have nothing in common, as one of the whole."""
    params = np.zeros(len(problem.table.names))
    for part, optimum in zip(problem.groups, optima, strict=True):
        params[part.places] = optimum.params
    points = tuple(optimum.point for optimum in optima)
    point = SumPoint(frozen(params), sum(each.loglik for each in points), points)
    free = _placed(problem, [optimum.free for optimum in optima])
    iterations = max(optimum.n_iterations for optimum in optima)
    distance = max(optimum.distance for optimum in optima)
    there = point, free, iterations, distance
    starts = _starts_of(optima)
    failed = [k for k, optimum in enumerate(optima) if not optimum.converged]
    value = sum(optimum.loglik for optimum in optima)
    flat = any(optimum.singular for optimum in optima)
    if failed:
        first = optima[failed[0]]
        where = " and ".join(f"group {problem.groups[k].label!r}" for k in failed)
        where = f"{first.where} of {where}" if first.where else where
        reason = cast("Reason", first.status)
        return Stopped(*there, reason, where, value, flat=flat, starts=starts)
    if all(isinstance(optimum, RestrictedMaximum) for optimum in optima):
        found = cast("Sequence[RestrictedMaximum[Any]]", optima)
        return RestrictedMaximum(
            *there,
            value,
            _placed(problem, [each.root for each in found]),
            _placed(problem, [each.bread for each in found]),
            _placed(problem, [each.lost for each in found]),
            flat,
            starts=starts,
        )
    if flat:
        return Boundary(*there, starts=starts)
    if all(isinstance(optimum, Stationary) for optimum in optima):
        found = cast("Sequence[Stationary[Any, Any]]", optima)
        return Stationary(*there, *_derivatives(problem, found), starts=starts)
    return Maximum(*there, starts=starts)


def _derivatives(
    problem: Posed, optima: Sequence[Stationary[Any, Any]]
) -> tuple[SumDerivatives, Arrow]:
    """Those of all groups along the directions of each, and the observed information."""
    counts = [optimum.at.basis.shape[1] for optimum in optima]
    ends, size = np.cumsum(counts).tolist(), sum(counts)
    along = tuple(
        TermDirections(np.arange(end - count, end), size, optimum.at.along)
        for optimum, count, end in zip(optima, counts, ends, strict=True)
    )
    observed = layout([each.columns for each in along], size).summed(
        [dense(optimum.observed) for optimum in optima]
    )
    basis = _placed(problem, [optimum.at.basis for optimum in optima])
    slope = np.concatenate([optimum.at.gradient for optimum in optima])
    terms = tuple(optimum.at for optimum in optima)
    return SumDerivatives(basis, slope, along, terms), observed


def _placed(problem: Posed, matrices: Sequence[Array]) -> Array:
    """Columns of each group's parameters as ones of all, (npar, Σ n)."""
    columns = []
    for part, own in zip(problem.groups, matrices, strict=True):
        whole = np.zeros((len(problem.table.names), own.shape[1]))
        whole[part.places] = own
        columns.append(whole)
    return np.concatenate(columns, axis=1)


def _starts_of(optima: Sequence[Optimum[Any]]) -> RandomStarts | None:
    """Random starts of all groups: a start reached the maximum if it did in each of them."""
    starts = [optimum.starts for optimum in optima if optimum.starts is not None]
    if not starts:
        return None
    logliks = np.sum([each.logliks for each in starts], axis=0)
    return RandomStarts(starts[0].seed, sum(each.usual for each in starts), frozen(logliks))


def _held(table: ParameterTable) -> Index:
    """Parameters of the whole that are the user's own in whatever coordinates: with a bound, in a
    constraint, or of several groups."""
    return np.union1d(restricted(table), shared_parameters(table))


def _pose_group(table: ParameterTable, number: int, record: DataRecord, held: Index) -> Problem:
    group = table.groups[number - 1]
    with in_group(group.label):
        return pose_one(group.table, record, np.flatnonzero(np.isin(group.places, held)))


def _with_bounds_of(table: ParameterTable, groups: list[ParameterTable]) -> ParameterTable:
    """The whole table with the bounds that the data of each group gave."""
    rows = [row for group in groups for row in group.rows]
    bounded = tuple(
        replace(row, lower=own.lower, upper=own.upper)
        for row, own in zip(table.rows, rows, strict=True)
    )
    parts = tuple(
        replace(part, table=group) for part, group in zip(table.groups, groups, strict=True)
    )
    return replace(table, rows=bounded, groups=parts)


def summed(parts: Sequence[PosedGroup]) -> dict[str, Any]:
    """What follows for the whole: the fields of a `GroupedProblem` that its parts settle."""
    problems = [part.problem for part in parts]
    places = [part.places for part in parts]
    coordinates = SumCoordinates(
        tuple(
            TermCoordinates(problem.coordinates, own, problem.sample)
            for problem, own in zip(problems, places, strict=True)
        )
    )
    objective = Sum(tuple(Term(p.objective, own) for p, own in zip(problems, places, strict=True)))
    inner = Sum(tuple(Term(p.inner, own) for p, own in zip(problems, places, strict=True)))
    return {
        "objective": objective,
        "inner": inner,
        "coordinates": coordinates,
        "clusters": SumClusters(tuple(problem.clusters for problem in problems)),
        "moments": GroupedMoments(tuple(problem.moments for problem in problems)),
        "parts": tuple(parts),
    }
