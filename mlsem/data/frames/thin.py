"""Thin pandas frames: the columns that are used, each as pandas' own type for it, a view of the
memory where its layout allows that.

Floats and whole numbers without nulls are numpy views. Whole numbers with nulls are double, as
pandas has them; where a double cannot hold all their digits, and truth values with nulls, pandas'
masked types. Decimals are whole numbers where they have no digits after the point, else double.
Text, categories, dates and the rest are what the library's own `to_pandas` makes of the column.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlsem.base.display import cell
from mlsem.errors import DataError, MlsemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import narwhals as nw

EXACT = 1 << 53
"""Up to here a double holds every whole number."""
SAID = 300
"""Columns of what an engine says that a message shows."""
CTRL_C = "Query interrupted"
"""What DuckDB makes of it."""


def thin(frame: nw.DataFrame[Any], names: Iterable[str]) -> pd.DataFrame:
    """These columns of a frame in memory; each is one array, so that pandas does not copy them
    into a block."""
    columns = {name: _column(frame[name]) for name in names}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)), copy=False)


def collected(frame: nw.LazyFrame[Any], names: Iterable[str], **how: Any) -> pd.DataFrame:
    """The rows of a query, in these columns alone; `how` is said to the engine."""
    wanted = list(names)
    chosen = wanted or frame.collect_schema().names()[:1]
    with engine_errors(frame.implementation.value):
        found = frame.select(*chosen).collect(_backend(frame), **how)
    if not found.implementation.is_pandas():
        return thin(found, wanted)
    return found.to_native()[wanted].reset_index(drop=True)  # a partition's starts anew


def _backend(frame: nw.LazyFrame[Any]) -> Any:
    """What a query's rows come as; None leaves that to narwhals."""
    kind = frame.implementation
    arrow = not (kind.is_polars() or kind.is_dask())
    return "pandas" if arrow and not find_spec("pyarrow") else None


@contextmanager
def engine_errors(engine: str) -> Iterator[None]:
    """What an engine raises is an error of the data that has the first line of what it says."""
    try:
        yield
    except (MlsemError, MemoryError):
        raise
    except Exception as error:  # of whichever class the engine has for it
        said = next(iter(str(error).strip().splitlines()), "")
        if isinstance(error, RuntimeError) and said == CTRL_C:
            raise KeyboardInterrupt from error
        raise DataError(
            f"the data cannot be read by {engine}: {cell(said or type(error).__name__, SAID)}"
        ) from error


def _column(series: nw.Series[Any]) -> Any:
    """A column as pandas has it."""
    import narwhals as nw

    kind = series.dtype
    if kind.is_decimal():
        series = _plain_decimal(series)
        kind = series.dtype
    if isinstance(kind, (nw.Int128, nw.UInt128)):  # which Arrow does not have
        return pd.Series(series.to_list(), dtype=object).array
    if kind.is_float():
        return _numbers(series)
    if kind.is_integer() or kind == nw.Boolean:
        if series.null_count() == 0:
            return _numbers(series)
        return _masked(series) if kind == nw.Boolean or _long(series) else _double(series)
    return _by_library(series)


def _plain_decimal(series: nw.Series[Any]) -> nw.Series[Any]:
    """Whole numbers keep all their digits."""
    import narwhals as nw

    if getattr(series.dtype, "scale", None) == 0:
        try:
            return series.cast(nw.Int64)
        except Exception:  # too large: whatever the library raises
            return series.cast(nw.Float64)
    return series.cast(nw.Float64)


def _numbers(series: nw.Series[Any]) -> np.ndarray[Any, Any]:
    """Numbers as numpy has them, nulls of floats as NaN."""
    native = series.to_native()
    if series.implementation.is_pyarrow() and native.num_chunks == 1 and not native.null_count:
        return native.chunk(0).to_numpy(zero_copy_only=False)
    return series.to_numpy()


def _long(series: nw.Series[Any]) -> bool:
    """Whether some whole number has more digits than a double holds."""
    ends = series.min(), series.max()
    return any(each is not None and abs(each) > EXACT for each in ends)


def _double(series: nw.Series[Any]) -> np.ndarray[Any, Any]:
    """Whole numbers of which some are null, as doubles with NaN."""
    import narwhals as nw

    return series.cast(nw.Float64).to_numpy()


def _masked(series: nw.Series[Any]) -> Any:
    """Whole numbers or truth values of which some are null."""
    import narwhals as nw

    truths = series.dtype == nw.Boolean
    fill: Any = False if truths else 0
    missing = np.array(series.is_null().to_numpy())
    values = np.array(series.fill_null(fill).to_numpy())
    array = pd.arrays.BooleanArray if truths else pd.arrays.IntegerArray
    return array(values, missing)


def _by_library(series: nw.Series[Any]) -> Any:
    """As the library gives it to pandas."""
    import narwhals as nw

    if series.implementation.is_polars() and not find_spec("pyarrow"):
        if isinstance(series.dtype, (nw.Categorical, nw.Enum)):
            return _categories(series)
        return pd.Series(series.to_list(), dtype=object).array
    native = series.to_native()
    if series.implementation.is_pyarrow():
        return _signed(native).to_pandas().array
    return series.to_pandas().array


def _signed(column: Any) -> Any:
    """A column of pyarrow; categories with indices that older ones take to pandas, too."""
    import pyarrow as pa

    kind = column.type
    if not pa.types.is_dictionary(kind) or not pa.types.is_unsigned_integer(kind.index_type):
        return column
    parts = [
        pa.DictionaryArray.from_arrays(
            part.indices.cast(pa.int32()), part.dictionary, ordered=kind.ordered
        )
        for part in column.chunks
    ]
    return pa.chunked_array(parts, pa.dictionary(pa.int32(), kind.value_type, kind.ordered))


def _categories(series: nw.Series[Any]) -> pd.Categorical:
    """Categories of polars, by its own codes."""
    import narwhals as nw

    labels = series.cat.get_categories().to_list()
    codes = pd.Index(labels).get_indexer(pd.Index(series.cast(nw.String).to_list()))
    return pd.Categorical.from_codes(codes, labels, ordered=isinstance(series.dtype, nw.Enum))
