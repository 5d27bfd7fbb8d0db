"""The grouping column: which groups there are, in which order, and the rows of each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from mlsem.data.table.columns import SHOWN, brief, require_column, require_one_column
from mlsem.data.table.grouping import blank, factorised, stable_order
from mlsem.errors import DataError, OptionValueError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Index

Found = TypeVar("Found")

MOST = 1000
"""Groups from which on the column is taken for no grouping."""
MOST_FRACTIONS = 20
"""Distinct values with fractions from which on they are taken for measurements."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupRows:
    """The rows of the frame by group.

    Attributes
    ----------
    order : (N,) int or None
        Positions of the rows that belong to a group, group after group, in each in the order of
        the frame; None where all rows of the frame stand in that order already.
    sizes : (G,) int
        Rows of each group.
    missing : (R,) bool or None
        Rows without a group; None where there are none.
    others : int
        Rows of groups that were not chosen.
    """

    order: Index | None
    sizes: NDArray[np.int64]
    missing: NDArray[np.bool_] | None
    others: int

    @property
    def n_missing(self) -> int:
        return 0 if self.missing is None else int(self.missing.sum())


def group_labels(
    data: pd.DataFrame, group: object, group_label: object = None
) -> tuple[Hashable, ...]:
    """The groups of a frame, in order.

    Parameters
    ----------
    data : DataFrame
    group : str
        The grouping column: text, numbers, truth values, categories or dates.
    group_label : sequence, optional
        The groups that are meant, in this order. Default: all, in the order of the categories of
        a categorical column, else sorted.

    Returns
    -------
    tuple
        The values of the groups, as those of Python; whole numbers are integers.

    Raises
    ------
    DataError
        The column is absent or there twice; it has no two groups, or so many that it is no
        grouping.
    OptionValueError
        `group` is no name, or `group_label` no list of groups that there are.
    """
    name = require_one_column("group", group, data)
    series = require_column(data, name, "group= names")
    codes, values = _values(series, name)
    if not values:
        raise DataError(f"the grouping column {name!r} is missing in every row.")
    if group_label is not None:
        return _chosen(name, values, group_label)
    if len(values) == 1:
        raise DataError(
            f"there is one group: {name!r} is {_shown(values)} in every row. Leave group= out."
        )
    _check_number(name, values, int((codes >= 0).sum()))
    return tuple(_ordered(series, values))


def labels_in(data: pd.DataFrame, group: object) -> list[Hashable]:
    """The values of a grouping column, whatever they are."""
    name = require_one_column("group", group, data)
    return _values(require_column(data, name, "group= names"), name)[1]


def group_rows(data: pd.DataFrame, name: str, labels: Sequence[Hashable]) -> GroupRows:
    """The rows of each of these groups.

    Raises
    ------
    DataError
        The column is absent or there twice, or a group has no rows.
    """
    codes, values = _values(require_column(data, name, "group= names"), name)
    place = {label: k for k, label in enumerate(labels)}
    absent = place.keys() - {*values}
    if absent:
        label = next(each for each in labels if each in absent)
        raise DataError(f"no row is of group {_shown([label])}: {_there(name, values, label)}")
    places = np.array([*(place.get(value, len(place)) for value in values), len(place)])
    of_row = places[codes]
    counts = np.bincount(of_row, minlength=len(place) + 1)
    gone = codes < 0
    missing = gone if gone.any() else None
    left = int(counts[-1])
    order = None
    if left or (of_row[1:] < of_row[:-1]).any():
        narrow = of_row.astype(np.uint16 if len(place) < 1 << 16 else np.uint32)
        order = stable_order(narrow)[: len(of_row) - left]
    n_missing = 0 if missing is None else int(missing.sum())
    return GroupRows(order, counts[:-1].astype(np.int64), missing, left - n_missing)


def places_of_groups(
    data: pd.DataFrame, name: str, labels: Sequence[Hashable]
) -> tuple[list[Index], pd.Series]:
    """Positions of the rows of each of these groups, some of which may have none, and the column.

    Raises
    ------
    DataError
        The column is absent or there twice.
    """
    column = require_column(data, name, "group= of the fit named")
    codes, values = _values(column, name)
    place = {label: k for k, label in enumerate(labels)}
    known = np.array([*(place.get(value, -1) for value in values), -1])[codes]
    return [np.flatnonzero(known == k) for k in range(len(labels))], column


def named_groups(labels: Sequence[Hashable]) -> str:
    """`group 'a'`, or `groups 'a', 'b'`, for a message."""
    return f"group{'' if len(labels) == 1 else 's'} {_shown(labels)}"


