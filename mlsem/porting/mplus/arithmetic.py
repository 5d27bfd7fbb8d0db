"""Formulas of DEFINE and MODEL CONSTRAINT, token by token: none is taken over as text."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from mlsem.porting.mplus.lists import LONGEST, NAME, Names, NotTranslated

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = re.compile(
    rf"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>{NAME}|_MISSING)|"
    r"(?P<mark>\*\*|==|/=|>=|<=|[-+*/()<>,=^]))",
    re.IGNORECASE,
)
_NUMPY = {
    "log": "np.log", "log10": "np.log10", "exp": "np.exp", "sqrt": "np.sqrt", "abs": "np.abs",
    "sin": "np.sin", "cos": "np.cos", "tan": "np.tan",
}  # fmt: skip
_WORDS = {
    "eq": "==", "ne": "!=", "gt": ">", "lt": "<", "ge": ">=", "le": "<=",
    "and": "&", "or": "|", "not": "~",
}  # fmt: skip
_MARKS = {"^": "**", "=": "==", "/=": "!="}


def tokens(text: str) -> list[tuple[str, str]]:
    """(kind, token) of a formula."""
    if len(text) > LONGEST:
        raise NotTranslated("it is too long")
    listed: list[tuple[str, str]] = []
    place, text = 0, text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise NotTranslated(f"{text[place:].strip()[:1]!r} is not known in a formula")
        place = match.end()
        listed.append((match.lastgroup, match[match.lastgroup]))
    if not listed:
        raise NotTranslated("a formula is empty")
    return listed


def in_python(text: str, names: Names, column: Callable[[str], str]) -> str:
    """An expression of columns, with numpy's functions; conditions become masks."""
    return valid(" ".join(_python(tokens(text), names, column)))


def _python(listed: list[tuple[str, str]], names: Names, column: Callable[[str], str]) -> list[str]:
    written: list[str] = []
    comparing = any(token.lower() in _WORDS or token in _MARKS for _, token in listed)
    for k, (kind, token) in enumerate(listed):
        called = k + 1 < len(listed) and listed[k + 1][1] == "("
        word = token.lower()
        if kind == "name" and word in _WORDS:
            if word == "not" and not called:
                raise NotTranslated("NOT needs parentheses")
            joins = word in ("and", "or")
            written.append(f") {_WORDS[word]} (" if joins else _WORDS[word])
        elif kind == "name" and called:
            if word not in _NUMPY:
                raise NotTranslated(f"the function {token} is not known here")
            written.append(_NUMPY[word])
        elif kind == "name":
            written.append(column(names.spelt(token)))
        else:
            written.append(_MARKS.get(token, token) if comparing or token == "^" else token)
    joined = any(part.startswith(") ") for part in written)
    return ["(", *written, ")"] if joined else written


def in_lavaan(text: str, labels: Names) -> str:
    """An expression of labels in the model's language."""
    written: list[str] = []
    listed = tokens(text)
    for k, (kind, token) in enumerate(listed):
        called = k + 1 < len(listed) and listed[k + 1][1] == "("
        if kind == "name" and called and token.lower() not in ("log", "exp", "sqrt", "abs"):
            raise NotTranslated(f"the function {token} is not known here")
        known = kind != "mark" or token in ("**", "^", "+", "-", "*", "/", "(", ")")
        if not known:
            raise NotTranslated(f"{token!r} is not known in a formula")
        shown = token.lower() if called else labels.spelt(token) if kind == "name" else token
        written.append({"**": "^"}.get(shown, shown))
    valid(" ".join(written).replace("^", "**"))
    spaced = re.sub(r"\b(log|exp|sqrt|abs) \(", r"\1(", " ".join(written))
    return re.sub(r"\( | \)| \^ ", lambda match: match[0].strip(), spaced)


def valid(code: str) -> str:
    """The code, tidied, if it is a Python expression; it is read, not run."""
    try:
        return ast.unparse(ast.parse(code.strip(), mode="eval"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NotTranslated("a formula cannot be read") from None
