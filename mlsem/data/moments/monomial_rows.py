"""Monomials of the rows of a data frame in memory."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import frozen
from mlsem.core.sample.moments import combine
from mlsem.data.moments.across import each_group
from mlsem.data.moments.aggregate import CHUNK_ROWS
from mlsem.data.moments.bases import Column, RowBase, data_names, row_cluster_means
from mlsem.data.moments.checks import check_options
from mlsem.data.moments.chunks import Reader, moments_of_runs
from mlsem.data.moments.groups import check_column
from mlsem.data.moments.monomials import (
    Asked,
    Extremes,
    GroupedMonomials,
    MonomialMoments,
    asked_of,
    needs_cluster_origins,
)
from mlsem.data.table.cells import Cells, cells_of, pattern_codes
from mlsem.data.table.columns import (
    Rows,
    check_missing,
    read_rows,
    require_column,
    require_frame,
    require_one_column,
)
from mlsem.data.table.grouping import Grouping, cut, group, restricted
from mlsem.data.table.groups import appearing, group_rows
from mlsem.data.table.nesting import robust_of
from mlsem.data.table.sentinels import CODES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.model.table import ParameterTable


def monomials_of_rows(
    table: ParameterTable,
    data: object,
    *,
    cluster: str | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    auxiliary: tuple[str, ...] = (),
    chunk_rows: int | None = None,
) -> MonomialMoments:
    """Read a data frame into the moments of the monomials that a model of one group needs.

    Parameters
    ----------
    table : ParameterTable
    data : DataFrame
        Is not changed.
    cluster : str, optional
        The column of cluster ids. Without it all rows are one cluster.
    missing : {"listwise", "error", "fiml"}
        Rows with a missing value in a column of the model are left out and counted, or are an
        error, or are all kept, by pattern.
    se_cluster : str, optional
        The column of the clusters of robust standard errors, where they are coarser.
    auxiliary : tuple of str
        Columns beside the model, whose levels the moments are to tell.

    Raises
    ------
    DataError, OptionValueError
    """
    frame = require_frame(data)
    wanted = data_names(table)
    if cluster is not None:
        require_one_column("cluster", cluster, frame)
    check_options(table, wanted, cluster, missing)
    for name in auxiliary:
        wanted.setdefault(name, "auxiliary= names the variable")
    rows = read_rows(frame, wanted, missing, 'missing="fiml" uses what is observed in each row.')
    grouping = _grouping(frame, cluster, rows.keep)
    whole = _moments(asked_of(table, auxiliary), rows, grouping, chunk_rows or CHUNK_ROWS)
    if cluster is None:
        whole = replace(whole, clustered=False)
    if se_cluster is not None and se_cluster != cluster:
        robust = robust_of(frame, se_cluster, cluster, grouping)
        whole = replace(whole, robust=frozen(robust.labels[robust.codes]))
    return whole


def _grouping(frame: pd.DataFrame, cluster: str | None, keep: NDArray[np.bool_] | None) -> Grouping:
    """By cluster; without clusters all rows are one."""
    if cluster is not None:
        return group(frame, cluster, keep)
    whole = Grouping(None, np.array([len(frame)]), np.array([0]), True)
    return whole if keep is None else restricted(whole, keep)[0]


def grouped_monomials_of_rows(
    table: ParameterTable,
    data: object,
    *,
    column: str,
    cluster: str | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    auxiliary: tuple[str, ...] = (),
    chunk_rows: int | None = None,
) -> GroupedMonomials:
    """The same of a model of several groups; `column` is that of the groups."""
    frame = require_frame(data)
    wanted = data_names(table)
    keys = {"group": column, "cluster": cluster, "se_cluster": se_cluster}
    keys = {keyword: name for keyword, name in keys.items() if name is not None}
    for keyword, name in keys.items():
        require_one_column(keyword, name, frame)
    check_column(column, wanted, cluster)
    labels: tuple[Hashable, ...] = tuple(each.label for each in table.groups)
    split = group_rows(frame, column, list(labels))
    if split.missing is not None and missing == "error":
        check_missing(frame, ((column, split.n_missing),), ~split.missing, missing)
    needed = {**{name: f"{keyword}= names" for keyword, name in keys.items()}, **wanted}
    needed |= dict.fromkeys(auxiliary, "auxiliary= names the variable")
    for name, needed_by in needed.items():
        require_column(frame, name, needed_by)
    frames = split.frames(frame, list(needed))

    def own(k: int) -> MonomialMoments:
        return monomials_of_rows(
            table.groups[k].table,
            frames[k],
            cluster=cluster,
            missing=missing,
            se_cluster=se_cluster,
            auxiliary=auxiliary,
            chunk_rows=chunk_rows,
        )

    groups = tuple(each_group(labels, own))
    first = appearing(frame, column, labels)
    return GroupedMonomials(column, labels, groups, split.n_missing, split.others, first)


def _moments(asked: Asked, rows: Rows, grouping: Grouping, limit: int) -> MonomialMoments:
    """About the columns' means; where that loses digits, about those of each cluster."""
    count = [max(rows.count(name), 1) for name in asked.names]
    origin = np.array([rows.totals[n] / k for n, k in zip(asked.names, count, strict=True)])
    found = _about(asked, rows, grouping, origin, limit)
    if any(len(key) > 1 for key in asked.keys) and needs_cluster_origins(found):
        found = _about(asked, rows, grouping, _cluster_origins(asked, rows, grouping, limit), limit)
    return found


