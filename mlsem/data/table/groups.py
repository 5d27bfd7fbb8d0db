"""The grouping column: which groups there are, in which order, and the rows of each."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlsem.data.table.columns import (
    SHOWN,
    brief,
    require_column,
    require_one_column,
    rows_named,
)
from mlsem.data.table.grouping import blank, factorised, stable_order
from mlsem.errors import DataError, OptionValueError, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.core.records import Index
    from mlsem.syntax.nodes import GroupHeader

MOST = 1000
"""Groups that a column may have; with more it is taken for no grouping."""
MOST_FRACTIONS = 20
"""Distinct values that a column with fractions may have; with more they are measurements."""


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

    def positions(self, group: int) -> Index:
        """Where the rows of a group, counted from 0, are in the frame."""
        stop = int(self.sizes[: group + 1].sum())
        start = stop - int(self.sizes[group])
        return np.arange(start, stop) if self.order is None else self.order[start:stop]

    def frames(self, data: pd.DataFrame, columns: list[str]) -> list[pd.DataFrame]:
        """The rows of each group, in these columns alone."""
        frame = data[columns]
        if self.order is not None:
            frame = frame.take(self.order)
        frame.columns = pd.Index(columns, dtype=object)  # looked up sooner than pandas' text
        ends = np.cumsum(self.sizes).tolist()
        return [frame.iloc[end - size : end] for end, size in zip(ends, self.sizes, strict=True)]


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
    return counted_labels(series, np.ones(len(series), dtype=np.int64), name, group_label)


def counted_labels(
    values: pd.Series, rows: NDArray[np.int64], name: str, group_label: object
) -> tuple[Hashable, ...]:
    """The groups among values of the column `name`, each of which so many rows have; as
    `group_labels`."""
    codes, found = _values(values, name)
    if not found:
        raise DataError(f"the grouping column {name!r} is missing in every row.")
    if group_label is not None:
        return _chosen(name, found, group_label)
    if len(found) == 1:
        raise DataError(
            f"there is one group: {name!r} is {_shown(found)} in every row. Leave group= out."
        )
    _check_number(name, found, int(rows[codes >= 0].sum()))
    return tuple(_ordered(values, found))


def places_among(values: pd.Series, name: str, labels: Sequence[Hashable]) -> Index:
    """Where each value is among the labels: their number for others, −1 where it is missing."""
    codes, found = _values(values, name)
    return np.where(codes < 0, -1, _places(found, labels)[codes])


def text_labels(headers: Sequence[GroupHeader], group_label: object) -> tuple[Hashable, ...]:
    """The groups of a model without data: those of `group_label`, else of its `group:` blocks.

    Raises
    ------
    OptionValueError
        `group_label` names one twice, or has not two.
    """
    if group_label is None:
        return tuple(header.name for header in headers)
    given = _given(group_label)
    _check_given(given)
    return given


def appearing(data: pd.DataFrame, name: str, labels: Sequence[Hashable]) -> tuple[Hashable, ...]:
    """These groups in the order of their first rows."""
    _, values = _values(require_column(data, name, "group= names"), name)
    chosen = {*labels}
    return tuple(value for value in values if value in chosen)


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
    there = {*values}
    absent = [label for label in labels if label not in there]
    if absent:
        raise DataError(f"no row is of {named_groups(absent)}: {_there(name, values, absent[0])}")
    of_row = _places(values, labels)[codes]
    counts = np.bincount(of_row, minlength=len(labels) + 1)
    gone = codes < 0
    missing = gone if gone.any() else None
    left = int(counts[-1])
    order = None
    if left or (of_row[1:] < of_row[:-1]).any():
        narrow = of_row.astype(np.uint16 if len(labels) < 1 << 16 else np.uint32)
        order = stable_order(narrow)[: len(of_row) - left]
    n_missing = 0 if missing is None else int(missing.sum())
    return GroupRows(order, counts[:-1].astype(np.int64), missing, left - n_missing)


def known_groups(
    data: pd.DataFrame, name: str, labels: Sequence[Hashable]
) -> list[tuple[int, Index]]:
    """The rows of another frame by the groups of a fit: the place of each group that has some
    among `labels`, and their positions. Rows without a group are in none.

    Raises
    ------
    DataError
        The column is absent or there twice, has a group that the fit has not, or no group at all.
    """
    codes, values = _values(require_column(data, name, "the fit's group= names"), name)
    known = {*labels}
    unknown = [value for value in values if value not in known]
    if unknown:
        where = rows_named(data, np.isin(codes, [values.index(value) for value in unknown]))
        raise DataError(
            f"the fit has no {named_groups(unknown)} ({where}): "
            f"{_there(name, list(labels), unknown[0])} Leave other rows out."
        )
    if not values:
        raise DataError(f"the grouping column {name!r} is missing in every row.")
    of_row = _places(values, labels)[codes]
    order, counts = stable_order(of_row.astype(np.uint32)), np.bincount(of_row)
    parts = np.split(order, np.cumsum(counts)[:-1])
    return [(k, rows) for k, rows in enumerate(parts[: len(labels)]) if len(rows)]


def _places(values: list[Any], labels: Sequence[Hashable]) -> Index:
    """Where the value of each code is among the labels; their number for others, and last for
    those that are missing."""
    place = {label: k for k, label in enumerate(labels)}
    return np.array([*(place.get(value, len(place)) for value in values), len(place)])


def group_column(labels: Sequence[Hashable], rows: Sequence[int]) -> pd.Categorical:
    """So many rows of each group, one group after the other; the categories have their order."""
    codes = np.repeat(np.arange(len(labels)), rows)
    return pd.Categorical.from_codes(codes, pd.Index(labels, tupleize_cols=False))


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
    """Categories in their order, else sorted."""
    dtype: Any = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        rank = {_scalar(value): place for place, value in enumerate(dtype.categories.tolist())}
        return sorted(values, key=rank.__getitem__)
    return _sorted(values)


def _sorted(values: list[Any]) -> list[Any]:
    """Of several kinds numbers first, then all else as text."""
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


def _given(group_label: object) -> tuple[Hashable, ...]:
    if isinstance(group_label, str) or not isinstance(group_label, Iterable):
        return (group_label,)
    return tuple(_scalar(label) for label in group_label)


def _check_given(labels: Sequence[Hashable]) -> None:
    for place, label in enumerate(labels):
        if label is None or label != label or not isinstance(label, Hashable):
            raise OptionValueError(
                f"group_label has {brief(label)}, which is no label of a group: it takes a list of "
                'them, such as ["a", "b"].'
            )
        if label in labels[:place]:
            raise OptionValueError(f"group_label names {_shown([label])} twice. Keep one.")
    if len(labels) < 2:
        raise OptionValueError(
            f"group_label names {len(labels)} group{'' if len(labels) == 1 else 's'}, and several "
            "groups are at least two. For a model of one pass its rows alone, without group=."
        )


def _chosen(name: str, values: list[Any], group_label: object) -> tuple[Hashable, ...]:
    """The groups that `group_label` names, as the data have them."""
    given = _given(group_label)
    for label in given:
        if label not in values:
            raise OptionValueError(
                f"group_label names {_shown([label])}: {_there(name, values, label)}"
            )
    _check_given(given)
    chosen = tuple(values[values.index(label)] for label in given)
    if len(chosen) > MOST:
        _check_number(name, list(chosen), -1)
    return chosen


def _there(name: str, values: list[Any], label: object) -> str:
    """What the groups are, and which one may be meant by a label that is none of them."""
    told = f"{name!r} has {_shown(_sorted(values))}."
    if any(str(value) == str(label) for value in values):
        kind = "text" if isinstance(label, str) else f"of type {type(label).__name__}"
        return f"{told} {_shown([label])} here is {kind}."
    texts = [value for value in values if isinstance(value, str)]
    return told + (nearest(label, texts) if isinstance(label, str) else "")


def _shown(labels: Sequence[Any]) -> str:
    shown = [repr(brief(each)) if isinstance(each, str) else brief(each) for each in labels]
    more = f" and {len(shown) - 2 * SHOWN} more" if len(shown) > 2 * SHOWN else ""
    return ", ".join(shown[: 2 * SHOWN]) + more
