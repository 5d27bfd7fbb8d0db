"""Clusters of new rows joined with the rows that a fit has seen of them.

The fit's own moments in the variables of the new rows follow from the stored ones, which are linear
in them.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.patterns.convert import all_there, as_cells, as_clusters
from mlsem.core.records import Array, CellMoments, ClusterMoments, ClusterRecord, Index, frozen
from mlsem.core.sample.moments import combine
from mlsem.data.table.columns import SHOWN
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIKE = 1e-9  # moments of a cluster that differ no more are those of the same rows


def known_places(labels: NDArray, known: NDArray) -> Index:
    """Where these ids are among those of the fit; -1 where they are not."""
    place = {label: k for k, label in enumerate(known.tolist())}
    return np.array([place.get(label, -1) for label in labels.tolist()], dtype=np.intp)


def joined(
    own: ClusterMoments | CellMoments,
    fitted: ClusterMoments | CellMoments,
    maps: Array,
    centre: Array,
) -> ClusterMoments | CellMoments:
    """The clusters of new rows with the rows that the fit has seen of them.

    Parameters
    ----------
    own : ClusterMoments or CellMoments
        Of the new rows, `centre` taken off.
    fitted : ClusterMoments or CellMoments
        Of the fit.
    maps : (m, D)
        The variables as maps of h = (1, the fit's stored columns).

    Raises
    ------
    DataError
        The rows of a cluster are those of the fit, or its variables of level 2 differ from there.
    """
    places = known_places(own.labels, fitted.labels)
    known = np.flatnonzero(places >= 0)
    if not len(known):
        return own
    if isinstance(own, ClusterMoments) and isinstance(fitted, ClusterMoments):
        return _joined(own, _seen(own, fitted, places[known], maps, centre), known)
    seen = as_cells(fitted) if isinstance(fitted, ClusterMoments) else fitted
    seen = _seen_cells(own, seen, places[known], maps, centre)
    return _joined_cells(as_cells(own) if isinstance(own, ClusterMoments) else own, seen, known)


def _joined(own: ClusterMoments, seen: ClusterMoments, known: Index) -> ClusterMoments:
    _check(own, seen, known, np.ones((len(known), len(own.columns) - own.varying), dtype=np.bool_))
    sizes, mean, within = combine(
        np.concatenate((own.sizes, seen.sizes)),
        np.concatenate((own.means, seen.means)),
        np.concatenate((own.within, seen.within)),
        np.concatenate((np.arange(own.n_clusters), known)),
        own.n_clusters,
    )
    return replace(
        own,
        rows=frozen(np.rint(sizes).astype(np.int64)),
        sizes=frozen(sizes),
        means=frozen(mean),
        within=frozen(within),
    )


def _seen(
    own: ClusterMoments, fitted: ClusterMoments, places: Index, maps: Array, centre: Array
) -> ClusterMoments:
    """Clusters of the fit in the variables of the new rows."""
    inner = maps[: own.varying, fitted.varying_entries]
    return replace(
        own,
        rows=fitted.rows[places],
        sizes=fitted.sizes[places],
        weights=fitted.weights[places],
        labels=fitted.labels[places],
        means=fitted.cluster_rows[places] @ maps.T - centre,
        within=inner @ fitted.within[places] @ inner.T,
    )


# --- with missing values --------------------------------------------------------------------------


def _seen_cells(
    own: ClusterMoments | CellMoments,
    fitted: CellMoments,
    places: Index,
    maps: Array,
    centre: Array,
) -> CellMoments:
    """Clusters of the fit in the variables of the new rows: zero what is missing."""
    varying, position = own.varying, np.full(fitted.n_clusters, -1)
    position[places] = np.arange(len(places))
    used = np.flatnonzero(position[fitted.cluster_of] >= 0)
    owner = fitted.cluster_of[used]
    level2 = fitted.level2_patterns[fitted.level2_pattern_of]
    columns = np.concatenate((fitted.patterns[fitted.pattern_of[used]], level2[owner]), axis=1)
    inner = all_there(maps[:varying, 1:], columns)
    rows = fitted.cluster_rows[owner]
    rows[:, fitted.varying_entries] = fitted.means[used]
    means = np.where(inner, rows @ maps[:varying].T - centre[:varying], 0.0)
    turn = maps[:varying, fitted.varying_entries]
    both = inner[:, :, None] & inner[:, None, :]
    within = np.where(both, turn @ fitted.within[used] @ turn.T, 0.0)
    none = np.zeros((len(places), fitted.varying), dtype=np.bool_)
    outer = all_there(maps[varying:, 1:], np.concatenate((none, level2[places]), axis=1))
    values = fitted.cluster_rows[places] @ maps[varying:].T - centre[varying:]
    order = np.argsort(position[owner], kind="stable")
    return _cells_of(
        _clusters(own)
        | {name: getattr(fitted, name)[places] for name in ("rows", "sizes", "weights", "labels")},
        position[owner][order],
        inner[order],
        fitted.cell_sizes[used][order],
        (means[order], within[order]),
        (np.where(outer, values, 0.0), outer),
    )


def _clusters(record: ClusterRecord) -> dict[str, Any]:
    """What any record of clusters has."""
    return {field.name: getattr(record, field.name) for field in fields(ClusterRecord)}


def _cells_of(
    clusters: dict[str, Any],
    owner: Index,
    observed: NDArray[np.bool_],
    sizes: Array,
    moments: tuple[Array, Array],
    level2: tuple[Array, NDArray[np.bool_]],
) -> CellMoments:
    """Pieces of clusters (by cluster, what is observed, and moments) as cells, and level-2 values
    with where they are known."""
    patterns, codes = np.unique(observed, axis=0, return_inverse=True)
    keys, cell_of = np.unique(owner * len(patterns) + codes.reshape(-1), return_inverse=True)
    total, means, within = combine(sizes, *moments, cell_of.reshape(-1), len(keys))
    kinds, kind_of = np.unique(level2[1], axis=0, return_inverse=True)
    return CellMoments(
        **clusters,
        patterns=frozen(patterns),
        pattern_of=frozen(keys % len(patterns)),
        cluster_of=frozen(keys // len(patterns)),
        cell_rows=frozen(np.rint(total).astype(np.int64)),
        cell_sizes=frozen(total),
        means=frozen(means),
        within=frozen(within),
        level2=frozen(level2[0]),
        level2_patterns=frozen(kinds),
        level2_pattern_of=frozen(kind_of.reshape(-1)),
    )


def _joined_cells(own: CellMoments, seen: CellMoments, known: Index) -> CellMoments:
    first, second = (cells.level2_patterns[cells.level2_pattern_of] for cells in (own, seen))
    _check(as_clusters(own), as_clusters(seen), known, first[known] & second)
    values, there = own.level2.copy(), first.copy()
    values[known] = np.where(first[known], own.level2[known], seen.level2)
    there[known] |= second
    pieces = own, seen
    totals = [own.rows.copy(), own.sizes.copy()]
    for total, more in zip(totals, (seen.rows, seen.sizes), strict=True):
        total[known] += more
    return _cells_of(
        _clusters(own) | {"rows": frozen(totals[0]), "sizes": frozen(totals[1])},
        np.concatenate((own.cluster_of, known[seen.cluster_of])),
        np.concatenate([cells.patterns[cells.pattern_of] for cells in pieces]),
        np.concatenate([cells.cell_sizes for cells in pieces]),
        (
            np.concatenate([cells.means for cells in pieces]),
            np.concatenate([cells.within for cells in pieces]),
        ),
        (values, there),
    )


# --- whether they can be joined -------------------------------------------------------------------


def _check(
    own: ClusterMoments, seen: ClusterMoments, known: Index, level2: NDArray[np.bool_]
) -> None:
    """`level2` says where variables of level 2 are known of both."""
    scale = np.sqrt(np.abs(own.means).max(initial=0.0) ** 2 + 1.0)
    gap = np.abs(own.means[known] - seen.means)
    if own.varying:
        inner = np.abs(own.within[known] - seen.within).max(axis=(1, 2))
        largest = np.abs(seen.within).max(axis=(1, 2)) + 1.0
        same = (own.rows[known] == seen.rows) & (gap.max(axis=1) < ALIKE * scale)
        same &= inner < 1e-8 * largest
        if same.any():
            shown = listed(map(repr, own.labels[known[same]][:SHOWN].tolist()))
            raise DataError(
                f"history=True adds what the fit knows of its clusters, but the rows of {shown} "
                "are those that it has seen. Leave history=True out, or pass new rows only."
            )
    other = ((gap[:, own.varying :] > 1e-6 * scale) & level2).any(axis=1)
    if other.any():
        shown = listed(map(repr, own.labels[known[other]][:SHOWN].tolist()))
        raise DataError(
            f"history=True: a variable of level 2 has another value than in the fit in {shown}. "
            "Give these clusters new ids, or leave history=True out."
        )
