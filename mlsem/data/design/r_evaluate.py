"""Expressions of a formula, evaluated over a data frame as R does: on all rows, missing ones too.

A name is a column of the frame, else a constant; a function is one of `FUNCTIONS`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from pandas.arrays import BooleanArray

from mlsem.data.design.r_factors import dropped
from mlsem.data.design.r_functions import CONSTANTS, FUNCTIONS, OPERATORS
from mlsem.data.design.r_values import (
    Factor,
    Levels,
    Refused,
    Value,
    column_value,
    factor_of,
    is_character,
    missing,
    numbers,
)
from mlsem.data.table.columns import require_column
from mlsem.errors import SpecificationError, listed, nearest
from mlsem.syntax.r_language import Call, Constant, Expression, Symbol, deparse, symbols

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from mlsem.core.records import Array
    from mlsem.errors import Span


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A variable of the model: what stands between the signs of a formula.

    Attributes
    ----------
    name : str
        As R writes it.
    values : (n, k) array or Factor
    columns : tuple of str
        Columns of the data that it is made of.
    plain : bool
        It is one of them, as it stands.
    may_miss : bool
        The formula itself makes values missing (`NA`), which is no slip.
    """

    name: str
    values: Array | Factor
    columns: tuple[str, ...]
    plain: bool
    may_miss: bool

    @property
    def missing(self) -> NDArray[np.bool_]:
        return missing(self.values)

    def taken(self, keep: NDArray[np.bool_] | None) -> Variable:
        """At the rows kept, less the levels of which none is left."""
        values = self.values
        if isinstance(values, Factor):
            codes = values.codes if keep is None else values.codes[keep]
            return replace(self, values=dropped(replace(values, codes=codes)))
        return self if keep is None else replace(self, values=values[keep])


Learned: TypeAlias = "Callable[[Value], Value] | float"
"""What a part of a formula has learned of a whole column: how to make it of others, or a number."""

Memory: TypeAlias = "dict[Span, Learned]"


class Scope:
    """A data frame as a formula sees it.

    Parameters
    ----------
    memory : dict, optional
        What the formula learned of another frame, and says of this one: means, knots, levels.

    Raises
    ------
    SpecificationError
        A function that there is not, or that cannot take what it is given.
    DataError
        A column that there is not, or whose type has no place in a model.
    """

    def __init__(self, frame: pd.DataFrame, text: str, memory: Memory | None = None) -> None:
        self.frame, self.text = frame, text
        self.read: dict[str, Value] = {}
        self.learns = memory is None
        self.memory: Memory = {} if memory is None else memory

    def variable(self, name: str, expression: Expression) -> Variable:
        """A variable with a value for each row."""
        with np.errstate(all="ignore"):  # the caller looks at the values
            value = self.value(expression)
        try:
            values = self._column(value, computed=not isinstance(expression, Symbol))
        except Refused as refused:
            raise self._error(expression, str(refused)) from None
        names = symbols(expression)
        columns = tuple(each for each in names if each in self.read)
        return Variable(
            name, values, columns, isinstance(expression, Symbol), _names_missing(expression)
        )

    def _column(self, value: Value, *, computed: bool) -> Array | Factor:
        """A column of logicals is numbers; what the formula computes, a factor as in R."""
        rows = len(self.frame)
        logical = computed and isinstance(value, BooleanArray)
        text = is_character(value) and not isinstance(value, str)
        given = factor_of(value) if text or logical else value
        if isinstance(given, Factor):
            if len(given) != rows:
                raise Refused(f"it gives {len(given)} values for {rows} rows")
            return given
        column = np.asarray(numbers(given, "a column is needed"), dtype=np.float64)
        if column.ndim == 0:
            raise Refused("it gives no column")
        if len(column) != rows:
            raise Refused(f"it gives {len(column)} values for {rows} rows")
        return column if column.ndim == 2 else column[:, None]

    def value(self, expression: Expression) -> Value:
        if isinstance(expression, Constant):
            return expression.value
        known = self.memory.get(expression.span)
        if isinstance(known, (int, float)) and not self.learns:
            return known
        if isinstance(expression, Symbol):
            return self._same(expression, self._named(expression))
        return self._call(expression)

    def _same(self, expression: Expression, value: Value) -> Value:
        """With the levels, or the number, that were learned; else they are learned now."""
        place = expression.span
        if self.learns:
            if isinstance(value, Factor):
                self.memory[place] = Levels.of(value)
            elif isinstance(value, (int, float)):
                self.memory[place] = value
            return value
        levels = self.memory.get(place)
        if not isinstance(levels, Levels):
            return value
        try:
            return levels(value)
        except Refused as refused:
            raise self._error(expression, str(refused)) from None

    def _call(self, expression: Call) -> Value:
        function = OPERATORS.get(expression.function) if expression.kind != "call" else None
        function = function or FUNCTIONS.get(expression.function)
        if function is None:
            raise self._unknown(expression)
        arguments = self._arguments(expression)
        names = tuple(name and name.replace(".", "_") for name in expression.names)
        keywords = {
            name: each for name, each in zip(names, arguments, strict=True) if name is not None
        }
        places = [each for name, each in zip(names, arguments, strict=True) if name is None]
        if (
            expression.kind == "call" and not _takes(function, len(places), frozenset(keywords))
        ) or (len(keywords) + len(places) < len(arguments)):
            raise self._error(expression, f"it takes {_signature(expression.function)}")
        try:
            learn = getattr(function, "learn", None)
            if learn is not None:
                return self._learned(expression.span, learn, places, keywords)
            return self._same(expression, _one_number(function(*places, **keywords)))
        except Refused as refused:
            raise self._error(expression, str(refused)) from None
        except ValueError:  # numpy cannot bring the shapes together
            raise self._error(expression, "its columns differ in length") from None

    def _learned(
        self, place: Span, learn: Any, places: list[Value], keywords: dict[str, Value]
    ) -> Value:
        if self.learns:
            self.memory[place] = learn(*places, **keywords)
        make: Any = self.memory[place]
        return make(places[0] if places else keywords["x"])

    def _arguments(self, call: Call) -> list[Value]:
        """The values of the arguments; a coding is named, not computed."""
        coded = call.function == "C" and call.kind == "call"
        return [
            each.name if coded and k and isinstance(each, Symbol) else self.value(each)
            for k, each in enumerate(call.arguments)
        ]

    def _named(self, symbol: Symbol) -> Value:
        name = symbol.name
        if name in self.read:
            return self.read[name]
        if name in CONSTANTS and name not in self.frame.columns:
            return CONSTANTS[name]
        if name.startswith("np.") and name not in self.frame.columns:
            raise self._unknown(symbol)
        column = require_column(self.frame, name, "the formula needs the variable")
        self.read[name] = column_value(self.frame, column, name)
        return self.read[name]

    def _error(self, expression: Expression, why: str) -> SpecificationError:
        return SpecificationError(f"{deparse(expression)}: {why}.", self.text, expression.span)

    def _unknown(self, unknown: Call | Symbol) -> SpecificationError:
        name = unknown.function if isinstance(unknown, Call) else unknown.name
        if name in ELSEWHERE:
            message = ELSEWHERE[name]
        elif isinstance(unknown, Call) and unknown.kind != "call":
            message = f"'{name}' has no meaning here"
        else:
            message = f"the function {name!r} is not known to formulas.{_instead(name)}"
        return SpecificationError(message.rstrip(".") + ".", self.text, unknown.span)


