"""Steps of arithmetic over parameters: values, exact gradients, linear forms.

A step writes one register (``r2 = r0 * r1``). Outside its domain an expression is NaN or infinite
and nothing is warned: ``1/0`` is inf, ``log`` and ``sqrt`` of a negative number and a fractional
power of one are NaN. Parameters may be complex (for derivatives by a complex step): ``abs`` is then
z times the sign of Re z, and the domain is that of the real part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mlsem.core.records import Array

    Linear = tuple[Array, float]


@dataclass(frozen=True, slots=True)
class Step:
    """One register: a constant, a parameter, or an operator on earlier registers."""

    operator: str
    left: int = -1
    right: int = -1
    value: float = 0.0


# --- values -----------------------------------------------------------------------------------


def values_of(steps: tuple[Step, ...], used: Any) -> list[Any]:
    """Every register, of the parameters that are used."""
    values: list[Any] = []
    with np.errstate(all="ignore"):
        for step in steps:
            values.append(evaluate(step, values, used))
    return values


def slopes_of(steps: tuple[Step, ...], used: Any) -> tuple[list[Any], list[Any]]:
    """Every register and its gradient."""
    values: list[Any] = []
    slopes: list[Any] = []
    with np.errstate(all="ignore"):
        for step in steps:
            values.append(evaluate(step, values, used))
            slopes.append(_differentiate(step, values, slopes, len(used)))
    return values, slopes


def evaluate(step: Step, registers: Any, used: Any) -> Any:
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


def linear_of(step: Step, forms: list[Linear | None], size: int) -> Linear | None:
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
