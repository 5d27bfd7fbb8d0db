"""Columns of text as factors: numbers stored as text, and factors with too many levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api import types

from mlsem.data.table.advice import stored_as_text
from mlsem.data.table.columns import missing_in
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MANY = 0.5
"""Levels per row from which a column of text is no factor."""


def is_text(column: pd.Series) -> bool:
    """Whether a column is text or categories."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if types.is_numeric_dtype(column.dtype):
        return False
    return bool(types.is_string_dtype(column[~missing_in(column)]))


def check_factors(names: Iterable[str], outcome: str, columns: Mapping[str, pd.Series]) -> None:
    """Refuse text that cannot be meant as a factor.

    Raises
    ------
    DataError
        The outcome is text, or a column has nearly as many different values as rows.
    """
    for name in sorted(names):
        column = columns[name]
        if not is_text(column):
            continue
        levels, rows = int(column.nunique()), len(column)
        if name == outcome.strip("`"):
            numbers = _advice(name, column)
            if numbers:
                raise DataError(f"the outcome {name!r} is text. {numbers}")
        elif levels > MANY * rows:
            numbers = _advice(name, column) or "Join levels, or leave it out of the formula."
            raise DataError(
                f"{name!r} is text with {levels} different values in {rows} rows, each of which "
                f"would be the level of a factor. {numbers}"
            )


def _advice(name: str, column: pd.Series) -> str:
    """What to do where all values are numbers."""
    parsed: Any = pd.to_numeric(column.astype(object), errors="coerce")
    if parsed.isna().any():
        return ""
    return stored_as_text(column, name)