def _cluster_origins(asked: Asked, rows: Rows, grouping: Grouping, limit: int) -> Array:
    """The mean of each column in each cluster, (J, F); over all rows where a cluster has none."""
    origins = np.empty((len(grouping.sizes), len(asked.names)))
    for place, name in enumerate(asked.names):
        mean = rows.totals[name] / max(rows.count(name), 1)
        values = rows.values[name]
        if name in rows.gaps:
            gap = rows.gaps[name]
            column = Column.where_observed(name, values, mean, grouping, gap, limit)
        else:
            column = Column(name, values, mean, grouping, cut(grouping.sizes, limit))
        means = row_cluster_means(values, mean, column.grouping, column.pieces)
        origins[:, place] = np.nan_to_num(column.of_clusters(means), nan=mean)
    return origins


def _about(
    asked: Asked, rows: Rows, grouping: Grouping, origin: Array, limit: int
) -> MonomialMoments:
    masks = [rows.gaps[n] for n in asked.names if n in rows.gaps]
    order = grouping.order
    ordered = (mask if order is None else mask[order] for mask in masks)
    kinds, codes = pattern_codes(ordered, grouping.n_rows)
    if masks:
        cells = cells_of(grouping, codes, len(kinds))
    else:
        count = len(grouping.sizes)
        cells = Cells(grouping, np.arange(count), np.zeros(count, dtype=np.intp))
    observed = np.ones((len(cells.cluster_of), len(asked.names)), dtype=bool)
    places = [place for place, n in enumerate(asked.names) if n in rows.gaps]
    observed[:, places] = ~kinds[cells.pattern_of]
    means, within = _formed(asked, rows, cells, origin, limit)
    lowest, highest = _ends(asked, rows, cells.grouping, limit)
    left_seen, left_rows = _left_out(asked, rows)
    return MonomialMoments(
        names=asked.names,
        origin=frozen(origin),
        scale=frozen(np.ones(len(asked.names))),
        keys=asked.keys,
        labels=frozen(np.asarray(grouping.labels).copy()),
        cluster_of=frozen(np.asarray(cells.cluster_of, dtype=np.intp)),
        observed=frozen(observed),
        rows=frozen(cells.grouping.sizes.astype(np.int64)),
        means=frozen(means),
        within=frozen(within),
        lowest=frozen(lowest),
        highest=frozen(highest),
        left_seen=left_seen,
        left_rows=left_rows,
        extremes=_extremes(asked, rows),
    )


