"""Rows that an engine has, to what a model needs of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from mlsem.core.records import frozen
from mlsem.data.engine.cells import Sums, sums_of
from mlsem.data.engine.query import CLUSTER, ROBUST, Query, collected, query_of
from mlsem.data.engine.survey import Survey, extremes, left_out, missing_ids, of_complete, survey
from mlsem.data.moments.aggregate import FIML, DataRecord
from mlsem.data.moments.bases import data_names
from mlsem.data.moments.checks import check_options
from mlsem.data.moments.monomial_record import record_of
from mlsem.data.moments.monomials import (
    Asked,
    MonomialMoments,
    asked_of,
    needs_cluster_origins,
)
from mlsem.data.table.columns import no_row_left
from mlsem.data.table.grouping import blank, factorised, stable_order
from mlsem.data.table.nesting import not_nested
from mlsem.errors import DataError

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from mlsem.core.records import Index
    from mlsem.model.table import ParameterTable


PASSES = 2
"""Over the rows, mostly."""

Advance: TypeAlias = Callable[[int], object]


def _unseen(count: int) -> None:
    """Nobody looks."""


def read_lazy(
    table: ParameterTable,
    frame: nw.LazyFrame[Any],
    *,
    cluster: str,
    center: Mapping[str, str] | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    advance: Advance = _unseen,
) -> DataRecord:
    """What a model needs of the rows of a query, as `read_moments` has it of a pandas frame.

    Clusters are in the order of their ids; no row comes to this process.

    Parameters
    ----------
    table : ParameterTable
    frame : narwhals.LazyFrame
    cluster, center, missing, se_cluster
        As for `read_moments`.
    advance : callable, optional
        Is called with 1 after each of the `PASSES` over the rows.

    Raises
    ------
    DataError, OptionValueError
    """
    check_options(table, data_names(table), cluster, missing)
    moments = monomials_of_lazy(
        table, frame, cluster=cluster, missing=missing, se_cluster=se_cluster, advance=advance
    )
    how: dict[str, Any] = {"cluster": cluster, "center": center, "missing": missing}
    return record_of(table, moments, se_cluster=se_cluster, **how)


def monomials_of_lazy(
    table: ParameterTable,
    frame: nw.LazyFrame[Any],
    *,
    cluster: str | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    auxiliary: tuple[str, ...] = (),
    advance: Advance = _unseen,
) -> MonomialMoments:
    """The moments of the monomials that a model of one group needs, of the rows of a query.

    Parameters
    ----------
    cluster : str, optional
        Without it all rows are one cluster.
    auxiliary : tuple of str
        Columns beside the model.
    """
    wanted = data_names(table)
    for name in auxiliary:
        wanted.setdefault(name, "auxiliary= names the variable")
    asked = asked_of(table, auxiliary)
    ids = {CLUSTER: cluster, ROBUST: None if se_cluster == cluster else se_cluster}
    query = query_of(frame, wanted, {kind: name for kind, name in ids.items() if name is not None})
    found = survey(query)
    advance(1)
    used, left = (query, found), None
    if not found.complete and missing != "fiml":
        left = left_out(query)
        used = of_complete(query)
        if used[1].rows == 0:
            counts = tuple(zip(query.names, (found.rows - found.counts).tolist(), strict=True))
            raise no_row_left(tuple(each for each in counts if each[1]), found.rows, FIML)
    moments = _summed(*used, asked, by_pattern=missing == "fiml" and not found.complete)
    advance(1)
    if ROBUST in query.ids:
        moments = replace(moments, robust=_robust(used[0], moments.labels))
    left_seen, left_rows = left or (None, None)
    return replace(
        moments,
        left_seen=left_seen,
        left_rows=left_rows,
        extremes=extremes(*used),
        clustered=cluster is not None,
    )


def _summed(query: Query, found: Survey, asked: Asked, *, by_pattern: bool) -> MonomialMoments:
    """About the columns' means; where that loses digits, about those of each cluster."""
    sums = sums_of(query, asked, found, by_pattern=by_pattern)
    moments = _monomials(sums, query, asked, found)
    if not needs_cluster_origins(moments):
        return moments
    sums = sums_of(query, asked, found, by_pattern=by_pattern, own_origins=True)
    return _monomials(sums, query, asked, found)


def _monomials(sums: Sums, query: Query, asked: Asked, found: Survey) -> MonomialMoments:
    """The cells in the order of the clusters' ids."""
    codes, labels = _sorted_ids(sums.ids, query)
    order = stable_order(codes.astype(np.uint32))
    origin = sums.origin
    if origin.ndim == 2:
        origin = origin[order][np.searchsorted(codes[order], np.arange(len(labels)))]
    within = sums.within if sums.within.strides == (0, 0, 0) else sums.within[order]
    return MonomialMoments(
        names=asked.names,
        origin=frozen(origin),
        scale=frozen(found.scale),
        keys=asked.keys,
        labels=frozen(labels),
        cluster_of=frozen(codes[order]),
        observed=frozen(sums.observed[order]),
        rows=frozen(sums.rows[order]),
        means=frozen(sums.means[order]),
        within=frozen(within),
        lowest=frozen(sums.lowest[order]),
        highest=frozen(sums.highest[order]),
    )


def _sorted_ids(ids: Any, query: Query) -> tuple[Index, NDArray[Any]]:
    """The cluster of each cell, and the ids in their order.

    Raises
    ------
    DataError
        Ids are blank.
    """
    if CLUSTER not in query.ids:
        return np.zeros(len(ids), dtype=np.intp), np.zeros(1, dtype=np.int64)
    codes, labels = factorised(ids[CLUSTER], f"cluster column {query.ids[CLUSTER]!r}")
    gone = (codes < 0) | np.append(blank(labels), False)[codes]
    if gone.any():
        raise missing_ids(CLUSTER, query.ids[CLUSTER], int(gone.sum()), blank=True)
    order = _order(labels)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return rank[codes], labels[order]


def _order(labels: NDArray[Any]) -> Index:
    try:
        return np.argsort(labels, kind="stable")
    except TypeError:  # of several kinds
        return np.argsort(labels.astype(str), kind="stable")


def _robust(query: Query, labels: NDArray[Any]) -> NDArray[Any]:
    """The id of the robust cluster of each cluster.

    Raises
    ------
    DataError
        A cluster lies in several of them.
    """
    import narwhals as nw

    cluster, name = query.ids[CLUSTER], query.ids[ROBUST]
    pairs = collected(query.frame.group_by(CLUSTER, ROBUST).agg(nw.len().alias("rows")))
    codes, uniques = factorised(pairs[CLUSTER], f"cluster column {cluster!r}")
    own, robust = factorised(pairs[ROBUST], f"se_cluster column {name!r}")
    empty = np.append(blank(robust), False)[own]
    if empty.any():
        raise missing_ids(ROBUST, name, int(pairs["rows"].to_numpy()[empty].sum()), blank=True)
    often = np.bincount(codes)
    if (often > 1).any():
        torn = int(np.argmax(often > 1))
        inside = robust[own[codes == torn]].tolist()[:2]
        count = int((often > 1).sum())
        raise DataError(not_nested(count, cluster, name, uniques.tolist()[torn], inside))
    place = pd.Index(uniques).get_indexer(pd.Index(labels))
    return frozen(robust[own[np.argsort(codes)[place]]])
