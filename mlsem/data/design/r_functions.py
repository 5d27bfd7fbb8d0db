"""The functions that a formula may call: R's by their names, numpy's ufuncs as `np.name`.

A formula reaches what stands in `FUNCTIONS`, and nothing else: no attribute, no method and no
keyword of Python's, so that a formula from a stranger computes columns and cannot do more. Each
function takes values of `r_values` and gives one; its parameters are R's with `_` for `.`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlsem.data.design import r_bases
from mlsem.data.design.r_factors import (
    contrasts,
    cut,
    droplevels,
    factor,
    interaction,
    ordered,
    relevel,
)
from mlsem.data.design.r_values import (
    Factor,
    Refused,
    Value,
    factor_of,
    flag,
    is_character,
    logical_array,
    logicals,
    missing,
    number,
    numbers,
    texts,
    vector,
    whole,
)

Function = Callable[..., Value]

CONSTANTS: dict[str, float | bool] = {
    "pi": np.pi,
    "np.pi": np.pi,
    "np.e": np.e,
    "T": True,
    "F": False,
}
LONGEST = 10_000
"""Numbers that a formula may write out with `:` or `seq()`."""


def _elementwise(function: Callable[..., Any], arity: int = 1) -> Function:
    """A function of numbers, value by value."""

    def apply(*arguments: Value) -> Value:
        if len(arguments) != arity:
            raise Refused(f"it takes {arity} value{'s' if arity > 1 else ''}")
        return function(*(numbers(each) for each in arguments))

    return apply


def _numpy() -> dict[str, Function]:
    """Numpy's functions of numbers that give one number for each."""
    names = sorted(np.__all__)  # numpy gives them in no order
    public = {name: getattr(np, name) for name in names}
    plain = {
        name: each
        for name, each in public.items()
        if isinstance(each, np.ufunc) and each.nout == 1 and each.signature is None
    }
    return {
        f"np.{name}": _elementwise(_ufunc(name, each), each.nin)
        for name, each in plain.items()
        if any(set(kinds.partition("->")[0]) == {"d"} for kinds in each.types)
    }


