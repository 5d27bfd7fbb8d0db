"""Arithmetic over parameters, compiled to steps: values, exact gradients, linear forms.

An expression becomes a list of steps, each writing one register (``r2 = r0 * r1``). A definition
that is used twice is computed once. Outside its domain an expression is NaN or infinite and
nothing is warned: ``1/0`` is inf, ``log`` and ``sqrt`` of a negative number and a fractional power
of one are NaN. Parameters may be complex (for derivatives by a complex step): ``abs`` is then
z times the sign of Re z, and the domain is that of the real part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import frozen
from mlsem.errors import SpecificationError, nearest
from mlsem.syntax.nodes import Binary, Call, Name, Negation, Number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from mlsem.core.records import Array, Index
    from mlsem.errors import Span
    from mlsem.spec.partable import ParameterTable
    from mlsem.syntax.nodes import Expression

    Linear = tuple[Array, float]


@dataclass(frozen=True, slots=True)
class Step:
    """One register: a constant, a parameter, or an operator on earlier registers."""

    operator: str
    left: int = -1
    right: int = -1
    value: float = 0.0


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
        used = _inexact(params)[self.positions]
        registers: list[Any] = []
        with np.errstate(all="ignore"):
            for step in self.steps:
                registers.append(_evaluate(step, registers, used))
        return registers[-1]

    def gradient(self, params: ArrayLike) -> Any:
        """∂g/∂θ by forward differentiation, shape (size,), real or complex as θ is.

        The derivative of ``abs`` at 0 is 0. What does not depend on a parameter has derivative
        0 by it, also where another part of the expression is infinite.
        """
        array = _inexact(params)
        used = array[self.positions]
        values: list[Any] = []
        slopes: list[Any] = []
        with np.errstate(all="ignore"):
            for step in self.steps:
                values.append(_evaluate(step, values, used))
                slopes.append(_differentiate(step, values, slopes, len(used)))
        gradient = np.zeros(self.size, dtype=array.dtype)
        if slopes[-1] is not None:
            gradient[self.positions] = slopes[-1]
        return gradient

    def linear_form(self) -> Linear | None:
        """(a, c) with g(θ) = a'θ + c for every θ, a of shape (size,); None if g is not linear."""
        forms: list[Linear | None] = []
        for step in self.steps:
            forms.append(_linear(step, forms, len(self.positions)))
        last = forms[-1]
        if last is None:
            return None
        row = np.zeros(self.size)
        row[self.positions] = last[0]
        return frozen(row), last[1]

    @property
    def is_linear(self) -> bool:
        return self.linear_form() is not None

    @property
    def is_constant(self) -> bool:
        """Whether no parameter occurs in g."""
        return len(self.positions) == 0


def _inexact(params: ArrayLike) -> Any:
    array: Any = np.asarray(params)
    return array if array.dtype.kind == "c" else array.astype(np.float64, copy=False)


# --- values -----------------------------------------------------------------------------------


def _evaluate(step: Step, registers: list[Any], used: Any) -> Any:
    match step.operator:
        case "constant":
            return np.float64(step.value)
        case "param":
            return used[step.left]
        case "+":
            return registers[step.left] + registers[step.right]
        case "-":
            return registers[step.left] - registers[step.right]
        case "*":
            return registers[step.left] * registers[step.right]
        case "/":
            return registers[step.left] / registers[step.right]
        case "^":
            return _power(registers[step.left], registers[step.right])
        case "negate":
            return -registers[step.left]
        case "exp":
            return np.exp(registers[step.left])
        case "log" | "sqrt":
            x = registers[step.left]
            return np.float64(np.nan) if x.real < 0 else getattr(np, step.operator)(x)
        case _:
            return np.sign(registers[step.left].real) * registers[step.left]


def _power(base: Any, exponent: Any) -> Any:
    whole = exponent.imag == 0 and exponent.real == np.round(exponent.real)
    return np.float64(np.nan) if base.real < 0 and not whole else np.power(base, exponent)


# --- first derivatives: None stands for "no parameter in here" ---------------------------------


