"""The parameter table: one row per parameter of the model, free or fixed, in lavaan's order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from math import inf
from sys import getsizeof
from typing import TYPE_CHECKING

from mlsem.model.blocks import BlockKey, block_keys, name_suffix
from mlsem.model.elements import (
    DefinedParameter,
    LevelVariables,
    ParameterConstraint,
    ProductTerm,
    RandomSlope,
)
from mlsem.model.numbers import number_of_group, number_of_level
from mlsem.other_programs.answering import Named
from mlsem.report.export.exported import Exported

if TYPE_CHECKING:
    from mlsem.errors import Span
    from mlsem.report.export.grid import Grid


MEANS = ("~", "~1")  # operators of the rows that a mean is made of


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    lhs, op, rhs : str
        `op` is `=~`, `~`, `~~` or `~1` (then `rhs` is empty). A product stands as `a:b`.
    level : int
        1 in a single-level model and within, 2 between.
    free : int
        Position in the parameter vector, from 0; -1 where the row is not free.
        Rows that share a label share the position.
    exo : bool
        A moment of fixed covariates: its value comes from the data, that of a part of such a
        covariate from the saturated model.
    user : bool
        Written by the user (not added by a default).
    fixed : float or None
        The value of a row that is neither free nor `exo`.
    start : float or None
        The user's starting value.
    lower, upper : float
        Bounds of a free row.
    group : int
        Its number, from 1.
    """

    lhs: str
    op: str
    rhs: str
    level: int
    user: bool
    free: int = -1
    exo: bool = False
    label: str = ""
    fixed: float | None = None
    start: float | None = None
    lower: float = -inf
    upper: float = inf
    span: Span | None = None
    group: int = 1

    @property
    def block(self) -> BlockKey:
        return BlockKey(self.group, self.level)

    @property
    def is_variance(self) -> bool:
        """Whether it is a variance, residual or not."""
        return self.op == "~~" and self.lhs == self.rhs

    @property
    def of_mean(self) -> bool:
        """Whether it is a regression or an intercept."""
        return self.op in MEANS

    @property
    def moves_mean(self) -> bool:
        """Whether it is one that is not fixed to zero."""
        return self.of_mean and (self.free >= 0 or self.fixed != 0.0)


