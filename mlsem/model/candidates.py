"""Parameters that a model does not have, and its table with these free.

A parameter is a cell of the model's matrices: a path from one variable to another (`f =~ y` and
`y ~ f` are the same), a (residual) covariance, an intercept. Cells that are fixed or absent are
candidates; moments of fixed covariates are not, nor are those of their parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import inf

from mlsem.model.blocks import name_suffix
from mlsem.model.regrouped import with_rows
from mlsem.model.table import ParameterTable, Row

Cell = tuple[str, str, str, int, int]


def cell_of(row: Row) -> Cell:
    """Which cell a row is: kind, from, to, level, group."""
    return cell(row.lhs, row.op, row.rhs, row.level, row.group)


def cell(lhs: str, op: str, rhs: str, level: int, group: int = 1) -> Cell:
    """Of a row with these entries."""
    if op == "=~":
        return "->", lhs, rhs, level, group
    if op == "~":
        return "->", rhs, lhs, level, group
    if op == "~~" and rhs < lhs:
        lhs, rhs = rhs, lhs
    return op, lhs, rhs, level, group


@dataclass(frozen=True, slots=True)
class Places:
    """The variables of one level by the parameters that they may have.

    Attributes
    ----------
    factors : tuple of str
        Latent variables with indicators.
    slopes : tuple of str
        Random slopes.
    indicators : tuple of str
        Of factors, observed ones.
    measured : tuple of str
        Latent ones.
    outcomes : tuple of str
        Other observed variables with a distribution.
    covariates : tuple of str
        Fixed ones, their parts included.
    related : frozenset of str
        All in a row with `~`.
    """

    factors: tuple[str, ...]
    slopes: tuple[str, ...]
    indicators: tuple[str, ...]
    measured: tuple[str, ...]
    outcomes: tuple[str, ...]
    covariates: tuple[str, ...]
    related: frozenset[str]

    @property
    def explained(self) -> tuple[str, ...]:
        """All that may have a residual."""
        return (*self.factors, *self.slopes, *self.indicators, *self.outcomes)

    @property
    def structural(self) -> tuple[str, ...]:
        """Those between which paths are looked for."""
        both = tuple(name for name in self.indicators if name in self.related)
        return (*self.factors, *self.slopes, *self.outcomes, *both)


def places(table: ParameterTable, level: int) -> Places:
    """Of a level."""
    variables = table.levels[level - 1]
    rows = [row for row in table.rows if row.level == level]
    loaded = dict.fromkeys(row.rhs for row in rows if row.op == "=~" and row.lhs != row.rhs)
    random = {slope.name for slope in table.slopes} if level == 2 else set()
    apart = {*variables.parts, *table.auxiliary}
    modelled = [name for name in variables.modelled if name not in apart]
    return Places(
        factors=tuple(name for name in variables.latent if name not in random),
        slopes=tuple(name for name in variables.latent if name in random),
        indicators=tuple(name for name in modelled if name in loaded),
        measured=tuple(name for name in variables.latent if name in loaded),
        outcomes=tuple(name for name in modelled if name not in loaded),
        covariates=(*variables.parts, *variables.covariates),
        related=frozenset(name for row in rows if row.op == "~" for name in (row.lhs, row.rhs)),
    )


def candidates(table: ParameterTable) -> tuple[Row, ...]:
    """All that are of use, those that the data do not determine among them; `fixed` is the value
    that each has. Of several groups those of each."""
    if table.groups:
        return tuple(
            replace(row, group=number)
            for number, group in enumerate(table.groups, start=1)
            for row in candidates(group.table)
        )
    carried = {(slope.outcome, slope.carrier) for slope in table.slopes}
    taken = {cell_of(row) for row in table.rows if row.free >= 0 or row.exo}
    found: dict[Cell, Row] = {}
    for level in range(1, len(table.levels) + 1):
        where = places(table, level)
        fixed = [row for row in table.rows if row.level == level and may_be_free(table, row)]
        absent = (Row(*entry, level, user=False, fixed=0.0) for entry in _absent(where))
        for row in (*fixed, *absent):
            if cell_of(row) not in taken and not (row.level == 1 and (row.lhs, row.rhs) in carried):
                found.setdefault(cell_of(row), row)
    return tuple(found.values())


def may_be_free(table: ParameterTable, row: Row) -> bool:
    """Whether it is a fixed row that could be a parameter."""
    if row.free >= 0 or row.exo or row.fixed is None or table.is_auxiliary(row):
        return False
    return row.lhs not in given(table, row.level) and not (row.op == "=~" and row.lhs == row.rhs)


def given(table: ParameterTable, level: int) -> tuple[str, ...]:
    """Variables whose moments are no parameters."""
    variables = table.levels[level - 1]
    return (*variables.parts, *variables.covariates)


def _absent(where: Places) -> Iterator[tuple[str, str, str]]:
    """Loadings, covariances and paths by their place, free ones among them.

    A covariance of a factor and an indicator is left out: a loading says the same.
    """
    for factor in where.factors:
        yield from ((factor, "=~", name) for name in where.indicators)
        yield from ((factor, "=~", name) for name in where.measured if name != factor)
    latent = (*where.factors, *where.slopes)
    for one, other in (
        *combinations(latent, 2),
        *((one, other) for one in latent for other in where.outcomes),
        *combinations((*where.indicators, *where.outcomes), 2),
    ):
        yield one, "~~", other
    for target in where.explained:
        yield from ((target, "~", name) for name in where.covariates)
    for target in where.structural:
        for source in where.structural:
            if target != source and {target, source} & where.related:
                yield target, "~", source


def extend(table: ParameterTable, rows: Sequence[Row]) -> ParameterTable:
    """The table with these candidates as parameters, after its own.

    Its constraints and definitions are left out: they say nothing of the new ones.
    """
    count = len(table.names)
    free = {
        cell_of(row): replace(row, free=k, fixed=None, label="", lower=-inf, upper=inf)
        for k, row in enumerate(rows, count)
    }
    kept = [free.pop(cell_of(row), row) for row in table.rows]
    names = (*table.names, *(parameter_name(table, row) for row in rows))
    return with_rows(table, (*kept, *free.values()), names)


def parameter_name(table: ParameterTable, row: Row) -> str:
    """As in `coef()`."""
    return f"{row.lhs}{row.op}{row.rhs}{name_suffix(row.block, table.level_labels)}"
