"""Rows with missing values, or of several classes, to the moments of their cells, in one pass over
chunks of rows.

A missing value counts as zero after the shift is taken off: its mean and cross-products in a cell,
where the whole column is missing, are then zero, and nothing else sees it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import CellMoments, frozen
from mlsem.core.sample.moments import combine
from mlsem.data.moments.chunks import Reader, level_column, moments_of_runs, near_mean
from mlsem.data.table.cells import cells_of, pattern_codes
from mlsem.data.table.grouping import counted, cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mlsem.core.records import Array, Index
    from mlsem.data.moments.bases import Base, RowBase
    from mlsem.data.moments.products import Plan
    from mlsem.data.table.columns import Rows
    from mlsem.data.table.grouping import Grouping


def aggregate_cells(
    plan: Plan, bases: Mapping[str, RowBase], rows: Rows, grouping: Grouping, chunk_rows: int
) -> CellMoments:
    """Moments of the planned columns by cluster and pattern of missing values, or class."""
    keys, varying = plan.keys[: plan.varying], plan.varying
    patterns, codes = _row_patterns(plan, rows, grouping)
    cells = cells_of(grouping, codes, len(patterns))
    counts = cells.grouping.sizes
    pieces = cut(counts, chunk_rows)
    cell_of = pieces.clusters
    owner = cells.cluster_of if cell_of is None else cells.cluster_of[cell_of]
    near = np.array([near_mean(key, bases) for key in keys])
    reader = Reader(keys, near, bases, cells.grouping, replace(pieces, clusters=owner))
    means = np.empty((len(owner), varying))
    gappy = np.flatnonzero(~patterns.all(axis=0)).tolist()
    within, sizes = moments_of_runs(reader, means, gappy), reader.sizes
    if cell_of is not None:
        sizes, means, within = combine(sizes, means, within, cell_of, len(counts))
    seen = patterns[cells.pattern_of]
    drift = sizes @ means / (sizes @ seen)
    np.subtract(means, drift, out=means, where=seen)
    shift, level2, known = level2_columns(plan, bases, len(grouping.sizes))
    cluster_sizes, weights = counted(grouping)
    kinds, kind_of = pattern_codes(~known.T, len(known))
    return CellMoments(
        columns=plan.names,
        varying=varying,
        shift=frozen(np.concatenate((near + drift, shift))),
        rows=frozen(grouping.sizes),
        sizes=frozen(cluster_sizes),
        weights=frozen(weights),
        labels=frozen(grouping.labels),
        patterns=frozen(patterns),
        pattern_of=frozen(cells.pattern_of),
        cluster_of=frozen(cells.cluster_of),
        cell_rows=frozen(counts),
        cell_sizes=frozen(sizes.astype(np.float64)),
        means=frozen(means),
        within=frozen(within),
        level2=frozen(level2),
        level2_patterns=frozen(~kinds),
        level2_pattern_of=frozen(kind_of),
        uneven=grouping.row_weights is not None,
    )


def _row_patterns(plan: Plan, rows: Rows, grouping: Grouping) -> tuple[NDArray[np.bool_], Index]:
    """Which varying columns are observed, (P, V), and the pattern of each row in cluster order;
    where rows fall into classes these are the patterns, with all columns.

    Columns that are missing together, as products of the same factors are, have one digit.
    """
    order, of_rows = grouping.order, grouping.classes
    if of_rows is not None:
        patterns = np.ones((int(of_rows.max()) + 1, plan.varying), dtype=bool)
        return patterns, of_rows if order is None else of_rows[order]
    keys = plan.keys[: plan.varying]
    sets = [frozenset(f for f in key if f in rows.gaps) for key in keys]
    digits = {own: place for place, own in enumerate(dict.fromkeys(filter(None, sets)))}
    masks = (np.logical_or.reduce([rows.gaps[name] for name in own]) for own in digits)
    ordered = (mask if order is None else mask[order] for mask in masks)
    found, codes = pattern_codes(ordered, grouping.n_rows)
    patterns = np.ones((len(found), plan.varying), dtype=bool)
    for place, own in enumerate(sets):
        if own:
            patterns[:, place] = ~found[:, digits[own]]
    return patterns, codes


def level2_columns(
    plan: Plan, bases: Mapping[str, Base], clusters: int
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The shift of the level-2 columns, these shifted, zero where missing, and where they are
    known."""
    keys = plan.keys[plan.varying :]
    level2 = np.empty((clusters, len(keys)))
    shift = np.empty(len(keys))
    for place, key in enumerate(keys):
        level2[:, place] = level_column(key, bases)
    known = ~np.isnan(level2)
    for place in range(len(keys)):
        values = level2[known[:, place], place]
        shift[place] = values[0] + (values - values[0]).mean()
    level2 -= shift
    level2[~known] = 0.0
    return shift, level2, known
