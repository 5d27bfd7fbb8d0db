"""What R's vectors are here: numbers, logicals, text and factors, and how they become each other.

Numbers are float64, missing ones NaN; logicals are pandas' boolean arrays, with R's logic of
missing values; text is an array of objects, None where it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
import pandas as pd
from pandas.api import types
from pandas.arrays import BooleanArray

from mlsem.data.design.factors import is_text
from mlsem.data.table.columns import numeric
from mlsem.syntax.r_language import number_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from mlsem.core.records import Array


class Refused(Exception):
    """A function cannot take what it is given; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """A factor.

    Attributes
    ----------
    codes : (n,) int
        The place of each value among the levels, -1 where it is missing.
    levels : tuple of str
    contrast : str
        The coding of its columns: "treatment", "sum", "helmert" or "poly".
    """

    codes: NDArray[np.intp]
    levels: tuple[str, ...]
    contrast: str = "treatment"

    def __len__(self) -> int:
        return len(self.codes)

    def dummy(self, level: int) -> Array:
        """1 where it has the level at this place, else 0."""
        return (self.codes == level).astype(np.float64)

    def coded(self, values: Array) -> Array:
        """For each level its value."""
        return values[self.codes]


Value: TypeAlias = "Array | NDArray[Any] | BooleanArray | Factor | float | str | bool | None"


def column_value(frame: pd.DataFrame, column: pd.Series, name: str) -> Value:
    """The column of a frame; numbers that stand in columns of another type are numbers.

    Raises
    ------
    DataError
        It is neither numbers, nor logical, nor text.
    """
    dtype: Any = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _of_categories(column)
    if types.is_bool_dtype(dtype):
        values: Any = column.array
        return values if isinstance(values, BooleanArray) else logical_array(column.to_numpy(bool))
    if is_text(column):
        texts = column.to_numpy(dtype=object, na_value=None)
        return np.array([None if _absent(each) else str(each) for each in texts], dtype=object)
    return numeric(frame, column, name).astype(np.float64, copy=False)


def _absent(value: object) -> bool:
    return value is None or value != value


def _of_categories(column: Any) -> Factor:
    levels = tuple(level_text(each) for each in column.cat.categories.tolist())
    return Factor(column.cat.codes.to_numpy().astype(np.intp), levels)