def _ufunc(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with float64 as result; what is asked of a missing value has no answer."""

    def apply(*values: Any) -> Any:
        answers = np.asarray(function(*values))
        if answers.dtype != bool or name in ("isnan", "isfinite", "isinf", "signbit"):
            return answers.astype(np.float64)
        absent = np.logical_or.reduce([np.isnan(each) for each in np.broadcast_arrays(*values)])
        return np.where(absent, np.nan, answers)

    return apply


_SAME = {
    **{name: name for name in ("exp", "expm1", "log1p", "log2", "log10", "sqrt", "abs", "sign")},
    **{name: name for name in ("floor", "trunc", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "ceiling": "ceil",
}


# --- arithmetic and logic: the operators --------------------------------------------------------


def _compared(sign: str) -> Function:
    compare = {"<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal}
    compare |= {"==": np.equal, "!=": np.not_equal}

    def apply(left: Value, right: Value) -> Value:
        if is_character(left) or is_character(right):
            if sign not in ("==", "!="):
                raise Refused("text is compared with == and !=; an order needs numbers")
            sides = [np.asarray(texts(each), dtype=object) for each in (left, right)]
            absent = sides[0] == None, sides[1] == None  # noqa: E711  element by element
            sides = [np.where(gap, "", side) for gap, side in zip(absent, sides, strict=True)]
        else:
            sides = [np.asarray(numbers(each)) for each in (left, right)]
            absent = np.isnan(sides[0]), np.isnan(sides[1])
        result = np.asarray(compare[sign](*sides), dtype=bool)
        return logical_array(np.atleast_1d(result), np.atleast_1d(absent[0] | absent[1]))

    return apply


def _and(left: Value, right: Value) -> Value:
    return logicals(left) & logicals(right)


def _or(left: Value, right: Value) -> Value:
    return logicals(left) | logicals(right)


def _not(value: Value) -> Value:
    truth = logicals(value)
    return not truth if isinstance(truth, bool) else ~truth


def _among(values: Value, table: Value) -> Value:
    """`x %in% table`: never missing."""
    if is_character(values) or is_character(table):
        wanted = set(np.atleast_1d(texts(table)).tolist())
        given = np.atleast_1d(texts(values)).tolist()
        return logical_array(np.array([each in wanted for each in given], dtype=bool))
    return logical_array(np.isin(np.atleast_1d(numbers(values)), numbers(table)))


def _minus(left: Value, *right: Value) -> Value:
    return np.subtract(numbers(left), numbers(right[0])) if right else -numbers(left)


def _plus(left: Value, *right: Value) -> Value:
    return np.add(numbers(left), numbers(right[0])) if right else numbers(left)


def _range(first: Value, last: Value) -> Value:
    """`1:4`"""
    low, high = number(first, "the first number"), number(last, "the last number")
    return _counted(low, high, 1.0 if high >= low else -1.0)


def seq(start: Value, to: Value, by: Value = 1.0) -> Value:
    return _counted(number(start, "from"), number(to, "to"), number(by, "by"))


def _counted(first: float, last: float, step: float) -> Value:
    steps = (last - first) / step if step else np.inf
    if not 0 <= steps <= LONGEST:
        raise Refused(f"that is no sequence of up to {LONGEST} numbers")
    return first + step * np.arange(int(steps + 1e-10) + 1)


OPERATORS: dict[str, Function] = {
    "+": _plus,
    "-": _minus,
    "*": _elementwise(np.multiply, 2),
    "/": _elementwise(np.true_divide, 2),
    "^": _elementwise(np.float_power, 2),
    "%%": _elementwise(np.mod, 2),
    "%/%": _elementwise(np.floor_divide, 2),
    "%in%": _among,
    ":": _range,
    "&": _and,
    "|": _or,
    "!": _not,
    "(": lambda inner: inner,
    **{sign: _compared(sign) for sign in ("<", ">", "<=", ">=", "==", "!=")},
}


# --- numbers ------------------------------------------------------------------------------------


def log(x: Value, base: Value = None) -> Value:
    natural = np.log(numbers(x))
    return natural if base is None else natural / np.log(number(base, "base"))


def rounded(x: Value, digits: Value = 0.0) -> Value:
    return np.round(numbers(x), whole(digits, "digits", -15, 15))


def ifelse(test: Value, yes: Value, no: Value) -> Value:
    """`yes` where the test is true, `no` where it is false, missing where it is."""
    asked = logicals(test)
    if isinstance(asked, bool):
        raise Refused("the test is a column")
    true, absent = asked.to_numpy(dtype=bool, na_value=False), np.asarray(asked.isna())
    if is_character(yes) or is_character(no):
        if isinstance(yes, Factor) or isinstance(no, Factor):
            raise Refused("R gives the numbers of a factor's levels here: make the column in data")
        first, second = (np.asarray(_text_or_missing(each), object) for each in (yes, no))
        chosen: Any = np.where(true, first, second)
        chosen[absent] = None
        return chosen
    chosen = np.where(true, numbers(yes), numbers(no)).astype(np.float64)
    return np.where(absent, np.nan, chosen)


def _text_or_missing(value: Value) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else texts(value)


def _summary(function: Callable[..., Any]) -> Function:
    """One number of a column; of what is there with `na.rm = TRUE`."""

    def apply(x: Value, na_rm: Value = False) -> Value:
        values = vector(x)
        absent = np.isnan(values)
        if absent.any() and not flag(na_rm, "na.rm"):
            raise Refused("its column has missing values: add na.rm = TRUE")
        if absent.all():
            raise Refused("every value is missing")
        return float(function(values[~absent]))

    return apply


def _sd(values: Any) -> Any:
    if len(values) < 2:
        raise Refused("one value has no standard deviation")
    return values.std(ddof=1)


def _parallel(function: Callable[..., Any]) -> Function:
    def apply(*columns: Value) -> Value:
        if not columns:
            raise Refused("it takes columns")
        result = numbers(columns[0])
        for each in columns[1:]:
            result = function(result, numbers(each))
        return result

    return apply


def _distribution(name: str) -> Function:
    def apply(x: Value) -> Value:
        from scipy import special

        return getattr(special, name)(numbers(x))

    return apply


def combined(*values: Value) -> Value:
    """`c(1, 2)`, `c("a", "b")`"""
    if any(map(is_character, values)):
        parts = [np.asarray(texts(each), dtype=object).reshape(-1) for each in values]
        return np.concatenate(parts)
    return np.concatenate([np.atleast_1d(numbers(each)) for each in values]) if values else None


# --- types --------------------------------------------------------------------------------------


def as_numeric(x: Value) -> Value:
    """Numbers; of text the numbers that it writes, of a factor the place of each level."""
    if isinstance(x, Factor):
        return np.where(x.codes < 0, np.nan, x.codes + 1.0)
    if is_character(x):
        return np.array([_parsed(each) for each in np.atleast_1d(texts(x))])
    return numbers(x)


def _parsed(text: str | None) -> float:
    if text is None:
        return np.nan
    try:
        return float(text)
    except ValueError:
        raise Refused(
            f"{text!r} is no number; the places of levels are as.numeric(factor(f))"
        ) from None


def as_integer(x: Value) -> Value:
    return np.trunc(as_numeric(x))  # type: ignore[arg-type]


def is_na(x: Value) -> Value:
    return logical_array(np.atleast_1d(missing(x)))


FUNCTIONS: dict[str, Function] = {
    **{name: _elementwise(getattr(np, ours)) for name, ours in _SAME.items()},
    **{f"p{name}": _distribution(ours) for name, ours in (("logis", "expit"), ("norm", "ndtr"))},
    **{f"q{name}": _distribution(ours) for name, ours in (("logis", "logit"), ("norm", "ndtri"))},
    **{name: _summary(getattr(np, name)) for name in ("mean", "median", "min", "max", "sum")},
    "sd": _summary(_sd),
    "var": _summary(lambda values: _sd(values) ** 2),
    "pmin": _parallel(np.minimum),
    "pmax": _parallel(np.maximum),
    **{name: getattr(r_bases, name) for name in ("scale", "center", "poly", "bs", "ns")},
    "log": log,
    "round": rounded,
    "ifelse": ifelse,
    "c": combined,
    "seq": seq,
    "I": lambda x: x,
    "identity": lambda x: x,
    "is.na": is_na,
    "as.numeric": as_numeric,
    "as.double": as_numeric,
    "as.integer": as_integer,
    "as.logical": logicals,
    "as.character": texts,
    "as.factor": factor_of,
    "factor": factor,
    "ordered": ordered,
    "droplevels": droplevels,
    "relevel": relevel,
    "cut": cut,
    "interaction": interaction,
    "C": contrasts,
    "np.where": ifelse,
}
FUNCTIONS |= _numpy()
