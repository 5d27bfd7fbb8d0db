"""Plausible values: columns that hold several draws of one variable, under one name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.table.columns import require_column
from mlsem.data.table.numbered import PLACE, matching, one_by_one
from mlsem.errors import DataError, OptionValueError, listed
from mlsem.syntax.naming import LABEL

if TYPE_CHECKING:
    import pandas as pd

_NAMED = re.compile(r"(.*?pv)(\d+)(.*)", re.IGNORECASE | re.DOTALL)  # of PISA and its kin
_FORM = 'plausible={"math": "PV{}MATH"}, or the list of its columns'


@dataclass(frozen=True, slots=True)
class PlausibleValues:
    """A variable of which there are several draws.

    Attributes
    ----------
    name : str
        In the model.
    columns : tuple of str
        Of the data, a draw each.
    """

    name: str
    columns: tuple[str, ...]

    @property
    def shown(self) -> str:
        return f"{self.columns[0]} … {self.columns[-1]}"


def read_plausible(given: object, columns: Sequence[Any], text: str) -> tuple[PlausibleValues, ...]:
    """What `plausible=` says, its columns by number.

    Parameters
    ----------
    given : mapping of str to str or sequence of str
        A name of the model, and the names of its columns with ``{}`` in the place of the number, or
        one by one.
    columns : sequence
        Of the data.
    text : str
        The model, which must name the variables and none of the columns.

    Raises
    ------
    OptionValueError
        It is no such mapping, or the model does not go with it.
    DataError
        There are no such columns, not as many for each variable, or a name is a column, too.
    """
    if not isinstance(given, Mapping) or not given:
        raise OptionValueError(
            f"plausible={given!r}: it takes for each variable the names of its columns: {_FORM}."
        )
    named = tuple(column for column in columns if isinstance(column, str))
    found = tuple(_read(name, value, named) for name, value in given.items())
    _require_as_many(found)
    words = set(LABEL.findall(text))
    for each in found:
        if each.name in named:
            raise DataError(
                f"plausible= gives the name {each.name!r} to plausible values, and it is a column "
                "of the data already: choose another name, in the model too, or drop the column."
            )
        if each.name not in words:
            raise OptionValueError(
                f"plausible= has values of {each.name!r}, which the model does not name: write "
                f"{each.name} where the variable stands in the model."
            )
        for column in each.columns:
            if column in words:
                raise OptionValueError(
                    f"the model names {column!r}, one of the {len(each.columns)} plausible values "
                    f"of {each.name!r}: write {each.name} in its place."
                )
    return found


def _read(name: object, value: object, columns: Sequence[str]) -> PlausibleValues:
    if not isinstance(name, str) or not LABEL.fullmatch(name):
        raise OptionValueError(f"plausible= has {name!r}, which a model cannot name: {_FORM}.")
    if isinstance(value, str):
        found = matching(f"plausible[{name!r}]", value, columns)
    elif isinstance(value, Iterable) and not isinstance(value, Mapping):
        found = one_by_one(f"plausible[{name!r}]", value, columns)
    else:
        raise OptionValueError(f"plausible[{name!r}]={value!r}: it takes {_FORM}.")
    if len(found) < 2:
        columns = f"one column, {listed(found)}" if found else "no column"
        raise DataError(
            f"plausible[{name!r}] has {columns}, and plausible values are two or more: a single "
            "column is named in the model."
        )
    return PlausibleValues(name, found)


def _require_as_many(found: Sequence[PlausibleValues]) -> None:
    counts = {each.name: len(each.columns) for each in found}
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{name!r} has {count}" for name, count in counts.items())
        raise DataError(
            f"plausible= has not as many values of each variable: {said}. The first ones belong "
            "together, the second ones, and so on: pass lists of as many columns."
        )


def check_values(frame: pd.DataFrame, found: Iterable[PlausibleValues]) -> None:
    """Refuse columns that are copies of each other.

    Raises
    ------
    DataError
    """
    for each in found:
        values = [require_column(frame, name, "plausible=").to_numpy() for name in each.columns]
        for k, later in enumerate(values):
            for j in range(k):
                if _same(values[j], later):
                    raise DataError(
                        f"{each.columns[j]!r} and {each.columns[k]!r}, plausible values of "
                        f"{each.name!r}, have the same value in every row: one is a copy of the "
                        "other."
                    )


def _same(one: Any, other: Any) -> bool:
    both = one == other
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        both = both | (np.isnan(one) & np.isnan(other))
    return bool(np.all(both))


def lone_values(names: Iterable[str], columns: Iterable[str], *, many: bool = True) -> str:
    """A warning where a model names plausible values, ``PV1MATH``, beside which the data have
    others; empty elsewhere. Columns without "PV" before the number may be items of a test. `many`
    where `fit_many` fits the model."""
    there = set(columns)
    for name in names:
        match = _NAMED.fullmatch(name)
        if match is None:
            continue
        before, _, after = match.groups()
        form = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
        siblings = [each for each in there if form.fullmatch(each)]
        if len(siblings) > 1:
            variable = (after or before).strip("_.").lower() or "value"
            together = (
                f'mlsem.fit_many(…, plausible={{"{variable}": "{before}{PLACE}{after}"}}) fits the '
                "model to each and pools the fits."
            )
            return (
                f"{name!r} is one of {len(siblings)} plausible values: with it alone standard "
                "errors leave out how uncertain the measurement is (with their mean, variances are "
                f"wrong, too). "
                + (together if many else "Fit the model to each, and pool the fits: mlsem.pool.")
            )
    return ""
