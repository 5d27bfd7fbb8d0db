"""From the lines a user wrote to one statement a line, without moving a single character."""

from __future__ import annotations

import re
from unicodedata import name as unicode_name

from mlsem.errors import ModelSyntaxError, Span

MAX_NESTING = 50

_PIECES = re.compile(
    r"""
    (?P<string>"[^"\r\n]*"|'[^'\r\n]*')
  | (?P<quote>["'])
  | (?P<comment>[#!][^\r\n]*)
  | (?P<newline>[\r\n;\v\f\x1c-\x1e\x85\u2028\u2029])
  | (?P<blank>\s)
  | (?P<open>\()
  | (?P<close>\))
  | (?P<joint>~\*~|=~|~~|<~|\|~|:=|==|[-+*/^?,~<>|:])
  | (?P<word>[A-Za-z0-9_.]+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

# A header that no product could be: `level:w` may be one, of a column `level`.
_HEADER = re.compile(
    r"""(?:level|group) (?: \s*:\s* (?: \d[\w.]* | (?:within|between)\w* )
      | \s*:\s* (?: "[^"\r\n]*" | '[^'\r\n]*' )
      | \s*:[^\S\r\n]+ [\w.]+ | [^\S\r\n]*=?[^\S\r\n]+ \d+ ) [^\S\r\n]* (?=[\r\n;\#!]|\Z)""",
    re.VERBOSE | re.IGNORECASE,
)

# Look-alikes that a PDF, a word processor or an input method puts in place of what was meant.
_LOOKALIKES = {
    **dict.fromkeys("\u223c\uff5e\u02dc\u301c\u2053\u223d", "~"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d", "-"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\uff02", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u00b4\u2039\u203a\uff07", "'"),
    **dict.fromkeys("\u00d7\u2217\u22c5\u00b7\u2022\uff0a", "*"),
    **dict.fromkeys("\u00f7\u2215\u2044\uff0f", "/"),
    **dict.fromkeys("\u02c6\u2038\uff3e", "^"),
    **dict.fromkeys("\uff1a\u2236\ua789", ":"),
    "\uff1d": "=",
    "\uff0b": "+",
    "\uff1b": ";",
    "\uff0c": ",",
    "\uff08": "(",
    "\uff09": ")",
    "\uff1c": "<",
    "\uff1e": ">",
    "\u2264": "<",
    "\u2265": ">",
    "\u2248": "=~",
    "\u2254": ":=",
    "\uff03": "#",
    "\uff01": "!",
    "\uff5c": "|",
}
_INVISIBLE = set("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
_EMPTY_OPERATORS = {"joint", "open"}


def layout(text: str) -> str:
    """Blank out comments and the line ends inside a statement.

    A statement goes on over a line end where the line before ends with, or the next one begins
    with, an operator, and inside parentheses; blank and comment lines may lie between. The
    result is as long as `text` plus one line end, so every position in it is one in `text`.

    Raises
    ------
    ModelSyntaxError
        Unbalanced parentheses, an open quote, or a character pasted in place of another.
    """
    characters = list(text)
    opened: list[int] = []
    pending: list[int] = []
    last = "open"  # nothing stands before the first statement, so no line end is needed there
    operator = Span(0, 0)
    for piece in _PIECES.finditer(text):
        kind, start = str(piece.lastgroup), piece.start()
        if kind in ("comment", "blank", "newline") or (start == 0 and piece[0] == "\ufeff"):
            characters[start : piece.end()] = " " * len(piece[0])
            pending.extend([start] if kind == "newline" else [])
            continue
        if pending and not (opened or last in _EMPTY_OPERATORS or kind == "joint"):
            characters[pending[0]] = "\n"
        elif pending and last == "joint" and kind == "word" and not opened:
            _check_header(text, operator, start)
        pending, last = [], kind
        operator = Span(start, piece.end()) if kind == "joint" else operator
        _check_piece(kind, piece[0], start, opened)
    if opened:
        raise ModelSyntaxError("this '(' is never closed.", None, Span(opened[-1], opened[-1] + 1))
    return "".join(characters) + "\n"


def _check_header(text: str, operator: Span, start: int) -> None:
    """A line that ends with an operator does not go on with a header."""
    header = _HEADER.match(text, start)
    if header is None:
        return
    line, _ = Span(start, start).position(text)
    written = text[operator.start : operator.end]
    raise ModelSyntaxError(
        f"the line ends with {written!r}, so the statement goes on, but {header[0].strip()!r} in "
        f"line {line} begins a block: write what is to follow {written!r}, or take it away.",
        None,
        operator,
    )


def _check_piece(kind: str, piece: str, start: int, opened: list[int]) -> None:
    """Keep count of the open parentheses; raise on what can be in no statement."""
    span = Span(start, start + len(piece))
    if kind == "open":
        opened.append(start)
        if len(opened) > MAX_NESTING:
            message = f"more than {MAX_NESTING} parentheses inside one another."
            raise ModelSyntaxError(message, None, span)
    elif kind == "close":
        if not opened:
            raise ModelSyntaxError("this ')' has no '(' before it.", None, span)
        opened.pop()
    elif kind == "quote":
        raise ModelSyntaxError("this quote is not closed on its line.", None, span)
    elif kind == "other":
        _check_character(piece, span)


def _check_character(character: str, span: Span) -> None:
    if character in _LOOKALIKES:
        advice = f"type {_LOOKALIKES[character]!r} instead."
    elif character in _INVISIBLE:
        advice = "it is invisible: delete it."
    else:
        return
    shown = f"{character!r} (U+{ord(character):04X} {unicode_name(character, 'unnamed')})"
    raise ModelSyntaxError(f"the character {shown} has no meaning here: {advice}", None, span)
