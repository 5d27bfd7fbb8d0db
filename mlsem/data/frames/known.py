"""Which library a frame is of."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from mlsem.data.frames.records import Eager, Lazy
from mlsem.errors import DataError, InterfaceError


def known(data: object) -> Any:
    """The rows of an object that is no pandas frame, as `mlsem.data.frames.source.source` has
    them."""
    from mlsem.data.frames.paths import from_paths, is_paths

    if isinstance(data, (Eager, Lazy)):
        return data
    if is_paths(data):
        return from_paths(data)
    if isinstance(data, (str, bytes, list, tuple, dict)):
        return None
    found = _wrapped(data)
    if found is None and type(data).__module__ == "pyarrow._dataset":
        found = _wrapped(_scanned(data))
    if found is None and callable(getattr(data, "__arrow_c_stream__", None)):
        found = _streamed(data)
    if found is None and callable(getattr(data, "__dataframe__", None)) and find_spec("pyarrow"):
        from pyarrow.interchange import from_dataframe

        found = _wrapped(from_dataframe(data))
    return found


def _wrapped(data: Any) -> Any:
    """What narwhals knows of it; a pandas frame as it is."""
    import narwhals as nw
    from narwhals.exceptions import DuplicateError

    try:
        frame: Any = nw.from_native(data)
    except TypeError:
        return None
    except DuplicateError as error:
        raise DataError(_repeated(data)) from error
    if isinstance(frame, nw.LazyFrame):
        return Lazy(frame)
    if not isinstance(frame, nw.DataFrame):
        return None
    return frame.to_native() if frame.implementation.is_pandas() else Eager(frame)


def _repeated(data: Any) -> str:
    names = list(getattr(data, "column_names", ()))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is None:
        return "the data have columns with the same name; keep or rename one of them."
    return (
        f"the data have {names.count(twice)} columns named {twice!r}; keep or rename one of them, "
        "e.g. data = data.rename_columns([…])."
    )


def _scanned(dataset: Any) -> Any:
    """A pyarrow dataset as a query of whichever engine is installed."""
    if find_spec("polars"):
        import polars

        return polars.scan_pyarrow_dataset(dataset)
    if find_spec("duckdb"):
        import duckdb

        return duckdb.connect().from_arrow(dataset)
    raise InterfaceError(
        "a pyarrow dataset needs polars or DuckDB, which group its rows: pip install polars. Or "
        "pass data.to_table(columns=[…])."
    )


def _streamed(data: Any) -> Any:
    """What speaks Arrow's C interface as a table in memory, not copied; None of a column."""
    if find_spec("pyarrow"):
        import pyarrow

        try:
            return _wrapped(pyarrow.table(data))
        except pyarrow.ArrowInvalid:
            return None
    if find_spec("polars"):
        import polars

        return _wrapped(polars.DataFrame(data))
    raise InterfaceError("Arrow data need pyarrow: pip install pyarrow.")
