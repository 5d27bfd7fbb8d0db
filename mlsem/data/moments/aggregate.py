"""Rows to cluster moments, in one pass over chunks of rows that end where clusters do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.patterns.convert import as_clusters
from mlsem.core.records import Array, CellMoments, ClusterMoments, RobustClusters, frozen
from mlsem.core.sample.moments import combine
from mlsem.data.moments.available import together_notes
from mlsem.data.moments.bases import Base, RowBase, data_names, read_bases, weighted_mean
from mlsem.data.moments.cells import aggregate_cells
from mlsem.data.moments.centering import check_center
from mlsem.data.moments.checks import (
    Counts,
    check_clusters,
    check_columns,
    check_counts,
    check_options,
    check_own_means,
)
from mlsem.data.moments.chunks import Reader, level_column, moments_of_runs, near_mean
from mlsem.data.moments.dependence import check_dependence
from mlsem.data.moments.missing import Missingness, missing_notes, settle, use_of_all
from mlsem.data.moments.products import (
    ColumnMap,
    Plan,
    check_product_levels,
    column_maps,
    plan_columns,
)
from mlsem.data.moments.remake import Remake
from mlsem.data.table.columns import Rows, left_out, read_rows, require_frame, require_one_column
from mlsem.data.table.grouping import Grouping, Pieces, counted, cut, group, ungrouped
from mlsem.data.table.nesting import read_robust, strata_of, with_strata
from mlsem.data.table.sampling import Sampling, Weighted, with_zeros
from mlsem.data.table.sentinels import sentinel_notes
from mlsem.data.table.weights import row_by_row, weighted_rows, with_weights

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.model.table import ParameterTable

CHUNK_ROWS = 1 << 15  # read at a time; with a few columns these stay in the processor's cache

FIML = 'missing="fiml" uses what is observed in each row.'


@dataclass(frozen=True, slots=True, eq=False)
class DataRecord:
    """What a model sees of the data.

    Attributes
    ----------
    moments : ClusterMoments or CellMoments
        Of the stored columns; by cells where values are missing in the rows used.
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
    missingness : Missingness or None
        What is used of rows with missing values; None where rows with them are left out.
    formula : Remake, optional
        Makes the columns of a mixed model's formula of other rows.
    lost : str
        What to say at the call of rows that listwise deletion left out; empty where it did not.
    weighted : Weighted or None
        What was done with sampling weights.
    units : str or None
        The column of the units of level 3, in which the clusters are.
    """

    moments: ClusterMoments | CellMoments
    maps: Mapping[str, ColumnMap]
    cluster: str | None
    robust: RobustClusters
    n_rows_total: int
    n_rows_dropped: int
    centered: tuple[tuple[str, str, float], ...]
    notes: tuple[str, ...]
    missingness: Missingness | None = None
    formula: Remake | None = None
    lost: str = ""
    weighted: Weighted | None = None
    units: str | None = None

    @property
    def clusters(self) -> str | list[str] | None:
        """What `cluster=` named."""
        return [self.units, self.cluster] if self.units and self.cluster else self.cluster

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
    sampling: Sampling | None = None,
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
    missing : {"listwise", "error", "fiml"}
        Rows with a missing value in a column of the model are left out, or are an error, or are
        used, but for those in which a fixed covariate is missing (`mlsem.data.moments.missing`).
    se_cluster : str, optional
        The column of the clusters of robust standard errors, where they are coarser.
    sampling : Sampling, optional
        Weights and strata. Rows that weigh nothing are left out.
    chunk_rows : int, optional
        Rows read at a time.

    Returns
    -------
    DataRecord
        Its `moments.shift` is the mean of each stored column over the rows used (in which it is
        observed); over the clusters for columns that are constant within each.

    Raises
    ------
    DataError, OptionValueError
    """
    whole = require_frame(data)
    wanted = data_names(table)
    if cluster is not None:
        require_one_column("cluster", cluster, whole)
    check_options(table, wanted, cluster, missing)
    centering = check_center(table, center, wanted, whole.columns, cluster)
    if sampling is not None and not table.two_level:
        cluster, se_cluster = row_by_row(sampling, cluster, se_cluster, centering)
    frame, places = weighted_rows(whole, sampling, two_level=table.two_level)
    rows, grouping, found = used_rows(
        table, frame, wanted, cluster=cluster, missing=missing, chunk_rows=chunk_rows
    )
    told: tuple[str, ...] = ()
    if found is not None:
        told = missing_notes(table, found, rows.n_total)
    elif rows.n_used < rows.n_total:
        told = (left_out(rows.missing, rows.n_total - rows.n_used, rows.n_total),)
    if cluster is None and places is not None:
        grouping = replace(grouping, labels=places[grouping.labels])
    record = moments_of(
        table,
        frame,
        rows,
        grouping,
        cluster=cluster,
        centering=centering,
        se_cluster=se_cluster,
        sampling=sampling,
        chunk_rows=chunk_rows,
    )
    record = with_zeros(record, len(whole) - len(frame))
    if found is not None:
        together = missing_together(table, record.moments)
        found = with_patterns(found, record.moments)
        return replace(record, missingness=found, notes=told + together + record.notes)
    lost = f"{told[0]} {use_of_all(table, [(table, rows)])}" if told else ""
    return replace(record, notes=told + record.notes, lost=lost) if told else record


