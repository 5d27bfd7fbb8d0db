"""The parts of the rows that have moments of their own: the groups of a model, or all rows."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mlsem.data.engine.query import GROUP, aggregated, require, schema_of
from mlsem.data.table.groups import counted_labels, places_among

if TYPE_CHECKING:
    import narwhals as nw
    import pandas as pd

    from mlsem.core.records import Index


@dataclass(frozen=True, slots=True)
class Parts:
    """The groups of a query; without a column all rows are one.

    Attributes
    ----------
    column : str or None
        As the user calls it.
    labels : tuple
        The value of each group.
    """

    column: str | None = None
    labels: tuple[Hashable, ...] = ("",)

    @property
    def by(self) -> tuple[str, ...]:
        """The column of the query by which it is grouped."""
        return () if self.column is None else (GROUP,)

    def places(self, table: pd.DataFrame) -> Index:
        """The group of each row of a table that has the column `GROUP`: as many as there are
        groups for another one, −1 where it is missing."""
        if self.column is None:
            return np.zeros(len(table), dtype=np.intp)
        return places_among(cast("pd.Series", table[GROUP]), self.column, self.labels)


def labels_of_query(
    frame: nw.LazyFrame[Any], column: str, group_label: object
) -> tuple[Hashable, ...]:
    """The groups of a query, in order, as `mlsem.data.table.groups.group_labels` has them of a
    frame."""
    import narwhals as nw

    schema, values = schema_of(frame), nw.col(column)
    require(schema.names(), column, "group= names")
    if frame.implementation.is_polars() and isinstance(schema[column], nw.Categorical):
        values = values.cast(nw.String)  # whose categories have no order of their own
    found = frame.select(values.alias(GROUP))
    table = aggregated(found, (GROUP,), [nw.len().alias("rows")])
    return counted_labels(table[GROUP], table["rows"].to_numpy(), column, group_label)
