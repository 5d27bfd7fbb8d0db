"""Pages that a docstring names as files, `docs/studies/fit_tests.md`, become links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PAGE = re.compile(r"\bdocs/([\w/]+)\.md\b")


def setup(app: Sphinx) -> dict[str, Any]:
    """Docstrings pass through here before they are read."""
    app.connect("autodoc-process-docstring", _link)
    app.add_lexer("mplus", TextLexer)  # shown as it is
    return {"parallel_read_safe": True}


def _link(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    lines[:] = [PAGE.sub(r":doc:`/\1`", line) for line in lines]
