"""A random-intercept model of one outcome, each robust cluster reduced to a few rows.

The working covariance of a cluster's rows is σ² on deviations from the model cluster's mean and
σ² + n τ² on √n times that mean. What a sandwich needs lies in the span of the fixed effects'
columns; each eigenspace of the working covariance meets it in a few dimensions. So orthonormal
coordinates in each eigenspace reduce a robust cluster, of one model cluster or several, to d rows
that give the same cross-products, whatever its size.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters, reduced_rows
from mlsem.core.clusters.unions import summed
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import apply_maps, flatten, positions_in_runs
from mlsem.core.records import Array, ClusterMoments, Index, frozen


def mixed_clusters(
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Shaped[Index, "J"],
    sizes: Shaped[Array, "S"],
    along: Jacobians,
    robust: Shaped[Index, "J"],
) -> MixedClusters:
    """Reduce each robust cluster to d rows.

    Parameters
    ----------
    along : Jacobians
        The p directions of the fixed effects.
    robust : (J,)
        The robust cluster of each cluster, 0 … G - 1.
    """
    within, between = point.levels
    sigma2 = float(within.sigma[0, 0])
    spread = sigma2 + sizes * float(between.sigma.sum())
    inner = _deviations(point, moments, along, robust)
    outer = _means(point, moments, shape_of, sizes, along, robust)
    values = np.concatenate(
        (np.full(inner[0].shape[:2], sigma2), np.where(outer[2] < 0, sigma2, spread[outer[2]])),
        axis=1,
    )
    working = np.eye(values.shape[1]) * values[:, None]
    return MixedClusters(
        working=frozen(working),
        design=frozen(np.concatenate((inner[0], outer[0]), axis=1)),
        residuals=frozen(np.concatenate((inner[1], outer[1]), axis=1)),
    )


def _deviations(
    point: Evaluation, moments: ClusterMoments, along: Jacobians, robust: Shaped[Index, "J"]
) -> tuple[Shaped[Array, "G d p"], Shaped[Array, "G d"]]:
    """Rows of the eigenspace of deviations: design and residuals."""
    columns = moments.varying_entries
    slopes = along[0].mean[:, 0, columns]
    residual = point.residuals.rows[0, columns]
    cross = moments.within
    used = slopes.any(axis=0) | (residual != 0.0)
    cross = cross if used.all() else cross[:, used][:, :, used]
    slopes, residual = slopes[:, used], residual[used]
    flat = flatten(cross)
    gram = (flat @ np.kron(slopes, slopes).T).reshape(len(flat), len(slopes), len(slopes))
    with_residual = flat @ np.kron(slopes, residual[None]).T
    if len(robust) > robust.max() + 1:
        gram, with_residual = summed(gram, robust), summed(with_residual, robust)
    return reduced_rows(gram, with_residual)


def _means(
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Shaped[Index, "J"],
    sizes: Shaped[Array, "S"],
    along: Jacobians,
    robust: Shaped[Index, "J"],
) -> tuple[Shaped[Array, "G d p"], Shaped[Array, "G d"], Shaped[Index, "G d"]]:
    """Rows of the eigenspaces of means: design (G, d, p), residuals (G, d), and the shape whose
    eigenvalue each row has (G, d), -1 where a row is padding."""
    rows = moments.cluster_rows
    within, between = along
    maps = within.mean[:, 0] + between.mean.sum(axis=1)
    root = np.sqrt(sizes[shape_of])
    design = root[:, None] * (rows @ maps.T)
    residual = root * apply_maps(point.residuals.mean[None], shape_of, rows)[:, 0]
    if len(robust) == robust.max() + 1:
        return design[:, None], residual[:, None], shape_of[:, None]
    return _by_shape(design, residual, shape_of, robust)


def _by_shape(
    design: Shaped[Array, "J p"],
    residual: Shaped[Array, "J"],
    shape_of: Shaped[Index, "J"],
    robust: Shaped[Index, "J"],
) -> tuple[Shaped[Array, "G d p"], Shaped[Array, "G d"], Shaped[Index, "G d"]]:
    """Clusters of one shape in one robust cluster share an eigenspace."""
    pairs, place = np.unique(np.stack((robust, shape_of)), axis=1, return_inverse=True)
    place = place.reshape(-1)
    gram = summed(design[:, :, None] * design[:, None, :], place)
    reduced, left = reduced_rows(gram, summed(design * residual[:, None], place))
    groups, shapes = pairs
    rank = positions_in_runs(np.bincount(groups))
    depth, width = int(rank.max()) + 1, reduced.shape[1]
    count = int(groups.max()) + 1
    full = np.zeros((count, depth, width, design.shape[1]))
    rest = np.zeros((count, depth, width))
    shape = np.full((count, depth, width), -1, dtype=np.intp)
    full[groups, rank], rest[groups, rank], shape[groups, rank] = reduced, left, shapes[:, None]
    return (
        full.reshape(count, depth * width, -1),
        rest.reshape(count, depth * width),
        shape.reshape(count, depth * width),
    )
