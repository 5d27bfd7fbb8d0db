"""The design of a linear mixed model: columns named as in lme4, and which vary within clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlsem.data.design.classes import missing_classes, read_classes
from mlsem.data.design.columns import INTERCEPT, dependent, design
from mlsem.data.design.factors import check_factors
from mlsem.data.design.r_evaluate import Scope, Variable
from mlsem.data.design.r_values import Factor
from mlsem.data.design.remade import Recipe, recipe, term_factors
from mlsem.data.design.spanned import spans, without_spanned
from mlsem.data.moments.aggregate import moments_of
from mlsem.data.moments.bases import SAME
from mlsem.data.table.columns import (
    SILENT,
    Rows,
    check_missing,
    gap_in,
    left_out,
    missing_in,
    require_column,
    require_frame,
    rows_named,
    rows_of,
)
from mlsem.data.table.grouping import Grouping, group
from mlsem.data.table.sampling import Sampling, with_zeros
from mlsem.data.table.weights import weighted_rows
from mlsem.errors import DataError, listed
from mlsem.syntax.r_language import deparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.model.table import ParameterTable
    from mlsem.syntax.r_language import Expression
    from mlsem.syntax.r_terms import Terms


RESIDUAL = "Residual"


class Formula(Protocol):
    """What is needed of a formula."""

    @property
    def text(self) -> str: ...
    @property
    def outcome(self) -> Expression: ...
    @property
    def fixed(self) -> Terms: ...
    @property
    def random(self) -> Sequence[Terms]: ...
    @property
    def group(self) -> str: ...


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
        return bool(values[name].std() > 0.0) and not _varying(self.grouping, values)


def read_mixed(
    formula: Formula,
    data: object,
    missing: str,
    sampling: Sampling | None = None,
    residual: tuple[str, ...] = (),
) -> MixedData:
    """Evaluate a formula over a data frame: its variables on all rows, the design on those that
    have a value in each of them and in the columns `residual`, as R does; with weights of the rows
    that weigh anything.

    Raises
    ------
    SpecificationError
        A function that cannot be computed.
    DataError
        A column is absent, or has missing values and `missing` is "error".
    """
    whole = require_frame(data)
    frame, _ = weighted_rows(whole, sampling, two_level=True)
    if formula.group not in frame.columns:
        require_column(frame, formula.group, "the formula needs the column of clusters")
    scope = Scope(frame, formula.text)
    everywhere = variables_of(formula, scope)
    outcome = deparse(formula.outcome)
    apart = missing_classes(frame, residual)
    used, variables, notes, lost = complete_rows(frame, everywhere, missing, outcome, apart)
    check_finite(used, variables.values())
    check_texts(used, variables, outcome)
    response = response_of(variables[outcome])
    effects = design(formula.fixed, variables)
    spare = {name: effects.pop(name) for name in dependent(effects)}
    known = {term_factors(name): name for name in effects}
    everything = dict(effects)
    blocks: list[tuple[str, ...]] = []
    for part in formula.random:
        block = design(part, variables)
        named = {known.get(term_factors(name), name): values for name, values in block.items()}
        everything |= named
        blocks.append(tuple(named))
    blocks, spanned = without_spanned(
        blocks, lambda names, others: spans(names, others, everything)
    )
    everything.pop(INTERCEPT, None)
    refuse_group(formula, everything)
    grouping = group(used, formula.group, None)
    if grouping.singletons:
        raise one_row_each(formula.group)
    rows, classes = rows_of(used, {outcome: response} | everything), None
    if residual:
        classes, codes = read_classes(used, residual, formula.group, outcome, response)
        grouping = replace(grouping, classes=codes)
    columns = MixedColumns(
        outcome=outcome,
        fixed=tuple(effects),
        random=tuple(blocks),
        within=_varying(grouping, everything),
        classes=() if classes is None else classes.labels,
    )
    notes += spared(tuple(spare)) + spanned
    again = recipe(formula, scope.memory, variables, effects, spare, used, classes)
    told, zero = (notes, lost), len(whole) - len(frame)
    return MixedData(used, rows, grouping, columns, len(frame), again, *told, sampling, zero)


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


def refuse_group(formula: Formula, columns: Iterable[str]) -> None:
    if formula.group in columns:
        raise DataError(
            f"{formula.group!r} is the column of clusters and an effect of the model. Take it out "
            "of the formula; differences between clusters are what the random part is about."
        )


def spared(names: tuple[str, ...]) -> tuple[str, ...]:
    """A note on columns that are left out."""
    if not names:
        return ()
    what = "is a linear combination" if len(names) == 1 else "are linear combinations"
    return (f"{listed(names)} {what} of the fixed effects before; left out, as in lme4.",)


# --- variables on all rows, and the rows that have them all ---------------------------------------


def expressions_of(formula: Formula) -> dict[str, Expression]:
    """Every variable of the formula.

    Raises
    ------
    DataError
        One has the name of a parameter.
    """
    expressions = {deparse(formula.outcome): formula.outcome} | formula.fixed.variables
    for part in formula.random:
        expressions |= part.variables
    for name in (INTERCEPT, RESIDUAL):
        if name in expressions:
            raise DataError(
                f"a column named {name!r}: a parameter of every model has that name. Rename it, "
                f"e.g. data.rename(columns={{{name!r}: 'x'}})."
            )
    return expressions


def variables_of(formula: Formula, scope: Scope) -> dict[str, Variable]:
    """Every variable of the formula, over all rows."""
    return {name: scope.variable(name, each) for name, each in expressions_of(formula).items()}


def complete_rows(
    frame: pd.DataFrame,
    variables: dict[str, Variable],
    missing: str,
    outcome: str,
    apart: Mapping[str, NDArray[np.bool_]] | None = None,
) -> tuple[pd.DataFrame, dict[str, Variable], tuple[str, ...], str]:
    """The rows that have a value in every variable, a note on the others, and what to say of them
    at the call; `apart` says where other columns are missing."""
    gaps = dict(apart or {})
    for variable in variables.values():
        gap = variable.missing
        if gap.any():
            _attribute(gap, variable, frame, gaps)
    if not gaps:
        return frame, {name: each.taken(None) for name, each in variables.items()}, (), ""
    counts = tuple((name, int(gap.sum())) for name, gap in sorted(gaps.items()))
    keep = ~np.logical_or.reduce(list(gaps.values()))
    check_missing(frame, counts, keep, missing)
    used: Any = frame.loc[keep]
    note = left_out(counts, len(frame) - len(used), len(frame))
    left = {name: each.taken(keep) for name, each in variables.items()}
    known = int((~keep & ~variables[outcome].missing).sum())
    return used, left, (note,), lost_rows(note, known)


def lost_rows(note: str, known: int) -> str:
    """What to say at the call of rows that are left out, of which so many have an outcome."""
    if known:
        lost = (
            f"{known} of them have an outcome and lack a covariate, and what they say is lost: "
            'mlsem.fit with missing="fiml.x" models covariates.'
        )
    else:
        lost = "Without its outcome a row says nothing of the model: nothing is lost."
    return f"{note} {lost} {SILENT}"


def _attribute(
    gap: NDArray[np.bool_],
    variable: Variable,
    frame: pd.DataFrame,
    gaps: dict[str, NDArray[np.bool_]],
) -> None:
    """Which columns of the data make a variable missing; where none does, it does so itself."""
    left = gap.copy()
    for name in variable.columns:
        there = gap & missing_in(require_column(frame, name, "the formula needs the variable"))
        if there.any():
            gaps[name] = gaps.get(name, False) | there
            left &= ~there
    if not left.any():
        return
    if not (variable.may_miss or isinstance(variable.values, Factor)):
        raise DataError(
            f"{variable.name!r} is not a number in {rows_named(frame, left)}: correct the "
            "data it is computed from, or mark them as missing (NaN)."
        )
    gaps[variable.name] = left


def check_finite(frame: pd.DataFrame, variables: Iterable[Variable]) -> None:
    """Refuse infinite values, of the data or computed, before they are multiplied."""
    for each in variables:
        for column in () if isinstance(each.values, Factor) else each.values.T:
            gap_in(frame, column, each.name)


def check_texts(frame: pd.DataFrame, variables: Mapping[str, Variable], outcome: str) -> None:
    texts = [each.name for each in variables.values() if isinstance(each.values, Factor)]
    plain = [name for name in texts if variables[name].plain]
    columns = {name: require_column(frame, name, "the formula needs") for name in plain}
    check_factors(plain, outcome, columns)


def response_of(variable: Variable) -> Array:
    values = variable.values
    if isinstance(values, Factor) or values.shape[1] > 1:
        raise DataError(f"the outcome {variable.name!r} is not one numeric variable.")
    return values[:, 0]


# --- design matrices --------------------------------------------------------------------------


def _varying(grouping: Grouping, columns: Mapping[str, Array]) -> frozenset[str]:
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
