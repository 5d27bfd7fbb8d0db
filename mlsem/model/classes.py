"""A mixed model whose rows fall into classes that have a residual variance each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsem.model.table import ParameterTable, Row

if TYPE_CHECKING:
    from collections.abc import Sequence


def with_classes(
    table: ParameterTable, labels: tuple[str, ...], names: Sequence[str]
) -> ParameterTable:
    """With a residual variance of each class in place of the one of all, the last parameter.

    Parameters
    ----------
    labels : tuple of str
        Of the classes.
    names : sequence of str
        Of their parameters.
    """
    residual = len(table.names) - 1
    rows: list[Row] = []
    for row in table.rows:
        if row.free == residual:
            rows += [replace(row, free=residual + g, label=name) for g, name in enumerate(names)]
        else:
            rows.append(row)
    return replace(table, rows=tuple(rows), names=(*table.names[:-1], *names), classes=labels)
