"""Definitions and constraints, compiled to steps of arithmetic over parameters.

Definitions are compiled in their order, each once, however many others use it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.linalg import null_space
from mlsem.core.records import frozen
from mlsem.errors import SpecificationError, nearest
from mlsem.model.arithmetic import Step, evaluate, linear_of, slopes_of, values_of
from mlsem.syntax.nodes import Binary, Call, Name, Negation, Number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import ArrayLike

    from mlsem.core.records import Array, Index
    from mlsem.errors import Span
    from mlsem.model.arithmetic import Linear
    from mlsem.model.elements import ParameterConstraint
    from mlsem.model.table import ParameterTable
    from mlsem.syntax.nodes import Expression


@dataclass(frozen=True, slots=True)
class CompiledExpression:
    """g(θ) as steps; the last one is its value.

    Attributes
    ----------
    steps : tuple of Step
    positions : (m,)
        The parameters that g depends on, as positions in θ; a `param` step's `left` counts
        in here.
    size : int
        Length of θ.
    """

    steps: tuple[Step, ...]
    positions: Index
    size: int

    def value(self, params: ArrayLike) -> Any:
        """g(θ), real or complex as θ is."""
        return values_of(self.steps, _inexact(params)[self.positions])[-1]

    def gradient(self, params: ArrayLike) -> Any:
        """∂g/∂θ by forward differentiation, shape (size,), real or complex as θ is.

        The derivative of ``abs`` at 0 is 0. What does not depend on a parameter has derivative
        0 by it, also where another part of the expression is infinite.
        """
        array = _inexact(params)
        gradient = np.zeros(self.size, dtype=array.dtype)
        slope = slopes_of(self.steps, array[self.positions])[1][-1]
        if slope is not None:
            gradient[self.positions] = slope
        return gradient

    def linear_form(self) -> Linear | None:
        """(a, c) with g(θ) = a'θ + c for every θ, a of shape (size,); None if g is not linear."""
        forms: list[Linear | None] = []
        for step in self.steps:
            forms.append(linear_of(step, forms, len(self.positions)))
        last = forms[-1]
        if last is None:
            return None
        row = np.zeros(self.size)
        row[self.positions] = last[0]
        return frozen(row), last[1]

    @property
    def is_constant(self) -> bool:
        """Whether no parameter occurs in g."""
        return len(self.positions) == 0


@dataclass(frozen=True, slots=True)
class CompiledDefinitions:
    """The d `:=` parameters as one list of steps, each definition computed once.

    Attributes
    ----------
    steps, positions, size
        As of `CompiledExpression`.
    registers : tuple of int
        Of each definition the step that is its value.
    """

    steps: tuple[Step, ...]
    positions: Index
    size: int
    registers: tuple[int, ...]

    def __call__(self, params: Array) -> tuple[Array, Array]:
        """Values (d,) and gradients (d, size) at θ."""
        values, slopes = slopes_of(self.steps, params[self.positions])
        gradients = np.zeros((len(self.registers), self.size))
        for row, register in enumerate(self.registers):
            if slopes[register] is not None:
                gradients[row, self.positions] = slopes[register]
        return np.array([float(values[register]) for register in self.registers]), gradients


def _inexact(params: ArrayLike) -> Any:
    array: Any = np.asarray(params)
    return array if array.dtype.kind == "c" else array.astype(np.float64, copy=False)


# --- compiling --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Symbols:
    """What a name in an expression may stand for.

    Attributes
    ----------
    positions : dict
        Label to position in θ.
    constants : dict
        Label of fixed rows to their value.
    definitions : dict
        Name of a `:=` to its expression, which uses earlier ones only.
    size : int
        Length of θ.
    """

    positions: Mapping[str, int]
    constants: Mapping[str, float]
    definitions: Mapping[str, Expression]
    size: int

    @classmethod
    def of(cls, table: ParameterTable) -> Symbols:
        """Every label and every definition of the table."""
        labelled = [row for row in table.rows if row.label]
        return cls(
            {row.label: row.free for row in labelled if row.free >= 0},
            {row.label: row.fixed for row in labelled if row.fixed is not None},
            {defined.name: defined.expression for defined in table.definitions},
            len(table.names),
        )


def compile_expression(
    expression: Expression, symbols: Symbols, text: str | None = None
) -> CompiledExpression:
    """The expression as steps.

    Raises
    ------
    SpecificationError
        A name is neither a label nor a definition; shows its place if `text` is given.
    """
    compiler = _Compiler(symbols, text)
    compiler.compile(expression)
    return CompiledExpression(tuple(compiler.steps), compiler.positions, symbols.size)


