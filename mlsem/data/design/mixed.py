"""The design of a linear mixed model: columns named as in lme4, and which vary within clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mlsem.data.design.classes import missing_classes, read_classes
from mlsem.data.design.variables import formula_columns
from mlsem.data.moments.aggregate import moments_of
from mlsem.data.moments.bases import SAME
from mlsem.data.table.columns import Rows, require_column, require_frame, rows_of
from mlsem.data.table.grouping import Grouping, group
from mlsem.data.table.sampling import Sampling, with_zeros
from mlsem.data.table.weights import weighted_rows
from mlsem.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from mlsem.core.records import Array
    from mlsem.data.design.remade import Recipe
    from mlsem.data.design.variables import Formula
    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.model.table import ParameterTable


@dataclass(frozen=True, slots=True)
class MixedColumns:
    """Which columns a linear mixed model has, and where they vary.

    Attributes
    ----------
    outcome : str
    fixed : tuple of str
        Fixed effects in the order of the formula, `(Intercept)` among them.
    random : tuple of tuple of str
        Effects that vary between clusters; those of one tuple covary.
    within : frozenset of str
        Columns that vary within clusters.
    classes : tuple of str
        Labels of the classes of rows that have a residual variance each; empty where all have one.
    """

    outcome: str
    fixed: tuple[str, ...]
    random: tuple[tuple[str, ...], ...]
    within: frozenset[str]
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class MixedData:
    """The data of a linear mixed model.

    Attributes
    ----------
    frame : DataFrame
        The user's, less the rows that are left out.
    rows : Rows
        The outcome, and every column of the design but the intercept.
    grouping : Grouping
    columns : MixedColumns
    n_total : int
        Rows of the user's frame.
    recipe : Recipe
        How the columns are made of other rows.
    notes : tuple of str
    lost : str
        What to say at the call of rows that are left out; empty where none is.
    sampling : Sampling or None
    n_zero : int
        Rows of the user's frame that weigh nothing; they are not among `n_total`.
    """

    frame: pd.DataFrame
    rows: Rows
    grouping: Grouping
    columns: MixedColumns
    n_total: int
    recipe: Recipe
    notes: tuple[str, ...]
    lost: str
    sampling: Sampling | None = None
    n_zero: int = 0

    def record(self, table: ParameterTable, cluster: str, se_cluster: str | None) -> DataRecord:
        """What the model of the formula needs of these rows.

        Raises
        ------
        DataError
        """
        try:
            record = moments_of(
                table,
                self.frame,
                self.rows,
                self.grouping,
                cluster=cluster,
                centering={},
                se_cluster=se_cluster,
                sampling=self.sampling,
            )
        except DataError:
            if self._flat_outcome():
                raise constant_outcome(self.columns.outcome, cluster) from None
            raise
        record = replace(
            record,
            n_rows_total=self.n_total,
            n_rows_dropped=self.n_total - len(self.frame),
            notes=self.notes + record.notes,
            formula=self.recipe,
        )
        return with_zeros(record, self.n_zero)

    def _flat_outcome(self) -> bool:
        """Whether the outcome varies, but within no cluster."""
        name = self.columns.outcome
        values = {name: self.rows.values[name]}
        return bool(values[name].std() > 0.0) and not varying(self.grouping, values)


def read_mixed(
    formula: Formula,
    data: object,
    missing: str,
    sampling: Sampling | None = None,
    residual: tuple[str, ...] = (),
) -> MixedData:
    """Evaluate a formula over a data frame; with weights over the rows that weigh anything. Rows
    that lack one of the columns `residual` are left out.

    Raises
    ------
    SpecificationError, DataError
        As `formula_columns`.
    """
    whole = require_frame(data)
    frame, _ = weighted_rows(whole, sampling, two_level=True)
    if formula.group not in frame.columns:
        require_column(frame, formula.group, "the formula needs the column of clusters")
    apart = missing_classes(frame, residual)
    made = formula_columns(formula, frame, missing, apart)
    blocks, spanned = made.without_spanned(made.blocks)
    refuse_group(formula.group, made.design)
    grouping = group(made.frame, formula.group, None)
    if grouping.singletons:
        raise one_row_each(formula.group)
    classes = None
    if residual:
        seen = made.outcome, made.response
        classes, codes = read_classes(made.frame, residual, formula.group, *seen)
        grouping = replace(grouping, classes=codes)
    columns = MixedColumns(
        outcome=made.outcome,
        fixed=made.fixed,
        random=tuple(blocks),
        within=varying(grouping, made.design),
        classes=() if classes is None else classes.labels,
    )
    rows = rows_of(made.frame, {made.outcome: made.response} | made.design)
    zero, again = len(whole) - len(frame), replace(made.recipe, classes=classes)
    told = again, made.notes + spanned, made.lost
    return MixedData(made.frame, rows, grouping, columns, len(frame), *told, sampling, zero)


def constant_outcome(name: str, cluster: str) -> DataError:
    """The error of an outcome of which no residual is left."""
    return DataError(
        f"the outcome {name!r} does not vary within any cluster of {cluster!r}, so a model "
        "with random effects has nothing to split. Is this the right column of clusters? For "
        "an outcome of clusters, take one row of each and fit a regression."
    )


def one_row_each(cluster: str) -> DataError:
    """The error of clusters of one row."""
    return DataError(
        f"every cluster of {cluster!r} has one row, so that random effects cannot be "
        "told from the residual. Group by the column that many rows share."
    )


def refuse_group(group: str, columns: Iterable[str]) -> None:
    if group in columns:
        raise DataError(
            f"{group!r} is the column of clusters and an effect of the model. Take it out "
            "of the formula; differences between clusters are what the random part is about."
        )


def varying(grouping: Grouping, columns: Mapping[str, Array]) -> frozenset[str]:
    """Columns that differ within some cluster by more than rounding."""
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    varying = set()
    with np.errstate(invalid="ignore", over="ignore"):  # infinite values are refused later
        for name, values in columns.items():
            rows = grouping.rows(values, 0, len(values))
            spread = np.maximum.reduceat(rows, starts) - np.minimum.reduceat(rows, starts)
            if spread.max() > SAME * rows.std():
                varying.add(name)
    return frozenset(varying)
