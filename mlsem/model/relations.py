"""Definitions and constraints over labels, checked and made ready for the table."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from mlsem.errors import SpecificationError, nearest
from mlsem.model.elements import DefinedParameter, ParameterConstraint
from mlsem.model.expressions import Symbols, compile_expression, names_in
from mlsem.syntax.nodes import Binary, Name

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlsem.model.labels import Labels
    from mlsem.syntax.nodes import Constraint, Definition, Expression, ModelSyntax


@dataclass(frozen=True, slots=True)
class Relations:
    """What `:=`, `==`, `<` and `>` make; simple bounds have gone into the labels."""

    definitions: tuple[DefinedParameter, ...] = ()
    constraints: tuple[ParameterConstraint, ...] = ()


def relate(syntax: ModelSyntax, labels: Labels, variables: Collection[str]) -> Relations:
    """The definitions and constraints of a text; `label < number` narrows the label's bounds.

    Raises
    ------
    SpecificationError
        An unknown or late name, a name used twice, a constraint that no parameter is in or that
        contradicts a bound.
    """
    if not syntax.definitions and not syntax.constraints:
        return Relations()
    symbols = Symbols(
        {label: i for i, label in enumerate(labels.free)}, labels.fixed, {}, len(labels.free)
    )
    scope = _Scope(syntax, symbols, variables, {})
    for definition in syntax.definitions:
        scope.define(definition)
    symbols = Symbols(symbols.positions, symbols.constants, scope.defined, symbols.size)
    scope = _Scope(syntax, symbols, variables, scope.defined)
    constraints = [scope.constrain(constraint, labels) for constraint in syntax.constraints]
    return Relations(
        tuple(DefinedParameter(d.name, d.expression, d.source) for d in syntax.definitions),
        tuple(constraint for constraint in constraints if constraint is not None),
    )


@dataclass(frozen=True, slots=True)
class _Scope:
    """The names that an expression may use where it stands."""

    syntax: ModelSyntax
    symbols: Symbols
    variables: Collection[str]
    defined: dict[str, Expression]

    def define(self, definition: Definition) -> None:
        name = definition.name
        text, span = self.syntax.text, definition.span
        if name in self.defined:
            raise SpecificationError(f"{name!r} is defined twice. Rename one.", text, span)
        if name in self.symbols.positions or name in self.symbols.constants:
            raise SpecificationError(
                f"{name!r} is the label of a parameter, so ':=' cannot define it. Rename one.",
                text,
                span,
            )
        self.check_names(definition.expression)
        self.defined[name] = definition.expression

    def check_names(self, expression: Expression) -> None:
        for node in names_in(expression):
            name = node.name
            spaces = (self.symbols.positions, self.symbols.constants, self.defined)
            if any(name in space for space in spaces):
                continue
            known = tuple(each for space in spaces for each in space)
            raise SpecificationError(
                f"{name!r} is not the label of a parameter{self._advice(name, known)}",
                self.syntax.text,
                node.span,
            )

    def _advice(self, name: str, known: tuple[str, ...]) -> str:
        if name in self.variables:
            return f" but a variable. Label its parameter (as in y ~ a*{name}) and use the label."
        if any(name == definition.name for definition in self.syntax.definitions):
            return " and is defined only further down. Define it first."
        return f".{nearest(name, known)}"

    def constrain(self, constraint: Constraint, labels: Labels) -> ParameterConstraint | None:
        """The constraint as an expression that is zero or not negative; None: it is a bound."""
        self.check_names(constraint.left)
        self.check_names(constraint.right)
        first, second = constraint.left, constraint.right
        if constraint.op == "<":
            first, second = second, first
        difference = Binary("-", first, second, constraint.span)
        source = f"{constraint.left_source}{constraint.op}{constraint.right_source}"
        equality = constraint.op == "=="
        if self._holds_always(difference, equality, source, constraint):
            return None
        if not equality and self._becomes_bound(first, second, labels, constraint):
            return None
        return ParameterConstraint(difference, equality, source, constraint.span)

    def _holds_always(
        self, difference: Expression, equality: bool, source: str, constraint: Constraint
    ) -> bool:
        """Whether no free parameter is in the constraint; then it must be true as it stands."""
        compiled = compile_expression(difference, self.symbols, self.syntax.text)
        if not compiled.is_constant:
            return False
        value = float(compiled.value(np.zeros(compiled.size)))
        if abs(value) <= 1e-12 if equality else value >= 0:
            return True
        raise SpecificationError(
            f"{source!r} holds no free parameter and is not true.",
            self.syntax.text,
            constraint.span,
        )

    def _becomes_bound(
        self, first: Expression, second: Expression, labels: Labels, constraint: Constraint
    ) -> bool:
        """`first >= second` with a label on one side and a number on the other."""
        for label, other, is_lower in ((first, second, True), (second, first, False)):
            if not isinstance(label, Name) or label.name not in labels.free:
                continue
            compiled = compile_expression(other, self.symbols)
            if compiled.is_constant:
                value = float(compiled.value(np.zeros(compiled.size)))
                lower, upper = (value, inf) if is_lower else (-inf, value)
                labels.narrow(label.name, lower, upper, constraint.span)
                return True
        return False


def used_names(syntax: ModelSyntax) -> set[str]:
    """Every name in a definition or a constraint."""
    expressions = [definition.expression for definition in syntax.definitions]
    for constraint in syntax.constraints:
        expressions += [constraint.left, constraint.right]
    return {node.name for expression in expressions for node in names_in(expression)}
