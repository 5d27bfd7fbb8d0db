"""A parameter table as people read it: `print(mlsem.check(model))`, ``mlsem check``, a notebook."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from mlsem.base.display import lines
from mlsem.report.export.grid import Grid
from mlsem.report.table import columns_table, render_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsem.model.table import ParameterTable, Row


def text(table: ParameterTable) -> str:
    """The rows as a table, and under it what else the model says."""
    return f"{render_columns(_columns(table), index=True)}\n{lines(_remarks(table))}"


def grid(table: ParameterTable) -> Grid:
    """The same, to be written in other languages."""
    return Grid("", (columns_table(_columns(table), index=True),), tuple(_remarks(table)))


def _columns(table: ParameterTable) -> dict[str, Sequence[object]]:
    rows = table.rows
    optional = {
        "label": [row.label for row in rows],
        "start": [row.start for row in rows],
        "bounds": [_bounds(row) for row in rows],
    }
    group = {"group": [row.group for row in rows]} if table.groups else {}
    return {
        "lhs": [row.lhs for row in rows],
        "op": [row.op for row in rows],
        "rhs": [row.rhs for row in rows],
        **group,
        "level": [row.level for row in rows],
        "parameter": [_status(row) for row in rows],
        **{name: column for name, column in optional.items() if any(_given(column))},
        "from": ["model" if row.user else "default" for row in rows],
    }


def _given(column: Sequence[object]) -> list[bool]:
    return [cell is not None and cell != "" for cell in column]


def _status(row: Row) -> str:
    """`free 3` (the number is shared by equal labels), `fixed 1`, or `data`."""
    if row.free >= 0:
        return f"free {row.free + 1}"
    return "data" if row.exo else f"fixed {row.fixed:g}" if row.fixed is not None else "fixed"


def _bounds(row: Row) -> str:
    if not (isfinite(row.lower) or isfinite(row.upper)):
        return ""
    return f"[{row.lower:g}, {row.upper:g}]"


def _remarks(table: ParameterTable) -> list[str]:
    remarks = [f"{each.name} := {each.source}" for each in table.definitions]
    remarks += [each.source for each in table.constraints]
    remarks += [f"product made from the data: {each.name}" for each in table.products]
    if table.three_level:
        remarks += _parts_of_three(table)
    elif table.split:
        remarks.append(f"split into a part at each level: {', '.join(table.split)}")
    remarks += [f"random slope {s.name}: {s.outcome} on {s.carrier}" for s in table.slopes]
    remarks += [f"group {k}: {each.label}" for k, each in enumerate(table.groups, start=1)]
    remarks.append(f"free parameters: {len(table.names)}")
    remarks += [f"note: {note}" for note in table.notes]
    return remarks


def _parts_of_three(table: ParameterTable) -> list[str]:
    """`split into parts: y (levels 1, 2, 3), z (levels 2, 3)`."""
    found: list[str] = []
    for name in dict.fromkeys(table.split + table.raised):
        own = [k for k, level in enumerate(table.levels, start=1) if name in level.modelled]
        found.append(f"{name} (levels {', '.join(map(str, own))})")
    return [f"split into parts: {', '.join(found)}"] if found else []
