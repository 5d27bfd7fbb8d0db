"""The clusters of a model with random slopes: their information, cumulants, and few-row forms.

In units in which the d coordinates of a cluster have the covariance I (see `slopes`), and a row
of the others too (V̄⁻¹ = L̄ L̄ᵀ, W = L Lᵀ), the derivatives along direction a are

    Ω̄_a = L̄ᵀ V̄_a L̄,    m_a = L̄ᵀ μ̄_a,    Ω_a = Lᵀ Σ_W,a L,    Δ_a = Lᵀ ∂_aΠ

and, with S_j the cross-products of the others,

    B_ab = ½ [(n_j - d) tr Ω_a Ω_b + tr Ω̄_a Ω̄_b] + tr Δ_a S_j Δ_bᵀ + m_aᵀ m_b
    κ₄(aᵀs_j) = 3 [(n_j - d) tr Ω_a⁴ + tr Ω̄_a⁴] + 12 [tr Ω_a Δ_a S_j Δ_aᵀ Ω_a + |Ω̄_a m_a|²].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlsem.core.clusters.cumulants import WhiteParts
from mlsem.core.clusters.unions import ClusterParts, summed
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.intercepts.likelihood import Jacobians
from mlsem.core.intercepts.reduced import reduced_rows
from mlsem.core.linalg import flatten, lower_factor
from mlsem.core.optimise.objective import ClusterView
from mlsem.core.records import Array, ClusterMoments, Index, MixedClusters, frozen
from mlsem.core.sample.draws import Sampler
from mlsem.core.slopes.carriers import SlopeMoments, rest_of
from mlsem.core.slopes.draws import slope_sampler
from mlsem.core.slopes.information import cluster_scores
from mlsem.core.slopes.likelihood import (
    MeanMaps,
    SlopePoint,
    cluster_covariance,
    coordinates_of,
    whiten,
)


@dataclass(frozen=True, slots=True, eq=False)
class SlopeClusters(ClusterView[SlopePoint]):
    """Clusters arranged by their carriers, and their moments."""

    moments: ClusterMoments
    data: SlopeMoments

    def scores(self, point: SlopePoint, along: Jacobians) -> Array:
        return cluster_scores(point, self.data, self.moments, along)

    def parts(self, point: SlopePoint, along: Jacobians) -> ClusterParts:
        return SlopeDerivatives(point, self.moments, self.data, along)

    def mixed(self, point: SlopePoint, along: Jacobians, robust: Index) -> MixedClusters:
        return mixed_clusters(point, self.data, self.moments, along, robust)

    def sampler(self, pattern: ModelPattern, point: SlopePoint) -> Sampler:
        return slope_sampler(pattern, point, self.moments, self.data)


@dataclass(frozen=True, slots=True, eq=False)
class SlopeDerivatives:
    """What the information and the cumulants of the clusters are made of, along n directions."""

    point: SlopePoint
    moments: ClusterMoments
    data: SlopeMoments
    along: Jacobians

    @property
    def n_directions(self) -> int:
        return len(self.along.within.sigma)

    @property
    def width(self) -> int:
        return self.point.roots[0].size

    @property
    def alike(self) -> Index | None:
        return None

    def information(self, clusters: Index) -> Array:
        omega_bar, omega = flatten_last(self._covariances(clusters)), flatten(self._others())
        total = 0.5 * (omega_bar @ omega_bar.swapaxes(1, 2))
        total += 0.5 * self._degrees(clusters)[:, None, None] * (omega @ omega.T)
        slopes = self._slopes()
        weights = np.einsum("apv,bpw->abvw", slopes, slopes).reshape(total[0].size, -1)
        total += (flatten(self._rest(clusters)) @ weights.T).reshape(total.shape)
        means = self._means(clusters)
        return total + means @ means.swapaxes(1, 2)

    def white(self, clusters: Index) -> WhiteParts:
        return WhiteParts(
            deviations=self._others(),
            degrees=self._degrees(clusters),
            slopes=self._slopes(),
            cross=self._rest(clusters),
            mean=self._covariances(clusters),
            means=self._means(clusters),
        )

    def _degrees(self, clusters: Index) -> Array:
        return self.data.sizes[clusters] - self.data.depth

    def _rest(self, clusters: Index) -> Array:
        return rest_of(self.data, self.moments, clusters)

    def _root(self) -> Array:
        """L."""
        factor = lower_factor(self.point.precision)
        assert factor is not None
        return factor

    def _others(self) -> Array:
        """Ω_a, (n, p, p)."""
        return self._root().T @ self.along.within.sigma @ self._root()

    def _slopes(self) -> Array:
        """Δ_a as maps of the columns that vary, (n, p, V)."""
        return self._root().T @ self.along.within.mean[:, :, 1 : self.moments.varying + 1]

    def _means(self, clusters: Index) -> Array:
        """m_a, (j, n, m)."""
        maps = MeanMaps(self.along.within.mean, self.along.between.mean)
        return whiten(self.point.roots[clusters], coordinates_of(self.data, maps, clusters))

    def _covariances(self, clusters: Index) -> Array:
        """Ω̄_a, (j, n, m, m)."""
        roots = self.point.roots[clusters, None]
        along = self.along
        changes = cluster_covariance(self.data, along.within.sigma, along.between.sigma, clusters)
        return roots @ changes @ roots.swapaxes(2, 3)


def flatten_last(stack: Array) -> Array:
    """(j, n, …) -> (j, n, size)."""
    return stack.reshape(*stack.shape[:2], -1)


def mixed_clusters(
    point: SlopePoint,
    data: SlopeMoments,
    moments: ClusterMoments,
    along: Jacobians,
    robust: Index,
) -> MixedClusters:
    """Each robust cluster as the d coordinates of its clusters, and what the design has in the
    others, where the working covariance is σ²."""
    columns = slice(1, moments.varying + 1)
    slopes, residual = along.within.mean[:, 0, columns], point.residuals.within[0, 0, columns]
    rest = rest_of(data, moments, slice(None))
    gram = summed(slopes @ rest @ slopes.T, robust)
    other = reduced_rows(gram, summed(rest @ residual @ slopes.T, robust))
    maps = MeanMaps(along.within.mean, along.between.mean)
    design = coordinates_of(data, maps).swapaxes(1, 2)
    inner = coordinates_of(data, point.residuals)[:, 0]
    working = cluster_covariance(data, point.within.sigma, point.between.sigma)
    place = _places(robust)
    full, members = int(robust.max()) + 1, int(place.max()) + 1
    depth = data.depth
    size = members * depth + other[0].shape[1]
    total = np.broadcast_to(np.eye(size) * point.within.sigma[0, 0], (full, size, size)).copy()
    rows = place[:, None] * depth + np.arange(depth)
    total[robust[:, None, None], rows[:, :, None], rows[:, None, :]] = working
    designs, residuals = np.zeros((full, size, len(slopes))), np.zeros((full, size))
    designs[robust[:, None], rows], residuals[robust[:, None], rows] = design, inner
    designs[:, members * depth :], residuals[:, members * depth :] = other
    return MixedClusters(frozen(total), frozen(designs), frozen(residuals))


def _places(robust: Index) -> Index:
    """The position of each cluster among those of its robust cluster, (J,)."""
    order = np.argsort(robust, kind="stable")
    starts = np.searchsorted(robust[order], np.arange(int(robust.max()) + 1))
    found = np.empty_like(robust)
    found[order] = np.arange(len(robust)) - starts[robust[order]]
    return found
