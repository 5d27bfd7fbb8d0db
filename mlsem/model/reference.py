"""Tables of the models that a model's fit is judged by, of the same variables.

At each level a model is what the user wrote, or saturated (all covariances, all outcomes on all
covariates), or independent (variances, means, and the covariances of its exogenous variables).
The baseline model is independent at all levels, as lavaan's; fit at one level is that of the
model whose other level is saturated. Auxiliary variables are saturated in all of them, so that
what fits badly is the model (Enders, 2008).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations_with_replacement

from mlsem.base.caching import remember
from mlsem.model.blocks import BlockKey, name_suffix
from mlsem.model.elements import LevelVariables
from mlsem.model.expressions import compile_constraints
from mlsem.model.regrouped import with_rows
from mlsem.model.table import ParameterTable, Row

Writer = Callable[[ParameterTable, int], Iterator[Row]]


@remember
def baseline(table: ParameterTable) -> ParameterTable:
    """Independent at all levels."""
    return _written(table, dict.fromkeys(_levels(table), _independent))


@remember
def at_level(table: ParameterTable, level: int) -> ParameterTable | None:
    """As written at one level, saturated at the other one; None where a label or a constraint
    ties the levels, be it of different groups."""
    own = {row.free for row in table.rows if row.level == level and row.free >= 0}
    others = {row.free for row in table.rows if row.level != level and row.free >= 0}
    if own & others:
        return None
    constraints = []
    for constraint, compiled in zip(table.constraints, compile_constraints(table), strict=True):
        used = set(compiled.positions.tolist())
        if used <= own:
            constraints.append(constraint)
        elif used & own:
            return None
    writers = {each: _own if each == level else _saturated for each in _levels(table)}
    return _written(table, writers, tuple(constraints))


@remember
def baseline_at_level(table: ParameterTable, level: int) -> ParameterTable:
    """Independent at one level, saturated at the other one."""
    writers = {each: _independent if each == level else _saturated for each in _levels(table)}
    return _written(table, writers)


def _levels(table: ParameterTable) -> range:
    return range(1, len(table.levels) + 1)


def _written(
    table: ParameterTable, writers: dict[int, Writer], constraints: tuple = ()
) -> ParameterTable:
    """The rows of all levels of all groups, their free parameters numbered anew."""
    every = range(len(table.names))
    parts = [(group.table, group.places) for group in table.groups] or [(table, every)]
    rows: list[Row] = []
    names: list[str] = []
    numbers: dict[object, int] = {}
    for group, (part, places) in enumerate(parts, start=1):
        for level, writer in writers.items():
            for row in writer(part, level):
                own = writer is _own and row.free >= 0
                name = table.names[places[row.free]] if own else _name(row, group)
                key = places[row.free] if own else (row.lhs, row.op, row.rhs, level, group)
                if row.free >= 0 and key not in numbers:
                    numbers[key] = len(names)
                    names.append(name)
                free = numbers[key] if row.free >= 0 else -1
                rows.append(replace(row, free=free, group=group))
    changed = [
        replace(part, levels=_without_latent(part, writers), notes=(), remarks=())
        for part, _ in parts
    ]
    whole = replace(table, levels=changed[0].levels, notes=(), remarks=())
    found = with_rows(whole, rows, names, changed if table.groups else ())
    return replace(found, constraints=constraints)


def _without_latent(
    table: ParameterTable, writers: dict[int, Writer]
) -> tuple[LevelVariables, ...]:
    """The variables of the levels; latent ones only where the model is as it was written."""
    return tuple(
        level if writers[k] is _own else replace(level, latent=())
        for k, level in enumerate(table.levels, 1)
    )


def _name(row: Row, group: int) -> str:
    return f"{row.lhs}{row.op}{row.rhs}{name_suffix(BlockKey(group, row.level), ('1', '2', '3'))}"


def _own(table: ParameterTable, level: int) -> Iterator[Row]:
    return (row for row in table.rows if row.level == level)


def _free(lhs: str, op: str, rhs: str, level: int) -> Row:
    return Row(lhs, op, rhs, level, user=False, free=0)


def _means(table: ParameterTable, level: int, outcomes: tuple[str, ...]) -> Iterator[Row]:
    """A variable with parts at several levels has its mean at the highest of them."""
    above = (table.split if table.multilevel else (), table.raised, ())[level - 1]
    for name in outcomes if table.meanstructure else ():
        if name not in above:
            yield _free(name, "~1", "", level)


def _outcomes(variables: LevelVariables) -> tuple[str, ...]:
    return tuple(name for name in variables.modelled if name not in variables.parts)


def _saturated(table: ParameterTable, level: int) -> Iterator[Row]:
    variables = table.levels[level - 1]
    outcomes = _outcomes(variables)
    for one, other in combinations_with_replacement(variables.modelled, 2):
        if one in outcomes or other in outcomes:
            yield _free(one, "~~", other, level)
    for name in outcomes:
        for covariate in variables.covariates:
            yield _free(name, "~", covariate, level)
    yield from _means(table, level, outcomes)


def _independent(table: ParameterTable, level: int) -> Iterator[Row]:
    outcomes = tuple(
        name for name in _outcomes(table.levels[level - 1]) if name not in table.auxiliary
    )
    exogenous = _exogenous(table, level)
    for one, other in combinations_with_replacement(outcomes, 2):
        if one == other or (one in exogenous and other in exogenous):
            yield _free(one, "~~", other, level)
    yield from _means(table, level, outcomes)
    yield from _beside(table, level)


def _beside(table: ParameterTable, level: int) -> Iterator[Row]:
    """Of auxiliary variables; latent ones are not in these models."""
    latent = table.levels[level - 1].latent
    for row in table.rows:
        if row.level == level and table.is_auxiliary(row) and row.rhs not in latent:
            yield row


def _exogenous(table: ParameterTable, level: int) -> set[str]:
    """Modelled variables that predict, and are neither predicted nor measured."""
    rows = [row for row in table.rows if row.level == level and not table.is_auxiliary(row)]
    explained = {row.lhs for row in rows if row.op == "~"}
    explained |= {row.rhs for row in rows if row.op == "=~"}
    return {row.rhs for row in rows if row.op == "~"} - explained
