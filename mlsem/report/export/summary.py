"""A summary as a grid: its facts, then its parameters under their names in full."""

from __future__ import annotations

from collections.abc import Iterator

from mlsem.report.cells import row_cells
from mlsem.report.document import LevelSection, SummaryDocument, TableRow, columns
from mlsem.report.export.grid import Grid, GridRow, GridTable


def document_grid(document: SummaryDocument, digits: int = 3) -> Grid:
    """The grid of a summary, numbers with these decimals."""
    tables = [_header(document)] if document.header else []
    tables += [_parameters(document, digits)] if document.rows else []
    words = tuple(block.words for block in document.header if block.words)
    return Grid(document.title, tuple(tables), (*words, *document.notes))


def _header(document: SummaryDocument) -> GridTable:
    lines = [row for block in document.header for row in (("", *block.heads), *block.rows)]
    width = max(map(len, lines))
    rows: list[GridRow] = []
    for block in document.header:
        rows += [GridRow((block.title.rstrip(":"),), "block")] if block.title else []
        rows += [GridRow(_filled(("", *block.heads), width))] if block.heads else []
        rows += [GridRow(_filled((label.strip(), *cells), width)) for label, *cells in block.rows]
    return GridTable("", ("",) * width, tuple(rows))


def _filled(cells: tuple[str, ...], width: int) -> tuple[str, ...]:
    return (*cells, *[""] * (width - len(cells)))


def _parameters(document: SummaryDocument, digits: int) -> GridTable:
    shown = columns(document.rows)
    fields = tuple(column.field for column in shown)
    rows = tuple(row for each in document.sections for row in _section(each, fields, digits))
    return GridTable("", ("", *(column.title for column in shown)), rows)


def _section(section: LevelSection, fields: tuple[str, ...], digits: int) -> Iterator[GridRow]:
    for title in section.titles:
        yield GridRow((title,), "level")
    for block in section.blocks:
        yield GridRow((block.title,), "block")
        for row in block.lines:
            yield GridRow((_name(row), *row_cells(row, fields, digits)))


def _name(row: TableRow) -> str:
    """`y ~ x1 (a)`: with what it stands under, and the user's label."""
    label = f" ({row.label})" if row.label else ""
    return " ".join(filter(None, (row.group, row.name))) + label
