"""R's expressions → Python's: names, literals, operators, indices; calls by the table.

R's logical values have three: where a value is missing, a comparison is. A condition is therefore
translated twice, as where it is true and where it is false.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.porting.r.context import FUNCTIONS, Bound, short, table_or_value
from mlsem.porting.r.layout import at, call, items, literal, method
from mlsem.porting.r.nodes import (
    Argument,
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
    AMPERSAND,
    AND,
    ATOM,
    COMPARE,
    NOT,
    OR,
    PIPE,
    PLUS,
    POWER,
    TIMES,
    UNARY,
    Refused,
    Value,
)

if TYPE_CHECKING:
    from mlsem.porting.r.context import Context
    from mlsem.porting.r.layout import Doc

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
COMPARISONS = {"==", "!=", "<", ">", "<=", ">="}
OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">"}
LOGICAL = {"&", "&&", "|", "||"}
LONG = 70
CONSTANTS = {"TRUE": "True", "FALSE": "False", "NULL": "None"}
SEVERAL = {"column", "frame", "series", "estimates"}
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
            return _index(context, node)
        case Field():
            return _field(context, node)
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
    entry = FUNCTIONS.get(node.function)
    if entry is None:
        raise Refused(f"{node.function}() has no translation here.")
    bound = Bound(context, node, entry.formals)
    value = entry.translate(context, bound)
    bound.finish()
    return value


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
    if "column" in (left.kind, right.kind):
        kind = "column"
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
        return Value(doc, "numbers", constant=(int(start), int(end)))
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


# --- conditions ---------------------------------------------------------------------------------


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
    if value.kind not in SEVERAL:
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
    return Value(doc, "column")


# --- $ and [ ] ----------------------------------------------------------------------------------


def _field(context: Context, node: Field) -> Value:
    of = table_or_value(context, node.of)
    if of.kind == "estimates":
        return Value(at(of.atom, literal(estimates_column(node.name))), "column", info="estimates")
    if of.kind == "frame":
        return Value(at(of.atom, literal(node.name)), "column", info=node.name)
    if of.kind == "dict":
        return Value(at(of.atom, literal(node.name)))
    if of.kind == "test":
        return _of_test(of, node.name)
    if of.kind == "summary" and node.name == "coefficients" and of.info is not None:
        raise Refused("the table of coefficients is fit.parameter_estimates(), as a data frame.")
    raise Refused(f"${node.name} of this is not translated.")


ESTIMATES = {
    "z": "stat",
    "est.std": "est_std",
    "ci.lower": "ci_lower",
    "ci.upper": "ci_upper",
    "std.lv": "std_lv",
    "std.all": "std_all",
    "std.nox": "std_nox",
    "mi.scaled": "mi_robust",
    "sepc.lv": "sepc_lv",
    "sepc.all": "sepc_all",
    "sepc.nox": "sepc_nox",
    "block": "level",
}


def estimates_column(name: str) -> str:
    """lavaan's column of a table of estimates, here."""
    return ESTIMATES.get(name, name)


TESTS = {
    "Chisq diff": "statistic",
    "Df diff": "df",
    "Pr(>Chisq)": "pvalue",
    "Chisq": "statistic",
    "Df": "df",
    "stat": "statistic",
    "p.value": "pvalue",
    "Fstat": "statistic",
    "df_num": "df",
    "df_denom": "df_denom",
    "p_val": "pvalue",
}


def _of_test(test: Value, name: str) -> Value:
    if name not in TESTS:
        raise Refused(f"${name} of a test is not translated.")
    return Value((test.atom, f".{TESTS[name]}"), "of test")


def _index(context: Context, node: Index) -> Value:
    of = table_or_value(context, node.of)
    arguments = [each.value for each in node.arguments]
    if any(each.name for each in node.arguments):
        arguments = [each.value for each in node.arguments if each.name != "drop"]
    if of.kind == "of test":
        return Value(of.doc, "number", of.binds)  # the other row has no test
    if of.kind == "test":
        return _test_cell(of, arguments)
    if of.kind in ("frame", "estimates"):
        return _of_frame(context, of, arguments, node.double)
    if len(arguments) != 1 or arguments[0] is None:
        raise Refused("an index of this is not translated.")
    return _of_vector(context, of, arguments[0])


