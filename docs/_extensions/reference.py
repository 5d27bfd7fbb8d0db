"""What the reference shows of docstrings and classes.

Pages that a docstring names as files, `docs/studies/fit_tests.md`, become links. Results come from
methods: how they are made is nothing that a reader needs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MADE_BY_USERS = {"mlsem.InOrder"}
PAGE = re.compile(r"\bdocs/([\w/]+)\.md\b")


def setup(app: Sphinx) -> dict[str, Any]:
    """Docstrings pass through here before they are read."""
    app.connect("autodoc-process-docstring", _link)
    app.connect("autodoc-process-signature", _signature)
    app.add_lexer("mplus", TextLexer)  # shown as it is
    return {"parallel_read_safe": True}


def _link(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    lines[:] = [PAGE.sub(r":doc:`/\1`", line) for line in lines]


def _signature(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str, returns: str
) -> tuple[str, str | None] | None:
    """None leaves it as it is."""
    return ("", None) if what == "class" and signature and name not in MADE_BY_USERS else None
