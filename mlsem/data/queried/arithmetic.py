"""R's arithmetic, comparisons and functions of numbers as expressions of an engine.

Truth is 1, 0 or missing: engines differ in what they make of a comparison with a missing value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import narwhals as nw

UNKNOWN = 0.5
"""What stands for a truth value that is missing, between those of FALSE and TRUE."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column of numbers; of truth values where `logical`."""

    expression: nw.Expr
    logical: bool = False


Value: TypeAlias = "Numbers | float | bool"


def known(column: nw.Expr) -> nw.Expr:
    """The column, missing where it is not a number."""
    import narwhals as nw

    return nw.when(~column.is_nan()).then(column)


FUNCTIONS: dict[str, Callable[[nw.Expr], nw.Expr]] = {
    "log": lambda x: x.log(),
    "log2": lambda x: x.log() / float(np.log(2.0)),
    "log10": lambda x: x.log() / float(np.log(10.0)),
    "log1p": lambda x: (x + 1.0).log(),
    "exp": lambda x: x.exp(),
    "sqrt": lambda x: x.sqrt(),
    "abs": lambda x: x.abs(),
    "as.numeric": lambda x: x,
    "as.double": lambda x: x,
}
FUNCTIONS |= {f"np.{name}": FUNCTIONS[name] for name in ("log", "exp", "sqrt", "abs")}
"""Of numbers."""

SIGNS = ("+", "-", "*", "/", "^")
COMPARED = ("<", ">", "<=", ">=", "==", "!=")
LOGICAL = ("&", "|", "!")


def operated(sign: str, values: list[Value]) -> Numbers:
    parts: list[Any] = [
        known(each.expression) if isinstance(each, Numbers) else float(each) for each in values
    ]
    if sign in LOGICAL:
        return Numbers(_logic(sign, [_truth(each) for each in values]), logical=True)
    if len(parts) == 1:
        return Numbers(-parts[0] if sign == "-" else parts[0])
    left, right = parts
    if sign in COMPARED:
        return Numbers(_compared(sign, left, right), logical=True)
    return Numbers(_arithmetic(sign, left, right))


def _arithmetic(sign: str, left: Any, right: Any) -> nw.Expr:
    if sign == "^":
        if isinstance(right, float) and right.is_integer() and 1 <= right <= 4:
            power = left
            for _ in range(int(right) - 1):
                power = power * left
            return power
        return left**right
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    return left * right if sign == "*" else left / right


def _compared(sign: str, left: Any, right: Any) -> nw.Expr:
    import narwhals as nw

    away = left - right
    truths = {
        "<": away < 0.0,
        ">": away > 0.0,
        "<=": away <= 0.0,
        ">=": away >= 0.0,
        "==": away == 0.0,
        "!=": away != 0.0,
    }
    return nw.when(~away.is_null()).then(truths[sign].cast(nw.Float64))


def _truth(value: Value) -> Any:
    """1, 0, or between where it is not known."""
    import narwhals as nw

    if not isinstance(value, Numbers):
        return nw.lit(1.0 if value else 0.0)
    number = known(value.expression)
    truth = number if value.logical else (number != 0.0).cast(nw.Float64)
    return nw.when(number.is_null()).then(nw.lit(UNKNOWN)).otherwise(truth)


def _logic(sign: str, truths: list[nw.Expr]) -> nw.Expr:
    import narwhals as nw

    if sign == "!":
        found = 1.0 - truths[0]
    else:
        found = (nw.min_horizontal if sign == "&" else nw.max_horizontal)(*truths)
    return nw.when(found != UNKNOWN).then(found)
