"""Rows that a fitted model is asked about: its variables, row by row, as the fit made them.

Grand means that were taken off are those of the fit, cluster means those of the new rows' clusters;
products are formed after that, as there. The fit's own clusters can be joined to the rows: their
moments in the same variables follow from the stored ones, which are linear in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import Array, ClusterMoments, Index, frozen
from mlsem.core.sample.moments import combine
from mlsem.data.moments.bases import SAME
from mlsem.data.moments.chunks import summarise
from mlsem.data.table.columns import SHOWN, read_rows, require_frame
from mlsem.data.table.grouping import group
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.model.table import ParameterTable

ALIKE = 1e-9  # moments of a cluster that differ no more are those of the same rows


@dataclass(frozen=True, slots=True, eq=False)
class NewRows:
    """Rows of a frame that have all values they need.

    Attributes
    ----------
    names : tuple of str
        Variables of the model, those of level 1 first.
    varying : int
        How many are of level 1.
    values : (n, m)
        The variables, in the order of the frame.
    used : (n,)
        Positions of the rows in the frame.
    codes : (n,)
        The cluster of each row.
    sizes : (J,)
        Rows of each cluster.
    labels : (J,)
        Cluster ids; empty without clusters.
    index : Index
        The frame's.
    """

    names: tuple[str, ...]
    varying: int
    values: Array
    used: Index
    codes: Index
    sizes: NDArray[np.int64]
    labels: NDArray
    index: pd.Index

    def spread_out(self, values: Array) -> Array:
        """Values of the rows used (n, k) as rows of the frame, NaN in the others."""
        found = np.full((len(self.index), values.shape[1]), np.nan)
        found[self.used] = values
        return found

    def first(self) -> Array:
        """The variables of the first row of each cluster, (J, m)."""
        return self.values[_first(self.codes, len(self.sizes))]

    def moments(self, centre: Array) -> ClusterMoments:
        """Of the variables less `centre` (m,), by cluster."""
        values, count, varying = self.values - centre, len(self.sizes), self.varying
        means = values[_first(self.codes, count)]
        within = np.zeros((count, varying, varying))
        order = np.argsort(self.codes, kind="stable")
        block = np.ascontiguousarray(values[order, :varying].T)
        summarise(block, self.sizes, means[:, :varying], within)
        return _moments(self.names, varying, self.sizes, means, within, self.labels)


def read_new_rows(
    table: ParameterTable,
    record: DataRecord,
    data: object,
    names: Sequence[str],
    *,
    level2: bool,
) -> NewRows:
    """Read rows of a frame.

    Parameters
    ----------
    names : sequence of str
        The variables of the model that are needed.
    level2 : bool
        Whether those of level 2 are checked to be constant within clusters.

    Raises
    ------
    DataError
        As for `fit`; or a factor has a level that the fit did not.
    """
    frame = require_frame(data)
    if record.formula is not None:
        frame = record.formula.remade(frame, names)
    factors = {term.name: term.factors for term in table.products}
    factors = {name: factors.get(name, (name,)) for name in names}
    wanted = {
        factor: f"the model needs {'the variable' if len(each) == 1 else 'for a product'}"
        for each in factors.values()
        for factor in each
    }
    if wanted:
        rows = read_rows(frame, wanted, "listwise")
        read, keep = rows.values, rows.keep
    else:
        read, keep = {}, None
    used = np.arange(len(frame)) if keep is None else np.flatnonzero(keep)
    by_cluster = any(how == "cluster" for _, how, _ in record.centered)
    cluster = record.cluster if table.two_level or by_cluster else None
    codes, sizes, labels = _clusters(frame, cluster, keep, used)
    columns = {name: values[used].astype(np.float64) for name, values in read.items()}
    for name, how, value in record.centered:
        if name in columns:
            mean = _means(columns[name], codes, sizes)[codes] if how == "cluster" else value
            columns[name] = columns[name] - mean
    first = set(table.levels[0].modelled + table.levels[0].covariates)
    ordered = [name for name in names if name in first]
    varying = len(ordered)
    ordered += [name for name in names if name not in first]
    values = np.ones((len(used), len(ordered)))
    for place, name in enumerate(ordered):
        for factor in factors[name]:
            values[:, place] *= columns[factor]
    found = NewRows(tuple(ordered), varying, values, used, codes, sizes, labels, frame.index)
    if level2:
        _check_constant(found)
    return found


def _clusters(
    frame: pd.DataFrame, cluster: str | None, keep: NDArray[np.bool_] | None, used: Index
) -> tuple[Index, NDArray[np.int64], NDArray]:
    """The cluster of each row used, the sizes and the ids."""
    if cluster is None:
        return np.zeros(len(used), dtype=np.intp), np.array([len(used)]), np.zeros(0)
    grouping = group(frame, cluster, keep)
    inside = np.repeat(np.arange(len(grouping.sizes)), grouping.sizes)
    if grouping.order is None:
        return inside, grouping.sizes, grouping.labels
    codes = np.empty(len(frame), dtype=np.intp)
    codes[grouping.order] = inside
    return codes[used], grouping.sizes, grouping.labels


def _means(values: Array, codes: Index, sizes: NDArray[np.int64]) -> Array:
    near = values[_first(codes, len(sizes))]
    return near + np.bincount(codes, values - near[codes], len(sizes)) / sizes


def _first(codes: Index, count: int) -> Index:
    """The first row of each cluster."""
    found = np.full(count, len(codes), dtype=np.intp)
    np.minimum.at(found, codes, np.arange(len(codes)))
    return found


def _check_constant(rows: NewRows) -> None:
    """Refuse variables of level 2 that differ within a cluster."""
    for place in range(rows.varying, len(rows.names)):
        values = rows.values[:, place]
        away = np.abs(values - rows.first()[rows.codes, place])
        apart = np.unique(rows.codes[away > SAME * max(float(np.std(values)), 0.0)])
        if len(apart) and len(rows.labels):
            shown = listed(map(repr, rows.labels[apart[:SHOWN]].tolist()))
            raise DataError(
                f"{rows.names[place]!r} is a variable of level 2, but varies within "
                f"cluster{'s' if len(apart) > 1 else ''} {shown}."
            )


# --- joined with what the fit has seen ------------------------------------------------------------


def known_places(labels: NDArray, known: NDArray) -> Index:
    """Where these ids are among those of the fit; -1 where they are not."""
    place = {label: k for k, label in enumerate(known.tolist())}
    return np.array([place.get(label, -1) for label in labels.tolist()], dtype=np.intp)


def joined(
    own: ClusterMoments, fitted: ClusterMoments, maps: Array, centre: Array
) -> ClusterMoments:
    """The clusters of new rows with the rows that the fit has seen of them.

    Parameters
    ----------
    own : ClusterMoments
        Of the new rows, `centre` taken off.
    fitted : ClusterMoments
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
    place, varying = places[known], own.varying
    rows = np.concatenate((np.ones((len(place), 1)), fitted.means[place]), axis=1)
    inner = maps[:varying, fitted.varying_entries]
    means, within = rows @ maps.T - centre, inner @ fitted.within[place] @ inner.T
    _check_history(own, known, means, within, fitted.rows[place])
    codes = np.concatenate((np.arange(own.n_clusters), known))
    sizes, mean, spread = combine(
        np.concatenate((own.sizes, fitted.sizes[place])),
        np.concatenate((own.means, means)),
        np.concatenate((own.within, within)),
        codes,
        own.n_clusters,
    )
    return _moments(own.columns, varying, sizes, mean, spread, own.labels)


