"""Rows to cluster moments, in one pass over chunks of rows that end where clusters do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mlsem.core.records import Array, ClusterMoments, RobustClusters, frozen
from mlsem.core.sample.moments import combine, no_within
from mlsem.data.moments.bases import Base, check_center, data_names, read_bases
from mlsem.data.moments.checks import check_columns, check_counts, check_dependence, check_own_means
from mlsem.data.moments.chunks import Reader, summarise
from mlsem.data.moments.products import (
    ColumnMap,
    Key,
    Plan,
    check_product_levels,
    column_maps,
    plan_columns,
)
from mlsem.data.table.columns import Rows, left_out, read_rows, require_frame, require_one_column
from mlsem.data.table.grouping import Grouping, Pieces, cut, group, ungrouped
from mlsem.data.table.nesting import read_robust
from mlsem.data.table.sentinels import sentinel_notes
from mlsem.errors import DataError, OptionValueError, nearest

if TYPE_CHECKING:
    from collections.abc import Container

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.model.table import ParameterTable

CHUNK_ROWS = 1 << 15
"""Rows read at a time; with a few columns these stay in the processor's cache."""

MISSING = ("listwise", "error")


class Remake(Protocol):
    """What has the columns of a formula for a frame."""

    def remade(self, frame: pd.DataFrame, wanted: Container[str]) -> pd.DataFrame: ...


@dataclass(frozen=True, slots=True, eq=False)
class DataRecord:
    """What a model sees of the data.

    Attributes
    ----------
    moments : ClusterMoments
        Of the stored columns.
    maps : mapping of str to ColumnMap
        Each observed variable and product of the model from the stored columns.
    cluster : str or None
        The cluster column.
    robust : RobustClusters
    n_rows_total, n_rows_dropped : int
        Rows of the frame, and how many of them were left out for missing values.
    centered : tuple of (name, how, value)
        What `center=` did; the value is the mean taken off (NaN for cluster means, which
        differ).
    notes : tuple of str
        What the user should be told.
    formula : Remake, optional
        Makes the columns of a mixed model's formula of other rows.
    """

    moments: ClusterMoments
    maps: Mapping[str, ColumnMap]
    cluster: str | None
    robust: RobustClusters
    n_rows_total: int
    n_rows_dropped: int
    centered: tuple[tuple[str, str, float], ...]
    notes: tuple[str, ...]
    formula: Remake | None = None

    @property
    def n_rows(self) -> int:
        return self.n_rows_total - self.n_rows_dropped


def read_moments(
    table: ParameterTable,
    data: object,
    *,
    cluster: str | None = None,
    center: Mapping[str, str] | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    chunk_rows: int | None = None,
) -> DataRecord:
    """Read a data frame into the cluster moments that a model needs.

    Parameters
    ----------
    table : ParameterTable
    data : DataFrame
        Is not changed.
    cluster : str, optional
        The column of cluster ids. Without it each row is a cluster of its own, its label the
        row's position in the frame.
    center : mapping of str to {"cluster", "grand"}, optional
        Variables centred before products are formed. "grand": at the mean over the rows used,
        a level-2 variable at the mean over clusters, each counted once.
    missing : {"listwise", "error"}
        Rows with a missing value in a column of the model are left out, or are an error.
    se_cluster : str, optional
        The column of the clusters of robust standard errors, where they are coarser.
    chunk_rows : int, optional
        Rows read at a time.

    Returns
    -------
    DataRecord
        Its `moments.shift` is the mean of each stored column over the rows used; over the
        clusters for columns that are constant within each.

    Raises
    ------
    DataError, OptionValueError
    """
    frame = require_frame(data)
    wanted = data_names(table)
    if cluster is not None:
        require_one_column("cluster", cluster, frame)
    _check_options(table, wanted, cluster, missing)
    centering = check_center(table, center, wanted, frame.columns, cluster)
    rows = read_rows(frame, wanted, missing)
    if cluster is None:
        grouping = ungrouped(len(frame), rows.keep)
    else:
        grouping = group(frame, cluster, rows.keep)
    return moments_of(
        table,
        frame,
        rows,
        grouping,
        cluster=cluster,
        centering=centering,
        se_cluster=se_cluster,
        chunk_rows=chunk_rows,
    )


