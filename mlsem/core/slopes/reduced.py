"""A linear mixed model with random slopes, each robust cluster reduced to a few rows."""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters, reduced_rows
from mlsem.core.clusters.unions import arranged, summed
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.records import Array, ClusterMoments, Index
from mlsem.core.slopes.carriers import SlopeMoments, rest_of
from mlsem.core.slopes.likelihood import MeanMaps, SlopePoint, cluster_covariance, coordinates_of


def mixed_clusters(
    point: SlopePoint,
    data: SlopeMoments,
    moments: ClusterMoments,
    along: Jacobians,
    clusters: slice | Shaped[Index, "j"],
    robust: Shaped[Index, "j"],
) -> MixedClusters:
    """Each robust cluster as the d coordinates of its clusters, turned to the axes of their working
    covariance, and what the design has in the others, where that is σ²."""
    within, between = point.levels
    maps = MeanMaps(*(level.mean for level in along))
    own, axes = np.linalg.eigh(cluster_covariance(data, within.sigma, between.sigma, clusters))
    design = coordinates_of(data, maps, clusters) @ axes
    other = _others(point, data, moments, along, clusters, robust)
    place, depth = _places(robust), data.depth
    first = (int(place.max()) + 1) * depth
    size, full = first + len(other[1]), int(robust.max()) + 1
    variances = np.full((size, full), float(within.sigma[0, 0]))
    designs, residuals = np.zeros((size, design.shape[1], full)), np.zeros((size, full))
    rows = place * depth + np.arange(depth)[:, None]
    variances[rows, robust] = own.T
    designs[rows, :, robust] = design.transpose(2, 0, 1)
    residuals[rows, robust] = (coordinates_of(data, point.residuals, clusters) @ axes)[:, 0].T
    designs[first:], residuals[first:] = other
    return MixedClusters(variances, designs, residuals)


def _others(
    point: SlopePoint,
    data: SlopeMoments,
    moments: ClusterMoments,
    along: Jacobians,
    clusters: slice | Shaped[Index, "j"],
    robust: Shaped[Index, "j"],
) -> tuple[Shaped[Array, "d p g"], Shaped[Array, "d g"]]:
    """Rows of the design and the residuals in the coordinates that random effects do not move."""
    columns = moments.varying_entries
    slopes, residual = along[0].mean[:, 0, columns], point.residuals.within[0, 0, columns]
    rest = rest_of(data, moments, clusters)
    gram = summed(slopes @ rest @ slopes.T, robust).transpose(1, 2, 0)
    return reduced_rows(gram, summed(rest @ residual @ slopes.T, robust).T)


def _places(robust: Shaped[Index, "j"]) -> Shaped[Index, "j"]:
    """The position of each cluster among those of its robust cluster."""
    order, starts = arranged(robust)
    found = np.empty_like(robust)
    found[order] = np.arange(len(robust)) - starts[robust[order]]
    return found
