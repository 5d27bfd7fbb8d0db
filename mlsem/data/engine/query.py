"""The query of a model's columns: by plain names, as double, missing where they are no number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlsem.data.frames.origin import of_origin
from mlsem.data.frames.thin import collected as rows_of_query
from mlsem.data.frames.thin import engine_errors
from mlsem.data.table.advice import absent
from mlsem.data.table.columns import numeric, require_column
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import narwhals as nw

SAMPLE = 1000
"""Values of a column that is no number by which a message says what it is."""

CLUSTER, ROBUST, GROUP = "cluster", "robust", "group"
"""What the ids are called in a query, whatever they are in the data."""
INNER, LEVEL2 = "inner", "level2"
"""What weights of rows and of clusters are called."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Columns of a query, renamed so that nothing that is computed takes a name of the user's.

    Attributes
    ----------
    frame : narwhals.LazyFrame
        The data columns "f0", "f1", …, and the ids that there are.
    names : tuple of str
        The F data columns, as the user calls them.
    ids : mapping of str to str
        `CLUSTER`, `ROBUST`, `GROUP` to the user's column.
    weights : mapping of str to str
        `INNER`, `LEVEL2` to the user's column.
    """

    frame: nw.LazyFrame[Any]
    names: tuple[str, ...]
    ids: Mapping[str, str]
    weights: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The data columns, as the query calls them."""
        return tuple(f"f{place}" for place in range(len(self.names)))

    def only(self, which: nw.Expr) -> Query:
        """Of some rows."""
        return replace(self, frame=self.frame.filter(which))


def query_of(
    frame: nw.LazyFrame[Any],
    wanted: Mapping[str, str],
    ids: Mapping[str, str],
    weights: Mapping[str, str],
) -> Query:
    """The query of some data columns, and columns of ids and weights.

    Parameters
    ----------
    frame : narwhals.LazyFrame
    wanted : mapping of str to str
        Names of columns, each with the words that open the message where it is absent.
    ids : mapping of str to str
        `CLUSTER`, `ROBUST`, `GROUP` to a column.
    weights : mapping of str to str
        `INNER`, `LEVEL2` to a column.

    Raises
    ------
    DataError
        A column is absent, or not numeric.
    """
    import narwhals as nw

    schema = schema_of(frame)
    keyword = {CLUSTER: "cluster", ROBUST: "se_cluster", GROUP: "group"}
    for kind, name in ids.items():
        require(schema.names(), name, f"{keyword[kind]}= names")
    numbers = {**dict.fromkeys(weights.values(), "weights= names"), **wanted}
    for name, needed_by in numbers.items():
        require(schema.names(), name, needed_by)
        if not (schema[name].is_numeric() or schema[name] == nw.Boolean):
            _refuse_type(frame, name)
    columns = [nw.col(name).alias(kind) for kind, name in ids.items()]
    floats: list[str] = []
    called = [(f"f{place}", name) for place, name in enumerate(wanted)]
    for own, name in (*called, *weights.items()):
        columns.append(nw.col(name).cast(nw.Float64).alias(own))
        if schema[name].is_float() or not schema[name].is_numeric():
            floats.append(own)
    found = frame.select(*columns)
    if floats:
        found = found.with_columns(
            *(nw.when(~nw.col(f).is_nan()).then(nw.col(f)).alias(f) for f in floats)
        )
    return Query(found, tuple(wanted), dict(ids), dict(weights))


def collected(frame: nw.LazyFrame[Any]) -> Any:
    """The rows of a query that are few, as a pandas frame."""
    names = frame.collect_schema().names()
    # a group of polars' is summed as its rows are read, and no row is kept
    how = {"engine": "streaming"} if frame.implementation.is_polars() else {}
    return rows_of_query(frame, names, **how)


def aggregated(frame: nw.LazyFrame[Any], by: Sequence[str], what: Iterable[Any]) -> Any:
    """What is computed of the rows, as a pandas frame: a row for each value of some columns, which
    it has, too; without them one row."""
    return collected(frame.group_by(*by).agg(*what) if by else frame.select(*what))


def schema_of(frame: nw.LazyFrame[Any]) -> nw.Schema:
    """Names and types of a query's columns."""
    with engine_errors(frame.implementation.value):
        return frame.collect_schema()


def require(there: Sequence[str], name: str, needed_by: str) -> None:
    if name not in there:
        raise DataError(absent(there, name, needed_by))


def _refuse_type(frame: nw.LazyFrame[Any], name: str) -> None:
    """Refuse a column of a type that is no number; one of objects that are numbers is none."""
    import narwhals as nw

    rows = frame.select(nw.col(name)).drop_nulls().head(SAMPLE)
    sample = of_origin(collected(rows), (name,), frame.to_native(), in_order=False)
    numeric(sample, require_column(sample, name, "the data"), name)


def present(columns: Iterable[str]) -> Any:
    """Whether all of these are there, as an expression."""
    import narwhals as nw

    return nw.all_horizontal(*(~nw.col(each).is_null() for each in columns), ignore_nulls=False)
