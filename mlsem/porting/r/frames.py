"""Data frames: rows, columns, means of clusters; base R's verbs and dplyr's."""

from __future__ import annotations

import re
from keyword import iskeyword
from typing import TYPE_CHECKING

from mlsem.porting.r.context import Bound, Context, Mask, name_of, r_function, short
from mlsem.porting.r.expressions import as_column, condition
from mlsem.porting.r.layout import (
    Brackets,
    Doc,
    at,
    call,
    flat,
    items,
    literal,
    method,
    named,
)
from mlsem.porting.r.nodes import Binary, Call, Constant, Function, Name, Node, Text, Unary, walk
from mlsem.porting.r.values import AMPERSAND, ATOM, LAMBDA, PLUS, TIMES, Refused, Value

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAME = "frame"
"""What a frame is called in a function of it; no variable has this name."""
STATISTICS = {"mean": "mean", "sd": "std", "var": "var", "median": "median", "sum": "sum"}
STATISTICS |= {"min": "min", "max": "max", "n_distinct": "nunique", "length": "size"}


def the_frame(context: Context, bound: Bound, formal: str) -> Value:
    table = bound.needed_table(formal)
    if table.kind not in ("frame", "grouped", "estimates"):
        raise Refused(f"{bound.call.function}() of what is no data frame is not translated.")
    return table


def masked(context: Context, frame: Value, node: Node, *, where: bool = False) -> Value:
    """An expression in which plain names are columns of the frame."""
    context.masks.append(Mask(frame.doc, _grouping(frame)))
    try:
        return condition(context, node) if where else column_of(context, node)
    finally:
        context.masks.pop()


def _grouping(frame: Value) -> tuple[str, ...]:
    return frame.info if frame.kind == "grouped" else ()


def column_of(context: Context, node: Node) -> Value:
    """What becomes a column: a condition is 1 where it is true, 0 where false."""
    if _is_condition(node):
        return as_column(context, node, "1", "0", None)
    return context.value(node)


def _is_condition(node: Node) -> bool:
    comparing = {"==", "!=", "<", ">", "<=", ">=", "&", "|", "%in%"}
    if isinstance(node, Unary):
        return node.operator == "!"
    if isinstance(node, Call):
        return node.function == "is.na"
    return isinstance(node, Binary) and node.operator in comparing


# --- rows ---------------------------------------------------------------------------------------


@r_function("subset", "x subset select")
def subset(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, "x")
    node, select = bound.node("subset"), bound.node("select")
    if node is not None:
        frame = _rows(context, frame, [node])
    return frame if select is None else _selected(frame, [(None, select)])


@r_function("filter", ".data ...")
def filter_(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, ".data")
    nodes = [node for name, node in bound.dots() if name is None]
    return _rows(context, frame, nodes) if nodes else frame


def _rows(context: Context, frame: Value, nodes: list[Node]) -> Value:
    of, lead = _own_name(frame)
    parts = [masked(context, of, node, where=True) for node in nodes]
    doc: Doc = parts[0].doc if len(parts) == 1 else _all(parts)
    if any(part.kind == "flag" for part in parts):
        raise Refused("rows by a condition that is of no column are not translated.")
    inner = at(frame.atom, doc) if not lead else at((frame.atom, ".loc"), (lead, doc))
    return Value(inner, frame.kind, info=frame.info)


def _all(parts: Iterable[Value]) -> Doc:
    joined: list[Doc] = []
    for part in parts:
        joined += [" & ", part.within(AMPERSAND + 1)]
    return tuple(joined[1:])


def _own_name(frame: Value) -> tuple[Value, str]:
    """The frame as it is called inside of its brackets, and the function's beginning that calls
    it so where it has no name of its own."""
    if frame.is_name:
        return frame, ""
    return Value(FRAME, frame.kind, info=frame.info), f"lambda {FRAME}: "


