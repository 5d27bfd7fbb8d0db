"""Columns with a number in their names, by the pattern that `mlsem.Fay` and its kin take."""

from __future__ import annotations

import re
from collections.abc import Sequence

PLACE = "{}"
_ENDS = re.compile(r"(.*?)(\d+)(\D*)")


def pattern_of(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """The name with ``{}`` in the place of the number that stands for these columns, in their
    order, and for no others of the data; None where there is none.

    Examples
    --------
    >>> from mlsem.porting.numbered import pattern_of
    >>> pattern_of(["rw1", "rw2"], ["y", "rw1", "rw2"])
    'rw{}'
    >>> pattern_of(["rw1", "rw2"], ["y", "rw1", "rw2", "rw3"]) is None
    True
    """
    first = _ENDS.fullmatch(names[0])
    if first is None:
        return None
    form = re.compile(rf"{re.escape(first[1])}(\d+){re.escape(first[3])}")
    found = {int(match[1]): name for name in columns if (match := form.fullmatch(name))}
    there = [found[number] for number in sorted(found)]
    return f"{first[1]}{PLACE}{first[3]}" if there == list(names) else None


def pattern_of_regex(regex: str) -> str | None:
    """The same of R's regular expression, ``rw[0-9]+``; None where it is another kind of one."""
    match = re.fullmatch(r"\^?([A-Za-z._][\w.]*?)(?:\[[01]-9\]|\\d)[+*]?([A-Za-z_.]*)\$?", regex)
    return f"{match[1]}{PLACE}{match[2]}" if match else None
