"""The data columns a model needs: at which level they vary, centred, and how they enter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import Array
from mlsem.data.table.columns import SHOWN, Rows
from mlsem.data.table.grouping import Grouping, Pieces, counted, cut, restricted
from mlsem.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.model.table import ParameterTable

FAR = 100.0
"""A factor whose mean exceeds this many standard deviations enters products shifted."""

CONSTANT = 1e-13
"""A column with sd up to this share of its mean is constant."""

SAME = 1e-9
"""Differences within a cluster up to this share of a column's sd are rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """How a data column of the model enters, whatever it is read from.

    Attributes
    ----------
    level : (J,) or None
        The value of each cluster, centred, where the column is constant within all of them; NaN
        where it is missing.
    centre : float or (J,)
        Taken off by `center=`; NaN for a cluster in which the column is missing.
    mean : float
        Of the centred column, over the rows used in which it is observed; over the clusters where
        `level` is given.
    offset : float or None
        Taken off in products, where the mean is far from 0.
    """

    level: Array | None
    centre: float | Array
    mean: float
    offset: float | None = None

    @property
    def entering(self) -> float:
        """Mean of the column as it enters products."""
        return self.mean if self.offset is None else 0.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RowBase(Base):
    """With its values, (R,), as they are in the frame."""

    values: NDArray


class Column:
    """A data column in the rows in which it is observed.

    Attributes
    ----------
    name : str
    values : (R,)
        As in the frame.
    mean : float
    grouping : Grouping
        Of the rows in which it is observed.
    pieces : Pieces
        Of these.
    """

    __slots__ = ("grouping", "mean", "name", "pieces", "seen", "values")

    def __init__(
        self,
        name: str,
        values: NDArray,
        mean: float,
        grouping: Grouping,
        pieces: Pieces,
        seen: NDArray[np.bool_] | None = None,
    ) -> None:
        self.name, self.values, self.mean = name, values, mean
        self.grouping, self.pieces, self.seen = grouping, pieces, seen

    @classmethod
    def where_observed(
        cls,
        name: str,
        values: NDArray,
        mean: float,
        grouping: Grouping,
        gap: NDArray[np.bool_],
        chunk_rows: int,
    ) -> Column:
        """A column that is missing at `gap` (R,)."""
        part, seen = restricted(grouping, ~gap)
        return cls(name, values, mean, part, cut(part.sizes, chunk_rows), seen)

    def of_clusters(self, values: Array) -> Array:
        """Values of the clusters that have some, for all clusters (J,): NaN in the others."""
        if self.seen is None:
            return values
        found = np.full(len(self.seen), np.nan)
        found[self.seen] = values
        return found

    def sd(self) -> float:
        """Standard deviation over the rows."""
        return row_sd(self.values, self.mean, self.grouping, self.pieces)


def data_names(table: ParameterTable) -> dict[str, str]:
    """The data columns a model needs, each with the words for where it is absent."""
    products = {term.name: term.factors for term in table.products}
    wanted = {
        name: "the model needs the variable" for name in table.observed if name not in products
    }
    for name, factors in products.items():
        for factor in factors:
            wanted.setdefault(factor, f"the product {name!r} needs the variable")
    return wanted


def spread(values: NDArray, sizes: NDArray[np.int64]) -> NDArray:
    """One value per cluster (or piece), repeated for each of its rows."""
    return np.repeat(values, sizes)


def cluster_values(values: NDArray, grouping: Grouping, pieces: Pieces) -> tuple[Array, Array]:
    """Value of each cluster and the largest distance from it within the cluster.

    The value is the first one; where others differ by rounding, their mean.

    Returns
    -------
    value, distance : (J,), (J,)
    """
    count = len(grouping.sizes)
    first_row = np.cumsum(grouping.sizes) - grouping.sizes
    if grouping.order is not None:
        first_row = grouping.order[first_row]
    value = values.take(first_row).astype(np.float64)
    drift, distance = np.zeros(count), np.zeros(count)
    for first, last, start, stop in pieces.chunks():
        rows = grouping.rows(values, start, stop)
        owner = slice(first, last) if pieces.clusters is None else pieces.clusters[first:last]
        away = rows - spread(value[owner], pieces.sizes[first:last])
        if not away.any():
            continue
        at = pieces.starts[first:last] - start
        codes = np.arange(count)[owner]
        np.add.at(drift, codes, np.add.reduceat(away, at))
        np.maximum.at(distance, codes, np.maximum.reduceat(np.abs(away), at))
    return value + drift / grouping.sizes, distance


def row_cluster_means(values: NDArray, near: float, grouping: Grouping, pieces: Pieces) -> Array:
    """Mean of each cluster, (J,), summed about the provisional centre `near`."""
    total, weights = np.zeros(len(grouping.sizes)), grouping.row_weights
    for first, last, start, stop in pieces.chunks():
        away = grouping.rows(values, start, stop) - near
        if weights is not None:
            away *= grouping.rows(weights, start, stop)
        sums = np.add.reduceat(away, pieces.starts[first:last] - start)
        if pieces.clusters is None:
            total[first:last] = sums
        else:
            np.add.at(total, pieces.clusters[first:last], sums)
    return near + total / (grouping.sizes if weights is None else counted(grouping)[0])


def row_sd(values: NDArray, mean: float, grouping: Grouping, pieces: Pieces) -> float:
    """Standard deviation over the rows used."""
    square = 0.0
    for _, _, start, stop in pieces.chunks():
        away = grouping.rows(values, start, stop) - mean
        square += float(away @ away)
    return float(np.sqrt(square / pieces.starts[-1]))


def read_bases(
    table: ParameterTable,
    rows: Rows,
    grouping: Grouping,
    pieces: Pieces,
    center: Mapping[str, str],
    chunk_rows: int,
    grand: Mapping[str, float] | None = None,
) -> dict[str, RowBase]:
    """Settle level, centring and shift of every data column of the model.

    `grand` has the grand means that are not those of these rows alone.
    """
    factors = {factor for term in table.products for factor in term.factors}
    bases: dict[str, RowBase] = {}
    means = grand or {}
    for name in rows.values:
        how, factor = center.get(name), name in factors
        column = _column(table, rows, name, grouping, pieces, chunk_rows, bool(how or factor))
        level = level_values(table, column)
        if level is None:
            bases[name] = _row_base(column, how, factor, means.get(name, column.mean))
        else:
            bases[name] = _between_base(column, level, how, factor, means.get(name))
    return bases


def _column(
    table: ParameterTable,
    rows: Rows,
    name: str,
    grouping: Grouping,
    pieces: Pieces,
    chunk_rows: int,
    apart: bool,
) -> Column:
    """A data column; with `apart` (as for variables of level 2) in the rows that have it alone."""
    values, gap = rows.values[name], rows.gaps.get(name)
    mean = rows.totals[name] / rows.count(name)
    if gap is not None and (apart or may_be_level2(table, name)):
        return Column.where_observed(name, values, mean, grouping, gap, chunk_rows)
    return Column(name, values, mean, grouping, pieces)


def level_of(
    table: ParameterTable, rows: Rows, grouping: Grouping, name: str, chunk_rows: int
) -> Array | None:
    """The values of the clusters in which a column of level 2 is observed; None if it is not."""
    pieces = cut(grouping.sizes, chunk_rows)
    return level_values(table, _column(table, rows, name, grouping, pieces, chunk_rows, True))


def weighted_mean(
    groups: Sequence[tuple[ParameterTable, Rows, Grouping]], name: str, chunk_rows: int
) -> float:
    """The mean of a column over the rows of groups by what they weigh, w_j a_ij; of one that is of
    level 2 in each of them over clusters, by w_j."""
    above = all(level_of(*group, name, chunk_rows) is not None for group in groups)
    parts = [_with_weights(rows.values[name], grouping, above) for _, rows, grouping in groups]
    values, weights = (np.concatenate(each) for each in zip(*parts, strict=True))
    there = ~np.isnan(values)
    values, weights = values[there], weights[there]
    near = float(values[0])
    return near + float(weights @ (values - near) / weights.sum())


def _with_weights(values: NDArray, grouping: Grouping, above: bool) -> tuple[Array, Array]:
    """Values of the rows, or with `above` of the clusters, and what they weigh."""
    found, clusters = grouping.rows(values, 0, grouping.n_rows), counted(grouping)[1]
    if above:
        return found[np.cumsum(grouping.sizes) - grouping.sizes], clusters
    weights = spread(clusters, grouping.sizes)
    if grouping.row_weights is not None:
        weights = weights * grouping.rows(grouping.row_weights, 0, grouping.n_rows)
    return found, weights


def may_be_level2(table: ParameterTable, name: str) -> bool:
    """Whether a data column is no variable of level 1 of the model."""
    lowest, *above = table.levels
    return bool(above) and name not in lowest.modelled and name not in lowest.covariates


def level_values(table: ParameterTable, column: Column) -> Array | None:
    """The value of each cluster where the column belongs to level 2, else None.

    The model says so for its variables; for a factor that is in products only, the data do.
    """
    if not may_be_level2(table, column.name):
        return None
    level, distance = cluster_values(column.values, column.grouping, column.pieces)
    if not distance.any() or same_within(
        table, column.name, distance, column.sd(), column.grouping
    ):
        return level
    return None


def same_within(
    table: ParameterTable, name: str, distance: Array, sd: float, grouping: Grouping
) -> bool:
    """Whether a column differs by rounding alone within clusters, by the largest distance within
    each (J,).

    Raises
    ------
    DataError
        It does not, and the model has it at level 2 alone.
    """
    apart = distance > SAME * sd
    if not apart.any():
        return True
    if name in table.observed:
        raise DataError(_varies(table, name, apart, grouping))
    return False


def between_base(
    name: str, level: Array, how: str | None, factor: bool, grand: float | None
) -> Base:
    """A column of level 2 by its values, (J,), NaN where missing."""
    if how == "cluster":
        raise DataError(never_varies(name))
    known = level[~np.isnan(level)]
    mean = mean_near_first(known)
    centre = 0.0 if how is None else mean if grand is None else grand
    left = mean - centre
    offset = None
    if factor and (how is None or left != 0.0):
        offset = offset_of(name, left, float(np.std(known)))
    return Base(level - centre, centre, left, offset)


def _between_base(
    column: Column, level: Array, how: str | None, factor: bool, grand: float | None
) -> RowBase:
    base = between_base(column.name, column.of_clusters(level), how, factor, grand)
    return RowBase(base.level, base.centre, base.mean, base.offset, values=column.values)


def offset_of(name: str, mean: float, sd: float) -> float | None:
    """What is taken off a factor of products, if anything."""
    if sd <= CONSTANT * abs(mean):
        raise DataError(
            f"{name!r} is constant in the rows used, so its products add nothing. "
            "Leave it out of the model."
        )
    return mean if abs(mean) > FAR * sd else None


def mean_near_first(values: Array) -> float:
    """The mean, summed about the first value."""
    first = float(values[0])
    return first + float((values - first).mean())


def _row_base(column: Column, how: str | None, factor: bool, grand: float) -> RowBase:
    values, mean = column.values, column.mean
    if how == "cluster":
        _, distance = cluster_values(values, column.grouping, column.pieces)
        if (distance <= SAME * column.sd()).all():
            raise DataError(never_varies(column.name))
        means = row_cluster_means(values, mean, column.grouping, column.pieces)
        return RowBase(None, column.of_clusters(means), 0.0, values=values)
    centre = grand if how == "grand" else 0.0
    left = mean - centre
    offset = None
    if factor and (how is None or left != 0.0):
        offset = offset_of(column.name, left, column.sd())
    return RowBase(None, centre, left, offset, values=values)


def never_varies(name: str) -> str:
    return (
        f"{name!r} cannot be centred at its cluster means: it does not vary within clusters. "
        f'Use center={{"{name}": "grand"}}, or leave it as it is.'
    )


def _varies(table: ParameterTable, name: str, where: NDArray[np.bool_], grouping: Grouping) -> str:
    labels = grouping.labels[where]
    more = ", …" if len(labels) > SHOWN else ""
    shown = ", ".join(repr(label) for label in labels[:SHOWN].tolist()) + more
    second = table.levels[1].modelled + table.levels[1].covariates
    level = 2 if name in second or not table.three_level else 3
    return (
        f"{name!r} is named at level {level} only, but varies within {len(labels)} "
        f"cluster{'s' if len(labels) > 1 else ''}: {shown}. Name it at level 1 too, or use its "
        f'cluster means: mlsem.cluster_means(data, "{name}", cluster).'
    )
