"""The records that numbers travel in: frozen, their arrays read-only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated as Shaped
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Numbers: TypeAlias = Any
"""A float of one data set, an array (...) of many."""


def frozen(array: Shaped[NDArray[Any], "*s"]) -> Shaped[NDArray[Any], "*s"]:
    """The array, made read-only."""
    array.setflags(write=False)
    return array


def with_constant(means: Shaped[Array, "... J C"]) -> Shaped[Array, "... J D"]:
    """h = (1, means) of each row."""
    return np.concatenate((np.ones((*means.shape[:-1], 1)), means), axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterRecord:
    """What is known of the clusters of a data set, whatever values are missing.

    A row of weight a_ij counts as a_ij rows, in means and cross-products too; a cluster of weight
    w_j counts as w_j clusters:

        ℓ = Σ_j w_j log ∫ Π_i f(y_ij | u)^{a_ij} f(u, z_j) du.

    Without weights all a_ij and w_j are 1. A stored column is ``value - shift``.

    Attributes
    ----------
    columns : tuple of str
        Names of the C stored columns; `varying` come first.
    varying : int
        How many columns, the first ones, vary within clusters (V of them). The others are
        constant within every cluster (level-2 variables).
    shift : (C,)
        Taken off each column before anything was summed.
    rows : (J,) int
        How many rows were read of each cluster.
    sizes : (J,)
        Effective sizes a_j = Σ_i a_ij, the n of a cluster's likelihood.
    weights : (J,)
        w_j.
    labels : (J,)
        Cluster ids as the user gave them, in the order of `rows`.
    uneven : bool
        Whether some rows of a cluster weigh more than others; `sizes` may be counts all the same.
    """

    columns: tuple[str, ...]
    varying: int
    shift: Shaped[Array, "C"]
    rows: Shaped[NDArray[np.int64], "J"]
    sizes: Shaped[Array, "J"]
    weights: Shaped[Array, "J"]
    labels: Shaped[NDArray[Any], "J"]
    uneven: bool = field(default=False, kw_only=True)

    @property
    def n_rows(self) -> int:
        return int(self.rows.sum())

    @property
    def n_clusters(self) -> int:
        return len(self.rows)

    @property
    def top_rows(self) -> Shaped[NDArray[np.int64], "U"]:
        """How many rows were read of each cluster of the highest level, which are independent."""
        return self.rows

    @property
    def top_labels(self) -> Shaped[NDArray[Any], "U"]:
        """Ids of these."""
        return self.labels

    @property
    def is_weighted(self) -> bool:
        """Whether some rows or clusters count as more or less than one."""
        counted = (self.sizes == self.rows).all() and (self.weights == 1.0).all()
        return self.uneven or not counted

    @property
    def row_weights(self) -> Shaped[Array, "J"]:
        """w_j a_j, what the rows of each cluster weigh together, (J,)."""
        return self.weights * self.sizes

    @property
    def varying_entries(self) -> slice:
        """The columns that vary within clusters, among the entries of h = (1, stored columns)."""
        return slice(1, self.varying + 1)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMoments(ClusterRecord):
    """Sizes, means and centred cross-products of the rows of each cluster, nothing missing.

    The rows of a cluster enter the likelihood only through these. Many data sets of one design
    have clusters of the same sizes and weights, and axes before those of means and cross-products.

    Attributes
    ----------
    means : (J, C)
        Means per cluster of the shifted columns. Columns that are constant within every cluster
        have a mean and no cross-product.
    within : (J, V, V)
        Cross-products about the cluster's own mean, Σ_i (g_i - ḡ)(g_i - ḡ)ᵀ. All clusters of
        one row: a broadcast zero that takes no memory.
    """

    means: Shaped[Array, "... J C"]
    within: Shaped[Array, "... J V V"]

    @property
    def incomplete(self) -> bool:
        """Whether values are missing in the rows used."""
        return False

    @property
    def cluster_rows(self) -> Shaped[Array, "J D"]:
        """h_j = (1, means of the stored columns)."""
        return with_constant(self.means)

    @property
    def mean(self) -> Shaped[Array, "C"]:
        """Of each stored column over all rows."""
        weights = self.row_weights
        return weights @ self.means / weights.sum()

    @property
    def pooled_within(self) -> Shaped[Array, "V V"]:
        """Σ_j w_j S_j."""
        return np.einsum("j,jab->ab", self.weights, self.within)


@dataclass(frozen=True, slots=True, eq=False)
class NestedMoments(ClusterMoments):
    """Moments of clusters that are in units of level 3.

    Attributes
    ----------
    units : str
        The column that tells the units apart.
    unit_of : (J,)
        The unit of each cluster, 0 … U - 1.
    unit_labels : (U,)
        Units as the user named them.
    """

    units: str
    unit_of: Shaped[Index, "J"]
    unit_labels: Shaped[NDArray[Any], "U"]

    @property
    def top_rows(self) -> Shaped[NDArray[np.int64], "U"]:
        return np.bincount(self.unit_of, self.rows, len(self.unit_labels)).astype(np.int64)

    @property
    def top_labels(self) -> Shaped[NDArray[Any], "U"]:
        return self.unit_labels


@dataclass(frozen=True, slots=True, eq=False)
class CellMoments(ClusterRecord):
    """Moments of rows with missing values, by cells: the rows of one cluster in which the same
    columns are observed; or of rows of several classes, by cluster and class.

    A *pattern* is a set of observed columns, or a class, which has all. Columns that vary within
    clusters have one for each row; those of level 2 one for each cluster. What is not observed is
    stored as zero.

    Attributes
    ----------
    patterns : (P, V) bool
        The varying columns that are observed in each pattern. A pattern may have none: rows of
        which only covariates, or level-2 variables of their cluster, are known.
    pattern_of, cluster_of : (K,)
        Of each cell, clusters ascending. Each pair occurs once.
    cell_rows : (K,) int
        How many rows were read of each cell.
    cell_sizes : (K,)
        Effective sizes of the cells; those of a cluster add up to its `sizes`.
    means : (K, V)
        Means per cell of the shifted varying columns.
    within : (K, V, V)
        Cross-products about the cell's own means. All cells of one row: a broadcast zero.
    level2 : (J, C - V)
        The shifted level-2 columns.
    level2_patterns : (Q, C - V) bool
    level2_pattern_of : (J,)
    """

    patterns: Shaped[NDArray[np.bool_], "P V"]
    pattern_of: Shaped[Index, "K"]
    cluster_of: Shaped[Index, "K"]
    cell_rows: Shaped[NDArray[np.int64], "K"]
    cell_sizes: Shaped[Array, "K"]
    means: Shaped[Array, "K V"]
    within: Shaped[Array, "K V V"]
    level2: Shaped[Array, "J E"]
    level2_patterns: Shaped[NDArray[np.bool_], "Q E"]
    level2_pattern_of: Shaped[Index, "J"]

    @property
    def incomplete(self) -> bool:
        """Whether values are missing in the rows used."""
        return not (self.patterns.all() and self.level2_patterns.all())

    @property
    def n_cells(self) -> int:
        return len(self.cell_rows)

    @property
    def mean_rows(self) -> Shaped[Array, "K D"]:
        """(1, means of the varying columns, level-2 columns) of each cell."""
        constant = np.ones((self.n_cells, 1))
        return np.concatenate((constant, self.means, self.level2[self.cluster_of]), axis=1)

    @property
    def cluster_rows(self) -> Shaped[Array, "J D"]:
        """h_j = (1, level-2 columns), zero for columns that vary within clusters."""
        rows = np.zeros((self.n_clusters, 1 + len(self.columns)))
        rows[:, 0] = 1.0
        rows[:, 1 + self.varying :] = self.level2
        return rows

    @property
    def mean(self) -> Shaped[Array, "C"]:
        """Of each stored column over the rows that have it."""
        there = self.patterns[self.pattern_of] * self.cell_weights[:, None]
        inner = (there * self.means).sum(axis=0) / np.maximum(there.sum(axis=0), 1e-300)
        there = self.level2_patterns[self.level2_pattern_of] * self.row_weights[:, None]
        outer = (there * self.level2).sum(axis=0) / np.maximum(there.sum(axis=0), 1e-300)
        return np.concatenate((inner, outer))

    @property
    def cell_weights(self) -> Shaped[Array, "K"]:
        """w of each cell's cluster times the cell's size, (K,)."""
        return self.weights[self.cluster_of] * self.cell_sizes


@dataclass(frozen=True, slots=True, eq=False)
class GroupedMoments:
    """The clusters of several groups, one group after the other.

    Attributes
    ----------
    groups : tuple of ClusterMoments or CellMoments
    """

    groups: tuple[ClusterMoments | CellMoments, ...]

    @property
    def rows(self) -> Shaped[NDArray[np.int64], "J"]:
        """How many rows were read of each cluster."""
        return np.concatenate([group.rows for group in self.groups])

    @property
    def weights(self) -> Shaped[Array, "J"]:
        """w_j."""
        return np.concatenate([group.weights for group in self.groups])

    @property
    def labels(self) -> Shaped[NDArray[Any], "J"]:
        """Cluster ids as the user gave them."""
        return np.concatenate([group.labels for group in self.groups])

    @property
    def top_rows(self) -> Shaped[NDArray[np.int64], "J"]:
        """Those of clusters, which are the highest level."""
        return self.rows

    @property
    def top_labels(self) -> Shaped[NDArray[Any], "J"]:
        """Their ids."""
        return self.labels

    @property
    def n_rows(self) -> int:
        return sum(group.n_rows for group in self.groups)

    @property
    def n_clusters(self) -> int:
        return sum(group.n_clusters for group in self.groups)

    @property
    def is_weighted(self) -> bool:
        """Whether some rows or clusters count as more or less than one."""
        return any(group.is_weighted for group in self.groups)

    @property
    def incomplete(self) -> bool:
        """Whether values are missing in the rows used."""
        return any(group.incomplete for group in self.groups)


@dataclass(frozen=True, slots=True, eq=False)
class RobustClusters:
    """The clusters of a robust covariance: those of the model, or unions of them.

    Attributes
    ----------
    name : str or None
        The column that tells them apart; None where every row is one.
    codes : (J,)
        The robust cluster of each cluster of the model (with three levels: of each unit of level
        3), 0 … G - 1 in the order in which they occur first.
    labels : (G,)
    strata : (G,) int or None
        The stratum that each was drawn from, 0 … H - 1; None where they were drawn from one.
    """

    name: str | None
    codes: Shaped[Index, "J"]
    labels: Shaped[NDArray[Any], "G"]
    strata: Shaped[Index, "G"] | None = None

    @property
    def same(self) -> bool:
        """Whether they are the model's clusters."""
        return len(self.labels) == len(self.codes)

    @property
    def n_clusters(self) -> int:
        return len(self.labels)
