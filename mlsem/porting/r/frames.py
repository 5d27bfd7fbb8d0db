"""Data frames: rows, columns, means of clusters; base R's verbs and dplyr's."""

from __future__ import annotations

import re
from keyword import iskeyword
from typing import TYPE_CHECKING

from mlsem.porting.r.columns import column_of
from mlsem.porting.r.conditions import condition
from mlsem.porting.r.context import Bound, Context, Mask, name_of, r_function, short
from mlsem.porting.r.indices import sorted_rows
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
from mlsem.porting.r.nodes import Binary, Call, Constant, Name, Node, Text, Unary, walk
from mlsem.porting.r.values import AMPERSAND, LAMBDA, Refused, Value, estimates_column

if TYPE_CHECKING:
    from collections.abc import Iterable

FRAME = "frame"
"""What a frame is called in a function of it; no variable has this name."""


def the_frame(context: Context, bound: Bound, formal: str) -> Value:
    table = bound.needed_table(formal)
    if table.kind not in ("frame", "grouped", "estimates"):
        raise Refused(f"{bound.call.function}() of what is no data frame is not translated.")
    return table


def masked(context: Context, frame: Value, node: Node, *, where: bool = False) -> Value:
    """An expression in which plain names are columns of the frame."""
    context.masks.append(Mask(frame.doc, _grouping(frame), frame.kind == "estimates"))
    try:
        return condition(context, node) if where else column_of(context, node)
    finally:
        context.masks.pop()


def _grouping(frame: Value) -> tuple[str, ...]:
    return frame.info if frame.kind == "grouped" else ()


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
    return sorted_rows(frame, [node for _, node in bound.dots()])


@r_function("with", "data expr")
def with_(context: Context, bound: Bound) -> Value:
    frame = the_frame(context, bound, "data")
    of, lead = _own_name(frame)
    if lead:
        raise Refused("with() of what has no name is not translated: give the data a name first.")
    return masked(context, of, bound.need("expr"))


@r_function(
    "zap_labels zap_label zap_formats zap_widths zap_missing remove_labels unlabelled as.matrix",
    "x",
)
def as_it_is(_: Context, bound: Bound) -> Value:
    """Labels of values are no part of a data frame here."""
    return bound.needed_table("x")


@r_function("head tail", "x n")
def head(context: Context, bound: Bound) -> Value:
    x, n = bound.needed_table("x"), bound.value("n")
    if x.kind not in ("frame", "estimates", "column", "series", "grouped", "matrix", "random"):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    count = "6" if n is None else n.whole
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
        for sign, theirs in names_in(node):
            name = estimates_column(theirs) if frame.kind == "estimates" else theirs
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


def names_in(node: Node) -> list[tuple[bool, str]]:
    """Columns by name, and whether they are left out: ``x``, ``-x``, ``c(x, y)``, ``y1:y6``."""
    match node:
        case Name(name=name) | Text(value=name):
            return [(False, name)]
        case Unary(operator="-" | "!", operand=operand):
            return [(True, name) for _, name in names_in(operand)]
        case Call(function="c" | "all_of" | "any_of", arguments=arguments):
            return [
                pair
                for argument in arguments
                if argument.value is not None
                for pair in names_in(argument.value)
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
        if x.kind in ("frame", "grouped", "estimates", "random", "coefficients"):
            return x
        if x.kind in ("variances", "marginal means", "contrasts"):
            kind = "frame" if x.kind == "variances" else "means"
            return Value((x.atom, ".frame"), kind)
        raise Refused(f"{bound.call.function}() of this is not translated.")
    columns = [(name, context.value(node)) for name, node in bound.others()]
    if any(name is None for name, _ in columns):
        raise Refused("a column without a name is not translated.")
    pairs: tuple[Doc, ...] = tuple((f"{literal(str(n))}: ", v.doc) for n, v in columns)
    return Value(call(f"{context.pandas()}.DataFrame", Brackets("{", pairs, "}")), "frame")
