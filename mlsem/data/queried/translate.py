"""Variables of a formula as columns that an engine computes, by R's rules.

Arithmetic, comparisons and the functions of `arithmetic` are written as expressions of the engine.
What is made of text, categories or `factor()` is evaluated as of any data frame, over the few
combinations of values that the rows have, and looked up. What neither can is `Untranslated`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.design.r_bases import Scaled
from mlsem.data.design.r_evaluate import Memory, Scope, Variable
from mlsem.data.design.r_functions import CONSTANTS, OPERATORS
from mlsem.data.design.r_values import Factor
from mlsem.data.engine.query import aggregated
from mlsem.data.queried.arithmetic import (
    COMPARED,
    FUNCTIONS,
    LOGICAL,
    SIGNS,
    Numbers,
    Value,
    known,
    operated,
)
from mlsem.syntax.r_language import Call, Constant, Symbol, symbols

if TYPE_CHECKING:
    import narwhals as nw

    from mlsem.syntax.r_language import Expression

MOST = 200
"""Combinations of values that are looked up."""


class Untranslated(Exception):
    """An engine cannot compute it as R does."""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A variable of a formula.

    Attributes
    ----------
    expression : narwhals.Expr
        Its numbers, or the codes of its levels from 0 on.
    where : narwhals.Expr or None
        1 where it is not missing, else 0; None where its numbers say so.
    variable : Variable
        As of a data frame; its values are those of no row, but a factor's have the levels.
    """

    expression: nw.Expr
    where: nw.Expr | None
    variable: Variable

    @property
    def factor(self) -> Factor | None:
        values = self.variable.values
        return values if isinstance(values, Factor) else None


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of a query that a formula speaks of.

    Attributes
    ----------
    frame : narwhals.LazyFrame
        Has them under the names of `place`: numbers as double, text as text.
    place : mapping of str to str
        By the user's names.
    texts, logicals : frozenset of str
        Which of them are text or categories, and which truth values.
    """

    frame: nw.LazyFrame[Any]
    place: Mapping[str, str]
    texts: frozenset[str]
    logicals: frozenset[str]

    def column(self, name: str) -> nw.Expr:
        import narwhals as nw

        return nw.col(self.place[name])


class Translator:
    """Makes the variables of a formula.

    Parameters
    ----------
    columns : Columns
    text : str
        The formula.

    Attributes
    ----------
    memory : dict
        What the formula has learned of all rows, as a `Scope` learns it.
    """

    def __init__(self, columns: Columns, text: str) -> None:
        self.columns, self.text = columns, text
        self.memory: Memory = {}

    def made(self, name: str, expression: Expression) -> Made:
        """A variable.

        Raises
        ------
        Untranslated
        SpecificationError, DataError
            As of a data frame.
        """
        names = tuple(
            each for each in dict.fromkeys(named_in(expression)) if each in self.columns.place
        )
        if not names:
            raise Untranslated
        if _leveled(expression) or self.columns.texts.intersection(names):
            return self._looked_up(name, expression, names)
        value = self._value(expression)
        if not isinstance(value, Numbers):
            raise Untranslated
        plain = isinstance(expression, Symbol)
        kind: Any = np.empty((0, 1))
        if value.logical and not plain:
            kind = Factor(np.empty(0, dtype=np.intp), ("FALSE", "TRUE"))
        return Made(known(value.expression), None, Variable(name, kind, names, plain, False))

    # --- numbers ---

    def _value(self, expression: Expression) -> Value:
        if isinstance(expression, Constant):
            if (
                not isinstance(expression.value, (int, float))
                or expression.value != expression.value
            ):
                raise Untranslated
            return expression.value
        if isinstance(expression, Symbol):
            return self._named(expression)
        if expression.function in ("I", "identity", "(") and len(expression.arguments) == 1:
            return self._value(expression.arguments[0])
        if expression.kind == "call":
            return self._called(expression)
        if expression.function not in (*SIGNS, *COMPARED, *LOGICAL):
            raise Untranslated
        values = [self._value(each) for each in expression.arguments]
        if not any(isinstance(each, Numbers) for each in values):
            return OPERATORS[expression.function](*values)  # type: ignore[arg-type,return-value]
        return operated(expression.function, values)

    def _named(self, symbol: Symbol) -> Value:
        name = symbol.name
        if name in self.columns.place:
            return Numbers(self.columns.column(name), name in self.columns.logicals)
        value = CONSTANTS.get(name)
        if value is None:
            raise Untranslated
        self.memory[symbol.span] = float(value)
        return value

    def _called(self, call: Call) -> Value:
        if not call.arguments or any(call.names[:1]):
            raise Untranslated
        first = self._value(call.arguments[0])
        if not isinstance(first, Numbers):
            raise Untranslated
        column = known(first.expression)
        options = dict(zip(call.names[1:], call.arguments[1:], strict=True))
        function = FUNCTIONS.get(call.function)
        if function is not None and not options:
            return Numbers(function(column))
        if call.function in ("scale", "center"):
            return self._scaled(call, column, options)
        if call.function == "log" and set(options) <= {None, "base"} and len(call.arguments) == 2:
            base = self._value(call.arguments[1])
            if isinstance(base, float) and base > 0.0:
                return Numbers(column.log() / float(np.log(base)))
        raise Untranslated

    def _scaled(
        self, call: Call, column: nw.Expr, options: Mapping[str | None, Expression]
    ) -> Value:
        """`scale` and `center`, by the mean and the sd of all rows that have a value."""
        asked = {"center": True, "scale": call.function == "scale"}
        for name, each in options.items():
            value = each.value if isinstance(each, Constant) else None
            if name not in asked or call.function == "center" or not isinstance(value, bool):
                raise Untranslated
            asked[name] = value
        centre, scale = 0.0, 1.0
        if asked["center"]:
            near, _ = self._mean(column)
            centre = near + self._mean(column - near)[0]
        if asked["scale"]:
            mean, rows = self._mean((column - centre) ** 2)
            scale = float(np.sqrt(mean * rows / max(1, rows - 1)))
        self.memory[call.span] = Scaled((centre,), (scale,))
        return Numbers((column - centre) / scale)

    def _mean(self, column: nw.Expr) -> tuple[float, int]:
        """The mean of a column, and how many rows have it."""
        import narwhals as nw

        frame = self.columns.frame.select(column.alias("value"))
        told = [nw.col("value").sum(), nw.col("value").count().alias("rows")]
        total, rows = aggregated(frame, (), told).iloc[0].tolist()
        if not rows:
            raise Untranslated
        return float(total) / int(rows), int(rows)

    # --- levels ---

    def _looked_up(self, name: str, expression: Expression, names: tuple[str, ...]) -> Made:
        """By its value for each combination of values that the rows have."""
        import narwhals as nw

        if _counts_rows(expression):
            raise Untranslated
        place = self.columns.place
        by = [place[each] for each in names]
        groups = self.columns.frame.group_by(*by).agg(nw.len().alias("rows")).head(MOST + 1)
        table = aggregated(groups, (), [nw.col(each) for each in by])
        if len(table) > MOST:
            raise Untranslated
        table.columns = list(names)
        for each in self.columns.logicals.intersection(names):
            table[each] = table[each].astype("boolean")
        scope = Scope(table, self.text)
        variable = scope.variable(name, expression)
        self.memory |= scope.memory
        values: Any = variable.values
        if not isinstance(values, Factor) and values.shape[1] > 1:
            raise Untranslated
        results = values.codes if isinstance(values, Factor) else values[:, 0]
        there = ~variable.missing
        conditions: dict[float, list[nw.Expr]] = {}
        for row in np.flatnonzero(there).tolist():
            is_row = self._is_row({each: table[each].iloc[row] for each in names})
            conditions.setdefault(float(results[row]), []).append(is_row)
        if not conditions:
            raise Untranslated
        parts = [(result, _any(each).cast(nw.Float64)) for result, each in conditions.items()]
        total = nw.sum_horizontal(*(result * part for result, part in parts))
        found = nw.sum_horizontal(*(part for _, part in parts))
        return Made(total, found, variable)

    def _is_row(self, values: Mapping[str, Any]) -> nw.Expr:
        import narwhals as nw

        conditions: list[nw.Expr] = []
        for name, value in values.items():
            column = self.columns.column(name)
            if _is_missing(value):
                conditions.append(column.is_null())
            else:
                wanted = str(value) if name in self.columns.texts else float(value)
                conditions.append((column == wanted).fill_null(False))
        return (
            conditions[0]
            if len(conditions) == 1
            else nw.all_horizontal(*conditions, ignore_nulls=True)
        )


def _is_missing(value: Any) -> bool:
    return value is None or value != value or str(value) in ("<NA>", "NaT")


def _any(conditions: list[nw.Expr]) -> nw.Expr:
    import narwhals as nw

    if len(conditions) == 1:
        return conditions[0]
    return nw.any_horizontal(*conditions, ignore_nulls=True)


# --- what a formula asks of a column --------------------------------------------------------------

_LEVELED = re.compile(
    r"(as\.)?(factor|ordered|character|logical)|as\.integer|droplevels|relevel|cut|interaction|C"
)
_OF_ROWS = frozenset(("scale", "center", "poly", "bs", "ns", "mean", "median", "sd", "var", "sum"))


def named_in(expression: Expression) -> list[str]:
    """The names that stand for columns; a coding, as in `C(f, sum)`, does not."""
    if isinstance(expression, Call) and expression.function == "C" and expression.kind == "call":
        return symbols(expression.arguments[0])
    if isinstance(expression, Call):
        return [name for each in expression.arguments for name in named_in(each)]
    return symbols(expression)


def _leveled(expression: Expression) -> bool:
    """Whether it makes levels, or text."""
    if isinstance(expression, Call):
        own = expression.kind == "call" and _LEVELED.fullmatch(expression.function)
        return bool(own) or any(map(_leveled, expression.arguments))
    return isinstance(expression, Constant) and isinstance(expression.value, str)


def _counts_rows(expression: Expression) -> bool:
    """Whether it says something else of values that more rows have."""
    return isinstance(expression, Call) and (
        expression.function in _OF_ROWS or any(map(_counts_rows, expression.arguments))
    )