def _values(series: pd.Series, name: str) -> tuple[NDArray, list[Any]]:
    """The code of each row, -1 where the group is missing, and the value of each code."""
    codes, uniques = factorised(series, f"grouping column {name!r}")
    empty = blank(uniques)
    if empty.any():
        renumbered = np.where(empty, -1, np.cumsum(~empty) - 1)
        codes, uniques = np.append(renumbered, -1)[codes], uniques[~empty]
    plain = pd.Series(uniques).tolist() if uniques.dtype.kind in "mM" else uniques.tolist()
    return codes, [_scalar(value) for value in plain]


def _scalar(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _ordered(series: pd.Series, values: list[Any]) -> list[Any]:
    """Categories in their order; else numbers before all else, both sorted."""
    dtype: Any = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        rank = {_scalar(value): place for place, value in enumerate(dtype.categories.tolist())}
        return sorted(values, key=rank.__getitem__)
    try:
        return sorted(values)
    except TypeError:
        numbers = sorted(value for value in values if _is_number(value))
        return numbers + sorted((value for value in values if not _is_number(value)), key=str)


def _is_number(value: object) -> bool:
    return isinstance(value, Number) and not isinstance(value, complex)


def _check_number(name: str, values: list[Any], rows: int) -> None:
    """Refuse measurements and ids."""
    fractions = any(isinstance(value, float) for value in values)
    if len(values) == rows:
        told = f"has another value in each of the {rows} rows"
    elif len(values) > MOST or (fractions and len(values) > MOST_FRACTIONS):
        told = f"has {len(values)} values"
    else:
        return
    numeric = all(_is_number(value) for value in values)
    kind = "looks like a continuous variable" if numeric else "looks like the ids of units"
    advice = (
        f"Cut it into groups before (pandas.cut, pandas.qcut), or use {name!r} as a covariate."
        if numeric
        else "Name the column of the groups that these belong to."
    )
    raise DataError(f"the grouping column {name!r} {told} and {kind}. {advice}")


def _chosen(name: str, values: list[Any], group_label: object) -> tuple[Hashable, ...]:
    """The groups that `group_label` names."""
    if isinstance(group_label, str) or not isinstance(group_label, Iterable):
        given: list[Any] = [group_label]
    else:
        given = [_scalar(label) for label in group_label]
    known = {value: value for value in values}
    found: list[Hashable] = []
    for label in given:
        try:
            value = known.get(label)
        except TypeError:
            value = None
        if value is None:
            raise OptionValueError(
                f"group_label names {_shown([label])}: {_there(name, values, label)}"
            )
        if value in found:
            raise OptionValueError(f"group_label names {_shown([label])} twice. Keep one.")
        found.append(value)
    if len(found) < 2:
        raise OptionValueError(
            f"group_label names {len(found)} group{'' if len(found) == 1 else 's'}, and several "
            "groups are at least two. For a model of one pass its rows alone, without group=."
        )
    if len(found) > MOST:
        _check_number(name, found, -1)
    return tuple(found)


def _there(name: str, values: list[Any], label: object) -> str:
    """What the groups are, and which one may be meant."""
    told = f"{name!r} has {_shown(values)}."
    same = [value for value in values if str(value) == str(label)]
    if same:
        kind = "text" if isinstance(same[0], str) else f"a {type(same[0]).__name__}"
        return f"{told} {_shown(same)} is {kind} in the data."
    texts = [value for value in values if isinstance(value, str)]
    return told + (nearest(label, texts) if isinstance(label, str) else "")


def _shown(labels: Sequence[Any]) -> str:
    shown = [repr(brief(each)) if isinstance(each, str) else brief(each) for each in labels]
    more = f" and {len(shown) - 2 * SHOWN} more" if len(shown) > 2 * SHOWN else ""
    return ", ".join(shown[: 2 * SHOWN]) + more


# --- what is done group by group ------------------------------------------------------------------


def each_group(labels: Sequence[Hashable], step: Callable[[int], Found]) -> list[Found]:
    """A step of each group; an error says in which groups."""
    done: list[Found] = []
    failed: dict[str, list[Hashable]] = {}
    for place, label in enumerate(labels):
        try:
            done.append(step(place))
        except DataError as error:
            failed.setdefault(error.args[0], []).append(label)
    if not failed:
        return done
    message, where = next(iter(failed.items()))
    everywhere = len(where) == len(labels)
    raise DataError(message if everywhere else f"{named_groups(where)}: {message}")


def notes_by_group(labels: Sequence[Hashable], notes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Notes of groups, each once; those that not all groups have say which do."""
    having: dict[str, list[Hashable]] = {}
    for label, own in zip(labels, notes, strict=True):
        for note in own:
            having.setdefault(note, []).append(label)
    return tuple(
        note if len(where) == len(labels) else f"{named_groups(where)}: {note}"
        for note, where in having.items()
    )
