"""Auxiliary variables as saturated correlates: a model's table with rows for variables beside it.

At each level at which it varies, an auxiliary variable z has a mean and a variance; it covaries with
every other one, with modelled covariates and with the residual of each outcome and indicator; on
fixed covariates it is regressed (Graham, 2003; Enders, 2008). Between clusters it covaries with
random slopes as well. So nothing is said of z that the data could contradict, and what z tells of
values that are missing counts:

    Cov(z, y) free for every modelled y,    E(z | x) = α + βᵀ x for fixed x.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from mlsem.base.caching import remember
from mlsem.model.blocks import LOWEST, name_suffix
from mlsem.model.table import LevelVariables, ParameterTable, Row, TableBlock

Placed = tuple[tuple[str, tuple[int, ...]], ...]
"""Auxiliary variables, each with the levels at which it varies."""


@remember
def with_auxiliary(table: ParameterTable, placed: Placed, bounded: bool = False) -> ParameterTable:
    """The table with auxiliary variables after all of its own.

    Parameters
    ----------
    placed : tuple of (name, levels)
    bounded : bool
        Whether their variances are kept from falling below zero.
    """
    both = tuple(name for name, levels in placed if len(levels) > 1)
    rows, names = list(table.rows), list(table.names)
    variables: list[LevelVariables] = []
    for block in table.blocks:
        own = tuple(name for name, levels in placed if block.key.level in levels)
        suffix = name_suffix(block.key, table.level_labels)
        for row in _rows(table, block, own, both, 0.0 if bounded else -inf):
            if row.fixed is None:
                row = replace(row, free=len(names))
                names.append(f"{row.lhs}{row.op}{row.rhs}{suffix}")
            rows.append(row)
        variables.append(replace(block.variables, modelled=block.variables.modelled + own))
    return replace(
        table,
        rows=tuple(rows),
        names=tuple(names),
        levels=tuple(variables),
        split=table.split + both,
        notes=(*table.notes, _note(placed, len(names) - len(table.names), table.two_level)),
        auxiliary=tuple(name for name, _ in placed),
    )


def _rows(
    table: ParameterTable,
    block: TableBlock,
    own: tuple[str, ...],
    both: tuple[str, ...],
    lower: float,
) -> Iterator[Row]:
    """Those of one level; the free ones have no position yet."""
    group, level = block.key
    slopes = tuple(s.name for s in table.slopes if s.name in block.variables.latent)
    others = block.variables.modelled + slopes
    for k, name in enumerate(own):
        yield Row(name, "~~", name, level, user=False, lower=lower, group=group)
        for other in (*others, *own[k + 1 :]):
            yield Row(name, "~~", other, level, user=False, group=group)
        for covariate in block.variables.covariates:
            yield Row(name, "~", covariate, level, user=False, group=group)
        if table.meanstructure:
            zero = 0.0 if level == LOWEST and name in both else None
            yield Row(name, "~1", "", level, user=False, fixed=zero, group=group)


def _note(placed: Placed, count: int, two_level: bool) -> str:
    """What they do, and where."""
    where = {(1,): "level 1", (2,): "level 2", (1, 2): "both levels"}
    shown = ", ".join(
        f"{name!r} ({where[levels]})" if two_level else repr(name) for name, levels in placed
    )
    one = len(placed) == 1
    return (
        f"Auxiliary variable{'' if one else 's'}: {shown}. Beside the model {'it' if one else 'they'} "
        f"covar{'ies' if one else 'y'} freely with all that varies there, so that values are taken as missing at random "
        f"given {'it' if one else 'them'}, too. The {count} parameters for this are no part of the "
        "model and are not shown (auxiliary=True shows them); the log-likelihood, AIC and BIC are "
        "those of all variables: compare fits with the same auxiliary ones."
    )


def levels_of(table: ParameterTable) -> dict[str, tuple[int, ...]]:
    """The auxiliary variables of a table, each with its levels."""
    numbered = tuple(enumerate(table.levels, start=1))
    return {
        name: tuple(k for k, variables in numbered if name in variables.modelled)
        for name in table.auxiliary
    }
