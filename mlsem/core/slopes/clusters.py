"""The clusters of a model with random slopes: their information, cumulants, and few-row forms.

In units in which the d coordinates of a cluster have the covariance I (see `slopes`), and a row
of the others too (V̄⁻¹ = L̄ L̄ᵀ, W = L Lᵀ), the derivatives along direction a are

    Ω̄_a = L̄ᵀ V̄_a L̄,    m_a = L̄ᵀ μ̄_a,    Ω_a = Lᵀ Σ_W,a L,    Δ_a = Lᵀ ∂_aΠ

and, with S_j the cross-products of the others,

    B_ab = ½ [(n_j - d) tr Ω_a Ω_b + tr Ω̄_a Ω̄_b] + tr Δ_a S_j Δ_bᵀ + m_aᵀ m_b
    κ₄(aᵀs_j) = 3 [(n_j - d) tr Ω_a⁴ + tr Ω̄_a⁴] + 12 [tr Ω_a Δ_a S_j Δ_aᵀ Ω_a + |Ω̄_a m_a|²].
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.cumulants import Whitened, WhiteParts
from mlsem.core.implied.derivatives import Jacobians, combined, some
from mlsem.core.linalg import flatten, flatten_last, lower_factor
from mlsem.core.records import Array, ClusterMoments, Index
from mlsem.core.slopes.carriers import SlopeMoments, rest_of
from mlsem.core.slopes.likelihood import (
    MeanMaps,
    SlopePoint,
    cluster_covariance,
    coordinates_of,
    whiten,
)


@dataclass(frozen=True, slots=True, eq=False)
class SlopeDerivatives(Whitened):
    """What the information and the cumulants of the clusters are made of, along n directions."""

    point: SlopePoint
    moments: ClusterMoments
    data: SlopeMoments
    along: Jacobians

    @property
    def n_directions(self) -> int:
        return len(self.along[0].sigma)

    @property
    def n_clusters(self) -> int:
        return self.data.n_clusters

    @property
    def width(self) -> int:
        return self.point.roots[0].size

    @property
    def alike(self) -> Shaped[Index, "J"] | None:
        return None

    def only(self, directions: Shaped[Index, "k"]) -> SlopeDerivatives:
        return replace(self, along=some(self.along, directions))

    def information(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n n"]:
        omega_bar, omega = flatten_last(self._covariances(clusters)), flatten(self._others())
        total = 0.5 * (omega_bar @ omega_bar.swapaxes(1, 2))
        total += 0.5 * self._degrees(clusters)[:, None, None] * (omega @ omega.T)
        slopes = self._slopes()
        weights = np.einsum("apv,bpw->abvw", slopes, slopes).reshape(total[0].size, -1)
        total += (flatten(self._rest(clusters)) @ weights.T).reshape(total.shape)
        means = self._means(clusters)
        total += means @ means.swapaxes(1, 2)
        total *= self.weights(clusters)[:, None, None]
        return total

    def variances(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "c n"]
    ) -> Shaped[Array, "j c"]:
        return replace(self, along=combined(self.along, directions))._variances(clusters)

    def _variances(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n"]:
        """B_aa, (j, n): the diagonals of `information`."""
        total = (self._covariances(clusters) ** 2).sum(axis=(2, 3))
        total += self._degrees(clusters)[:, None] * (self._others() ** 2).sum(axis=(1, 2))
        total *= 0.5
        slopes = self._slopes()
        total += flatten(self._rest(clusters)) @ flatten(slopes.swapaxes(1, 2) @ slopes).T
        total += (self._means(clusters) ** 2).sum(axis=2)
        total *= self.weights(clusters)[:, None]
        return total

    def weights(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j"]:
        return self.data.weights[clusters]

    def white(self, clusters: Shaped[Index, "j"]) -> WhiteParts:
        return WhiteParts(
            deviations=self._others(),
            degrees=self._degrees(clusters),
            slopes=self._slopes(),
            cross=self._rest(clusters),
            mean=self._covariances(clusters),
            means=self._means(clusters),
        )

    def _degrees(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j"]:
        return self.data.sizes[clusters] - self.data.depth

    def _rest(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j V V"]:
        return rest_of(self.data, self.moments, clusters)

    def _root(self) -> Shaped[Array, "p p"]:
        """L."""
        factor = lower_factor(self.point.precision)
        assert factor is not None
        return factor

    def _others(self) -> Shaped[Array, "n p p"]:
        """Ω_a, (n, p, p)."""
        return self._root().T @ self.along[0].sigma @ self._root()

    def _slopes(self) -> Shaped[Array, "n p V"]:
        """Δ_a as maps of the columns that vary, (n, p, V)."""
        return self._root().T @ self.along[0].mean[:, :, self.moments.varying_entries]

    def _means(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n m"]:
        """m_a, (j, n, m)."""
        within, between = self.along
        maps = MeanMaps(within.mean, between.mean)
        return whiten(self.point.roots[clusters], coordinates_of(self.data, maps, clusters))

    def _covariances(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n m m"]:
        """Ω̄_a."""
        roots = self.point.roots[clusters, None]
        within, between = self.along
        changes = cluster_covariance(self.data, within.sigma, between.sigma, clusters)
        return roots @ changes @ roots.swapaxes(2, 3)
