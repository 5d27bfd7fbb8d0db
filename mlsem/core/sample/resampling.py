"""Draws of clusters with replacement."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import positions_in_runs
from mlsem.core.records import ClusterMoments, Index, RobustClusters, frozen
from mlsem.core.sample.moments import is_no_within, no_within


def resampled(moments: ClusterMoments, clusters: Shaped[Index, "j"]) -> ClusterMoments:
    """The clusters at these positions, with repetition: each a cluster of its own, 0, 1, …"""
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


def resampled_unions(
    moments: ClusterMoments, robust: RobustClusters, drawn: Shaped[Index, "g"]
) -> tuple[ClusterMoments, RobustClusters]:
    """The robust clusters at these positions, each with all clusters that it is made of."""
    order = np.argsort(robust.codes, kind="stable")
    lengths = np.bincount(robust.codes, minlength=robust.n_clusters)
    starts = np.cumsum(lengths) - lengths
    count = lengths[drawn]
    codes = np.repeat(np.arange(len(drawn)), count)
    members = order[starts[drawn][codes] + positions_in_runs(count)]
    unions = RobustClusters(robust.name, frozen(codes), frozen(np.arange(len(drawn))))
    return resampled(moments, members), unions
