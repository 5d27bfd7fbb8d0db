"""Parameters that a user asks to add to a model, as text, and constraints to be released."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from mlsem.errors import (
    ModelSyntaxError,
    OptionValueError,
    Span,
    SpecificationError,
    in_group,
)
from mlsem.model.candidates import cell, cell_of, given, may_be_free, parameter_name, places
from mlsem.model.elements import ParameterConstraint
from mlsem.model.expressions import compile_constraints
from mlsem.model.fragments import Fragment, fragments, level_names, only_level
from mlsem.model.regrouped import with_rows
from mlsem.model.table import ParameterTable, Row
from mlsem.syntax.nodes import Formula, Modifiers

LISTED = 30  # equalities that a message lists

# --- parameters to be added -----------------------------------------------------------------------


def read_added(text: object, table: ParameterTable) -> tuple[Row, ...]:
    """The rows of a text such as `f =~ y5; y1 ~~ y2`; `fixed` is the value that each has.

    Raises
    ------
    ModelSyntaxError, SpecificationError, OptionValueError
        It names what is a parameter already, or has no place in the model.
    """
    if not isinstance(text, str):
        raise OptionValueError(
            f"add={text!r}: it takes a text in the model's language, such as 'f =~ y5; y1 ~~ y2'."
        )
    found: dict[object, Row] = {}
    for each in fragments(text, table):
        if each.syntax is None:
            raise ModelSyntaxError(
                f"{each.source!r} is no parameter: write loadings, paths, covariances or "
                "intercepts. Equalities are released by release=."
            )
        for number, part in _tables_of(each, table):
            for block in each.syntax.blocks:
                for formula in block.formulas:
                    with in_group(table.groups[number - 1].label) if part is not table else _ALONE:
                        own = _Asked(part, text, formula).row(each.level)
                    row = replace(own, group=number)
                    if found.setdefault(cell_of(row), row) is not row:
                        _refuse("this is written twice. Keep one.", text, formula.span)
    return tuple(found.values())


_ALONE: AbstractContextManager[None] = nullcontext()


def _tables_of(each: Fragment, table: ParameterTable) -> list[tuple[int, ParameterTable]]:
    """The groups that a statement is for, with their tables: that of its header, else all that
    have its variables."""
    if not table.groups:
        return [(1, table)]
    numbered = [(k, group.table) for k, group in enumerate(table.groups, start=1)]
    if each.group is not None:
        return [numbered[each.group - 1]]
    names = set(each.names)
    levels = range(1, len(table.levels) + 1)
    having = [
        (k, part)
        for k, part in numbered
        if names <= {name for level in levels for name in level_names(part, level)}
    ]
    return having or numbered


def _refuse(message: str, text: str, span: Span | None) -> None:
    raise SpecificationError(message, text, span)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One formula of the text, and the row that it stands for."""

    table: ParameterTable
    text: str
    formula: Formula

    @property
    def names(self) -> list[str]:
        sides = (self.formula.lhs, self.formula.rhs)
        return [side.name for side in sides if side is not None]

    def refuse(self, message: str) -> None:
        _refuse(message, self.text, self.formula.span)

    def row(self, level: int | None) -> Row:
        formula = self.formula
        if formula.modifiers != Modifiers() or formula.phantom:
            self.refuse("write it without a value, label or '0': it is to be a free parameter.")
        number = only_level(self.table, self.names, level, self.text, formula.span)
        rhs = "" if formula.rhs is None else formula.rhs.name
        lhs, op = formula.lhs.name, formula.op
        own = cell(lhs, op, rhs, number)
        for row in self.table.rows:
            if not row.exo and cell_of(row) == own:
                if row.free >= 0:
                    name = self.table.names[row.free]
                    self.refuse(f"this is a free parameter of the model already, {name!r}.")
                if may_be_free(self.table, row):
                    return row
        self._require_place(lhs, op, rhs, number)
        return Row(lhs, op, rhs, number, user=True, fixed=0.0)

    def _require_place(self, lhs: str, op: str, rhs: str, level: int) -> None:
        where, fixed = places(self.table, level), given(self.table, level)
        if op == "=~" and lhs not in where.factors:
            self.refuse(
                f"{lhs!r} is no latent variable with indicators at level {level}: a model with a "
                "new one has to be fitted, by fit.update."
            )
        moved = {"=~": (rhs,), "~": (lhs,), "~~": (lhs, rhs), "~1": (lhs,)}[op]
        for name in moved:
            if name in fixed:
                self.refuse(
                    f"{name!r} is a fixed covariate: the model is conditional on it, and what "
                    "explains it is no part of the model (fixed_x=False makes it one)."
                )
        if op != "~~" and lhs == rhs:
            self.refuse("a variable has no path to itself.")
        if op == "~1" and not self.table.meanstructure:
            self.refuse("the model has no means: fit it with meanstructure=True.")


# --- constraints to be released -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Equality:
    """An equality that can be released.

    Attributes
    ----------
    text : str
    constraint : ParameterConstraint or None
        As the user wrote it.
    rows : tuple of Row
        Else rows that share their parameter with an earlier one, and get one of their own.
    names : tuple of str
        Of the parameter that is shared, and of that which the rows get.
    kind : str
        What `group_equal` calls it.
    between : bool
        Whether it ties groups.
    """

    text: str
    constraint: ParameterConstraint | None = None
    rows: tuple[Row, ...] = ()
    names: tuple[str, ...] = ()
    kind: str = ""
    between: bool = False


