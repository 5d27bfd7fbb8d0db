"""Text of others made fit for a terminal: escaped, measured in columns, cut.

Names, labels, ids, paths and lines of a model can hold anything. They come out through here only:
`sentences` in errors and warnings, `excerpt` under them, `cell` and `lines` in what is printed.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING
from unicodedata import category, east_asian_width

if TYPE_CHECKING:
    from collections.abc import Iterable

WORD = 200  # the longest word or quoted name that is shown whole, in columns
MESSAGE = 1600  # the longest message without its excerpt
EXCERPT, MARKED = 80, 60  # columns of an excerpt, and of those at most with a caret
_LONG = re.compile(
    rf"""(?<![\w\\])(?:'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")(?!\w)|\S{{{WORD + 1},}}"""
)


def printable(text: str, keep: str = "") -> str:
    """The text, with escapes for the characters that a terminal obeys or hides.

    Those are control characters, line and paragraph separators, marks of direction, characters of
    no width, half surrogates and code points without a meaning: what Python's `repr` escapes, but
    for blanks. Characters in `keep` stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c in keep else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if character.isprintable() or category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()


def sentences(text: str) -> str:
    """A message: escaped but for its line ends, with what it quotes shortened, and no longer than
    `MESSAGE` columns."""
    if len(text) > WORD:
        text = _LONG.sub(lambda match: shortened(match[0], WORD), text)
    return shortened(printable(text, keep="\n"), MESSAGE)


def cell(text: str, width: int = WORD) -> str:
    """A name or other short text in a table: one line, escaped, no wider than this."""
    return shortened(printable(shortened(text, width)), width)


def lines(texts: Iterable[str]) -> str:
    """Texts, escaped, each on a line of its own."""
    return "\n".join(map(printable, texts))


# --- columns ------------------------------------------------------------------------------------


def display_width(text: str) -> int:
    """Columns that `text` takes on a terminal: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_character_width, text))


def _character_width(character: str) -> int:
    # vowels and finals of Hangul join the consonant before them
    if category(character) in ("Mn", "Me") or "\u1160" <= character <= "\u11ff":
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def pad_right(text: str, width: int) -> str:
    """`text` at the left of `width` columns."""
    return text + " " * (width - display_width(text))


def pad_left(text: str, width: int) -> str:
    """`text` at the right of `width` columns."""
    return " " * (width - display_width(text)) + text


def shortened(text: str, width: int) -> str:
    """The text in `width` columns and characters at most, its middle left out where it is longer:
    the ends tell names apart."""
    if len(text) <= width and display_width(text) <= width:
        return text
    left = (width - 1) // 2
    head = _fitting(text[:left], left)
    tail = _fitting(text[: -width + left : -1], width - 1 - left)
    return "".join((*head, "…", *reversed(tail)))


def _fitting(pieces: Iterable[str], width: int) -> list[str]:
    """The first pieces, as many as fit in `width` columns."""
    all_pieces = list(pieces)
    ends = accumulate(map(display_width, all_pieces))
    return [piece for piece, end in zip(all_pieces, ends, strict=True) if end <= width]


# --- excerpts -----------------------------------------------------------------------------------


def excerpt(line: str, start: int, end: int) -> tuple[str, str]:
    """What stands in a line around the characters ``[start, end)``, and carets under them.

    Returns
    -------
    shown : str
        `EXCERPT` columns at most besides an ellipsis at each cut.
    carets : str
        Blanks, then a caret for each column of what is marked, one at least.
    """
    start = min(start, len(line))
    end = max(start, end)
    marked = _fitting(_pieces(line[start:end][:MARKED]), MARKED)
    whole = len(marked) == end - start
    room = EXCERPT - _width(marked)
    before = _fitting(_pieces(line[max(start - room, 0) : start][::-1]), room)
    after = _fitting(_pieces(line[end : end + room]), room) if whole else []
    # what one side does not need is the other's
    before = _fitting(before, max(room // 2, room - _width(after)))
    after = _fitting(after, room - _width(before))
    lead = ("…" if len(before) < start else "") + "".join(reversed(before))
    middle = "".join(marked) + ("" if whole else "…")
    trail = "".join(after) + ("…" if whole and end + len(after) < len(line) else "")
    carets = "^" * max(1, display_width(middle))
    return lead + middle + trail, " " * display_width(lead) + carets


def _pieces(characters: str) -> list[str]:
    return [" " if character == "\t" else _escaped(character) for character in characters]


def _width(pieces: list[str]) -> int:
    return sum(map(display_width, pieces))
