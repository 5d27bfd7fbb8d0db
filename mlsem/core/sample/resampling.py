"""Draws of clusters with replacement."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated as Shaped
from typing import TypeAlias

import numpy as np

from mlsem.core.linalg import positions_in_runs
from mlsem.core.records import CellMoments, ClusterMoments, Index, RobustClusters, frozen
from mlsem.core.sample.moments import is_no_within, no_within

Moments: TypeAlias = ClusterMoments | CellMoments


def resampled(moments: Moments, clusters: Shaped[Index, "j"]) -> Moments:
    """The clusters at these positions, with repetition: each a cluster of its own, 0, 1, …"""
    if isinstance(moments, CellMoments):
        return _resampled_cells(moments, clusters)
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
    )


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
    moments: Moments, robust: RobustClusters, drawn: Shaped[Index, "g"]
) -> tuple[Moments, RobustClusters]:
    """The robust clusters at these positions, each with all clusters that it is made of."""
    order = np.argsort(robust.codes, kind="stable")
    lengths = np.bincount(robust.codes, minlength=robust.n_clusters)
    starts = np.cumsum(lengths) - lengths
    count = lengths[drawn]
    codes = np.repeat(np.arange(len(drawn)), count)
    members = order[starts[drawn][codes] + positions_in_runs(count)]
    unions = RobustClusters(robust.name, frozen(codes), frozen(np.arange(len(drawn))))
    return resampled(moments, members), unions
