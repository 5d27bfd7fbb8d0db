"""Python as it is written down: literals, brackets that break where a line is too long.

A `Doc` is a text, `Brackets`, or several of them in a row. What does not fit in a line is broken
at its last brackets, as black and ruff do it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import TypeAlias

from mlsem.base.display import printable

WIDTH = 88


@dataclass(frozen=True, slots=True)
class Brackets:
    """Items between brackets; those around one expression, which only group, take no comma."""

    opening: str
    items: tuple[Doc, ...]
    closing: str
    comma: bool = True


Doc: TypeAlias = "str | Brackets | tuple[Doc, ...]"


def call(function: Doc, *positional: Doc, **keywords: Doc) -> Doc:
    """``function(positional, name=keyword)``; a keyword that is None is left out."""
    return (function, Brackets("(", (*positional, *named(keywords.items())), ")"))


def named(keywords: Iterable[tuple[str, Doc]]) -> tuple[Doc, ...]:
    return tuple((f"{name}=", doc) for name, doc in keywords)


def method(of: Doc, name: str, *positional: Doc, **keywords: Doc) -> Doc:
    return call((of, f".{name}"), *positional, **keywords)


def items(docs: Iterable[Doc]) -> Doc:
    """A list."""
    return Brackets("[", tuple(docs), "]")


def at(of: Doc, *index: Doc) -> Doc:
    """``of[index]``."""
    return (of, Brackets("[", index, "]", comma=len(index) > 1))


def grouped(doc: Doc) -> Doc:
    return Brackets("(", (doc,), ")", comma=False)


def flat(doc: Doc) -> str:
    """In one line, but for texts that have several."""
    match doc:
        case str():
            return doc
        case Brackets(opening, inner, closing):
            return opening + ", ".join(map(flat, inner)) + closing
        case _:
            return "".join(map(flat, doc))


def render(doc: Doc, indent: int = 0, before: str = "", after: str = "") -> str:
    """The text, its lines but the first indented; `before` and `after` stand around it."""
    line = before + flat(doc) + after
    pieces = _pieces(doc)
    last = max((k for k, each in enumerate(pieces) if _can_break(each)), default=None)
    if last is None or ("\n" not in line and indent + len(line) <= WIDTH):
        return line
    brackets = pieces[last]
    assert isinstance(brackets, Brackets)
    head = before + "".join(map(flat, pieces[:last])) + brackets.opening
    links = _links(pieces)
    too_long = indent + len(head.rpartition("\n")[2]) > WIDTH
    if _is_chain(pieces) and (len(links) > 2 or (too_long and len(links) > 1)):
        return _chain(links, indent, before, after)
    margin = " " * (indent + 4)
    tail = brackets.closing + "".join(map(flat, pieces[last + 1 :])) + after
    together = ", ".join(map(flat, brackets.items))
    if "\n" not in together and len(margin) + len(together) <= WIDTH:
        return f"{head}\n{margin}{together}\n{' ' * indent}{tail}"
    mark = "," if brackets.comma and len(brackets.items) > 1 else ""
    body = "".join(f"{margin}{render(each, indent + 4, after=mark)}\n" for each in brackets.items)
    return f"{head}\n{body}{' ' * indent}{tail}"


def _is_chain(pieces: list[str | Brackets]) -> bool:
    """Methods only: no operator stands between."""
    return not any(isinstance(piece, str) and " " in piece.strip() for piece in pieces)


def _links(pieces: list[str | Brackets]) -> list[tuple[str | Brackets, ...]]:
    """``a.b(…).c(…)`` → a, .b(…), .c(…)."""
    links: list[tuple[str | Brackets, ...]] = []
    for piece in pieces:
        if isinstance(piece, str) and piece.startswith(".") and links:
            links.append((piece,))
        else:
            links[-1:] = [(*(links[-1] if links else ()), piece)]
    if len(links) > 1 and len(links[0]) == 1:
        links[:2] = [links[0] + links[1]]  # a plain name stands with its first method
    return links


def _chain(links: list[tuple[str | Brackets, ...]], indent: int, before: str, after: str) -> str:
    """A link to a line, in parentheses where no brackets stand around them."""
    bare = bool(before) or not indent
    inner = indent + 4 if bare else indent
    lines = [render(link, inner) for link in links]
    body = f"\n{' ' * inner}".join(lines)
    if not bare:
        return body + after
    return f"{before}(\n{' ' * inner}{body}\n{' ' * indent}){after}"


def _can_break(piece: Doc) -> bool:
    return isinstance(piece, Brackets) and bool(piece.items)


def _pieces(doc: Doc) -> list[str | Brackets]:
    if isinstance(doc, tuple):
        return [piece for each in doc for piece in _pieces(each)]
    return [doc]


def literal(text: str, *, lines: bool = True) -> str:
    """The text as a literal of Python; of several lines between three quotes, if `lines`."""
    escaped = printable(text.replace("\\", "\\\\"), keep="\n\t")
    if lines and "\n" in text.strip():
        return of_lines(escaped)
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t")
    if '"' in escaped and "'" not in escaped:
        return f"'{escaped}'"
    return '"' + escaped.replace('"', '\\"') + '"'


def of_lines(escaped: str) -> str:
    """Between three quotes; the text has its backslashes escaped."""
    core = escaped.rstrip('"')
    quotes = len(escaped) - len(core)
    body = core.replace('"""', '\\"\\"\\"') + '\\"' * quotes
    return f'"""{body}"""'


def said(sentence: str) -> list[str]:
    """A sentence of ours as a comment, in lines of no more than the usual width."""
    return [
        line for each in wrap(sentence, WIDTH - 2, break_on_hyphens=False) for line in comment(each)
    ]


def comment(text: str, mark: str = "# ") -> list[str]:
    """Lines of a comment. Whatever a line of Python could end with, ends one here."""
    shown = (printable(line.expandtabs(4)).rstrip() for line in text.splitlines() or [""])
    return [(mark + line).rstrip() for line in shown]