def compile_definitions(
    table: ParameterTable, symbols: Symbols | None = None
) -> CompiledDefinitions:
    """`table.definitions`: the defined parameters, of what the symbols say that names stand for."""
    symbols = symbols or Symbols.of(table)
    compiler = _Compiler(symbols, None)
    registers = tuple(compiler.compile(each.expression) for each in table.definitions)
    return CompiledDefinitions(tuple(compiler.steps), compiler.positions, symbols.size, registers)


def compile_constraints(table: ParameterTable) -> tuple[CompiledExpression, ...]:
    """One expression per `table.constraints`: zero, or not negative, where it holds."""
    symbols = Symbols.of(table)
    return tuple(compile_expression(each.expression, symbols) for each in table.constraints)


def compiled_pairs(
    table: ParameterTable,
) -> tuple[tuple[ParameterConstraint, CompiledExpression], ...]:
    """The constraints, each with its expression."""
    return tuple(zip(table.constraints, compile_constraints(table), strict=True))


def equality_space(
    pairs: Iterable[tuple[ParameterConstraint, CompiledExpression]], params: Array
) -> Array:
    """Directions (npar, n) along which the equalities go on to hold, to first order."""
    slopes = [each.gradient(params) for constraint, each in pairs if constraint.equality]
    if not slopes:
        return np.eye(len(params))
    rows = np.array(slopes)
    largest = np.abs(rows).max(axis=1, keepdims=True)  # squares of large ones overflow
    return null_space(rows / np.where(largest > 0.0, largest, 1.0))


def names_in(node: Expression) -> Iterator[Name]:
    """The names in an expression."""
    match node:
        case Name():
            yield node
        case Negation():
            yield from names_in(node.operand)
        case Binary():
            yield from names_in(node.left)
            yield from names_in(node.right)
        case Call():
            yield from names_in(node.argument)
        case _:
            return


@dataclass(slots=True)
class _Compiler:
    """Collects steps; `compile` returns the register that holds the expression."""

    symbols: Symbols
    text: str | None
    steps: list[Step] = field(default_factory=list)
    used: dict[int, int] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)

    @property
    def positions(self) -> Index:
        return frozen(np.array(list(self.used), dtype=np.intp))

    def compile(self, expression: Expression) -> int:
        """The definitions that it rests on first, in their order, so that none nests in another."""
        for name in self._needed(expression):
            self.known[name] = self.visit(self.symbols.definitions[name])
        return self.visit(expression)

    def _needed(self, expression: Expression) -> list[str]:
        definitions, needed, left = self.symbols.definitions, set[str](), [expression]
        while left:
            more = {node.name for node in names_in(left.pop())} & definitions.keys()
            more -= needed | self.known.keys()
            needed |= more
            left += [definitions[name] for name in more]
        return [name for name in definitions if name in needed] if needed else []

    def visit(self, node: Expression) -> int:
        match node:
            case Number():
                return self._add(Step("constant", value=float(node.value)))
            case Name():
                return self._name(node)
            case Negation():
                return self._fold(Step("negate", self.visit(node.operand)))
            case Binary():
                return self._fold(
                    Step(node.operator, self.visit(node.left), self.visit(node.right))
                )
            case Call():
                return self._fold(Step(node.function, self.visit(node.argument)))

    def _add(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def _fold(self, step: Step) -> int:
        """Add the step, or its value where its operands are constants."""
        operands = {i: self.steps[i] for i in (step.left, step.right) if i >= 0}
        if any(operand.operator != "constant" for operand in operands.values()):
            return self._add(step)
        registers = {i: np.float64(operand.value) for i, operand in operands.items()}
        with np.errstate(all="ignore"):
            value = float(evaluate(step, registers, ()))
        return self._add(Step("constant", value=value))

    def _name(self, node: Name) -> int:
        name = node.name
        if name not in self.known:
            self.known[name] = self._resolve(name, node.span)
        return self.known[name]

    def _resolve(self, name: str, span: Span) -> int:
        symbols = self.symbols
        if name in symbols.positions:
            slot = self.used.setdefault(symbols.positions[name], len(self.used))
            return self._add(Step("param", slot))
        if name in symbols.constants:
            return self._add(Step("constant", value=symbols.constants[name]))
        pool = [*symbols.positions, *symbols.constants, *symbols.definitions]
        raise SpecificationError(
            f"{name!r} is not the label of a parameter and not defined above.{nearest(name, pool)}",
            self.text,
            span,
        )
