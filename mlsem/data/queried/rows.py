"""The rows of a query with the variables of a formula, and which of them are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlsem.data.design.r_functions import CONSTANTS
from mlsem.data.design.variables import lost_rows
from mlsem.data.engine.parts import Parts
from mlsem.data.engine.query import CLUSTER, ROBUST, Query, aggregated, require, schema_of
from mlsem.data.engine.survey import check_finite, of_complete, survey
from mlsem.data.queried.arithmetic import known
from mlsem.data.queried.translate import Columns, Made, Untranslated
from mlsem.data.table.columns import counted, left_out, no_row_left
from mlsem.errors import DataError
from mlsem.syntax.r_language import deparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import narwhals as nw

    from mlsem.data.design.variables import Formula


def columns_of(
    frame: nw.LazyFrame[Any], cluster: str, se_cluster: str | None, names: Iterable[str]
) -> Columns:
    """The columns that are spoken of, with the ids."""
    import narwhals as nw

    schema = schema_of(frame)
    require(schema.names(), cluster, "the formula needs the column of clusters")
    selected = [nw.col(cluster).alias(CLUSTER)]
    if se_cluster is not None and se_cluster != cluster:
        require(schema.names(), se_cluster, "se_cluster= names")
        selected.append(nw.col(se_cluster).alias(ROBUST))
    place: dict[str, str] = {}
    texts, logicals = set[str](), set[str]()
    for name in names:
        if name not in schema.names():
            if name in CONSTANTS:
                continue
            if name.startswith("np."):
                raise Untranslated
            require(schema.names(), name, "the formula needs the variable")
        column, kind = nw.col(name), schema[name]
        if kind.is_numeric() or kind == nw.Boolean:
            column = column.cast(nw.Float64)
            column = known(column) if kind.is_float() else column
            logicals |= {name} if kind == nw.Boolean else set()
        elif isinstance(kind, (nw.String, nw.Categorical, nw.Enum)):
            if isinstance(kind, nw.Categorical) and frame.implementation.is_polars():
                column = column.cast(nw.String)  # whose categories have no order of their own
            texts.add(name)
        else:
            raise Untranslated
        place[name] = f"r{len(place)}"
        selected.append(column.alias(place[name]))
    return Columns(frame.select(*selected), place, frozenset(texts), frozenset(logicals))


def variables_of(
    columns: Columns, made: Mapping[str, Made], cluster: str, se_cluster: str | None
) -> Query:
    """The variables of the formula beside the columns that they are made of."""
    import narwhals as nw

    wanted: dict[str, Any] = {}
    cleaned: dict[str, Any] = {}
    for k, each in enumerate(made.values()):
        wanted[f"f{k}"] = each.expression.cast(nw.Float64)
        there = ~nw.col(f"f{k}").is_nan()
        if each.where is not None:
            wanted[f"w{k}"] = each.where
            there = nw.col(f"w{k}") > 0.0
        cleaned[f"f{k}"] = nw.when(there).then(nw.col(f"f{k}"))
    ids = {CLUSTER: cluster}
    if se_cluster is not None and se_cluster != cluster:
        ids[ROBUST] = se_cluster
    # two steps, since Dask tells columns from what is computed of them
    frame = columns.frame.with_columns(**wanted).with_columns(**cleaned)
    return Query(frame, tuple(made), ids)


# --- rows that have all variables -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows that are used, of `total`; what is said of the others."""

    query: Query
    total: int
    used: int
    notes: tuple[str, ...] = ()
    lost: str = ""


def complete(
    formula: Formula,
    query: Query,
    place: Mapping[str, str],
    made: Mapping[str, Made],
    missing: str,
) -> Rows:
    """The rows that have a value in every variable.

    Raises
    ------
    DataError
        There is none, or `missing` is "error"; values are infinite.
    """
    (found,), _, _ = survey(query, Parts())
    total, numbers = found.rows, [n for n, each in made.items() if each.factor is None]
    if found.complete:
        check_finite(query, Parts(), 0, found, numbers)
        return Rows(query, total, total)
    counts, outcomes = _gaps(query, place, made, deparse(formula.outcome))
    if missing == "error":
        raise DataError(
            f"missing values in {counted(counts)}. Complete or drop these rows, or pass "
            'missing="listwise" to leave them out.'
        )
    part, (there,) = of_complete(query, Parts())
    if there.rows == 0:
        raise no_row_left(counts, total, "")
    check_finite(part, Parts(), 0, there, numbers)
    note = left_out(counts, total - there.rows, total)
    lost = lost_rows(note, outcomes - there.rows)
    return Rows(part, total, there.rows, (note,), lost)


def _gaps(
    query: Query, place: Mapping[str, str], made: Mapping[str, Made], outcome: str
) -> tuple[tuple[tuple[str, int], ...], int]:
    """In how many rows each column is missing and makes a variable so; variables that are missing
    in rows that have all their columns; and how many rows have an outcome.

    Raises
    ------
    DataError
        A variable is not a number where its columns are.
    """
    import narwhals as nw

    flags: dict[str, Any] = {}
    named: dict[str, str] = {}
    for k, (name, each) in enumerate(made.items()):
        gone = nw.col(f"f{k}").is_null()
        own = [place[column] for column in each.variable.columns]
        alone = nw.all_horizontal(gone, *(~nw.col(c).is_null() for c in own), ignore_nulls=False)
        flags[f"a{k}"], named[f"a{k}"] = alone.cast(nw.Int64), name
    for column, raw in place.items():
        of = [f"f{k}" for k, each in enumerate(made.values()) if column in each.variable.columns]
        some = nw.any_horizontal(*(nw.col(f).is_null() for f in of), ignore_nulls=False)
        both = nw.all_horizontal(nw.col(raw).is_null(), some, ignore_nulls=False)
        flags[f"c{raw}"], named[f"c{raw}"] = both.cast(nw.Int64), column
    there = f"f{query.names.index(outcome)}"
    flags["known"] = (~nw.col(there).is_null()).cast(nw.Int64)
    told = aggregated(
        query.frame.with_columns(**flags), (), [nw.col(each).sum() for each in flags]
    ).iloc[0]
    counts: dict[str, int] = {}
    for flag, name in named.items():
        count = int(told[flag])
        alone = flag.startswith("a") and made[name].factor is None
        if count and alone and not made[name].variable.may_miss:
            raise DataError(
                f"{name!r} is not a number in {count} row{'s' if count > 1 else ''}: correct "
                "the data it is computed from, or mark them as missing (NaN)."
            )
        if count:
            counts[name] = counts.get(name, 0) + count
    return tuple(sorted(counts.items())), int(told["known"])
