"""A linear mixed model with random slopes, each robust cluster reduced to a few rows."""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters, reduced_rows
from mlsem.core.clusters.unions import summed
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.records import ClusterMoments, Index, frozen
from mlsem.core.slopes.carriers import SlopeMoments, rest_of
from mlsem.core.slopes.likelihood import MeanMaps, SlopePoint, cluster_covariance, coordinates_of


def mixed_clusters(
    point: SlopePoint,
    data: SlopeMoments,
    moments: ClusterMoments,
    along: Jacobians,
    robust: Shaped[Index, "J"],
) -> MixedClusters:
    """Each robust cluster as the d coordinates of its clusters, and what the design has in the
    others, where the working covariance is σ²."""
    columns = moments.varying_entries
    within, between = point.levels
    slopes, residual = along[0].mean[:, 0, columns], point.residuals.within[0, 0, columns]
    rest = rest_of(data, moments, slice(None))
    gram = summed(slopes @ rest @ slopes.T, robust)
    other = reduced_rows(gram, summed(rest @ residual @ slopes.T, robust))
    maps = MeanMaps(*(level.mean for level in along))
    design = coordinates_of(data, maps).swapaxes(1, 2)
    inner = coordinates_of(data, point.residuals)[:, 0]
    working = cluster_covariance(data, within.sigma, between.sigma)
    place = _places(robust)
    full, members = int(robust.max()) + 1, int(place.max()) + 1
    depth = data.depth
    size = members * depth + other[0].shape[1]
    total = np.broadcast_to(np.eye(size) * within.sigma[0, 0], (full, size, size)).copy()
    rows = place[:, None] * depth + np.arange(depth)
    total[robust[:, None, None], rows[:, :, None], rows[:, None, :]] = working
    designs, residuals = np.zeros((full, size, len(slopes))), np.zeros((full, size))
    designs[robust[:, None], rows], residuals[robust[:, None], rows] = design, inner
    designs[:, members * depth :], residuals[:, members * depth :] = other
    return MixedClusters(frozen(total), frozen(designs), frozen(residuals))


def _places(robust: Shaped[Index, "J"]) -> Shaped[Index, "J"]:
    """The position of each cluster among those of its robust cluster."""
    order = np.argsort(robust, kind="stable")
    starts = np.searchsorted(robust[order], np.arange(int(robust.max()) + 1))
    found = np.empty_like(robust)
    found[order] = np.arange(len(robust)) - starts[robust[order]]
    return found
