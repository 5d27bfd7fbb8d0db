"""Columns of a data frame as numeric arrays, checked by name, type and value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext
from numbers import Real
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from pandas.api import types

from mlsem.base.display import cell
from mlsem.core.records import Array
from mlsem.data.frames.origin import origin_of
from mlsem.data.table.advice import (
    absent,
    categories_advice,
    has_categories,
    no_frame,
    number_advice,
    one_column,
    others_stored_as_text,
    stored_as_text,
    time_advice,
)
from mlsem.errors import DataError, OptionValueError, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

SHOWN = 5
"""How many offending rows or values a message names."""
BRIEF = 40
"""Columns of a value that a message shows."""
SILENT = 'missing="listwise" leaves them out without this warning.'
"""How a warning of rows that are left out ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Numeric columns and which rows of the frame are used.

    Attributes
    ----------
    values : dict of str to (R,) array
        Real columns of the whole frame, of any real numpy type; not copied where they were one.
    totals : dict of str to float
        Sum of each column over the rows used in which it is observed.
    keep : (R,) bool or None
        Rows used; None where all R are.
    n_total, n_used : int
        R, and the number of rows used.
    missing : tuple of (str, int)
        Columns with missing values, and how many.
    gaps : mapping of str to (R,) bool
        Where columns are missing that are so in rows that are used; none with listwise deletion.
    """

    values: dict[str, NDArray]
    totals: dict[str, float]
    keep: NDArray[np.bool_] | None
    n_total: int
    n_used: int
    missing: tuple[tuple[str, int], ...]
    gaps: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @property
    def n_missing(self) -> int:
        """Values that are missing in the rows used."""
        return sum(self.n_used - self.count(name) for name in self.gaps)

    def count(self, name: str) -> int:
        """In how many of the rows used a column is observed."""
        gap = self.gaps.get(name)
        if gap is None:
            return self.n_used
        gone = np.count_nonzero(gap if self.keep is None else gap & self.keep)
        return self.n_used - int(gone)

    def kept(self, keep: NDArray[np.bool_]) -> Rows:
        """Of these rows alone; columns that are observed in all of them have no gaps left."""
        gaps = {name: gap for name, gap in self.gaps.items() if (gap & keep).any()}
        totals = {
            name: float(v.sum(dtype=np.float64, where=keep & ~gaps[name] if name in gaps else keep))
            for name, v in self.values.items()
        }
        return replace(self, totals=totals, keep=keep, n_used=int(keep.sum()), gaps=gaps)


def require_frame(data: object) -> pd.DataFrame:
    """The data, if they are a pandas data frame with rows."""
    if isinstance(data, pd.DataFrame):
        if len(data) == 0:
            raise DataError("the data have no rows.")
        if data.columns.nlevels > 1:
            raise DataError(
                f"the columns of the data have {data.columns.nlevels} levels; give each column "
                "one name, e.g. data.columns = ['_'.join(map(str, c)) for c in data.columns]."
            )
        return data
    kind = f"{type(data).__module__}.{type(data).__name__}".removeprefix("builtins.")
    raise DataError(
        "data must be a data frame (of pandas, polars, pyarrow, …), a query or a path of files, "
        f"not {kind}; {no_frame(data)}."
    )


def require_one_column(keyword: str, value: object, data: pd.DataFrame) -> str:
    """The value of `cluster=`, if it is a name."""
    if not isinstance(value, str):
        raise OptionValueError(one_column(keyword, value, data))
    return value


def require_column(data: pd.DataFrame, name: str, needed_by: str) -> pd.Series:
    """The one column of that name; `needed_by` opens the message where there is none."""
    try:
        place = data.columns.get_loc(name)
    except (KeyError, TypeError):
        raise DataError(_absent(data, name, needed_by)) from None
    if not isinstance(place, int):
        count = int(np.sum(data.columns == name))
        raise DataError(
            f"the data have {count} columns named {name!r}; keep or rename one of them, "
            "e.g. data = data.loc[:, ~data.columns.duplicated()]."
        )
    return cast("pd.Series", data[name])


def _absent(data: pd.DataFrame, name: str, needed_by: str) -> str:
    if name in data.index.names:
        message = absent((), name, needed_by)
        return f"{message} It is part of the index: pass data.reset_index()."
    return absent(data.columns, name, needed_by)


def read_rows(
    data: pd.DataFrame, wanted: Mapping[str, str], missing: str, otherwise: str = ""
) -> Rows:
    """Read and check columns; find the rows that have a value in all of them.

    Parameters
    ----------
    data : DataFrame
    wanted : mapping of str to str
        Column names, each with the words that open the message where it is absent.
    missing : {"listwise", "error", "fiml"}
        Rows with a missing value are left out, or are an error, or are used.
    otherwise : str
        What else can be done about missing values, for messages.

    Raises
    ------
    DataError
        A column is absent, there twice, not numeric or infinite; or, as `missing` has it, a
        value is missing; or no row is left.
    """
    values: dict[str, NDArray] = {}
    totals: dict[str, float] = {}
    gaps: dict[str, NDArray[np.bool_]] = {}
    for name, needed_by in wanted.items():
        column = numeric(data, require_column(data, name, needed_by), name)
        with np.errstate(all="ignore"):
            total = float(column.sum(dtype=np.float64))
        if not np.isfinite(total) and column.dtype.kind == "f":
            gap = gap_in(data, column, name)
            if gap.any():
                gaps[name] = gap
        values[name], totals[name] = column, total
    if not gaps:
        return Rows(values, totals, None, len(data), len(data), ())
    counts = tuple((name, int(gap.sum())) for name, gap in gaps.items())
    if missing == "fiml":
        for name, gap in gaps.items():
            totals[name] = float(values[name].sum(dtype=np.float64, where=~gap))
        return Rows(values, totals, None, len(data), len(data), counts, gaps)
    keep = ~np.logical_or.reduce(list(gaps.values()))
    check_missing(data, counts, keep, missing, otherwise)
    return Rows(values, totals, None, len(data), len(data), counts).kept(keep)


def rows_of(data: pd.DataFrame, columns: Mapping[str, Array]) -> Rows:
    """Columns computed from a frame, all of whose rows are used.

    Raises
    ------
    DataError
        A value is infinite, or not a number.
    """
    with np.errstate(all="ignore"):
        totals = {name: float(column.sum()) for name, column in columns.items()}
    for name, column in columns.items():
        if not np.isfinite(totals[name]) and gap_in(data, column, name).any():
            raise DataError(
                f"{name!r} is not a number in {rows_named(data, np.isnan(column))}: correct the "
                "data it is computed from, or mark them as missing (NaN)."
            )
    return Rows(dict(columns), totals, None, len(data), len(data), ())


def check_missing(
    data: pd.DataFrame,
    counts: tuple[tuple[str, int], ...],
    keep: NDArray[np.bool_],
    missing: str,
    otherwise: str = "",
) -> None:
    """Refuse missing values where `missing` is "error", and data in which no row is complete."""
    told, more = counted(counts), f" {otherwise}" if otherwise else ""
    if missing == "error":
        raise DataError(
            f"missing values in {told}; {rows_named(data, ~keep)}. Complete or drop these rows, "
            f'or pass missing="listwise" to leave them out.{more}'
        )
    if not keep.any():
        raise no_row_left(counts, len(keep), otherwise)


def no_row_left(counts: tuple[tuple[str, int], ...], rows: int, otherwise: str) -> DataError:
    """The error of data in which no row is complete."""
    more = f" {otherwise}" if otherwise else ""
    return DataError(
        f"no row is left: each of the {rows} rows has a missing value ({counted(counts)}).{more}"
    )


def left_out(counts: tuple[tuple[str, int], ...], dropped: int, total: int) -> str:
    """A note on rows with missing values."""
    share = f"{dropped / total:.1%}" if dropped >= total / 2000 else "under 0.1%"
    return f"{dropped} of {total} rows ({share}) left out for missing values: {counted(counts)}."


def missing_in(series: pd.Series) -> NDArray[np.bool_]:
    """Which values are missing; the same as pandas' `isna`, sooner for numpy's numbers."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return np.isnan(series.to_numpy())
    try:
        with localcontext():  # its flags are the caller's
            return series.isna().to_numpy()
    except Exception:  # an object that cannot be compared, as Decimal("sNaN")
        return np.array([_is_missing(value) for value in series.tolist()], dtype=bool)


