"""A summary as a piece of HTML for notebooks: self-contained, no script, inherits its colours."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from mlsem.report.cells import row_cells, shown
from mlsem.report.document import Block, Column, LevelSection, SummaryDocument, TableRow, columns

# Translucent lines and inherited colours can be read on a light and on a dark page.
STYLE = """
.mlsem {color: inherit; line-height: 1.35; overflow-x: auto}
.mlsem table {border-collapse: collapse; margin: .4em 0 .8em; color: inherit; font-size: 1em;
  background: transparent}
.mlsem tr {background: transparent}
.mlsem td, .mlsem th {border: 0; padding: .1em .7em; color: inherit; text-align: right;
  font-weight: normal; background: transparent; font-variant-numeric: tabular-nums}
.mlsem th:first-child, .mlsem td:first-child {text-align: left}
.mlsem thead th {border-bottom: 1px solid rgba(128, 128, 128, .6)}
.mlsem tbody .level {font-weight: bold; font-size: 1.1em; padding-top: 1em}
.mlsem tbody .block {font-weight: bold; padding-top: .6em}
.mlsem .group {font-style: italic; padding-left: 1.4em}
.mlsem .name {padding-left: 2.4em}
.mlsem .label {opacity: .7}
.mlsem .words {max-width: 34em; white-space: normal; padding-bottom: .4em}
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
    document = shown(document)
    parts = [f"<p><strong>{escape(document.title)}</strong></p>"]
    parts += [_table("", "".join(_header(document)))] if document.header else []
    parts += [_parameters(document, digits)] if document.rows else []
    if document.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in document.notes)
        parts.append(f"<ul>{items}</ul>")
    return f'<div class="mlsem"><style>{STYLE}</style>\n' + "\n".join(parts) + "\n</div>"


def _table(head: str, body: str) -> str:
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return f"<table>{top}<tbody>\n{body}</tbody></table>"


def _header(document: SummaryDocument) -> Iterator[str]:
    widest = max(len(row) for block in document.header for row in (("",), *block.rows))
    for block in document.header:
        if block.title and not block.heads:
            yield _spanning("block", block.title, widest)
        elif block.heads:
            heads = "".join(f"<th>{escape(head)}</th>" for head in block.heads)
            yield f'<tr><td class="block">{escape(block.title)}</td>{heads}</tr>\n'
        for row in block.rows:
            yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n"
        if block.words:
            yield _spanning("words", block.words, widest)


def _parameters(document: SummaryDocument, digits: int) -> str:
    titles = columns(document.rows)
    heads = "".join(f'<th scope="col">{escape(column.title)}</th>' for column in titles)
    lines = (line for each in document.sections for line in _section(each, titles, digits))
    return _table(f"<th></th>{heads}", "".join(lines))


def _section(section: LevelSection, titles: tuple[Column, ...], digits: int) -> Iterator[str]:
    span = len(titles) + 1
    for title in section.titles:
        yield _spanning("level", title, span)
    for block in section.blocks:
        yield _spanning("block", block.title, span)
        yield from _block(block, tuple(column.field for column in titles), digits)


def _block(block: Block, fields: tuple[str, ...], digits: int) -> Iterator[str]:
    group = ""
    for row in block.lines:
        if row.group != group:
            group = row.group
            yield _spanning("group", group, len(fields) + 1)
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row_cells(row, fields, digits))
        yield f'<tr><td class="name">{_name(row)}</td>{cells}</tr>\n'


def _spanning(kind: str, words: str, span: int) -> str:
    return f'<tr><td class="{kind}" colspan="{span}">{escape(words)}</td></tr>\n'


def _name(row: TableRow) -> str:
    label = f' <span class="label">({escape(row.label)})</span>' if row.label else ""
    return escape(row.name) + label
