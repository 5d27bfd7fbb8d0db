"""Replicate weights by level: what each replicate makes of the weights of rows and clusters.

With two levels a replicate W^(r) of the weights W of rows changes what clusters weigh, w:

    f_j = Σ_i W_ij^(r) / Σ_i W_ij,    w_j^(r) = w_j f_j,    c_ij^(r) = W_ij^(r) / w_j^(r)

c are the weights of rows within their cluster, scaled as ever; clusters with f_j = 0 are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import Array, Index
from mlsem.data.table.grouping import Grouping, group
from mlsem.data.table.replicates import Replicates, ReplicateWeights, weights_in
from mlsem.data.table.sampling import Sampling, WeightColumns
from mlsem.data.table.weights import scaled_to, weight_column
from mlsem.errors import OptionValueError

if TYPE_CHECKING:
    import pandas as pd

ROWS, CLUSTERS = "replicate weight", "replicate weight of the cluster"


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What rows and clusters count in R replicates.

    Attributes
    ----------
    rows : (R, N) or None
        a_ij, cluster after cluster; None: all 1.
    clusters : (R, J)
        w_j, zero of a cluster that is left out.
    sizes : (R, J)
        a_j.
    """

    rows: Array | None
    clusters: Array
    sizes: Array


@dataclass(frozen=True, slots=True, eq=False)
class Replication:
    """A frame's replicate weights, made those of rows and clusters.

    Attributes
    ----------
    weights : ReplicateWeights
    data : DataFrame
        Its rows that have a weight.
    cluster : str or None
        The column of the clusters of a model with two levels.
    """

    weights: ReplicateWeights
    data: pd.DataFrame
    cluster: str | None
    _how: Sampling
    _clusters: Array | None  # w_j of each row
    _full: Array | None  # W of each row
    _codes: Index | None  # the cluster of each row

    def __len__(self) -> int:
        return len(self.weights.factors)

    def counted(self, grouping: Grouping, which: slice) -> Counted:
        """What the rows used and their clusters count in some replicates; a cluster that is left
        out keeps its rows, and weighs nothing."""
        order = np.arange(len(self.data)) if grouping.order is None else grouping.order
        values, sizes = self.weights.values.T[which], grouping.sizes
        first = order[np.cumsum(sizes) - sizes]
        ones = np.broadcast_to(sizes.astype(np.float64), (len(values), len(sizes)))
        if self._codes is None or self._full is None:  # one weight of each row, or cluster
            return Counted(None, values[:, first], ones)
        share = self._shares(values)[:, self._codes[first]]
        assert self._clusters is not None
        clusters = self._clusters[first] * share
        if not self._of_rows:
            return Counted(None, clusters, ones)
        absent = np.repeat(share == 0.0, sizes, axis=-1)
        there = np.where(share == 0.0, self._clusters[first], clusters)
        within = np.where(absent, self._full[order], values[:, order])
        within /= np.repeat(there, sizes, axis=-1)
        return Counted(*scaled_to(self._how.scaling or "cluster", within, clusters, sizes))

    @property
    def _of_rows(self) -> bool:
        """Whether rows have weights within their clusters."""
        named = self._how.weights
        return named is not None and bool(named.total or named.level1)

    def _shares(self, values: Array) -> Array:
        """f_j of all clusters, (R, J), of W^(r) (R, N)."""
        assert self._codes is not None
        full = np.bincount(self._codes, self._full)
        return np.array([np.bincount(self._codes, each) for each in values]) / full

    def frames(self) -> Iterator[tuple[pd.DataFrame, Sampling]]:
        """For each replicate the frame with its weights, and how these are to be read."""
        rest = self.data.drop(columns=list(self.weights.columns))
        for values in self.weights.values.T:
            columns = self._of_levels(values)
            frame = rest.assign(**columns)
            if self._codes is None:
                yield frame, replace(self._how, weights=WeightColumns(total=ROWS))
                continue
            rows = ROWS if ROWS in columns else None
            yield frame, replace(self._how, weights=WeightColumns(rows, None, CLUSTERS))

    def _of_levels(self, values: Array) -> dict[str, Array]:
        codes, full, clusters = self._codes, self._full, self._clusters
        if codes is None:
            return {ROWS: values}
        assert clusters is not None
        if full is None:  # of clusters
            return {CLUSTERS: values}
        found = {CLUSTERS: clusters * self._shares(values[None])[0, codes]}
        if self._of_rows:
            found[ROWS] = values
        return found


def replication(
    replicates: Replicates, data: pd.DataFrame, how: Sampling, cluster: str | None
) -> Replication:
    """What replicates make of a frame's weights.

    Parameters
    ----------
    replicates : Replicates
    data : DataFrame
        Its rows that have a weight.
    how : Sampling
        Weights of the sample.
    cluster : str or None
        The column of the clusters of a model with two levels.

    Raises
    ------
    DataError, OptionValueError
    """
    named = how.weights
    assert named is not None
    total = replicates.total if named.total is None else named.total
    full = None if total is None else weight_column(data, total)
    clusters = None if named.level2 is None else weight_column(data, named.level2)
    if cluster is None:
        return Replication(weights_in(replicates, data, full), data, None, how, None, full, None)
    if named.level1 is not None:
        inner = weight_column(data, named.level1)
        full = inner if clusters is None else inner * clusters
    clusters = np.ones(len(data)) if clusters is None else clusters
    codes = group(data, cluster, None).codes
    weights = weights_in(replicates, data, full)
    if full is None:
        _require_constant(weights.values, codes, replicates)
    return Replication(weights, data, cluster, how, clusters, full, codes)


def _require_constant(values: Array, codes: Index, replicates: Replicates) -> None:
    """Without weights of rows the replicates must be those of clusters."""
    first = np.unique(codes, return_index=True)[1]
    if not np.allclose(values, values[first][codes], rtol=1e-9, atol=0.0):
        raise OptionValueError(
            f"{replicates.method}(…) has replicates of the weights of rows, and weights= has those "
            "of clusters alone: say which weights are replicated, "
            f'{replicates.method}(…, total="…").'
        )
