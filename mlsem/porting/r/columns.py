"""What becomes a column: conditions, `ifelse`, `scale`, `factor`, functions of numbers."""

from __future__ import annotations

from mlsem.porting.r.conditions import as_column, condition
from mlsem.porting.r.context import Bound, Context, r_function, table_or_value
from mlsem.porting.r.layout import Doc, call, items, literal, method
from mlsem.porting.r.nodes import Binary, Call, Constant, Node, Unary
from mlsem.porting.r.values import ATOM, PLUS, TIMES, Refused, Value


def column_of(context: Context, node: Node) -> Value:
    """What becomes a column: a condition is 1 where it is true, 0 where false."""
    if is_condition(node):
        return as_column(context, node, "1", "0", None)
    return context.value(node)


def is_condition(node: Node) -> bool:
    comparing = {"==", "!=", "<", ">", "<=", ">=", "&", "|", "%in%"}
    if isinstance(node, Unary):
        return node.operator == "!"
    if isinstance(node, Call):
        return node.function == "is.na"
    return isinstance(node, Binary) and node.operator in comparing


@r_function("scale", "x center scale")
def scale(context: Context, bound: Bound) -> Value:
    x = bound.needed("x")
    center, scaled = bound.flag("center", True), bound.flag("scale", True)
    if x.kind not in ("column", "frame"):
        raise Refused("scale() of this is not translated.")
    mask = context.masks[-1] if context.masks else None
    if mask is not None and mask.grouping:
        raise Refused("scale() by group is not translated: x - mean(x) is.")
    value = x
    if center:
        value = Value((x.within(PLUS), " - ", method(x.atom, "mean")), x.kind, PLUS)
    if scaled:
        value = Value((value.within(TIMES), " / ", method(x.atom, "std")), x.kind, TIMES)
    return value


@r_function("ifelse if_else", "test yes no")
def if_else(context: Context, bound: Bound) -> Value:
    test, yes, no = bound.need("test"), bound.needed("yes"), bound.needed("no")
    for side in (yes, no):
        if side.kind not in ("text", "number", "column", "array", "any"):
            raise Refused("ifelse() of these is not translated.")
    text = "text" in (yes.kind, no.kind)
    return as_column(context, test, yes.doc, no.doc, "None" if text else None)


@r_function("case_when", "... .default")
def case_when(context: Context, bound: Bound) -> Value:
    """The first condition that is true; a missing one is not."""
    conditions: list[Doc] = []
    values: list[Value] = []
    default = bound.value(".default")
    for name, node in bound.dots():
        if name is not None or not isinstance(node, Binary) or node.operator != "~":
            raise Refused("case_when() is translated with condition ~ value.")
        if isinstance(node.left, Constant) and node.left.name == "TRUE":
            default = context.value(node.right)
            break
        where = condition(context, node.left)
        if where.kind != "condition":
            raise Refused("a condition that is of no column is not translated here.")
        conditions.append(where.doc)
        values.append(context.value(node.right))
    bound.others()
    known = [*values, *([default] if default is not None else [])]
    if not values or any(each.kind not in ("text", "number", "column") for each in known):
        raise Refused("case_when() of these is not translated.")
    text = any(each.kind == "text" for each in known)
    nothing: Doc = "None" if text else f"{context.numpy()}.nan"
    last = nothing if default is None else default.doc
    chosen = items(each.doc for each in values)
    return Value(call(f"{context.numpy()}.select", items(conditions), chosen, last), "array")


@r_function("factor as.factor as_factor", "x levels labels ordered")
def factor(context: Context, bound: Bound) -> Value:
    x, levels, labels = bound.needed("x"), bound.value("levels"), bound.value("labels")
    if x.kind not in ("column", "series", "array"):
        raise Refused("factor() of what is no column is not translated.")
    if bound.flag("ordered", False):
        raise Refused("ordered factors: mlsem gives ordered columns treatment coding.")
    if levels is None and labels is None:
        if x.kind == "array":
            return Value(call(f"{context.pandas()}.Categorical", x.doc), "array")
        return Value(method(x.atom, "astype", literal("category")), "column")
    if labels is None and levels is not None:
        doc = call(f"{context.pandas()}.Categorical", x.doc, categories=levels.doc)
        return Value(doc, "array")
    if levels is None or labels is None or x.kind == "array":
        raise Refused("labels of a factor without its levels: name the levels too.")
    categories = call("zip", levels.doc, labels.doc, strict="True")
    renamed = method(x.atom, "map", call("dict", categories))
    doc = call(f"{context.pandas()}.Categorical", renamed, categories=labels.doc)
    return Value(doc, "array")


@r_function("as.numeric as.integer as.double", "x")
def as_numeric(context: Context, bound: Bound) -> Value:
    node = bound.need("x")
    if is_condition(node):
        return as_column(context, node, "1", "0", None)
    if isinstance(node, Call) and node.function in ("as.character", "as.vector"):
        inner = node.arguments[0].value if node.arguments else None
        node = inner if inner is not None else node
    elif isinstance(node, Call) and node.function == "factor":
        raise Refused("numbers of a factor's levels are not translated.")
    if isinstance(node, Call) and node.function == "scale":
        return context.value(node)
    x = context.value(node)
    if x.kind in ("number", "any", "of test", "array"):
        return x
    if x.kind not in ("column", "series"):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    if bound.call.function == "as.integer":
        return Value(call(f"{context.numpy()}.trunc", x.doc), "column")
    doc = call(f"{context.pandas()}.to_numeric", x.doc)
    return Value(doc, x.kind, ATOM)


@r_function("as.character", "x")
def as_character(_: Context, bound: Bound) -> Value:
    x = bound.needed("x")
    if x.kind == "text":
        return x
    if x.kind != "column":
        raise Refused("as.character() of this is not translated.")
    return Value(method(x.atom, "astype", literal("string")), "column")


@r_function("as.vector c.numeric drop I", "x")
def as_vector(_: Context, bound: Bound) -> Value:
    return bound.needed("x")


@r_function("rowMeans rowSums colMeans colSums", "x na.rm")
def means(context: Context, bound: Bound) -> Value:
    node, skip = bound.need("x"), bound.flag("na.rm", False)
    if isinstance(node, Call) and node.function == "is.na" and bound.call.function == "colSums":
        return Value(method(condition(context, node).atom, "sum"), "series")
    x = table_or_value(context, node)
    if x.kind != "frame":
        raise Refused(f"{bound.call.function}() of what is no data frame is not translated.")
    keywords: dict[str, Doc] = {}
    by_row = bound.call.function.startswith("row")
    if by_row:
        keywords["axis"] = "1"
    if not skip:
        keywords["skipna"] = "False"
    name = "mean" if bound.call.function.endswith("Means") else "sum"
    return Value(method(x.atom, name, **keywords), "column" if by_row else "series")


@r_function("log exp sqrt abs log10 log2", "x")
def elementwise(context: Context, bound: Bound) -> Value:
    x = bound.needed("x")
    if x.kind not in (
        "column",
        "series",
        "array",
        "number",
        "numbers",
        "of test",
        "any",
        "squares",
    ):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    if bound.call.function == "sqrt" and x.kind == "squares":
        return Value(x.info, "series")
    kind = "series" if x.kind == "numbers" else x.kind
    return Value(call(f"{context.numpy()}.{bound.call.function}", x.doc), kind)
