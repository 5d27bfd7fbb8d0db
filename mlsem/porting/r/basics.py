"""What scripts say around their analyses: packages, printing, numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.porting.r.context import Bound, Context, r_function
from mlsem.porting.r.layout import call, literal, method
from mlsem.porting.r.nodes import Binary, Call, Other, Text
from mlsem.porting.r.texts import is_literal
from mlsem.porting.r.values import Refused, Value

if TYPE_CHECKING:
    from mlsem.porting.r.layout import Doc

NOTHING = Value("None", "silent")
"""There is nothing to do here."""
SHOWN = ("frame", "estimates", "series", "column", "number", "test", "any", "matrix", "text")


@r_function("library require p_load requireNamespace")
def library(_: Context, bound: Bound) -> Value:
    bound.others()
    return NOTHING


@r_function("suppressPackageStartupMessages suppressMessages suppressWarnings", "expr")
def quietly(context: Context, bound: Bound) -> Value:
    node = bound.need("expr")
    if isinstance(node, Other) and only_packages(node.source):
        return NOTHING
    return context.value(node)


@r_function("install.packages rm gc options graphics.off dev.off cat_line sessionInfo par flush")
def of_r_alone(_: Context, bound: Bound) -> Value:
    bound.others()
    return NOTHING


@r_function("set.seed", "seed ...")
def set_seed(context: Context, bound: Bound) -> Value:
    seed = bound.need("seed")
    bound.others()
    source = seed.source if len(seed.source) < 40 else "…"
    context.remark(f"set.seed({source}): what draws random numbers here takes seed=.")
    return NOTHING


@r_function("setwd source sys.source")
def elsewhere(_: Context, bound: Bound) -> Value:
    if bound.call.function == "setwd":
        raise Refused("files are looked for where Python is started: start it in that folder.")
    raise Refused("other scripts are not read: translate that one, too, and import it.")


@r_function("print show View invisible", "x ...", lenient=True)
def print_(context: Context, bound: Bound) -> Value:
    x = bound.needed("x")
    bound.drop("digits", "row.names", "nd", "quote")
    if bound.call.function == "invisible":
        return Value(x.doc, "nothing", x.binds)
    return printed(x)


def printed(value: Value) -> Value:
    """R shows the value."""
    if value.kind in ("nothing", "silent", "printed"):
        return value
    if value.kind == "robust":
        return Value(call("print", method(value.atom, "vcov")), "printed")
    return Value(call("print", value.doc), "printed")


@r_function("cat message writeLines", "...")
def cat(context: Context, bound: Bound) -> Value:
    sep = bound.value("sep")
    docs: list[Doc] = []
    dots = bound.dots()
    if dots and isinstance(dots[-1][1], Text) and not dots[-1][1].value.strip():
        dots = dots[:-1]  # the end of the line
    for name, node in dots:
        if name is not None:
            raise Refused(f"{bound.call.function}() with {name} is not translated.")
        docs.append(_without_end(context.value(node)).doc)
    keywords: dict[str, Doc] = {}
    if sep is not None and sep.constant not in (" ", "\n"):
        keywords["sep"] = sep.doc
    elif sep is not None and sep.constant == "\n":
        keywords["sep"] = literal("\n")
    return Value(call("print", *docs, **keywords), "printed")


def _without_end(value: Value) -> Value:
    if is_literal(value):
        return Value(literal(str(value.constant).rstrip("\n")), "text")
    return value


@r_function("round signif", "x digits")
def round_(context: Context, bound: Bound) -> Value:
    x, digits = bound.needed("x"), bound.value("digits")
    if bound.call.function == "signif":
        raise Refused("signif() is not translated: use round().")
    count = "0" if digits is None else digits.doc
    if x.kind in ("frame", "estimates", "series", "column", "matrix", "random"):
        return Value(method(x.atom, "round", count), x.kind, info=x.info)
    if x.kind not in ("number", "any", "of test"):
        raise Refused("round() of this is not translated.")
    return Value(call("round", x.doc, *([] if digits is None else [count])), "number")


@r_function("str glimpse", "object ...", lenient=True)
def str_(_: Context, bound: Bound) -> Value:
    x = bound.needed_table("object")
    if x.kind not in ("frame", "estimates"):
        raise Refused("str() of this is not translated.")
    return Value(method(x.atom, "info"), "printed")


@r_function("names colnames", "x")
def names(_: Context, bound: Bound) -> Value:
    x = bound.needed_table("x")
    if x.kind in ("frame", "estimates", "matrix"):
        return Value(call("list", (x.atom, ".columns")), "texts")
    if x.kind == "series":
        return Value(call("list", (x.atom, ".index")), "texts")
    raise Refused("names() of this is not translated.")


@r_function("dim nrow ncol NROW", "x")
def dim(_: Context, bound: Bound) -> Value:
    x = bound.needed_table("x")
    if x.kind not in ("frame", "estimates", "matrix"):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    if bound.call.function == "dim":
        return Value((x.atom, ".shape"), "any")
    if bound.call.function == "ncol":
        return Value(((x.atom, ".shape"), "[1]"), "number")
    return Value(call("len", x.doc), "number")


@r_function("length", "x")
def length(_: Context, bound: Bound) -> Value:
    x = bound.needed("x")
    if x.kind == "unique" or x.kind in ("texts", "numbers", "column", "series", "list"):
        return Value(call("len", x.doc), "number")
    raise Refused("length() of this is not translated.")


@r_function("table", "...")
def table(context: Context, bound: Bound) -> Value:
    columns = [context.value(node) for name, node in bound.dots() if name is None]
    if any(column.kind != "column" for column in columns) or len(columns) not in (1, 2):
        raise Refused("this table of counts is not translated.")
    if len(columns) == 1:
        return Value(method(method(columns[0].atom, "value_counts"), "sort_index"), "series")
    doc = call(f"{context.pandas()}.crosstab", *(column.doc for column in columns))
    return Value(doc, "frame")


@r_function("cor cov", "x y use")
def cor(context: Context, bound: Bound) -> Value:
    x, y = bound.needed("x"), bound.value("y")
    bound.drop("use")
    function = "corr" if bound.call.function == "cor" else "cov"
    if y is None and x.kind in ("frame", "matrix"):
        return Value(method(x.atom, function), "matrix")
    if y is not None and x.kind == y.kind == "column":
        return Value(method(x.atom, function, y.doc), "number")
    raise Refused(f"{bound.call.function}() of these is not translated.")


@r_function("quantile", "x probs na.rm")
def quantile(_: Context, bound: Bound) -> Value:
    x, probs = bound.needed("x"), bound.value("probs")
    bound.drop("na.rm", "names")
    if x.kind not in ("column", "series"):
        raise Refused("quantile() of this is not translated.")
    default = "[0, 0.25, 0.5, 0.75, 1]"
    return Value(method(x.atom, "quantile", default if probs is None else probs.doc), "series")


@r_function("pchisq pnorm pt", "q df df2 lower.tail")
def probability(_: Context, bound: Bound) -> Value:
    raise Refused(
        f"{bound.call.function}(): tests are mlsem.lr_test(a, b) and fit.wald_test(…); the "
        "distributions are in scipy.stats."
    )


FIGURES = "plot hist boxplot barplot lines points abline legend ggplot xyplot qqnorm qqline curve"


@r_function(FIGURES)
def figures(_: Context, bound: Bound) -> Value:
    raise Refused(f"{bound.call.function}() draws a figure: use matplotlib.")


def is_figure(node: object) -> bool:
    """``ggplot(…) + geom_point()``."""
    while isinstance(node, Binary):
        node = node.left
    return isinstance(node, Call) and node.function in ("ggplot", "qplot")


def only_packages(source: str) -> bool:
    """``{ library(lavaan); library(dplyr) }``."""
    statements = [each.strip() for each in re.split(r"[;\n]", source.strip("{} \n"))]
    loading = re.compile(r"(library|require)\([\w.\"']+\)(\s*#.*)?|#.*|")
    return all(loading.fullmatch(each) for each in statements)


def is_installation(source: str) -> bool:
    """``if (!require(lavaan)) install.packages("lavaan")``."""
    return "install.packages" in source and ("require" in source or "installed" in source)