def _is_missing(value: object) -> bool:
    try:
        with localcontext():
            return pd.isna(value) is True  # type: ignore[call-overload]
    except Exception:
        return False


def counted(counts: Iterable[tuple[str, int]]) -> str:
    """`'x1' (3), 'y' (1)`."""
    return ", ".join(f"{name!r} ({count})" for name, count in counts)


def gap_in(data: pd.DataFrame, column: NDArray, name: str) -> NDArray[np.bool_]:
    """Where the column is missing; an error where it is infinite."""
    infinite = np.isinf(column)
    if infinite.any():
        raise DataError(
            f"column {name!r} has {int(infinite.sum())} infinite value(s); "
            f"{rows_named(data, infinite)}. Correct them (a logarithm or a division of zero?) "
            "or mark them as missing (NaN)."
        )
    return np.isnan(column)


def row_labels(data: pd.DataFrame, where: NDArray) -> tuple[str, int]:
    """First row labels (of the frame's index) at a mask or positions, and how many rows."""
    places = np.flatnonzero(where) if where.dtype == bool else where
    shown = [_plain(label) for label in data.index[places[:SHOWN]].tolist()]
    more = ", …" if len(places) > SHOWN else ""
    return ", ".join(shown) + more, len(places)


def brief(value: object) -> str:
    """A value of whatever kind, for a message."""
    try:
        with localcontext():
            text = str(value)
    except Exception:  # its own, or a number of too many digits
        text = f"a {type(value).__name__}"
    return cell(text, BRIEF)


