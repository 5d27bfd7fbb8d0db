"""Classes of rows that have a residual variance each: the cells of one or several columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api import types

from mlsem.data.table.columns import SHOWN, missing_in, require_column, rows_named
from mlsem.errors import DataError, OptionValueError, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlsem.core.records import Array, Index

NEEDED = "residual= names"
MANY = 20
"""Different numbers of a column from which on it is no grouping but a measurement."""
MOST = 100
"""Classes: what is computed of pairs of them grows as the square."""


@dataclass(frozen=True, slots=True)
class ResidualClasses:
    """What tells the classes of rows apart.

    Attributes
    ----------
    columns : tuple of str
    cells : tuple of tuple of str
        The values of the columns in each class, those that occur together, in order.
    """

    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Of each class: ``a``, of several columns ``a:1``."""
        return tuple(":".join(cell) for cell in self.cells)

    def missing(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """Rows in which a column is missing, (n,)."""
        gaps = [missing_in(require_column(frame, name, NEEDED)) for name in self.columns]
        return np.logical_or.reduce(gaps)

    def codes(self, frame: pd.DataFrame) -> Index:
        """The class of each row, (n,); -1 where a column is missing.

        Raises
        ------
        DataError
            A column is absent, or there is a class that the fit did not have.
        """
        place = {cell: k for k, cell in enumerate(self.cells)}
        cells, own = _cells([require_column(frame, name, NEEDED) for name in self.columns])
        known = np.array([place.get(cell, -1) for cell in cells], dtype=np.intp)
        new = [":".join(cell) for cell in cells if cell not in place]
        if new:
            rows = rows_named(frame, (own >= 0) & (np.append(known, 0)[own] < 0))
            raise DataError(
                f"no residual variance is known of {listed(new[:SHOWN])} "
                f"({' and '.join(map(repr, self.columns))}; {rows}): the fit had "
                f"{listed(self.labels)}. Leave these rows out, or fit with data that have them."
            )
        return np.append(known, -1)[own]


def named_columns(residual: object, keyword: str = "residual") -> tuple[str, ...]:
    """The columns that an argument names; none of None.

    Raises
    ------
    OptionValueError
    """
    names = (residual,) if isinstance(residual, str) else residual
    if names is None or names == ():
        return ()
    if isinstance(names, list | tuple) and names and all(isinstance(n, str) for n in names):
        if len(set(names)) == len(names):
            return tuple(names)
        raise OptionValueError(f"{keyword}={residual!r}: name each column once.")
    raise OptionValueError(
        f"{keyword}={residual!r}: it takes the name of a column whose groups have residual "
        'variances of their own, "g", or a list of names for those of their cells, ["g", "arm"].'
    )


def missing_classes(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Where each column is missing, of those that are somewhere."""
    gaps = {name: missing_in(require_column(frame, name, NEEDED)) for name in columns}
    return {name: gap for name, gap in gaps.items() if gap.any()}


def read_classes(
    frame: pd.DataFrame, columns: tuple[str, ...], cluster: str, outcome: str, values: Array
) -> tuple[ResidualClasses, Index]:
    """The classes of rows that miss none of the columns, and that of each row.

    Parameters
    ----------
    values : (n,)
        The outcome.

    Raises
    ------
    DataError
        There is one class, or one that a variance cannot be estimated of; or so many that the
        columns cannot be meant.
    """
    series = [require_column(frame, name, NEEDED) for name in columns]
    for name, column in zip(columns, series, strict=True):
        _check_column(name, column, cluster)
    cells, codes = _cells(series)
    classes = ResidualClasses(columns, cells)
    _check_classes(classes, codes, outcome, values)
    return classes, codes


def _check_column(name: str, column: pd.Series, cluster: str) -> None:
    if name == cluster:
        raise DataError(
            f"residual={name!r} is the column of clusters: a residual variance for each of them "
            "would have few rows to be estimated from. Name a column of groups of clusters or of "
            'rows; fit.variance_test(test="H") asks whether clusters differ.'
        )
    levels = int(column.nunique())
    if types.is_numeric_dtype(column.dtype) and levels > MANY:
        raise DataError(
            f"residual={name!r} is numbers with {levels} different values, which look like a "
            "measurement. Cut it into groups first, e.g. "
            f"data.assign(group=pd.cut(data[{name!r}], 3)) with residual='group'."
        )


def _check_classes(classes: ResidualClasses, codes: Index, outcome: str, values: Array) -> None:
    what, labels = " and ".join(map(repr, classes.columns)), classes.labels
    sizes = np.bincount(codes)
    if len(sizes) == 1:
        raise DataError(
            f"{what} has one value, {labels[0]!r}, in the rows used, so that there is one residual "
            "variance: leave residual= out."
        )
    if len(sizes) > MOST:
        raise DataError(
            f"residual=: {what} tells {len(sizes)} groups apart, each of which would have a "
            f"residual variance; at most {MOST} are taken. Join some of them."
        )
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise DataError(
            f"{what}: two groups would be named {listed(twice)}. Rename their values, without ':'."
        )
    lone = np.flatnonzero(sizes == 1).tolist()
    if lone:
        one = len(lone) == 1
        raise DataError(
            f"{what}: {listed(tuple(labels[k] for k in lone))} {'has' if one else 'have'} one row "
            f"{'' if one else 'each '}in the rows used, of which no residual variance can be "
            "estimated. Join groups, or leave these rows out."
        )
    for k, label in enumerate(labels):
        own = values[codes == k]
        if own.min() == own.max():
            raise DataError(
                f"{what}: the outcome {outcome!r} has one value, {own[0]:g}, in all {len(own)} "
                f"rows of {label!r}, which leaves no residual variance there. Join groups, or "
                "leave these rows out."
            )


def _cells(series: Sequence[pd.Series]) -> tuple[tuple[tuple[str, ...], ...], Index]:
    """The values of columns that occur together, in order, and which ones each row has; -1 where
    one is missing."""
    ranks = [_ranked(column) for column in series]
    places, shape = [rank for rank, _ in ranks], tuple(max(1, len(levels)) for _, levels in ranks)
    there = np.logical_and.reduce([place >= 0 for place in places])
    flat = np.ravel_multi_index([place[there] for place in places], shape)
    used, own = np.unique(flat, return_inverse=True)
    codes = np.full(len(there), -1, dtype=np.intp)
    codes[there] = own.reshape(-1)
    numbers = [each.tolist() for each in np.unravel_index(used, shape)]
    texts = [[levels[k] for k in own] for own, (_, levels) in zip(numbers, ranks, strict=True)]
    return tuple(zip(*texts, strict=True)), codes


def _ranked(column: pd.Series) -> tuple[Index, tuple[str, ...]]:
    """The place of each value among the different ones, -1 where it is missing, and these as texts:
    categories in their order, numbers and all else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, levels = column.cat.codes.to_numpy(), column.cat.categories
    elif types.is_numeric_dtype(column.dtype):
        codes, levels = pd.factorize(column, sort=True)
    else:
        values = column.astype(object).where(~missing_in(column))
        codes, levels = pd.factorize(values.map(_text, na_action="ignore"), sort=True)
    return codes.astype(np.intp), tuple(_text(each) for each in np.asarray(levels, dtype=object))


def _text(value: Any) -> str:
    """1 and 1.0 are the same class."""
    number = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if number else str(value)
