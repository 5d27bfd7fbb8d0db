"""The words of a formula, and calls in it as Python writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from mlsem.errors import Span, SpecificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>`[^`]+`)|(?P<string>"[^"]*"|'[^']*')
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)|(?P<name>\.?[^\W\d][\w.]*)
    |(?P<sign>%[^%]*%|\|\|?|\*\*|[=!<>]=|&&|.))""",
    re.VERBOSE | re.DOTALL,
)
CLOSING = {"(": ")", "{": "}", "[": "]"}
_LITERALS = {"TRUE": "True", "FALSE": "False", "NULL": "None", "^": "**"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word or sign of the formula; `kind` is quoted, string, number, name, sign or end."""

    kind: str
    text: str
    span: Span


def tokens_of(text: str) -> tuple[Token, ...]:
    """The words and signs of a formula.

    Raises
    ------
    SpecificationError
        A backtick or a quotation mark that is not closed.
    """
    found: list[Token] = []
    for match in _TOKEN.finditer(text.rstrip()):
        kind = match.lastgroup or "sign"
        span = Span(match.start(kind), match.end(kind))
        token = Token(kind, match[kind], span)
        if token.text in "`'\"":
            raise SpecificationError(f"the {token.text} is not closed.", text, span)
        found.append(token)
    return tuple(found)


def joined(tokens: Sequence[Token]) -> str:
    """A call in the words of Python."""
    found = ""
    for token in tokens:
        text = _LITERALS.get(token.text, token.text)
        if token.kind == "number":
            text = format(Decimal(text.removesuffix("L")), "f")
        close = not found or found[-1] in "({[" or text in ("(", ")", "]", "}", ",")
        found += text if close else f" {text}"
    return found


def operand_before(tokens: Sequence[Token], place: int) -> int:
    """Where the operand that ends before `place` begins."""
    depth = 0
    for k in range(place - 1, 0, -1):
        text = tokens[k].text
        depth += (text in CLOSING.values()) - (text in CLOSING)
        if depth == 0:
            called = text in CLOSING and tokens[k - 1].kind == "name"
            return k - 1 if called else k
    return 1


def is_unary(tokens: Sequence[Token], place: int) -> bool:
    before = tokens[place - 1]
    return before.kind == "sign" and before.text not in CLOSING.values()