@dataclass(frozen=True, slots=True)
class TableBlock:
    """What a table says of one block.

    Attributes
    ----------
    key : BlockKey
    suffix : str
        What names of its parameters end in.
    variables : LevelVariables
    rows : tuple of Row
    places : tuple of int
        Where these stand in the whole table.
    """

    key: BlockKey
    suffix: str
    variables: LevelVariables
    rows: tuple[Row, ...]
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The model of one of several groups.

    Attributes
    ----------
    label : hashable
        The group's value in the data.
    table : ParameterTable
        Of this group alone, its rows those of group 1 of a table of one group; free positions and
        `names` are those of its own parameters, under their names in the whole table. It has
        neither definitions nor constraints, which are the whole's.
    places : tuple of int
        Where its parameters stand in the whole vector, each once. Those that several groups have
        are shared.
    """

    label: Hashable
    table: ParameterTable
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class ParameterTable(Exported, Named):
    """The specified model. Prints as a table, in notebooks as HTML.

    Attributes
    ----------
    rows : tuple of Row
        In lavaan's order: per level the user's rows, then the added ones.
    names : tuple of str
        One per free parameter, as lavaan's `coef()`: the label, else `y~x1`, between `y~x1.l2`.
    levels : tuple of LevelVariables
        One (single-level), two (within, between) or three, from the rows up.
    blocks : tuple of TableBlock
        The same by block, with their rows.
    level_labels : tuple of str
        As written after `level:`; empty in a single-level model.
    split : tuple of str
        Observed variables of level 1 that have a part above.
    products : tuple of ProductTerm
        Products to be formed from data columns (a column of that very name is used as it is
        and is not listed).
    meanstructure : bool
        Whether the means are part of the model.
    notes : tuple of str
        What a user should be told about this specification (e.g. covariates that became
        modelled because a split one is among them).
    remarks : tuple of str
        Warnings: what is legal but probably not meant; with line, column and caret.
    slopes : tuple of RandomSlope
        In the order of the text. Their names are among the latent variables of level 2.
    bounds : str or None
        The kind of bounds that the data give ("standard" or "wide"), if any.
    semidefinite : bool
        Whether covariance matrices of random effects are kept positive semidefinite, as in a
        mixed model.
    auxiliary : tuple of str
        Variables beside the model, which the data say more of missing values by
        (`mlsem.model.auxiliary`); their rows come last, and their names.
    classes : tuple of str
        Labels of the classes of rows that have a residual variance each, in a mixed model: the
        outcome's variance stands in as many rows of level 1. Empty where all rows have one.
    groups : tuple of GroupTable
        The model of each of several groups; empty where there is one. The rows are those of group
        1, then of group 2, …; `levels`, `split`, `products` and `slopes` have what any group has.

    Examples
    --------
    >>> import mlsem
    >>> table = mlsem.check("level: 1; y ~ b*x; level: 2; y ~ w")
    >>> table.names
    ('b', 'y~~y', 'y~w.l2', 'y~~y.l2', 'y~1.l2')
    >>> table.observed, table.two_level, table.has_parts
    (('y', 'x', 'w'), True, False)
    >>> table.multilevel, table.three_level, table.raised, table.passing
    (True, False, (), ())
    >>> table.n_auxiliary, table.endogenous_products, table.differing, table.nbytes > 0
    (0, (), '', True)
    >>> [(row.lhs, row.op, row.rhs, row.label) for row in table.rows if row.label]
    [('y', '~', 'x', 'b')]
    """

    rows: tuple[Row, ...]
    names: tuple[str, ...]
    levels: tuple[LevelVariables, ...]
    level_labels: tuple[str, ...]
    split: tuple[str, ...]
    products: tuple[ProductTerm, ...]
    definitions: tuple[DefinedParameter, ...]
    constraints: tuple[ParameterConstraint, ...]
    meanstructure: bool
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    slopes: tuple[RandomSlope, ...] = ()
    semidefinite: bool = False
    bounds: str | None = None
    auxiliary: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    groups: tuple[GroupTable, ...] = ()
    blocks: tuple[TableBlock, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = [group.table.levels for group in self.groups] or [self.levels]
        variables_of = [variables for levels in parts for variables in levels]
        keys = block_keys(len(self.levels), len(parts))
        places: dict[tuple[int, int], list[int]] = {key: [] for key in keys}
        for k, row in enumerate(self.rows):
            if (own := places.get((row.group, row.level))) is not None:
                own.append(k)
        blocks = [
            TableBlock(
                key=key,
                suffix=name_suffix(key, self.level_labels),
                variables=variables,
                rows=tuple(self.rows[k] for k in places[key]),
                places=tuple(places[key]),
            )
            for key, variables in zip(keys, variables_of, strict=True)
        ]
        object.__setattr__(self, "blocks", tuple(blocks))

    def __str__(self) -> str:
        from mlsem.model.shown import text  # for few models, as the next

        return text(self)

    __repr__ = __str__

    def _grid(self) -> Grid:
        from mlsem.model.shown import grid

        return grid(self)

    def __hash__(self) -> int:
        """Quick: what follows from a table alone is kept by table, from fit to fit."""
        return hash((self.names, self.split))

    @property
    def nbytes(self) -> int:
        """Bytes in memory, about: a row, a name that is made of others, a character of an
        expression's tree."""
        shared = sum(map(getsizeof, (*self.observed, *self.names, *self.remarks, *self.notes)))
        sources = sum(len(each.source) for each in (*self.definitions, *self.constraints))
        groups = sum(group.table.nbytes for group in self.groups)
        return 320 * len(self.rows) + 150 * sources + shared + groups

    @property
    def two_level(self) -> bool:
        return len(self.levels) == 2

    @property
    def three_level(self) -> bool:
        return len(self.levels) == 3

    @property
    def multilevel(self) -> bool:
        """Whether there are levels above the rows."""
        return len(self.levels) > 1

    @property
    def passing(self) -> tuple[str, ...]:
        """Variables of levels 1 and 3 that are not at level 2, where their part is zero."""
        if not self.three_level:
            return ()
        own = self.levels[1].modelled + self.levels[1].covariates
        return tuple(name for name in self.split if name not in own)

    @property
    def raised(self) -> tuple[str, ...]:
        """Variables of lower levels that have a part at level 3."""
        if not self.three_level:
            return ()
        below = self.split + self.levels[1].modelled
        return tuple(name for name in dict.fromkeys(below) if name in self.levels[2].modelled)

    @property
    def observed(self) -> tuple[str, ...]:
        """Every observed variable or product of the model, each once."""
        return tuple(
            dict.fromkeys(
                name for level in self.levels for name in level.modelled + level.covariates
            )
        )

    def is_auxiliary(self, row: Row) -> bool:
        """Whether a row is one of auxiliary variables.

        Parameters
        ----------
        row : Row
            One of `rows`.

        Examples
        --------
        >>> import mlsem
        >>> table = mlsem.check("y ~ x")
        >>> table.is_auxiliary(table.rows[0])
        False
        """
        return row.lhs in self.auxiliary or row.rhs in self.auxiliary

    @property
    def n_auxiliary(self) -> int:
        """How many of the free parameters, the last ones, are those of auxiliary variables."""
        if not self.auxiliary:
            return 0
        return sum(row.free >= 0 and self.is_auxiliary(row) for row in self.rows)

    @property
    def endogenous_products(self) -> tuple[str, ...]:
        """Products with a factor that the model explains. What goes together with them through
        that factor is none of the moments that the model implies."""
        explained = {row.lhs for row in self.rows if row.op == "~"}
        explained |= {row.rhs for row in self.rows if row.op == "=~"}
        return tuple(
            name for name in self.observed if ":" in name and explained & {*name.split(":")}
        )

    @property
    def differing(self) -> str:
        """What makes implied covariances differ from row to row beside the rows' covariates, so
        that there is no saturated model; empty where nothing does."""
        if self.slopes:
            return "random slopes"
        return "residual variances by group" if self.classes else ""

    @property
    def has_parts(self) -> bool:
        """Whether covariates with a part at both levels have the moments of the saturated model."""
        return any(level.parts for level in self.levels)

    def level_number(self, level: int | str) -> int:
        """The number, from 1, of a level given by its number or its label in the model.

        Parameters
        ----------
        level : int or str
            The number of a level, or its label.

        Raises
        ------
        OptionValueError
            With the levels that there are.

        Examples
        --------
        >>> import mlsem
        >>> table = mlsem.check("level: within; y ~ x; level: between; y ~ w")
        >>> table.level_number("between")
        2
        """
        return number_of_level(level, self.level_labels, len(self.levels))

    def group_number(self, group: object) -> int:
        """The number, from 1, of a group given by its label or its number. Where labels are numbers
        themselves a number is a label, if there is such a group.

        Parameters
        ----------
        group : str or number
            The label of a group, or its number.

        Raises
        ------
        OptionValueError
            With the groups that there are.

        Examples
        --------
        >>> import mlsem
        >>> table = mlsem.check("y ~ c(a, b)*x", group_label=["north", "south"])
        >>> table.group_number("south")
        2
        """
        return number_of_group(group, [each.label for each in self.groups])


def negative_variances(table: ParameterTable, params: Sequence[float]) -> dict[str, float]:
    """Those of the free variances that are below zero, by the parameter's name."""
    free = (row.free for row in table.rows if row.is_variance and row.free >= 0)
    return {table.names[k]: params[k] for k in free if params[k] < 0.0}
