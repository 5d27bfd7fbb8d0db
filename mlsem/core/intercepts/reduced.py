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
from mlsem.core.linalg import apply_maps, flatten
from mlsem.core.records import Array, ClusterMoments, Index


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
    sigma2 = float(within.sigma[0, 0])
    spread = sigma2 + sizes * float(between.sigma.sum())
    inner = _deviations(point, moments, along, clusters, robust)
    design, residuals, shape = _means(
        point, moments.means[clusters], shape_of, sizes, along, robust
    )
    outer = np.where(shape < 0, sigma2, spread[shape])
    return MixedClusters(
        variances=np.concatenate((np.full(inner[1].shape, sigma2), outer)),
        design=np.concatenate((inner[0], design)),
        residuals=np.concatenate((inner[1], residuals)),
    )


def _deviations(
    point: Evaluation,
    moments: ClusterMoments,
    along: Jacobians,
    clusters: slice | Shaped[Index, "j"],
    robust: Shaped[Index, "j"],
) -> tuple[Shaped[Array, "d p g"], Shaped[Array, "d g"]]:
    """Rows of the eigenspace of deviations: design and residuals.

    With S_j the cross-products of a cluster's deviations, A the maps of the design and r that of
    the residuals: XᵀX = A S_j Aᵀ and Xᵀe = A S_j r, one factor after the other for all clusters.
    """
    columns = moments.varying_entries
    slopes = along[0].mean[:, 0, columns]
    residual = point.residuals.rows[0, columns]
    used = slopes.any(axis=0) | (residual != 0.0)
    slopes, residual = slopes[:, used], residual[used]
    cross = moments.within[clusters]
    flat = flatten(cross if used.all() else cross[:, used][:, :, used])
    if len(robust) > robust.max() + 1:
        flat = summed(flat, robust)
    moving = np.flatnonzero(slopes.any(axis=1))
    maps, m, p, g = slopes[moving], len(residual), len(moving), len(flat)
    half = maps @ flat.T.reshape(m, m, g)
    sums = (np.vstack((maps, residual)) @ half.reshape(m, p * g)).reshape(p + 1, p, g)
    rows, residuals = reduced_rows(sums[:p], sums[p])
    design = np.zeros((len(rows), len(slopes), len(flat)))
    design[:, moving] = rows
    return design, residuals


def _means(
    point: Evaluation,
    means: Shaped[Array, "j C"],
    shape_of: Shaped[Index, "j"],
    sizes: Shaped[Array, "S"],
    along: Jacobians,
    robust: Shaped[Index, "j"],
) -> tuple[Shaped[Array, "d p g"], Shaped[Array, "d g"], Shaped[Index, "d g"]]:
    """Rows of the eigenspaces of means: design, residuals, and the shape whose eigenvalue each row
    has, -1 where a row is padding."""
    rows = np.concatenate((np.ones((len(means), 1)), means), axis=1)
    within, between = along
    maps = within.mean[:, 0] + between.mean.sum(axis=1)
    root = np.sqrt(sizes[shape_of])
    design = root * (maps @ rows.T)
    residual = root * apply_maps(point.residuals.mean[None], shape_of, rows)[:, 0]
    if len(robust) == robust.max() + 1:
        return design[None], residual[None], shape_of[None]
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
