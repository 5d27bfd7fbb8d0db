"""Data frames of one design: the same columns, and the same clusters of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlsem.data.table.grouping import Grouping, group
from mlsem.errors import MlsemError

if TYPE_CHECKING:
    from typing import TypeGuard

    from mlsem.core.records import Array


def held(data: object) -> object:
    """The data, of which nobody else has the arrays."""
    return data.copy() if isinstance(data, pd.DataFrame) else data


def values_in(data: object) -> float:
    """How many values data hold; infinite where that is not known."""
    return data.size if isinstance(data, pd.DataFrame) else inf


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Frames with the same columns and clusters.

    Attributes
    ----------
    frames : tuple of DataFrame
        R of them, each of N rows.
    cluster : str
        Their column of cluster ids.
    grouping : Grouping
        Of the rows of each.
    columns : dict of str to (R, N)
        Those that were asked for.
    """

    frames: tuple[pd.DataFrame, ...]
    cluster: str
    grouping: Grouping
    columns: dict[str, Array]

    def values(self, name: str) -> Array | None:
        """A column of all frames, (R, N); None if it is not one of numbers in each."""
        if name not in self.columns:
            found = [frame[name] for frame in self.frames]
            if not all(map(_is_exact, found)):
                return None
            self.columns[name] = np.array([each.to_numpy() for each in found], dtype=np.float64)
        return self.columns[name]

    def ordered(self, values: Array) -> Array:
        """A column (R, N), cluster by cluster."""
        order = self.grouping.order
        return values if order is None else values.take(order, axis=1)


def alike(frames: Sequence[object], cluster: str) -> tuple[Stack, list[int]] | None:
    """Those of the frames that are of the first one's design, and their places; None where there
    are none."""
    first = frames[0]
    if not _has(first, cluster):
        return None
    try:
        grouping = group(first, cluster, None)
    except MlsemError:
        return None
    ids = first[cluster].to_numpy()
    chosen = {
        place: frame
        for place, frame in enumerate(frames)
        if _has(frame, cluster)
        and frame.columns.equals(first.columns)
        and np.array_equal(frame[cluster].to_numpy(), ids)
    }
    return Stack(tuple(chosen.values()), cluster, grouping, {}), list(chosen)


def _has(frame: object, cluster: str) -> TypeGuard[pd.DataFrame]:
    """Whether it is a frame with unlike columns, numbers of clusters among them."""
    return (
        isinstance(frame, pd.DataFrame)
        and frame.columns.nlevels == 1
        and frame.columns.is_unique
        and cluster in frame.columns
        and _is_exact(frame[cluster])
    )


def _is_exact(series: Any) -> bool:
    """Whether a column is one of doubles or whole numbers."""
    dtype = series.dtype
    return dtype == np.float64 or (isinstance(dtype, np.dtype) and dtype.kind in "iu")
