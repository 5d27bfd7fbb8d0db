"""Paths and patterns of paths: a query of the files that an engine scans, else what reads the one
file that there is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from glob import glob, has_magic
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsem.data.frames.files import SEPARATORS, TEXT, kind_of, read_table, text_layout, why_not
from mlsem.errors import DataError, InterfaceError, listed

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.data.frames.records import Lazy

SCANNED = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "ipc",
    ".feather": "ipc",
    ".ipc": "ipc",
    **dict.fromkeys(TEXT, "text"),
}
"""Kinds of files that an engine scans."""
SMALL = 1 << 28
"""Bytes of one file of text up to which it is read at once, as by the command."""
MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""What stands for a missing value in text, as for pandas."""


def is_paths(data: Any) -> bool:
    """Whether these are files, rather than a model or what else a text may be."""
    if isinstance(data, str):
        return "\n" not in data and "~" not in data.removeprefix("~")
    if isinstance(data, os.PathLike):
        return True
    listing = isinstance(data, (list, tuple)) and len(data) > 0
    return listing and all(isinstance(each, os.PathLike) or _is_file(each) for each in data)


def _is_file(data: object) -> bool:
    return isinstance(data, str) and Path(data).suffix.lower() in SCANNED


def from_paths(data: Any) -> pd.DataFrame | Lazy:
    """The rows of files, those of several one below the other.

    Raises
    ------
    DataError
        There is no such file, or they are of several kinds, or of one that is not read.
    InterfaceError
        What reads them is not installed.
    """
    given = [data] if isinstance(data, (str, os.PathLike)) else list(data)
    files = [file for each in given for file in _expanded(os.fspath(each))]
    if len(files) == 1 and not _is_scanned(files[0]):
        return read_table(files[0])
    kinds = sorted({SCANNED.get(Path(file).suffix.lower(), "other") for file in files})
    if len(kinds) > 1 or kinds == ["other"]:
        raise DataError(
            f"several files are read together if all are of one kind, Parquet, Arrow or text "
            f"(.csv); these are {listed(Path(file).name for file in files)}."
        )
    return _scan(files, kinds[0])


def files_at(path: str) -> list[str]:
    """The files whose rows `rows_at` gives."""
    return _expanded(path) if _is_several(path) else [path]


def _is_several(path: str) -> bool:
    return os.path.isdir(path) or (has_magic(path) and not os.path.exists(path))


def rows_at(path: str) -> pd.DataFrame | Lazy:
    """The rows of one file, read at once; of a pattern of paths, or a folder, a query of all."""
    return from_paths(path) if _is_several(path) else read_table(path)


def _expanded(path: str) -> list[str]:
    """The files that a path, a pattern or a folder stands for, in the order of their names."""
    if "://" in path:
        return [path]
    path = os.path.expanduser(path)
    if os.path.isdir(path):
        found = glob(os.path.join(path, "**", "*"), recursive=True)
        files = sorted(each for each in found if Path(each).suffix.lower() in SCANNED)
        if not files:
            raise DataError(f"the folder {path!r} has no files of Parquet, Arrow or text (.csv).")
        return files
    if not has_magic(path) or os.path.exists(path):
        file = Path(path)
        kind_of(file)
        if not file.is_file():
            raise DataError(f"{path!r} {why_not(file)}")
        return [path]
    files = sorted(each for each in glob(path, recursive=True) if os.path.isfile(each))
    if not files:
        folder = Path(path).parent
        there = "" if has_magic(str(folder)) or folder.is_dir() else f" (no folder {str(folder)!r})"
        raise DataError(f"no file is like {path!r}{there}.")
    return files


def _is_scanned(file: str) -> bool:
    """Whether a single file is left to an engine: all but small text, where one is there."""
    kind = SCANNED.get(Path(file).suffix.lower())
    if kind is None:
        return False
    if "://" in file:
        return True
    engine = find_spec("polars") or find_spec("duckdb")
    return bool(engine) and (kind != "text" or os.path.getsize(file) > SMALL)


def _scan(files: Sequence[str], kind: str) -> Lazy:
    import narwhals as nw

    from mlsem.data.frames.records import Lazy
    from mlsem.data.frames.thin import engine_errors

    empty = next((each for each in files if "://" not in each and not os.path.getsize(each)), None)
    if empty is not None:
        raise DataError(f"{Path(empty).name!r} is empty.")
    scan, engine = _engine(files, kind)
    with engine_errors(engine):
        lazy: Any = nw.from_native(scan(list(files), kind))
        lazy.collect_schema()
    return Lazy(lazy, files=True)


def _engine(files: Sequence[str], kind: str) -> Any:
    if find_spec("polars"):
        return _by_polars, "polars"
    if find_spec("duckdb") and (kind != "ipc" or find_spec("pyarrow")):
        return _by_duckdb, "DuckDB"
    raise InterfaceError(
        f"reading {Path(files[0]).name!r} {'and others ' if len(files) > 1 else ''}needs polars or "
        "DuckDB: pip install polars."
    )


def _by_polars(files: list[str], kind: str) -> Any:
    import polars as pl

    if kind == "parquet":
        return pl.scan_parquet(files)
    if kind == "ipc":
        return pl.scan_ipc(files)
    separator, commas = _layout(files[0])
    return pl.scan_csv(
        files,
        separator=separator,
        decimal_comma=commas,
        null_values=list(MISSING),
        infer_schema_length=None,  # a column is what all of its values are
    )


def _by_duckdb(files: list[str], kind: str) -> Any:
    import duckdb

    engine = duckdb.connect()
    if kind == "parquet":
        return engine.read_parquet(files, union_by_name=True)
    if kind == "ipc":
        from pyarrow.dataset import dataset

        return engine.from_arrow(dataset(files, format="ipc"))
    separator, commas = _layout(files[0])
    return engine.read_csv(
        files,
        sep=separator,
        decimal="," if commas else ".",
        na_values=list(MISSING),
        sample_size=-1,
    )


def _layout(file: str) -> tuple[str, bool]:
    """The separator of text, and whether its numbers have decimal commas."""
    if "://" in file:
        return TEXT.get(Path(file).suffix.lower(), SEPARATORS[0]), False
    return text_layout(Path(file))
