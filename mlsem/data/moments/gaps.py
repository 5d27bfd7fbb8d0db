"""What is missing in a frame, by level: patterns, and the share of each cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.moments.bases import SAME, Column, cluster_values, may_be_level2
from mlsem.data.table.cells import pattern_codes
from mlsem.data.table.columns import missing_in, numeric, require_column
from mlsem.data.table.grouping import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.table.grouping import Grouping
    from mlsem.model.table import ParameterTable

CHUNK_ROWS = 1 << 15


@dataclass(frozen=True, slots=True, eq=False)
class LevelGaps:
    """Missing values of the m variables of one level.

    Attributes
    ----------
    number : int
        1, whose units are rows, or 2, whose units are clusters.
    variables : tuple of str
    patterns : (P, m) bool
        Which variables are observed in each pattern, the most frequent first.
    counts : (P,) int
        Units of each pattern.
    shares : (J, m)
        Share of the rows of each cluster in which a variable is missing; of level 2: 1 or 0. Empty
        without clusters.
    """

    number: int
    variables: tuple[str, ...]
    patterns: NDArray[np.bool_]
    counts: NDArray[np.int64]
    shares: Array

    @property
    def n_units(self) -> int:
        return int(self.counts.sum())

    @property
    def observed(self) -> NDArray[np.int64]:
        """In how many units each variable is, (m,)."""
        return self.counts @ self.patterns.astype(np.int64)

    @property
    def coverage(self) -> Array:
        """Share of the units in which both of two variables are observed, (m, m)."""
        seen = self.patterns.astype(np.float64)
        return (seen.T * self.counts) @ seen / self.n_units


def level_gaps(
    frame: pd.DataFrame,
    wanted: Mapping[str, str],
    grouping: Grouping,
    table: ParameterTable | None,
) -> tuple[LevelGaps, ...]:
    """The gaps of columns by the level at which these vary.

    Parameters
    ----------
    wanted : mapping of str to str
        Columns, each with the words that open the message where it is absent.
    grouping : Grouping
        Of all rows.
    table : ParameterTable or None
        A model that says what is of level 1; else a column is of level 2 if it is constant within
        every cluster where it is observed, and observed twice in one.
    """
    gaps = {name: missing_in(require_column(frame, name, said)) for name, said in wanted.items()}
    outer = [name for name in gaps if _is_level2(frame, name, gaps[name], grouping, table)]
    inner = [name for name in gaps if name not in outer]
    order: Any = slice(None) if grouping.order is None else grouping.order
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    by_row = [gaps[name][order] for name in inner]
    shares: list[Array] = []
    if grouping.clustered:
        sums = (np.add.reduceat(gap, starts, dtype=np.float64) for gap in by_row)
        shares = [each / grouping.sizes for each in sums]
    first = _level(1, inner, by_row, len(frame), shares)
    if not outer:
        return (first,)
    by_cluster = [np.logical_and.reduceat(gaps[name][order], starts) for name in outer]
    clusters = len(grouping.sizes)
    return first, _level(2, outer, by_cluster, clusters, [each * 1.0 for each in by_cluster])


def _level(
    number: int,
    names: list[str],
    masks: list[NDArray[np.bool_]],
    count: int,
    shares: list[Array],
) -> LevelGaps:
    kinds, codes = pattern_codes(masks, count)
    counts = np.bincount(codes, minlength=len(kinds))
    order = np.argsort(-counts, kind="stable")
    by_cluster = np.column_stack(shares) if shares else np.zeros((0, 0))
    return LevelGaps(number, tuple(names), ~kinds[order], counts[order], by_cluster)


def _is_level2(
    frame: pd.DataFrame,
    name: str,
    gap: NDArray[np.bool_],
    grouping: Grouping,
    table: ParameterTable | None,
) -> bool:
    """Whether a column is a variable of level 2."""
    if table is not None and not may_be_level2(table, name):
        return False
    if grouping.singletons or gap.all():
        return table is not None
    values = numeric(frame, require_column(frame, name, ""), name)
    mean = float(np.mean(values, where=~gap))
    if not np.isfinite(mean):
        return False
    if gap.any():
        column = Column.where_observed(name, values, mean, grouping, gap, CHUNK_ROWS)
    else:
        column = Column(name, values, mean, grouping, cut(grouping.sizes, CHUNK_ROWS))
    if column.grouping.singletons:
        return table is not None
    _, distance = cluster_values(values, column.grouping, column.pieces)
    return bool((distance <= SAME * column.sd()).all())
