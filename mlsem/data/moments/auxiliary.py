"""Auxiliary variables in the data: what they may be, and at which levels they vary.

One that is constant within every cluster, where it is observed, is of level 2; one whose mean is
the same in every cluster (centred within clusters) is of level 1; any other has parts at both.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

import numpy as np

from mlsem.data.moments.bases import CONSTANT, SAME, Column, cluster_values, row_cluster_means
from mlsem.data.table.columns import (
    gap_in,
    numeric,
    require_column,
    require_frame,
    require_one_column,
)
from mlsem.data.table.grouping import Grouping, cut, group, ungrouped
from mlsem.errors import DataError, OptionValueError

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.model.auxiliary import Placed
    from mlsem.model.table import ParameterTable

CHUNK_ROWS = 1 << 15  # read at a time


def auxiliary_names(value: object) -> tuple[str, ...]:
    """The value of `auxiliary=`: a name, or some.

    Raises
    ------
    OptionValueError
        It is neither, or a name is there twice.
    """
    names = [value] if isinstance(value, str) else value
    if names is None:
        return ()
    given = list(names) if isinstance(names, Iterable) else [names]
    given = sorted(given, key=str) if isinstance(names, Set) else given  # in an order that stays
    found: list[str] = []
    for name in given:
        if not isinstance(name, str):
            raise OptionValueError(
                f'auxiliary={value!r}: it takes names of columns, such as ["z1", "z2"].'
            )
        if name in found:
            raise OptionValueError(f"auxiliary= names {name!r} twice. Keep one.")
        found.append(name)
    return tuple(found)


def placed_auxiliary(
    table: ParameterTable,
    data: object,
    names: tuple[str, ...],
    cluster: str | None,
    se_cluster: str | None = None,
) -> Placed:
    """Auxiliary variables of a model with the levels at which they vary.

    Parameters
    ----------
    table : ParameterTable
        Of the model without them.

    Raises
    ------
    OptionValueError
        One is in the model, in a product of it, or a column of clusters.
    DataError
        One is no column, not numeric, infinite, constant or never observed.
    """
    frame = require_frame(data)
    if cluster is not None:
        require_one_column("cluster", cluster, frame)
    for name in names:
        check_beside(table, name, cluster, se_cluster)
    grouping = ungrouped(len(frame), None)
    if table.two_level and cluster is not None:
        grouping = group(frame, cluster, None)
    return tuple((name, _levels(table, frame, name, grouping)) for name in names)


def check_beside(
    table: ParameterTable, name: str, cluster: str | None, se_cluster: str | None
) -> None:
    """Refuse an auxiliary variable that is in the model, or an id."""
    latent = {each for level in table.levels for each in level.latent}
    if name in table.observed or name in latent:
        raise OptionValueError(
            f"auxiliary= names {name!r}, which is in the model already: what it tells of missing "
            "values counts there. Leave it out of one of them."
        )
    for term in table.products:
        if name in term.factors:
            raise OptionValueError(
                f"auxiliary= names {name!r}, of which the model's product {term.name!r} is made: "
                "given the product it is not normal. Name it in the model, or leave it out."
            )
    for keyword, column in (("cluster", cluster), ("se_cluster", se_cluster)):
        if name == column:
            raise OptionValueError(
                f"auxiliary= names {name!r}, the column of {keyword}=: an id is no variable. "
                "Leave it out."
            )


def _levels(
    table: ParameterTable, frame: pd.DataFrame, name: str, grouping: Grouping
) -> tuple[int, ...]:
    needed = "auxiliary= names the variable"
    if ":" in name and name not in frame.columns:
        raise DataError(
            f"{needed} {name!r}, which is not a column of the data. Products are formed for the "
            "model alone: make a column of it first."
        )
    values = numeric(frame, require_column(frame, name, needed), name)
    gap = gap_in(frame, values, name) if values.dtype.kind == "f" else np.zeros(len(frame), bool)
    if gap.all():
        raise DataError(f"{needed} {name!r}, which is missing in every row. Leave it out.")
    mean = float(values.mean(dtype=np.float64, where=~gap))
    if gap.any():
        column = Column.where_observed(name, values, mean, grouping, gap, CHUNK_ROWS)
    else:
        column = Column(name, values, mean, grouping, cut(grouping.sizes, CHUNK_ROWS))
    sd = column.sd()
    if sd <= CONSTANT * abs(mean):
        raise DataError(f"{needed} {name!r}, which is constant: it tells nothing. Leave it out.")
    if not table.two_level:
        return (1,)
    _, distance = cluster_values(values, column.grouping, column.pieces)
    if (distance <= SAME * sd).all():
        return (2,)
    means = row_cluster_means(values, mean, column.grouping, column.pieces)
    return (1,) if np.ptp(means) <= SAME * sd else (1, 2)
