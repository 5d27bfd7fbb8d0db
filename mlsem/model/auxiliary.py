"""Auxiliary variables as saturated correlates: a model's table with rows for variables beside it.

At each level at which it varies, an auxiliary variable z has a mean and a variance; it covaries
with every other one, with modelled covariates and with the residual of each outcome and indicator;
on the fixed covariates of the level it is regressed (Graham, 2003; Enders, 2008). Between clusters
it covaries with random slopes as well:

    Cov(z, y) free for every modelled y,    E(z | x) = α + βᵀ x for fixed x.

The saturated and the baseline model have the same rows, so that tests of fit are those of the
model. As for an outcome there, the regression on a covariate that is named at level 1 alone is the
same within and between clusters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from mlsem.base.caching import remember
from mlsem.model.blocks import LOWEST, name_suffix
from mlsem.model.elements import LevelVariables
from mlsem.model.regrouped import regrouped
from mlsem.model.table import ParameterTable, Row, TableBlock

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
    if table.groups:
        own = [with_auxiliary(group.table, placed, bounded) for group in table.groups]
        whole = regrouped(table, own)
        note = _note(placed, len(whole.names) - len(table.names), table.two_level)
        return replace(whole, notes=(*table.notes, note))
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
    return (
        f"Auxiliary, beside the model: {shown}. Covariances with all that varies at a level are "
        "free, so that values are taken as missing at random given these variables, too. The "
        f"{count} parameters for this are not the model's and not shown (auxiliary=True shows "
        "them). Log-likelihood, AIC and BIC are those of all variables: compare fits that have "
        "the same auxiliary ones."
    )


def levels_of(table: ParameterTable) -> dict[str, tuple[int, ...]]:
    """The auxiliary variables of a table, each with its levels."""
    numbered = tuple(enumerate(table.levels, start=1))
    return {
        name: tuple(k for k, variables in numbered if name in variables.modelled)
        for name in table.auxiliary
    }
