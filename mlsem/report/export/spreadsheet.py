"""A grid for spreadsheets: CSV, and Excel's format by openpyxl.

Text that a spreadsheet would take for a formula begins with an apostrophe in CSV, which tells it
that it is none; in Excel's format it is a cell of text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from mlsem.errors import InterfaceError
from mlsem.report.export.grid import Grid, GridTable
from mlsem.report.files import write_over

if TYPE_CHECKING:
    from os import PathLike

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # a cell's beginning
NUMBER = re.compile(r"-?\d{1,15}(?:\.(\d{1,12}))?")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # what a workbook may not hold


def csv_text(grid: Grid) -> str:
    """The rows of all tables, each under its heads."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for cells in _lines(grid):
        writer.writerow([_harmless(cell) for cell in cells] if any(cells) else [])
    return out.getvalue()


def _harmless(cell: str) -> str:
    return cell if NUMBER.fullmatch(cell) else guarded(cell)


def guarded(text: str) -> str:
    """The text, no formula for a spreadsheet."""
    shown = text.replace("\r", "\\r")  # it would end the line for some readers
    return f"'{shown}" if text.startswith(FORMULA) else shown


def write_excel(grid: Grid, path: str | PathLike[str]) -> None:
    """A workbook of one sheet: numbers as numbers, with the decimals that are printed.

    Raises
    ------
    InterfaceError
        openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Font
    except ImportError as error:
        raise InterfaceError(
            f"Excel's files need openpyxl ({error}): pip install openpyxl", name="openpyxl"
        ) from error
    book = Workbook()
    sheet: Any = book.active
    widths: dict[int, int] = {}
    for number, cells in enumerate(_lines(grid), start=1):
        for column, text in enumerate(cells, start=1):
            _fill(sheet.cell(number, column), text)
            if len(cells) > 1:
                widths[column] = max(widths.get(column, 8), len(text) + 2)
        if len(cells) == 1:
            sheet.cell(number, 1).font = Font(bold=True)
    for column, width in widths.items():
        sheet.column_dimensions[sheet.cell(1, column).column_letter].width = min(width, 60)
    content = BytesIO()
    book.save(content)
    write_over(path, content.getvalue())


def _fill(cell: Any, text: str) -> None:
    if (match := NUMBER.fullmatch(text)) is not None:
        cell.value = float(text) if match[1] else int(text)
        cell.number_format = "0." + "0" * len(match[1]) if match[1] else "0"
    elif text:
        cell.value = CONTROL.sub("", text)
        cell.data_type = "s"  # text, whatever it begins with


def _lines(grid: Grid) -> Iterator[tuple[str, ...]]:
    """Titles and notes alone in their lines; a blank line between tables."""
    if grid.title:
        yield (grid.title,)
    for k, table in enumerate(grid.tables):
        if k:
            yield ("",)
        yield from _table(table)
    if grid.notes:
        yield ("",)
    for note in grid.notes:
        yield (note,)


def _table(table: GridTable) -> Iterator[tuple[str, ...]]:
    if table.title:
        yield (table.title,)
    if table.has_heads:
        yield table.heads
    for row in table.rows:
        yield row.cells
    if table.legend:
        yield (table.legend,)
