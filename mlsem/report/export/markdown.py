"""A grid as tables of Markdown, with pipes. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlsem.report.export.grid import Grid, GridRow, GridTable

SIGNS = frozenset("\\`*_{}[]<>#|~$^!&")  # that Markdown, or an extension of it, may obey
INDENT = "&emsp;"


def markdown(grid: Grid) -> str:
    """The tables of a grid, with the title above and the notes below."""
    parts = [f"**{escaped(grid.title)}**"] if grid.title else []
    for table in grid.tables:
        parts += [f"**{escaped(table.title)}**"] if table.title else []
        parts.append("\n".join(_table(table)))
        parts += [escaped(table.legend)] if table.legend else []
    if grid.notes:
        parts.append("\n".join(f"- {escaped(note)}" for note in grid.notes))
    return "\n\n".join(parts) + "\n"


def _table(table: GridTable) -> Iterator[str]:
    yield _line(map(escaped, table.heads))
    yield _line(":---" if words else "---:" for words in table.words)
    titled = any(row.is_title for row in table.rows)
    for row in table.rows:
        yield _line(_cells(row, table.width, titled))


def _cells(row: GridRow, width: int, titled: bool) -> list[str]:
    if row.is_title:
        mark = "**" if row.role == "level" else "*"
        return [f"{mark}{escaped(row.cells[0])}{mark}", *[""] * (width - 1)]
    first, *others = map(escaped, row.cells)
    inner = titled and row.role == "row"
    return [f"{INDENT}{first}" if inner else first, *others]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    plain = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in SIGNS else letter for letter in plain)
