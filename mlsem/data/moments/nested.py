"""Rows to the moments of clusters in units of level 3: pupils in classes in schools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.records import ClusterMoments, NestedMoments, RobustClusters, frozen
from mlsem.data.moments.aggregate import DataRecord, summarised
from mlsem.data.moments.bases import SAME, data_names
from mlsem.data.moments.centering import check_center
from mlsem.data.moments.checks import Counts, check_counts, check_missing_option
from mlsem.data.table.columns import SHOWN, left_out, read_rows, require_column, require_frame
from mlsem.data.table.grouping import restricted
from mlsem.data.table.nested import Nested, nested
from mlsem.data.table.nesting import check_several, robust_of
from mlsem.data.table.sentinels import sentinel_notes
from mlsem.errors import DataError, OptionValueError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.model.table import ParameterTable

EXAMPLE = 'cluster=["school", "class"], the units of level 3 first'


def read_nested(
    table: ParameterTable,
    data: object,
    *,
    cluster: object,
    center: Mapping[str, str] | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
) -> DataRecord:
    """Read a data frame into the moments that a model of three levels needs.

    Parameters
    ----------
    cluster : sequence of two str
        The column of units of level 3, then that of the clusters in them. An id of the second
        may stand for another cluster in each unit.
    center, missing, se_cluster
        As for `read_moments`; robust clusters are units of level 3 or unions of them.

    Raises
    ------
    DataError, OptionValueError
    """
    frame, wanted = require_frame(data), data_names(table)
    units, clusters = columns_of(cluster, frame)
    for name in (units, clusters):
        if name in wanted:
            raise DataError(
                f"{name!r} is a column of cluster ids and a variable of the model. Take it out of "
                "the model; differences between clusters are what the levels above 1 are about."
            )
    check_missing_option(missing)
    centering = check_center(table, center, wanted, frame.columns, clusters)
    rows = read_rows(frame, wanted, missing)
    found = _used(_in_order(frame, units, clusters), rows.keep)
    _check_clusters(found)
    there = Counts(found.lower.n_rows, len(found.lower.sizes), 0)
    notes = (*check_counts(table, there, clusters), *sentinel_notes(rows), *_few(table, found))
    record = summarised(
        table,
        rows,
        found.lower,
        robust=_robust(frame, se_cluster, found),
        cluster=clusters,
        centering=centering,
    )
    assert isinstance(record.moments, ClusterMoments)
    moments = in_units(record.moments, found)
    _check_levels(table, moments)
    told = ()
    if rows.n_used < rows.n_total:
        told = (left_out(rows.missing, rows.n_total - rows.n_used, rows.n_total),)
    return replace(
        record,
        moments=moments,
        units=units,
        notes=told + notes + record.notes,
        lost="".join(told),
    )


def columns_of(cluster: object, frame: pd.DataFrame) -> tuple[str, str]:
    """The columns of units of level 3 and of clusters.

    Raises
    ------
    OptionValueError
        They are not two names.
    DataError
        The data have no such column.
    """
    names = list(cluster) if isinstance(cluster, Sequence) and not isinstance(cluster, str) else []
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        given = "" if cluster is None else f", not {cluster!r}"
        raise OptionValueError(
            f"a model of three levels takes two columns of cluster ids, as {EXAMPLE}{given}."
        )
    for name in names:
        require_column(frame, name, "cluster= names")
    if names[0] == names[1]:
        raise OptionValueError(f"cluster={names!r} names one column twice: write {EXAMPLE}.")
    return names[0], names[1]


def _in_order(frame: pd.DataFrame, units: str, clusters: str) -> Nested:
    """The clusters in their units.

    Raises
    ------
    DataError
        Ids are missing, or every unit has one cluster; says so where the order is wrong.
    """
    try:
        return nested(frame, units, clusters, joined=True)
    except DataError as error:
        try:
            nested(frame, clusters, units, joined=False)
        except DataError:
            raise error from None
        raise DataError(
            f"each {units!r} lies in one {clusters!r}, so that {clusters!r} are the units of level "
            f"3, which cluster= names first: write cluster={[clusters, units]!r}."
        ) from None


def _used(found: Nested, keep: NDArray[np.bool_] | None) -> Nested:
    """Of the rows that are used alone."""
    if keep is None:
        return found
    lower, left = restricted(found.lower, keep)
    kept, owner = np.unique(found.owner[left], return_inverse=True)
    return replace(found, lower=lower, owner=frozen(owner), labels=found.labels[kept])


def _check_clusters(found: Nested) -> None:
    units, clusters = found.names
    if len(found.labels) < 2:
        raise DataError(
            f"all {found.lower.n_rows} rows are in one unit of {units!r} "
            f"({found.labels.tolist()[0]!r}); at least two are needed. Is this the right column?"
        )
    if found.lower.singletons:
        raise DataError(
            f"every cluster of {clusters!r} has one row, so that levels 1 and 2 cannot be told "
            f"apart. Write a model of two levels, with cluster={units!r}."
        )
    if len(found.owner) == len(found.labels):
        raise DataError(
            f"in the rows used every unit of {units!r} has one cluster of {clusters!r}, so that "
            f"levels 2 and 3 cannot be told apart. Write a model of two levels, with "
            f"cluster={units!r}."
        )


def _few(table: ParameterTable, found: Nested) -> tuple[str, ...]:
    """Notes on levels with more parameters than clusters."""
    notes: list[str] = []
    counts = (len(found.owner), len(found.labels))
    for level, count, name in zip((2, 3), counts, reversed(found.names), strict=True):
        free = {row.free for row in table.rows if row.level == level and row.free >= 0}
        if count < len(free):
            notes.append(
                f"level {level} has {len(free)} free parameters but there are only {count} "
                f"clusters of {name!r}: estimates and standard errors at level {level} are fragile."
            )
    return tuple(notes)


def _robust(frame: pd.DataFrame, se_cluster: str | None, found: Nested) -> RobustClusters:
    """Units of level 3, or unions of them."""
    robust = robust_of(frame, se_cluster, found.names[0], found.upper)
    check_several(robust)
    return robust


def in_units(moments: ClusterMoments, found: Nested) -> NestedMoments:
    """The moments of clusters with the unit of each."""
    return NestedMoments(
        **{each.name: getattr(moments, each.name) for each in fields(ClusterMoments)},
        units=found.names[0],
        unit_of=found.owner,
        unit_labels=frozen(found.labels),
    )


def unit_means(moments: NestedMoments) -> Array:
    """Of the clusters' means, each counted once, (U, C)."""
    count = np.bincount(moments.unit_of)
    order = np.argsort(moments.unit_of, kind="stable")
    starts = np.cumsum(count) - count
    return np.add.reduceat(moments.means[order], starts, axis=0) / count[:, None]


