"""The first pass: how many rows there are, and what is missing, infinite, the mean and the ends of
each column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import frozen
from mlsem.data.engine.query import CLUSTER, GROUP, ROBUST, Query, aggregated, present
from mlsem.data.moments.monomials import Extremes
from mlsem.data.table.columns import SHOWN, brief
from mlsem.data.table.hints import NOT_BLANK, PRESENT, hint
from mlsem.data.table.sentinels import CODES
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array, Index
    from mlsem.data.engine.parts import Parts

WORDS = 48
"""Columns whose pattern of missing values makes one whole number."""
KEYWORD = {CLUSTER: "cluster column", ROBUST: "se_cluster column"}


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What one pass tells of F columns.

    Attributes
    ----------
    rows : int
    counts : (F,) int
        In how many rows each is observed.
    mean, low, high : (F,)
        Over these rows; NaN where there are none.
    """

    rows: int
    counts: NDArray[np.int64]
    mean: Array
    low: Array
    high: Array

    @property
    def complete(self) -> bool:
        return bool((self.counts == self.rows).all())

    @property
    def scale(self) -> Array:
        """A power of two near the largest distance from the mean, which divides exactly."""
        far = np.fmax(self.high - self.mean, self.mean - self.low)
        far = np.where((far > 0.0) & np.isfinite(far), far, 1.0)
        return np.exp2(np.round(np.log2(far)))


def survey(query: Query, parts: Parts) -> tuple[tuple[Survey, ...], int, int]:
    """Look at all rows once.

    Returns
    -------
    surveys : tuple of Survey
        Of each part.
    without, others : int
        Rows without a group, and those of groups that are none of the parts.

    Raises
    ------
    DataError
        There are no rows; or ids are missing.
    """
    import narwhals as nw

    found, told, places = _looked(
        query, parts, *(nw.col(k).count().alias(f"{k}_there") for k in query.ids if k != GROUP)
    )
    rows = np.array([each.rows for each in found])
    if not rows.sum():
        raise DataError("the data have no rows.")
    mine = (places >= 0) & (places < len(parts.labels))
    for kind in query.ids:
        if kind != GROUP:
            there = told[f"{kind}_there"].to_numpy()[mine]
            if gone := int((told["rows"].to_numpy()[mine] - there).sum()):
                raise missing_ids(query, kind, gone)
    counts = told["rows"].to_numpy()
    without, others = counts[places < 0].sum(), counts[places == len(parts.labels)].sum()
    return found, int(without), int(others)


def check_finite(
    query: Query, parts: Parts, place: int, found: Survey, names: Iterable[str]
) -> None:
    """Refuse infinite values in some columns of a part.

    Raises
    ------
    DataError
        Says in which clusters they are.
    """
    for name in names:
        column = query.names.index(name)
        if np.isinf([found.low[column], found.high[column]]).any():
            raise _infinite(query, parts, place, column)


def pooled(surveys: Sequence[Survey]) -> Survey:
    """Of the rows of all parts."""
    counts = np.array([each.counts for each in surveys])
    mean, low, high = (
        np.array([getattr(each, what) for each in surveys]) for what in ("mean", "low", "high")
    )
    first = np.fmin.reduce(mean)  # of about the size of all
    with np.errstate(all="ignore"):
        away = np.where(counts > 0, mean - first, 0.0)
        together = first + (counts * away).sum(axis=0) / counts.sum(axis=0)
    rows = sum(each.rows for each in surveys)
    return Survey(rows, counts.sum(axis=0), together, np.fmin.reduce(low), np.fmax.reduce(high))


def _looked(query: Query, parts: Parts, *more: Any) -> tuple[tuple[Survey, ...], Any, Index]:
    """The survey of each part of the rows of a query, what is asked besides, and the part of each
    row of this table."""
    import narwhals as nw

    asked = (nw.len().alias("rows"), *more, *_ends(query.columns))
    told = aggregated(query.frame, parts.by, asked)
    places = parts.places(told)
    surveys = tuple(_read(told[places == k], query.columns) for k in range(len(parts.labels)))
    return surveys, told, places


def _ends(columns: Sequence[str]) -> list[Any]:
    import narwhals as nw

    return [
        each.alias(f"{column}_{what}")
        for column in columns
        for what, each in (
            ("count", nw.col(column).count()),
            ("sum", nw.col(column).sum()),
            ("low", nw.col(column).min()),
            ("high", nw.col(column).max()),
        )
    ]


def _read(told: Any, columns: Sequence[str]) -> Survey:
    """Of one part, whose values may stand in several rows of the table (1 and "1")."""
    rows = int(told["rows"].sum())
    counts = np.array([told[f"{column}_count"].sum() for column in columns], dtype=np.int64)
    total, low, high = (
        np.array([_together(told[f"{column}_{what}"], how) for column in columns])
        for what, how in (("sum", np.nansum), ("low", np.fmin.reduce), ("high", np.fmax.reduce))
    )
    with np.errstate(all="ignore"):
        mean = np.where(counts > 0, total / counts, np.nan)
        mean = np.where(np.isfinite(mean), mean, low / 2 + high / 2)  # a sum may be too large
    return Survey(rows, counts, mean, low, high)


def _together(values: Any, how: Callable[[Array], Any]) -> float:
    known = numbers_of(values)
    return float(how(known)) if len(known) else float("nan")


