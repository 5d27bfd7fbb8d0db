"""A grid as plain text."""

from __future__ import annotations

from collections.abc import Iterator

from mlsem.base.display import display_width, pad_left, pad_right
from mlsem.report.export.grid import Grid, GridTable
from mlsem.report.text import wrapped

NARROWEST = 54
INDENT = "  "


def plain(grid: Grid) -> str:
    """Lines without trailing blanks, ending in a newline."""
    lines = [grid.title, ""] if grid.title else []
    widest = NARROWEST
    for k, table in enumerate(grid.tables):
        widths = _widths(table)
        widest = max(widest, sum(widths) + 2 * (len(widths) - 1))
        lines += [""] * bool(k) + ([f"{table.title}:", ""] if table.title else [])
        lines += _lines(table, widths)
        lines += ["", *wrapped(table.legend, widest, INDENT)] if table.legend else []
    lines += [""] if grid.notes else []
    for note in grid.notes:
        lines += wrapped(note, widest, "- ")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _widths(table: GridTable) -> list[int]:
    own = (_indented(row.cells, row.role) for row in table.rows if not row.is_title)
    return [max(map(display_width, column)) for column in zip(table.heads, *own, strict=True)]


def _indented(cells: tuple[str, ...], role: str) -> tuple[str, ...]:
    return (INDENT + cells[0], *cells[1:]) if role == "row" else cells


def _lines(table: GridTable, widths: list[int]) -> Iterator[str]:
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    if table.has_heads:
        yield _line(table.heads, table.words, widths)
        yield rule
    before = ""
    for row in table.rows:
        if row.role == "level" and before:
            yield ""
        if row.role == "measure" and before != "measure":
            yield rule
        if row.is_title:
            yield row.cells[0]
        else:
            yield _line(_indented(row.cells, row.role), table.words, widths)
        before = row.role


def _line(cells: tuple[str, ...], words: tuple[bool, ...], widths: list[int]) -> str:
    return "  ".join(
        (pad_right if left else pad_left)(cell, width)
        for cell, left, width in zip(cells, words, widths, strict=True)
    )