def _differentiate(step: Step, values: list[Any], slopes: list[Any], size: int) -> Any:
    """The gradient of the last value, which `step` computed."""
    if step.operator == "constant":
        return None
    if step.operator == "param":
        unit = np.zeros(size)
        unit[step.left] = 1.0
        return unit
    left, du = values[step.left], slopes[step.left]
    if step.right < 0:
        return None if du is None else _times(_inner(step.operator, left, values[-1]), du)
    right, dv = values[step.right], slopes[step.right]
    outer_left, outer_right = _outer(step.operator, left, right, values[-1], du, dv)
    if du is None or dv is None:
        present, factor = (dv, outer_right) if du is None else (du, outer_left)
        return None if present is None else _times(factor, present)
    return _times(outer_left, du) + _times(outer_right, dv)


def _times(factor: Any, slope: Any) -> Any:
    """factor · slope, where a slope of 0 stays 0 even if the factor is infinite."""
    return np.where(slope == 0, 0.0, factor * slope)


def _inner(operator: str, x: Any, value: Any) -> Any:
    """f'(x), `value` = f(x)."""
    match operator:
        case "negate":
            return -1.0
        case "exp":
            return value
        case "log":
            return np.float64(np.nan) if x.real < 0 else 1.0 / x
        case "sqrt":
            return 0.5 / value
        case _:
            return np.sign(x.real)


def _outer(operator: str, u: Any, v: Any, value: Any, du: Any, dv: Any) -> tuple[Any, Any]:
    """∂f/∂u and ∂f/∂v of f(u, v); only those that `du` and `dv` need."""
    match operator:
        case "+":
            return 1.0, 1.0
        case "-":
            return 1.0, -1.0
        case "*":
            return v, u
        case "/":
            return 1.0 / v, -value / v
    by_base = by_exponent = 0.0
    if du is not None and v != 0:
        by_base = v * _power(u, v - 1.0)
    if dv is not None and not (u == 0 and v.real > 0):
        by_exponent = value * (np.float64(np.nan) if u.real < 0 else np.log(u))
    return by_base, by_exponent


# --- linear forms -----------------------------------------------------------------------------


def _linear(step: Step, forms: list[Linear | None], size: int) -> Linear | None:
    if step.operator == "constant":
        return np.zeros(size), step.value
    if step.operator == "param":
        unit = np.zeros(size)
        unit[step.left] = 1.0
        return unit, 0.0
    left = forms[step.left]
    right = forms[step.right] if step.right >= 0 else None
    if left is None or (step.right >= 0 and right is None):
        return None
    if right is None:
        return (-left[0], -left[1]) if step.operator == "negate" else None
    return _linear_pair(step.operator, left, right)


def _linear_pair(operator: str, left: Linear, right: Linear) -> Linear | None:
    (a, c), (b, d) = left, right
    match operator:
        case "+":
            return a + b, c + d
        case "-":
            return a - b, c - d
        case "*" if not b.any():
            return a * d, c * d
        case "*" if not a.any():
            return b * c, c * d
        case "/" if not b.any() and d != 0:
            return a / d, c / d
        case "^" if not b.any() and d == 1:
            return left
        case _:
            return None


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
        Name of an earlier `:=` to its expression.
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
    compiler.visit(expression)
    positions = np.array(list(compiler.used), dtype=np.intp)
    return CompiledExpression(tuple(compiler.steps), frozen(positions), symbols.size)


def compile_definitions(table: ParameterTable) -> tuple[CompiledExpression, ...]:
    """One expression per `table.definitions`: the defined parameter."""
    symbols = Symbols.of(table)
    return tuple(compile_expression(each.expression, symbols) for each in table.definitions)


def compile_constraints(table: ParameterTable) -> tuple[CompiledExpression, ...]:
    """One expression per `table.constraints`: zero, or not negative, where it holds."""
    symbols = Symbols.of(table)
    return tuple(compile_expression(each.expression, symbols) for each in table.constraints)


@dataclass(slots=True)
class _Compiler:
    """Collects steps; `visit` returns the register that holds the expression."""

    symbols: Symbols
    text: str | None
    steps: list[Step] = field(default_factory=list)
    used: dict[int, int] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)

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
        operands = [self.steps[i] for i in (step.left, step.right) if i >= 0]
        if any(operand.operator != "constant" for operand in operands):
            return self._add(step)
        registers = [np.float64(each.value) for each in self.steps]
        with np.errstate(all="ignore"):
            value = float(_evaluate(step, registers, ()))
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
        if name in symbols.definitions:
            return self.visit(symbols.definitions[name])
        pool = [*symbols.positions, *symbols.constants, *symbols.definitions]
        raise SpecificationError(
            f"{name!r} is not the label of a parameter and not defined above.{nearest(name, pool)}",
            self.text,
            span,
        )
