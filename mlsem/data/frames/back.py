"""Results of rows as a frame of the library that the rows came in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def as_eager(found: Any, frame: Any) -> Any:
    """A pandas frame or series as one of the library of a frame in memory (of narwhals)."""
    import narwhals as nw

    table = _columns(found)
    kind = frame.implementation
    columns = {str(name): _plain(each) for name, each in table.items()}
    try:
        made: Any = nw.from_dict(columns, backend=kind)
    except (ValueError, TypeError, NotImplementedError):  # a library that takes pandas' frames
        return _of_pandas(table, frame.to_native())
    whole = made if isinstance(found, pd.DataFrame) else made[table.columns[0]]
    return whole.to_native()


def as_lazy(found: Any, frame: Any) -> Any:
    """A pandas frame or series as a query of the engine of another one (of narwhals)."""
    table, kind, native = _columns(found), frame.implementation, frame.to_native()
    if kind.is_polars():
        import polars as pl

        return pl.LazyFrame({name: _plain(each) for name, each in table.items()})
    if kind.is_duckdb():
        import duckdb

        return duckdb.from_df(table)
    if kind.is_ibis():
        import ibis

        return ibis.memtable(table)
    if kind.is_dask():
        import dask.dataframe as dd

        return dd.from_pandas(table, npartitions=native.npartitions)
    if kind.is_pyspark() or kind.is_pyspark_connect():
        return native.sparkSession.createDataFrame(table)
    return table


def _columns(found: Any) -> pd.DataFrame:
    """Of a pandas frame or series: columns alone, its index one of them where it is no numbering of
    rows."""
    if isinstance(found, pd.Series):
        found = found.to_frame(found.name if isinstance(found.name, str) else "value")
    if isinstance(found.index, pd.RangeIndex):
        return found
    name = found.index.name
    return found.reset_index(names=name if isinstance(name, str) else "id")


def _plain(series: pd.Series) -> Any:
    """An array, or values of Python where pandas' type is its own."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return series.to_numpy()
    return [None if missing else each for each, missing in zip(series, series.isna(), strict=True)]


def _of_pandas(table: pd.DataFrame, native: Any) -> Any:
    """By the library's own class, which takes a pandas frame."""
    return type(native)(table)
