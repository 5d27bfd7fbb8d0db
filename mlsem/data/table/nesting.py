"""Robust clusters coarser than the model's clusters, which must lie in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlsem.core.records import RobustClusters, frozen
from mlsem.data.table.columns import require_column, require_one_column, rows_named
from mlsem.data.table.grouping import blank, factorised
from mlsem.errors import DataError

if TYPE_CHECKING:
    from mlsem.core.records import Index
    from mlsem.data.table.grouping import Grouping


def read_robust(
    data: pd.DataFrame, se_cluster: object, cluster: str | None, grouping: Grouping
) -> RobustClusters:
    """The robust cluster of each cluster of the model; itself without `se_cluster`.

    Raises
    ------
    DataError
        The column is absent, has missing ids in rows that are used, or differs within a cluster
        of the model; or all rows have the same id.
    """
    robust = robust_of(data, se_cluster, cluster, grouping)
    check_several(robust)
    return robust


def check_several(robust: RobustClusters) -> None:
    """Refuse robust clusters of a column that are but one."""
    if robust.name is not None and robust.n_clusters < 2:
        raise DataError(
            f"all rows are in one cluster of {robust.name!r}; robust standard errors need at least "
            "two. Is this the right column?"
        )


def robust_of(
    data: pd.DataFrame, se_cluster: object, cluster: str | None, grouping: Grouping
) -> RobustClusters:
    """`read_robust` of rows that may all be in one robust cluster, as those of one group."""
    named = cluster
    if se_cluster is not None:
        named = require_one_column("se_cluster", se_cluster, data)
    if named is None or named == cluster:
        return RobustClusters(cluster, frozen(np.arange(len(grouping.labels))), grouping.labels)
    series = require_column(data, named, "se_cluster= names")
    codes, labels = factorised(series, f"se_cluster column {named!r}")
    codes = np.where(np.append(blank(labels), False)[codes], -1, codes)
    rows = np.arange(len(data)) if grouping.order is None else grouping.order
    used = codes[rows]
    if (used < 0).any():
        where = np.zeros(len(data), dtype=bool)
        where[rows[used < 0]] = True
        raise DataError(
            f"se_cluster column {named!r} has missing or blank ids in {rows_named(data, where)}. "
            f"Give these rows their cluster or drop them, e.g. data.dropna(subset=[{named!r}])."
        )
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    first = used[starts]
    _check_nested(used, first, starts, (named, cluster), grouping, labels)
    positions, robust_codes = pd.factorize(first)  # in the order of the model's clusters
    return RobustClusters(named, frozen(positions), labels[robust_codes])


def _check_nested(
    used: Index,
    first: Index,
    starts: Index,
    names: tuple[str, str | None],
    grouping: Grouping,
    labels: np.ndarray,
) -> None:
    """Every cluster of the model lies in one robust cluster."""
    differs = np.maximum.reduceat(used != np.repeat(first, grouping.sizes), starts)
    if not differs.any():
        return
    coarse, fine = names
    place = int(np.flatnonzero(differs)[0])
    stop = starts[place] + grouping.sizes[place]
    inside = list(dict.fromkeys(labels[used[starts[place] : stop]].tolist()))[:2]
    raise DataError(
        f"{int(differs.sum())} cluster(s) of {fine!r} have rows in more than one cluster of "
        f"se_cluster={coarse!r}: {fine} {grouping.labels.tolist()[place]!r} is in {coarse} "
        f"{inside[0]!r} and {inside[1]!r}. Robust clusters must contain whole clusters of the "
        f"model; if {fine!r} counts anew in each {coarse!r}, make ids that are unique."
    )
