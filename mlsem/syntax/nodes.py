"""What a parsed model is made of: frozen records, each with its span in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import getsizeof
from typing import Literal

from mlsem.errors import Span

# --- arithmetic: the right-hand side of `:=`, both sides of `==`, `<`, `>` -------------------


@dataclass(frozen=True, slots=True)
class Number:
    value: float
    span: Span


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter label, or the name of a parameter that an earlier `:=` defined."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Negation:
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    operator: Literal["+", "-", "*", "/", "^"]
    left: Expression
    right: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    function: Literal["exp", "log", "sqrt", "abs"]
    argument: Expression
    span: Span


Expression = Number | Name | Negation | Binary | Call

# --- variables, modifiers, formulas -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variable:
    """`x`, or the product `a:b` (then `factors` holds both and `name` is the text `a:b`)."""

    name: str
    span: Span
    factors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Modifiers:
    """Everything that was written before `*` (or after `?`), merged.

    Attributes
    ----------
    fixed : float or None
        `0.5*x`, `fixed(.5)*x`.
    free : bool
        `NA*x`: free although the default would fix it.
    label : str or None
        `a*x`, `"a"*x`, `label("a")*x`, `equal("a")*x`.
    equal : str or None
        `equal("f=~y2")*y3`: the name of the parameter that this one equals.
    start, lower, upper : float or None
        `start(.5)*x` or `.5?x`; `lower(0)*x`; `upper(1)*x`.
    slope : str or None
        `rv("s")*x`: the name of the random slope.
    label_span : Span or None
        Where the label, or the name in `equal()`, stands.
    groups : tuple of Modifiers
        Of `c(…)` with several elements: all that holds in each of the groups, in their order. The
        other fields then have what holds in every one.
    """

    fixed: float | None = None
    free: bool = False
    label: str | None = None
    start: float | None = None
    lower: float | None = None
    upper: float | None = None
    slope: str | None = None
    equal: str | None = None
    label_span: Span | None = None
    groups: tuple[Modifiers, ...] = ()

    @property
    def each(self) -> tuple[Modifiers, ...]:
        """Those of each group; one where they are the same in all."""
        return self.groups or (self,)


@dataclass(frozen=True, slots=True)
class Formula:
    """One `lhs op rhs`: lists on either side are already written out.

    `op` is `=~`, `~`, `~~` or `~1` (an intercept: `rhs` is None). `phantom` marks `f =~ 0`.
    """

    lhs: Variable
    op: Literal["=~", "~", "~~", "~1"]
    rhs: Variable | None
    modifiers: Modifiers
    span: Span
    phantom: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """`name := expression`; `source` is the expression's text without blanks."""

    name: str
    expression: Expression
    source: str
    span: Span


@dataclass(frozen=True, slots=True)
class Constraint:
    """`left op right`; the sources are the texts without blanks."""

    left: Expression
    op: Literal["==", "<", ">"]
    right: Expression
    left_source: str
    right_source: str
    span: Span


@dataclass(frozen=True, slots=True)
class Block:
    """The formulas under one `level:` header (or under none: then `level` is None) of one group.

    A repeated header continues its block, so each block stands once. Formulas under no `group:`
    header are those of all groups: `group` is None.
    """

    level: str | None
    formulas: tuple[Formula, ...]
    span: Span | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class GroupHeader:
    """`group: a`: the name, and where it first stands."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class ModelSyntax:
    """A parsed model.

    `blocks` are in the order of their first headers: without headers there is one block, with
    `level:` headers there are two, the first is within and the second is between. `groups` are
    the names of `group:` headers in their order; the blocks of each level are then those of all
    groups, if there are any, and those of each group. `mlsem.syntax.groups` has the model of each.
    `remarks` are warnings found while parsing (text with line, column and caret); the one who
    fits shows them, because parses are cached and would otherwise warn only once.
    """

    text: str
    blocks: tuple[Block, ...]
    definitions: tuple[Definition, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    remarks: tuple[str, ...] = field(default=())
    groups: tuple[GroupHeader, ...] = ()

    @property
    def is_of_groups(self) -> bool:
        """Whether it has `group:` blocks, or `c(…)` with several elements."""
        return bool(self.groups) or any(
            formula.modifiers.groups for block in self.blocks for formula in block.formulas
        )

    @property
    def levels(self) -> tuple[str | None, ...]:
        """The labels of the levels in their order; None alone without `level:` headers."""
        return tuple(dict.fromkeys(block.level for block in self.blocks))

    @property
    def nbytes(self) -> int:
        """Bytes in memory, about: of a formula and its names, of a character of an expression's
        tree."""
        formulas = sum(len(block.formulas) for block in self.blocks)
        sources = sum(len(each.source) for each in self.definitions)
        sources += sum(len(c.left_source) + len(c.right_source) for c in self.constraints)
        texts = getsizeof(self.text) + sum(map(getsizeof, self.remarks))
        return 450 * formulas + 150 * sources + 2 * texts