def moments_of(
    table: ParameterTable,
    frame: pd.DataFrame,
    rows: Rows,
    grouping: Grouping,
    *,
    cluster: str | None,
    centering: Mapping[str, str],
    se_cluster: str | None = None,
    chunk_rows: int | None = None,
) -> DataRecord:
    """`read_moments` of columns that are read and rows that are grouped.

    Parameters
    ----------
    frame : DataFrame
        Where `se_cluster` is, its rows those of `rows`.
    """
    notes = (*check_counts(table, grouping, cluster), *sentinel_notes(rows))
    robust = read_robust(frame, se_cluster, cluster, grouping)
    pieces = cut(grouping.sizes, chunk_rows or CHUNK_ROWS)
    bases = read_bases(table, rows, grouping, pieces, centering)
    between = frozenset(name for name, base in bases.items() if base.level is not None)
    check_product_levels(table.products, between)
    offsets = {name: base.offset for name, base in bases.items() if base.offset is not None}
    plan = plan_columns(table, between, offsets)
    moments = _aggregate(plan, bases, grouping, pieces)
    check_columns(table, moments)
    check_dependence(table, moments)
    notes += check_own_means(table, moments)
    return DataRecord(
        moments=moments,
        maps=column_maps(plan, moments.shift, offsets),
        cluster=cluster,
        robust=robust,
        n_rows_total=rows.n_total,
        n_rows_dropped=rows.n_total - rows.n_used,
        centered=tuple((name, how, _taken_off(bases[name])) for name, how in centering.items()),
        notes=_dropped(rows) + notes,
    )


def _taken_off(base: Base) -> float:
    return float("nan") if isinstance(base.centre, np.ndarray) else base.centre


def _dropped(rows: Rows) -> tuple[str, ...]:
    dropped = rows.n_total - rows.n_used
    return (left_out(rows.missing, dropped, rows.n_total),) if dropped else ()


def _check_options(
    table: ParameterTable, wanted: Mapping[str, str], cluster: object, missing: object
) -> None:
    if missing not in MISSING:
        raise OptionValueError(
            f'missing must be "listwise" or "error", not {missing!r}.'
            + nearest(str(missing), MISSING)
        )
    if cluster is None:
        if table.two_level:
            raise DataError(
                'a model with two levels needs the column of cluster ids: pass cluster="...".'
            )
        return
    if cluster in wanted:
        raise DataError(
            f"{cluster!r} is the cluster column and a variable of the model. Take it out of the "
            "model; differences between clusters are what level 2 is about."
        )


def _aggregate(
    plan: Plan, bases: Mapping[str, Base], grouping: Grouping, pieces: Pieces
) -> ClusterMoments:
    """Moments of the planned columns; shift, then means about it."""
    near = np.array([_near(key, bases) for key in plan.keys[: plan.varying]])
    reader = Reader(plan.keys[: plan.varying], near, bases, grouping, pieces)
    counts = grouping.sizes
    means = np.empty((len(pieces.sizes), len(plan.keys)))
    if grouping.singletons:
        within = no_within(len(counts), plan.varying)
        for first, last, block in reader.blocks():
            means[first:last, : plan.varying] = block.T
    else:
        within = np.empty((len(pieces.sizes), plan.varying, plan.varying))
        for first, last, block in reader.blocks():
            summarise(
                block,
                pieces.sizes[first:last],
                means[first:last, : plan.varying],
                within[first:last],
            )
    if pieces.clusters is not None:
        means[:, plan.varying :] = 0.0
        _, means, within = combine(pieces.sizes, means, within, pieces.clusters, len(counts))
    for place, key in enumerate(plan.keys[plan.varying :], plan.varying):
        means[:, place] = _level_column(key, bases)
    shift = _take_shift(means, near, counts)
    return ClusterMoments(
        columns=plan.names,
        varying=plan.varying,
        shift=frozen(shift),
        rows=frozen(counts),
        sizes=frozen(counts.astype(np.float64)),
        weights=frozen(np.ones(len(counts))),
        means=frozen(means),
        within=frozen(within),
        labels=frozen(grouping.labels),
    )


def _near(key: Key, bases: Mapping[str, Base]) -> float:
    """A value near the mean of a column, about which it is summed."""
    if len(key) == 1:
        return bases[key[0]].mean
    return prod(bases[factor].entering for factor in key)


def _level_column(key: Key, bases: Mapping[str, Base]) -> Array:
    """A column of level-2 variables, one value per cluster, (J,)."""
    values: list[Array] = []
    for factor in key:
        base = bases[factor]
        assert base.level is not None
        shifted = len(key) > 1 and base.offset is not None
        values.append(base.level - base.offset if shifted and base.offset else base.level)
    return values[0] if len(values) == 1 else np.multiply.reduce(values)


def _take_shift(means: Array, near: Array, counts: NDArray[np.int64]) -> Array:
    """The shift of every column; takes from `means` what is not taken off yet."""
    varying = len(near)
    inner, outer = means[:, :varying], means[:, varying:]
    shift = np.concatenate([near, outer[0]])
    shift[:varying] += counts @ inner / counts.sum()
    shift[varying:] += (outer - outer[0]).mean(axis=0)
    inner -= shift[:varying] - near
    outer -= shift[varying:]
    return shift
