"""Arithmetic over labels (`:=`, `==`, `<`, `>`) and over constants (`1/3*x`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, cast

from mlsem.errors import ModelSyntaxError, nearest
from mlsem.syntax.naming import LABEL
from mlsem.syntax.nodes import Binary, Call, Expression, Name, Negation, Number

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsem.errors import Span
    from mlsem.syntax.items import Item

# Whoever evaluates an expression walks down it, several Python frames a step.
MAX_DEPTH = 100

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "abs": abs,
}

# Words that R, and so lavaan, cannot take as the name of a parameter.
RESERVED = frozenset(
    "NA NaN Inf TRUE FALSE NULL if else for while function repeat break next in".split()
)


def fail(message: str, span: Span) -> ModelSyntaxError:
    """An error whose text is added by `parse`, the only one that knows it."""
    return ModelSyntaxError(message, None, span)


def checked_label(label: str, span: Span) -> str:
    """`label`, if it can be the name of a parameter."""
    if label in RESERVED:
        raise fail(f"{label!r} is a reserved word and cannot be a label.", span)
    if not LABEL.fullmatch(label):
        raise fail(
            f"{label!r} cannot be a label: a label is a letter, then letters, digits, '_' or '.'.",
            span,
        )
    return label


def expression_of(item: Item) -> Expression:
    """The expression that `item` writes; its constant parts are checked to be finite."""
    if item.depth > MAX_DEPTH:
        raise fail(
            f"this expression nests {item.depth} operations (at most {MAX_DEPTH}): "
            "define parts of it with ':=' and use their names.",
            item.span,
        )
    expression = _convert(item)
    constant_of(expression)
    return expression


def _convert(item: Item) -> Expression:
    if item.kind == "number":
        return Number(_number(item), item.span)
    if item.kind == "name":
        return Name(checked_label(item.words[0], item.span), item.span)
    if item.kind == "group":
        return _convert(item.parts[0])
    if item.kind == "negation":
        return Negation(_convert(item.parts[0]), item.span)
    if item.kind == "power":
        base, exponent = item.parts
        return Binary("^", _convert(base), _convert(exponent), item.span)
    if item.kind == "call":
        return _call(item)
    if item.kind in ("sum", "term"):
        return _fold(item)
    raise fail(_UNUSABLE[item.kind], item.span)


_UNUSABLE = {
    "string": "text in quotes cannot be part of a calculation: write labels without quotes.",
    "product": "':' makes a product of variables; write '*' to multiply parameters.",
}


def _number(item: Item) -> float:
    value = float(item.words[0])
    if not math.isfinite(value):
        raise fail(f"{item.words[0]} is too large for a number.", item.span)
    return value


def _call(item: Item) -> Call:
    function = item.words[0]
    if function not in FUNCTIONS:
        message = (
            f"unknown function {function!r}: calculations know exp, log, sqrt and abs."
            + nearest(function, FUNCTIONS)
        )
        raise fail(message, item.span)
    if len(item.parts) != 1:
        raise fail(f"{function}() takes one argument, not {len(item.parts)}.", item.span)
    known = cast("Literal['exp', 'log', 'sqrt', 'abs']", function)
    return Call(known, _convert(item.parts[0]), item.span)


def _fold(item: Item) -> Expression:
    """`a - b + c` is `(a - b) + c`."""
    result = _convert(item.parts[0])
    for operator, part in zip(item.words, item.parts[1:], strict=True):
        if operator == "?":
            raise fail("'?' gives a starting value; it has no meaning here.", item.span)
        right = _convert(part)
        span = type(item.span)(item.span.start, right.span.end)
        result = Binary(cast("Literal['+', '-', '*', '/']", operator), result, right, span)
    return result


def constant_of(expression: Expression) -> float | None:
    """The value of an expression without names; None where it has one.

    Raises
    ------
    ModelSyntaxError
        A constant part divides by zero, overflows, or is outside a function's domain.
    """
    try:
        value = _value(expression)
    except ZeroDivisionError:
        raise fail("this divides by zero.", expression.span) from None
    except (ArithmeticError, ValueError):
        raise fail("this has no finite value.", expression.span) from None
    return value


def _value(expression: Expression) -> float | None:
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Name):
        return None
    if isinstance(expression, Negation):
        operand = constant_of(expression.operand)
        return None if operand is None else -operand
    if isinstance(expression, Call):
        argument = constant_of(expression.argument)
        return None if argument is None else _finite(FUNCTIONS[expression.function](argument))
    left, right = constant_of(expression.left), constant_of(expression.right)
    if expression.operator == "/" and right == 0:
        raise ZeroDivisionError
    if left is None or right is None:
        return None
    return _finite(_apply(expression.operator, left, right))


def _apply(operator: str, left: float, right: float) -> float:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right
    return math.pow(left, right)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise OverflowError
    return value
