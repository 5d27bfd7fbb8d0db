"""Rows of several groups to the moments of each.

A group is read as a data set of its own, for its own model. What spans groups is done here: grand
means, robust clusters, counts of rows and clusters, and what is said of all groups at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlsem.core.records import CellMoments, GroupedMoments, RobustClusters
from mlsem.data.moments.aggregate import (
    CHUNK_ROWS,
    DataRecord,
    Remake,
    check_options,
    missing_together,
    summarised,
    used_rows,
    with_patterns,
)
from mlsem.data.moments.bases import check_center, data_names, level_of, mean_near_first
from mlsem.data.moments.checks import Counts, check_clusters, check_counts, check_free
from mlsem.data.moments.missing import Missingness, missing_notes, summed, use_of_all
from mlsem.data.table.columns import (
    check_missing,
    left_out,
    require_column,
    require_frame,
    require_one_column,
)
from mlsem.data.table.groups import GroupRows, each_group, group_rows, notes_by_group
from mlsem.data.table.nesting import (
    check_apart,
    check_several,
    check_within,
    robust_of,
    united,
)
from mlsem.data.table.sentinels import sentinel_notes
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.table.columns import Rows
    from mlsem.data.table.grouping import Grouping
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
    centered, notes, missingness, lost, formula
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

    @property
    def n_rows(self) -> int:
        return self.n_rows_total - self.n_rows_dropped


class _Group(NamedTuple):
    """The rows of one group that are used."""

    table: ParameterTable
    frame: pd.DataFrame
    rows: Rows
    grouping: Grouping
    found: Missingness | None


def read_groups(
    table: ParameterTable,
    data: object,
    *,
    group: str,
    cluster: str | None = None,
    center: Mapping[str, str] | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
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
    cluster, missing, se_cluster, chunk_rows
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
    frame, wanted = require_frame(data), data_names(table)
    keys = {"group": group, "cluster": cluster, "se_cluster": se_cluster}
    keys = {keyword: name for keyword, name in keys.items() if name is not None}
    for keyword, name in keys.items():
        require_one_column(keyword, name, frame)
    check_options(table, wanted, cluster, missing)
    _check_column(group, wanted, cluster)
    centering = check_center(table, center, wanted, frame.columns, cluster)
    labels = tuple(each.label for each in table.groups)
    split = group_rows(frame, group, labels)
    if split.missing is not None and missing == "error":
        check_missing(frame, ((group, split.n_missing),), ~split.missing, missing)
    needed = {**{name: f"{keyword}= names" for keyword, name in keys.items()}, **wanted}
    for name, needed_by in needed.items():
        require_column(frame, name, needed_by)
    frames = _frames(frame[list(needed)], split)
    positions = np.arange(len(frame)) if split.order is None else split.order
    starts = np.cumsum(split.sizes) - split.sizes

    def used(place: int) -> _Group:
        own = table.groups[place].table
        rows, grouping, found = used_rows(
            own, frames[place], data_names(own), cluster=cluster, missing=missing,
            chunk_rows=chunk_rows,
        )  # fmt: skip
        if cluster is None:
            grouping = replace(grouping, labels=positions[starts[place] + grouping.labels])
        return _Group(own, frames[place], rows, grouping, found)

    groups = each_group(labels, used)
    robust = each_group(
        labels, lambda k: robust_of(groups[k].frame, se_cluster, cluster, groups[k].grouping)
    )
    whole = _across(table, frame, group, cluster, groups, robust)
    notes = _counted(table, labels, groups, cluster)
    grand = _grand_means(labels, groups, centering, chunk_rows or CHUNK_ROWS)

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
        if found is None:
            return record
        together = missing_together(own, record.moments)
        found = with_patterns(found, record.moments)
        return replace(record, missingness=found, notes=together + record.notes)

    records = tuple(each_group(labels, summary))
    total = int(split.sizes.sum()) + split.n_missing
    dropped = total - sum(each.rows.n_used for each in groups)
    found, told, lost = _left_out(table, group, split, groups, records, total, dropped)
    return GroupedRecord(
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
            *_others(group, split),
            *told,
            *notes,
            *notes_by_group(labels, [record.notes for record in records]),
        ),
        missingness=found,
        lost=lost,
    )


def _check_column(group: str, wanted: Mapping[str, str], cluster: str | None) -> None:
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


def _frames(frame: pd.DataFrame, split: GroupRows) -> list[pd.DataFrame]:
    """The rows of each group, in the order of the frame."""
    ordered = frame if split.order is None else frame.take(split.order)
    ends = np.cumsum(split.sizes).tolist()
    return [ordered.iloc[end - size : end] for end, size in zip(ends, split.sizes, strict=True)]


# --- what spans groups ----------------------------------------------------------------------------


def _across(
    table: ParameterTable,
    frame: pd.DataFrame,
    group: str,
    cluster: str | None,
    groups: Sequence[_Group],
    robust: Sequence[RobustClusters],
) -> RobustClusters:
    """The robust clusters of all groups, checked."""
    whole = united(robust)
    if cluster is not None and (table.two_level or whole.name != cluster):
        ids = [each.grouping.labels for each in groups]
        if table.two_level:
            check_apart(frame, group, cluster, ids, tuple(each.label for each in table.groups))
        else:
            check_within(cluster, ids, whole)
    check_several(whole)
    return whole


def _counted(
    table: ParameterTable,
    labels: Sequence[Hashable],
    groups: Sequence[_Group],
    cluster: str | None,
) -> tuple[str, ...]:
    """Notes on counts and values, after a look whether there are rows and clusters enough: of all
    groups for all parameters, and of each for those that are its own."""
    if table.two_level:
        each_group(labels, lambda k: check_clusters(groups[k].table, groups[k].grouping, cluster))
    there = [
        Counts(each.grouping.n_rows, len(each.grouping.sizes), each.rows.n_missing)
        for each in groups
    ]
    rows, clusters, missing = (sum(column) for column in zip(*there, strict=True))
    variables = len(table.observed)
    missing += sum(
        each.rows * (variables - len(own.table.observed))
        for each, own in zip(there, groups, strict=True)
    )
    notes = check_counts(table, Counts(rows, clusters, missing), cluster)
    if not any(each.equality for each in table.constraints):
        often = Counter(place for each in table.groups for place in each.places)

        def own_notes(k: int) -> tuple[str, ...]:
            places = table.groups[k].places
            own = {free for free, place in enumerate(places) if often[place] == 1}
            return check_free(groups[k].table, there[k], cluster, own)

        notes += notes_by_group(labels, each_group(labels, own_notes))
    return notes + sentinel_notes(*(each.rows for each in groups))


def _grand_means(
    labels: Sequence[Hashable],
    groups: Sequence[_Group],
    centering: Mapping[str, str],
    chunk_rows: int,
) -> dict[str, float]:
    """Over the rows of all groups that have a variable, or over their clusters."""
    found: dict[str, float] = {}
    for name in (name for name, how in centering.items() if how == "grand"):

        def level(k: int, name: str = name) -> Array | None:
            own, _, rows, grouping, _ = groups[k]
            return level_of(own, rows, grouping, name, chunk_rows) if name in rows.values else None

        having = [each.rows for each in groups if name in each.rows.values]
        levels = [values for values in each_group(labels, level) if values is not None]
        if len(levels) == len(having):
            found[name] = mean_near_first(np.concatenate(levels))
        else:
            total = sum(rows.totals[name] for rows in having)
            found[name] = total / sum(rows.count(name) for rows in having)
    return found


def _left_out(
    table: ParameterTable,
    group: str,
    split: GroupRows,
    groups: Sequence[_Group],
    records: Sequence[DataRecord],
    total: int,
    dropped: int,
) -> tuple[Missingness | None, tuple[str, ...], str]:
    """What is known of missing values in all groups, notes on rows that were left out for them,
    and what to say of these at the call."""
    known = [each.missingness for each in records if each.missingness is not None]
    gone = split.n_missing
    if known:
        found = summed(known, *_patterns(records))
        notes = missing_notes(table, found, total)
        if gone:
            said = f"{gone} of {total} rows left out, in which the group, {group!r}, is missing."
            notes = (said, *notes)
        return found, notes, ""
    if not dropped:
        return None, (), ""
    counts = Counter({group: gone} if gone else {})
    for each in groups:
        counts.update(dict(each.rows.missing))
    told = left_out(tuple(counts.items()), dropped, total)
    if dropped == gone:
        return None, (told,), f"{told} Without a group no model is theirs. Give them theirs."
    use = use_of_all(table, [(each.table, each.rows) for each in groups])
    return None, (told,), f"{told} {use}"


def _patterns(records: Sequence[DataRecord]) -> tuple[int, int]:
    """How many patterns of missing values there are at each level: sets of missing variables."""
    kinds: tuple[set[frozenset[str]], ...] = (set(), set())
    for moments in (record.moments for record in records):
        if not isinstance(moments, CellMoments):
            for known in kinds:
                known.add(frozenset())
            continue
        inner, outer = moments.columns[: moments.varying], moments.columns[moments.varying :]
        both = ((inner, moments.patterns), (outer, moments.level2_patterns))
        for known, (names, patterns) in zip(kinds, both, strict=True):
            known.update(
                frozenset(name for name, seen in zip(names, row, strict=True) if not seen)
                for row in patterns.tolist()
            )
    return len(kinds[0]), len(kinds[1])


def _others(group: str, split: GroupRows) -> tuple[str, ...]:
    if not split.others:
        return ()
    return (f"{split.others} rows of other groups of {group!r} are left out.",)
