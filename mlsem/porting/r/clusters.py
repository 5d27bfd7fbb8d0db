"""What is computed by cluster, and tables that are joined: `ave`, `aggregate`, `merge`.

R's ``mean(x)`` is missing where a value is, which by cluster leaves clusters out; pandas' own mean
leaves out values. Both are written as they are meant.
"""

from __future__ import annotations

from mlsem.porting.r.columns import is_condition
from mlsem.porting.r.conditions import condition
from mlsem.porting.r.context import Bound, Context, r_function, short
from mlsem.porting.r.frames import names_in, the_frame
from mlsem.porting.r.layout import Brackets, Doc, at, call, items, literal, method
from mlsem.porting.r.nodes import Binary, Call, Constant, Function, Name, Node, walk
from mlsem.porting.r.values import Refused, Value

STATISTICS = {"mean": "mean", "sd": "std", "var": "var", "median": "median", "sum": "sum"}
STATISTICS |= {"min": "min", "max": "max"}


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
        made.append((f"{name}=", Brackets("(", (literal(column or frame.info[0]), statistic), ")")))
    by = _keys(frame.info)
    grouped = call((frame.atom, ".groupby"), by, as_index="False")
    return Value((grouped, ".agg", Brackets("(", tuple(made), ")")), "frame")


def _statistic(node: Node) -> tuple[str, str]:
    """``mean(x, na.rm = TRUE)``, ``n()``: the column, and what is done with it."""
    if isinstance(node, Call):
        if node.function == "n" and not node.arguments:
            return "", literal("size")
        inner = [each.value for each in node.arguments if each.name is None]
        if node.function in STATISTICS and len(inner) == 1 and isinstance(inner[0], Name):
            skip = any(each.name == "na.rm" and _is_true(each.value) for each in node.arguments)
            return inner[0].name, _of_rows(STATISTICS[node.function], skip)
    raise Refused(f"the summary {short(node.source)!r} is not translated.")


def _is_true(node: Node | None) -> bool:
    return isinstance(node, Constant) and node.name == "TRUE"


def _of_rows(statistic: str, skip: bool) -> str:
    """A statistic of the rows of a cluster, with missing values left out or counting."""
    return literal(statistic) if skip else f"lambda x: x.{statistic}(skipna=False)"


def _keys(names: tuple[str, ...]) -> Doc:
    return literal(names[0]) if len(names) == 1 else items(map(literal, names))


def of_statistic(context: Context, bound: Bound, python: str) -> Value:
    """``mean(x)`` and its kin: of a column, inside of groups by their rows."""
    node = bound.need("x")
    skip = bound.flag("na.rm", False)
    grouping = context.masks[-1].grouping if context.masks else ()
    if is_condition(node):
        return _count(context, bound, node)
    x = context.value(node)
    if grouping and x.kind == "column":
        if x.info is None or not isinstance(x.info, str):
            raise Refused("a statistic by group of what is no column: make the column first.")
        frame = context.masks[-1].frame
        grouped = at(method(frame, "groupby", _keys(grouping)), literal(x.info))
        return Value(method(grouped, "transform", _of_rows(python, skip)), "column")
    if x.kind == "numbers":
        return Value(method(call(f"{context.numpy()}.array", x.doc), python), "number")
    if x.kind not in ("column", "series", "unique"):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    return Value(method(x.atom, python), "number")


def _count(context: Context, bound: Bound, node: Node) -> Value:
    """``sum(x > 3)``, ``mean(is.na(x))``: a condition that is never missing has a mean, too."""
    function, sure = bound.call.function, isinstance(node, Call)
    grouped = bool(context.masks and context.masks[-1].grouping)
    if grouped or not (function == "sum" or (function == "mean" and sure)):
        raise Refused(f"{function}() of a condition: make it a column first.")
    if sure and _of_frame(context, node):
        raise Refused("missing values of all columns: data.isna().sum() counts them by column.")
    where = condition(context, node)
    if where.kind != "condition":
        raise Refused(f"{function}() of this is not translated.")
    return Value(method(where.atom, function), "number")


def _of_frame(context: Context, node: Node) -> bool:
    """Whether it is ``is.na()`` of a whole data frame."""
    inner = node.arguments[0].value if isinstance(node, Call) and node.arguments else None
    return inner is not None and context.value(inner).kind == "frame"


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
    return Value(method(grouped, "transform", _function(function)), "column")


def _function(node: Node | None) -> str:
    """``mean``, or ``function(x) mean(x, na.rm = TRUE)``."""
    if node is None:
        return _of_rows("mean", False)
    if isinstance(node, Name) and node.name in STATISTICS:
        return _of_rows(STATISTICS[node.name], False)
    if isinstance(node, Function) and len(node.parameters) == 1:
        return _statistic(node.body)[1]
    raise Refused(f"the function {short(node.source)!r} is not translated.")


@r_function("tapply", "X INDEX FUN ...")
def tapply(context: Context, bound: Bound) -> Value:
    x, by, node = bound.needed("X"), bound.needed("INDEX"), bound.need("FUN")
    skip = bound.flag("na.rm", False)
    if x.kind != "column" or by.kind != "column":
        raise Refused("tapply() of these is not translated.")
    plain = isinstance(node, Name) and node.name in STATISTICS
    function = _of_rows(STATISTICS[node.name], skip) if plain else _function(node)  # pyright: ignore[reportAttributeAccessIssue]
    return Value(method(method(x.atom, "groupby", by.doc), "agg", function), "series")


@r_function("aggregate", "x data FUN ... by")
def aggregate(context: Context, bound: Bound) -> Value:
    formula, node = bound.need("x"), bound.node("FUN")
    if not isinstance(node, Name) or node.name not in STATISTICS:
        raise Refused("aggregate() is translated with mean, sd, var, median, sum, min and max.")
    function = STATISTICS[node.name]
    bound.drop("na.rm")  # a formula leaves missing values out in any case
    if not isinstance(formula, Binary) or formula.operator != "~":
        raise Refused("aggregate() is translated with a formula, aggregate(x ~ id, data, mean).")
    outcomes = [name for _, name in names_in(_of_cbind(formula.left))]
    keys = [each.name for each in walk(formula.right) if isinstance(each, Name)]
    table = the_frame(context, bound, "data")
    rows: Doc = table.atom
    if len(outcomes) > 1:
        rows = method(rows, "dropna", subset=items(map(literal, (*outcomes, *keys))))
    grouped = method(rows, "groupby", _keys(tuple(keys)), as_index="False")
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
    keywords["suffixes"] = '(".x", ".y")'
    return Value(method(left.atom, "merge", right.doc, **keywords), "frame")


@r_function("cbind bind_cols", "...")
def cbind(context: Context, bound: Bound) -> Value:
    tables = [context.value(node) for name, node in bound.dots() if name is None]
    if any(table.kind not in ("frame", "matrix") for table in tables):
        raise Refused("cbind() of what are no tables is not translated.")
    docs = items(table.doc for table in tables)
    return Value(call(f"{context.pandas()}.concat", docs, axis="1"), "frame")


@r_function("rbind bind_rows", "...")
def rbind(context: Context, bound: Bound) -> Value:
    tables = [context.value(node) for _, node in bound.dots()]
    if any(table.kind != "frame" for table in tables):
        raise Refused("rbind() of what are no data frames is not translated.")
    docs = items(table.doc for table in tables)
    return Value(call(f"{context.pandas()}.concat", docs, ignore_index="True"), "frame")