def used_rows(
    table: ParameterTable,
    frame: pd.DataFrame,
    wanted: Mapping[str, str],
    *,
    cluster: str | None,
    missing: str,
    chunk_rows: int | None,
) -> tuple[Rows, Grouping, Missingness | None]:
    """The rows of a frame that are used, by cluster; with `missing="fiml"` what is known of the
    others, too."""
    rows = read_rows(frame, wanted, missing, FIML)
    if cluster is None:
        grouping = ungrouped(len(frame), rows.keep)
    else:
        grouping = group(frame, cluster, rows.keep)
    if rows.gaps:
        return settle(table, rows, grouping, chunk_rows or CHUNK_ROWS)
    return rows, grouping, Missingness() if missing == "fiml" else None


def moments_of(
    table: ParameterTable,
    frame: pd.DataFrame,
    rows: Rows,
    grouping: Grouping,
    *,
    cluster: str | None,
    centering: Mapping[str, str],
    se_cluster: str | None = None,
    sampling: Sampling | None = None,
    chunk_rows: int | None = None,
) -> DataRecord:
    """`read_moments` of columns that are read and rows that are grouped, all of which weigh
    something.

    Parameters
    ----------
    frame : DataFrame
        Where `se_cluster`, weights and strata are, its rows those of `rows`.
    """
    check_clusters(table, grouping, cluster)
    there = Counts(grouping.n_rows, len(grouping.sizes), rows.n_missing)
    notes = (*check_counts(table, there, cluster), *sentinel_notes(rows))
    robust = read_robust(frame, se_cluster, cluster, grouping)
    grouping, weighted = with_weights(frame, sampling, grouping, two_level=table.two_level)
    strata = None if sampling is None else sampling.strata
    grand = None
    if weighted is not None:
        parts, limit = [(table, rows, grouping)], chunk_rows or CHUNK_ROWS
        grand = {
            name: weighted_mean(parts, name, limit)
            for name, how in centering.items()
            if how == "grand"
        }
    record = summarised(
        table,
        rows,
        grouping,
        robust=with_strata(robust, strata_of(frame, strata, robust, grouping)),
        cluster=cluster,
        centering=centering,
        grand=grand,
        chunk_rows=chunk_rows,
    )
    return replace(record, notes=notes + record.notes, weighted=weighted)


def summarised(
    table: ParameterTable,
    rows: Rows,
    grouping: Grouping,
    *,
    robust: RobustClusters,
    cluster: str | None,
    centering: Mapping[str, str],
    grand: Mapping[str, float] | None = None,
    chunk_rows: int | None = None,
) -> DataRecord:
    """The record of rows that are enough, their columns checked; `grand` has the grand means that
    are not those of these rows alone."""
    limit = chunk_rows or CHUNK_ROWS
    pieces = cut(grouping.sizes, limit)
    bases = read_bases(table, rows, grouping, pieces, centering, limit, grand)
    plan = planned(table, bases)
    if rows.gaps or grouping.classes is not None:
        moments = aggregate_cells(plan, bases, rows, grouping, limit)
    else:
        moments = _aggregate(plan, bases, grouping, pieces)
    return DataRecord(
        moments=moments,
        maps=checked_maps(table, plan, bases, _whole(table, moments)),
        cluster=cluster,
        robust=robust,
        n_rows_total=rows.n_total,
        n_rows_dropped=rows.n_total - rows.n_used,
        centered=taken_off(bases, centering),
        notes=check_own_means(table, _whole(table, moments)),
    )


