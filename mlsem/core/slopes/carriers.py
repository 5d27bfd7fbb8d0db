"""Cluster moments → the coordinates in which a model with random slopes sees a cluster.

The carriers of the random effects (the constant, and level-1 covariates) span a space of few
dimensions in the n rows of a cluster. In an orthonormal basis of the rows that begins with this
space, Q = [Q_1 Q_2], the random effects move the d coordinates Q_1ᵀ y only; the n - d others have
the covariance Σ_W of a row and nothing else. Of them the likelihood needs pooled cross-products.

They are those of `core.sample.coordinates`. A carrier without a direction of its own in a cluster
gives a coordinate of zeros. Such a row has the covariance Σ_W of any other, so that taking
it off the n - d others again leaves every sum as it should be, and no cluster is a special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.implied.pattern import Carriers, Pattern
from mlsem.core.records import Array, ClusterMoments, Index, frozen
from mlsem.core.sample.coordinates import deviation_coordinates, distinct_carriers


@dataclass(frozen=True, slots=True, eq=False)
class SlopeMoments:
    """What the likelihood of a model with random slopes needs of the data.

    Attributes
    ----------
    sizes, weights : (J,)
        Effective size of each cluster, and what it counts in every sum over clusters.
    rows : (J, D)
        h_j = (1, means of the stored columns).
    coordinates : (J, d, D)
        H_j, the d coordinates of (1, stored columns).
    loadings : (J, d p + r, q + r)
        T_j: how the coordinates of y, then z, move with (u, z).
    rest : (D, D)
        Cross-products of the other coordinates, pooled over clusters by their weights.
    """

    sizes: Shaped[Array, "J"]
    weights: Shaped[Array, "J"]
    rows: Shaped[Array, "J D"]
    coordinates: Shaped[Array, "J d D"]
    loadings: Shaped[Array, "J m qr"]
    rest: Shaped[Array, "D D"]

    @property
    def n_rows(self) -> float:
        """N, weighted."""
        return float(self.weights @ self.sizes)

    @property
    def n_clusters(self) -> int:
        return len(self.sizes)

    @property
    def total_weight(self) -> float:
        """Σ w_j, the J of the likelihood."""
        return float(self.weights.sum())

    @property
    def depth(self) -> int:
        """d."""
        return self.coordinates.shape[1]

    @property
    def n_others(self) -> float:
        """Σ w_j (n_j - d); negative where coordinates of zeros outnumber the rows."""
        return self.n_rows - self.total_weight * self.depth


def slope_moments(pattern: Pattern[Any], moments: ClusterMoments) -> SlopeMoments:
    """Arrange the clusters by the carriers of the pattern."""
    carriers = pattern.random_effects
    rows = moments.cluster_rows
    inner = moments.varying_entries
    deviations = deviation_coordinates(distinct_carriers(carriers.maps[:, inner]), moments.within)
    coordinates = np.zeros((len(rows), 1 + deviations.shape[1], rows.shape[1]))
    sizes, weights = moments.sizes, moments.weights
    coordinates[:, 0] = np.sqrt(sizes)[:, None] * rows
    coordinates[:, 1:, inner] = deviations
    rest = np.zeros((rows.shape[1], rows.shape[1]))
    rest[inner, inner] = moments.pooled_within - pooled_products(deviations, weights)
    return SlopeMoments(
        sizes=frozen(sizes),
        weights=frozen(weights),
        rows=frozen(rows),
        coordinates=frozen(coordinates),
        loadings=frozen(_loadings(pattern, carriers, coordinates)),
        rest=frozen(rest),
    )


def _loadings(
    pattern: Pattern[Any], carriers: Carriers, coordinates: Shaped[Array, "J d D"]
) -> Shaped[Array, "J m qr"]:
    clusters, depth, _ = coordinates.shape
    within, between = pattern.levels
    outcomes, effects = len(within.responses), len(carriers.responses)
    own = len(between.responses) - effects
    total = np.zeros((clusters, depth * outcomes + own, effects + own))
    for a, (response, carrier) in enumerate(zip(carriers.responses, carriers.maps, strict=True)):
        total[:, response : depth * outcomes : outcomes, a] = coordinates @ carrier
    total[:, depth * outcomes :, effects:] = np.eye(own)
    return total


def rest_of(
    data: SlopeMoments, moments: ClusterMoments, part: slice | Shaped[Index, "j"]
) -> Shaped[Array, "j V V"]:
    """Cross-products of the other coordinates of some clusters."""
    deviations = data.coordinates[part, 1:, moments.varying_entries]
    return moments.within[part] - deviations.swapaxes(1, 2) @ deviations


def pooled_products(
    stack: Shaped[Array, "J ... n"], weights: Shaped[Array, "J"]
) -> Shaped[Array, "n n"]:
    """Σ_j w_j X_jᵀ X_j of (J, …, n) -> (n, n)."""
    weighted = stack * np.sqrt(weights).reshape(-1, *(1,) * (stack.ndim - 1))
    rows = weighted.reshape(-1, stack.shape[-1])
    return rows.T @ rows
