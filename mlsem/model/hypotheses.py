"""Constraints to be tested: as text in the model's language, or as a matrix."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.records import Array
from mlsem.errors import (
    ModelSyntaxError,
    OptionValueError,
    Span,
    SpecificationError,
    closest,
    listed,
    nearest,
)
from mlsem.model.expressions import Symbols, compile_expression
from mlsem.syntax.expressions import MAX_DEPTH, expression_of
from mlsem.syntax.items import Item, Relation
from mlsem.syntax.layout import layout
from mlsem.syntax.nodes import Binary
from mlsem.syntax.parse import statements

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlsem.model.table import ParameterTable


_PLAIN = re.compile(r"[\w.]+|`[^`]*`")  # a number or name, which a minus sign may precede


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """Constraints at the estimates: `values` (q,), their `gradients` (q, npar), and in words."""

    values: Array
    gradients: Array
    constraints: tuple[str, ...]
    names: tuple[str, ...]


# --- constraints as a matrix ----------------------------------------------------------------------


def read_hypothesis(
    constraints: object, table: ParameterTable, params: Array, rhs: object
) -> Hypothesis:
    """The constraints at these parameters.

    Parameters
    ----------
    constraints : str, list of str, array (q, npar) or (npar,), DataFrame or Series
    rhs : array (q,), number or None
        Of a matrix.

    Raises
    ------
    ModelSyntaxError, SpecificationError
        A text is no constraint, or names what is no parameter; with line, column and caret.
    OptionValueError
        A matrix does not fit the parameters.
    """
    texts = [constraints] if isinstance(constraints, str) else constraints
    if isinstance(texts, (list, tuple)) and texts and all(isinstance(x, str) for x in texts):
        if rhs is not None:
            raise OptionValueError("rhs belongs to a matrix: in a text write it after '=='.")
        return _of_texts([str(text) for text in texts], table, params)
    matrix = _matrix(constraints, table.names)
    right = _right(rhs, len(matrix))
    lefts = [_row_text(row, table.names) for row in matrix]
    sides = list(zip(lefts, (f"{value:g}" for value in right), strict=True))
    return Hypothesis(
        values=matrix @ params - right,
        gradients=matrix,
        constraints=tuple(f"{left} == {value}" for left, value in sides),
        names=tuple(_less(left, value) for left, value in sides),
    )


def _matrix(constraints: Any, names: tuple[str, ...]) -> Array:
    frame = constraints
    if hasattr(frame, "to_frame") and not hasattr(frame, "columns"):
        frame = frame.to_frame().T  # a Series is one constraint
    if hasattr(frame, "columns"):
        return _of_columns(frame, names)
    matrix = np.atleast_2d(_numbers(constraints, "constraints"))
    if matrix.ndim != 2 or not len(matrix) or matrix.shape[1] != len(names):
        raise OptionValueError(
            f"constraints have shape {np.shape(constraints)}: a matrix has one row per constraint "
            f"and one column for each of the {len(names)} parameters {listed(names)}. A DataFrame "
            "needs only the columns that are not 0."
        )
    return matrix


def _of_columns(frame: Any, names: tuple[str, ...]) -> Array:
    """A frame's columns in the order of the parameters, 0 where there is none."""
    columns = [str(name) for name in frame.columns]
    for name in columns:
        if name not in names:
            raise OptionValueError(
                f"constraints have a column {name!r}, which is no parameter.{nearest(name, names)}"
                f" Those are {listed(names)}."
            )
        if columns.count(name) > 1:
            raise OptionValueError(f"constraints have {columns.count(name)} columns {name!r}.")
    values = _numbers(frame.to_numpy(), "constraints").reshape(-1, len(columns))
    if not len(values):
        raise OptionValueError("constraints have no rows: write one per constraint.")
    matrix = np.zeros((len(values), len(names)))
    matrix[:, [names.index(name) for name in columns]] = values
    return matrix


