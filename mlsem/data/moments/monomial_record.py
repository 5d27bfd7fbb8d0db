"""Monomials, from whatever engine they come, to the record that a model is fitted to.

The same as `read_moments` and `read_groups` make of the rows, but for rounding.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlsem.core.records import ClusterMoments, GroupedMoments, RobustClusters, frozen
from mlsem.data.moments.across import (
    counted,
    each_group,
    missing_in_groups,
    notes_by_group,
    others_left_out,
    robust_across,
)
from mlsem.data.moments.aggregate import (
    DataRecord,
    check_options,
    checked_maps,
    missing_together,
    planned,
    taken_off,
    with_patterns,
)
from mlsem.data.moments.bases import data_names, mean_near_first
from mlsem.data.moments.centering import check_center
from mlsem.data.moments.checks import Counts, check_clusters, check_counts, check_own_means
from mlsem.data.moments.from_monomials import (
    Spread,
    bases_of,
    columns_of,
    level_values,
    spread_of,
)
from mlsem.data.moments.groups import GroupedRecord
from mlsem.data.moments.missing import missing_notes, use_of_all
from mlsem.data.moments.monomial_use import Used, used_cells
from mlsem.data.table.columns import left_out
from mlsem.data.table.grouping import Weights
from mlsem.data.table.nesting import check_several, coded
from mlsem.data.table.sampling import Sampling, with_zeros
from mlsem.data.table.sentinels import CODES, caution, is_isolated
from mlsem.data.table.weights import check_units, row_by_weight, settled
from mlsem.errors import DataError

if TYPE_CHECKING:
    from mlsem.core.records import Array
    from mlsem.data.moments.monomials import GroupedMonomials, MonomialMoments
    from mlsem.model.table import ParameterTable


def record_of(
    table: ParameterTable,
    moments: MonomialMoments,
    *,
    cluster: str | None = None,
    center: Mapping[str, str] | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    sampling: Sampling | None = None,
) -> DataRecord:
    """The record of a model of one group.

    Parameters
    ----------
    table : ParameterTable
    moments : MonomialMoments
        Of what the model asks (`monomials.asked_of`), or of more.
    cluster : str or None
        The column of which its labels are ids.
    center, missing
        As for `read_moments`.
    se_cluster : str, optional
        The column of which its `robust` are ids.
    sampling : Sampling, optional
        The weights that the moments were made with.

    Raises
    ------
    DataError, OptionValueError
    """
    wanted = data_names(table)
    check_options(table, wanted, cluster, missing)
    centering = check_center(table, center, wanted, moments.names, cluster)
    used = used_cells(table, moments, missing)
    check_clusters(table, used.grouping, cluster)
    there = Counts(used.n_used, used.moments.n_clusters, used.n_missing)
    notes = (*check_counts(table, there, cluster), *sentinel_notes([used]))
    robust = _robust(used.moments, cluster, se_cluster)
    check_several(robust)
    told, lost = _said(used)
    if sampling is None:
        record = _summarised(used, robust, cluster, centering, {})
    else:
        record = _weighted(used, robust, cluster, centering, sampling)
    return replace(record, notes=(*told, *notes, *record.notes), lost=lost)


def _weighted(
    used: Used,
    robust: RobustClusters,
    cluster: str | None,
    centering: Mapping[str, str],
    sampling: Sampling,
) -> DataRecord:
    """The record of rows and clusters that have weights, a_j and w_j."""
    seen = used.moments.weights
    assert seen is not None
    clusters, sizes, done = settled(seen, sampling, used.moments.labels)
    check_units(Weights(None, clusters, sizes), sampling)
    grand: dict[str, float] = {}
    for name in (name for name, how in centering.items() if how == "grand"):
        level = level_values(used.table, used.moments, name)
        values = spread_of(used.moments, name).means if level is None else level
        weights = clusters * sizes if level is None else clusters
        grand[name] = float(values[0] + weights @ (values - values[0]) / weights.sum())
    record = _summarised(used, robust, cluster, centering, grand)
    moments = record.moments
    assert isinstance(moments, ClusterMoments)
    moments = replace(
        moments,
        sizes=frozen(sizes),
        weights=frozen(clusters),
        within=frozen(moments.within * (sizes / moments.rows)[:, None, None]),
        uneven=row_by_weight(sampling),
    )
    return with_zeros(replace(record, moments=moments, weighted=done), used.moments.n_zero)


def _said(used: Used) -> tuple[tuple[str, ...], str]:
    """Notes on rows that are left out, and what to say of them at the call."""
    if used.found is not None:
        return missing_notes(used.table, used.found, used.n_total), ""
    if used.n_used == used.n_total:
        return (), ""
    told = left_out(used.rows.missing, used.n_total - used.n_used, used.n_total)
    return (told,), f"{told} {use_of_all(used.table, [(used.table, used.rows)])}"


def _summarised(
    used: Used,
    robust: RobustClusters,
    cluster: str | None,
    centering: Mapping[str, str],
    grand: Mapping[str, float],
) -> DataRecord:
    table = used.table
    bases = bases_of(table, used.moments, centering, data_names(table), used.levels, grand)
    plan = planned(table, bases)
    moments = columns_of(plan, bases, used.moments)
    found, together = used.found, ()
    if found is not None:
        together = missing_together(table, moments)
        found = with_patterns(found, moments)
    return DataRecord(
        moments=moments,
        maps=checked_maps(table, plan, bases, moments),
        cluster=cluster,
        robust=robust,
        n_rows_total=used.n_total,
        n_rows_dropped=used.n_total - used.n_used,
        centered=taken_off(bases, centering),
        notes=(*together, *check_own_means(table, moments)),
        missingness=found,
    )


def _robust(
    moments: MonomialMoments, cluster: str | None, se_cluster: str | None
) -> RobustClusters:
    if se_cluster is None or se_cluster == cluster:
        return RobustClusters(
            cluster, frozen(np.arange(moments.n_clusters)), frozen(moments.labels.view())
        )
    if moments.robust is None:
        raise DataError(
            f"se_cluster={se_cluster!r}: the moments do not say to which of these the clusters "
            f'belong. Make them with se_cluster="{se_cluster}".'
        )
    codes, labels = coded(moments.robust, se_cluster)
    return RobustClusters(se_cluster, frozen(codes), frozen(labels))


def sentinel_notes(parts: Sequence[Used]) -> tuple[str, ...]:
    """A caution for each column with a code that may stand for missing values."""
    notes: list[str] = []
    for name in dict.fromkeys(name for used in parts for name in data_names(used.table)):
        having = [used.moments for used in parts if name in data_names(used.table)]
        known = [(each.extremes, each.place(name)) for each in having if each.extremes is not None]
        if not known or len(known) < len(having):
            continue
        low, low_rows, next_low = _end([(e.low[i], int(e.low_rows[i])) for e, i in known], 1.0)
        high, high_rows, next_high = _end(
            [(e.high[i], int(e.high_rows[i])) for e, i in known], -1.0
        )
        count = sum(each.n_rows for each in having)
        for code, times, rest in (
            (low, low_rows, (next_low, high)),
            (high, high_rows, (low, next_high)),
        ):
            if code in CODES and not np.isnan(rest).any() and is_isolated(code, times, *rest):
                notes.append(caution(name, code, times, count, *rest))
    return tuple(notes)


def _end(ends: Sequence[tuple[Array, int]], sign: float) -> tuple[float, int, float]:
    """The lowest value of several parts (with the sign −1 the highest), its rows, the next one."""
    values = sign * np.array([each for each, _ in ends])
    outer = float(np.nanmin(values[:, 0], initial=np.inf))
    rest = values[values > outer]
    rows = sum(count for (_, count), own in zip(ends, values[:, 0], strict=True) if own == outer)
    return sign * outer, rows, sign * float(rest.min()) if len(rest) else float("nan")


# --- several groups -------------------------------------------------------------------------------


class _Beyond(NamedTuple):
    n_missing: int
    others: int


def grouped_record_of(
    table: ParameterTable,
    moments: GroupedMonomials,
    *,
    cluster: str | None = None,
    center: Mapping[str, str] | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
) -> GroupedRecord:
    """The record of a model of several groups; as `record_of`.

    Rows of groups that the table does not have count as others.
    """
    labels = tuple(each.label for each in table.groups)
    wanted = data_names(table)
    check_options(table, wanted, cluster, missing)
    names = tuple(dict.fromkeys(name for each in moments.groups for name in each.names))
    centering = check_center(table, center, wanted, names, cluster)
    own = [moments.groups[moments.labels.index(label)] for label in labels]
    beyond = _Beyond(
        moments.without,
        moments.others
        + sum(
            each.n_rows + each.n_left_out
            for label, each in zip(moments.labels, moments.groups, strict=True)
            if label not in labels
        ),
    )
    if beyond.n_missing and missing == "error":
        raise DataError(
            f"{beyond.n_missing} rows have no group: {moments.column!r} is missing. Drop these "
            'rows, or pass missing="listwise" to leave them out.'
        )
    groups = each_group(labels, lambda k: used_cells(table.groups[k].table, own[k], missing))
    robust = each_group(labels, lambda k: _robust(groups[k].moments, cluster, se_cluster))
    ids = [each.moments.labels for each in groups]
    whole = robust_across(table, moments.column, cluster, ids, robust, names)
    gone = [each.n_missing for each in groups]
    notes = (
        *counted(table, labels, [each.grouping for each in groups], gone, cluster),
        *sentinel_notes(groups),
    )
    grand = _grand_means(labels, groups, centering)

    def summary(k: int) -> DataRecord:
        mine = {n: how for n, how in centering.items() if n in data_names(groups[k].table)}
        return _summarised(groups[k], robust[k], cluster, mine, grand)

    records = tuple(each_group(labels, summary))
    total = sum(each.n_total for each in groups) + beyond.n_missing
    dropped = total - sum(each.n_used for each in groups)
    found, told, lost = missing_in_groups(
        table, moments.column, beyond, groups, records, total, dropped
    )
    return GroupedRecord(
        column=moments.column,
        labels=labels,
        groups=records,
        moments=GroupedMoments(tuple(record.moments for record in records)),
        cluster=cluster,
        robust=whole,
        n_rows_total=total,
        n_rows_dropped=dropped,
        centered=tuple((n, how, grand.get(n, float("nan"))) for n, how in centering.items()),
        notes=(
            *others_left_out(moments.column, beyond),
            *told,
            *notes,
            *notes_by_group(labels, [record.notes for record in records]),
        ),
        missingness=found,
        lost=lost,
    )


def _grand_means(
    labels: Sequence[Hashable], groups: Sequence[Used], centering: Mapping[str, str]
) -> dict[str, float]:
    """Over the rows of all groups that have a variable, or over their clusters."""
    found: dict[str, float] = {}
    for name in (name for name, how in centering.items() if how == "grand"):
        having = [each for each in groups if name in data_names(each.table)]

        def level(k: int, name: str = name) -> Array | None:
            own = groups[k]
            if name not in data_names(own.table):
                return None
            if name in own.levels:
                return own.levels[name]
            return level_values(own.table, own.moments, name)

        levels = each_group(labels, level)
        known = [level[~np.isnan(level)] for level in levels if level is not None]
        if len(known) == len(having):
            found[name] = mean_near_first(np.concatenate(known))
            continue
        found[name] = Spread.together([spread_of(each.moments, name) for each in having]).mean
    return found