def equalities(table: ParameterTable) -> tuple[Equality, ...]:
    """Of a model: what is written with `==`, then what shared labels say, as lavaan counts them."""
    return (*_written(table), *_shared(table))


def _written(table: ParameterTable) -> Iterator[Equality]:
    if not table.constraints:
        return
    groups: dict[int, set[int]] = {}
    for row in table.rows:
        groups.setdefault(row.free, set()).add(row.group)
    for each, compiled in zip(table.constraints, compile_constraints(table), strict=True):
        if each.equality:
            tied = set[int]().union(*(groups[k] for k in compiled.positions.tolist()))
            yield Equality(each.source, each, between=len(tied) > 1)


def _shared(table: ParameterTable) -> Iterator[Equality]:
    first: dict[int, Row] = {}
    for row in table.rows:
        if row.free >= 0 and first.setdefault(row.free, row) is not row:
            yield _pair(table, first[row.free], (row,))


def _pair(table: ParameterTable, first: Row, rows: tuple[Row, ...]) -> Equality:
    names = parameter_name(table, first), parameter_name(table, rows[0])
    return Equality(
        " == ".join(names),
        rows=rows,
        names=names,
        kind=_kind(table, rows[0]),
        between=first.group != rows[0].group,
    )


def _kind(table: ParameterTable, row: Row) -> str:
    part = table.groups[row.group - 1].table if table.groups else table
    latent = part.levels[row.level - 1].latent
    if row.op in ("=~", "~"):
        return "loadings" if row.op == "=~" else "regressions"
    if row.op == "~1":
        return "means" if row.lhs in latent else "intercepts"
    if row.is_variance:
        return "lv.variances" if row.lhs in latent else "residuals"
    return "lv.covariances" if row.lhs in latent else "residual.covariances"


def _between_groups(table: ParameterTable) -> tuple[Equality, ...]:
    """What ties groups: each parameter is released once in each of the later groups that have it,
    however many rows it stands in there."""
    rows: dict[int, dict[int, list[Row]]] = {}
    for row in table.rows:
        if row.free >= 0:
            rows.setdefault(row.free, {}).setdefault(row.group, []).append(row)
    shared = [
        _pair(table, first[0], tuple(own))
        for first, *others in (tuple(each.values()) for each in rows.values())
        for own in others
    ]
    return (*(each for each in _written(table) if each.between), *shared)


def read_released(release: object, table: ParameterTable) -> tuple[Equality, ...]:
    """Those of these numbers (from 1), texts, names of parameters, labels or kinds.

    Raises
    ------
    OptionValueError
        There is no such constraint; lists those that there are.
    """
    known = equalities(table)
    wanted = [release] if isinstance(release, int | str) else release
    if not isinstance(wanted, list | tuple | range) or not len(wanted):
        raise OptionValueError(
            f"release={release!r}: it takes the number, the text or the label of a constraint, or "
            f"a list of them. {_listing(known)}"
        )
    found: dict[Row | str, Equality] = {}
    for each in wanted:
        for equality in _matching(each, known, table):
            taken = {row for other in found.values() for row in other.rows}
            if equality.rows and taken.issuperset(equality.rows):
                continue
            found[equality.text] = equality
    return tuple(found.values())


def _matching(
    wanted: object, known: tuple[Equality, ...], table: ParameterTable
) -> Sequence[Equality]:
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 1 <= wanted <= len(known):
        return [known[wanted - 1]]
    if isinstance(wanted, str):
        plain = "".join(wanted.split())
        turned = "==".join(reversed(plain.split("==")))
        tests: tuple[Callable[[Equality], bool], ...] = (
            lambda each: "".join(each.text.split()) == plain,
            lambda each: bool(each.rows) and "".join(each.text.split()) == turned,
            lambda each: any(row.label == plain for row in each.rows),
            lambda each: plain in each.names,
        )
        for test in tests:
            if matches := [each for each in known if test(each)]:
                return matches
        across = _between_groups(table)
        if matches := [each for each in across if plain in ("all", each.kind)]:
            return matches
    raise OptionValueError(f"release={wanted!r}: there is no such equality. {_listing(known)}")


def _listing(known: tuple[Equality, ...]) -> str:
    if not known:
        return "The model has no equality constraints and no shared labels."
    shown = "; ".join(f"{k}: {each.text}" for k, each in enumerate(known[:LISTED], 1))
    more = len(known) - LISTED
    text = f"The model has {shown}" + (f"; and {more} more." if more > 0 else ".")
    kinds = sorted({each.kind for each in known if each.between and each.kind})
    if kinds:
        text += f" Those between groups are 'all', or of a kind: {', '.join(map(repr, kinds))}."
    return text


def separate(table: ParameterTable, released: Sequence[Equality]) -> ParameterTable:
    """The table in which the rows of each of these, which share a parameter with others, have one
    of their own: after those of the table, in this order."""
    count = len(table.names)
    places = {id(row): count + k for k, each in enumerate(released) for row in each.rows}
    rows = [
        replace(row, free=places[id(row)], label="") if id(row) in places else row
        for row in table.rows
    ]
    return with_rows(table, rows, (*table.names, *(each.names[1] for each in released)))
