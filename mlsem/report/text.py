"""A summary as plain text, in lavaan's layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap

from mlsem.base.display import display_width, pad_left, pad_right
from mlsem.report.cells import number_width, row_cells, shown
from mlsem.report.document import (
    Block,
    Column,
    HeaderBlock,
    LevelSection,
    SummaryDocument,
    TableRow,
    columns,
)

STUB = 18  # narrowest column of names and labels, as in lavaan
HEADER = 54  # narrowest header
CELL = 12  # narrowest column of a header's cells


@dataclass(frozen=True, slots=True)
class _Layout:
    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    stub: int
    digits: int

    @property
    def width(self) -> int:
        return self.stub + sum(self.widths)


def render(document: SummaryDocument, digits: int = 3) -> str:
    """The summary as text.

    Parameters
    ----------
    document : SummaryDocument
    digits : int
        Decimals of estimates, standard errors, statistics and p values.

    Returns
    -------
    str
        Lines without trailing blanks, ending in a newline.
    """
    document = shown(document)
    layout = _layout(document, digits)
    lines = [document.title, *_header(document, layout)]
    for section in document.sections:
        lines += _section(section, layout)
    lines += _notes(document.notes, layout)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _layout(document: SummaryDocument, digits: int) -> _Layout:
    rows = document.rows
    titles = columns(rows)
    fields = tuple(column.field for column in titles)
    cells = [row_cells(row, fields, digits) for row in rows]
    widths = tuple(
        1 + max([number_width(digits), len(column.title), *(len(line[k]) for line in cells)])
        for k, column in enumerate(titles)
    )
    stub = max([STUB, *(display_width(row.group) + 2 for row in rows), *map(_stub_width, rows)])
    return _Layout(titles, widths, stub, digits)


def _stub_width(row: TableRow) -> int:
    return display_width(_name(row)) + (display_width(row.label) + 3 if row.label else 0)


def _name(row: TableRow) -> str:
    """Indented; the dot of an endogenous name stands in the last column of the indent."""
    return f"   {row.name}" if row.name.startswith(".") else f"    {row.name}"


def _header(document: SummaryDocument, layout: _Layout) -> Iterator[str]:
    """Cells under each other in all blocks; the last column ends with the tables, or beyond."""
    rows = [row for block in document.header for row in (("", *block.heads), *block.rows)]
    longest = max((sum(map(display_width, row[:2])) + 4 for row in rows), default=0)
    others = [row[2:] for row in rows if len(row) > 2]
    widths = [
        2 + max(CELL - 2, *map(display_width, column))
        for column in zip_longest(*others, fillvalue="")
    ]
    table = layout.width if document.rows else 0
    first = max(HEADER, longest, table - sum(widths))
    for block in document.header:
        yield ""
        yield from _header_block(block, [first, *widths])


def _header_block(block: HeaderBlock, widths: list[int]) -> Iterator[str]:
    """The first of the widths is that of a label and the cell after it."""
    if block.title:
        yield block.title
    if block.heads:
        yield "".join(map(pad_left, block.heads, widths))
    elif block.title:
        yield ""
    for label, *cells in block.rows:
        line = f"  {label}"
        first, *others = cells or [""]
        line += pad_left(first, widths[0] - display_width(line))
        yield line + "".join(map(pad_left, others, widths[1:]))
    if block.words:
        yield ""
        yield from wrapped(block.words, sum(widths), "  ")


def _section(section: LevelSection, layout: _Layout) -> Iterator[str]:
    for title in section.titles:
        yield from ("", "", f"{title}:")
    for block in section.blocks:
        yield from _block(block, layout)


def _block(block: Block, layout: _Layout) -> Iterator[str]:
    titles = tuple(
        column.title if block.fields is None or column.field in block.fields else ""
        for column in layout.columns
    )
    fields = tuple(column.field for column in layout.columns)
    yield ""
    yield f"{block.title}:"
    yield _line("", titles, layout)
    group = ""
    for row in block.lines:
        if row.group != group:
            group = row.group
            yield f" {group}" if group.startswith(".") else f"  {group}"
        yield _line(_stub(row, layout.stub), row_cells(row, fields, layout.digits), layout)


def _stub(row: TableRow, width: int) -> str:
    name = _name(row)
    if not row.label:
        return pad_right(name, width)
    return name + pad_left(f"({row.label})", width - display_width(name))


def _line(stub: str, cells: tuple[str, ...], layout: _Layout) -> str:
    numbers = (pad_left(cell, width) for cell, width in zip(cells, layout.widths, strict=True))
    return pad_right(stub, layout.stub) + "".join(numbers)


def _notes(notes: tuple[str, ...], layout: _Layout) -> Iterator[str]:
    if not notes:
        return
    yield from ("", "Notes:")
    for note in notes:
        yield from wrapped(note, max(HEADER, layout.width), "  - ")


def wrapped(words: str, width: int, indent: str) -> list[str]:
    """Lines of words, those after the first as far to the right as `indent`."""
    return wrap(
        words,
        width,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