def rows_named(data: pd.DataFrame, where: NDArray) -> str:
    """`rows 3, 17 (index labels)`, the first few; positions where the user's frame has no index."""
    origin = origin_of(data)
    labels, count = row_labels(data, where)
    if origin is not None and not origin.in_order:
        return f"{count} of {len(data)} rows"
    kind = "index labels" if origin is None else "positions"
    return f"{'row' if count == 1 else 'rows'} {labels} ({kind})"


def _plain(label: object) -> str:
    if isinstance(label, tuple):
        return "(" + ", ".join(_plain(part) for part in label) + ")"
    return repr(label) if isinstance(label, str) else str(label)


def numeric(data: pd.DataFrame, series: pd.Series, name: str) -> NDArray:
    """The column as a real numpy array: itself where it is one, else converted to float64."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind in "fiub":
            return series.to_numpy()
        if dtype.kind == "O":
            return _object_column(data, series, name)
    elif types.is_numeric_dtype(dtype) or types.is_bool_dtype(dtype):
        plain = getattr(dtype, "numpy_dtype", None)
        if plain is not None and plain.kind in "fiub" and not series.hasnans:
            return series.to_numpy(dtype=plain)  # of pandas' masked types a view
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    raise DataError(_not_numeric(data, series, name))


def _not_numeric(data: pd.DataFrame, series: pd.Series, name: str) -> str:
    """What to do about a column of this type."""
    dtype: Any = series.dtype
    head = f"column {name!r} is not numeric (dtype {dtype})"
    if isinstance(dtype, pd.CategoricalDtype):
        return f"{head}: categorical. {categories_advice(data, name, series)}"
    if types.is_complex_dtype(dtype):
        return f"{head}: complex. Pass its real part, or what you mean by it."
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return f"{head}: dates. {time_advice(data, name, dates=True)}"
    if types.is_timedelta64_dtype(dtype):
        return f"{head}: durations. {time_advice(data, name, dates=False)}"
    return _not_numbers(data, series, name, ~missing_in(series))


def _object_column(data: pd.DataFrame, series: pd.Series, name: str) -> Array:
    """An object column whose values are all numbers or missing, as float64."""
    present = ~missing_in(series)
    values = [_double(value) for value in series.to_numpy()[present]]
    wrong = np.zeros(len(series), dtype=bool)
    wrong[present] = [value is None for value in values]
    if wrong.any():
        raise DataError(_not_numbers(data, series, name, wrong))
    numbers = np.full(len(series), np.nan)
    numbers[present] = values
    return numbers


def _is_huge(value: object) -> bool:
    """Whether it is a number, though no double."""
    return isinstance(value, Real) and not isinstance(value, np.timedelta64)


def _double(value: object) -> float | None:
    """A number as a double; None for what is none, or is too large for one."""
    if not isinstance(value, (Real, Decimal)) or isinstance(value, np.timedelta64):
        return None
    try:
        return float(value)
    except (OverflowError, ValueError, TypeError, ArithmeticError):
        return None


def _not_numbers(data: pd.DataFrame, series: pd.Series, name: str, wrong: NDArray[np.bool_]) -> str:
    """Message that shows the first values that are not numbers."""
    values = series.to_numpy(dtype=object)[wrong]
    text = all(isinstance(value, str) for value in values)
    parsed = _parsed(values) if text else np.full(len(values), np.nan)
    with_commas = number_advice(data, name, values[np.isnan(parsed)]) if text else ""
    unread = int(np.isnan(parsed).sum())
    head = f"column {name!r} is not numeric (dtype {series.dtype}): "
    if text and unread == 0 and len(values):
        shown, rows = values, wrong
        advice = stored_as_text(data, name)
    elif text and with_commas:
        shown, rows = values[np.isnan(parsed)], np.flatnonzero(wrong)[np.isnan(parsed)]
        advice = with_commas
    elif text and unread < len(values):
        shown, rows = values[np.isnan(parsed)], np.flatnonzero(wrong)[np.isnan(parsed)]
        advice = others_stored_as_text(data, name)
    elif text and len(values) == series.count() and has_categories(series):
        return f"{head}text. {categories_advice(data, name, series)}"
    else:
        shown, rows = values, wrong
        advice = "Code it as numbers, or leave it out of the model."
        if all(map(_is_huge, values)):
            advice = "A double holds numbers up to 1.8e308: correct them, or take another unit."
    return f"{head}{listed(map(brief, shown[:SHOWN]))} in {rows_named(data, rows)}. {advice}"


def _parsed(values: NDArray) -> Array:
    """The values as pandas reads them as numbers; NaN where it cannot."""
    try:
        parsed: Any = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
        return parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        return np.full(len(values), np.nan)
