"""Tables from single files, read at once."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
from collections.abc import Callable
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from zipfile import ZipFile

import pandas as pd

from mlsem.errors import DataError, DataWarning, InterfaceError, listed, nearest, warn

if TYPE_CHECKING:
    from os import PathLike

SEPARATORS = (",", ";", "\t", "|")
TEXT = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""Kinds of text, with the separator that they usually have."""
LOOKED_AT = 1000
"""Lines of a file by which its layout is known, where it is not read at once."""
PACKED = (".gz", ".bz2", ".xz", ".zip")
INSTEAD = {
    ".xls": "in Excel save it as .xlsx.",
    ".ods": "save it as .xlsx or .csv.",
    ".numbers": "export it as .xlsx or .csv.",
    ".rds": 'in R save it by write.csv(data, "data.csv", row.names = FALSE).',
    ".rdata": 'in R save it by write.csv(data, "data.csv", row.names = FALSE).',
    ".pkl": "a pickle may run programs when it is read; save it by data.to_csv or to_parquet.",
    ".dat": "a table of text is .csv, or .txt with tabs.",
}
"""What to do with other kinds."""


def read_table(path: str | PathLike[str]) -> pd.DataFrame:
    """Read .csv, .tsv, .txt (tabs), .xlsx (Excel), .parquet, .feather (Arrow), .dta (Stata) or
    .sav (SPSS).

    Text may be packed: .csv.gz, .tsv.zip, with .bz2 or .xz. If its first line lacks the usual
    separator it is read with the one that it has: comma, semicolon (also with decimal commas),
    tab or bar. Of an Excel file the first sheet is read.
    Value labels of Stata and SPSS files are not applied: the numbers are read.

    Raises
    ------
    DataError
        The file is absent, empty, of an unknown kind or cannot be read as what its name says.
    InterfaceError
        A package that reads this kind is not installed.
    """
    file = Path(path)
    kind = kind_of(file)
    if not file.is_file():
        raise DataError(f"{str(file)!r} {why_not(file)}")
    if file.stat().st_size == 0:
        raise DataError(f"{file.name!r} is empty.")
    try:
        table = _packed_text(file) if kind in (*TEXT, ".zip") else READERS[kind](file)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file.name!r} is not UTF-8 text (byte {error.start}: {error.reason}); save it as "
            "UTF-8 (in Excel: 'CSV UTF-8')."
        ) from error
    except (InterfaceError, DataError, MemoryError):
        raise
    except Exception as error:  # whatever the reader of this kind raises
        reason = str(error).strip().split("\n")[0]
        raise DataError(f"{file.name!r} cannot be read as {kind}: {reason}") from error
    if table.empty:
        raise DataError(f"{file.name!r} has no rows of data.")
    return table


def why_not(file: Path) -> str:
    """Why a path is no file, after its name."""
    if file.exists():
        return "is not a file."
    folder = file.parent
    if not folder.is_dir():
        return f"is not there (nor is the folder {str(folder)!r})."
    return "is not there." + nearest(file.name, (other.name for other in folder.iterdir()))


def kind_of(file: Path) -> str:
    """What the name says; ".zip" where only the archive knows what is in it.

    Raises
    ------
    DataError
        It is not known.
    """
    suffix = file.suffix.lower()
    inner = Path(file.stem).suffix.lower() if suffix in PACKED else suffix
    if inner in TEXT or (suffix == ".zip" and not inner):
        return inner or suffix
    if suffix in READERS:
        return suffix
    known = (*TEXT, *READERS)
    if suffix in PACKED:
        raise DataError(
            f"{file.name!r}: of packed files those of text are read: {', '.join(TEXT)} before "
            f"{suffix}. Unpack it first."
        )
    said = INSTEAD.get(suffix, "")
    raise DataError(
        f"{file.name!r}: unknown kind of file {file.suffix!r}; known are {', '.join(known)}, and "
        f"of text packed ones ({', '.join(PACKED)})."
        + (f" {said[0].upper()}{said[1:]}" if said else nearest(file.suffix, known))
    )


