"""Several groups' tables with other rows or parameters, put together again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsem.model.blocks import BlockKey, name_suffix
from mlsem.model.elements import LevelVariables
from mlsem.model.table import GroupTable, ParameterTable, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def regrouped(whole: ParameterTable, tables: Sequence[ParameterTable]) -> ParameterTable:
    """The whole with changed tables of its groups.

    Parameters
    ----------
    whole : ParameterTable
        Of several groups.
    tables : sequence of ParameterTable
        The table of each group with the parameters that it had, in their order, and after them
        others, which are this group's own. Each is in one row.
    """
    names, rows, groups = list(whole.names), list[Row](), list[GroupTable]()
    for number, (before, table) in enumerate(zip(whole.groups, tables, strict=True), start=1):
        places = list(before.places)
        added = {row.free: row for row in table.rows if row.free >= len(places)}
        for k in range(len(places), len(table.names)):
            row = added[k]
            suffix = name_suffix(BlockKey(number, row.level), whole.level_labels)
            places.append(len(names))
            names.append(f"{row.lhs}{row.op}{row.rhs}{suffix}")
        rows += [
            replace(row, group=number, free=places[row.free] if row.free >= 0 else -1)
            for row in table.rows
        ]
        own = replace(table, names=tuple(names[place] for place in places))
        groups.append(GroupTable(before.label, own, tuple(places)))
    return replace(
        whole,
        rows=tuple(rows),
        names=tuple(names),
        groups=tuple(groups),
        levels=levels_of_any(tables),
        split=_any(table.split for table in tables),
        meanstructure=tables[0].meanstructure,
        auxiliary=tuple(dict.fromkeys(name for table in tables for name in table.auxiliary)),
    )


def with_rows(
    whole: ParameterTable,
    rows: Sequence[Row],
    names: Sequence[str],
    tables: Sequence[ParameterTable] = (),
) -> ParameterTable:
    """The table with these rows and parameters; its constraints and definitions are left out.

    Parameters
    ----------
    whole : ParameterTable
        Of one group or of several.
    rows : sequence of Row
        With their groups, and free positions of the whole; in any order of groups.
    names : sequence of str
        Of the parameters.
    tables : sequence of ParameterTable, optional
        The table of each group, where more of it has changed than rows and parameters.
    """
    groups: list[GroupTable] = []
    mine: dict[int, list[Row]] = {}
    for row in rows:
        mine.setdefault(row.group, []).append(row)
    for number, before in enumerate(whole.groups, start=1):
        own = mine.get(number, [])
        places = tuple(dict.fromkeys(row.free for row in own if row.free >= 0))
        position = {place: k for k, place in enumerate(places)}
        table = with_rows(
            tables[number - 1] if tables else before.table,
            [replace(row, group=1, free=position.get(row.free, -1)) for row in own],
            [names[place] for place in places],
        )
        groups.append(GroupTable(before.label, table, places))
    changed = replace(
        whole,
        rows=tuple(sorted(rows, key=lambda row: row.group)),
        names=tuple(names),
        definitions=(),
        constraints=(),
        bounds=None,
        groups=tuple(groups),
    )
    if not groups:
        return changed
    return replace(changed, levels=levels_of_any([group.table for group in groups]))


def levels_of_any(tables: Sequence[ParameterTable]) -> tuple[LevelVariables, ...]:
    """The variables that each level has in any group."""
    return tuple(
        LevelVariables(
            _any(level.latent for level in levels),
            _any(level.modelled for level in levels),
            _any(level.covariates for level in levels),
            _any(level.parts for level in levels),
        )
        for levels in zip(*(table.levels for table in tables), strict=True)
    )


def _any(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in names for name in each))
