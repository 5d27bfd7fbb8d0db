"""The reference grid of a formula whose rows an engine has, by counts and sums."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.design.grid import Predictor, ReferenceGrid, is_factored, uses_of
from mlsem.data.design.r_values import Factor, column_value, factor_of
from mlsem.data.engine.query import aggregated
from mlsem.data.engine.survey import numbers_of
from mlsem.data.queried.translate import MOST, Untranslated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.data.design.r_evaluate import Variable
    from mlsem.data.engine.query import Query
    from mlsem.data.queried.translate import Columns


def grid_of(query: Query, columns: Columns, variables: Sequence[Variable]) -> ReferenceGrid:
    """Of the rows used, and the variables of the fixed effects; `query` has the columns of the data
    beside its own."""
    import narwhals as nw

    place, uses = columns.place, uses_of(variables)
    numeric = [n for n in uses if n not in columns.texts and n not in columns.logicals]
    numbers = _numbers(query, place, numeric)
    leveled = [n for n in uses if n not in numbers or _has_levels(n, numbers[n], uses[n])]
    if not leveled:
        predictors = tuple(numbers[name] for name in uses)
        return ReferenceGrid(predictors, np.zeros((1, 0), dtype=np.intp), np.ones(1, np.int64))
    by = [place[name] for name in leveled]
    table = aggregated(query.frame, by, [nw.len().alias("rows")])
    made: dict[str, Predictor] = dict(numbers)
    codes: list[NDArray[np.intp]] = []
    for name in leveled:
        made[name], own = _leveled(
            table[place[name]].rename(name), name, uses[name], numbers.get(name), columns
        )
        codes.append(own)
    cells = np.stack(codes, axis=1).astype(np.intp)
    there = (cells >= 0).all(axis=1)
    order = np.lexsort(cells[there].T[::-1])
    counts = table["rows"].to_numpy().astype(np.int64)[there]
    return ReferenceGrid(tuple(made[n] for n in uses), cells[there][order], counts[order])


def _has_levels(name: str, numbers: Predictor, uses: Sequence[Variable]) -> bool:
    return bool(numbers.levels) or is_factored(name, uses)


def _numbers(query: Query, place: Mapping[str, str], names: Sequence[str]) -> dict[str, Predictor]:
    """Mean, ends and sd of columns of numbers; two values are levels."""
    import narwhals as nw

    if not names:
        return {}
    told = [
        each.alias(f"{place[n]}_{what}")
        for n in names
        for what, each in (
            ("count", nw.col(place[n]).count()),
            ("sum", nw.col(place[n]).sum()),
            ("low", nw.col(place[n]).min()),
            ("high", nw.col(place[n]).max()),
        )
    ]
    first = aggregated(query.frame, (), [nw.len().alias("rows"), *told]).iloc[0]
    found = {n: [float(first[f"{place[n]}_{what}"]) for what in ("low", "high")] for n in names}
    count = {n: int(first[f"{place[n]}_count"]) for n in names}
    near = {n: float(first[f"{place[n]}_sum"]) / count[n] for n in names}
    more: dict[str, Any] = {}
    for n in names:
        column, (low, high) = nw.col(place[n]), found[n]
        more[f"{place[n]}_away"] = column - near[n]
        more[f"{place[n]}_square"] = (column - near[n]) * (column - near[n])
        more[f"{place[n]}_inner"] = (column - low) * (high - column)
    second = aggregated(
        query.frame.with_columns(**more), (), [nw.col(each).sum() for each in more]
    ).iloc[0]
    predictors: dict[str, Predictor] = {}
    for n in names:
        away = float(second[f"{place[n]}_away"]) / count[n]
        square = float(second[f"{place[n]}_square"]) - count[n] * away * away
        sd = float(np.sqrt(square / (count[n] - 1))) if count[n] > 1 else 0.0
        low, high = found[n]
        predictor = Predictor(n, "number", (), near[n] + away, low, high, sd)
        whole = count[n] == int(first["rows"])  # else the formula says what stands for the rest
        if whole and low < high and float(second[f"{place[n]}_inner"]) == 0.0:
            predictor = replace(predictor, levels=(low, high))
        predictors[n] = predictor
    return predictors


def _leveled(
    series: pd.Series,
    name: str,
    uses: Sequence[Variable],
    numbers: Predictor | None,
    columns: Columns,
) -> tuple[Predictor, NDArray[np.intp]]:
    """A predictor with levels, and the level of each value of a table."""
    if name in columns.logicals:
        values = numbers_of(series)
        codes = np.where(np.isnan(values), 0.0, values).astype(np.intp)
        return Predictor(name, "logical", (False, True)), codes
    if numbers is None:
        factor = factor_of(column_value(series.to_frame(), series, name))
        plain = next((each.values for each in uses if each.plain), None)
        if isinstance(plain, Factor):  # less the levels that no row has
            spot = {level: k for k, level in enumerate(plain.levels)}
            codes = np.array([*(spot.get(each, -1) for each in factor.levels), -1])[factor.codes]
            return Predictor(name, "text", plain.levels), codes
        return Predictor(name, "text", factor.levels), factor.codes
    values = numbers_of(series)
    if numbers.levels:
        return numbers, np.where(np.isnan(values), -1, values == numbers.high).astype(np.intp)
    levels = np.unique(values[~np.isnan(values)])
    if len(levels) > MOST:
        raise Untranslated
    codes = np.where(np.isnan(values), -1, np.searchsorted(levels, values))
    return replace(numbers, levels=tuple(levels.tolist())), codes.astype(np.intp)
