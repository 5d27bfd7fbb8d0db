"""Cluster scores of a random-slope model."""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import blocks
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.records import Array, ClusterMoments
from mlsem.core.slopes.carriers import SlopeMoments, rest_of
from mlsem.core.slopes.information import inner_products
from mlsem.core.slopes.likelihood import SlopePoint, between_gradient, by_row


def cluster_scores(
    point: SlopePoint, data: SlopeMoments, moments: ClusterMoments, along: Jacobians
) -> Shaped[Array, "J n"]:
    """Scores of every cluster, times its weight, (J, n): the sums of `moment_gradients` kept
    apart."""
    within, between = along
    found = np.empty((data.n_clusters, len(within.sigma)))
    width = point.weighted.shape[1] ** 2 + within.mean[0].size + between.mean[0].size
    for part in blocks(data.n_clusters, width):
        found[part] = _scores(point, data, moments, along, part)
    return found


def _scores(
    point: SlopePoint, data: SlopeMoments, moments: ClusterMoments, along: Jacobians, part: slice
) -> Shaped[Array, "j n"]:
    p, precision = len(point.precision), point.precision
    columns = moments.varying_entries
    pulled = precision @ point.residuals.within[0][:, columns]
    rest, roots = rest_of(data, moments, part), point.roots[part]
    spread = pulled @ rest
    weighted = point.weighted[part]
    level1 = by_row(data, weighted, p)
    level2 = between_gradient(data, weighted[:, None], part)[:, 0]
    moved = roots @ data.loadings[part]
    sigma_within = spread @ pulled.T + level1.swapaxes(1, 2) @ level1
    sigma_within -= (data.sizes[part, None, None] - data.depth) * precision
    for start in range(0, data.depth * p, p):
        row = roots[:, :, start : start + p]
        sigma_within -= row.swapaxes(1, 2) @ row
    mean_within = level1.swapaxes(1, 2) @ data.coordinates[part]
    mean_within[:, :, columns] += spread
    sigma_between = level2[:, :, None] * level2[:, None, :] - moved.swapaxes(1, 2) @ moved
    mean_between = level2[:, :, None] * data.rows[part, None, :]
    within, between = along
    found = (
        0.5 * inner_products(sigma_within, within.sigma)
        + inner_products(mean_within, within.mean)
        + 0.5 * inner_products(sigma_between, between.sigma)
        + inner_products(mean_between, between.mean)
    )
    return data.weights[part, None] * found
