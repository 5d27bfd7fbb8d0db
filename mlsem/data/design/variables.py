"""The variables of a mixed model's formula, the rows that have them all, and the columns that the
formula makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlsem.data.design.columns import (
    INTERCEPT,
    Columns,
    dependent,
    design,
    spans,
    without_spanned,
)
from mlsem.data.design.factors import check_factors
from mlsem.data.design.r_evaluate import Scope, Variable
from mlsem.data.design.r_values import Factor
from mlsem.data.design.remade import Recipe, recipe, term_factors
from mlsem.data.table.columns import (
    SILENT,
    check_missing,
    gap_in,
    left_out,
    missing_in,
    require_column,
    rows_named,
)
from mlsem.errors import DataError, listed
from mlsem.syntax.r_language import deparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
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


@dataclass(frozen=True, slots=True, eq=False)
class FormulaColumns:
    """What a formula makes of a data frame.

    Attributes
    ----------
    frame : DataFrame
        The rows used.
    outcome : str
    response : (N,)
    fixed : tuple of str
        Fixed effects, `(Intercept)` among them.
    blocks : list of tuple of str
        Of each random part of the formula its effects.
    design : mapping of str to (N,)
        Columns of all effects but the intercept.
    recipe : Recipe
    notes : tuple of str
    lost : str
        What to say at the call of rows that are left out.
    """

    frame: pd.DataFrame
    outcome: str
    response: Array
    fixed: tuple[str, ...]
    blocks: list[tuple[str, ...]]
    design: Columns
    recipe: Recipe
    notes: tuple[str, ...]
    lost: str

    def without_spanned(
        self, blocks: list[tuple[str, ...]]
    ) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
        """Blocks of one grouping factor less those that others contain, and notes on them."""
        columns = self.design | {INTERCEPT: np.ones(len(self.response))}
        return without_spanned(blocks, lambda names, others: spans(names, others, columns))


def formula_columns(
    formula: Formula,
    frame: pd.DataFrame,
    missing: str,
    apart: Mapping[str, NDArray[np.bool_]] | None = None,
) -> FormulaColumns:
    """Evaluate a formula: its variables on all rows, the design on those that have a value in each
    of them, as R does; `apart` says where other columns are missing that rows need.

    Raises
    ------
    SpecificationError
        A function that cannot be computed.
    DataError
        A column is absent, or has missing values and `missing` is "error".
    """
    scope = Scope(frame, formula.text)
    everywhere = variables_of(formula, scope)
    outcome = deparse(formula.outcome)
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
    again = recipe(formula, scope.memory, variables, effects, spare, used)
    everything.pop(INTERCEPT, None)
    return FormulaColumns(
        used, outcome, response, tuple(effects), blocks, everything, again,
        notes + spared(tuple(spare)), lost,
    )  # fmt: skip


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
