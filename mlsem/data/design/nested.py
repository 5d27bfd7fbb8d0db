"""The data of a linear mixed model of three levels: rows in classes in schools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mlsem.core.restricted.nested.rows import NestedRows, nested_rows
from mlsem.data.design.columns import INTERCEPT
from mlsem.data.design.mixed import constant_outcome, one_row_each, refuse_group, varying
from mlsem.data.design.variables import Formula, FormulaColumns, formula_columns
from mlsem.data.table.columns import require_column, require_frame
from mlsem.data.table.nested import nested, nested_either_way
from mlsem.errors import DataError, SpecificationError, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from mlsem.core.records import Array, Index
    from mlsem.data.design.remade import Recipe
    from mlsem.data.table.nested import Nested
    from mlsem.syntax.r_terms import Terms


class Factor(Protocol):
    """What is needed of a grouping factor."""

    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def random(self) -> Sequence[Terms]: ...


class NestedFormula(Formula, Protocol):
    """What is needed of a formula."""

    @property
    def factors(self) -> Sequence[Factor]: ...


@dataclass(frozen=True, slots=True)
class LevelEffects:
    """The random effects of one level.

    Attributes
    ----------
    name : str
        Of its clusters, as lme4 calls them: `school`, `class:school`.
    blocks : tuple of tuple of str
        Effects; those of one tuple covary.
    """

    name: str
    blocks: tuple[tuple[str, ...], ...]

    @property
    def effects(self) -> tuple[str, ...]:
        return tuple(effect for block in self.blocks for effect in block)


@dataclass(frozen=True, slots=True, eq=False)
class NestedData:
    """A formula of three levels met with its data.

    Attributes
    ----------
    outcome : str
    fixed : tuple of str
        Fixed effects in the order of the formula, `(Intercept)` among them.
    levels : tuple of int
        Of each, the level that it varies at: 1 within classes, 2 between those of a school, 3.
    lower, upper : LevelEffects
        Of the classes, and of the schools.
    groups : Nested
        The classes and schools of the rows used.
    rows : NestedRows
    n_total : int
        Rows of the user's frame.
    recipe : Recipe
        How the columns are made of other rows.
    notes : tuple of str
    lost : str
        What to say at the call of rows that are left out; empty where none is.
    """

    outcome: str
    fixed: tuple[str, ...]
    levels: tuple[int, ...]
    lower: LevelEffects
    upper: LevelEffects
    groups: Nested
    rows: NestedRows
    n_total: int
    recipe: Recipe
    notes: tuple[str, ...]
    lost: str

    @property
    def n_rows(self) -> int:
        return self.groups.lower.n_rows


def read_nested(formula: NestedFormula, data: object, missing: str) -> NestedData:
    """Evaluate a formula over a data frame, and reduce its rows.

    Raises
    ------
    SpecificationError, DataError
        As `formula_columns`; or the grouping factors are crossed.
    """
    frame = require_frame(data)
    for factor in formula.factors:
        for name in factor.columns:
            if name not in frame.columns:
                require_column(frame, name, "the formula needs the column of clusters")
    made = formula_columns(formula, frame, missing)
    groups, lower, upper = _grouped(formula.factors, made.frame)
    for name in groups.names:
        refuse_group(name, made.design)
    if groups.lower.singletons:
        raise one_row_each(lower.name)
    everything = made.design | {made.outcome: made.response}
    within, between = varying(groups.lower, everything), varying(groups.upper, everything)
    if made.outcome not in within:
        raise constant_outcome(made.outcome, lower.name)
    blocks, notes = _blocks(formula, made)
    below, above = (LevelEffects(each.name, blocks[each.name]) for each in (lower, upper))
    for level in (below, above):
        _check_effects(level, formula.text)
    levels = tuple(
        3 if name == INTERCEPT or name not in between else 1 if name in within else 2
        for name in made.fixed
    )
    return NestedData(
        outcome=made.outcome,
        fixed=made.fixed,
        levels=levels,
        lower=below,
        upper=above,
        groups=groups,
        rows=_rows(made, groups, below, above),
        n_total=len(frame),
        recipe=made.recipe,
        notes=made.notes + notes,
        lost=made.lost,
    )


def _grouped(factors: Sequence[Factor], frame: pd.DataFrame) -> tuple[Nested, Factor, Factor]:
    """The clusters, and the factors of the inner and the outer ones."""
    first, second = sorted(factors, key=lambda factor: len(factor.columns))
    if len(second.columns) > 1:
        (outer,) = first.columns
        (inner,) = (name for name in second.columns if name != outer)
        return nested(frame, outer, inner, joined=True), second, first
    groups = nested_either_way(frame, *first.columns, *second.columns)
    return (groups, second, first) if groups.names[0] == first.name else (groups, first, second)


def _blocks(
    formula: NestedFormula, made: FormulaColumns
) -> tuple[dict[str, tuple[tuple[str, ...], ...]], tuple[str, ...]]:
    """The effects of each factor, and notes on those that are left out."""
    rest, found = list(made.blocks), {}
    notes: tuple[str, ...] = ()
    for factor in formula.factors:
        count = len(factor.random)
        own, spanned = made.without_spanned(rest[:count])
        found[factor.name], notes = tuple(own), notes + spanned
        del rest[:count]
    return found, notes


def _check_effects(level: LevelEffects, text: str) -> None:
    effects = level.effects
    if not effects:
        raise SpecificationError(f"the random part of {level.name!r} in {text!r} is empty.")
    twice = [effect for effect in dict.fromkeys(effects) if effects.count(effect) > 1]
    if twice:
        raise SpecificationError(
            f"{listed(twice)} varies between clusters of {level.name!r} twice in {text!r}: keep "
            "one of the terms."
        )


def _rows(
    made: FormulaColumns, groups: Nested, lower: LevelEffects, upper: LevelEffects
) -> NestedRows:
    count = len(made.response)

    def column(name: str) -> Array:
        values = np.ones(count) if name == INTERCEPT else made.design[name]
        return groups.lower.rows(values, 0, count)

    carried = tuple(dict.fromkeys((*lower.effects, *upper.effects)))
    design = np.column_stack([np.zeros((count, 0)), *map(column, made.fixed)])
    if count <= design.shape[1]:
        raise DataError(
            f"{count} rows are not more than the {design.shape[1]} fixed effects: there is nothing "
            "left for variances. Leave some of the effects out."
        )

    def places(level: LevelEffects) -> list[Index]:
        return [
            np.array([carried.index(effect) for effect in block], dtype=np.intp)
            for block in level.blocks
        ]

    return nested_rows(
        outcome=groups.lower.rows(made.response, 0, count),
        design=design,
        carriers=np.column_stack([column(name) for name in carried]),
        lower=places(lower),
        upper=places(upper),
        sizes=groups.lower.sizes,
        counts=groups.counts,
    )
