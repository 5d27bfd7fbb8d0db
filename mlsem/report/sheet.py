"""Facts, tables of cells and notes: as text, and as a grid for all other languages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mlsem.base.display import display_width, pad_left, pad_right
from mlsem.other_programs.answering import Answering
from mlsem.report.cells import shown
from mlsem.report.export.exported import Exported, Rounded
from mlsem.report.export.grid import Grid, GridRow, GridTable
from mlsem.report.text import HEADER, STUB, wrapped

if TYPE_CHECKING:
    pass

WIDEST = 20  # names that are longer get a line of their own


@dataclass(frozen=True, slots=True)
class SheetTable:
    """A table of named rows.

    Attributes
    ----------
    title : str
    heads : tuple of str
        Of the columns after the names.
    rows : tuple of (name, cells)
    legend : str
        What the columns are, in words; empty for none.
    left : int
        How many of the first columns after the names are words, and stand to the left.
    stub : str
        The head of the column of names.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    legend: str = ""
    left: int = 0
    stub: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report of some facts, some tables and what to make of them.

    Attributes
    ----------
    title : str
    facts : tuple of (label, value)
    tables : tuple of SheetTable
    heading : str
        Over the notes.
    notes : tuple of str
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[SheetTable, ...]
    heading: str
    notes: tuple[str, ...]


class Shown(ABC, Exported, Answering):
    """What shows itself as a sheet: as text when printed, as HTML in a notebook."""

    @abstractmethod
    def _sheet(self) -> Sheet: ...

    def __str__(self) -> str:
        return text(self._sheet())

    def __repr__(self) -> str:
        return str(self)

    def _grid(self) -> Grid:
        return grid(self._sheet())


class RoundedSheet(Rounded, Shown):
    """What shows itself as a sheet with as many decimals as one asks for."""

    __slots__ = ()

    @abstractmethod
    def _sheet(self, digits: int = 3) -> Sheet: ...

    def _grid(self, digits: int = 3) -> Grid:
        return grid(self._sheet(digits))

    def _text(self, digits: int = 3) -> str:
        return text(self._sheet(digits))


def grid(sheet: Sheet) -> Grid:
    """The sheet, to be written in other languages: its facts are a table without heads."""
    facts = tuple(GridRow((label.strip(), value)) for label, value in sheet.facts)
    tables = [GridTable("", ("", ""), facts)] if facts else []
    tables += [
        GridTable(
            each.title,
            (each.stub, *each.heads),
            tuple(GridRow((name, *cells)) for name, cells in each.rows),
            tuple(k <= each.left for k in range(1 + len(each.heads))),
            each.legend,
        )
        for each in sheet.tables
    ]
    return Grid(sheet.title, tuple(tables), sheet.notes, sheet.heading)


# --- text -----------------------------------------------------------------------------------------


def text(sheet: Sheet) -> str:
    """Lines without trailing blanks, ending in a newline; all tables have the same first column."""
    sheet = shown(sheet)
    names = [name for table in sheet.tables for name, _ in table.rows]
    fitting = [display_width(name) for name in names if display_width(name) <= WIDEST]
    stub = max([STUB - 2, *fitting])
    widths = [_widths(table) for table in sheet.tables]
    whole = max([HEADER, *(2 + stub + sum(each) for each in widths)])
    lines = [sheet.title, ""]
    for label, value in sheet.facts:
        room = whole - 2 - display_width(label)
        if display_width(value) + 2 <= room:
            lines.append(f"  {label}" + pad_left(value, room))
        else:
            lines += [f"  {label}", f"    {value}"]
    for table, columns in zip(sheet.tables, widths, strict=True):
        lines += ["", "", f"{table.title}:", "", *_lines(table, stub, columns)]
        lines += ["", *wrapped(table.legend, whole, "  ")] if table.legend else []
    lines += ["", "", f"{sheet.heading}:"] if sheet.notes else []
    for note in sheet.notes:
        lines += wrapped(note, whole, "  - ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _widths(table: SheetTable) -> list[int]:
    """Columns of each cell: two blanks, and the widest of its column."""
    columns = zip(table.heads, *(cells for _, cells in table.rows), strict=True)
    return [2 + max(map(display_width, column)) for column in columns]


def _lines(table: SheetTable, stub: int, widths: list[int]) -> Iterator[str]:
    for name, cells in ((table.stub, table.heads), *table.rows):
        words = (
            "  " + pad_right(each, width - 2) for each, width in zip(cells, widths, strict=True)
        )
        numbers = "".join([*islice(words, table.left)])
        numbers += "".join(map(pad_left, cells[table.left :], widths[table.left :]))
        if display_width(name) > stub:
            yield f"  {name}"
            name = ""
        yield "  " + pad_right(name, stub) + numbers
