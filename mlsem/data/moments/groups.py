"""Rows of several groups to the moments of each.

A group is read as a data set of its own, for its own model. What spans groups is in `across`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlsem.core.records import GroupedMoments, RobustClusters
from mlsem.data.moments.across import (
    Group,
    counted,
    each_group,
    grand_means,
    missing_in_groups,
    notes_by_group,
    others_left_out,
    robust_across,
)
from mlsem.data.moments.aggregate import (
    CHUNK_ROWS,
    DataRecord,
    Remake,
    missing_together,
    summarised,
    used_rows,
    with_patterns,
)
from mlsem.data.moments.bases import data_names
from mlsem.data.moments.centering import check_center
from mlsem.data.moments.checks import check_options
from mlsem.data.moments.missing import Missingness
from mlsem.data.table.columns import (
    check_missing,
    require_column,
    require_frame,
    require_one_column,
)
from mlsem.data.table.groups import GroupRows, group_rows
from mlsem.data.table.nesting import robust_of, strata_across, strata_of, with_strata
from mlsem.data.table.sampling import Sampling, Weighted, weighted_together, with_zeros
from mlsem.data.table.sentinels import sentinel_notes
from mlsem.data.table.weights import row_by_row, weighted_rows, with_weights
from mlsem.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.core.records import Index
    from mlsem.model.table import ParameterTable


@dataclass(frozen=True, slots=True, eq=False)
class GroupedRecord:
    """What a model of several groups sees of the data.

    Attributes
    ----------
    column : str
        The grouping column.
    labels : tuple
        The value of each group.
    groups : tuple of DataRecord
        Of each group.
    moments : GroupedMoments
        The clusters of all groups.
    cluster : str or None
    robust : RobustClusters
        Over these clusters; one may have clusters of several groups.
    n_rows_total, n_rows_dropped : int
        Rows of these groups or without a group, and how many of them were left out for missing
        values.
    centered, notes, missingness, lost, formula, weighted
        As those of `DataRecord`, of all groups.
    """

    column: str
    labels: tuple[Hashable, ...]
    groups: tuple[DataRecord, ...]
    moments: GroupedMoments
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

    @property
    def units(self) -> None:
        """A model of several groups has two levels at most."""
        return

    @property
    def clusters(self) -> str | None:
        """What `cluster=` named."""
        return self.cluster

    @property
    def n_rows(self) -> int:
        return self.n_rows_total - self.n_rows_dropped


def read_groups(
    table: ParameterTable,
    data: object,
    *,
    group: str,
    cluster: str | None = None,
    center: Mapping[str, str] | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
    sampling: Sampling | None = None,
    chunk_rows: int | None = None,
) -> GroupedRecord:
    """Read a data frame into the moments that a model of several groups needs.

    Parameters
    ----------
    table : ParameterTable
        With `groups`; rows of other groups are left out.
    data : DataFrame
        Is not changed.
    group : str
        The grouping column.
    cluster, missing, se_cluster, sampling, chunk_rows
        As for `read_moments`. With two levels a cluster belongs to one group; robust clusters may
        cut across groups.
    center : mapping of str to {"cluster", "grand"}, optional
        "grand": at the mean over the rows used of all groups that have the variable; one that is
        of level 2 in each, at the mean over their clusters.

    Returns
    -------
    GroupedRecord

    Raises
    ------
    DataError, OptionValueError
        What is wrong in some groups alone names them.
    """
    whole_frame = require_frame(data)
    wanted = data_names(table)
    centering = check_center(table, center, wanted, whole_frame.columns, cluster)
    if sampling is not None and not table.two_level:
        check_options(table, wanted, cluster, missing)
        cluster, se_cluster = row_by_row(sampling, cluster, se_cluster, centering)
    frame, positions = weighted_rows(whole_frame, sampling, two_level=table.two_level)
    labels = tuple(each.label for each in table.groups)
    split, groups = _read(
        table, frame, positions, group, cluster, se_cluster, sampling, missing, chunk_rows
    )
    groups, weighted = _with_weights(labels, groups, sampling, two_level=table.two_level)
    robust = each_group(
        labels, lambda k: robust_of(groups[k].frame, se_cluster, cluster, groups[k].grouping)
    )
    ids = [each.grouping.labels for each in groups]
    whole = robust_across(table, group, cluster, ids, robust, frame.columns)
    strata = None if sampling is None else sampling.strata
    own_strata = each_group(
        labels,
        lambda k: strata_of(groups[k].frame, strata, robust[k], groups[k].grouping),
    )
    whole = with_strata(whole, strata_across(whole, robust, own_strata))
    notes = (
        *counted(
            table,
            labels,
            [each.grouping for each in groups],
            [each.rows.n_missing for each in groups],
            cluster,
        ),
        *sentinel_notes(*(each.rows for each in groups)),
    )
    grand = grand_means(labels, groups, centering, chunk_rows or CHUNK_ROWS)

    def summary(place: int) -> DataRecord:
        own, _, rows, grouping, found = groups[place]
        record = summarised(
            own,
            rows,
            grouping,
            robust=robust[place],
            cluster=cluster,
            centering={name: how for name, how in centering.items() if name in rows.values},
            grand=grand,
            chunk_rows=chunk_rows,
        )
        record = replace(record, weighted=weighted[place])
        if found is None:
            return record
        together = missing_together(own, record.moments)
        found = with_patterns(found, record.moments)
        return replace(record, missingness=found, notes=together + record.notes)

    records = tuple(each_group(labels, summary))
    total = int(split.sizes.sum()) + split.n_missing
    dropped = total - sum(each.rows.n_used for each in groups)
    found, told, lost = missing_in_groups(table, group, split, groups, records, total, dropped)
    record = GroupedRecord(
        column=group,
        labels=labels,
        groups=records,
        moments=GroupedMoments(tuple(record.moments for record in records)),
        cluster=cluster,
        robust=whole,
        n_rows_total=total,
        n_rows_dropped=dropped,
        centered=tuple(
            (name, how, grand.get(name, float("nan"))) for name, how in centering.items()
        ),
        notes=(
            *others_left_out(group, split),
            *told,
            *notes,
            *notes_by_group(labels, [record.notes for record in records]),
        ),
        missingness=found,
        lost=lost,
        weighted=weighted_together(weighted),
    )
    return with_zeros(record, len(whole_frame) - len(frame))


def _with_weights(
    labels: Sequence[Hashable],
    groups: list[Group],
    sampling: Sampling | None,
    *,
    two_level: bool,
) -> tuple[list[Group], list[Weighted | None]]:
    """The groups with what their rows and clusters count, and what was done."""
    found = each_group(
        labels,
        lambda k: with_weights(groups[k].frame, sampling, groups[k].grouping, two_level=two_level),
    )
    return (
        [each._replace(grouping=own) for each, (own, _) in zip(groups, found, strict=True)],
        [done for _, done in found],
    )


def _read(
    table: ParameterTable,
    frame: pd.DataFrame,
    positions: Index | None,
    group: str,
    cluster: str | None,
    se_cluster: str | None,
    sampling: Sampling | None,
    missing: str,
    chunk_rows: int | None,
) -> tuple[GroupRows, list[Group]]:
    """The rows of each group that are used; `positions` are those of the frame's rows among the
    user's."""
    wanted = data_names(table)
    keys = {"group": group, "cluster": cluster, "se_cluster": se_cluster}
    keys = {keyword: name for keyword, name in keys.items() if name is not None}
    for keyword, name in keys.items():
        require_one_column(keyword, name, frame)
    check_options(table, wanted, cluster, missing)
    check_column(group, wanted, cluster)
    split = group_rows(frame, group, [each.label for each in table.groups])
    if split.missing is not None and missing == "error":
        check_missing(frame, ((group, split.n_missing),), ~split.missing, missing)
    sampled = {} if sampling is None else sampling.columns
    keyed = {name: f"{keyword}= names" for keyword, name in keys.items()}
    needed = {**sampled, **keyed, **wanted}
    for name, needed_by in needed.items():
        require_column(frame, name, needed_by)
    frames = split.frames(frame, list(needed))

    def used(place: int) -> Group:
        own = table.groups[place].table
        rows, grouping, found = used_rows(
            own,
            frames[place],
            data_names(own),
            cluster=cluster,
            missing=missing,
            chunk_rows=chunk_rows,
        )
        if cluster is None:
            there = split.positions(place)[grouping.labels]
            grouping = replace(grouping, labels=there if positions is None else positions[there])
        return Group(own, frames[place], rows, grouping, found)

    return split, each_group([each.label for each in table.groups], used)


def check_column(group: str, wanted: Mapping[str, str], cluster: str | None) -> None:
    if group in wanted:
        raise DataError(
            f"{group!r} is the grouping column and a variable of the model: it does not vary "
            "within groups. Take it out of the model, whose parameters may differ between groups, "
            "or leave group= out."
        )
    if group == cluster:
        raise DataError(
            f"{group!r} is the grouping column and the cluster column. Groups are few and have "
            "parameters of their own, clusters are many and random: name it once."
        )
