"""A random-intercept model of one outcome, each robust cluster reduced to a few rows.

The working covariance of a cluster's rows is σ² on deviations from the model cluster's mean and
σ² + n τ² on √n times that mean. What a sandwich needs lies in the span of the fixed effects'
columns; each eigenspace of the working covariance meets it in a few dimensions. So orthonormal
coordinates in each eigenspace reduce a robust cluster, of one model cluster or several, to d rows
that give the same cross-products, whatever its size.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsem.core.clusters.unions import summed
from mlsem.core.implied.means import mean_paths
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.intercepts.likelihood import Evaluation, Jacobians
from mlsem.core.linalg import apply_maps, null_space, positions_in_runs
from mlsem.core.records import Array, ClusterMoments, Index, MixedClusters, frozen

Mask: TypeAlias = NDArray[np.bool_]

RANK = 1e-10  # eigenvalues of scaled cross-products below are of combinations that are constant


def is_mixed(pattern: ModelPattern) -> bool:
    """Whether the model is a linear mixed (or, with one level, linear) model of one outcome."""
    levels = (pattern.within, pattern.between)
    if any(level.observed.size != len(level.names) for level in levels):
        return False  # latent variables
    return len(pattern.within.names) == 1 and len(pattern.between.names) == pattern.split


def mean_parameters(pattern: ModelPattern) -> Mask | None:
    """Which parameters are intercepts and effects of covariates; None where one of them is in a
    covariance as well, or a mean takes a free path (`means`)."""
    levels = (pattern.within, pattern.between)
    if any(len(mean_paths(level).params) for level in levels):
        return None
    means, others = _in_means(pattern)
    return None if (means & others).any() else means


def fixed_effects(pattern: ModelPattern, free: Array) -> tuple[Array, Array] | None:
    """Split the free directions (npar, n) into those of means and those of covariances; None
    where a mean takes a free path (`means`), or labels or constraints tie the two."""
    levels = (pattern.within, pattern.between)
    if any(free[mean_paths(level).params].any() for level in levels):
        return None
    means, others = _in_means(pattern)
    first, second = free @ null_space(free[others]), free @ null_space(free[means])
    apart = first.shape[1] + second.shape[1] == free.shape[1]
    return (first, second) if apart else None


def _in_means(pattern: ModelPattern) -> tuple[Mask, Mask]:
    """Which parameters stand in Γ, and which in B or Ψ."""
    means, others = np.zeros((2, pattern.n_params), dtype=np.bool_)
    for level in (pattern.within, pattern.between):
        means[level.exogenous.params] = True
        others[level.directed.params] = True
        others[level.symmetric.params] = True
    return means, others


def mixed_clusters(
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Index,
    sizes: Array,
    along: Jacobians,
    robust: Index,
) -> MixedClusters:
    """Reduce each robust cluster to d rows.

    Parameters
    ----------
    along : Jacobians
        The p directions of the fixed effects.
    robust : (J,)
        The robust cluster of each cluster, 0 … G - 1.
    """
    sigma2 = float(point.within.sigma[0, 0])
    spread = sigma2 + sizes * float(point.between.sigma.sum())
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
    point: Evaluation, moments: ClusterMoments, along: Jacobians, robust: Index
) -> tuple[Array, Array]:
    """Rows of the eigenspace of deviations: design (G, d, p), residuals (G, d)."""
    columns = slice(1, moments.varying + 1)
    slopes = along.within.mean[:, 0, columns]
    residual = point.residuals.rows[0, columns]
    cross = moments.within
    gram = slopes @ cross @ slopes.T
    with_residual = cross @ residual @ slopes.T
    if len(robust) > robust.max() + 1:
        gram, with_residual = summed(gram, robust), summed(with_residual, robust)
    return reduced_rows(gram, with_residual)


def _means(
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Index,
    sizes: Array,
    along: Jacobians,
    robust: Index,
) -> tuple[Array, Array, Index]:
    """Rows of the eigenspaces of means: design (G, d, p), residuals (G, d), and the shape whose
    eigenvalue each row has (G, d), -1 where a row is padding."""
    rows = np.concatenate((np.ones((len(moments.means), 1)), moments.means), axis=1)
    maps = along.within.mean[:, 0] + along.between.mean.sum(axis=1)
    root = np.sqrt(sizes[shape_of])
    design = root[:, None] * (rows @ maps.T)
    residual = root * apply_maps(point.residuals.mean[None], shape_of, rows)[:, 0]
    if len(robust) == robust.max() + 1:
        return design[:, None], residual[:, None], shape_of[:, None]
    return _by_shape(design, residual, shape_of, robust)


def _by_shape(
    design: Array, residual: Array, shape_of: Index, robust: Index
) -> tuple[Array, Array, Index]:
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


def reduced_rows(gram: Array, with_residual: Array) -> tuple[Array, Array]:
    """Few rows R and ê with RᵀR = XᵀX and Rᵀê = Xᵀe: coordinates in the span of X.

    With XᵀX = s Q Λ Qᵀ s (s its diagonal's root): R = Λ^½ Qᵀ s, ê = Λ^{-½} Qᵀ s⁻¹ Xᵀe.
    """
    scale = np.sqrt(np.maximum(np.einsum("gaa->ga", gram), 0.0))
    unit = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(gram / (unit[:, :, None] * unit[:, None, :]))
    kept = values > RANK * values[:, -1:]
    kept &= values > 0
    size = int(kept.sum(axis=1).max(initial=0))
    first = values.shape[1] - size
    values, vectors, kept = values[:, first:], vectors[:, :, first:], kept[:, first:]
    root = np.sqrt(np.where(kept, values, 0.0))
    inverse = np.where(kept, 1.0, 0.0) / np.where(kept, root, 1.0)
    turned = vectors.swapaxes(1, 2)
    design = root[:, :, None] * turned * unit[:, None, :]
    residual = inverse * (turned @ (with_residual / unit)[:, :, None])[:, :, 0]
    return design, residual
