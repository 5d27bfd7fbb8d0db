"""A grid as HTML, for notebooks and pages: self-contained, no script. All text is escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mlsem.report.export.grid import Grid, GridRow, GridTable
from mlsem.report.html import STYLE

LEFT = ' style="text-align: left"'
RULED = ' style="border-top: 1px solid rgba(128, 128, 128, .6)"'


def html(grid: Grid) -> str:
    """One `<div class="mlsem">`."""
    parts = [f"<p><strong>{escape(grid.title)}</strong></p>"] if grid.title else []
    parts += [_table(table) for table in grid.tables]
    if grid.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in grid.notes)
        heading = f"<p><strong>{escape(grid.heading)}</strong></p>" if grid.heading else ""
        parts.append(f"{heading}<ul>{items}</ul>")
    return f'<div class="mlsem"><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</div>"


def _table(table: GridTable) -> str:
    side = [LEFT if words else "" for words in table.words]
    heads = "".join(
        f'<th scope="col"{style}>{escape(head)}</th>' if head else "<th></th>"
        for head, style in zip(table.heads, side, strict=True)
    )
    head = f"<thead><tr>{heads}</tr></thead>" if table.has_heads else ""
    title = f"<p><strong>{escape(table.title)}</strong></p>\n" if table.title else ""
    legend = f"\n<p>{escape(table.legend)}</p>" if table.legend else ""
    body = "\n".join(_rows(table, side))
    return f"{title}<table>{head}<tbody>\n{body}\n</tbody></table>{legend}"


def _rows(table: GridTable, side: list[str]) -> Iterator[str]:
    titled, before = any(row.is_title for row in table.rows), ""
    for row in table.rows:
        if row.is_title:
            yield _spanning(row, table.width)
        else:
            ruled = RULED if row.role == "measure" and before != "measure" else ""
            name = ' class="name"' if titled and row.role == "row" else side[0]
            cells = "".join(
                f"<td{style}>{escape(text)}</td>"
                for text, style in zip(row.cells[1:], side[1:], strict=True)
            )
            yield f"<tr{ruled}><td{name}>{escape(row.cells[0])}</td>{cells}</tr>"
        before = row.role


def _spanning(row: GridRow, width: int) -> str:
    return f'<tr><td class="{row.role}" colspan="{width}">{escape(row.cells[0])}</td></tr>'
