"""Statements → `ModelSyntax`: the formulas under their level, the rest beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsem.errors import Span, listed, nearest
from mlsem.syntax.expressions import fail
from mlsem.syntax.formulas import Remark, constraint_of, definition_of, formula_key, formulas_of
from mlsem.syntax.items import Header, Relation
from mlsem.syntax.mplus import section_advice
from mlsem.syntax.nodes import Block, Constraint, Definition, Formula

if TYPE_CHECKING:
    from collections.abc import Iterable

Key = tuple[str, str, str]


@dataclass(slots=True)
class _Level:
    """A block while it is filled."""

    header: Header | None
    formulas: dict[Key, Formula] = field(default_factory=dict[Key, Formula])


@dataclass(slots=True)
class Draft:
    """A model while its statements are read, top to bottom.

    Attributes
    ----------
    text, clean : str
        The user's text, and what `layout` made of it.
    """

    text: str
    clean: str
    levels: dict[str | None, _Level] = field(default_factory=dict[str | None, _Level])
    current: _Level | None = None
    definitions: list[Definition] = field(default_factory=list[Definition])
    constraints: list[Constraint] = field(default_factory=list[Constraint])
    remarks: list[Remark] = field(default_factory=list[Remark])

    def read(self, statements: Iterable[Relation | Header]) -> None:
        """Take the statements in."""
        for statement in statements:
            if isinstance(statement, Header):
                self._open(statement)
            elif statement.operator == ":=":
                self.definitions.append(definition_of(statement, self.clean))
            elif statement.operator in ("==", "<", ">"):
                self.constraints.append(constraint_of(statement, self.clean))
            else:
                self._add(formulas_of(statement, self.remarks))

    def _open(self, header: Header) -> None:
        _check_header(header)
        if None in self.levels:
            first = next(iter(self.levels[None].formulas.values()))
            message = "this formula stands before the first 'level:' header: put it below one."
            raise fail(message, first.lhs.span)
        self.current = self.levels.setdefault(header.label, _Level(header))
        if len(self.levels) > 2:
            raise fail(
                f"three levels ({listed(label or '' for label in self.levels)}): "
                "mlsem fits models of two levels.",
                header.span,
            )

    def _add(self, formulas: list[Formula]) -> None:
        if self.current is None:
            self.current = self.levels[None] = _Level(None)
        known = self.current.formulas
        for formula in formulas:
            key = formula_key(formula)
            if key in known:
                line, _ = known[key].span.position(self.text)
                raise fail(f"{_shown(formula)} is already said in line {line}.", formula.span)
            known[key] = formula

    def blocks(self) -> tuple[Block, ...]:
        """The blocks in the order of their first headers, checked."""
        self._check_levels()
        blocks = tuple(
            Block(label, tuple(level.formulas.values()), level.header and level.header.span)
            for label, level in self.levels.items()
        )
        if not any(block.formulas for block in blocks):
            message = "the model has no formula: write one, such as 'y ~ x' or 'f =~ y1 + y2 + y3'."
            raise fail(message, (blocks[0].span if blocks else None) or Span(0, 1))
        return blocks

    def _check_levels(self) -> None:
        headers = [level.header for level in self.levels.values() if level.header]
        if len(headers) == 1:
            other = "1" if _is_between(headers[0].label) else "2"
            raise fail(
                f"only one level, {headers[0].label!r}: a two-level model has two 'level:' "
                f"headers. Add 'level: {other}' with the formulas of the other level "
                "(the first is within, the second between clusters), or take this header away.",
                headers[0].span,
            )
        if headers and _is_between(headers[0].label) and _is_within(headers[1].label):
            message = (
                f"the first level is within clusters, whatever its label ({headers[0].label!r}): "
                "did you mean to write the blocks in the other order?"
            )
            self.remarks.append((message, headers[0].span))


def _check_header(header: Header) -> None:
    word = header.word.lower()
    if word == "group":
        message = (
            "several groups are not fitted yet: take the 'group:' headers away, "
            "and fit each group's rows on their own."
        )
        raise fail(message, header.span)
    if word != "level" and section_advice(header.word):
        raise fail(section_advice(header.word), header.span)
    if word != "level":
        message = f"{header.word!r} is no header: blocks begin with 'level: 1'."
        hint = nearest(header.word, ("level", "group"))
        raise fail(message + hint + " A formula has an operator such as '~'.", header.span)


def _is_between(label: str) -> bool:
    return label == "2" or label.lower().startswith("between")


def _is_within(label: str) -> bool:
    return label == "1" or label.lower().startswith("within")


def _shown(formula: Formula) -> str:
    """The formula as it is written in lavaan, without modifiers."""
    if formula.op == "~1":
        return f"'{formula.lhs.name} ~ 1'"
    right = "0" if formula.rhs is None else formula.rhs.name
    return f"'{formula.lhs.name} {formula.op} {right}'"
