"""Readable words in place of the names of variables: `labels={"x1": "Hours of reading"}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlsem.errors import OptionValueError

OPERATORS = ("=~", "~~", ":=", "~")  # those that begin others first
TIMES = " × "
INTERCEPT = "(Intercept)"
# what names of parameters end in: `.g2` after the first group, `.l2` above the first level
_SUFFIX = re.compile(r"(?P<name>.+?)(?:\.g(?P<group>\d+))?(?:\.l(?P<level>\w+))?")
_WORD = re.compile(r"[^\W\d]\w*(?:\.\w+)*(?!\w|\.\w|\s*\()")  # in a call: no function's name


@dataclass(frozen=True, slots=True)
class Labels:
    """Names of variables, and of parameters, as they are shown.

    Attributes
    ----------
    words : mapping of str to str
        By the name of a variable, or of a whole parameter or product.
    """

    words: Mapping[str, str] = field(default_factory=dict)

    def variable(self, name: str) -> str:
        """`Reading × Size` of `x1:w1`; `log(Reading)` of `log(x1)`; `Reading | School` of the
        random slope `x1|id`; else the name."""
        if name in self.words:
            return self.words[name]
        if "|" in name:
            parts = name.split("|")
            shown = [self.variable(part) for part in parts]
            return name if shown == parts else " | ".join(shown)
        if ":" in name:
            parts = name.split(":")
            shown = [self.variable(part) for part in parts]
            return name if shown == parts else TIMES.join(shown)
        if "(" in name and name != INTERCEPT:
            return _WORD.sub(lambda match: self.words.get(match[0], match[0]), name)
        return name

    def parameter(self, name: str, *, ending: bool = True) -> str:
        """`Achievement ~ Reading × Size` of `y~x1:w1`, with `ending` ` (level 2)` where that is
        said; the name itself where there are no labels."""
        if name in self.words or not self.words:
            return self.words.get(name, name)
        for operator in OPERATORS:
            left, sign, right = name.partition(operator)
            if sign:
                return self._relation(left, operator, right, ending)
        head, _, rest = name.partition(".")
        if rest and name not in self.words and self._is_effect(rest):
            return f"{self.variable(head)}: {self._effect(rest)}"
        return self.variable(name)

    def all(self, names: Sequence[str]) -> list[str]:
        """Parameters, one by one; where two would be called the same they keep their names."""
        shown = [self.parameter(name) for name in names]
        return [
            name if shown.count(words) > 1 else words
            for name, words in zip(names, shown, strict=True)
        ]

    def _relation(self, left: str, operator: str, right: str, ending: bool) -> str:
        left, right, said = left.strip(), right.strip(), ""
        if right not in self.words and (match := _SUFFIX.fullmatch(right)) is not None:
            right, said = match["name"], _ending(match["group"], match["level"])
        return f"{self.variable(left)} {operator} {self.variable(right)}{said if ending else ''}"

    def _is_effect(self, rest: str) -> bool:
        """Whether this is an effect, or two, that a label stands for: `x1`, `x1.(Intercept)`."""
        first = rest.removesuffix(f".{INTERCEPT}")
        return self.variable(first) != first

    def _effect(self, rest: str) -> str:
        first = rest.removesuffix(f".{INTERCEPT}")
        return self.variable(first) + ("" if first == rest else f", {INTERCEPT}")


def _ending(group: str | None, level: str | None) -> str:
    """` (level 2)`, ` (between)`, ` (group 2, level 2)`."""
    parts = [f"group {group}"] if group else []
    if level:
        parts.append(f"level {level}" if level.isdigit() else level)
    return f" ({', '.join(parts)})" if parts else ""


def read_labels(labels: object) -> Labels:
    """Those that a user gives.

    Raises
    ------
    OptionValueError
        It is no mapping of names to texts.
    """
    if isinstance(labels, Labels):
        return labels
    if labels is None:
        return Labels()
    if not isinstance(labels, Mapping) or not all(
        isinstance(name, str) and isinstance(words, str) for name, words in labels.items()
    ):
        raise OptionValueError(
            f"labels={labels!r}: it takes readable words by the names of variables, such as "
            'labels={"x1": "Hours of reading"}.'
        )
    return Labels(dict(labels))