def _check_history(
    own: ClusterMoments, known: Index, means: Array, within: Array, sizes: NDArray[np.int64]
) -> None:
    scale = np.sqrt(np.abs(own.means).max(initial=0.0) ** 2 + 1.0)
    gap = np.abs(own.means[known] - means)
    if own.varying:
        inner = np.abs(own.within[known] - within).max(axis=(1, 2))
        largest = np.abs(within).max(axis=(1, 2)) + 1.0
        same = (own.rows[known] == sizes) & (gap.max(axis=1) < ALIKE * scale)
        same &= inner < 1e-8 * largest
        if same.any():
            shown = listed(map(repr, own.labels[known[same]][:SHOWN].tolist()))
            raise DataError(
                f"history=True adds what the fit knows of its clusters, but the rows of {shown} "
                "are those that it has seen. Leave history=True out, or pass new rows only."
            )
    other = (gap[:, own.varying :] > 1e-6 * scale).any(axis=1)
    if other.any():
        shown = listed(map(repr, own.labels[known[other]][:SHOWN].tolist()))
        raise DataError(
            f"history=True: a variable of level 2 has another value than in the fit in {shown}. "
            "Give these clusters new ids, or leave history=True out."
        )


def _moments(
    names: tuple[str, ...],
    varying: int,
    sizes: NDArray,
    means: Array,
    within: Array,
    labels: NDArray,
) -> ClusterMoments:
    return ClusterMoments(
        columns=names,
        varying=varying,
        shift=np.zeros(len(names)),
        rows=frozen(np.asarray(sizes).astype(np.int64)),
        sizes=frozen(np.asarray(sizes, dtype=np.float64)),
        weights=frozen(np.ones(len(sizes))),
        means=frozen(means),
        within=frozen(within),
        labels=labels,
    )