@r_function("na.omit drop_na", "object ...")
def na_omit(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, "object")
    names = [name for _, node in bound.dots() if (name := name_of(node)) is not None]
    keywords: dict[str, Doc] = {"subset": items(map(literal, names))} if names else {}
    return Value(method(frame.atom, "dropna", **keywords), frame.kind, info=frame.info)


@r_function("complete.cases", "data ...")
def complete_cases(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, "data")
    return Value(call((method(frame.atom, "notna"), ".all"), axis="1"), "condition")


@r_function("arrange", ".data ...")
def arrange(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, ".data")
    names = [name_of(node) for _, node in bound.dots()]
    if None in names:
        raise Refused("this order of rows is not translated: use data.sort_values(…).")
    by = items(literal(str(name)) for name in names)
    return Value(method(frame.atom, "sort_values", by), frame.kind, info=frame.info)


@r_function("head tail", "x n")
def head(context: Context, bound: Bound) -> Value:
    x, n = bound.needed_table("x"), bound.value("n")
    if x.kind not in ("frame", "estimates", "column", "series", "grouped", "matrix", "random"):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    count = "6" if n is None else n.doc
    return Value(method(x.atom, bound.call.function, count), x.kind, info=x.info)


@r_function("distinct unique", "x ...")
def unique(context: Context, bound: Bound) -> Value:
    x = bound.needed("x")
    if x.kind == "frame":
        names = [name for _, node in bound.dots() if (name := name_of(node)) is not None]
        doc = at(x.atom, items(map(literal, names))) if names else x.atom
        return Value(method(doc, "drop_duplicates"), "frame")
    if x.kind in ("column", "series"):
        return Value(method(x.atom, "unique"), "unique")
    raise Refused("unique() of this is not translated.")


# --- columns ------------------------------------------------------------------------------------


@r_function("select", ".data ...")
def select(context: Context, bound: Bound) -> Value:
    return _selected(the_frame(context, bound, ".data"), bound.dots())


def _selected(frame: Value, nodes: list[tuple[str | None, Node]]) -> Value:
    kept: list[str] = []
    dropped: list[str] = []
    renamed: dict[str, str] = {}
    for new, node in nodes:
        for sign, name in _names_in(node):
            (dropped if sign else kept).append(name)
            if new is not None:
                renamed[name] = new
    if kept and dropped:
        raise Refused("columns kept and left out in one call are not translated.")
    doc: Doc = frame.atom
    if kept:
        doc = at(doc, items(map(literal, kept)))
    else:
        doc = method(doc, "drop", columns=items(map(literal, dropped)))
    if renamed:
        doc = method(doc, "rename", columns=_mapping(renamed))
    return Value(doc, frame.kind, info=frame.info)


def _mapping(renamed: dict[str, str]) -> Doc:
    return Brackets(
        "{", tuple(f"{literal(old)}: {literal(new)}" for old, new in renamed.items()), "}"
    )


def _names_in(node: Node) -> list[tuple[bool, str]]:
    """Columns by name, and whether they are left out: ``x``, ``-x``, ``c(x, y)``, ``y1:y6``."""
    match node:
        case Name(name=name) | Text(value=name):
            return [(False, name)]
        case Unary(operator="-" | "!", operand=operand):
            return [(True, name) for _, name in _names_in(operand)]
        case Call(function="c" | "all_of" | "any_of", arguments=arguments):
            return [
                pair
                for argument in arguments
                if argument.value is not None
                for pair in _names_in(argument.value)
            ]
        case Binary(operator=":", left=Name(name=first), right=Name(name=last)):
            return [(False, name) for name in _run(first, last)]
        case _:
            raise Refused(f"the columns {short(node.source)!r} are not named one by one.")


def _run(first: str, last: str) -> list[str]:
    """``y1:y6``."""
    stem = first.rstrip("0123456789")
    low, high = first[len(stem) :], last[len(stem) :]
    if not last.startswith(stem) or not (low.isdigit() and high.isdigit()):
        raise Refused(f"the columns {first}:{last} are not named one by one.")
    if len(high) > 6 or int(high) - int(low) > 1000:
        raise Refused(f"the columns {first}:{last} are too many.")
    return [f"{stem}{k}" for k in range(int(low), int(high) + 1)]


