"""The columns of a formula made of other rows: with the means, knots and levels of the fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlsem.core.linalg import least_squares
from mlsem.data.design.columns import INTERCEPT, Columns, design
from mlsem.data.design.grid import ReferenceGrid, reference_grid
from mlsem.data.design.r_evaluate import Scope
from mlsem.data.design.r_functions import CONSTANTS
from mlsem.data.design.r_values import Factor, Levels, Refused
from mlsem.errors import DataError
from mlsem.syntax.r_language import deparse, symbols

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.data.design.classes import ResidualClasses
    from mlsem.data.design.r_evaluate import Memory, Variable
    from mlsem.data.design.variables import Formula
    from mlsem.syntax.r_terms import Terms


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
    spare : mapping of str to array
        Columns that were left out, as linear combinations of those (p,).
    grid : ReferenceGrid
        What is known of the columns of the data that the fixed effects are made of.
    classes : ResidualClasses or None
        Which rows have which residual variance, where that differs.
    """

    formula: Formula
    memory: Memory
    levels: Mapping[str, Levels]
    fixed: tuple[str, ...]
    spare: Mapping[str, Array]
    grid: ReferenceGrid
    classes: ResidualClasses | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the data that the formula takes, and those of `classes`."""
        formula = self.formula
        expressions = [formula.outcome, *formula.fixed.variables.values()]
        for part in formula.random:
            expressions += part.variables.values()
        named = dict.fromkeys(name for each in expressions for name in symbols(each))
        own = tuple(name for name in named if name not in CONSTANTS)
        others = () if self.classes is None else self.classes.columns
        return tuple(dict.fromkeys(own + others))

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Columns of the data that a term of the fixed effects multiplies, two by two."""
        fixed, found = self.formula.fixed, []
        for product in fixed.products:
            named = [symbols(fixed.variables[each]) for each in product]
            columns = [name for names in named for name in names if name in self.grid.names]
            if len(product) == 2 and len(set(columns)) == 2:
                found.append((columns[0], columns[1]))
        return tuple(dict.fromkeys(found))

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
        formula, columns = self.formula, {}
        outcome = deparse(formula.outcome)
        if outcome in wanted:
            columns[outcome] = self.outcome(frame)
        everything = self.columns(frame, (formula.fixed, *formula.random))
        columns |= {
            name: values
            for name, values in everything.items()
            if name in wanted and name != INTERCEPT
        }
        kept = frame.drop(columns=[name for name in columns if name in frame.columns])
        return pd.concat([kept, pd.DataFrame(columns, index=frame.index)], axis=1)

    def outcome(self, frame: pd.DataFrame) -> Array:
        """The outcome of rows of a frame, (n,).

        Raises
        ------
        DataError, SpecificationError
            As `remade`.
        """
        formula = self.formula
        scope = Scope(frame, formula.text, self.memory)
        return np.asarray(scope.variable(deparse(formula.outcome), formula.outcome).values)[:, 0]

    def columns(self, frame: pd.DataFrame, parts: Sequence[Terms]) -> Columns:
        """The columns of some parts of the formula, of all of them in rows that have every variable
        of these parts; NaN in the others.

        Raises
        ------
        DataError, SpecificationError
            As `remade`.
        """
        scope = Scope(frame, self.formula.text, self.memory)
        known_as = dict(self.formula.fixed.variables)
        for part in self.formula.random:  # what was learned is kept by its last place in the text
            known_as |= part.variables
        expressions = {name: known_as[name] for part in parts for name in part.variables}
        variables = {
            name: self._leveled(scope.variable(name, each)) for name, each in expressions.items()
        }
        gaps = np.zeros(len(frame), dtype=bool)
        for each in variables.values():
            gaps |= each.missing
        there = {name: _rows(each, ~gaps) for name, each in variables.items()}
        known = {term_factors(name): name for name in self.fixed}
        columns = {}
        for part in parts:
            made = design(part, there) if part.variables else {}
            if part.intercept:
                made[INTERCEPT] = np.ones(int((~gaps).sum()))
            for label, values in made.items():
                name = known.get(term_factors(label), label)
                columns[name] = np.full(len(frame), np.nan)
                columns[name][~gaps] = values
        return columns

    def fixed_design(self, frame: pd.DataFrame) -> tuple[Array, Array]:
        """Of rows of a frame, which need the variables of the fixed effects alone, X (n, p); and of
        each column that was left out (n, s), as a share of its size, how far it is from the
        combination of the others that it was in the fit, so that the data do not determine xᵀβ."""
        columns = self.columns(frame, (self.formula.fixed,))
        design = np.empty((len(frame), len(self.fixed)))
        for k, name in enumerate(self.fixed):
            design[:, k] = columns[name]
        away = np.empty((len(frame), len(self.spare)))
        for k, (name, combination) in enumerate(self.spare.items()):
            sizes = np.abs(columns[name]) + np.abs(design) @ np.abs(combination)
            scale = np.max(sizes, initial=0.0, where=~np.isnan(sizes))
            away[:, k] = (columns[name] - design @ combination) / (scale or 1.0)
        return design, away

    def random_design(self, frame: pd.DataFrame, names: Sequence[str]) -> Array:
        """Z (n, q) of these random effects."""
        columns = self.columns(frame, self.formula.random)
        return np.column_stack([columns[name] for name in names])

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
    formula: Formula,
    memory: Memory,
    used: Mapping[str, Variable],
    fixed: Columns,
    spare: Mapping[str, Array],
    frame: pd.DataFrame,
) -> Recipe:
    """Of the variables at the rows used.

    Parameters
    ----------
    fixed, spare : mapping of str to array
        Columns of the fixed effects, and those that are combinations of them.
    frame : DataFrame
        The rows used.
    """
    levels = {
        name: Levels.of(each.values)
        for name, each in used.items()
        if isinstance(each.values, Factor)
    }
    grid = reference_grid(frame, [used[name] for name in formula.fixed.variables])
    return Recipe(formula, memory, levels, tuple(fixed), _combinations(fixed, spare), grid)


def _combinations(fixed: Columns, spare: Mapping[str, Array]) -> dict[str, Array]:
    """Columns that are linear combinations of others, as these."""
    if not spare:
        return {}
    if not fixed:
        return {name: np.zeros(0) for name in spare}
    basis = np.column_stack([*fixed.values()])
    lengths = np.linalg.norm(basis, axis=0)
    found = least_squares(basis / lengths, np.column_stack([*spare.values()]))
    return dict(zip(spare, (found / lengths[:, None]).T, strict=True))


def _rows(variable: Variable, keep: NDArray[np.bool_]) -> Variable:
    """At these rows, with all levels."""
    values = variable.values
    if isinstance(values, Factor):
        return replace(variable, values=replace(values, codes=values.codes[keep]))
    return replace(variable, values=values[keep])
