"""The directive `validation-table`: `references.py`, counted when the site is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.parsers.rst import Directive
from references import references

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HEADINGS = ("reference", "what it holds", "cases", "numbers", "tests that read it")


class ValidationTable(Directive):
    """A table with a row for each file of reference values."""

    def run(self) -> list[nodes.Node]:
        group = nodes.tgroup(cols=len(HEADINGS))
        group += [nodes.colspec(colwidth=width) for width in (20, 45, 8, 10, 30)]
        head, body = nodes.thead(), nodes.tbody()
        head += _row([[nodes.paragraph(text=each)] for each in HEADINGS])
        for each in references():
            tests = [nodes.paragraph("", "", nodes.literal(text=name)) for name in each.tests]
            body += _row(
                [
                    [nodes.paragraph("", "", nodes.literal(text=each.file))],
                    [nodes.paragraph(text=each.what)],
                    [nodes.paragraph(text=f"{each.cases:,}")],
                    [nodes.paragraph(text=f"{each.numbers:,}")],
                    tests,
                ]
            )
        group += [head, body]
        table = nodes.table(classes=["validation"])
        table += group
        return [table]


def _row(cells: list[list[nodes.paragraph]]) -> nodes.row:
    row = nodes.row()
    for content in cells:
        entry = nodes.entry()
        entry += content
        row += entry
    return row


def setup(app: Sphinx) -> dict[str, Any]:
    """The directive's name."""
    app.add_directive("validation-table", ValidationTable)
    return {"parallel_read_safe": True}