def _one_number(value: Value) -> Value:
    """What numpy gives for single numbers is one number of Python's; the rest stays as it is."""
    if isinstance(value, (np.ndarray, np.generic)) and value.ndim == 0:
        return value.item()
    return value


def _instead(name: str) -> str:
    if f"np.{name}" in FUNCTIONS:
        return f" Numpy's is written np.{name}"
    plain = name.removeprefix("np.")
    if plain in FUNCTIONS:
        return f" R's is written {plain}"
    known = [each for each in FUNCTIONS if not each.startswith("np.")]
    return nearest(name, known, 0.75) or " Make a column of the data that has what it computes"


def _names_missing(expression: Expression) -> bool:
    """Whether the expression writes `NA`."""
    if isinstance(expression, Constant):
        return isinstance(expression.value, float) and np.isnan(expression.value)
    return isinstance(expression, Call) and any(map(_names_missing, expression.arguments))


@cache
def _parameters(function: Any) -> tuple[list[str], int, bool]:
    """Names, how many of them are required, and whether there is any number of them."""
    parameters = inspect.signature(function).parameters.values()
    plain = [each for each in parameters if each.kind is not inspect.Parameter.VAR_POSITIONAL]
    required = sum(each.default is inspect.Parameter.empty for each in plain)
    return [each.name for each in plain], required, len(plain) < len(parameters)


def _takes(function: Any, places: int, keywords: frozenset[str]) -> bool:
    names, required, many = _parameters(function)
    if many:
        return not keywords
    given = set(names[:places])
    filled = given | keywords
    fits = places <= len(names) and keywords <= set(names) and not given & keywords
    return fits and filled >= set(names[:required])


def _signature(name: str) -> str:
    names, _, many = _parameters(FUNCTIONS[name])
    return "values without names" if many else listed(each.replace("_", ".") for each in names)


ELSEWHERE = {
    "offset": "offset(): subtract it from the outcome in the data instead",
    "cbind": "cbind(): a mixed model has one outcome; for more of them use mlsem.fit",
    "weights": "weights() are not available",
    "Surv": "Surv() is for survival times, which lmm does not fit",
    **{
        name: f"{name}() is a smooth of mgcv; splines are ns(x, df = 4) or bs(x, df = 5)"
        for name in ("s", "te", "ti", "t2", "rcs", "lo")
    },
    **{
        name: f"{name}() depends on the order of rows: make a column of the data"
        for name in ("lag", "diff", "cumsum", "shift")
    },
    "strata": "strata() is for survival models: a factor is written factor(x)",
    "mo": "mo() is of brms: make a column of numbers, or factor(x)",
    **{
        name: f"{name} is not among the functions of a formula: it is written {name[3:]}()"
        for name in ("np.mean", "np.median", "np.min", "np.max", "np.sum", "np.round")
    },
    "np.std": "np.std is not among the functions of a formula: R's, by n - 1, is written sd()",
}
