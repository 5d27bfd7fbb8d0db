"""A summary as a piece of HTML for notebooks: self-contained, no script, inherits its colours."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mlsem.report.cells import row_cells
from mlsem.report.document import Block, Column, LevelSection, SummaryDocument, TableRow, columns

# Translucent lines and inherited colours can be read on a light and on a dark page.
STYLE = """
.mlsem {color: inherit; line-height: 1.35; overflow-x: auto}
.mlsem table {border-collapse: collapse; margin: .3em 0 .9em; background: transparent}
.mlsem td, .mlsem th {border: 0; padding: .1em .7em; text-align: right; font-weight: normal;
  background: transparent; font-variant-numeric: tabular-nums}
.mlsem th:first-child, .mlsem td:first-child {text-align: left}
.mlsem caption {caption-side: top; text-align: left; font-weight: bold; padding: .2em 0}
.mlsem thead th {border-bottom: 1px solid rgba(128, 128, 128, .6)}
.mlsem .group {font-style: italic}
.mlsem .name {padding-left: 1.8em}
.mlsem .label {opacity: .7}
""".strip()


def render(document: SummaryDocument, digits: int = 3) -> str:
    """The summary as HTML.

    Parameters
    ----------
    document : SummaryDocument
    digits : int
        Decimals of estimates, standard errors, statistics and p values.

    Returns
    -------
    str
        One `<div class="mlsem">`; every text of the user's is escaped.
    """
    shown = columns(document.rows)
    parts = [f"<p><strong>{escape(document.title)}</strong></p>", *_header(document)]
    for section in document.sections:
        parts += _section(section, shown, digits)
    if document.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in document.notes)
        parts.append(f"<ul>{items}</ul>")
    return f'<div class="mlsem"><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</div>"


def _header(document: SummaryDocument) -> Iterator[str]:
    for group in document.header:
        lines = "".join(
            f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>" for label, value in group
        )
        yield f"<table><tbody>{lines}</tbody></table>"


def _section(section: LevelSection, shown: tuple[Column, ...], digits: int) -> Iterator[str]:
    if section.title:
        yield f"<h4>{escape(section.title)}</h4>"
    for block in section.blocks:
        yield _block(block, shown, digits)


def _block(block: Block, shown: tuple[Column, ...], digits: int) -> str:
    heads = "".join(f'<th scope="col">{escape(column.title)}</th>' for column in shown)
    body = "".join(_body(block, tuple(column.field for column in shown), digits))
    return (
        f"<table><caption>{escape(block.title)}</caption>"
        f"<thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table>"
    )


def _body(block: Block, fields: tuple[str, ...], digits: int) -> Iterator[str]:
    group = ""
    for row in block.lines:
        if row.group != group:
            group = row.group
            yield f'<tr><td class="group" colspan="{len(fields) + 1}">{escape(group)}</td></tr>'
        cells = "".join(f"<td>{cell}</td>" for cell in row_cells(row, fields, digits))
        yield f'<tr><td class="name">{_name(row)}</td>{cells}</tr>'


def _name(row: TableRow) -> str:
    label = f' <span class="label">({escape(row.label)})</span>' if row.label else ""
    return escape(row.name) + label