def _right(rhs: object, q: int) -> Array:
    if rhs is None:
        return np.zeros(q)
    right = _numbers(rhs, "rhs")
    if right.shape not in ((), (q,)):
        raise OptionValueError(
            f"rhs has shape {right.shape}: it is one number, or one for each of the {q} rows."
        )
    return np.broadcast_to(right, (q,))


def _numbers(values: Any, what: str) -> Array:
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise OptionValueError(
            f"{what} {type(values).__name__!r} cannot be read: write a text such as "
            "'a == b; c == 0', a list of them, or a matrix of numbers."
        ) from None
    if not np.isfinite(numbers).all():
        raise OptionValueError(f"{what} have a value that is missing or infinite.")
    return numbers


def _row_text(row: Array, names: tuple[str, ...]) -> str:
    """`a - 2*b` of coefficients."""
    text = ""
    for k in np.flatnonzero(row):
        name = names[k] if _PLAIN.fullmatch(names[k]) else f"`{names[k]}`"
        sign = (" - " if text else "-") if row[k] < 0 else (" + " if text else "")
        text += sign + ("" if abs(row[k]) == 1 else f"{abs(row[k]):g}*") + name
    return text or "0"


def _less(left: str, right: str) -> str:
    """The text of left - right."""
    if right == "0":
        return left
    return f"{left} - {right if _PLAIN.fullmatch(right) else f'({right})'}"


# --- constraints as text --------------------------------------------------------------------------

_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_UNEQUAL = re.compile(r"^[^#\n]*?(!=)", re.MULTILINE)
_UNFINISHED = re.compile(r"(==|[-+*/^])\s*$")
_RELATION = re.compile(r"=~|~\*~|<~|\|~|~~|~|:=|==|<|>|\||,")
_INEQUALITY = (
    "a Wald test is of equalities: under an inequality its statistic is no chi-square but a "
    "mixture of several. Test '=='; for a one-sided test of one constraint halve its p value if "
    "the estimate has the expected sign."
)
_REFUSED = {
    "<": _INEQUALITY,
    ">": _INEQUALITY,
    ":=": "':=' belongs to the model: define it there, and name it here.",
    ",": "constraints stand on lines of their own, or between ';', not ','.",
}
_FORMULA = (
    "{!r} has no meaning in a constraint: name a parameter by its label, or in backticks by its "
    "name in fit.params, such as `{}`."
)


def _of_texts(texts: Sequence[str], table: ParameterTable, params: Array) -> Hypothesis:
    names = _Names.of(table)
    statements = [each for text in texts for each in _read(text, names, params)]
    if not statements:
        raise OptionValueError("no constraint to test: write one, such as 'a == b'.")
    values, gradients, constraints, differences = zip(*statements, strict=True)
    return Hypothesis(np.array(values), np.array(gradients), constraints, differences)


def _read(text: str, names: _Names, params: Array) -> Iterator[tuple[float, Array, str, str]]:
    """Value, gradient, constraint and difference of each statement of a text."""
    try:
        for relation, clean in _relations(text, names):
            left, right = (
                " ".join(clean[item.span.start : item.span.end].split()).replace('"', "`") or "0"
                for item in (relation.left, relation.right)
            )
            value, gradient = names.evaluate(relation, params)
            yield value, gradient, f"{left} == {right}", _less(left, right)
    except (ModelSyntaxError, SpecificationError) as error:
        # Inside, errors know their place but not the text it is a place in.
        raise type(error)(error.message, text, error.span) from None


