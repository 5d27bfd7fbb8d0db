"""Cluster ids to runs of rows: which rows, in which order, make up which cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import localcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlsem.data.table.columns import brief, require_column, rows_named
from mlsem.data.table.hints import NOT_BLANK, PRESENT, hint
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mlsem.core.records import Array, Index

SCAN = 1 << 18
"""Rows compared at a time when boundaries of runs are sought."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """What rows and clusters count in the likelihood (`mlsem.data.table.weights`).

    Attributes
    ----------
    rows : (R,) or None
        a_ij, by position in the frame (of rows that are not used, anything); None: all 1.
    clusters : (J,)
        w_j.
    sizes : (J,)
        a_j = Σ_i a_ij.
    """

    rows: Array | None
    clusters: Array
    sizes: Array


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Rows in cluster order.

    Attributes
    ----------
    order : (N,) int or None
        Positions in the frame of the rows used, cluster after cluster; None where the rows
        stand in that order already.
    sizes : (J,) int
        Rows per cluster, in order of first appearance.
    labels : (J,)
        Cluster ids; positions of the rows where there are no clusters.
    clustered : bool
        Whether a cluster column was named. Otherwise each row is a cluster.
    weights : Weights or None
        None where rows and clusters count as one each.
    classes : (R,) int or None
        The class of each row, by position in the frame, where rows fall into some that have a
        residual variance each.
    """

    order: Index | None
    sizes: NDArray[np.int64]
    labels: NDArray
    clustered: bool
    weights: Weights | None = None
    classes: Index | None = None

    @property
    def n_rows(self) -> int:
        return int(self.sizes.sum()) if self.clustered else len(self.sizes)

    @property
    def codes(self) -> Index:
        """The cluster of each row of the frame, by position, if all rows are used."""
        owner = np.repeat(np.arange(len(self.sizes)), self.sizes)
        if self.order is None:
            return owner
        found = np.empty_like(owner)
        found[self.order] = owner
        return found

    @property
    def row_weights(self) -> Array | None:
        """a_ij by position in the frame, where rows of a cluster weigh differently."""
        return None if self.weights is None else self.weights.rows

    @property
    def singletons(self) -> bool:
        """Whether every cluster has one row."""
        return not self.clustered or int(self.sizes.max()) == 1

    def rows(self, values: NDArray, start: int, stop: int) -> Array:
        """Values of the rows `start` to `stop` in cluster order (a view where possible)."""
        part = values[start:stop] if self.order is None else values.take(self.order[start:stop])
        return part.astype(np.float64, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Clusters cut into pieces of bounded size, and the chunks in which these are read.

    Attributes
    ----------
    sizes : (P,) int
        Rows per piece.
    clusters : (P,) int or None
        The cluster of each piece; None where every cluster is one piece.
    starts : (P + 1,) int
        First row of each piece, and the end.
    edges : (C + 1,) int
        First piece of each chunk, and the end.
    """

    sizes: NDArray[np.int64]
    clusters: Index | None
    starts: NDArray[np.int64]
    edges: Index

    @property
    def longest_chunk(self) -> int:
        return int(np.diff(self.starts[self.edges]).max())

    def chunks(self) -> Iterator[tuple[int, int, int, int]]:
        """First and last piece, first and last row of each chunk (half-open)."""
        bounds = self.starts[self.edges].tolist()
        edges = self.edges.tolist()
        yield from zip(edges[:-1], edges[1:], bounds[:-1], bounds[1:], strict=True)


def counted(grouping: Grouping) -> tuple[Array, Array]:
    """a_j and w_j of the clusters, (J,): their rows, and 1, without weights."""
    if grouping.weights is None:
        return grouping.sizes.astype(np.float64), np.ones(len(grouping.sizes))
    return grouping.weights.sizes, grouping.weights.clusters


def cut(sizes: NDArray[np.int64], rows: int) -> Pieces:
    """Pieces of at most `rows` rows, read in chunks of about `rows` rows."""
    clusters = None
    if sizes.max() > rows:
        parts = -(-sizes // rows)
        clusters = np.repeat(np.arange(len(sizes)), parts)
        rank = np.arange(len(clusters)) - np.repeat(np.cumsum(parts) - parts, parts)
        share, extra = np.divmod(sizes, parts)
        sizes = share[clusters] + (rank < extra[clusters])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    if starts[-1] <= rows:
        return Pieces(sizes, clusters, starts, np.array([0, len(sizes)]))
    first = np.searchsorted(starts[:-1], np.arange(0, starts[-1], rows))
    edges = np.unique(np.append(first, len(sizes)))
    return Pieces(sizes, clusters, starts, edges)


def ungrouped(rows: int, keep: NDArray[np.bool_] | None) -> Grouping:
    """Every row its own cluster."""
    order = None if keep is None else np.flatnonzero(keep)
    labels = np.arange(rows) if order is None else order
    return Grouping(order, np.ones(len(labels), dtype=np.int64), labels, False)


def group(data: pd.DataFrame, cluster: str, keep: NDArray[np.bool_] | None) -> Grouping:
    """Group the rows by the cluster column.

    Numbers that already stand in runs are not sorted; everything else goes through one stable
    sort of integer codes.

    Raises
    ------
    DataError
        The column is absent or there twice, or has missing ids (of any row, used or not).
    """
    series = require_column(data, cluster, "cluster= names")
    dtype: Any = series.dtype
    labels: NDArray | None = None
    if isinstance(dtype, np.dtype) and dtype.kind in "iufb":
        ids = series.to_numpy()
        missing = np.isnan(ids) if dtype.kind == "f" else None
    else:
        ids, labels = factorised(series, f"cluster column {cluster!r}")
        missing = (ids < 0) | np.append(blank(labels), False)[ids]
    if missing is not None and missing.any():
        raise DataError(
            f"cluster column {cluster!r} has {int(missing.sum())} missing id(s)"
            f"{_blanks(labels)}; {rows_named(data, missing)}. Give these rows their cluster or "
            f"drop them{_dropping(data, labels, cluster)}."
        )
    del missing
    if labels is None:
        grouping = _group_numbers(ids)
    else:
        narrow = _narrow(ids, len(labels))
        del ids  # as long as the frame
        grouping = _group_codes(narrow, labels)
    return grouping if keep is None else restricted(grouping, keep)[0]


def blank(labels: NDArray) -> NDArray[np.bool_]:
    """Which ids are text without a character in it."""
    if labels.dtype.kind not in "OUT":
        return np.zeros(len(labels), dtype=bool)
    return np.array([isinstance(each, str) and not each.strip() for each in labels], dtype=bool)


def _blanks(labels: NDArray | None) -> str:
    return ", blank ones among them" if labels is not None and blank(labels).any() else ""


def _dropping(data: object, labels: NDArray | None, cluster: str) -> str:
    """Code that leaves the rows without an id out."""
    code = hint(NOT_BLANK if _blanks(labels) else PRESENT, data, cluster)
    return code and f", e.g. {code}"


def factorised(series: pd.Series, named: str) -> tuple[NDArray, NDArray]:
    """Codes of the ids, -1 where one is missing, and the id of each code.

    Raises
    ------
    DataError
        Values cannot be compared; `named` opens the message.
    """
    try:
        with localcontext():  # its flags are the caller's
            codes, uniques = pd.factorize(series)
            if series.dtype == object and _has_surrogates(uniques):
                codes, uniques = _counted_off(series)
    except Exception as error:  # whatever an object raises that is compared with others
        raise DataError(
            f"{named} holds values that cannot be ids (dtype {series.dtype}, e.g. "
            f"{brief(series.iloc[0])!r}): {brief(error)}. Use numbers or text."
        ) from error
    return codes, as_array(uniques)


def _has_surrogates(labels: Any) -> bool:
    """Whether some text is no Unicode (as bytes that a file reader could not decode): pandas
    before 3 takes all such texts for one."""
    try:
        "".join(each for each in labels if isinstance(each, str)).encode()
    except UnicodeEncodeError:
        return True
    return False


def _counted_off(series: pd.Series) -> tuple[NDArray, NDArray]:
    """As `pd.factorize`, by Python's own comparisons."""
    code: dict[Any, int] = {}
    missing = series.isna().to_numpy()
    pairs = zip(series, missing, strict=True)
    codes = [-1 if gone else code.setdefault(each, len(code)) for each, gone in pairs]
    uniques = np.empty(len(code), dtype=object)
    uniques[:] = list(code)
    return np.array(codes, dtype=np.intp), uniques


def as_array(uniques: Any) -> NDArray:
    """Ids as a plain array; tuples and mixed types stay objects."""
    if isinstance(uniques, (pd.CategoricalIndex, pd.Categorical)):
        uniques = uniques.astype(uniques.categories.dtype)
    return uniques.to_numpy() if hasattr(uniques, "to_numpy") else np.asarray(uniques)


def run_starts(ids: NDArray) -> Index:
    """Where a new value begins."""
    pieces = [np.zeros(1, dtype=np.intp)]
    for start in range(0, len(ids) - 1, SCAN):
        part = ids[start : start + SCAN + 1]
        pieces.append(np.flatnonzero(part[1:] != part[:-1]) + (start + 1))
    return np.concatenate(pieces)


def _narrow(codes: NDArray, count: int) -> NDArray:
    """Codes from 0 on of the shortest type that they are sorted by."""
    return codes.astype(np.uint16 if count <= 1 << 16 else np.uint32)


def _group_codes(codes: NDArray, labels: NDArray) -> Grouping:
    """Grouping by unsigned codes of the labels, in the order of their first appearance."""
    sizes = np.bincount(codes, minlength=len(labels))
    ordered = bool((codes[1:] >= codes[:-1]).all())
    return Grouping(None if ordered else stable_order(codes), sizes, labels, True)


def _scattered(ids: NDArray) -> bool:
    """Whether the first rows are neither in runs nor in order, so that looking for runs in all of
    them would only take memory."""
    first = ids[: SCAN + 1]
    if 2 * len(run_starts(first)) <= len(first):
        return False
    above = first[1:] >= first[:-1]
    return not (above.all() or (first[1:] <= first[:-1]).all())


def _group_numbers(ids: NDArray) -> Grouping:
    """Grouping of numeric ids, none of them missing."""
    if _scattered(ids):
        codes, labels = pd.factorize(ids)
        if len(labels) == len(ids):
            return Grouping(None, np.ones(len(ids), dtype=np.int64), ids, True)
        narrow = _narrow(codes, len(labels))
        del codes
        return _group_codes(narrow, np.asarray(labels))
    starts = run_starts(ids)
    runs = ids[starts]
    later = runs[1:] > runs[:-1]
    monotone = later.all() or not later.any()
    codes, labels = (None, runs) if monotone else pd.factorize(runs)
    if codes is None or len(labels) == len(runs):
        return Grouping(None, np.diff(starts, append=len(ids)), runs, True)
    narrow = _narrow(codes, len(labels))
    rows = narrow.repeat(np.diff(starts, append=len(ids)))
    del starts, runs, later, codes, narrow  # each may be as long as the frame
    return Grouping(stable_order(rows), np.bincount(rows), np.asarray(labels), True)


def stable_order(codes: NDArray) -> Index:
    """Stable argsort of unsigned codes; numpy sorts 16 bits in linear time, so two halves."""
    if codes.dtype == np.uint16:
        return np.argsort(codes, kind="stable")
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    return order[np.argsort((codes[order] >> 16).astype(np.uint16), kind="stable")]


def restricted(grouping: Grouping, keep: NDArray[np.bool_]) -> tuple[Grouping, NDArray[np.bool_]]:
    """The grouping of the rows kept, and which clusters have one of them: others are gone."""
    used = keep if grouping.order is None else keep[grouping.order]
    order = np.flatnonzero(used) if grouping.order is None else grouping.order[used]
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    sizes = np.add.reduceat(used, starts, dtype=np.int64)
    left = sizes > 0
    part = replace(grouping, order=order, sizes=sizes[left], labels=grouping.labels[left])
    if grouping.weights is not None:
        part = replace(part, weights=_restricted(grouping.weights, part, left))
    return part, left


def _restricted(weights: Weights, part: Grouping, left: NDArray[np.bool_]) -> Weights:
    sizes = part.sizes.astype(np.float64)
    if weights.rows is not None:
        starts = np.cumsum(part.sizes) - part.sizes
        sizes = np.add.reduceat(part.rows(weights.rows, 0, part.n_rows), starts)
    return Weights(weights.rows, weights.clusters[left], sizes)