def level_text(value: object) -> str:
    """A level as R names it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return number_text(float(value)) if isinstance(value, (int, float)) else str(value)


def logical_array(values: NDArray[np.bool_], missing: NDArray[np.bool_] | None = None) -> Any:
    absent = np.zeros(values.shape, dtype=bool) if missing is None else missing
    return BooleanArray(values, absent)


# --- from one to the other ----------------------------------------------------------------------


def is_character(value: object) -> bool:
    return isinstance(value, (str, Factor)) or (
        isinstance(value, np.ndarray) and value.dtype == object
    )


def numbers(value: Value, what: str = "numbers are needed") -> Any:
    """As float64: an array, or one number."""
    if is_character(value):
        kind = "a factor" if isinstance(value, Factor) else "text"
        raise Refused(f"{what}, not {kind}")
    if value is None:
        raise Refused(f"{what}, not NULL")
    if isinstance(value, BooleanArray):
        return value.to_numpy(dtype=np.float64, na_value=np.nan)
    return value if isinstance(value, np.ndarray) else float(cast("float", value))


def vector(value: Value, what: str = "numbers are needed") -> Array:
    """As one column of float64."""
    column = np.atleast_1d(np.asarray(numbers(value, what), dtype=np.float64))
    if column.ndim == 2 and column.shape[1] == 1:
        return column[:, 0]
    if column.ndim == 2:
        raise Refused(f"{what}, one column of them")
    return column


def number(value: Value, name: str) -> float:
    """One number."""
    array = np.asarray(numbers(value, f"{name} is a number"))
    if array.size != 1:
        raise Refused(f"{name} is one number")
    return float(array.reshape(-1)[0])


def whole(value: Value, name: str, least: int, most: int) -> int:
    """One whole number between bounds."""
    given = number(value, name)
    if not given.is_integer() or not least <= given <= most:
        raise Refused(f"{name} is a whole number from {least} to {most}, not {number_text(given)}")
    return int(given)


def flag(value: Value, name: str) -> bool:
    """TRUE or FALSE."""
    if not isinstance(value, bool):
        raise Refused(f"{name} is TRUE or FALSE")
    return value


def logicals(value: Value) -> Any:
    """As logicals: numbers other than zero are true."""
    if isinstance(value, (BooleanArray, bool)):
        return value
    array = np.asarray(numbers(value, "TRUE and FALSE are needed"))
    if array.ndim == 0:
        if np.isnan(array):
            raise Refused("NA alone is neither true nor false")
        return bool(array)
    return logical_array(np.nan_to_num(array) != 0.0, np.isnan(array))


def texts(value: Value) -> Any:
    """As text: an array of objects, or one text."""
    if isinstance(value, Factor):
        return np.array([*value.levels, None], dtype=object)[value.codes]
    if isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype == object):
        return value
    if isinstance(value, BooleanArray):
        words = value.to_numpy(dtype=object, na_value=None)
        return np.array(
            [None if each is None else level_text(bool(each)) for each in words], object
        )
    if isinstance(value, np.ndarray):
        return np.array([None if each != each else number_text(each) for each in value], object)
    if value is None:
        raise Refused("text is needed, not NULL")
    return level_text(value)


def factor_of(value: Value) -> Factor:
    """As a factor, its levels sorted: numbers by size, text by its letters."""
    if isinstance(value, Factor):
        return value
    if isinstance(value, BooleanArray):
        value = value.to_numpy(dtype=np.float64, na_value=np.nan)
        coded = factor_of(value)
        return Factor(
            coded.codes, tuple("TRUE" if each == "1" else "FALSE" for each in coded.levels)
        )
    if not isinstance(value, np.ndarray) or value.ndim != 1:
        raise Refused("a column is needed")
    codes, levels = pd.factorize(value, sort=True)
    return Factor(codes.astype(np.intp), tuple(level_text(each) for each in levels.tolist()))


def with_levels(values: Value, levels: Iterable[str], contrast: str = "treatment") -> Factor:
    """A factor of these levels; other values are missing."""
    wanted = tuple(levels)
    if len(set(wanted)) < len(wanted):
        raise Refused("a level stands twice among the levels")
    coded = factor_of(values)
    places = [wanted.index(each) if each in wanted else -1 for each in coded.levels]
    return Factor(np.array([*places, -1], dtype=np.intp)[coded.codes], wanted, contrast)


@dataclass(frozen=True, slots=True)
class Levels:
    """A factor's levels, for other values of the same variable.

    Attributes
    ----------
    before : tuple of str
        What the values are called.
    names : tuple of str
        The levels, one for each.
    contrast : str
    closed : bool
        Whether other values are refused; else they are missing.
    """

    before: tuple[str, ...]
    names: tuple[str, ...]
    contrast: str
    closed: bool = True

    @classmethod
    def of(cls, values: Factor) -> Levels:
        return cls(values.levels, values.levels, values.contrast)

    def __call__(self, x: Value) -> Factor:
        """The values as a factor of these levels."""
        coded = factor_of(x)
        placed = with_levels(coded, self.before)
        unknown = np.unique(coded.codes[(coded.codes >= 0) & (placed.codes < 0)])
        if self.closed and len(unknown):
            shown = ", ".join(repr(coded.levels[k]) for k in unknown[:5])
            raise Refused(
                f"the data of the fit had no level {shown}, so nothing is known of it; leave these "
                "rows out"
            )
        return Factor(placed.codes, self.names, self.contrast)


def learned(learn: Callable[..., Callable[[Value], Value]]) -> Callable[..., Value]:
    """A function of R's that looks at the whole column: what it makes of one column can be made of
    another as well (Chambers & Hastie, 1992, sec. 6.4: safe prediction)."""

    @wraps(learn)
    def apply(x: Value, *options: Value, **named: Value) -> Value:
        return learn(x, *options, **named)(x)

    apply.__dict__["learn"] = learn
    return apply


def missing(value: Value) -> NDArray[np.bool_]:
    """Where a value is missing; in a matrix, where any of its columns is."""
    if isinstance(value, Factor):
        return value.codes < 0
    if isinstance(value, BooleanArray):
        return np.asarray(value.isna())
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.array([each is None for each in value], dtype=bool)
    gaps: Any = np.isnan(np.asarray(value, dtype=np.float64))
    if gaps.ndim < 2:
        return gaps
    return gaps[:, 0] if gaps.shape[1] == 1 else gaps.any(axis=1)