def _relations(text: str, names: _Names) -> Iterator[tuple[Relation, str]]:
    """The statements of a text, an expression alone as `== 0`; and its text, in its place."""
    unequal = _UNEQUAL.search(text)
    if unequal:
        message = "'!' begins a comment and '!=' is no constraint: a test is of '=='."
        raise ModelSyntaxError(message, None, Span(*unequal.span(1)))
    quoted = text.replace("`", '"')
    clean = layout(quoted)
    for line in re.finditer(r"[^\n]*\S[^\n]*", clean):
        bare = _check_statement(_QUOTED.sub(lambda it: "q" * len(it[0]), line[0]), line, names)
        # Blanks before the statement keep its place in the text.
        padded = " " * line.start() + line[0] + (" == 0\n" if bare else "\n")
        (relation,) = statements(quoted, padded)
        assert isinstance(relation, Relation)
        yield relation, padded


def _check_statement(masked: str, line: re.Match[str], names: _Names) -> bool:
    """Refuse what is no constraint; whether this is an expression alone."""
    relations = list(_RELATION.finditer(masked))
    for relation in relations:
        if relation[0] != "==":
            span = Span(line.start() + relation.start(), line.start() + relation.end())
            message = _REFUSED.get(relation[0]) or _FORMULA.format(relation[0], names.example)
            raise ModelSyntaxError(message, None, span)
    unfinished = _UNFINISHED.search(masked)
    if unfinished:
        span = Span(line.start() + unfinished.start(1), line.start() + unfinished.end(1))
        raise ModelSyntaxError(f"nothing follows {unfinished[1]!r}.", None, span)
    return not relations


@dataclass(frozen=True, slots=True)
class _Names:
    """What constraints may name: labels, definitions, and in quotes every free parameter.

    `stand_ins` are labels for the names that are none.
    """

    symbols: Symbols
    known: frozenset[str]
    stand_ins: dict[str, str]
    example: str

    @classmethod
    def of(cls, table: ParameterTable) -> _Names:
        symbols = Symbols.of(table)
        known = frozenset((*symbols.positions, *symbols.constants, *symbols.definitions))
        prefix = "_" * (1 + max(map(len, known), default=0))  # longer than any label
        others = {name: k for k, name in enumerate(table.names) if name not in known}
        stand_ins = {name: f"{prefix}{k}" for name, k in others.items()}
        positions = {**symbols.positions, **{stand_ins[name]: k for name, k in others.items()}}
        example = next(iter(others), table.names[0])
        return cls(replace(symbols, positions=positions), known, stand_ins, example)

    def evaluate(self, relation: Relation, params: Array) -> tuple[float, Array]:
        """left - right and its gradient."""
        left, right = (expression_of(self.resolved(x)) for x in (relation.left, relation.right))
        difference = Binary("-", left, right, relation.span)
        compiled = compile_expression(difference, self.symbols)
        if compiled.is_constant:
            raise SpecificationError(
                "no free parameter is in this constraint: there is nothing to test.",
                None,
                relation.span,
            )
        value, gradient = float(compiled.value(params)), compiled.gradient(params)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise SpecificationError(
                "this constraint has no finite value or slope at the estimates.",
                None,
                relation.span,
            )
        return value, gradient

    def resolved(self, item: Item) -> Item:
        """The item with labels in place of names in quotes."""
        if item.depth > MAX_DEPTH:
            return item  # `expression_of` refuses it
        if item.kind not in ("name", "string"):
            return replace(item, parts=tuple(self.resolved(part) for part in item.parts))
        name = "".join(item.words[0].split())
        if item.kind == "string" and name in self.stand_ins:
            name = self.stand_ins[name]
        elif name not in self.known:
            raise SpecificationError(
                f"{name!r} is no label and no ':=' of the model. Parameters without a label are "
                f"named in backticks, such as `{self.example}`." + self._suggestion(name),
                None,
                item.span,
            )
        return replace(item, kind="name", words=(name,))

    def _suggestion(self, name: str) -> str:
        """The nearest name, in backticks where it needs them."""
        nearest_name = closest(name, (*self.known, *self.stand_ins))
        if nearest_name is None:
            return ""
        return (
            f" Did you mean `{nearest_name}`?"
            if nearest_name in self.stand_ins
            else f" Did you mean {nearest_name!r}?"
        )
