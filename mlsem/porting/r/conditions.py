"""R's conditions → Python's.

R's logical values are three: where a value is missing, a comparison is. A condition is therefore
translated twice, as where it is true and where it is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.porting.r.context import short
from mlsem.porting.r.layout import call, items, method
from mlsem.porting.r.nodes import Argument, Binary, Call, Node, Unary
from mlsem.porting.r.values import (
    AMPERSAND,
    AND,
    COMPARE,
    NOT,
    OR,
    PIPE,
    PLUS,
    UNARY,
    Refused,
    Value,
)

if TYPE_CHECKING:
    from mlsem.porting.r.context import Context
    from mlsem.porting.r.layout import Doc

COMPARISONS = {"==", "!=", "<", ">", "<=", ">="}
OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">"}
LOGICAL = {"&", "&&", "|", "||"}
COLUMNS = ("column", "frame", "series", "estimates")


def condition(context: Context, node: Node, holds: bool = True) -> Value:
    """Where a condition is true, or (`holds` False) where it is false: neither where it is
    missing."""
    match node:
        case Unary(operator="!", operand=operand):
            return condition(context, operand, not holds)
        case Binary(operator=operator, left=left, right=right) if operator in LOGICAL:
            return _joined(context, operator, left, right, holds)
        case Binary(operator=operator) if operator in COMPARISONS:
            return _comparison(context, node, holds)
        case Binary(operator="%in%", left=left, right=right):
            return _inside(context, left, right, holds)
        case Call(function="is.na", arguments=(Argument(value=Node() as of),)):
            return _missing(context, of, holds)
        case Call(function="complete.cases") if holds:
            return context.value(node)
        case _:
            value = context.value(node)
            if value.kind == "column":
                return _truth(value, holds)
            if value.kind != "flag":
                raise Refused(f"the condition {short(node.source)!r} is not translated.")
            return value if holds else Value(("not ", value.within(NOT)), "flag", NOT)


def _truth(value: Value, holds: bool) -> Value:
    """A column of TRUE and FALSE, or of 1 and 0, as a condition."""
    return Value(method(value.atom, "eq", "True" if holds else "False"), "condition")


def _joined(context: Context, operator: str, left: Node, right: Node, holds: bool) -> Value:
    first, second = condition(context, left, holds), condition(context, right, holds)
    is_and = (operator[0] == "&") is holds  # not (a and b) is (not a) or (not b)
    if first.kind == second.kind == "flag":
        binds = AND if is_and else OR
        word = " and " if is_and else " or "
        return Value((first.within(binds), word, second.within(binds)), "flag", binds)
    binds = AMPERSAND if is_and else PIPE
    left_doc = first.doc if first.binds == binds else first.within(PLUS)
    doc = (left_doc, " & " if is_and else " | ", second.within(PLUS))
    return Value(doc, "condition", binds)


def _comparison(context: Context, node: Binary, holds: bool) -> Value:
    left, right = context.value(node.left), context.value(node.right)
    operator = node.operator
    if "array" in (left.kind, right.kind):
        raise Refused("a comparison of what is computed here: make it a column first.")
    columns = [side for side in (left, right) if side.kind in ("column", "series")]
    doc: Doc
    if not columns:
        doc = (left.within(PIPE), f" {operator} ", right.within(PIPE))
        shown = Value(doc, "flag", COMPARE)
        return shown if holds else Value(("not ", doc), "flag", NOT)
    if not holds:
        operator = {"==": "!=", "!=": "=="}.get(operator) or OPPOSITE[operator]
    doc = (left.within(PIPE), f" {operator} ", right.within(PIPE))
    compared = Value(doc, "condition", COMPARE)
    own = [side for side in columns if side.kind == "column" and side.info != "estimates"]
    if operator != "!=" or not own:
        return compared
    parts: list[Doc] = [method(side.atom, "notna") for side in own]  # in pandas NaN != 1
    joined: Doc = tuple(piece for part in parts for piece in (part, " & "))
    return Value((joined, compared.within(AMPERSAND)), "condition", AMPERSAND)


def _inside(context: Context, left: Node, right: Node, holds: bool) -> Value:
    column, pool = context.value(left), context.value(right)
    if column.kind not in ("column", "series"):
        raise Refused("%in% of what is no column is not translated.")
    within = pool.doc if pool.kind != "text" else items((pool.doc,))
    doc = method(column.atom, "isin", within)
    return Value(doc, "condition") if holds else Value(("~", doc), "condition", UNARY)


def _missing(context: Context, node: Node, holds: bool) -> Value:
    value = context.value(node)
    if value.kind not in COLUMNS:
        raise Refused("is.na() of what is no column is not translated.")
    return Value(method(value.atom, "isna" if holds else "notna"), "condition")


def as_column(context: Context, node: Node, yes: Doc, no: Doc, nothing: Doc | None) -> Value:
    """What stands where a condition is true, where false, and where neither."""
    true, false = condition(context, node), condition(context, node, False)
    if true.kind == "flag":
        raise Refused("a condition that is of no column is not translated here.")
    doc = call(
        f"{context.numpy()}.select",
        items((true.doc, false.doc)),
        items((yes, no)),
        nothing if nothing is not None else f"{context.numpy()}.nan",
    )
    return Value(doc, "array")
