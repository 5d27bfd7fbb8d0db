"""Columns with a number in their names, ``"PV{}MATH"``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlsem.errors import DataError, OptionValueError, nearest

PLACE = "{}"


def numbered(where: str, given: object, columns: Sequence[Any], what: str) -> tuple[str, ...]:
    """The columns that a pattern or a list names, a pattern's by number.

    Parameters
    ----------
    where : str
        Opens messages: the argument.
    given : str or sequence of str
        A name with ``{}`` in the place of the number, or names one by one.
    columns : sequence
        Of the data.
    what : str
        What the columns have.

    Raises
    ------
    OptionValueError
        It is neither, names a column twice or none.
    DataError
        There are no such columns.
    """
    named = [column for column in columns if isinstance(column, str)]
    if isinstance(given, str):
        return matching(where, given, named)
    if isinstance(given, Iterable) and not isinstance(given, Mapping):
        return one_by_one(where, given, named)
    raise OptionValueError(f"{where}: it takes the columns of {what}, a name with {{}} or a list.")


def matching(where: str, pattern: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of a pattern, by number."""
    before, place, after = pattern.partition(PLACE)
    if not place or PLACE in after:
        raise OptionValueError(
            f"{where}={pattern!r}: it has {{}} once, in the place of the number, as in "
            '"PV{}MATH".'
        )
    form = re.compile(rf"{re.escape(before)}(\d+){re.escape(after)}")
    found: dict[int, str] = {}
    for column in columns:
        if (match := form.fullmatch(column)) is not None:
            number = int(match[1])
            if number in found:
                raise DataError(
                    f"{where}={pattern!r}: {found[number]!r} and {column!r} have the "
                    "same number. Pass the list of columns."
                )
            found[number] = column
    if not found:
        raise DataError(
            f"{where}={pattern!r}: no column of the data is {before}1{after}, or with "
            f"another number.{nearest(f'{before}1{after}', columns)}"
        )
    return tuple(found[number] for number in sorted(found))


def one_by_one(where: str, given: Iterable[object], columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of a list, each once."""
    found = tuple(map(str, given))
    for column in found:
        if column not in columns:
            raise DataError(
                f"{where} names {column!r}, and the data have no such column."
                f"{nearest(column, columns)}"
            )
    twice = [column for k, column in enumerate(found) if column in found[:k]]
    if twice or not found:
        said = f"names {twice[0]!r} twice" if twice else "is empty"
        raise OptionValueError(f"{where} {said}: it takes each column once.")
    return found
