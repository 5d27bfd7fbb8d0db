"""Data of several groups: what is asked for of each, and their data sets one after the other."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.table.frame import make_frame
from mlsem.data.table.groups import group_column
from mlsem.errors import OptionValueError, listed, nearest
from mlsem.model.table import ParameterTable
from mlsem.simulation.draw.model import DataModel
from mlsem.simulation.draw.numbers import open_stream

if TYPE_CHECKING:
    import pandas as pd

GROUP = "group"
"""The column of groups, where it has no other name."""
NESTED = ("heteroscedastic", "omitted_slopes")
"""What is a mapping of one group, too."""
OPTIONAL = {"random_effects": "normal", "residuals": "normal", **dict.fromkeys(NESTED)}
"""What a group has that is not in a mapping of groups."""


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """What is asked for beside a model and its values; see `simulate`."""

    n_clusters: Any
    cluster_size: Any
    random_effects: Any
    residuals: Any
    heteroscedastic: Any
    omitted_slopes: Any


@dataclass(frozen=True, slots=True, eq=False)
class GroupedDataModel:
    """Models of several groups with values, from which data sets can be drawn.

    Attributes
    ----------
    column : str
        The column of groups.
    groups : tuple of (label, DataModel)
    truth : mapping of str to float
        The value of each parameter under its `coef()` name.
    rng : {"numpy", "R"}
    """

    column: str
    groups: tuple[tuple[Hashable, DataModel], ...]
    truth: Mapping[str, float]
    rng: str

    def draw(self, seed: object = None) -> pd.DataFrame:
        """One data set; see `simulate` for the seed."""
        stream, before = open_stream(seed, self.rng), 0
        drawn: list[dict[str, Any]] = []
        for _, model in self.groups:
            drawn.append(model.drawn(stream, before))
            before += model.n_clusters
        rows = [len(next(iter(columns.values()))) for columns in drawn]
        names = dict.fromkeys(name for columns in drawn for name in columns)
        missing = [np.full(count, np.nan) for count in rows]
        values = {
            name: np.concatenate(
                [columns.get(name, none) for columns, none in zip(drawn, missing, strict=True)]
            )
            for name in names
        }
        labels = [label for label, _ in self.groups]
        return make_frame({self.column: group_column(labels, rows)} | values)


def require_columns(table: ParameterTable, cluster: str, group: str | None) -> str:
    """The column of groups.

    Raises
    ------
    OptionValueError
        A column has the name of another, or there are no groups to name a column for.
    """
    if cluster in table.observed:
        raise OptionValueError(f"cluster={cluster!r} is a variable of the model: choose another.")
    if not table.groups and group is not None:
        raise OptionValueError(
            f"group={group!r} names the column of groups, and the model is of one group: name "
            'them, group_label=["a", "b"], or write blocks \'group: a\'.'
        )
    if len(table.groups) == 1:
        raise OptionValueError(
            f"the model has one block 'group: {table.groups[0].label}', and several groups are "
            "at least two: leave the header out, or write a block for each group."
        )
    column = GROUP if group is None else group
    if table.groups and (not isinstance(column, str) or column in (*table.observed, cluster)):
        taken = "the column of clusters" if column == cluster else "a variable of the model"
        told = f"is {taken}" if isinstance(column, str) else "is no name of a column"
        raise OptionValueError(f"group={column!r} {told}: choose another.")
    return column


def designs(table: ParameterTable, design: Design) -> tuple[Design, ...]:
    """The design of each group; of one group itself.

    Raises
    ------
    OptionValueError
        A mapping of groups names one that there is not, or leaves one out.
    """
    if not table.groups:
        return (design,)
    labels = [group.label for group in table.groups]
    if isinstance(design.n_clusters, list | tuple | np.ndarray):
        shown = ", ".join(f"{label!r}: {20 + 10 * k}" for k, label in enumerate(labels[:2]))
        raise OptionValueError(
            f"n_clusters={design.n_clusters!r}: it takes a whole number for all groups, or one for "
            f"each by its label, {{{shown}}}."
        )
    each = {
        field.name: _by_group(field.name, getattr(design, field.name), labels)
        for field in fields(design)
    }
    return tuple(Design(**{name: each[name][k] for name in each}) for k in range(len(labels)))


def _by_group(keyword: str, given: Any, labels: list[Hashable]) -> list[Any]:
    """What each group has."""
    if not isinstance(given, Mapping) or (keyword in NESTED and not _is_of_groups(given)):
        return [given] * len(labels)
    for label in given:
        if label not in labels:
            raise OptionValueError(
                f"{keyword} names {label!r}, and the groups are {listed(labels)}."
                f"{nearest(str(label), map(str, labels))}"
            )
    left = [label for label in labels if label not in given]
    if left and keyword not in OPTIONAL:
        raise OptionValueError(
            f"{keyword} has no value for {listed(left)}: give one for each group, or one for all."
        )
    return [given.get(label, OPTIONAL.get(keyword)) for label in labels]


def _is_of_groups(given: Mapping[Any, Any]) -> bool:
    """Whether a mapping of what one group has as a mapping is one of groups to these."""
    return any(isinstance(value, Mapping) for value in given.values())