@r_function("rename", ".data ...")
def rename(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, ".data")
    renamed = {}
    for new, node in bound.dots():
        old = name_of(node)
        if new is None or old is None:
            raise Refused("this renaming is not translated: use data.rename(columns={…}).")
        renamed[old] = new
    return Value(method(frame.atom, "rename", columns=_mapping(renamed)), frame.kind)


@r_function("mutate transform", ".data ...")
def mutate(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, ".data")
    made: list[tuple[str, Doc]] = []
    names: set[str] = set()
    for name, node in bound.dots():
        if name is None:
            raise Refused("a new column without a name is not translated.")
        if isinstance(node, Constant) and node.name == "NULL":
            raise Refused("use data.drop(columns=[…]).")
        used = {each.name for each in walk(node) if isinstance(each, Name)}
        earlier = bool(used & names) and bound.call.function == "mutate"
        of, lead = _own_name(frame)
        if earlier and not lead:
            of, lead = Value(FRAME, frame.kind, info=frame.info), f"lambda {FRAME}: "
        value = masked(context, of, node)
        doc = value.doc if value.kind != "numbers" else call("list", value.doc)
        if lead and re.search(rf"\b{FRAME}\b", flat(doc)):
            doc = (lead, value.within(LAMBDA))
        made.append((name, doc))
        names.add(name)
    return Value(assigned(frame.atom, made), frame.kind, info=frame.info)


def assigned(frame: Doc, columns: list[tuple[str, Doc]]) -> Doc:
    """``frame.assign(…)``; columns whose names Python cannot have as keywords in a mapping."""
    if all(name.isidentifier() and not iskeyword(name) for name, _ in columns):
        return (frame, ".assign", Brackets("(", named(columns), ")"))
    pairs: tuple[Doc, ...] = tuple((f"{literal(name)}: ", doc) for name, doc in columns)
    return (frame, ".assign", Brackets("(", (("**", Brackets("{", pairs, "}")),), ")"))


@r_function("group_by", ".data ...")
def group_by(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, ".data")
    names = [name_of(node) for _, node in bound.dots()]
    if None in names:
        raise Refused("groups of what is no column are not translated.")
    return Value(frame.doc, "grouped", frame.binds, info=tuple(str(name) for name in names))


@r_function("ungroup", ".data")
def ungroup(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, ".data")
    return Value(frame.doc, "frame", frame.binds)


@r_function("as.data.frame as_tibble tibble data.frame", "x ...")
def as_frame(context: Context, bound: Bound) -> Value:
    if "x" in bound.by_name and not bound.rest:
        x = bound.needed("x")
        if x.kind in ("frame", "grouped", "estimates", "random"):
            return x
        raise Refused(f"{bound.call.function}() of this is not translated.")
    columns = [(name, context.value(node)) for name, node in bound.others()]
    if any(name is None for name, _ in columns):
        raise Refused("a column without a name is not translated.")
    pairs: tuple[Doc, ...] = tuple((f"{literal(str(n))}: ", v.doc) for n, v in columns)
    return Value(call(f"{context.pandas()}.DataFrame", Brackets("{", pairs, "}")), "frame")


# --- means of clusters --------------------------------------------------------------------------


@r_function("summarise summarize", ".data ...")
def summarise(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, ".data")
    bound.drop(".groups")
    if frame.kind != "grouped":
        raise Refused("a summary of all rows is data.agg(…), or a method of the column.")
    made: list[Doc] = []
    for name, node in bound.dots():
        if name is None or not name.isidentifier():
            raise Refused("a summary without a name is not translated.")
        column, statistic = _statistic(node)
        made.append(f"{name}=({literal(column or frame.info[0])}, {literal(statistic)})")
    by = _keys(frame.info)
    grouped = call((frame.atom, ".groupby"), by, as_index="False")
    return Value((grouped, ".agg", Brackets("(", tuple(made), ")")), "frame")


