"""Parameters that a user asks to add to a model, as text, and constraints to be released."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mlsem.errors import ModelSyntaxError, OptionValueError, Span, SpecificationError
from mlsem.model.candidates import cell, cell_of, given, may_be_free, parameter_name, places
from mlsem.model.fragments import fragments, only_level
from mlsem.model.table import ParameterConstraint, ParameterTable, Row
from mlsem.syntax.nodes import Formula, Modifiers

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
        for block in each.syntax.blocks:
            for formula in block.formulas:
                row = _Asked(table, text, formula).row(each.level)
                if found.setdefault(cell_of(row), row) is not row:
                    _refuse("this is written twice. Keep one.", text, formula.span)
    return tuple(found.values())


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
    row : Row or None
        Else a row that shares its parameter with an earlier one.
    """

    text: str
    constraint: ParameterConstraint | None = None
    row: Row | None = None


def equalities(table: ParameterTable) -> tuple[Equality, ...]:
    """Of a model: what is written with `==`, then what shared labels say, as lavaan counts them."""
    written = (each for each in table.constraints if each.equality)
    return (*(Equality(each.source, each) for each in written), *_shared(table))


def _shared(table: ParameterTable) -> Iterator[Equality]:
    first: dict[int, Row] = {}
    for row in table.rows:
        if row.free >= 0 and first.setdefault(row.free, row) is not row:
            names = (parameter_name(table, each) for each in (first[row.free], row))
            yield Equality(" == ".join(names), row=row)


def read_released(release: object, table: ParameterTable) -> tuple[Equality, ...]:
    """Those of these numbers (from 1), texts or labels.

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
    found: dict[str, Equality] = {}
    for each in wanted:
        for equality in _matching(each, known):
            found[equality.text] = equality
    return tuple(found.values())


def _matching(wanted: object, known: tuple[Equality, ...]) -> list[Equality]:
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 1 <= wanted <= len(known):
        return [known[wanted - 1]]
    if isinstance(wanted, str):
        plain = "".join(wanted.split())
        for test in (
            lambda each: "".join(each.text.split()) == plain,
            lambda each: each.row is not None and each.row.label == plain,
        ):
            if matches := [each for each in known if test(each)]:
                return matches
    raise OptionValueError(f"release={wanted!r}: there is no such equality. {_listing(known)}")


def _listing(known: tuple[Equality, ...]) -> str:
    if not known:
        return "The model has no equality constraints and no shared labels."
    return (
        "The model has " + "; ".join(f"{k}: {each.text}" for k, each in enumerate(known, 1)) + "."
    )


def separate(table: ParameterTable, rows: Sequence[Row]) -> ParameterTable:
    """The table in which these rows, which share parameters with others, have their own: after
    those of the table, in this order."""
    places = {id(row): k for k, row in enumerate(rows, len(table.names))}
    return replace(
        table,
        rows=tuple(
            replace(row, free=places[id(row)], label="") if id(row) in places else row
            for row in table.rows
        ),
        names=(*table.names, *(parameter_name(table, row) for row in rows)),
        definitions=(),
        constraints=(),
        bounds=None,
    )
