"""Levels and groups by what a user calls them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from numbers import Integral
from typing import cast

from mlsem.errors import OptionValueError, listed


def number_of_level(level: object, labels: Sequence[str], count: int) -> int:
    """The number, from 1, of a level given by its number or its label.

    Raises
    ------
    OptionValueError
        With the levels that there are.
    """
    by_label = {label: k for k, label in enumerate(labels, start=1)}
    numbers = range(1, count + 1)
    if isinstance(level, str) and level in by_label:
        return by_label[level]
    if isinstance(level, Hashable) and not isinstance(level, str | bool) and level in numbers:
        return int(cast("int", level))
    choices = listed(dict.fromkeys(map(str, [*numbers, *by_label])))
    raise OptionValueError(f"level={level!r}: the model has the levels {choices}.")


def number_of_group(group: object, labels: Sequence[Hashable]) -> int:
    """The number, from 1, of a group given by its label or its number.

    Raises
    ------
    OptionValueError
        With the groups that there are.
    """
    if not labels:
        raise OptionValueError(
            f"group={group!r}: the model has one group. Leave group= out here, or fit with group=."
        )
    if isinstance(group, Hashable) and group in labels:
        return labels.index(group) + 1
    whole = isinstance(group, Integral) and not isinstance(group, bool)
    if whole and group in range(1, len(labels) + 1):
        return int(cast("int", group))
    choices = ", ".join(map(repr, labels))
    raise OptionValueError(f"group={group!r}: the model has the groups {choices}.")