def numbers_of(series: pd.Series) -> Array:
    """As double; NaN where there is none."""
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def missing_ids(query: Query, kind: str, gone: int, blank: bool = False) -> DataError:
    """The error of ids of a query that are missing."""
    name, among = query.ids[kind], ", blank ones among them" if blank else ""
    code = hint(NOT_BLANK if blank else PRESENT, query.frame.to_native(), name)
    return DataError(
        f"{KEYWORD[kind]} {name!r} has {gone} missing id(s){among}. Give these rows their "
        f"cluster or drop them{code and f', e.g. {code}'}."
    )


def _infinite(query: Query, parts: Parts, place: int, column: int) -> DataError:
    """Says in which clusters a column is infinite in a part."""
    import narwhals as nw

    rows = query.frame.filter(nw.col(query.columns[column]).abs() == float("inf"))
    by = (*parts.by, *(kind for kind in (CLUSTER,) if kind in query.ids))
    table = aggregated(rows, by, [nw.len().alias("rows")])
    table = table[parts.places(table) == place]
    where = f" in {_clusters(table[CLUSTER].tolist())}" if CLUSTER in query.ids else ""
    return DataError(
        f"column {query.names[column]!r} has {int(table['rows'].sum())} infinite value(s){where}. "
        "Correct them (a logarithm or a division of zero?) or mark them as missing (NaN)."
    )


def _clusters(ids: Sequence[Any]) -> str:
    """`clusters 3, 17`, the first few."""
    first = sorted(ids, key=str)[:SHOWN]
    shown = ", ".join(repr(brief(each)) if isinstance(each, str) else brief(each) for each in first)
    more = ", …" if len(ids) > SHOWN else ""
    return f"cluster{'s' if len(ids) > 1 else ''} {shown}{more}"


# --- what is missing ------------------------------------------------------------------------------


def codes_of(columns: Sequence[str]) -> dict[str, Any]:
    """Whole numbers that say which of these are missing, as expressions by name."""
    import narwhals as nw

    found: dict[str, Any] = {}
    for word, start in enumerate(range(0, len(columns), WORDS)):
        part = columns[start : start + WORDS]
        bits = [nw.col(each).is_null().cast(nw.Int64) * (1 << k) for k, each in enumerate(part)]
        found[f"p{word}"] = nw.sum_horizontal(*bits)
    return found


def seen_of(codes: Any, count: int) -> NDArray[np.bool_]:
    """Of each row of a table with the columns "p0", "p1", … which columns are observed, (R, F)."""
    seen = np.empty((len(codes), count), dtype=bool)
    for place in range(count):
        word = codes[f"p{place // WORDS}"].to_numpy().astype(np.int64)
        seen[:, place] = (word >> (place % WORDS)) & 1 == 0
    return seen


def left_out(query: Query, parts: Parts) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """Patterns of the rows of each part with something missing, (P, F), and how many have each."""
    import narwhals as nw

    codes = codes_of(query.columns)
    gone = query.frame.filter(~present(query.columns)).with_columns(**codes)
    table = aggregated(gone, (*parts.by, *codes), [nw.len().alias("rows")])
    places, seen = parts.places(table), seen_of(table, len(query.columns))
    rows = table["rows"].to_numpy().astype(np.int64)
    mine = [places == place for place in range(len(parts.labels))]
    return [(frozen(seen[own]), frozen(rows[own])) for own in mine]


# --- codes that may stand for missing values ------------------------------------------------------


def extremes(query: Query, parts: Parts, surveys: Sequence[Survey]) -> list[Extremes]:
    """The ends of each column over the rows of each part of a query, of which these are the
    surveys; where they are codes, the next values and how often the codes are there."""
    import narwhals as nw

    ends = np.full((2, len(surveys), len(query.columns), 2), np.nan)
    ends[:, :, :, 0] = [[each.low for each in surveys], [each.high for each in surveys]]
    rows = np.zeros(ends.shape[:3], dtype=np.int64)
    coded = np.isin(ends[:, :, :, 0], list(CODES))
    asked = sorted({(s, c, ends[s, k, c, 0]) for s, k, c in np.argwhere(coded).tolist()})
    made, told = dict[str, Any](), list[Any]()
    for n, (side, place, code) in enumerate(asked):
        column = nw.col(query.columns[place])
        made[f"n{n}"] = (column == code).cast(nw.Int64)
        made[f"e{n}"] = nw.when(column != code).then(column)
        rest = nw.col(f"e{n}")
        told += [nw.col(f"n{n}").sum(), rest.max() if side else rest.min()]
    if asked:
        table = aggregated(query.frame.with_columns(**made), parts.by, told)
        places = parts.places(table)
        for n, (side, place, code) in enumerate(asked):
            for part in np.flatnonzero(ends[side, :, place, 0] == code):
                own = table[places == part]
                rows[side, part, place] = own[f"n{n}"].sum()
                outer = np.fmax if side else np.fmin
                ends[side, part, place, 1] = _together(own[f"e{n}"], outer.reduce)
    return [
        Extremes(*(frozen(each) for each in (*ends[:, k], *rows[:, k])))
        for k in range(len(surveys))
    ]


def of_complete(query: Query, parts: Parts) -> tuple[Query, tuple[Survey, ...]]:
    """The query of the rows without missing values, and the survey of each part."""
    part = replace(query, frame=query.frame.drop_nulls(subset=list(query.columns)))
    return part, _looked(part, parts)[0]
