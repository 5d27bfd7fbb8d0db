"""Rows that an engine has, to what a model needs of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from mlsem.core.records import frozen
from mlsem.data.engine.cells import Sums, sums_of
from mlsem.data.engine.parts import Parts
from mlsem.data.engine.query import CLUSTER, GROUP, ROBUST, Query, aggregated, present, query_of
from mlsem.data.engine.survey import (
    Survey,
    check_finite,
    extremes,
    left_out,
    missing_ids,
    of_complete,
    pooled,
    survey,
)
from mlsem.data.engine.weights import columns_of_weights, weighed
from mlsem.data.moments.across import each_group
from mlsem.data.moments.aggregate import FIML
from mlsem.data.moments.bases import data_names
from mlsem.data.moments.checks import check_options
from mlsem.data.moments.groups import check_column
from mlsem.data.moments.monomials import (
    Asked,
    GroupedMonomials,
    MonomialMoments,
    asked_of,
    needs_cluster_origins,
    together,
)
from mlsem.data.table.columns import no_row_left
from mlsem.data.table.grouping import blank, factorised, stable_order
from mlsem.data.table.nesting import not_nested
from mlsem.data.table.weights import row_by_weight
from mlsem.errors import DataError

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from mlsem.core.records import Index
    from mlsem.data.table.sampling import Sampling
    from mlsem.model.table import ParameterTable


PASSES = 2
"""Over the rows, mostly."""

Advance: TypeAlias = Callable[[int], object]


def _unseen(count: int) -> None:
    """Nobody looks."""


class _Ids(NamedTuple):
    """Columns that are no variables."""

    cluster: str | None = None
    se_cluster: str | None = None
    group: str | None = None

    @property
    def kinds(self) -> dict[str, str]:
        """As a query calls them."""
        robust = None if self.se_cluster == self.cluster else self.se_cluster
        ids = {CLUSTER: self.cluster, ROBUST: robust, GROUP: self.group}
        return {kind: name for kind, name in ids.items() if name is not None}


def monomials_of_lazy(
    table: ParameterTable,
    frame: nw.LazyFrame[Any],
    *,
    cluster: str | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    auxiliary: tuple[str, ...] = (),
    sampling: Sampling | None = None,
    advance: Advance = _unseen,
) -> MonomialMoments:
    """The moments of the monomials that a model of one group needs, of the rows of a query.

    Clusters are in the order of their ids; no row comes to this process.

    Parameters
    ----------
    table : ParameterTable
    frame : narwhals.LazyFrame
    cluster : str, optional
        Without it all rows are one cluster.
    missing, se_cluster
        As for `read_moments`.
    auxiliary : tuple of str
        Columns beside the model.
    sampling : Sampling, optional
        Weights. Rows that weigh nothing are left out.
    advance : callable, optional
        Is called with 1 after each of the `PASSES` over the rows.

    Raises
    ------
    DataError, OptionValueError
    """
    ids = _Ids(cluster, se_cluster)
    how = ids, missing, auxiliary, sampling
    return _read(table, [table], frame, Parts(), *how, advance)[0][0]


def grouped_monomials_of_lazy(
    table: ParameterTable,
    frame: nw.LazyFrame[Any],
    *,
    column: str,
    cluster: str | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    auxiliary: tuple[str, ...] = (),
    advance: Advance = _unseen,
) -> GroupedMonomials:
    """The same of a model of several groups; `column` is that of the groups. Rows are grouped by it
    and the clusters at once."""
    check_column(column, data_names(table), cluster)
    parts = Parts(column, tuple(each.label for each in table.groups))
    ids = _Ids(cluster, se_cluster, column)
    tables = [each.table for each in table.groups]
    how = ids, missing, auxiliary, None
    groups, without, others = _read(table, tables, frame, parts, *how, advance)
    return GroupedMonomials(column, parts.labels, groups, without, others, parts.labels)


def _read(
    table: ParameterTable,
    tables: Sequence[ParameterTable],
    frame: nw.LazyFrame[Any],
    parts: Parts,
    ids: _Ids,
    missing: str,
    auxiliary: tuple[str, ...],
    sampling: Sampling | None,
    advance: Advance,
) -> tuple[tuple[MonomialMoments, ...], int, int]:
    """The moments of each part, of which `tables` are the models; rows without a group, and rows of
    others."""
    wanted = data_names(table)
    check_options(table, wanted, ids.cluster, missing)
    for name in auxiliary:
        wanted.setdefault(name, "auxiliary= names the variable")
    own = [(*data_names(each), *auxiliary) for each in tables]
    asked = together([asked_of(each, auxiliary) for each in tables])
    weights = columns_of_weights(sampling)
    query = query_of(frame, {name: wanted[name] for name in asked.names}, ids.kinds, weights)
    query, zero = weighed(query, sampling, two_level=table.two_level)
    surveys, without, others = survey(query, parts)
    if without:
        query = query.only(present([GROUP]))
    each_group(
        parts.labels, lambda k: check_finite(query, parts, k, surveys[k], dict.fromkeys(own[k]))
    )
    advance(1)
    used = _used(query, parts, surveys, own, missing)
    by_weight = sampling is not None and row_by_weight(sampling)
    moments = summed(used, parts, asked, by_weight=by_weight)
    advance(1)
    return tuple(replace(each, n_zero=zero) for each in moments), without, others


class Used(NamedTuple):
    """The rows that are summed, and their surveys; those that are left out, of each part."""

    query: Query
    surveys: Sequence[Survey]
    by_pattern: bool
    left: Sequence[tuple[NDArray[np.bool_], NDArray[np.int64]]] | None = None


def _used(
    query: Query,
    parts: Parts,
    surveys: Sequence[Survey],
    own: Sequence[Sequence[str]],
    missing: str,
) -> Used:
    """All rows, or those that are complete in the columns of all parts, which `own` has of each;
    where parts have different ones, which row is used is seen from its pattern.

    Raises
    ------
    DataError
        A part has no complete row.
    """
    if all(each.complete for each in surveys):
        return Used(query, surveys, by_pattern=False)
    if missing == "fiml" or len({frozenset(names) for names in own}) > 1:
        return Used(query, surveys, by_pattern=True)
    left = left_out(query, parts)
    part, complete = of_complete(query, parts)

    def check(k: int) -> None:
        if complete[k].rows == 0:
            gone = (surveys[k].rows - surveys[k].counts).tolist()
            counts = tuple(each for each in zip(query.names, gone, strict=True) if each[1])
            raise no_row_left(counts, surveys[k].rows, FIML)

    each_group(parts.labels, check)
    return Used(part, complete, by_pattern=False, left=left)


def summed(
    used: Used, parts: Parts, asked: Asked, *, by_weight: bool = False
) -> list[MonomialMoments]:
    """The moments of each part: about the columns' means, or where that loses digits, about those
    of each cluster; `by_weight` of rows that count differently."""
    found = pooled(used.surveys)

    def about(*, own_origins: bool) -> list[MonomialMoments]:
        sums = sums_of(
            used.query,
            asked,
            found,
            by_pattern=used.by_pattern,
            own_origins=own_origins,
            by_weight=by_weight,
        )
        places = parts.places(sums.ids)
        return each_group(
            parts.labels,
            lambda k: _monomials(sums.taken(places == k), used.query, asked, found),
        )

    moments = about(own_origins=False)
    if CLUSTER in used.query.ids and any(map(needs_cluster_origins, moments)):
        moments = about(own_origins=True)
    ends = extremes(used.query, parts, used.surveys)
    robust = _robust(used.query, parts, [each.labels for each in moments])
    left = used.left or [(None, None)] * len(moments)
    return [
        replace(
            each,
            left_seen=left[k][0],
            left_rows=left[k][1],
            extremes=ends[k],
            robust=robust[k],
            clustered=CLUSTER in used.query.ids,
        )
        for k, each in enumerate(moments)
    ]


def _monomials(sums: Sums, query: Query, asked: Asked, found: Survey) -> MonomialMoments:
    """The cells in the order of the clusters' ids."""
    codes, labels = _sorted_ids(sums.ids, query)
    order = stable_order(codes.astype(np.uint32))
    sums, codes = sums.taken(order), codes[order]
    origin = sums.origin
    if origin.ndim == 2:
        origin = origin[np.searchsorted(codes, np.arange(len(labels)))]
    return MonomialMoments(
        names=asked.names,
        origin=frozen(origin),
        scale=frozen(found.scale),
        keys=asked.keys,
        labels=frozen(labels),
        cluster_of=frozen(codes),
        observed=frozen(sums.observed),
        rows=frozen(sums.rows),
        means=frozen(sums.means),
        within=frozen(sums.within),
        lowest=frozen(sums.lowest),
        highest=frozen(sums.highest),
        weights=sums.seen,
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
        raise missing_ids(query, CLUSTER, int(gone.sum()), blank=True)
    order = _order(labels)
    rank = np.empty(len(order), dtype=np.intp)
    rank[order] = np.arange(len(order))
    return rank[codes], labels[order]


def _order(labels: NDArray[Any]) -> Index:
    try:
        return np.argsort(labels, kind="stable")
    except TypeError:  # of several kinds
        return np.argsort(labels.astype(str), kind="stable")


def _robust(
    query: Query, parts: Parts, labels: Sequence[NDArray[Any]]
) -> Sequence[NDArray[Any] | None]:
    """The id of the robust cluster of each cluster of each part.

    Raises
    ------
    DataError
        A cluster lies in several of them.
    """
    import narwhals as nw

    if ROBUST not in query.ids:
        return [None] * len(labels)
    pairs = aggregated(query.frame, (*parts.by, CLUSTER, ROBUST), [nw.len().alias("rows")])
    places = parts.places(pairs)
    return each_group(parts.labels, lambda k: _robust_of(pairs[places == k], query, labels[k]))


def _robust_of(pairs: Any, query: Query, labels: NDArray[Any]) -> NDArray[Any]:
    cluster, name = query.ids[CLUSTER], query.ids[ROBUST]
    codes, uniques = factorised(pairs[CLUSTER], f"cluster column {cluster!r}")
    own, robust = factorised(pairs[ROBUST], f"se_cluster column {name!r}")
    empty = np.append(blank(robust), False)[own]
    if empty.any():
        raise missing_ids(query, ROBUST, int(pairs["rows"].to_numpy()[empty].sum()), blank=True)
    often = np.bincount(codes)
    if (often > 1).any():
        torn = int(np.argmax(often > 1))
        inside = robust[own[codes == torn]].tolist()[:2]
        count = int((often > 1).sum())
        raise DataError(not_nested(count, cluster, name, uniques.tolist()[torn], inside))
    place = pd.Index(uniques).get_indexer(pd.Index(labels))
    return frozen(robust[own[np.argsort(codes)[place]]])