def _statistic(node: Node) -> tuple[str, str]:
    """``mean(x, na.rm = TRUE)``; ``n()``."""
    if isinstance(node, Call):
        if node.function == "n" and not node.arguments:
            return "", "size"
        inner = [each.value for each in node.arguments if each.name is None]
        if node.function in STATISTICS and len(inner) == 1 and isinstance(inner[0], Name):
            return inner[0].name, STATISTICS[node.function]
    raise Refused(f"the summary {short(node.source)!r} is not translated.")


def _keys(names: tuple[str, ...]) -> Doc:
    return literal(names[0]) if len(names) == 1 else items(map(literal, names))


def of_statistic(context: Context, bound: Bound, python: str) -> Value:
    """``mean(x)`` and its kin: of a column, inside of groups by their rows."""
    x = bound.needed("x")
    bound.drop("na.rm")
    grouping = context.masks[-1].grouping if context.masks else ()
    if grouping and x.kind == "column":
        if x.info is None or not isinstance(x.info, str):
            raise Refused("a statistic by group of what is no column: make the column first.")
        frame = context.masks[-1].frame
        grouped = at(method(frame, "groupby", _keys(grouping)), literal(x.info))
        return Value(method(grouped, "transform", literal(python)), "column")
    if x.kind == "numbers":
        return Value(method(call(f"{context.numpy()}.array", x.doc), python), "number")
    if x.kind not in ("column", "series", "unique"):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    return Value(method(x.atom, python), "number")


@r_function("mean sd var median sum min max", "x na.rm")
def statistic(context: Context, bound: Bound) -> Value:
    return of_statistic(context, bound, STATISTICS[bound.call.function])


@r_function("n", "")
def n_rows(context: Context, bound: Bound) -> Value:
    if not context.masks or not context.masks[-1].grouping:
        raise Refused("n() outside of groups is not translated.")
    mask = context.masks[-1]
    key = literal(mask.grouping[0])
    grouped = at(method(mask.frame, "groupby", _keys(mask.grouping)), key)
    return Value(method(grouped, "transform", literal("size")), "column")


@r_function("ave", "x ... FUN")
def ave(context: Context, bound: Bound) -> Value:
    function = bound.node("FUN")
    x = bound.needed("x")
    by = [context.value(node) for _, node in bound.dots()]
    if x.kind != "column" or not by or any(each.kind != "column" for each in by):
        raise Refused("ave() of these is not translated.")
    keys: Doc = by[0].doc if len(by) == 1 else items(each.doc for each in by)
    grouped = method(x.atom, "groupby", keys)
    return Value(method(grouped, "transform", literal(_function(function))), "column")


def _function(node: Node | None) -> str:
    """``mean``, or ``function(x) mean(x, na.rm = TRUE)``."""
    if node is None:
        return "mean"
    if isinstance(node, Name) and node.name in STATISTICS:
        return STATISTICS[node.name]
    if isinstance(node, Function) and len(node.parameters) == 1:
        return _statistic(node.body)[1]
    raise Refused(f"the function {short(node.source)!r} is not translated.")


@r_function("aggregate", "x data FUN ... by")
def aggregate(context: Context, bound: Bound) -> Value:
    formula, function = bound.need("x"), _function(bound.node("FUN"))
    bound.drop("na.rm")
    if not isinstance(formula, Binary) or formula.operator != "~":
        raise Refused("aggregate() is translated with a formula, aggregate(x ~ id, data, mean).")
    outcomes = [name for _, name in _names_in(_of_cbind(formula.left))]
    keys = [each.name for each in walk(formula.right) if isinstance(each, Name)]
    table = the_frame(context, bound, "data")
    grouped = call((table.atom, ".groupby"), _keys(tuple(keys)), as_index="False")
    values = literal(outcomes[0]) if len(outcomes) == 1 else items(map(literal, outcomes))
    return Value(method(at(grouped, values), function), "frame")


