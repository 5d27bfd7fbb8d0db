"""The design of a linear mixed model whose rows an engine has. What `design.mixed.read_mixed` sees
of the rows is read from the sums of the columns and of their products by cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.design.columns import INTERCEPT, design, without_spanned
from mlsem.data.design.factors import MANY
from mlsem.data.design.mixed import (
    MixedColumns,
    constant_outcome,
    one_row_each,
    refuse_group,
)
from mlsem.data.design.r_values import Factor, Levels
from mlsem.data.design.remade import Recipe, term_factors
from mlsem.data.design.variables import expressions_of, spared
from mlsem.data.engine.parts import Parts
from mlsem.data.engine.query import Query, aggregated
from mlsem.data.engine.read import Used, summed
from mlsem.data.engine.survey import numbers_of, survey
from mlsem.data.moments.bases import SAME
from mlsem.data.moments.monomial_record import record_of
from mlsem.data.moments.monomials import Asked
from mlsem.data.queried.crossed import Crossed
from mlsem.data.queried.grid import grid_of
from mlsem.data.queried.rows import Rows, columns_of, complete, variables_of
from mlsem.data.queried.translate import Translator, Untranslated, named_in
from mlsem.syntax.r_language import deparse

if TYPE_CHECKING:
    from collections.abc import Mapping

    import narwhals as nw

    from mlsem.core.records import Array
    from mlsem.data.design.r_evaluate import Variable
    from mlsem.data.design.variables import Formula
    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.data.moments.monomials import MonomialMoments
    from mlsem.data.queried.crossed import Combination
    from mlsem.data.queried.translate import Made
    from mlsem.model.table import ParameterTable

WIDE = 60
"""Columns of a design up to which an engine sums their products."""


@dataclass(frozen=True, slots=True, eq=False)
class QueriedMixed:
    """The data of a linear mixed model, of which an engine has the rows; as `mixed.MixedData`."""

    moments: MonomialMoments
    columns: MixedColumns
    n_total: int
    recipe: Recipe
    notes: tuple[str, ...]
    lost: str
    flat_outcome: bool

    def record(self, table: ParameterTable, cluster: str, se_cluster: str | None) -> DataRecord:
        """What the model of the formula needs of these rows.

        Raises
        ------
        DataError
        """
        if self.flat_outcome:
            raise constant_outcome(self.columns.outcome, cluster)
        record = record_of(table, self.moments, cluster=cluster, se_cluster=se_cluster)
        return replace(
            record,
            n_rows_total=self.n_total,
            n_rows_dropped=self.n_total - self.moments.n_rows,
            notes=self.notes + record.notes,
            formula=self.recipe,
        )


def read_mixed_query(
    formula: Formula, frame: nw.LazyFrame[Any], missing: str, se_cluster: str | None
) -> QueriedMixed | None:
    """`read_mixed` of a query; None where its engine cannot compute what the formula says, or not
    as R does.

    Raises
    ------
    SpecificationError, DataError
    """
    try:
        return _read(formula, frame, missing, se_cluster)
    except Untranslated:
        return None


def _read(
    formula: Formula, frame: nw.LazyFrame[Any], missing: str, se_cluster: str | None
) -> QueriedMixed:
    outcome, expressions = deparse(formula.outcome), expressions_of(formula)
    names = dict.fromkeys(name for each in expressions.values() for name in named_in(each))
    columns = columns_of(frame, formula.group, se_cluster, names)
    translator = Translator(columns, formula.text)
    made = {name: translator.made(name, each) for name, each in expressions.items()}
    if made[outcome].factor is not None:
        raise Untranslated
    query = variables_of(columns, made, formula.group, se_cluster)
    rows = complete(formula, query, columns.place, made, missing)
    variables = _used_levels(rows, made)
    designed = _designed(formula, variables)
    query = _design_query(rows.query, columns.place, designed)
    moments = _moments(query)
    if (moments.rows == 1).all():
        raise one_row_each(formula.group)
    crossed = Crossed.of(moments)

    def rest(name: str, combination: Combination) -> float:
        return _rest(query, crossed, name, combination)

    spare = crossed.dependent(designed.fixed, rest)
    fixed = tuple(name for name in designed.fixed if name not in spare)
    blocks, spanned = without_spanned(
        designed.blocks,
        lambda basis, wanted: all(crossed.left(n, basis, rest)[0] <= SAME for n in wanted),
    )
    varying = _varying(moments, crossed)
    grid = grid_of(query, columns, [variables[name] for name in formula.fixed.variables])
    levels = {n: Levels.of(v.values) for n, v in variables.items() if isinstance(v.values, Factor)}
    combinations = {n: np.array([each[k] for k in fixed]) for n, each in spare.items()}
    return QueriedMixed(
        moments=moments,
        columns=MixedColumns(outcome, fixed, tuple(blocks), varying - {outcome}),
        n_total=rows.total,
        recipe=Recipe(formula, translator.memory, levels, fixed, combinations, grid),
        notes=rows.notes + spared(tuple(spare)) + spanned,
        lost=rows.lost,
        flat_outcome=crossed.sd(outcome) > 0.0 and outcome not in varying,
    )


# --- the columns of the design --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Leveled(Factor):
    """A factor of rows that an engine has: its columns are expressions."""

    column: Any = None
    places: tuple[int, ...] = ()

    def __len__(self) -> int:
        return 1

    def dummy(self, level: int) -> Array:
        import narwhals as nw

        return _one((self.column == float(self.places[level])).cast(nw.Float64))

    def coded(self, values: Array) -> Array:
        terms = [float(value) * self.dummy(level)[0] for level, value in enumerate(values) if value]
        return _one(sum(terms[1:], terms[0]))


def _one(expression: Any) -> Any:
    """An expression as an array, as of one row."""
    array = np.empty(1, dtype=object)
    array[0] = expression
    return array


def _used_levels(rows: Rows, made: Mapping[str, Made]) -> dict[str, Variable]:
    """The variables at the rows used; factors have the levels of which one is left."""
    import narwhals as nw

    found: dict[str, Variable] = {}
    for k, (name, each) in enumerate(made.items()):
        factor, column = each.factor, nw.col(f"f{k}")
        if factor is None:
            found[name] = replace(each.variable, values=_one(column)[:, None])
            continue
        table = aggregated(rows.query.frame, (f"f{k}",), [nw.len().alias("rows")])
        places = sorted(int(place) for place in numbers_of(table[f"f{k}"]))
        if each.variable.plain and len(places) > MANY * rows.used:
            raise Untranslated  # so that what reads rows says of this text that it is no factor
        levels = tuple(factor.levels[place] for place in places)
        values = _Leveled(factor.codes[:0], levels, factor.contrast, column, tuple(places))
        found[name] = replace(each.variable, values=values)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Designed:
    """Columns as expressions: the outcome, fixed effects and those that vary between clusters."""

    everything: dict[str, Any]
    fixed: tuple[str, ...]
    blocks: list[tuple[str, ...]]


def _designed(formula: Formula, variables: Mapping[str, Variable]) -> _Designed:
    effects = design(formula.fixed, variables)
    known_as = {term_factors(name): name for name in effects}
    everything: dict[str, Any] = dict(effects)
    blocks: list[tuple[str, ...]] = []
    for part in formula.random:
        block = {known_as.get(term_factors(n), n): v for n, v in design(part, variables).items()}
        everything |= block
        blocks.append(tuple(block))
    everything.pop(INTERCEPT, None)
    refuse_group(formula.group, everything)
    outcome = deparse(formula.outcome)
    if outcome in everything or len(everything) >= WIDE:
        raise Untranslated
    values: Any = variables[outcome].values
    whole = {outcome: values[:, 0]} | everything
    return _Designed({n: each[0] for n, each in whole.items()}, tuple(effects), blocks)


def _design_query(query: Query, place: Mapping[str, str], designed: _Designed) -> Query:
    """Of the columns of the design, beside those of the data."""
    import narwhals as nw

    made = {f"f{k}": each for k, each in enumerate(designed.everything.values())}
    # the names of the variables are taken by the columns, which are made of them
    frame = query.frame.select(
        *query.ids,
        *(nw.col(raw) for raw in place.values()),
        *(each.alias(name) for name, each in made.items()),
    )
    return Query(frame, tuple(designed.everything), query.ids)


def _moments(query: Query) -> MonomialMoments:
    """Each column is a monomial, whose ends in each cluster say whether it varies there."""
    (found,), _, _ = survey(query, Parts())
    names = query.names
    asked = Asked(names, tuple((name,) for name in names), names)
    return summed(Used(query, (found,), by_pattern=False), Parts(), asked)[0]


def _rest(query: Query, crossed: Crossed, name: str, combination: Combination) -> float:
    """Σ (x − Σ_k b_k x_k)² over the rows, about the means where there is an intercept."""
    import narwhals as nw

    about = INTERCEPT in combination

    def centred(each: str) -> nw.Expr | float:
        if each == INTERCEPT:
            return 1.0
        mean = float(crossed.mean[crossed.names.index(each)]) if about else 0.0
        return nw.col(f"f{query.names.index(each)}") - mean

    left: Any = centred(name)
    for each, coef in combination.items():
        if coef and not (about and each == INTERCEPT):
            left = left - coef * centred(each)
    if isinstance(left, float):
        return left * left * crossed.rows
    squares = query.frame.select((left * left).alias("square"))
    return float(aggregated(squares, (), [nw.col("square").sum()])["square"].iloc[0])


def _varying(moments: MonomialMoments, crossed: Crossed) -> frozenset[str]:
    """Columns that differ within some cluster by more than rounding."""
    spread = (moments.highest - moments.lowest).max(axis=0)
    return frozenset(
        name
        for name, most in zip(moments.names, spread.tolist(), strict=True)
        if most > SAME * crossed.sd(name)
    )
