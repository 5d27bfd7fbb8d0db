"""Clusters in units of level 3: units of clusters of the same sizes share all matrix work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.unions import arranged
from mlsem.core.records import Array, Index, NestedMoments, frozen
from mlsem.core.sample.shapes import ShapeMoments, shape_moments, shapes_of


@dataclass(frozen=True, eq=False)
class NestedSample:
    """What the likelihood of three levels needs of the data.

    Attributes
    ----------
    moments : NestedMoments
    sizes : (S,)
        Distinct sizes of clusters.
    shape_of : (J,)
        Each cluster's position among them.
    kinds : (L, S)
        Distinct compositions of units: how many clusters of each size.
    kind_of : (U,)
        Each unit's position among them.
    """

    moments: NestedMoments
    sizes: Shaped[Array, "S"]
    shape_of: Shaped[Index, "J"]
    kinds: Shaped[Array, "L S"]
    kind_of: Shaped[Index, "U"]

    @property
    def n_rows(self) -> int:
        return self.moments.n_rows

    @property
    def n_clusters(self) -> int:
        return self.moments.n_clusters

    @property
    def n_units(self) -> int:
        return len(self.kind_of)

    @cached_property
    def rows(self) -> Shaped[Array, "J D"]:
        """h_j = (1, means of the stored columns)."""
        return frozen(self.moments.cluster_rows)

    @cached_property
    def unit_rows(self) -> Shaped[Array, "U D"]:
        """h of each unit: of its first cluster, since columns of level 3 are the same in all."""
        order, starts = self.arranged
        return frozen(self.rows[order[starts[:-1]]])

    @cached_property
    def arranged(self) -> tuple[Shaped[Index, "J"], Shaped[Index, "e"]]:
        """The clusters, one unit after the other, and where those of each begin."""
        return arranged(self.moments.unit_of)

    @cached_property
    def by_shape(self) -> list[Shaped[Index, "_"]]:
        """The clusters of each size."""
        order, starts = arranged(self.shape_of)
        return np.split(order, starts[1:-1])

    @cached_property
    def clusters(self) -> Shaped[Array, "S"]:
        """J_s, how many clusters have each size."""
        return np.bincount(self.shape_of, minlength=len(self.sizes)).astype(np.float64)

    @cached_property
    def units(self) -> Shaped[Array, "L"]:
        """How many units are of each kind."""
        return np.bincount(self.kind_of, minlength=len(self.kinds)).astype(np.float64)

    @cached_property
    def within(self) -> Shaped[Array, "V V"]:
        """Σ_j S_j, cross-products about the clusters' means."""
        return self.moments.pooled_within

    def by_unit(self, values: Shaped[Array, "J *s"]) -> Shaped[Array, "U *s"]:
        """Sums over the clusters of each unit."""
        order, starts = self.arranged
        return np.add.reduceat(values[order], starts[:-1], axis=0)


def nested_sample(moments: NestedMoments) -> NestedSample:
    """Arrange the clusters by size and unit."""
    sizes, shape_of = shapes_of(moments)
    units = len(moments.unit_labels)
    pairs = moments.unit_of * len(sizes) + shape_of
    counts = np.bincount(pairs, minlength=units * len(sizes)).reshape(units, len(sizes))
    kinds, kind_of = np.unique(counts, axis=0, return_inverse=True)
    return NestedSample(
        moments=moments,
        sizes=frozen(sizes),
        shape_of=frozen(shape_of),
        kinds=frozen(kinds.astype(np.float64)),
        kind_of=frozen(kind_of.reshape(-1)),
    )


@dataclass(frozen=True, eq=False)
class NestedShapes(ShapeMoments):
    """Sample moments of three levels, for starting values and display.

    Attributes
    ----------
    units : (D, D)
        Mean over units of level 3 of h hᵀ, h that of the unit's mean over its clusters.
    middle : (D, D)
        Covariance of clusters' means within units, pooled.
    share : float
        Mean over units of 1 / (number of clusters).
    """

    units: Shaped[Array, "D D"]
    middle: Shaped[Array, "D D"]
    share: float

    def products(self, level: int) -> Shaped[Array, "D D"]:
        return self.units if level == 3 else super().products(level)

    def part(self, level: int) -> Shaped[Array, "D D"]:
        """As the part below has it, less what the part below that adds."""
        if level == 3:
            centre = self.units[0]
            return self.units - np.outer(centre, centre) - self.share * self.middle
        noise = float(self.clusters @ (1.0 / self.sizes)) / self.n_clusters
        return self.middle - noise * self.pooled


def nested_shapes(data: NestedSample) -> NestedShapes:
    """The sample moments of each level."""
    count = np.diff(data.arranged[1]).astype(np.float64)
    means = data.by_unit(data.rows) / count[:, None]
    away = data.rows - means[data.moments.unit_of]
    base = shape_moments(data.moments, data.sizes, data.shape_of)
    return NestedShapes(
        sizes=base.sizes,
        clusters=base.clusters,
        cross=base.cross,
        within=base.within,
        units=frozen(means.T @ means / data.n_units),
        middle=frozen(away.T @ away / max(data.n_clusters - data.n_units, 1)),
        share=float((1.0 / count).mean()),
    )
