"""The moments of the same rows by many sets of weights, of one pass over the rows.

Let d_i be the distance of a row's stored columns from their mean in the cluster, ḡ, by the weights
of the sample, and a_i what the row counts in a replicate. Then

    n = Σ_i a_i,    t = Σ_i a_i d_i,    mean = ḡ + t / n,    S = Σ_i a_i d_i d_iᵀ - t tᵀ / n

so that all replicates are a matrix of weights times products of the rows, which are formed once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.blocks import blocks
from mlsem.core.records import Array, ClusterMoments, frozen
from mlsem.data.moments.aggregate import CHUNK_ROWS, DataRecord, planned, used_rows
from mlsem.data.moments.bases import data_names, read_bases
from mlsem.data.moments.chunks import Reader
from mlsem.data.table.grouping import cut

if TYPE_CHECKING:
    from mlsem.core.records import Index
    from mlsem.data.table.columns import Rows
    from mlsem.data.table.grouping import Grouping
    from mlsem.data.table.replication import Counted, Replication
    from mlsem.model.table import ParameterTable

ROUNDING = 1e-13
"""Relative differences of a cluster's size between replicates that are rounding; clusters of one
size share all work."""


def reweighted(
    table: ParameterTable, record: Any, replication: Replication, missing: str
) -> Iterator[ClusterMoments] | None:
    """The moments by each set of weights, of the columns of the sample's record and about its
    shift; None where other weights make other columns (means that are taken off), or the record is
    of several groups, of missing values or of a formula that leaves rows out.

    Clusters that a replicate leaves out are there, and weigh nothing; the functions of a formula
    (`scale`, `poly`) know what they learned in the sample.
    """
    if not isinstance(record, DataRecord) or record.centered:
        return None
    if not isinstance(record.moments, ClusterMoments):
        return None
    frame, names = replication.data, data_names(table)
    if record.formula is not None:
        if record.moments.n_rows < len(frame):
            return None
        frame = record.formula.remade(frame, names)
    rows, grouping, _ = used_rows(
        table, frame, names, cluster=replication.cluster, missing=missing, chunk_rows=None
    )
    return _reweighted(table, record.moments, replication, rows, grouping)


def _reweighted(
    table: ParameterTable,
    sample: ClusterMoments,
    replication: Replication,
    rows: Rows,
    grouping: Grouping,
) -> Iterator[ClusterMoments]:
    pieces = cut(grouping.sizes, CHUNK_ROWS)
    bases = read_bases(table, rows, grouping, pieces, {}, CHUNK_ROWS)
    keys = planned(table, bases).keys[: sample.varying]
    reader = Reader(keys, sample.shift[: sample.varying], bases, grouping, pieces)
    width = grouping.n_rows + sample.means.size + sample.within.size
    for which in blocks(len(replication), width):
        counted = replication.counted(grouping, which)
        near = np.abs(counted.sizes - sample.sizes) <= ROUNDING * sample.sizes
        sizes = np.where(near, sample.sizes, counted.sizes)
        for k, (means, within) in enumerate(_moments(sample, reader, counted)):
            yield replace(
                sample,
                sizes=frozen(sizes[k]),
                weights=frozen(counted.clusters[k]),
                means=means,
                within=within,
                uneven=counted.rows is not None,
            )


def _moments(
    sample: ClusterMoments, reader: Reader, counted: Counted
) -> Iterator[tuple[Array, Array]]:
    """Means and cross-products of the clusters in each replicate."""
    if counted.rows is None:
        yield from [(sample.means, sample.within)] * len(counted.clusters)
        return
    first, second = np.triu_indices(sample.varying)
    sums = _sums(sample, reader, counted.rows, (first, second))
    for size, own in zip(counted.sizes, sums, strict=True):
        moved, cross = np.split(own, [sample.varying], axis=1)
        means, within = sample.means.copy(), np.empty_like(sample.within)
        means[:, : sample.varying] += moved / size[:, None]
        cross -= moved[:, first] * moved[:, second] / size[:, None]
        within[:, first, second] = within[:, second, first] = cross
        yield frozen(means), frozen(within)


def _sums(
    sample: ClusterMoments, reader: Reader, weights: Array, pairs: tuple[Index, Index]
) -> Array:
    """Σ a d and Σ a d dᵀ of each cluster, (R, J, V + pairs); `weights` are a (R, N)."""
    pieces, varying = reader.pieces, sample.varying
    owner = np.arange(len(pieces.sizes)) if pieces.clusters is None else pieces.clusters
    sums = np.zeros((len(weights), sample.n_clusters, varying + len(pairs[0])))
    for first, last, block in reader.blocks():
        codes, bounds = owner[first:last], pieces.starts[first : last + 1]
        away = block - sample.means[codes, :varying].T.repeat(pieces.sizes[first:last], axis=1)
        products = np.concatenate((away, away[pairs[0]] * away[pairs[1]])).T
        start = int(bounds[0])
        for code, low, high in zip(codes, bounds[:-1], bounds[1:], strict=True):
            sums[:, code] += weights[:, low:high] @ products[low - start : high - start]
    return sums
