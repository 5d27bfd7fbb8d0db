"""Draws of clusters with replacement."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated as Shaped
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from mlsem.core.blocks import positions_in_runs
from mlsem.core.records import (
    CellMoments,
    ClusterMoments,
    GroupedMoments,
    Index,
    NestedMoments,
    RobustClusters,
    frozen,
)
from mlsem.core.sample.moments import is_no_within, no_within

Moments: TypeAlias = ClusterMoments | CellMoments
N = TypeVar("N", bound=ClusterMoments)
M = TypeVar("M", ClusterMoments, CellMoments, GroupedMoments)


def resampled_groups(
    moments: GroupedMoments, clusters: Shaped[Index, "j"]
) -> tuple[GroupedMoments, Shaped[Index, "j"]]:
    """The clusters at these positions among those of all groups, group by group; and which of
    `clusters` each of them is."""
    counts = [group.n_clusters for group in moments.groups]
    ends = np.cumsum(counts)
    order = np.argsort(np.searchsorted(ends, clusters, side="right"), kind="stable")
    drawn = clusters[order]
    starts = np.searchsorted(drawn, ends - counts)
    stops = np.append(starts[1:], len(drawn))
    groups = [
        resampled(group, drawn[start:stop] - (end - count))
        for group, start, stop, end, count in zip(
            moments.groups, starts, stops, ends, counts, strict=True
        )
    ]
    return GroupedMoments(tuple(groups)), order


def drawn_clusters(
    moments: Moments | GroupedMoments, robust: RobustClusters, generator: np.random.Generator
) -> Shaped[Index, "g"]:
    """Robust clusters drawn with replacement, as many as there are; those of each group from that
    group, and those of several groups from those of the same ones."""
    if not isinstance(moments, GroupedMoments):
        return generator.integers(0, robust.n_clusters, size=robust.n_clusters)
    counts = [group.n_clusters for group in moments.groups]
    member = np.zeros((robust.n_clusters, len(counts)), dtype=np.bool_)
    member[robust.codes, np.repeat(np.arange(len(counts)), counts)] = True
    strata = np.unique(member, axis=0, return_inverse=True)[1].ravel()
    drawn = np.empty(robust.n_clusters, dtype=np.intp)
    for stratum in range(int(strata.max()) + 1):
        own = np.flatnonzero(strata == stratum)
        drawn[own] = own[generator.integers(0, len(own), size=len(own))]
    return drawn


def resampled(moments: Moments, clusters: Shaped[Index, "j"]) -> Moments:
    """The clusters of the highest level at these positions, with repetition: each a cluster of its
    own, 0, 1, …"""
    if isinstance(moments, CellMoments):
        return _resampled_cells(moments, clusters)
    if isinstance(moments, NestedMoments):
        return _resampled_units(moments, clusters)
    return _chosen(moments, clusters)


def _chosen(moments: N, clusters: Shaped[Index, "j"], **further: Any) -> N:
    within = moments.within
    lone = is_no_within(within)
    return replace(
        moments,
        rows=frozen(moments.rows[clusters]),
        sizes=frozen(moments.sizes[clusters]),
        weights=frozen(moments.weights[clusters]),
        means=frozen(moments.means[clusters]),
        within=no_within(len(clusters), moments.varying) if lone else frozen(within[clusters]),
        labels=frozen(np.arange(len(clusters))),
        **further,
    )


def _resampled_units(moments: NestedMoments, units: Shaped[Index, "u"]) -> NestedMoments:
    order = np.argsort(moments.unit_of, kind="stable")
    count = np.bincount(moments.unit_of, minlength=len(moments.unit_labels))
    lengths, starts = count[units], (np.cumsum(count) - count)[units]
    owner = np.repeat(np.arange(len(units)), lengths)
    members = order[starts[owner] + positions_in_runs(lengths)]
    names = frozen(np.arange(len(units)))
    return _chosen(moments, members, unit_of=frozen(owner), unit_labels=names)


def _resampled_cells(moments: CellMoments, clusters: Shaped[Index, "j"]) -> CellMoments:
    bounds = np.searchsorted(moments.cluster_of, np.arange(moments.n_clusters + 1))
    lengths = np.diff(bounds)[clusters]
    own = np.repeat(bounds[clusters], lengths) + positions_in_runs(lengths)
    lone = is_no_within(moments.within)
    return replace(
        moments,
        rows=frozen(moments.rows[clusters]),
        sizes=frozen(moments.sizes[clusters]),
        weights=frozen(moments.weights[clusters]),
        labels=frozen(np.arange(len(clusters))),
        pattern_of=frozen(moments.pattern_of[own]),
        cluster_of=frozen(np.repeat(np.arange(len(clusters)), lengths)),
        cell_rows=frozen(moments.cell_rows[own]),
        cell_sizes=frozen(moments.cell_sizes[own]),
        means=frozen(moments.means[own]),
        within=no_within(len(own), moments.varying) if lone else frozen(moments.within[own]),
        level2=frozen(moments.level2[clusters]),
        level2_pattern_of=frozen(moments.level2_pattern_of[clusters]),
    )


def resampled_unions(
    moments: M, robust: RobustClusters, drawn: Shaped[Index, "g"]
) -> tuple[M, RobustClusters]:
    """The robust clusters at these positions, each with all clusters that it is made of."""
    order = np.argsort(robust.codes, kind="stable")
    lengths = np.bincount(robust.codes, minlength=robust.n_clusters)
    starts = np.cumsum(lengths) - lengths
    count = lengths[drawn]
    codes = np.repeat(np.arange(len(drawn)), count)
    members = order[starts[drawn][codes] + positions_in_runs(count)]
    if isinstance(moments, GroupedMoments):
        found, placed = resampled_groups(moments, members)
        codes = codes[placed]
    else:
        found = resampled(moments, members)
    unions = RobustClusters(robust.name, frozen(codes), frozen(np.arange(len(drawn))))
    return cast("M", found), unions
