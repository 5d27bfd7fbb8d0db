"""An Mplus input cut into sections, and these into statements and settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsem.errors import ModelSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 200_000  # characters of an input
_HEADS = (
    "TITLE", "DATA", "VARIABLE", "DEFINE", "ANALYSIS", "MODEL", "OUTPUT", "SAVEDATA", "PLOT",
    "MONTECARLO",
)  # fmt: skip
_HEAD = re.compile(
    r"(?:^|(?<=;))[^\S\n]*(?P<word>[A-Za-z]{4,10})(?:[^\S\n]+(?P<rest>[\w#.%]+))?[^\S\n]*:(?!=)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its head, what follows the head's first word (`CONSTRAINT`), and its text."""

    head: str
    rest: str
    body: str

    @property
    def name(self) -> str:
        """As a reader knows it."""
        return f"{self.head} {self.rest}".strip()


def cut(text: str) -> list[Section]:
    """The sections in their order, without comments.

    Raises
    ------
    ModelSyntaxError
        There is none, or the text is too long.
    """
    if len(text) > LONGEST:
        raise ModelSyntaxError(f"the input has more than {LONGEST} characters.")
    text = re.sub(r"![^\n]*", "", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = text.removeprefix("\ufeff")
    heads = [(match, full) for match in _HEAD.finditer(text) if (full := _full(match["word"]))]
    if not any(full == "MODEL" for _, full in heads):
        raise ModelSyntaxError(
            "the text has no section 'MODEL:', so that it is no Mplus input with a model."
        )
    ends = [*(match.start() for match, _ in heads[1:]), len(text)]
    return [
        Section(full, (match["rest"] or "").upper(), text[match.end() : end].strip())
        for (match, full), end in zip(heads, ends, strict=True)
    ]


def _full(word: str) -> str:
    """The head that a word stands for: four letters are enough."""
    return next((head for head in _HEADS if head.startswith(word.upper())), "")


def statements(body: str) -> list[str]:
    """What stands between semicolons; `%WITHIN%` needs none."""
    marked = re.sub(r"(%[^%;\n]*%)", r";\1;", body)
    return [part.strip() for part in marked.split(";") if part.strip()]


@dataclass(frozen=True, slots=True)
class Setting:
    """`ESTIMATOR = MLR`: the full name in capitals, and the value as it is written."""

    name: str
    value: str
    text: str


_SETTING = re.compile(
    r"(?P<name>[A-Za-z]\w*)\s*(?:=|\bIS\b|\bARE\b)\s*(?P<value>.*)", re.IGNORECASE | re.DOTALL
)


def settings(body: str, names: Iterable[str]) -> list[Setting]:
    """The settings of a section; the name of what is none of `names` is empty."""
    found: list[Setting] = []
    for statement in statements(body):
        match = _SETTING.fullmatch(statement)
        word = match["name"].upper() if match else ""
        full = next((name for name in names if name == word), "") or next(
            (name for name in names if len(word) >= 4 and name.startswith(word)), ""
        )
        found.append(Setting(full, match["value"].strip() if match else "", statement))
    return found


def one_line(text: str) -> str:
    """For a comment."""
    return " ".join(text.split())
