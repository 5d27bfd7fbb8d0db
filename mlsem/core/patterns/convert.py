"""Clusters of complete rows as cells, and cells as if nothing were missing."""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.records import Array, CellMoments, ClusterMoments, frozen
from mlsem.core.sample.moments import combine, is_no_within, no_within


def as_clusters(cells: CellMoments) -> ClusterMoments:
    """Moments of the clusters; a missing value counts as zero, the shift of its column. Columns
    that are observed in every row have their moments."""
    count, varying = cells.n_clusters, cells.varying
    if is_no_within(cells.within) and cells.n_cells == count:
        means, within = cells.means, no_within(count, varying)
    else:
        _, means, within = combine(
            cells.cell_sizes, cells.means, cells.within, cells.cluster_of, count
        )
    return ClusterMoments(
        columns=cells.columns,
        varying=varying,
        shift=cells.shift,
        rows=cells.rows,
        sizes=cells.sizes,
        weights=cells.weights,
        labels=cells.labels,
        means=frozen(np.concatenate((means, cells.level2), axis=1)),
        within=frozen(within),
        uneven=cells.uneven,
    )


def as_cells(moments: ClusterMoments) -> CellMoments:
    """Each cluster as the one cell that it is."""
    count, varying = moments.n_clusters, moments.varying
    everything = np.zeros(count, dtype=np.intp)
    return CellMoments(
        columns=moments.columns,
        varying=varying,
        shift=moments.shift,
        rows=moments.rows,
        sizes=moments.sizes,
        weights=moments.weights,
        labels=moments.labels,
        patterns=frozen(np.ones((1, varying), dtype=np.bool_)),
        pattern_of=frozen(everything),
        cluster_of=frozen(np.arange(count)),
        cell_rows=moments.rows,
        cell_sizes=moments.sizes,
        means=moments.means[:, :varying],
        within=moments.within,
        level2=moments.means[:, varying:],
        level2_patterns=frozen(np.ones((1, len(moments.columns) - varying), dtype=np.bool_)),
        level2_pattern_of=frozen(everything),
        uneven=moments.uneven,
    )


def all_there(
    maps: Shaped[Array, "m C"], observed: Shaped[NDArray[np.bool_], "P C"]
) -> Shaped[NDArray[np.bool_], "P m"]:
    """Whether all columns are observed that a variable is made of, (P, m) bool."""
    return ~(~observed @ (maps != 0.0).T)
