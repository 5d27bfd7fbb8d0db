"""What spans groups: robust clusters, counts, grand means, what is said of all of them at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import numpy as np

from mlsem.core.records import CellMoments, RobustClusters
from mlsem.data.moments.bases import level_of, mean_near_first, weighted_mean
from mlsem.data.moments.checks import (
    Counts,
    check_clusters,
    check_counts,
    check_values,
    free_above,
)
from mlsem.data.moments.missing import Missingness, missing_notes, summed, use_of_all
from mlsem.data.table.columns import SHOWN, SILENT, left_out
from mlsem.data.table.groups import named_groups
from mlsem.data.table.nesting import check_apart, check_several, check_within, united
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.data.table.columns import Rows
    from mlsem.data.table.grouping import Grouping
    from mlsem.model.table import ParameterTable

Found = TypeVar("Found")


class Group(NamedTuple):
    """The rows of one group that are used."""

    table: ParameterTable
    frame: pd.DataFrame
    rows: Rows
    grouping: Grouping
    found: Missingness | None


class ReadGroup(Protocol):
    """Of a group, its table and what is known of the rows that were left out."""

    @property
    def table(self) -> ParameterTable: ...
    @property
    def rows(self) -> Rows: ...


class Beyond(Protocol):
    """How many rows are of no group, and of others."""

    @property
    def n_missing(self) -> int: ...
    @property
    def others(self) -> int: ...


# --- what is done group by group ------------------------------------------------------------------


def each_group(labels: Sequence[Hashable], step: Callable[[int], Found]) -> list[Found]:
    """A step of each group; an error says in which groups."""
    done: list[Found] = []
    failed: dict[str, list[Hashable]] = {}
    for place, label in enumerate(labels):
        try:
            done.append(step(place))
        except DataError as error:
            failed.setdefault(error.args[0], []).append(label)
    if not failed:
        return done
    message, where = next(iter(failed.items()))
    everywhere = len(where) == len(labels)
    raise DataError(message if everywhere else f"{named_groups(where)}: {message}")


def notes_by_group(labels: Sequence[Hashable], notes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Notes of groups, each once; those that not all groups have say which do."""
    having: dict[str, list[Hashable]] = {}
    for label, own in zip(labels, notes, strict=True):
        for note in own:
            having.setdefault(note, []).append(label)
    return tuple(
        note if len(where) == len(labels) else f"{named_groups(where)}: {note}"
        for note, where in having.items()
    )


# --- what spans groups ----------------------------------------------------------------------------


def robust_across(
    table: ParameterTable,
    group: str,
    cluster: str | None,
    ids: Sequence[NDArray],
    robust: Sequence[RobustClusters],
    columns: Collection[str] = (),
) -> RobustClusters:
    """The robust clusters of all groups, checked; `ids` are those of the clusters of each, and
    `columns` the names of the frame's."""
    whole = united(robust)
    if cluster is not None and table.two_level:
        check_apart(columns, group, cluster, ids, [each.label for each in table.groups])
    elif cluster is not None and whole.name != cluster:
        check_within(cluster, ids, whole)
    check_several(whole)
    return whole


def counted(
    table: ParameterTable,
    labels: Sequence[Hashable],
    groupings: Sequence[Grouping],
    missing: Sequence[int],
    cluster: str | None,
) -> tuple[str, ...]:
    """Notes on counts and values, after a look whether there are rows and clusters enough: of all
    groups for all parameters, and of each for those that are its own. `missing` says how many
    values are so in the rows used of each."""
    own = [each.table for each in table.groups]
    if table.two_level:
        each_group(labels, lambda k: check_clusters(own[k], groupings[k], cluster))
    there = [
        Counts(each.n_rows, len(each.sizes), gone)
        for each, gone in zip(groupings, missing, strict=True)
    ]
    rows, clusters, gone = (sum(column) for column in zip(*there, strict=True))
    variables = len(table.observed)
    gone += sum(
        each.rows * (variables - len(mine.observed)) for each, mine in zip(there, own, strict=True)
    )
    notes = check_counts(table, Counts(rows, clusters, gone), cluster)
    if not any(each.equality for each in table.constraints):
        notes += _of_own_parameters(table, labels, there)
    return notes


def _of_own_parameters(
    table: ParameterTable, labels: Sequence[Hashable], there: Sequence[Counts]
) -> tuple[str, ...]:
    """The same of the parameters that one group alone has."""
    often = Counter(place for each in table.groups for place in each.places)
    own = [{k for k, place in enumerate(g.places) if often[place] == 1} for g in table.groups]
    each_group(labels, lambda k: check_values(table.groups[k].table, there[k], len(own[k])))
    rows, clusters = list[str](), list[str]()
    for group, mine, counts in zip(table.groups, own, there, strict=True):
        upper = len(free_above(group.table) & mine) if table.two_level else 0
        shown = named_groups([group.label])
        if counts.rows < len(mine):
            rows.append(f"{shown} ({len(mine)} parameters, {counts.rows} rows)")
        if counts.clusters < upper:
            clusters.append(f"{shown} ({upper} parameters, {counts.clusters} clusters)")
    notes: tuple[str, ...] = ()
    if rows:
        notes += (
            f"groups with more free parameters of their own than rows: {_some(rows)}. Their "
            "estimates and standard errors are fragile.",
        )
    if clusters:
        notes += (
            "groups with more free parameters of their own at level 2 than clusters: "
            f"{_some(clusters)}. Their estimates and "
            "standard errors at level 2 are fragile.",
        )
    return notes


def _some(told: Sequence[str]) -> str:
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    return ", ".join(told[:SHOWN]) + more


def grand_means(
    labels: Sequence[Hashable],
    groups: Sequence[Group],
    centering: Mapping[str, str],
    chunk_rows: int,
) -> dict[str, float]:
    """Over the rows of all groups that have a variable, or over their clusters."""
    found: dict[str, float] = {}
    weighted = any(each.grouping.weights is not None for each in groups)
    for name in (name for name, how in centering.items() if how == "grand"):
        if weighted:
            parts = [(own, rows, grouping) for own, _, rows, grouping, _ in groups]
            having = [each for each in parts if name in each[1].values]
            found[name] = weighted_mean(having, name, chunk_rows)
            continue

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


def missing_in_groups(
    table: ParameterTable,
    group: str,
    split: Beyond,
    groups: Sequence[ReadGroup],
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
        return (
            found,
            (*without_group(group, split, total), *missing_notes(table, found, total)),
            "",
        )
    if not dropped:
        return None, (), ""
    counts = Counter({group: gone} if gone else {})
    for each in groups:
        counts.update(dict(each.rows.missing))
    told = left_out(tuple(counts.items()), dropped, total)
    if dropped == gone:
        return None, (told,), f"{told} They have no group, so no model; {SILENT}"
    use = use_of_all(table, [(each.table, each.rows) for each in groups])
    if gone:
        use = f"Without a group a row has no model; of the others: {use}"
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


def without_group(group: str, split: Beyond, total: int) -> tuple[str, ...]:
    """A note on rows without a group."""
    gone = split.n_missing
    if not gone:
        return ()
    return (f"{gone} of {total} rows left out, in which the group, {group!r}, is missing.",)


def others_left_out(group: str, split: Beyond) -> tuple[str, ...]:
    """A note on rows of groups that were not chosen."""
    if not split.others:
        return ()
    return (f"{split.others} rows of other groups of {group!r} are left out.",)
