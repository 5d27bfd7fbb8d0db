"""Expected information of each cluster with missing values.

With the sums of `information` over one cluster,

    B_ab = ½ [Σ_c tr Σ_a W Σ_b (n_c W - 2 D_c) + tr K C^a K C^b + tr X C^a Xᵀ Σ_B,b
              + tr X C^b Xᵀ Σ_B,a + tr Ω Σ_B,a Ω Σ_B,b] + μ_aᵀ V_j⁻¹ μ_b.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import TypeAlias

import numpy as np

from mlsem.core.blocks import blocks, positions_in_runs
from mlsem.core.implied.derivatives import Jacobians, combined, some
from mlsem.core.linalg import flatten, flatten_last, symmetrised
from mlsem.core.patterns import cumulants
from mlsem.core.patterns.carriers import CellRows, PatternMoments
from mlsem.core.patterns.information import cluster_vectors, corner_changes, level2_changes, moving
from mlsem.core.patterns.likelihood import PatternPoint, between_information
from mlsem.core.patterns.scores import spread_effects
from mlsem.core.records import Array, Index

Products: TypeAlias = Callable[
    [Shaped[Array, "k n m"], Shaped[Array, "k n m"]], Shaped[Array, "k *s"]
]


def all_pairs(
    left: Shaped[Array, "k n m"], right: Shaped[Array, "k n m"]
) -> Shaped[Array, "k n n"]:
    """xᵀy of every pair of directions."""
    return left @ right.swapaxes(1, 2)


def own_pairs(left: Shaped[Array, "k n m"], right: Shaped[Array, "k n m"]) -> Shaped[Array, "k n"]:
    """xᵀy of each direction with itself."""
    return np.einsum("knm,knm->kn", left, right)


@dataclass(frozen=True, slots=True, eq=False)
class PatternParts:
    """What the information and the cumulants of the clusters are made of, along n directions."""

    point: PatternPoint
    data: PatternMoments
    cells: CellRows
    along: Jacobians

    @property
    def n_directions(self) -> int:
        return len(self.along[0].sigma)

    @property
    def n_clusters(self) -> int:
        return self.data.n_clusters

    @property
    def width(self) -> int:
        per_cluster = -(-len(self.cells.sizes) // max(1, self.n_clusters))
        return 2 * per_cluster * self.along[0].sigma[0].size + self.along[1].sigma[0].size

    @property
    def alike(self) -> Shaped[Index, "J"] | None:
        return None

    def only(self, directions: Shaped[Index, "k"]) -> PatternParts:
        return replace(self, along=some(self.along, directions))

    def information(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n n"]:
        return symmetrised(self._forms(clusters, all_pairs))

    def variances(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "c n"]
    ) -> Shaped[Array, "j c"]:
        return replace(self, along=combined(self.along, directions))._forms(clusters, own_pairs)

    def fourth_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c"]:
        found = cumulants.fourth(self._at(clusters), self.along, directions)
        return self.data.weights[clusters, None] ** 4 * found

    def third_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c n"]:
        found = cumulants.third(self._at(clusters), self.along, directions)
        return self.data.weights[clusters, None, None] ** 3 * found

    def _at(self, clusters: Shaped[Index, "j"]) -> cumulants.Some:
        cells, starts = cells_of(self.cells, clusters)
        return cumulants.Some(self.point, self.data, self.cells, clusters, cells, starts)

    def _forms(self, clusters: Shaped[Index, "j"], products: Products) -> Shaped[Array, "j *s"]:
        """B_ab by the products that are wanted, (j, n, n) or (j, n)."""
        point, data = self.point, self.data
        total = self._of_rows(clusters, products)
        within, between = self.along[0].sigma, self.along[1].sigma
        corners = corner_changes(point, data, within, clusters)
        shrunk = point.posterior[clusters, None] @ corners
        total += 0.5 * products(flatten_last(shrunk), flatten_last(shrunk.swapaxes(2, 3)))
        level2 = flatten_last(level2_changes(point, data, between, clusters))
        total += 0.5 * (
            products(flatten_last(corners), level2) + products(level2, flatten_last(corners))
        )
        sides = between_information(point, data, clusters)[:, None] @ between
        total += 0.5 * products(flatten_last(sides), flatten_last(sides.swapaxes(2, 3)))
        total += self._of_means(clusters, products)
        return data.weights[clusters].reshape(-1, *(1,) * (total.ndim - 1)) * total

    def _of_rows(self, clusters: Shaped[Index, "j"], products: Products) -> Shaped[Array, "j *s"]:
        """½ Σ_c tr Σ_a W Σ_b (n W - 2 D) and the rows' part of the means."""
        within, count = self.along[0], self.n_directions
        inner, means = moving(within.sigma), moving(within.mean)
        used = np.flatnonzero(within.mean.any(axis=(0, 1)))
        sigma = flatten(within.sigma[inner])
        maps = flatten(within.mean[means][:, :, used])
        found: list[Shaped[Array, "i *s"]] = []
        p = within.sigma.shape[1]
        width = (p**4 + (p * len(used)) ** 2) * (-(-len(self.cells.sizes) // self.n_clusters))
        for part in blocks(len(clusters), width):
            cells, starts = cells_of(self.cells, clusters[part])
            precision = self.point.precision[self.cells.pattern_of[cells]]
            sides = _crossed(precision, self._sides(cells, precision), starts)
            # [(j k), (l i)] meets Σ_a[i, j] and Σ_b[k, l]
            sides = sides.transpose(0, 4, 1, 2, 3).reshape(len(starts), p * p, p * p)
            total = _spread_out(_met(sides, sigma, products), inner, count)
            if len(means):
                rows = _crossed(precision, self._cross(cells, used), starts)
                size = p * len(used)
                rows = rows.transpose(0, 1, 3, 2, 4).reshape(len(starts), size, size)
                total += _spread_out(_met(rows, maps, products), means, count)
            found.append(total)
        return np.concatenate(found)

    def _sides(
        self, cells: Shaped[Index, "k"], precision: Shaped[Array, "k p p"]
    ) -> Shaped[Array, "k p p"]:
        """½ n W - D of each cell."""
        own = self.cells
        posterior = self.point.posterior[own.cluster_of[cells]]
        spread = spread_effects(self.data, own, cells, posterior)
        return 0.5 * own.sizes[cells, None, None] * precision - precision @ spread @ precision

    def _cross(self, cells: Shaped[Index, "k"], used: Shaped[Index, "d"]) -> Shaped[Array, "k d d"]:
        """Cross-products of all coordinates of each cell, of some columns."""
        rows = self.cells.coordinates[cells][:, :, used]
        total = rows.swapaxes(1, 2) @ rows
        varying = np.flatnonzero((used > 0) & (used <= self.cells.rest.shape[1]))
        place = used[varying] - 1
        rest = self.cells.rest[cells[:, None, None], place[:, None], place]
        total[:, varying[:, None], varying] += rest
        return total

    def _of_means(self, clusters: Shaped[Index, "j"], products: Products) -> Shaped[Array, "j *s"]:
        """What random effects and z add to the means' part."""
        point, data = self.point, self.data
        within, between = self.along[0].mean, self.along[1].mean
        used = np.flatnonzero(within.any(axis=(0, 1)))
        maps, rows = within[:, :, used], data.coordinates[:, used]
        level2 = between, data.rows
        beta, shrunk, own = cluster_vectors(point, data, maps, rows, level2, clusters)
        weighed = own @ point.zz_inverse[data.level2_of[clusters]]
        return products(shrunk, shrunk) - products(beta, beta) + products(weighed, own)


def cells_of(
    cells: CellRows, clusters: Shaped[Index, "j"]
) -> tuple[Shaped[Index, "k"], Shaped[Index, "j"]]:
    """The cells of some clusters, one cluster after the other, and where each one's begin."""
    first = np.searchsorted(cells.cluster_of, clusters)
    lengths = np.searchsorted(cells.cluster_of, clusters, side="right") - first
    found = np.repeat(first, lengths) + positions_in_runs(lengths)
    return found, np.cumsum(lengths) - lengths


def _crossed(
    left: Shaped[Array, "k p p"], right: Shaped[Array, "k d d"], starts: Shaped[Index, "j"]
) -> Shaped[Array, "j p p d d"]:
    """Σ A_c ⊗ B_c over the cells of each cluster, which begin at `starts`: one product of matrices
    for each, so that no array has the Kronecker product of every cell."""
    (p, d), first, second = (left.shape[1], right.shape[1]), flatten(left), flatten(right)
    total = np.empty((len(starts), p * p, d * d))
    for k, (start, stop) in enumerate(zip(starts, np.append(starts[1:], len(left)), strict=True)):
        np.matmul(first[start:stop].T, second[start:stop], out=total[k])
    return total.reshape(len(starts), p, p, d, d)


def _met(
    forms: Shaped[Array, "j m m"], rows: Shaped[Array, "n m"], products: Products
) -> Shaped[Array, "j *s"]:
    """xᵀ M_j y of directions' rows."""
    return products(rows @ forms, np.broadcast_to(rows, (len(forms), *rows.shape)))


def _spread_out(
    values: Shaped[Array, "k *s"], places: Shaped[Index, "m"], count: int
) -> Shaped[Array, "k *t"]:
    """Products of some of the directions among zeros for all, (k, n) or (k, n, n)."""
    if len(places) == count:
        return values
    total = np.zeros((len(values), *(count,) * (values.ndim - 1)))
    index = np.ix_(np.arange(len(values)), *(places,) * (values.ndim - 1))
    total[index] = values
    return total