def _formed(
    asked: Asked, rows: Rows, cells: Cells, origin: Array, limit: int
) -> tuple[Array, Array]:
    """Means and cross-products of the monomials in each cell."""
    index = {name: place for place, name in enumerate(asked.names)}
    bases = {
        name: RowBase(
            None,
            float(origin[k]) if origin.ndim == 1 else origin[:, k],
            0.0,
            values=rows.values[name],
        )
        for name, k in index.items()
    }
    sizes = cells.grouping.sizes
    pieces = cut(sizes, limit)
    cell_of = pieces.clusters
    owner = cells.cluster_of if cell_of is None else cells.cluster_of[cell_of]
    near = np.zeros(len(asked.keys))
    reader = Reader(asked.keys, near, bases, cells.grouping, replace(pieces, clusters=owner))
    means = np.empty((len(owner), len(asked.keys)))
    gappy = [k for k, key in enumerate(asked.keys) if any(f in rows.gaps for f in key)]
    within = moments_of_runs(reader, means, gappy)
    if cell_of is not None:
        _, means, within = combine(pieces.sizes, means, within, cell_of, len(sizes))
    return means, within


def _ends(asked: Asked, rows: Rows, cells: Grouping, limit: int) -> tuple[Array, Array]:
    """The lowest and highest value in each cell of columns that may belong to level 2."""
    lowest = np.full((len(cells.sizes), len(asked.names)), np.nan)
    highest = lowest.copy()
    pieces = cut(cells.sizes, limit)
    for name in asked.level2:
        place, values = asked.names.index(name), rows.values[name]
        for first, last, start, stop in pieces.chunks():
            block = cells.rows(values, start, stop)
            at = pieces.starts[first:last] - start
            owner = (
                np.arange(first, last) if pieces.clusters is None else pieces.clusters[first:last]
            )
            np.fmin.at(lowest[:, place], owner, np.minimum.reduceat(block, at))
            np.fmax.at(highest[:, place], owner, np.maximum.reduceat(block, at))
    return lowest, highest


def _left_out(
    asked: Asked, rows: Rows
) -> tuple[NDArray[np.bool_] | None, NDArray[np.int64] | None]:
    """Patterns of rows that were left out, and how many rows have each."""
    if rows.keep is None:
        return None, None
    gone = ~rows.keep
    masks = [np.isnan(rows.values[name][gone]) for name in asked.names]
    kinds, codes = pattern_codes(masks, int(gone.sum()))
    return frozen(~kinds), frozen(np.bincount(codes, minlength=len(kinds)).astype(np.int64))


def _extremes(asked: Asked, rows: Rows) -> Extremes:
    ends = [_two_ends(_used(rows, name)) for name in asked.names]
    low, high, low_rows, high_rows = (np.array(each) for each in zip(*ends, strict=True))
    return Extremes(frozen(low), frozen(high), frozen(low_rows), frozen(high_rows))


def _used(rows: Rows, name: str) -> NDArray:
    values, keep = rows.values[name], rows.keep
    if name in rows.gaps:
        keep = ~rows.gaps[name] if keep is None else keep & ~rows.gaps[name]
    return values if keep is None else values[keep]


def _two_ends(values: NDArray) -> tuple[Sequence[float], Sequence[float], int, int]:
    """The lowest and highest values, the next ones and how many rows have them where they are
    codes."""
    if not len(values):
        return (np.nan, np.nan), (np.nan, np.nan), 0, 0
    low, high = float(values.min()), float(values.max())
    next_low = next_high = np.nan
    low_rows = high_rows = 0
    if low in CODES:
        rest = values[values != low]
        low_rows, next_low = len(values) - len(rest), float(rest.min()) if len(rest) else np.nan
    if high in CODES:
        rest = values[values != high]
        high_rows, next_high = len(values) - len(rest), float(rest.max()) if len(rest) else np.nan
    return (low, next_low), (high, next_high), low_rows, high_rows
