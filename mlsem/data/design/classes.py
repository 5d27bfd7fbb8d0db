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
"""Classes; each is a parameter, and a row of all that is computed of pairs of them."""


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
        texts = [_texts(require_column(frame, name, NEEDED)) for name in self.columns]
        gaps = self.missing(frame)
        codes = np.full(len(frame), -1, dtype=np.intp)
        found = [place.get(cell, -1) for cell in zip(*texts, strict=True)]
        codes[~gaps] = np.array(found, dtype=np.intp)[~gaps]
        new = (codes < 0) & ~gaps
        if new.any():
            cells = dict.fromkeys(":".join(texts[k][i] for k in range(len(texts))) for i in
                                  np.flatnonzero(new)[:SHOWN].tolist())  # fmt: skip
            raise DataError(
                f"no residual variance is known of {listed(tuple(cells))} "
                f"({' and '.join(map(repr, self.columns))}; {rows_named(frame, new)}): the fit had "
                f"{listed(self.labels)}. Leave these rows out, or fit with data that have them."
            )
        return codes


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
    ranks = [_ranked(column) for column in series]
    combined = np.unique(np.column_stack([rank for rank, _ in ranks]), axis=0, return_inverse=True)
    cells = tuple(
        tuple(levels[k] for k, (_, levels) in zip(cell, ranks, strict=True))
        for cell in combined[0].tolist()
    )
    classes, codes = ResidualClasses(columns, cells), combined[1].reshape(-1).astype(np.intp)
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


def _ranked(column: pd.Series) -> tuple[Index, tuple[str, ...]]:
    """The place of each value among the different ones, and these as texts: categories in their
    order, all else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, levels = column.cat.codes.to_numpy(), column.cat.categories
        used, places = np.unique(codes, return_inverse=True)
        return places, tuple(_text(each) for each in np.asarray(levels, dtype=object)[used])
    codes, levels = pd.factorize(column, sort=True)
    return codes.astype(np.intp), tuple(_text(each) for each in np.asarray(levels, dtype=object))


def _texts(column: pd.Series) -> list[str]:
    return [_text(each) for each in np.asarray(column, dtype=object)]


def _text(value: Any) -> str:
    """1 and 1.0 are the same class."""
    number = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if number else str(value)