def _check_levels(table: ParameterTable, moments: NestedMoments) -> None:
    """Variables of level 3 do not vary within its units; those with a part at level 2 do, and
    those with one at level 3 vary between them."""
    means = unit_means(moments)
    away = np.abs(moments.means - means[moments.unit_of])
    spread = moments.means.std(axis=0)
    second, third = ({*level.modelled, *level.covariates} for level in table.levels[1:])
    for name in table.observed:
        place = moments.columns.index(name)
        apart = away[:, place] > SAME * max(spread[place], abs(moments.shift[place]) * SAME)
        of_level2 = place >= moments.varying
        if name not in second and of_level2 and apart.any():
            raise DataError(_varies(name, moments, apart))
        if name in second and of_level2 and not apart.any():
            raise DataError(
                f"{name!r} is named at level 2 but does not vary within any unit of "
                f"{moments.units!r}. Name it at level 3 only."
            )
        if name in third and not (np.abs(means[:, place]) > SAME * spread[place]).any():
            raise DataError(
                f"{name!r} is named at level 3, but its mean is the same in every unit of "
                f"{moments.units!r} (is it centred within them?): leave it out there."
            )


def _varies(name: str, moments: NestedMoments, apart: NDArray[np.bool_]) -> str:
    units = moments.unit_labels[np.unique(moments.unit_of[apart])].tolist()
    shown = ", ".join(map(repr, units[:SHOWN])) + (", …" if len(units) > SHOWN else "")
    one = "unit" if len(units) == 1 else "units"
    return (
        f"{name!r} is named at level 3 only, but varies within {len(units)} {one} of "
        f"{moments.units!r}: {shown}. Name it at level 2 too, or use its means "
        f'(mlsem.cluster_means(data, "{name}", "{moments.units}")); or are the columns of cluster= '
        f"in the wrong order? It takes {EXAMPLE}."
    )
