"""Rows that a fitted model is asked about: its variables, row by row, as the fit made them.

Grand means that were taken off are those of the fit, cluster means those of the new rows' clusters;
products are formed after that, as there. Rows with missing values are used as the fit used its own:
those that full information maximum likelihood uses, or complete ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import Array, CellMoments, ClusterMoments, Index, frozen
from mlsem.data.moments.bases import SAME
from mlsem.data.moments.chunks import summarise
from mlsem.data.table.cells import pattern_codes
from mlsem.data.table.columns import (
    SHOWN,
    check_missing,
    read_rows,
    require_column,
    require_frame,
)
from mlsem.data.table.grouping import group
from mlsem.data.table.groups import known_groups, named_groups
from mlsem.data.table.nesting import check_apart
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.data.moments.groups import GroupedRecord
    from mlsem.model.table import ParameterTable


@dataclass(frozen=True, slots=True, eq=False)
class NewRows:
    """Rows of a frame that have the values they need.

    Attributes
    ----------
    names : tuple of str
        Variables of the model, those of level 1 first.
    varying : int
        How many are of level 1.
    values : (n, m)
        The variables, in the order of the frame; NaN where missing.
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
    classes : (n,) or None
        The class of each row, where rows fall into some that have a residual variance each.
    """

    names: tuple[str, ...]
    varying: int
    values: Array
    used: Index
    codes: Index
    sizes: NDArray[np.int64]
    labels: NDArray
    index: pd.Index
    classes: Index | None = None

    def spread_out(self, values: Array) -> Array:
        """Values of the rows used (n, k) as rows of the frame, NaN in the others."""
        found = np.full((len(self.index), values.shape[1]), np.nan)
        found[self.used] = values
        return found

    def first(self) -> Array:
        """The variables of the first row of each cluster, (J, m)."""
        return self.values[_first(self.codes, len(self.sizes))]

    def patterns(self) -> tuple[NDArray[np.bool_], Index]:
        """Distinct sets of observed variables (P, m), and the one of each row."""
        gaps = np.isnan(self.values)
        some = np.flatnonzero(gaps.any(axis=0))
        found, codes = pattern_codes((gaps[:, k] for k in some), len(gaps))
        patterns = np.ones((len(found), len(self.names)), dtype=np.bool_)
        patterns[:, some] = ~found
        return patterns, codes

    def moments(self, centre: Array) -> ClusterMoments | CellMoments:
        """Of the variables less `centre` (m,), by cluster; by cells if values are missing, or rows
        are of several classes."""
        if self.classes is not None or np.isnan(self.values).any():
            return self._cells(centre)
        values, count, varying = self.values - centre, len(self.sizes), self.varying
        means = values[_first(self.codes, count)]
        within = np.zeros((count, varying, varying))
        order = np.argsort(self.codes, kind="stable")
        block = np.ascontiguousarray(values[order, :varying].T)
        summarise(block, self.sizes, means[:, :varying], within)
        return ClusterMoments(means=frozen(means), within=frozen(within), **self._clusters())

    def _cells(self, centre: Array) -> CellMoments:
        values, varying = self.values - centre, self.varying
        known = ~np.isnan(values)
        values[~known] = 0.0
        inner, kind = self._kinds()
        keys, cell_of, sizes = np.unique(
            self.codes * len(inner) + kind,
            return_inverse=True,
            return_counts=True,
        )
        means, within = np.zeros((len(keys), varying)), np.zeros((len(keys), varying, varying))
        order = np.argsort(cell_of.reshape(-1), kind="stable")
        summarise(np.ascontiguousarray(values[order, :varying].T), sizes, means, within)
        first = _first(self.codes, len(self.sizes))
        kinds, kind_of = np.unique(known[first, varying:], axis=0, return_inverse=True)
        return CellMoments(
            patterns=frozen(inner),
            pattern_of=frozen(keys % len(inner)),
            cluster_of=frozen(keys // len(inner)),
            cell_rows=frozen(sizes.astype(np.int64)),
            cell_sizes=frozen(sizes.astype(np.float64)),
            means=frozen(means),
            within=frozen(within),
            level2=frozen(values[first, varying:]),
            level2_patterns=frozen(kinds),
            level2_pattern_of=frozen(kind_of.reshape(-1)),
            **self._clusters(),
        )

    def _kinds(self) -> tuple[NDArray[np.bool_], Index]:
        """The variables of level 1 that are observed in rows of each kind, and the kind of each."""
        varying = self.varying
        if self.classes is not None:
            return np.ones((int(self.classes.max()) + 1, varying), dtype=np.bool_), self.classes
        patterns, codes = self.patterns()
        inner, again = np.unique(patterns[:, :varying], axis=0, return_inverse=True)
        return inner, again.reshape(-1)[codes]

    def _clusters(self) -> dict[str, Any]:
        """What any record of clusters has."""
        return {
            "columns": self.names,
            "varying": self.varying,
            "shift": np.zeros(len(self.names)),
            "rows": frozen(self.sizes.astype(np.int64)),
            "sizes": frozen(self.sizes.astype(np.float64)),
            "weights": frozen(np.ones(len(self.sizes))),
            "labels": self.labels,
        }


@dataclass(frozen=True, slots=True, eq=False)
class NewGroup:
    """The rows of one group in a frame.

    Attributes
    ----------
    place : int
        The group's among those of the fit, from 0.
    frame : DataFrame
        These rows.
    positions : (n,)
        Where they are in the whole frame.
    """

    place: int
    frame: pd.DataFrame
    positions: Index


def rows_by_group(
    table: ParameterTable, record: GroupedRecord, data: object
) -> tuple[NewGroup, ...]:
    """The rows of a frame by the groups of the fit, those groups that have some; each is read by
    `read_new_rows` with the group's table and record. Rows without a group are in none.

    Raises
    ------
    DataError
        The grouping column is absent, or has a group that the fit has not; of a model with two
        levels a cluster is in several groups, or in another one than in the fit.
    """
    frame = require_frame(data)
    parts = tuple(
        NewGroup(place, frame.iloc[positions], positions)
        for place, positions in known_groups(frame, record.column, record.labels)
    )
    if table.two_level and record.cluster is not None:
        require_column(frame, record.cluster, "cluster= names")
        labels = [record.labels[part.place] for part in parts]
        ids = [group(part.frame, record.cluster, None).labels for part in parts]
        check_apart(frame.columns, record.column, record.cluster, ids, labels)
        _check_same_groups(record, parts, ids)
    return parts


def _check_same_groups(
    record: GroupedRecord, parts: tuple[NewGroup, ...], ids: Sequence[NDArray]
) -> None:
    """Refuse clusters that are in another group of the fit."""
    home = {
        label: place
        for place, own in enumerate(record.groups)
        for label in own.moments.labels.tolist()
    }
    for part, own in zip(parts, ids, strict=True):
        for label in own.tolist():
            place = home.get(label, part.place)
            if place != part.place:
                raise DataError(
                    f"{record.cluster} {label!r} is in the "
                    f"{named_groups([record.labels[part.place]])} here and in the "
                    f"{named_groups([record.labels[place]])} of the fit. A new cluster needs an id "
                    "of its own."
                )


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
    of_rows = None
    if record.formula is not None:
        of_rows = None if record.formula.classes is None else record.formula.classes.codes(frame)
        frame = record.formula.remade(frame, names)
    factors = {term.name: term.factors for term in table.products}
    factors = {name: factors.get(name, (name,)) for name in names}
    wanted = {
        factor: f"the model needs {'the variable' if len(each) == 1 else 'for a product'}"
        for each in factors.values()
        for factor in each
    }
    by_cluster = any(how == "cluster" for _, how, _ in record.centered)
    cluster = record.cluster if table.two_level or by_cluster else None
    read, keep = {}, None
    if wanted and record.missingness is None:
        rows = read_rows(frame, wanted, "listwise")
        read, keep = rows.values, rows.keep
    elif wanted:
        read, keep = _incomplete(table, record, frame, wanted, factors, cluster)
    if of_rows is not None and (of_rows < 0).any():
        keep = (of_rows >= 0) & (True if keep is None else keep)
    used = np.arange(len(frame)) if keep is None else np.flatnonzero(keep)
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
    classes = None if of_rows is None else of_rows[used]
    where = (used, codes, sizes, labels, frame.index, classes)
    found = NewRows(tuple(ordered), varying, values, *where)
    if level2:
        _check_constant(found)
    return found


def _incomplete(
    table: ParameterTable,
    record: DataRecord,
    frame: pd.DataFrame,
    wanted: Mapping[str, str],
    factors: Mapping[str, tuple[str, ...]],
    cluster: str | None,
) -> tuple[dict[str, NDArray], NDArray[np.bool_] | None]:
    """Columns with NaN where missing, and the rows that have all fixed covariates."""
    rows = read_rows(frame, wanted, "fiml")
    values, gaps = dict(rows.values), dict(rows.gaps)
    if gaps and cluster is not None:
        codes, sizes, _ = _clusters(frame, cluster, None, np.arange(len(frame)))
        for name in gaps.keys() & _of_level2(table, record):
            values[name] = _filled(values[name], codes, len(sizes))
            gaps[name] = np.isnan(values[name])
    needed = {factor for level in table.levels for name in level.covariates
              for factor in factors.get(name, ())}  # fmt: skip
    lacking = [gaps[name] for name in needed & gaps.keys()]
    if not lacking:
        return values, None
    keep = ~np.logical_or.reduce(lacking)
    counts = tuple((name, int(gaps[name].sum())) for name in gaps if name in needed)
    check_missing(frame, counts, keep, "fiml")
    return values, keep


def _of_level2(table: ParameterTable, record: DataRecord) -> set[str]:
    """Columns that are constant within clusters."""
    first = {*table.levels[0].modelled, *table.levels[0].covariates}
    stored = record.moments.columns[record.moments.varying :]
    return ({*table.observed} | {*stored}) - first


def _filled(values: NDArray, codes: Index, count: int) -> Array:
    """With the value of another row of the cluster where it is missing."""
    gap = np.isnan(values)
    there, level = np.flatnonzero(~gap)[::-1], np.full(count, np.nan)
    level[codes[there]] = values[there]
    return np.where(gap, level[codes], values)


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
    """Of what is observed in each cluster."""
    there = np.flatnonzero(~np.isnan(values))
    values, codes, near = values[there], codes[there], np.full(len(sizes), np.nan)
    near[codes[::-1]] = values[::-1]
    counts = np.bincount(codes, minlength=len(sizes))
    return near + np.bincount(codes, values - near[codes], len(sizes)) / np.maximum(counts, 1)


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
        apart = np.unique(
            rows.codes[away > SAME * max(float(np.std(values[~np.isnan(values)])), 0.0)]
        )
        if len(apart) and len(rows.labels):
            shown = listed(map(repr, rows.labels[apart[:SHOWN]].tolist()))
            raise DataError(
                f"{rows.names[place]!r} is a variable of level 2, but varies within "
                f"cluster{'s' if len(apart) > 1 else ''} {shown}."
            )
