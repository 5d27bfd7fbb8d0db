"""Rows and clusters of several groups: what is predicted of each, in one data frame."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.moments.across import each_group, notes_by_group
from mlsem.data.moments.new_rows import rows_by_group as split_rows
from mlsem.data.table.columns import require_frame
from mlsem.data.table.frame import joined_frames, make_frame
from mlsem.errors import InferenceError

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates, GroupEstimates
    from mlsem.estimation.problem import Problem

Function = Callable[["Estimates[Problem]", Any], "pd.DataFrame"]
"""Of one group: its estimates, and its rows of the data or None."""
GROUP = "group"


def clusters_by_group(fit: Estimates, data: object, function: Function) -> pd.DataFrame:
    """One row for each cluster: of the fit, or of data. Of several groups with a column `group` of
    their labels, NaN in columns that a group has not."""
    if not fit.table.groups:
        return function(fit, data)
    if data is None:
        parts = [(group, None) for group in fit.groups]
    else:
        parts = [(group, rows) for group, rows, _ in _parts(fit, require_frame(data))]
    labels, frames = _each([(group, function, rows) for group, rows in parts])
    found = joined_frames(dict(zip(labels, frames, strict=True)), _name(fit, frames))
    return _noted(found, labels, frames)


def rows_by_group(fit: Estimates, data: object, function: Function) -> pd.DataFrame:
    """One row for each of data, in its order; `function` gives them in the order of what it gets.
    Of several groups with a column `group`, NaN in rows without a group and in columns that their
    group has not."""
    if not fit.table.groups:
        return function(fit, data)
    frame = require_frame(data)
    parts = _parts(fit, frame)
    labels, frames = _each([(group, function, rows) for group, rows, _ in parts])
    place = {group.label: places for group, _, places in parts}
    columns: dict[str, Any] = {_name(fit, frames): frame[fit.record.column].array}
    for name in dict.fromkeys(name for each in frames for name in each.columns):
        having = [(place[k], f[name]) for k, f in zip(labels, frames, strict=True) if name in f]
        whole = sum(len(places) for places, _ in having) == len(frame)
        arrays = [values.to_numpy() for _, values in having]
        kind = np.result_type(*arrays) if whole else np.float64
        columns[name] = np.full(len(frame), 0 if whole else np.nan, dtype=kind)
        for (places, _), values in zip(having, arrays, strict=True):
            columns[name][places] = values
    return _noted(make_frame(columns, frame.index), labels, frames)


def _parts(
    fit: Estimates, frame: pd.DataFrame
) -> list[tuple[GroupEstimates, pd.DataFrame, np.ndarray]]:
    """The groups that have rows, these rows, and their positions."""
    parts = split_rows(fit.table, fit.record, frame)
    return [(fit.groups[part.place], part.frame, part.positions) for part in parts]


def rows_of_groups(fit: Estimates, data: object) -> dict[int, pd.DataFrame]:
    """The rows of each group that has some, by its number."""
    return {group.number: rows for group, rows, _ in _parts(fit, require_frame(data))}


def _each(
    asked: Sequence[tuple[GroupEstimates, Function, Any]],
) -> tuple[list[Hashable], list[pd.DataFrame]]:
    """The frames of the groups of which there is anything to say, and their labels."""
    failed: list[InferenceError] = []

    def one(k: int) -> pd.DataFrame | None:
        group, function, rows = asked[k]
        try:
            return function(group.estimates, rows)
        except InferenceError as error:
            failed.append(error)
            return None

    labels = [group.label for group, _, _ in asked]
    frames = each_group(labels, one)
    pairs = zip(labels, frames, strict=True)
    found = [(label, frame) for label, frame in pairs if frame is not None]
    if not found:
        raise failed[0]
    return [label for label, _ in found], [frame for _, frame in found]


def _name(fit: Estimates, frames: Sequence[pd.DataFrame]) -> str:
    """Of the column of groups: that of the data where a variable of the model is so named."""
    return fit.record.column if any(GROUP in each.columns for each in frames) else GROUP


def _noted(
    found: pd.DataFrame, labels: Sequence[Hashable], frames: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """With the notes of the groups' frames."""
    said = [(frame.attrs["note"],) if "note" in frame.attrs else () for frame in frames]
    found.attrs.clear()
    notes = notes_by_group(labels, said)
    if notes:
        found.attrs["note"] = " ".join(notes)
    return found
