"""The first pass: how many rows there are, and what is missing, infinite, the mean and the ends of
each column."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import frozen
from mlsem.data.engine.query import CLUSTER, ROBUST, Query, collected, present
from mlsem.data.moments.monomials import Extremes
from mlsem.data.table.columns import SHOWN, brief
from mlsem.data.table.sentinels import CODES
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlsem.core.records import Array

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


def survey(query: Query) -> Survey:
    """Look at all rows once.

    Raises
    ------
    DataError
        There are no rows; a column has infinite values; or ids are missing.
    """
    import narwhals as nw

    found, told = _looked(query, *(nw.col(k).count().alias(f"{k}_there") for k in query.ids))
    if found.rows == 0:
        raise DataError("the data have no rows.")
    for kind, name in query.ids.items():
        gone = found.rows - int(told[f"{kind}_there"])
        if gone:
            raise missing_ids(kind, name, gone)
    for place, name in enumerate(query.names):
        if np.isinf([found.low[place], found.high[place]]).any():
            raise _infinite(query, place, name)
    return found


def _looked(query: Query, *more: Any) -> tuple[Survey, Any]:
    """The survey of all rows of a query, and what is asked besides."""
    import narwhals as nw

    asked = (nw.len().alias("rows"), *more, *_ends(query.columns))
    told = collected(query.frame.select(*asked)).iloc[0]
    return _read(told, query.columns, int(told["rows"])), told


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


def _read(told: Any, columns: Sequence[str], rows: int) -> Survey:
    counts = np.array([told[f"{column}_count"] for column in columns], dtype=np.int64)
    total, low, high = (
        np.array([_number(told[f"{column}_{what}"]) for column in columns])
        for what in ("sum", "low", "high")
    )
    with np.errstate(all="ignore"):
        mean = np.where(counts > 0, total / counts, np.nan)
        mean = np.where(np.isfinite(mean), mean, low / 2 + high / 2)  # a sum may be too large
    return Survey(rows, counts, mean, low, high)


def _number(value: Any) -> float:
    try:
        return float(value)
    except TypeError:  # None, or pandas' NA
        return float("nan")


def missing_ids(kind: str, name: str, gone: int, blank: bool = False) -> DataError:
    """The error of ids that are missing."""
    among = ", blank ones among them" if blank else ""
    return DataError(
        f"{KEYWORD[kind]} {name!r} has {gone} missing id(s){among}. Give these rows their "
        "cluster or leave them out before, as by a filter of the engine."
    )


def _infinite(query: Query, place: int, name: str) -> DataError:
    """Says in which clusters a column is infinite."""
    import narwhals as nw

    column = query.columns[place]
    rows = query.frame.filter(nw.col(column).abs() == float("inf"))
    if CLUSTER not in query.ids:
        count = int(collected(rows.select(nw.len().alias("rows")))["rows"].iloc[0])
        where = ""
    else:
        table = collected(rows.group_by(CLUSTER).agg(nw.len().alias("rows")))
        count, ids = int(table["rows"].sum()), sorted(table[CLUSTER].tolist(), key=str)
        more = ", …" if len(ids) > SHOWN else ""
        shown = ", ".join(
            repr(brief(each)) if isinstance(each, str) else brief(each) for each in ids[:SHOWN]
        )
        where = f" in cluster{'s' if len(ids) > 1 else ''} {shown}{more}"
    return DataError(
        f"column {name!r} has {count} infinite value(s){where}. Correct them (a logarithm or a "
        "division of zero?) or mark them as missing (NaN)."
    )


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


def left_out(query: Query) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Patterns of the rows with something missing, (P, F), and how many have each."""
    import narwhals as nw

    codes = codes_of(query.columns)
    gone = query.frame.filter(~present(query.columns)).with_columns(**codes)
    table = collected(gone.group_by(*codes).agg(nw.len().alias("rows")))
    return (
        frozen(seen_of(table, len(query.columns))),
        frozen(table["rows"].to_numpy().astype(np.int64)),
    )


# --- codes that may stand for missing values ------------------------------------------------------


def extremes(query: Query, found: Survey) -> Extremes:
    """The ends of each column over the rows of a query, of which `found` is the survey; where they
    are codes, the next values and how often the codes are there."""
    import narwhals as nw

    low, high = (
        np.stack((each, np.full(len(each), np.nan)), axis=1) for each in (found.low, found.high)
    )
    rows = np.zeros((2, len(query.columns)), dtype=np.int64)
    asked: list[Any] = []
    where: list[tuple[int, int]] = []
    for side, ends in enumerate((low, high)):
        for place, code in enumerate(ends[:, 0].tolist()):
            if code not in CODES:
                continue
            column = nw.col(query.columns[place])
            rest = nw.when(column != code).then(column)
            asked.append((column == code).cast(nw.Int64).sum().alias(f"n{side}_{place}"))
            asked.append((rest.max() if side else rest.min()).alias(f"e{side}_{place}"))
            where.append((side, place))
    if asked:
        told = collected(query.frame.select(*asked)).iloc[0]
        for side, place in where:
            rows[side, place] = int(told[f"n{side}_{place}"])
            (high if side else low)[place, 1] = _number(told[f"e{side}_{place}"])
    return Extremes(frozen(low), frozen(high), frozen(rows[0]), frozen(rows[1]))


def of_complete(query: Query) -> tuple[Query, Survey]:
    """The query of the rows without missing values, and its survey."""
    part = replace(query, frame=query.frame.drop_nulls(subset=list(query.columns)))
    return part, _looked(part)[0]
