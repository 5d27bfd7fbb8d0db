"""The records that numbers travel in: frozen, their arrays read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def frozen(array: Shaped[NDArray[Any], "*s"]) -> Shaped[NDArray[Any], "*s"]:
    """The array, made read-only."""
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMoments:
    """Sizes, means and centred cross-products of the rows of each cluster.

    The rows of a cluster enter the likelihood only through these. A row of weight a_ij counts as
    a_ij rows, in means and cross-products too; a cluster of weight w_j counts as w_j clusters:

        ℓ = Σ_j w_j log ∫ Π_i f(y_ij | u)^{a_ij} f(u, z_j) du.

    Without weights all a_ij and w_j are 1. A stored column is ``value - shift``. Columns that are
    constant within every cluster (level-2 variables) have a mean and no cross-product.

    Attributes
    ----------
    columns : tuple of str
        Names of the C stored columns; `varying` come first.
    varying : int
        How many columns, the first ones, vary within clusters (V of them).
    shift : (C,)
        Taken off each column before anything was summed.
    rows : (J,) int
        How many rows were read of each cluster.
    sizes : (J,)
        Effective sizes a_j = Σ_i a_ij, the n of a cluster's likelihood.
    weights : (J,)
        w_j.
    means : (J, C)
        Means per cluster of the shifted columns.
    within : (J, V, V)
        Cross-products about the cluster's own mean, Σ_i (g_i - ḡ)(g_i - ḡ)ᵀ. All clusters of
        one row: a broadcast zero that takes no memory.
    labels : (J,)
        Cluster ids as the user gave them, in the order of `rows`.
    """

    columns: tuple[str, ...]
    varying: int
    shift: Shaped[Array, "C"]
    rows: Shaped[NDArray[np.int64], "J"]
    sizes: Shaped[Array, "J"]
    weights: Shaped[Array, "J"]
    means: Shaped[Array, "J C"]
    within: Shaped[Array, "J V V"]
    labels: Shaped[NDArray[Any], "J"]

    @property
    def n_rows(self) -> int:
        return int(self.rows.sum())

    @property
    def n_clusters(self) -> int:
        return len(self.rows)

    @property
    def is_weighted(self) -> bool:
        """Whether some rows or clusters count as more or less than one."""
        return bool((self.sizes != self.rows).any() or (self.weights != 1.0).any())

    @property
    def row_weights(self) -> Shaped[Array, "J"]:
        """w_j a_j, what the rows of each cluster weigh together, (J,)."""
        return self.weights * self.sizes

    @property
    def mean(self) -> Shaped[Array, "C"]:
        """Of each stored column over all rows."""
        weights = self.row_weights
        return weights @ self.means / weights.sum()

    @property
    def pooled_within(self) -> Shaped[Array, "V V"]:
        """Σ_j w_j S_j."""
        return np.einsum("j,jab->ab", self.weights, self.within)

    @property
    def varying_entries(self) -> slice:
        """The columns that vary within clusters, among the entries of h = (1, stored columns)."""
        return slice(1, self.varying + 1)


@dataclass(frozen=True, slots=True, eq=False)
class RobustClusters:
    """The clusters of a robust covariance: those of the model, or unions of them.

    Attributes
    ----------
    name : str or None
        The column that tells them apart; None where every row is one.
    codes : (J,)
        The robust cluster of each cluster of the model, 0 … G - 1 in the order in which they
        occur first.
    labels : (G,)
    """

    name: str | None
    codes: Shaped[Index, "J"]
    labels: Shaped[NDArray[Any], "G"]

    @property
    def same(self) -> bool:
        """Whether they are the model's clusters."""
        return len(self.labels) == len(self.codes)

    @property
    def n_clusters(self) -> int:
        return len(self.labels)
