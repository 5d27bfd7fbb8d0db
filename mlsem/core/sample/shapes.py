"""Cluster moments → shape moments: clusters of the same size share all matrix work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.linalg import weighted_sum
from mlsem.core.records import Array, ClusterMoments, ClusterRecord, Index, Numbers, frozen


@dataclass(frozen=True, slots=True, eq=False)
class LevelSample:
    """Sample moments of some variables at one level, for starting values and display.

    `covariance` is positive semidefinite: negative eigenvalues of a between estimate are cut.
    `total` is the variance at all levels together.
    """

    names: tuple[str, ...]
    mean: Shaped[Array, "p"]
    covariance: Shaped[Array, "p p"]
    total: Shaped[Array, "p"]


def shapes_of(moments: ClusterRecord) -> tuple[Shaped[Array, "S"], Shaped[Index, "J"]]:
    """Distinct effective sizes, and each cluster's position among them."""
    return np.unique(moments.sizes, return_inverse=True)


def shape_moments(
    moments: ClusterMoments, sizes: Shaped[Array, "S"], positions: Shaped[Index, "J"]
) -> ShapeMoments:
    """Sum clusters of the same size; `within` is padded to all D entries of h."""
    rows = np.empty((moments.n_clusters, moments.means.shape[1] + 1))
    root = np.sqrt(moments.weights)
    rows[:, 0] = root
    rows[:, 1:] = root[:, None] * moments.means
    ordered = rows[np.argsort(positions, kind="stable")] if len(sizes) > 1 else rows
    if len(sizes) == len(rows):
        cross = ordered[:, :, None] * ordered[:, None, :]
    else:
        ends = np.bincount(positions, minlength=len(sizes)).cumsum()
        cross = np.array([part.T @ part for part in np.split(ordered, ends[:-1])])
    width = rows.shape[1]
    within = np.zeros((width, width))
    within[moments.varying_entries, moments.varying_entries] = moments.pooled_within
    return ShapeMoments(
        sizes=frozen(sizes),
        clusters=frozen(np.bincount(positions, moments.weights, len(sizes))),
        cross=frozen(cross),
        within=frozen(within),
    )


def level_sample(
    data: ShapeMoments, names: tuple[str, ...], maps: Shaped[Array, "p D"], level: int
) -> LevelSample:
    """Moments of the variables `maps @ h` at a level, by the method of moments.

    Within: pooled cross-products over N - J. Between: covariance of the cluster means less what
    the part below adds to it.
    """
    within, centre = data.pooled, data.products(2)[0]
    between = data.products(2) - np.outer(centre, centre)
    if level == 1:
        covariance = maps @ within @ maps.T
    else:
        values, vectors = np.linalg.eigh(maps @ data.part(level) @ maps.T)
        covariance = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return LevelSample(
        names,
        maps @ data.products(max(level, 2))[0],
        covariance,
        np.diagonal(maps @ (between + within) @ maps.T),
    )


def covariate_sample(
    data: ShapeMoments, maps: Shaped[Array, "k D"], level: int
) -> tuple[Shaped[Array, "k"], Shaped[Array, "k k"]]:
    """Mean and covariance of the variables `maps @ h`, over the units of a level: rows, clusters,
    units of level 3."""
    total = data.products(level)
    mean = total[0]
    covariance = total - np.outer(mean, mean)
    return maps @ mean, maps @ covariance @ maps.T


@dataclass(frozen=True, eq=False)
class ShapeMoments:
    """What the likelihood of a random-intercept model needs of the data.

    Clusters of the same size are one *shape* and share all matrix work, so that the cost of an
    evaluation depends on the number of distinct sizes S only. A cluster's data row is
    h_j = (1, means of the C stored columns). Many data sets have the same shapes, and axes before
    those of the other fields.

    Attributes
    ----------
    sizes : (S,)
        Effective size of a cluster, n_s.
    clusters : (S,)
        How many clusters have that size, J_s: the sum of their weights.
    cross : (S, D, D)
        H_s = Σ_{j in s} w_j h_j h_jᵀ.
    within : (D, D)
        Pooled cross-products about the cluster means, Σ_j w_j S_j; zero in rows of
        columns that do not vary.
    """

    sizes: Shaped[Array, "S"]
    clusters: Shaped[Array, "... S"]
    cross: Shaped[Array, "... S D D"]
    within: Shaped[Array, "... D D"]

    def products(self, level: int) -> Shaped[Array, "D D"]:
        """Mean of h hᵀ over rows (level 1) or clusters (2)."""
        if level == 1:
            return (weighted_sum(self.sizes, self.cross) + self.within) / self.n_rows
        return self.total / self.n_clusters

    @property
    def pooled(self) -> Shaped[Array, "D D"]:
        """Covariance of the rows within clusters."""
        return self.within / max(self.n_rows - self.n_clusters, 1.0)

    def part(self, level: int) -> Shaped[Array, "D D"]:
        """Covariance of the parts above level 1, by the method of moments; need not be one."""
        centre = self.products(level)[0]
        noise = float(self.clusters @ (1.0 / self.sizes)) / self.n_clusters
        return self.products(level) - np.outer(centre, centre) - noise * self.pooled

    @cached_property
    def total(self) -> Shaped[Array, "... D D"]:
        """Σ_j w_j h_j h_jᵀ of all clusters."""
        return self.cross.sum(axis=-3)

    @cached_property
    def n_rows(self) -> Numbers:
        """N, weighted."""
        return self.clusters @ self.sizes

    @cached_property
    def n_clusters(self) -> Numbers:
        """J, weighted."""
        return self.clusters.sum(axis=-1)

    def __getitem__(self, which: Any) -> ShapeMoments:
        """Of many data sets one, or some."""
        return ShapeMoments(self.sizes, self.clusters[which], self.cross[which], self.within[which])


def stacked(samples: Sequence[ShapeMoments]) -> ShapeMoments:
    """Many data sets of the same sizes of clusters as one record."""
    return ShapeMoments(
        sizes=samples[0].sizes,
        clusters=np.array([each.clusters for each in samples]),
        cross=np.array([each.cross for each in samples]),
        within=np.array([each.within for each in samples]),
    )


def of_sizes(data: ShapeMoments, sizes: Shaped[Array, "S"]) -> ShapeMoments:
    """A data set among sizes of clusters of which it may have no cluster."""
    if len(sizes) == len(data.sizes):
        return data
    place, shape = np.searchsorted(sizes, data.sizes), data.cross.shape[1:]
    clusters, cross = np.zeros(len(sizes)), np.zeros((len(sizes), *shape))
    clusters[place], cross[place] = data.clusters, data.cross
    return ShapeMoments(sizes, clusters, cross, data.within)
