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

from mlsem.core.blocks import positions_in_runs
from mlsem.core.clusters.reduced import MixedClusters, reduced_rows
from mlsem.core.clusters.unions import summed
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import apply_maps, in_use, merged, transposed
from mlsem.core.records import Array, ClusterMoments, Index, with_constant


def mixed_clusters(
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Shaped[Index, "j"],
    sizes: Shaped[Array, "S"],
    along: Jacobians,
    clusters: slice | Shaped[Index, "j"],
    robust: Shaped[Index, "j"],
) -> MixedClusters:
    """Reduce each robust cluster to d rows.

    Parameters
    ----------
    shape_of : (j,)
        The shape of each of the clusters that they are made of.
    along : Jacobians
        The p directions of the fixed effects.
    clusters : slice or (j,)
        Which of all these are.
    robust : (j,)
        The robust cluster of each of them, 0 … g - 1.
    """
    within, between = point.levels
    sigma2 = within.sigma[..., 0]
    spread = sigma2 + sizes * between.sigma.sum(axis=(-2, -1))[..., None]
    inner = _deviations(point, moments, along, clusters, robust)
    means = moments.means[..., clusters, :]
    design, residuals, shape = _means(point, means, shape_of, sizes, along, robust)
    outer = np.where(shape < 0, sigma2[..., None], spread.take(shape, -1))
    same = np.broadcast_to(sigma2[..., None], inner[1].shape)
    return MixedClusters(
        variances=np.concatenate((same, outer), axis=-2),
        design=np.concatenate((inner[0], design), axis=-3),
        residuals=np.concatenate((inner[1], residuals), axis=-2),
    )


def _deviations(
    point: Evaluation,
    moments: ClusterMoments,
    along: Jacobians,
    clusters: slice | Shaped[Index, "j"],
    robust: Shaped[Index, "j"],
) -> tuple[Shaped[Array, "... d p g"], Shaped[Array, "... d g"]]:
    """Rows of the eigenspace of deviations: design and residuals.

    With S_j the cross-products of a cluster's deviations, A the maps of the design and r that of
    the residuals: XᵀX = A S_j Aᵀ and Xᵀe = A S_j r, one factor after the other for all clusters.
    """
    columns = moments.varying_entries
    slopes = along[0].mean[..., 0, columns]
    residual = point.residuals.rows[..., :1, columns]
    used = in_use(np.concatenate((slopes, residual), axis=-2))
    cross = moments.within[..., clusters, :, :]
    if len(used) < residual.shape[-1]:
        slopes, residual = slopes.take(used, -1), residual.take(used, -1)
        cross = cross.take(used, -2).take(used, -1)
    flat = merged(cross)
    if len(robust) > robust.max() + 1:
        flat = summed(flat, robust)
    moving = in_use(transposed(slopes))
    maps = slopes.take(moving, -2)
    lead, m, p, g = flat.shape[:-2], len(used), len(moving), flat.shape[-2]
    half = maps[..., None, :, :] @ transposed(flat).reshape(*lead, m, m, g)
    both = np.concatenate((maps, residual), axis=-2)
    sums = (both @ half.reshape(*lead, m, p * g)).reshape(*lead, p + 1, p, g)
    rows, residuals = reduced_rows(sums[..., :p, :, :], sums[..., p, :, :])
    design = np.zeros((*residuals.shape[:-1], slopes.shape[-2], g))
    design[..., moving, :] = rows
    return design, residuals


def _means(
    point: Evaluation,
    means: Shaped[Array, "... j C"],
    shape_of: Shaped[Index, "j"],
    sizes: Shaped[Array, "S"],
    along: Jacobians,
    robust: Shaped[Index, "j"],
) -> tuple[Shaped[Array, "... d p g"], Shaped[Array, "... d g"], Shaped[Index, "d g"]]:
    """Rows of the eigenspaces of means: design, residuals, and the shape whose eigenvalue each row
    has, -1 where a row is padding."""
    rows = with_constant(means)
    within, between = along
    maps = within.mean[..., 0, :] + between.mean.sum(axis=-2)
    root = np.sqrt(sizes[shape_of])
    design = root * (maps @ transposed(rows))
    residual = root * apply_maps(point.residuals.mean[..., None, :, :], shape_of, rows)[..., 0]
    if len(robust) == robust.max() + 1:
        return design[..., None, :, :], residual[..., None, :], shape_of[None]
    return _by_shape(design, residual, shape_of, robust)


def _by_shape(
    design: Shaped[Array, "p j"],
    residual: Shaped[Array, "j"],
    shape_of: Shaped[Index, "j"],
    robust: Shaped[Index, "j"],
) -> tuple[Shaped[Array, "d p g"], Shaped[Array, "d g"], Shaped[Index, "d g"]]:
    """Clusters of one shape in one robust cluster share an eigenspace."""
    pairs, place = np.unique(np.stack((robust, shape_of)), axis=1, return_inverse=True)
    place = place.reshape(-1)
    rows = design.T
    gram = summed(rows[:, :, None] * rows[:, None, :], place).transpose(1, 2, 0)
    reduced, left = reduced_rows(gram, summed(rows * residual[:, None], place).T)
    groups, shapes = pairs
    rank = positions_in_runs(np.bincount(groups))
    depth, width, count = int(rank.max()) + 1, len(reduced), int(groups.max()) + 1
    full = np.zeros((depth, width, len(design), count))
    rest = np.zeros((depth, width, count))
    shape = np.full((depth, width, count), -1, dtype=np.intp)
    full[rank, :, :, groups] = reduced.transpose(2, 0, 1)
    rest[rank, :, groups], shape[rank, :, groups] = left.T, shapes[:, None]
    d = depth * width
    return full.reshape(d, len(design), count), rest.reshape(d, count), shape.reshape(d, count)