def _whole(
    table: ParameterTable, moments: ClusterMoments | CellMoments
) -> ClusterMoments | CellMoments:
    """The clusters as they are looked at: classes of rows make no difference to columns."""
    return as_clusters(moments) if isinstance(moments, CellMoments) and table.classes else moments


def planned(table: ParameterTable, bases: Mapping[str, Base]) -> Plan:
    """The columns to store, whose products are at their level."""
    between = frozenset(name for name, base in bases.items() if base.level is not None)
    check_product_levels(table.products, between)
    return plan_columns(table, between, _offsets(bases))


def checked_maps(
    table: ParameterTable,
    plan: Plan,
    bases: Mapping[str, Base],
    moments: ClusterMoments | CellMoments,
) -> Mapping[str, ColumnMap]:
    """The model's columns from the stored ones, whose moments are looked at."""
    check_columns(table, moments)
    check_dependence(table, moments)
    return column_maps(plan, moments.shift, _offsets(bases))


def _offsets(bases: Mapping[str, Base]) -> dict[str, float]:
    return {name: base.offset for name, base in bases.items() if base.offset is not None}


def taken_off(
    bases: Mapping[str, Base], centering: Mapping[str, str]
) -> tuple[tuple[str, str, float], ...]:
    """What `center=` did: variable, how, and the mean taken off (NaN where clusters differ)."""
    return tuple((name, how, _centre(bases[name])) for name, how in centering.items())


def missing_together(
    table: ParameterTable, moments: ClusterMoments | CellMoments
) -> tuple[str, ...]:
    """A note on variables that are never observed together."""
    return together_notes(table, moments) if isinstance(moments, CellMoments) else ()


def with_patterns(found: Missingness, moments: ClusterMoments | CellMoments) -> Missingness:
    """With the patterns of the rows used, and how many of these are not complete."""
    if not isinstance(moments, CellMoments):
        return found
    partly = np.flatnonzero(~moments.patterns.all(axis=1))
    partly2 = np.flatnonzero(~moments.level2_patterns.all(axis=1))
    return replace(
        found,
        rows_partly=int(moments.cell_rows[np.isin(moments.pattern_of, partly)].sum()),
        clusters_partly=int(np.isin(moments.level2_pattern_of, partly2).sum()),
        patterns=len(moments.patterns),
        level2_patterns=len(moments.level2_patterns),
    )


def _centre(base: Base) -> float:
    return float("nan") if isinstance(base.centre, np.ndarray) else base.centre


def _aggregate(
    plan: Plan, bases: Mapping[str, RowBase], grouping: Grouping, pieces: Pieces
) -> ClusterMoments:
    """Moments of the planned columns; shift, then means about it."""
    near = np.array([near_mean(key, bases) for key in plan.keys[: plan.varying]])
    reader = Reader(plan.keys[: plan.varying], near, bases, grouping, pieces)
    counts = grouping.sizes
    means = np.empty((len(pieces.sizes), len(plan.keys)))
    within = moments_of_runs(reader, means[:, : plan.varying])
    if pieces.clusters is not None:
        means[:, plan.varying :] = 0.0
        _, means, within = combine(reader.sizes, means, within, pieces.clusters, len(counts))
    sizes, weights = counted(grouping)
    for place, key in enumerate(plan.keys[plan.varying :], plan.varying):
        means[:, place] = level_column(key, bases)
    shift = take_shift(means, near, counts)
    return ClusterMoments(
        columns=plan.names,
        varying=plan.varying,
        shift=frozen(shift),
        rows=frozen(counts),
        sizes=frozen(sizes),
        weights=frozen(weights),
        means=frozen(means),
        within=frozen(within),
        labels=frozen(grouping.labels),
        uneven=grouping.row_weights is not None,
    )


def take_shift(means: Array, near: Array, counts: NDArray[np.int64]) -> Array:
    """The shift of every column; takes from `means` what is not taken off yet."""
    varying = len(near)
    inner, outer = means[:, :varying], means[:, varying:]
    shift = np.concatenate([near, outer[0]])
    shift[:varying] += counts @ inner / counts.sum()
    shift[varying:] += (outer - outer[0]).mean(axis=0)
    inner -= shift[:varying] - near
    outer -= shift[varying:]
    return shift
