"""Expected information of each cluster, and what the cumulants of its scores are made of.

An orthogonal transformation of a cluster's rows makes n - 1 deviations of covariance Σ_W and the
mean of (y, z), of covariance V̄ = [[Σ_W / n + Σ_uu, Σ_uz], [Σ_zu, Σ_zz]], all independent. With
W = L Lᵀ and V̄⁻¹ = L̄ L̄ᵀ, the derivatives along direction a, in units in which these are the
identity, are

    Ω_a = Lᵀ Σ_W,a L,    Ω̄_a = L̄ᵀ V̄_a L̄,    Δ_a = Lᵀ ∂_aΠ,    M_a = L̄ᵀ ∂_a(mean of (y, z))

and for cluster j with cross-products S_j and data row h_j

    B_ab = ½ [(n - 1) tr Ω_a Ω_b + tr Ω̄_a Ω̄_b] + tr Δ_a S_j Δ_bᵀ + (M_a h_j)ᵀ (M_b h_j).

times its weight w_j. A single-level model has no u and no z; a "cluster" of it is any set of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.cumulants import Whitened, WhiteParts
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.intercepts.likelihood import Evaluation
from mlsem.core.linalg import (
    apply_maps,
    cholesky,
    combinations,
    flatten,
    in_use,
    merged,
    transposed,
)
from mlsem.core.records import Array, ClusterMoments, Index, with_constant


@dataclass(frozen=True, slots=True, eq=False)
class ClusterDerivatives(Whitened):
    """What the information and the cumulants of every cluster are made of, along n directions.

    Attributes
    ----------
    deviations : (n, p, p)
        Ω_a.
    mean : (S, n, p + r, p + r)
        Ω̄_a of each shape.
    slopes : (n, p, V)
        Δ_a as maps of a cluster's deviations.
    mean_maps : (S, n, p + r, D)
        M_a as maps of h.
    moments : ClusterMoments
    shape_of : (J,)
    """

    deviations: Shaped[Array, "... n p p"]
    mean: Shaped[Array, "... S n pr pr"]
    slopes: Shaped[Array, "... n p V"]
    mean_maps: Shaped[Array, "... S n pr D"]
    moments: ClusterMoments
    shape_of: Shaped[Index, "J"]

    @property
    def n_directions(self) -> int:
        return self.deviations.shape[-3]

    @property
    def n_clusters(self) -> int:
        return len(self.shape_of)

    @property
    def width(self) -> int:
        """Numbers that one direction of one cluster takes."""
        return self.mean.shape[-1] ** 2

    @property
    def alike(self) -> Shaped[Index, "J"] | None:
        """Without covariates all clusters of a shape, and of one weight, are alike."""
        weights = self.moments.weights
        covariates = self.slopes.any() or self.mean_maps[..., 1:].any()
        return None if covariates or (weights != weights[0]).any() else self.shape_of

    def weights(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j"]:
        return self.moments.weights[clusters]

    def only(self, directions: Shaped[Index, "k"]) -> ClusterDerivatives:
        return replace(
            self,
            deviations=self.deviations.take(directions, -3),
            mean=self.mean.take(directions, -3),
            slopes=self.slopes.take(directions, -3),
            mean_maps=self.mean_maps.take(directions, -3),
        )

    def information(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "... j n n"]:
        return cluster_information(self, clusters)

    def variances(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "c n"]
    ) -> Shaped[Array, "j c"]:
        return cluster_variances(self._along(directions), clusters)

    def _along(self, directions: Shaped[Array, "c n"]) -> ClusterDerivatives:
        """Along Σ_k a_k φ_k for each row a of `directions` (c, n)."""
        return replace(
            self,
            deviations=combinations(directions, self.deviations),
            mean=np.stack([combinations(directions, each) for each in self.mean]),
            slopes=combinations(directions, self.slopes),
            mean_maps=np.stack([combinations(directions, each) for each in self.mean_maps]),
        )

    def white(self, clusters: Shaped[Index, "j"]) -> WhiteParts:
        used = in_use(self.slopes)
        return WhiteParts(
            deviations=self.deviations,
            degrees=self.moments.sizes[clusters] - 1.0,
            slopes=self.slopes.take(used, -1),
            cross=self.cross(clusters, used),
            mean=self.mean.take(self.shape_of[clusters], -4),
            means=cluster_means(self, clusters),
        )

    def cross(
        self, clusters: Shaped[Index, "j"], columns: Shaped[Index, "k"]
    ) -> Shaped[Array, "... j k k"]:
        """S_j of these clusters and columns."""
        return self.moments.within.take(clusters, -3).take(columns, -2).take(columns, -1)


def cluster_derivatives(
    point: Evaluation,
    moments: ClusterMoments,
    shape_of: Shaped[Index, "J"],
    sizes: Shaped[Array, "S"],
    along: Jacobians,
) -> ClusterDerivatives:
    """Whiten the derivatives `along` n directions.

    Parameters
    ----------
    shape_of : (J,)
        The shape of each cluster, a position in `sizes` (S,).
    """
    split, (within, between) = point.effects.sigma_u.shape[-1], point.levels
    root = cholesky(point.precision[..., None, :, :])
    assert root is not None
    within_means = within.sigma[..., None, :, :] / sizes[:, None, None]
    spread = mean_covariance(within_means, between.sigma[..., None, :, :], split)
    factor = cholesky(np.asarray(np.linalg.inv(spread), dtype=np.float64))
    assert factor is not None
    factor = factor[..., None, :, :]
    inner, outer = along
    changed = inner.sigma[..., None, :, :, :] / sizes[:, None, None, None]
    changes = mean_covariance(changed, outer.sigma[..., None, :, :, :], split)
    maps = joined_means(inner.mean, outer.mean, split)[..., None, :, :, :]
    return ClusterDerivatives(
        deviations=transposed(root) @ inner.sigma @ root,
        mean=transposed(factor) @ changes @ factor,
        slopes=transposed(root) @ inner.mean[..., moments.varying_entries],
        mean_maps=transposed(factor) @ maps,
        moments=moments,
        shape_of=shape_of,
    )


def mean_covariance(
    within: Shaped[Array, "*s p p"], between: Shaped[Array, "*t qr qr"], split: int
) -> Shaped[Array, "*s pr pr"]:
    """[[within + Σ_uu, Σ_uz], [Σ_zu, Σ_zz]] of (..., p, p) and (..., q + r, q + r)."""
    p = within.shape[-1]
    size = p + between.shape[-1] - split
    total = np.zeros((*within.shape[:-2], size, size))
    total[..., :p, :p] = within
    place = mean_places(p, between.shape[-1], split)
    total[..., place[:, None], place] += between
    return total


def mean_places(p: int, rows: int, split: int) -> Shaped[Index, "qr"]:
    """Where the rows (u, z) of level 2 act on the mean of (y, z)."""
    return np.concatenate((np.arange(split), np.arange(p, p + rows - split)))


def joined_means(
    within: Shaped[Array, "... p D"], between: Shaped[Array, "... qr D"], split: int
) -> Shaped[Array, "... pr D"]:
    """Maps of the mean of (y, z)."""
    total = np.concatenate((within, between[..., split:, :]), axis=-2)
    total[..., :split, :] += between[..., :split, :]
    return total


def cluster_information(
    derivatives: ClusterDerivatives, clusters: Shaped[Index, "j"]
) -> Shaped[Array, "... j n n"]:
    """B_j of these clusters."""
    shapes = derivatives.shape_of[clusters]
    deviations, flat = merged(derivatives.deviations), merged(derivatives.mean)
    sizes = derivatives.moments.sizes[clusters, None, None]
    by_shape = 0.5 * (flat @ transposed(flat))
    alike = (deviations @ transposed(deviations))[..., None, :, :]
    total = by_shape.take(shapes, -3) + 0.5 * (sizes - 1.0) * alike
    used = in_use(derivatives.slopes)
    if len(used):
        slopes = derivatives.slopes.take(used, -1)
        weights = np.einsum("...apv,...bpw->...abvw", slopes, slopes)
        weights = weights.reshape(*total.shape[:-3], -1, len(used) ** 2)
        cross = merged(derivatives.cross(clusters, used))
        total += (cross @ transposed(weights)).reshape(total.shape)
    means = cluster_means(derivatives, clusters)
    total += means @ transposed(means)
    total *= derivatives.weights(clusters)[:, None, None]
    return total


def cluster_variances(
    derivatives: ClusterDerivatives, clusters: Shaped[Index, "j"]
) -> Shaped[Array, "j n"]:
    """B_aa of these clusters, (j, n): the diagonals of `cluster_information`."""
    by_shape = (derivatives.mean**2).sum(axis=(2, 3))
    deviations = (derivatives.deviations**2).sum(axis=(1, 2))
    total = by_shape[derivatives.shape_of[clusters]]
    total += (derivatives.moments.sizes[clusters, None] - 1.0) * deviations
    total *= 0.5
    used = in_use(derivatives.slopes)
    if len(used):
        slopes = derivatives.slopes.take(used, -1)
        cross = derivatives.cross(clusters, used)
        total += flatten(cross) @ flatten(slopes.swapaxes(1, 2) @ slopes).T
    total += (cluster_means(derivatives, clusters) ** 2).sum(axis=2)
    total *= derivatives.weights(clusters)[:, None]
    return total


def cluster_means(
    derivatives: ClusterDerivatives, clusters: Shaped[Index, "j"]
) -> Shaped[Array, "... j n pr"]:
    """M_a h_j, (j, n, p + r)."""
    used = in_use(derivatives.mean_maps)
    maps = derivatives.mean_maps.take(used, -1)
    rows = with_constant(derivatives.moments.means.take(clusters, -2)).take(used, -1)
    *lead, shapes, n, size, count = maps.shape
    flat = maps.reshape(*lead, shapes, n * size, count)
    found = apply_maps(flat, derivatives.shape_of[clusters], rows)
    return found.reshape(*lead, len(clusters), n, size)
