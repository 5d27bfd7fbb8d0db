"""Names and lists of Mplus: `y1-y4`, `y1-y4@0`, `x1 x2 (a b)`; case does not matter there."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

THREE_LEVELS = 'mlsem.fit takes blocks level: 1 to level: 3 and cluster=["school", "class"]'
NAME = r"[A-Za-z][\w.]*"
_TOKEN = re.compile(
    rf"(?P<newline>\n)|(?P<name>{NAME}|_\w+)|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|"
    r"(?P<mark>[-@*()|,+])|(?P<blank>[^\S\n]+)"
)
MOST = 500  # names of a list
LONGEST = 20_000  # characters of a statement


class NotTranslated(Exception):
    """A statement that has no counterpart, or none that is known; with a reason for the reader."""


class Names:
    """Names as they are spelt first, and their order: a list `a-d` of variables is by order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self._spelt: dict[str, str] = {}

    def declare(self, names: list[str]) -> None:
        """Columns of the data, in their order."""
        for name in names:
            if name.lower() not in self._spelt:
                self._spelt[name.lower()] = name
                self.order.append(name)

    def spelt(self, name: str) -> str:
        """The name in its first spelling."""
        return self._spelt.setdefault(name.lower(), name)

    def between(self, first: str, last: str) -> list[str]:
        """`first-last`: by their order, if they are columns, else by their numbers."""
        ends = [self.spelt(first), self.spelt(last)]
        if all(end in self.order for end in ends):
            low, high = (self.order.index(end) for end in ends)
            if low <= high:
                return self.order[low : high + 1]
        return [self.spelt(name) for name in numbered(first, last)]


def numbered(first: str, last: str) -> list[str]:
    """`y1-y4`, `a1b-a3b` is none."""
    ends = [re.fullmatch(r"(.*?)(\d+)", name) for name in (first, last)]
    if ends[0] is None or ends[1] is None or ends[0][1].lower() != ends[1][1].lower():
        raise NotTranslated(f"what '{first}-{last}' lists is not known")
    low, high = int(ends[0][2]), int(ends[1][2])
    if not low <= high < low + MOST:
        raise NotTranslated(f"what '{first}-{last}' lists is not known")
    width = len(ends[0][2]) if ends[0][2].startswith("0") else 0
    return [f"{ends[0][1]}{number:0{width}d}" for number in range(low, high + 1)]


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of a list: a name with what is said of its parameter.

    Attributes
    ----------
    how : str
        "@" (fixed), "*" (free, with a starting value if there is one) or empty.
    labels : tuple of str
        One for all left-hand sides, or one for each.
    """

    name: str
    how: str = ""
    value: str = ""
    labels: tuple[str, ...] = ()
    line: int = 0


def plain_names(text: str, names: Names) -> list[str]:
    """Of a list of names alone."""
    items = read_list(text, names)
    if any(item.how or item.labels for item in items):
        raise NotTranslated("a list of names is expected here")
    return [item.name for item in items]


def read_list(text: str, names: Names, *, times: int = 1) -> list[Item]:
    """The items of a list that stands right of `times` names."""
    reader = _Reader(text, names, times)
    while reader.tokens:
        reader.step()
    return reader.items


class _Reader:
    """Reads from the left; labels are those of the parameters on their line."""

    def __init__(self, text: str, names: Names, times: int) -> None:
        self.tokens = _tokens(text)
        self.names = names
        self.times = times
        self.items: list[Item] = []
        self.groups: list[list[int]] = []  # of items that a label after them is for
        self.line = self.labelled = 0

    def step(self) -> None:
        kind, token = self.tokens.pop(0)
        if kind == "newline":
            self.line += 1
        elif kind == "name":
            self._names(token)
        elif token in ("@", "*"):
            self._value(token)
        elif token == "(":
            self._label()
        elif token != ",":
            raise NotTranslated(f"{token!r} is not known here")

    def _names(self, first: str) -> None:
        listed = [self.names.spelt(first)]
        if self._next() == "-":
            self.tokens.pop(0)
            kind, last = self.tokens.pop(0) if self.tokens else ("", "")
            if kind != "name":
                raise NotTranslated(f"'{first}-' has no end")
            listed = self.names.between(first, last)
        start = len(self.items)
        self.items += [Item(name, line=self.line) for name in listed]
        if len(self.items) > MOST:
            raise NotTranslated(f"a list has more than {MOST} names")
        self.groups.append(list(range(start, len(self.items))))

    def _value(self, how: str) -> None:
        sign = ""
        if self._next() in ("-", "+"):
            sign = self.tokens.pop(0)[1].replace("+", "")
        value = ""
        if self.tokens and self.tokens[0][0] == "number":
            value = sign + self.tokens.pop(0)[1]
        if (how == "@" and not value) or not self.groups:
            raise NotTranslated(f"{how!r} lacks its name or value")
        for place in self.groups[-1]:
            self.items[place] = replace(self.items[place], how=how, value=value)

    def _label(self) -> None:
        inside: list[tuple[str, str]] = []
        while self.tokens and self.tokens[0][1] != ")":
            inside.append(self.tokens.pop(0))
        if not self.tokens:
            raise NotTranslated("a parenthesis is not closed")
        self.tokens.pop(0)
        labels = _labels(inside)
        places = [k for k in range(self.labelled, len(self.items)) if self._on_line(k)]
        places = places or list(range(self.labelled, len(self.items)))
        if len(labels) == 1:
            labels *= len(places)
        n = len(places)
        if len(labels) not in (n, n * self.times):
            raise NotTranslated("there are not as many labels as parameters")
        for k, place in enumerate(places):
            self.items[place] = replace(self.items[place], labels=tuple(labels[k::n]))
        self.labelled = len(self.items)

    def _on_line(self, place: int) -> bool:
        return self.items[place].line == self.line

    def _next(self) -> str:
        return self.tokens[0][1] if self.tokens else ""


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > LONGEST:
        raise NotTranslated("it is too long")
    tokens: list[tuple[str, str]] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise NotTranslated(f"{text[place]!r} is not known here")
        place = match.end()
        if match.lastgroup != "blank":
            tokens.append((match.lastgroup, match[0]))
    return tokens


def _labels(inside: list[tuple[str, str]]) -> list[str]:
    """`(a)`, `(1)`, `(a1-a3)`, `(a b)`."""
    words = [token for kind, token in inside if kind != "newline" and token != ","]
    labels: list[str] = []
    while words:
        word = words.pop(0)
        if len(words) >= 2 and words[0] == "-":
            last = words[1]
            del words[:2]
            labels += numbered(_label(word), _label(last))
        else:
            labels.append(_label(word))
    if not labels:
        raise NotTranslated("a label is missing")
    return labels


def _label(word: str) -> str:
    if re.fullmatch(r"\d+", word):
        return f"eq{word}"
    if re.fullmatch(NAME, word) is None:
        raise NotTranslated(f"{word!r} is no label")
    return word