def _of_cbind(node: Node) -> Node:
    if isinstance(node, Call) and node.function == "cbind":
        return Call(node.source, "c", "", node.arguments)
    return node


@r_function("merge left_join inner_join", "x y by ...")
def merge(context: Context, bound: Bound) -> Value:
    left, right = the_frame(context, bound, "x"), the_frame(context, bound, "y")
    by = bound.value("by")
    if by is None or by.kind not in ("text", "texts"):
        raise Refused('say by which columns the tables are joined, by = "id".')
    keep_all = bound.flag("all.x", False) or bound.call.function == "left_join"
    if bound.flag("all", False) or bound.flag("all.y", False):
        raise Refused('use data.merge(…, how="outer").')
    keywords: dict[str, Doc] = {"on": by.doc}
    if keep_all:
        keywords["how"] = literal("left")
    return Value(method(left.atom, "merge", right.doc, **keywords), "frame")


@r_function("rbind bind_rows", "...")
def rbind(context: Context, bound: Bound) -> Value:
    tables = [context.value(node) for _, node in bound.dots()]
    if any(table.kind != "frame" for table in tables):
        raise Refused("rbind() of what are no data frames is not translated.")
    docs = items(table.doc for table in tables)
    return Value(call(f"{context.pandas()}.concat", docs, ignore_index="True"), "frame")


# --- new columns --------------------------------------------------------------------------------


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
        if side.kind not in ("text", "number", "column", "any"):
            raise Refused("ifelse() of these is not translated.")
    text = "text" in (yes.kind, no.kind)
    return as_column(context, test, yes.doc, no.doc, "None" if text else None)


@r_function("factor as.factor as_factor", "x levels labels ordered")
def factor(context: Context, bound: Bound) -> Value:
    x, levels, labels = bound.needed("x"), bound.value("levels"), bound.value("labels")
    if x.kind not in ("column", "series"):
        raise Refused("factor() of what is no column is not translated.")
    if bound.flag("ordered", False):
        raise Refused("ordered factors: mlsem gives ordered columns treatment coding.")
    if levels is None and labels is None:
        return Value(method(x.atom, "astype", literal("category")), "column")
    if labels is None and levels is not None:
        doc = call(f"{context.pandas()}.Categorical", x.doc, categories=levels.doc)
        return Value(doc, "column")
    if levels is None or labels is None or flat(levels.doc) == "":
        raise Refused("labels of a factor without its levels: name the levels too.")
    categories = call("zip", levels.doc, labels.doc, strict="True")
    renamed = method(x.atom, "map", call("dict", categories))
    doc = call(f"{context.pandas()}.Categorical", renamed, categories=labels.doc)
    return Value(doc, "column")


@r_function("as.numeric as.integer as.double", "x")
def as_numeric(context: Context, bound: Bound) -> Value:
    node = bound.need("x")
    if _is_condition(node):
        return as_column(context, node, "1", "0", None)
    if isinstance(node, Call) and node.function in ("as.character", "as.vector"):
        inner = node.arguments[0].value if node.arguments else None
        node = inner if inner is not None else node
    elif isinstance(node, Call) and node.function == "factor":
        raise Refused("numbers of a factor's levels are not translated.")
    if isinstance(node, Call) and node.function == "scale":
        return context.value(node)
    x = context.value(node)
    if x.kind in ("number", "any", "of test"):
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
    x, skip = bound.needed_table("x"), bound.flag("na.rm", False)
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
    if x.kind not in ("column", "series", "number", "numbers", "of test", "any", "squares"):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    if bound.call.function == "sqrt" and x.kind == "squares":
        return Value(x.info, "series")
    kind = "series" if x.kind == "numbers" else x.kind
    return Value(call(f"{context.numpy()}.{bound.call.function}", x.doc), kind)