def _packed_text(file: Path) -> pd.DataFrame:
    opened = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(file.suffix.lower(), open)
    if file.suffix.lower() != ".zip":
        with opened(file, "rb") as text:
            return _separated(cast("IO[bytes]", text), TEXT[kind_of(file)])
    with ZipFile(file) as archive:
        name = _only_member(file, archive)
        with archive.open(name) as text:
            return _separated(text, TEXT[Path(name).suffix.lower()])


def _only_member(file: Path, archive: ZipFile) -> str:
    """The one table in an archive, beside what a Macintosh puts there."""
    names = [each.filename for each in archive.infolist() if not each.is_dir()]
    names = [each for each in names if not each.startswith("__MACOSX/")]
    tables = [each for each in names if Path(each).suffix.lower() in TEXT]
    if len(tables) != 1 or len(names) != 1:
        raise DataError(
            f"{file.name!r} holds {listed(names) or 'nothing'}; it takes one file, and that "
            f"{', '.join(TEXT)}. Unpack it first."
        )
    return tables[0]


def _separated(text: IO[bytes], usual: str) -> pd.DataFrame:
    """A table of text; with semicolons, decimal commas where these give more numbers."""
    separator = _separator(text, usual)
    if separator != ";":
        return _read(text, separator, ".")
    point, comma = (_read(text, separator, decimal) for decimal in ".,")
    return comma if _numeric(comma) > _numeric(point) else point


def _read(text: IO[bytes], separator: str, decimal: str) -> pd.DataFrame:
    text.seek(0)
    return pd.read_csv(text, sep=separator, encoding="utf-8-sig", decimal=decimal)


def _separator(text: IO[bytes], usual: str) -> str:
    """The usual one where the first line has it, else the most frequent of the others there."""
    head = re.sub(r'"[^"]*"', "", text.readline().decode("utf-8-sig"))
    counts = {mark: head.count(mark) for mark in (usual, *SEPARATORS)}
    return usual if counts[usual] else max(counts, key=counts.__getitem__)


def text_layout(file: Path) -> tuple[str, bool]:
    """The separator of a file of text, and whether its numbers have decimal commas, by its first
    lines."""
    with open(file, "rb") as text:
        head = io.BytesIO(b"".join(islice(text, LOOKED_AT)))
    separator = _separator(head, TEXT[kind_of(file)])
    if separator != ";":
        return separator, False
    point, comma = (_read(head, separator, decimal) for decimal in ".,")
    return separator, _numeric(comma) > _numeric(point)


def _numeric(table: pd.DataFrame) -> int:
    return len(table.select_dtypes("number").columns)


def _parquet(file: Path) -> pd.DataFrame:
    _require("pyarrow", file)
    return pd.read_parquet(file, engine="pyarrow")


def _feather(file: Path) -> pd.DataFrame:
    _require("pyarrow", file)
    return pd.read_feather(file)


def _excel(file: Path) -> pd.DataFrame:
    _require("openpyxl", file)
    with pd.ExcelFile(file, engine="openpyxl") as book:
        first, *others = book.sheet_names
        if others:
            warn(
                f"{file.name!r} has {1 + len(others)} sheets; the first one, {first!r}, is read.",
                DataWarning,
            )
        return cast("pd.DataFrame", pd.read_excel(book, sheet_name=first))


def _stata(file: Path) -> pd.DataFrame:
    return cast("pd.DataFrame", pd.read_stata(file, convert_categoricals=False))


def _spss(file: Path) -> pd.DataFrame:
    _require("pyreadstat", file)
    return pd.read_spss(file, convert_categoricals=False)


def _require(package: str, file: Path) -> None:
    if find_spec(package) is None:
        raise InterfaceError(f"reading {file.name!r} needs {package}: pip install {package}.")


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    ".xlsx": _excel,
    ".parquet": _parquet,
    ".pq": _parquet,
    ".feather": _feather,
    ".arrow": _feather,
    ".ipc": _feather,
    ".dta": _stata,
    ".sav": _spss,
}
