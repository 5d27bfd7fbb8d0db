"""The records that numbers travel in: frozen, their arrays read-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The array, made read-only."""
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMoments:
    """Counts, means and centred cross-products of the rows of each cluster.

    The rows of a cluster enter the likelihood only through these. A stored column is
    ``value - shift``. Columns that are constant within every cluster (level-2 variables) have a
    mean and no cross-product.

    Attributes
    ----------
    columns : tuple of str
        Names of the D stored columns; `varying` come first.
    varying : int
        How many columns, the first ones, vary within clusters (V of them).
    shift : (D,)
        Taken off each column before anything was summed.
    counts : (J,) int
        Rows per cluster.
    means : (J, D)
        Means per cluster of the shifted columns.
    within : (J, V, V)
        Cross-products about the cluster's own mean, Σ_i (g_i - ḡ)(g_i - ḡ)ᵀ. All clusters of
        one row: a broadcast zero that takes no memory.
    labels : (J,)
        Cluster ids as the user gave them, in the order of the rows of `counts`.
    """

    columns: tuple[str, ...]
    varying: int
    shift: Array
    counts: NDArray[np.int64]
    means: Array
    within: Array
    labels: NDArray[Any]

    @property
    def n_rows(self) -> int:
        return int(self.counts.sum())

    @property
    def n_clusters(self) -> int:
        return len(self.counts)


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
    codes: Index
    labels: NDArray[Any]

    @property
    def same(self) -> bool:
        """Whether they are the model's clusters."""
        return len(self.labels) == len(self.codes)

    @property
    def n_clusters(self) -> int:
        return len(self.labels)
