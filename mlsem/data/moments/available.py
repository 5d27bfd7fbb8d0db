"""Moments of those rows and clusters with missing values in which some columns are observed."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import ClusterMoments, frozen
from mlsem.core.sample.moments import combine, is_no_within, no_within

SHOWN = 3
"""Pairs of columns that a note names."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from mlsem.core.records import Array, CellMoments, Index
    from mlsem.model.table import ParameterTable


def available(moments: CellMoments) -> tuple[Array, Array, Array]:
    """Of each cluster and varying column, over the rows in which the column is observed: how many
    they are, their mean (zero without one), and their squares about it; each (J, V)."""
    starts = np.searchsorted(moments.cluster_of, np.arange(moments.n_clusters))
    seen = moments.patterns[moments.pattern_of]
    sizes = moments.cell_sizes[:, None] * seen
    counts = np.add.reduceat(sizes, starts, axis=0)
    means = np.add.reduceat(moments.cell_sizes[:, None] * moments.means, starts, axis=0)
    means /= np.maximum(counts, 1.0)
    away = moments.means - means[moments.cluster_of]
    inside = np.add.reduceat(sizes * away * away, starts, axis=0)
    if not is_no_within(moments.within):
        inside += np.add.reduceat(np.einsum("kvv->kv", moments.within), starts, axis=0)
    return counts, means, inside


def rows_with(moments: CellMoments, names: Sequence[str]) -> ClusterMoments:
    """Moments of these columns over the rows in which all of them are observed, by cluster; those
    that vary first."""
    index = {name: place for place, name in enumerate(moments.columns)}
    places = np.array([index[name] for name in names], dtype=np.intp)
    inner = places[places < moments.varying]
    outer = places[places >= moments.varying] - moments.varying
    cells = _complete(moments.patterns, inner)[moments.pattern_of]
    clusters = _complete(moments.level2_patterns, outer)[moments.level2_pattern_of]
    cells = np.flatnonzero(cells & clusters[moments.cluster_of])
    used, codes = np.unique(moments.cluster_of[cells], return_inverse=True)
    sizes, means = moments.cell_sizes[cells], moments.means[np.ix_(cells, inner)]
    if len(used) == len(cells) and is_no_within(moments.within):
        within = no_within(len(used), len(inner))
    else:
        within = moments.within[cells[:, None, None], inner[:, None], inner]
        if len(cells):
            sizes, means, within = combine(sizes, means, within, codes, len(used))
    rows = np.bincount(codes, moments.cell_rows[cells], len(used)).astype(np.int64)
    ordered = np.concatenate((inner, outer + moments.varying))
    return ClusterMoments(
        columns=tuple(moments.columns[place] for place in ordered.tolist()),
        varying=len(inner),
        shift=frozen(moments.shift[ordered]),
        rows=frozen(rows),
        sizes=frozen(sizes),
        weights=frozen(moments.weights[used]),
        labels=frozen(moments.labels[used]),
        means=frozen(np.concatenate((means, moments.level2[np.ix_(used, outer)]), axis=1)),
        within=frozen(within),
        uneven=moments.uneven,
    )


def _complete(patterns: NDArray[np.bool_], places: Index) -> NDArray[np.bool_]:
    """Which patterns have all columns at these places."""
    return np.logical_and.reduce(patterns[:, places], axis=1)


def clusters_with(moments: CellMoments, names: Sequence[str]) -> Array:
    """Level-2 columns of the clusters in which all of them are observed, (j, k)."""
    places = np.array([moments.columns.index(name) for name in names], dtype=np.intp)
    places -= moments.varying
    known = _complete(moments.level2_patterns, places)[moments.level2_pattern_of]
    return moments.level2[known][:, places]


def never_together(moments: CellMoments, names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of columns of which no row (of level-2 columns no cluster) has both."""
    index = {name: place for place, name in enumerate(moments.columns)}
    kinds = moments.patterns.astype(np.float64), moments.level2_patterns.astype(np.float64)
    both = [each.T @ each > 0.0 for each in kinds]
    found: list[tuple[str, str]] = []
    for a, b in combinations(dict.fromkeys(names), 2):
        level = int(index[a] >= moments.varying)
        if level != int(index[b] >= moments.varying):
            continue
        first = moments.varying * level
        if not both[level][index[a] - first, index[b] - first]:
            found.append((a, b))
    return found


def together_notes(table: ParameterTable, moments: CellMoments) -> tuple[str, ...]:
    """A caution where no row tells how two modelled variables go together."""
    pairs = never_together(moments, (name for level in table.levels for name in level.modelled))
    if not pairs:
        return ()
    shown = ", ".join(f"{a!r} and {b!r}" for a, b in pairs[:SHOWN])
    more = f" and {len(pairs) - SHOWN} more pairs" if len(pairs) > SHOWN else ""
    return (
        f"{shown}{more} are never observed together: what is estimated of their covariance comes "
        "of the model's form alone, and the saturated model, with which fit is compared, does not "
        "determine it.",
    )