def _test_cell(test: Value, arguments: list[Node | None]) -> Value:
    """``anova(a, b)[2, "Pr(>Chisq)"]``."""
    last = arguments[-1] if arguments else None
    if not isinstance(last, Text):
        raise Refused("an index of a test is not translated.")
    return Value(_of_test(test, last.value).doc, "number")


def _of_frame(context: Context, frame: Value, arguments: list[Node | None], double: bool) -> Value:
    if len(arguments) == 1:
        rows, columns = None, arguments[0]
    elif len(arguments) == 2 and not double:
        rows, columns = arguments
    else:
        raise Refused("an index of this kind is not translated.")
    named = estimates_column if frame.kind == "estimates" else str
    selected = None if columns is None else _columns(context, columns, named)
    if rows is None:
        if selected is None:
            return frame
        single = selected.kind == "text" and (double or len(arguments) == 2)
        if single or selected.kind == "texts":
            info = "estimates" if frame.kind == "estimates" else selected.constant
            doc = at(frame.atom, selected.doc)
            return Value(doc, "column" if single else frame.kind, info=info if single else None)
        if selected.kind == "text":
            return Value(at(frame.atom, items((selected.doc,))), frame.kind)
        raise Refused("columns by number are not translated: name them.")
    chosen = _rows(context, rows)
    if selected is None:
        if chosen.kind == "condition":
            return Value(at(frame.atom, chosen.doc), frame.kind, info=frame.info)
        return Value(at((frame.atom, ".iloc"), chosen.doc), frame.kind, info=frame.info)
    kind = "column" if selected.kind == "text" else frame.kind
    info = "estimates" if frame.kind == "estimates" else None
    if chosen.kind == "condition":
        return Value(at((frame.atom, ".loc"), chosen.doc, selected.doc), kind, info=info)
    return Value(at((at((frame.atom, ".iloc"), chosen.doc)), selected.doc), kind, info=info)


def _columns(context: Context, node: Node, named: object) -> Value:
    value = context.value(node)
    if named is not estimates_column or value.kind not in ("text", "texts"):
        return value
    if isinstance(value.constant, str):
        return Value(literal(estimates_column(value.constant)), "text")
    if isinstance(value.constant, tuple):
        return Value(items(literal(estimates_column(name)) for name in value.constant), "texts")
    return value


def _rows(context: Context, node: Node) -> Value:
    """Rows by a condition, or by numbers from 1."""
    match node:
        case Call(function="order"):
            raise Refused("rows in another order: use data.sort_values(…).")
        case Binary(operator=":"):
            value = context.value(node)
            if not isinstance(value.constant, tuple):
                raise Refused("rows of which the script does not say the numbers: use data.iloc.")
            first, last = value.constant
            return Value(f"{first - 1}:{last}" if first > 1 else f":{last}", "slice")
        case Number():
            return Value(f"[{int(float(node.literal)) - 1}]", "slice")
        case Call(function="which", arguments=(Argument(value=Node() as inner),)):
            return condition(context, inner)
        case _:
            chosen = condition(context, node)
            if chosen.kind == "flag":
                raise Refused("rows by a condition that is of no column are not translated.")
            return chosen


def _of_vector(context: Context, of: Value, node: Node) -> Value:
    """``x["name"]``, ``x[c("a", "b")]``, ``x[2]``, ``x[x > 0]``."""
    if of.kind not in ("series", "column", "texts", "numbers", "any", "dict"):
        raise Refused("an index of this is not translated.")
    match node:
        case Number():
            place = str(int(float(node.literal)) - 1)
            inner = (of.atom, ".iloc") if of.kind in ("series", "column") else of.atom
            return Value(at(inner, place), "text" if of.kind == "texts" else "number")
        case Text() | Call(function="c"):
            index = context.value(node)
            several = index.kind != "text"
            return Value(at(of.atom, index.doc), "series" if several else "number")
        case Binary(operator=":"):
            rows = _rows(context, node)
            inner = (of.atom, ".iloc") if of.kind in ("series", "column") else of.atom
            return Value(at(inner, rows.doc), of.kind)
        case Name():
            index = context.value(node)
            if index.kind in ("text", "texts"):
                return Value(at(of.atom, index.doc), "number" if index.kind == "text" else "series")
            raise Refused(f"[{short(node.source)}] is not translated.")
        case _:
            chosen = condition(context, node)
            if chosen.kind == "flag":
                raise Refused(f"[{short(node.source)}] is not translated.")
            return Value(at(of.atom, chosen.doc), of.kind, info=of.info)
