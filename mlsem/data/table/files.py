"""Tables from files, for the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pandas as pd

from mlsem.errors import DataError, InterfaceError, nearest

if TYPE_CHECKING:
    from os import PathLike

SEPARATORS = (",", ";", "\t", "|")


def read_table(path: str | PathLike[str]) -> pd.DataFrame:
    """Read .csv, .tsv, .txt (tabs), .parquet, .dta (Stata) or .sav (SPSS).

    Text whose first line lacks the usual separator is read with the one that it has: comma,
    semicolon (also with decimal commas), tab or bar.
    Value labels of Stata and SPSS files are not applied: the numbers are read.

    Raises
    ------
    DataError
        The file is absent, empty, of an unknown kind or cannot be read as what its name says.
    InterfaceError
        A package that reads this kind is not installed.
    """
    file = Path(path)
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise DataError(
            f"{file.name!r}: unknown kind of file {file.suffix!r}; known are "
            f"{', '.join(READERS)}.{nearest(file.suffix, READERS)}"
        )
    if not file.is_file():
        raise DataError(f"{str(file)!r} {_why_not(file)}")
    if file.stat().st_size == 0:
        raise DataError(f"{file.name!r} is empty.")
    try:
        table = reader(file)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.name!r} is not UTF-8 text (byte {error.start}: {error.reason}); save it as "
            "UTF-8 (in Excel: 'CSV UTF-8')."
        ) from error
    except (InterfaceError, MemoryError):
        raise
    except Exception as error:  # whatever the reader of this kind raises
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"{file.name!r} cannot be read as {file.suffix.lower()}: {reason}"
        ) from error
    if table.empty:
        raise DataError(f"{file.name!r} has no rows of data.")
    return table


def _why_not(file: Path) -> str:
    if file.exists():
        return "is not a file."
    folder = file.parent
    if not folder.is_dir():
        return f"is not there (nor is the folder {str(folder)!r})."
    return "is not there." + nearest(file.name, (other.name for other in folder.iterdir()))


def _csv(file: Path) -> pd.DataFrame:
    return _separated(file, ",")


def _tabs(file: Path) -> pd.DataFrame:
    return _separated(file, "\t")


def _separated(file: Path, usual: str) -> pd.DataFrame:
    """A table of text; with semicolons, decimal commas where these give more numbers."""
    separator = _separator(file, usual)
    table = pd.read_csv(file, sep=separator, encoding="utf-8-sig")
    if separator != ";":
        return table
    commas = pd.read_csv(file, sep=separator, encoding="utf-8-sig", decimal=",")
    return commas if _numeric(commas) > _numeric(table) else table


def _separator(file: Path, usual: str) -> str:
    """The usual one where the first line has it, else the most frequent of the others there."""
    with file.open(encoding="utf-8-sig") as lines:
        head = re.sub(r'"[^"]*"', "", lines.readline())
    counts = {mark: head.count(mark) for mark in (usual, *SEPARATORS)}
    return usual if counts[usual] else max(counts, key=counts.__getitem__)


def _numeric(table: pd.DataFrame) -> int:
    return len(table.select_dtypes("number").columns)


def _parquet(file: Path) -> pd.DataFrame:
    _require("pyarrow", "parquet", file)
    return pd.read_parquet(file, engine="pyarrow")


def _stata(file: Path) -> pd.DataFrame:
    return cast("pd.DataFrame", pd.read_stata(file, convert_categoricals=False))


def _spss(file: Path) -> pd.DataFrame:
    _require("pyreadstat", "spss", file)
    return pd.read_spss(file, convert_categoricals=False)


def _require(package: str, extra: str, file: Path) -> None:
    if find_spec(package) is None:
        raise InterfaceError(
            f'reading {file.name!r} needs {package}: pip install "mlsem[{extra}]".'
        )


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _csv,
    ".tsv": _tabs,
    ".txt": _tabs,
    ".parquet": _parquet,
    ".dta": _stata,
    ".sav": _spss,
}
