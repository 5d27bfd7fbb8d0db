"""What a question about a mixed model holds its columns at, read and checked; contrasts as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mlsem.data.design.grid import Level, Predictor, ReferenceGrid
from mlsem.errors import OptionValueError, listed, nearest

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_CONDITION = re.compile(
    rf"""\s*(?P<name>`[^`]+`|[^\W\d][\w.]*)\s*==?\s*
    (?P<value>"[^"]*"|'[^']*'|{_NUMBER}(?![\w.])|[^\s,&=`"']+)\s*""",
    re.VERBOSE,
)
EXAMPLE = '"x = 1 - x = 0", "f = b, x = 2 - f = a, x = 2", or contrast({"x": 1}, {"x": 0})'


def names_of(given: object, grid: ReferenceGrid, argument: str) -> tuple[str, ...]:
    """Columns of the fixed effects.

    Raises
    ------
    OptionValueError
        One that there is not, or twice.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        parts = re.split(r"[*+:]", given) if given not in grid.names else [given]
        names = tuple(part.strip() for part in parts)
    elif isinstance(given, Iterable):
        names = tuple(given)
    else:
        raise OptionValueError(f"{argument}={given!r}: it takes a column of the data, or several.")
    for name in names:
        _require_known(name, grid, argument)
    if len(set(names)) < len(names):
        raise OptionValueError(f"{argument}={given!r}: a column stands there twice.")
    return names


def _require_known(name: object, grid: ReferenceGrid, argument: str) -> None:
    if name in grid.names:
        return
    has = f"They are made of {listed(grid.names, 20)}." if grid.names else "There are none."
    raise OptionValueError(
        f"{argument}: {name!r} is no column of the data that the fixed effects of this model are "
        f"made of. {has}{nearest(str(name), grid.names)}"
    )


def values_at(given: object, grid: ReferenceGrid, argument: str = "at") -> dict[str, list[Level]]:
    """Values by column.

    Raises
    ------
    OptionValueError
        A column that there is not, a level that it has not, or what is no value.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise OptionValueError(
            f'{argument}={given!r}: it takes values by column, such as {{"x1": [0, 1]}}.'
        )
    found: dict[str, list[Level]] = {}
    for name, values in given.items():
        _require_known(name, grid, argument)
        several = list(values) if _is_list(values) else [values]
        if not several:
            raise OptionValueError(f"{argument}: there are no values for {name!r}.")
        found[name] = [_value(each, grid.predictor(name), argument) for each in several]
    return found


def _is_list(values: object) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str | bytes)


def _value(value: Any, predictor: Predictor, argument: str) -> Level:
    name = predictor.name
    if predictor.kind == "text":
        if str(value) in predictor.levels:
            return str(value)
        raise OptionValueError(
            f"{argument}: {name!r} has no level {str(value)!r}. Its levels are "
            f"{listed(map(str, predictor.levels), 20)}.{nearest(str(value), _texts(predictor))}"
        )
    if predictor.kind == "logical":
        known = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
        if str(value).lower() in known:
            return known[str(value).lower()]
        raise OptionValueError(f"{argument}: {name!r} is True or False, not {value!r}.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise OptionValueError(f"{argument}: {name!r} is a number, and {value!r} is none.")
    return number


def _texts(predictor: Predictor) -> list[str]:
    return [str(each) for each in predictor.levels]


def read_contrast(text: str, grid: ReferenceGrid) -> tuple[dict[str, Any], dict[str, Any]]:
    """``"x = 1, f = b - x = 0, f = b"`` as the two settings whose difference is asked for.

    Raises
    ------
    OptionValueError
        It cannot be read.
    """
    first, place = _conditions(text, 0)
    if place >= len(text) or text[place] not in "-−":
        raise _unread(text, place, "a minus sign and what it is compared with")
    second, place = _conditions(text, place + 1)
    if place < len(text):
        raise _unread(text, place, "the end")
    for side in (first, second):
        values_at(side, grid, "contrast")
    return first, second


def _conditions(text: str, place: int) -> tuple[dict[str, Any], int]:
    """Of one side, from a place on."""
    found: dict[str, Any] = {}
    while True:
        match = _CONDITION.match(text, place)
        if match is None:
            raise _unread(text, place, "a column and its value, such as x = 1")
        name, value = match["name"].strip("`"), match["value"]
        if name in found:
            raise OptionValueError(f"contrast {text!r}: {name!r} stands twice on one side.")
        found[name] = value.strip("\"'")
        place = match.end()
        if place >= len(text) or text[place] not in ",&":
            return found, place
        place += 1


def _unread(text: str, place: int, wanted: str) -> OptionValueError:
    rest = text[place:].strip() or "the end"
    return OptionValueError(
        f"contrast {text!r}: at {rest!r} {wanted} should stand. It is written {EXAMPLE}."
    )
