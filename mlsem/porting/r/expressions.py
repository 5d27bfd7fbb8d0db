"""R's expressions → Python's: names, literals, operators, indices; calls by the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.other_programs.functions import counterpart
from mlsem.porting.r.conditions import COMPARISONS, LOGICAL, condition
from mlsem.porting.r.context import FUNCTIONS, Bound, short
from mlsem.porting.r.indices import field, index
from mlsem.porting.r.layout import call, literal
from mlsem.porting.r.nodes import (
    Binary,
    Call,
    Constant,
    Field,
    Function,
    Index,
    Name,
    Node,
    Number,
    Other,
    Text,
    Unary,
)
from mlsem.porting.r.values import (
    ATOM,
    PLUS,
    POWER,
    TIMES,
    UNARY,
    Refused,
    Unavailable,
    Value,
    known_range,
)

if TYPE_CHECKING:
    from mlsem.porting.r.context import Context

ARITHMETIC = {
    "+": ("+", PLUS),
    "-": ("-", PLUS),
    "*": ("*", TIMES),
    "/": ("/", TIMES),
    "^": ("**", POWER),
    "**": ("**", POWER),
    "%%": ("%", TIMES),
    "%/%": ("//", TIMES),
}
LONG = 70
CONSTANTS = {"TRUE": "True", "FALSE": "False", "NULL": "None"}
SEVERAL = {"column", "frame", "series", "estimates", "array"}
FITS = {"sem", "lmm", "robust"}


def evaluate(context: Context, node: Node) -> Value:
    """The Python of an expression.

    Raises
    ------
    Refused
        Something in it has no translation.
    """
    match node:
        case Text(value=value):
            lines = "\n" in node.source or len(value) > LONG
            return Value(literal(value, lines=lines), "text", constant=value)
        case Number(literal=text):
            shown = f"0{text}" if text.startswith(".") else text
            return Value(shown, "number", constant=float(text))
        case Constant(name=name):
            return _constant(context, name)
        case Name(name=name):
            return _name(context, name)
        case Call():
            return _call(context, node)
        case Binary():
            return _binary(context, node)
        case Unary():
            return _unary(context, node)
        case Index():
            return index(context, node)
        case Field():
            return field(context, node)
        case Function():
            raise Refused("a function.")
        case Other(what=what):
            raise Refused(f"{what}.")
        case _:
            raise Refused(f"{short(node.source)!r} is not translated.")


def _constant(context: Context, name: str) -> Value:
    if name in ("NA", "Inf", "NaN"):
        attribute = "inf" if name == "Inf" else "nan"
        return Value(f"{context.numpy()}.{attribute}", "number")
    flag = {"TRUE": True, "FALSE": False}.get(name)
    return Value(CONSTANTS[name], "none" if flag is None else "flag", constant=flag)


def _name(context: Context, name: str) -> Value:
    if name in ("pi", "LETTERS", "letters") and name not in context.variables:
        if name == "pi":
            return Value(f"{context.numpy()}.pi", "number")
        raise Refused(f"{name} is not translated.")
    column = context.column(name)
    if column is not None and name not in context.variables:
        return column
    known = context.variable(name)
    if known is None:
        raise Refused(f"the script does not say before what {name} is.")
    if column is not None:
        if known.kind in SEVERAL | FITS:
            return column
        context.remark(f"{name} is the script's variable here, not a column of this name.")
    return known


def _call(context: Context, node: Call) -> Value:
    if isinstance(context.variables.get(node.function), Unavailable):
        context.variable(node.function)  # a function of the script's own
    entry = FUNCTIONS.get(node.function)
    if entry is None:
        raise Refused(_of_unknown(node.function))
    bound = Bound(context, node, entry.formals)
    value = entry.translate(context, bound)
    bound.finish(entry.lenient)
    return value


def _of_unknown(function: str) -> str:
    """What there is in place of a function that is not translated."""
    known = counterpart(function)
    if known is None:
        return f"{function}() has no translation here."
    here = f"here it is {known.here}." if known.here else "has no counterpart here."
    return f"{function}(): {here} {known.note}".rstrip()


# --- operators ----------------------------------------------------------------------------------


def _binary(context: Context, node: Binary) -> Value:
    operator = node.operator
    if operator == "~":
        text = formula_text(node)
        return Value(literal(text), "formula", constant=text)
    if operator in COMPARISONS | LOGICAL or operator == "%in%":
        return condition(context, node)
    if operator == ":":
        return _range(context, node)
    if operator not in ARITHMETIC:
        raise Refused(f"R's operator {operator} is not translated.")
    left, right = context.value(node.left), context.value(node.right)
    for side in (left, right):
        if side.kind in FITS | {"text", "texts", "test", "summary"}:
            raise Refused(f"{operator} of these is not translated.")
    sign, binds = ARITHMETIC[operator]
    first, second = (binds + 1, UNARY) if sign == "**" else (binds, binds + 1)
    kind = "series" if {left.kind, right.kind} & {"series", "estimates"} else "number"
    if {"column", "array"} & {left.kind, right.kind}:
        kind = "column" if "column" in (left.kind, right.kind) else "array"
    elif "numbers" in (left.kind, right.kind):
        left, right = _array(context, left), _array(context, right)
        kind = "series"
    tight = sign == "**" and _plain(left) and _plain(right)
    doc = (left.within(first), sign if tight else f" {sign} ", right.within(second))
    return Value(doc, kind, binds)


def _plain(value: Value) -> bool:
    return value.binds == ATOM and isinstance(value.doc, str)


def _array(context: Context, value: Value) -> Value:
    if value.kind != "numbers":
        return value
    return Value(call(f"{context.numpy()}.array", value.doc), "series")


def formula_text(node: Node) -> str:
    """A formula as R's script has it, in one line."""
    lines = (line.partition("#")[0] for line in node.source.splitlines())
    return " ".join(" ".join(lines).split())


def _range(context: Context, node: Binary) -> Value:
    first, last = context.value(node.left), context.value(node.right)
    start, end = first.constant, last.constant
    if not isinstance(start, float):
        raise Refused("a range whose beginning the script does not say is not translated.")
    if isinstance(end, float):
        if start > end:
            raise Refused("a range that runs down is not translated.")
        doc = call("range", f"{start:.0f}", f"{end + 1:.0f}")
        return Value(doc, "numbers", constant=known_range(int(start), int(end) + 1))
    return Value(call("range", f"{start:.0f}", (last.within(PLUS), " + 1")), "numbers")


def _unary(context: Context, node: Unary) -> Value:
    if node.operator == "!":
        return condition(context, node)
    if node.operator == "~":
        text = formula_text(node)
        return Value(literal(text), "formula", constant=text)
    inner = context.value(node.operand)
    if node.operator not in ("-", "+") or inner.kind not in SEVERAL | {"number", "any", "numbers"}:
        raise Refused(f"R's operator {node.operator} is not translated here.")
    constant = -inner.constant if isinstance(inner.constant, float) else None
    if node.operator == "+":
        return inner
    return Value(("-", inner.within(UNARY)), inner.kind, UNARY, constant)
