"""What a fit knows of the columns of the data that its fixed effects are made of, and rows that
have chosen values of them: the grid of marginal means (Searle, Speed & Milliken, 1980)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from mlsem.data.design.r_values import Factor, column_value, factor_of, is_character
from mlsem.data.table.columns import numeric, require_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.design.r_evaluate import Variable

Level = float | bool | str
FACTOR = re.compile(r"(as\.)?(factor|ordered)\((x = )?`?(?P<name>[^`(),]+)`?[,)]")
"""A factor that is made of a column as it is."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """A column of the data.

    Attributes
    ----------
    name : str
    kind : {"text", "logical", "number"}
    levels : tuple
        Of a factor, and of numbers that are factors in the formula or take two values; empty of
        other numbers.
    mean, low, high, sd : float
        Of numbers.
    """

    name: str
    kind: Literal["text", "logical", "number"]
    levels: tuple[Level, ...]
    mean: float = np.nan
    low: float = np.nan
    high: float = np.nan
    sd: float = np.nan

    @property
    def values(self) -> tuple[Level, ...]:
        """Where it is held: at each of its levels, or its mean."""
        return self.levels or (self.mean,)


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceGrid:
    """The columns that fixed effects are made of.

    Attributes
    ----------
    predictors : tuple of Predictor
        In the order of the formula.
    cells : (m, k)
        The combinations of levels that rows of the fit have, by their places; of the k predictors
        with levels.
    counts : (m,)
        Rows of each.
    """

    predictors: tuple[Predictor, ...]
    cells: NDArray[np.intp]
    counts: NDArray[np.int64]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.predictors)

    def predictor(self, name: str) -> Predictor:
        return self.predictors[self.names.index(name)]

    def frame(self, values: Mapping[str, Sequence[Level]]) -> pd.DataFrame:
        """Rows of these values, as many of each predictor."""
        return pd.DataFrame(
            {each.name: _column(values[each.name], each.kind) for each in self.predictors}
        )

    def shares(self, names: Sequence[str]) -> dict[tuple[Level, ...], float]:
        """What share of the rows has each combination of levels of these predictors."""
        leveled = [each for each in self.predictors if each.levels]
        places = [k for k, each in enumerate(leveled) if each.name in names]
        shares: dict[tuple[Level, ...], float] = {}
        for cell, count in zip(self.cells[:, places].tolist(), self.counts.tolist(), strict=True):
            key = tuple(leveled[k].levels[code] for k, code in zip(places, cell, strict=True))
            shares[key] = shares.get(key, 0.0) + count / float(self.counts.sum())
        return shares


def _column(values: Sequence[Level], kind: str) -> Any:
    if kind == "text":
        return pd.Series([str(each) for each in values], dtype=object)
    return np.array(values, dtype=bool if kind == "logical" else np.float64)


def reference_grid(frame: pd.DataFrame, variables: Iterable[Variable]) -> ReferenceGrid:
    """Of the rows used, and the variables of the fixed effects at these rows."""
    predictors, codes = [], []
    for name, made in uses_of(variables).items():
        predictor, own = _predictor(frame, name, made)
        predictors.append(predictor)
        if predictor.levels:
            codes.append(own)
    cells, counts = _cells(codes, [len(each.levels) for each in predictors if each.levels])
    return ReferenceGrid(tuple(predictors), cells, counts)


def uses_of(variables: Iterable[Variable]) -> dict[str, list[Variable]]:
    """The columns of the data, each with the variables that are made of it."""
    uses: dict[str, list[Variable]] = {}
    for variable in variables:
        for name in variable.columns:
            uses.setdefault(name, []).append(variable)
    return uses


def is_factored(name: str, made: Iterable[Variable]) -> bool:
    """Whether a factor is made of a column as it is."""
    return any(
        found["name"] == name for found in map(FACTOR.match, (m.name for m in made)) if found
    )


def _predictor(
    frame: pd.DataFrame, name: str, made: Sequence[Variable]
) -> tuple[Predictor, NDArray[np.intp]]:
    """A column, and the level of each row (none where it has no levels)."""
    plain = next((each.values for each in made if each.plain), None)
    if isinstance(plain, Factor):
        return Predictor(name, "text", plain.levels), plain.codes
    series = require_column(frame, name, "the formula needs the variable")
    if types.is_bool_dtype(series.dtype):
        codes = np.asarray(series.to_numpy(dtype=np.float64, na_value=0.0), dtype=np.intp)
        return Predictor(name, "logical", (False, True)), codes
    value = column_value(frame, series, name) if plain is None else plain
    if is_character(value):
        factor = factor_of(value)
        return Predictor(name, "text", factor.levels), factor.codes
    numbers = numeric(frame, series, name).astype(np.float64) if plain is None else plain[:, 0]
    return _of_numbers(name, np.asarray(numbers), made)


def _of_numbers(
    name: str, values: Array, made: Sequence[Variable]
) -> tuple[Predictor, NDArray[np.intp]]:
    if np.isnan(values).any():  # the formula says what stands for a missing value
        known = values[~np.isnan(values)]
        return _number(name, known), np.zeros(0, dtype=np.intp)
    own = _number(name, values)
    if own.low < own.high and bool(((values == own.low) | (values == own.high)).all()):
        return replace(own, levels=(own.low, own.high)), (values == own.high).astype(int)
    if is_factored(name, made):
        levels, codes = np.unique(values, return_inverse=True)
        return replace(own, levels=tuple(levels.tolist())), codes
    return own, np.zeros(0, dtype=np.intp)


def _number(name: str, values: Array) -> Predictor:
    sd = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    numbers = float(values.mean()), float(values.min()), float(values.max())
    return Predictor(name, "number", (), *numbers, sd)


def _cells(
    codes: Sequence[NDArray[np.intp]], sizes: Sequence[int]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The combinations that there are, and how many rows have each."""
    if not codes:
        return np.zeros((1, 0), dtype=np.intp), np.ones(1, dtype=np.int64)
    there = np.logical_and.reduce([each >= 0 for each in codes])
    if not there.all():  # a missing value that the formula makes something of
        codes = [each[there] for each in codes]
    if prod(sizes) > 10**6:
        table, counts = np.unique(np.stack(codes, axis=1), axis=0, return_counts=True)
        return table.astype(np.intp), counts.astype(np.int64)
    counts = np.bincount(np.ravel_multi_index(tuple(codes), tuple(sizes)), minlength=prod(sizes))
    some = np.flatnonzero(counts)
    cells = np.stack(np.unravel_index(some, tuple(sizes)), axis=1)
    return cells.astype(np.intp), counts[some].astype(np.int64)
