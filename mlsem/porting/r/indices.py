"""What is taken out of an R object, by ``$`` and by brackets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.porting.r.conditions import condition
from mlsem.porting.r.context import short, table_or_value
from mlsem.porting.r.layout import at, items, literal, method
from mlsem.porting.r.nodes import (
    Argument,
    Binary,
    Call,
    Constant,
    Field,
    Index,
    Name,
    Node,
    Number,
    Text,
    Unary,
)
from mlsem.porting.r.values import TABLES, Refused, Value, estimates_column, fixed_effects

if TYPE_CHECKING:
    from mlsem.porting.r.context import Context
    from mlsem.porting.r.layout import Doc


def field(context: Context, node: Field) -> Value:
    of = table_or_value(context, node.of)
    if of.kind == "estimates":
        return Value(at(of.atom, literal(estimates_column(node.name))), "column", info="estimates")
    if of.kind == "frame":
        return Value(at(of.atom, literal(node.name)), "column", info=node.name)
    if of.kind == "dict":
        return Value(at(of.atom, literal(node.name)))
    if of.kind == "test":
        return _of_test(of, node.name)
    if of.kind in TABLES:
        name = TABLES[of.kind].get(node.name, node.name)
        return Value(at(of.atom, literal(name)), "column", info="estimates")
    if of.kind == "summary" and node.name == "coefficients" and of.info is not None:
        context.require_unchanged(of.info)
        return fixed_effects(of.info)
    raise Refused(f"${node.name} of this is not translated.")


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


def index(context: Context, node: Index) -> Value:
    of = table_or_value(context, node.of)
    arguments = [each.value for each in node.arguments]
    if any(each.name for each in node.arguments):
        arguments = [each.value for each in node.arguments if each.name != "drop"]
    if of.kind == "of test":
        return Value(of.doc, "number", of.binds)  # the other row has no test
    if of.kind == "test":
        return _test_cell(of, arguments)
    if of.kind == "coefficients" and len(arguments) == 2:
        return _coefficient(of, *arguments)
    if of.kind in ("frame", "estimates", "matrix"):
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


def _coefficient(table: Value, row: Node | None, column: Node | None) -> Value:
    """``coef(summary(m))["x", "Estimate"]``."""
    if not isinstance(row, Text) or not isinstance(column, Text):
        raise Refused("a part of this table is translated by the names of its row and column.")
    name = TABLES["coefficients"].get(column.value, column.value)
    by_term = (method(table.atom, "set_index", literal("term")), ".loc")
    return Value(at(by_term, literal(row.value), literal(name)), "number")


def _of_frame(context: Context, frame: Value, arguments: list[Node | None], double: bool) -> Value:
    """``d[rows, columns]``, ``d[columns]``, ``d[["column"]]``."""
    if len(arguments) not in (1, 2) or (double and len(arguments) == 2):
        raise Refused("an index of this kind is not translated.")
    rows, columns = [None, *arguments][-2:]
    if isinstance(rows, Call) and rows.function == "order":
        frame, rows = _ordered(frame, rows), None
    selected = None if columns is None else _columns(context, columns, frame.kind == "estimates")
    if rows is None and selected is None:
        return frame
    if rows is None and selected is not None:
        return _whole_columns(frame, selected, double or len(arguments) == 2)
    assert rows is not None
    if isinstance(rows, Number) and selected is not None and selected.kind == "text":
        column = (at(frame.atom, selected.doc), ".iloc")
        return Value(at(column, str(int(float(rows.literal)) - 1)), "number")
    chosen = _rows(context, rows)
    by_place = chosen.kind != "condition"
    if selected is None:
        doc = at((frame.atom, ".iloc") if by_place else frame.atom, chosen.doc)
        return Value(doc, frame.kind, info=frame.info)
    kind = "column" if selected.kind == "text" else frame.kind
    info = "estimates" if frame.kind == "estimates" else None
    if by_place:
        return Value(at(at((frame.atom, ".iloc"), chosen.doc), selected.doc), kind, info=info)
    return Value(at((frame.atom, ".loc"), chosen.doc, selected.doc), kind, info=info)


def _whole_columns(frame: Value, selected: Value, alone: bool) -> Value:
    """Columns with all their rows; one of them is a column if it stands `alone`."""
    if selected.kind == "text" and alone:
        info = "estimates" if frame.kind == "estimates" else selected.constant
        return Value(at(frame.atom, selected.doc), "column", info=info)
    if selected.kind == "text":
        return Value(at(frame.atom, items((selected.doc,))), frame.kind)
    if selected.kind == "texts":
        return Value(at(frame.atom, selected.doc), frame.kind)
    if selected.kind == "number" and alone and isinstance(selected.constant, float):
        if selected.constant < 1:
            raise Refused("columns that are left out by number: name them.")
        return Value(at((frame.atom, ".iloc"), f":, {selected.constant - 1:.0f}"), "column")
    if selected.kind == "numbers" and isinstance(selected.constant, tuple | range):
        return _columns_by_number(frame, selected.constant)
    raise Refused("columns by number are not translated: name them.")


def _columns_by_number(frame: Value, numbers: tuple[float, ...] | range) -> Value:
    """``d[, 1:3]``, ``d[, c(1, 4)]``."""
    if any(number < 1 for number in numbers):
        raise Refused("columns that are left out by number: name them.")
    if isinstance(numbers, range):
        chosen = f":, {numbers[0] - 1}:{numbers[-1]}"
    else:
        chosen = f":, [{', '.join(str(int(number) - 1) for number in numbers)}]"
    return Value(at((frame.atom, ".iloc"), chosen), frame.kind)


def _ordered(frame: Value, order: Call) -> Value:
    """``d[order(d$x, decreasing = TRUE), ]``."""
    nodes, descending = [], False
    for argument in order.arguments:
        if argument.name == "decreasing":
            descending = isinstance(argument.value, Constant) and argument.value.name == "TRUE"
        elif argument.name is None and argument.value is not None:
            nodes.append(argument.value)
        else:
            raise Refused("rows in this order: use data.sort_values(…).")
    return sorted_rows(frame, nodes, descending)


def sorted_rows(frame: Value, nodes: list[Node], descending: bool = False) -> Value:
    """Rows in the order of columns, ``-x`` and ``desc(x)`` from the largest down."""
    names, directions = [], []
    for node in nodes:
        name, turned = _by_column(node)
        names.append(estimates_column(name) if frame.kind == "estimates" else name)
        directions.append(turned is descending)
    if not names:
        raise Refused("rows in no order that is said: use data.sort_values(…).")
    by = literal(names[0]) if len(names) == 1 else items(map(literal, names))
    keywords: dict[str, Doc] = {"kind": literal("stable")}
    if not all(directions):
        many: Doc = items(str(each) for each in directions)
        keywords["ascending"] = many if len(set(directions)) > 1 else "False"
    return Value(method(frame.atom, "sort_values", by, **keywords), frame.kind, info=frame.info)


def _by_column(node: Node) -> tuple[str, bool]:
    match node:
        case Name(name=name) | Field(name=name):
            return name, False
        case Unary(operator="-", operand=operand):
            return _by_column(operand)[0], True
        case Call(function="desc", arguments=(Argument(value=Node() as inner),)):
            return _by_column(inner)[0], True
        case _:
            raise Refused("rows in this order: use data.sort_values(…).")


def _columns(context: Context, node: Node, of_estimates: bool) -> Value:
    value = context.value(node)
    if not of_estimates or value.kind not in ("text", "texts"):
        return value
    if isinstance(value.constant, str):
        return Value(literal(estimates_column(value.constant)), "text")
    if isinstance(value.constant, tuple):
        return Value(items(literal(estimates_column(name)) for name in value.constant), "texts")
    return value


def _rows(context: Context, node: Node) -> Value:
    """Rows by a condition, or by numbers from 1."""
    match node:
        case Binary(operator=":"):
            value = context.value(node)
            if not isinstance(value.constant, range):
                raise Refused("rows of which the script does not say the numbers: use data.iloc.")
            first, last = value.constant[0], value.constant[-1]
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
