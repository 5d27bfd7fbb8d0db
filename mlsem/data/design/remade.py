"""The columns of a formula made of other rows: with the means, knots and levels of the fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlsem.data.design.columns import INTERCEPT, design
from mlsem.data.design.r_evaluate import Scope
from mlsem.data.design.r_functions import CONSTANTS
from mlsem.data.design.r_values import Factor, Levels, Refused
from mlsem.errors import DataError
from mlsem.syntax.r_language import deparse, symbols

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from numpy.typing import NDArray

    from mlsem.data.design.mixed import Formula
    from mlsem.data.design.r_evaluate import Memory, Variable


def term_factors(name: str) -> tuple[str, ...]:
    """`x1:w1` and `w1:x1` are the same column."""
    return tuple(sorted(name.split(":")))


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """How the columns of a formula are made.

    Attributes
    ----------
    formula : Formula
    memory : dict
        What its functions have learned of the columns of the fit.
    levels : mapping of str to Levels
        Of the factors, by the name of the variable.
    fixed : tuple of str
        Columns of the fixed effects.
    """

    formula: Formula
    memory: Memory
    levels: Mapping[str, Levels]
    fixed: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the data that the formula takes."""
        formula = self.formula
        expressions = [formula.outcome, *formula.fixed.variables.values()]
        for part in formula.random:
            expressions += part.variables.values()
        named = dict.fromkeys(name for each in expressions for name in symbols(each))
        return tuple(name for name in named if name not in CONSTANTS)

    def remade(self, frame: pd.DataFrame, wanted: Container[str]) -> pd.DataFrame:
        """The frame with these columns of the formula; NaN in rows where one of its variables is
        missing.

        Raises
        ------
        DataError
            A column is absent, or a factor has a level that the fit did not.
        SpecificationError
            A function cannot take its column.
        """
        formula = self.formula
        scope = Scope(frame, formula.text, self.memory)
        expressions = dict(formula.fixed.variables)
        for part in formula.random:
            expressions |= part.variables
        outcome = deparse(formula.outcome)
        columns = {}
        if outcome in wanted:
            columns[outcome] = np.asarray(scope.variable(outcome, formula.outcome).values)[:, 0]
        variables = {
            name: self._leveled(scope.variable(name, each)) for name, each in expressions.items()
        }
        gaps = np.zeros(len(frame), dtype=bool)
        for each in variables.values():
            gaps |= each.missing
        there = {name: _rows(each, ~gaps) for name, each in variables.items()}
        known = {term_factors(name): name for name in self.fixed}
        for part in (formula.fixed, *formula.random):
            if not part.variables:
                continue  # the intercept alone
            for label, values in design(part, there).items():
                name = known.get(term_factors(label), label)
                if name in wanted and name != INTERCEPT:
                    columns[name] = np.full(len(frame), np.nan)
                    columns[name][~gaps] = values
        kept = frame.drop(columns=[name for name in columns if name in frame.columns])
        return pd.concat([kept, pd.DataFrame(columns, index=frame.index)], axis=1)

    def _leveled(self, variable: Variable) -> Variable:
        levels, text = self.levels.get(variable.name), isinstance(variable.values, Factor)
        if text != (levels is not None):
            here, there = ("text", "numbers") if text else ("numbers", "text or categories")
            raise DataError(
                f"{variable.name!r} is {here} here, but was {there} in the data of the fit. Make "
                "it the same."
            )
        if levels is None:
            return variable
        try:
            values = levels(variable.values)
        except Refused as refused:
            raise DataError(f"{variable.name!r}: {refused}.") from None
        return replace(variable, values=values)


def recipe(
    formula: Formula, memory: Memory, used: Mapping[str, Variable], fixed: tuple[str, ...]
) -> Recipe:
    """Of the variables at the rows used.

    Parameters
    ----------
    fixed : tuple of str
        Columns of the fixed effects.
    """
    levels = {
        name: Levels.of(each.values)
        for name, each in used.items()
        if isinstance(each.values, Factor)
    }
    return Recipe(formula, memory, levels, fixed)


def _rows(variable: Variable, keep: NDArray[np.bool_]) -> Variable:
    """At these rows, with all levels."""
    values = variable.values
    if isinstance(values, Factor):
        return replace(variable, values=replace(values, codes=values.codes[keep]))
    return replace(variable, values=values[keep])
