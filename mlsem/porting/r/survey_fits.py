"""Fits of surveys: WeMix's `mix`, MLMusingR's `mixPV`, lavaan.mi's `sem.mi` and its kin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.porting.r.context import Bound, Context, r_function
from mlsem.porting.r.fits import a_model, frame, means, option
from mlsem.porting.r.layout import Brackets, call, items, literal
from mlsem.porting.r.mixed_fits import formula_text, require_groupings
from mlsem.porting.r.values import FitInfo, Refused, Value

if TYPE_CHECKING:
    from mlsem.porting.r.layout import Doc

LISTS = (
    "the imputations are no list of tables here: in R write each of them by write.csv(), and pass "
    'mlsem.fit_many(model, ["imp1.csv", "imp2.csv", …], cluster=…) their files.'
)


@r_function("mix", "formula data weights cWeights center_group center_grand ...")
def wemix(context: Context, bound: Bound) -> Value:
    formula = formula_text(context, bound.need("formula"))
    if isinstance(formula.constant, str):
        require_groupings(formula.constant, 1)
    data = frame(context, bound.node("data"), "mix")
    options = _sampling(bound)
    _settle(bound)
    seen = context.seen(formula.doc, data.doc)
    text = str(formula.constant or "")
    info = FitInfo("lmm", formula.doc, data, options, text, False, seen=seen)
    return Value(call("mlsem.lmm", formula.doc, data.doc, **options), "lmm", info=info)


@r_function("mixPV", "fml data weights cWeights mc silent ...")
def plausible_values(context: Context, bound: Bound) -> Value:
    text = formula_text(context, bound.need("fml")).constant
    outcomes, tilde, rest = text.partition("~") if isinstance(text, str) else ("", "", "")
    columns = [each.strip() for each in outcomes.split("+")]
    if not tilde or len(columns) < 2:
        raise Refused("the formula is not written in the call: write it there, pv1 + pv2 ~ x.")
    require_groupings(rest, 1)
    data = frame(context, bound.node("data"), "mixPV")
    options = _sampling(bound)
    bound.drop("mc", "silent")
    _settle(bound)
    name, values = _named(columns)
    plausible: dict[str, Doc] = {"plausible": Brackets("{", ((f"{literal(name)}: ", values),), "}")}
    formula = literal(f"{name} ~ {rest.strip()}")
    info = FitInfo("fit_many", formula, data, options, seen=context.seen(data.doc))
    doc = call("mlsem.fit_many", formula, data.doc, **plausible, **options)
    return Value(doc, "pooled", info=info)


def _named(columns: list[str]) -> tuple[str, Doc]:
    """A name for plausible values, and their columns: a pattern would take others of it, too."""
    first = re.search(r"\d+(.*)", columns[0])
    name = first[1].strip("_.").lower() if first else ""
    if not name.isidentifier() or name in columns:
        name = "outcome"
    return name, items(map(literal, columns))


def _sampling(bound: Bound) -> dict[str, Doc]:
    """WeMix takes the names of the weights from pupils up, total ones unless it is told."""
    given = bound.needed("weights").constant
    conditional = bound.flag("cWeights", False)
    if not isinstance(given, tuple) or len(given) != 2 or not all(map(_is_text, given)):
        raise Refused('weights= is not written as two names of columns, c("w_stu", "w_sch").')
    docs = tuple(
        f"{literal(level)}: {literal(name)}"
        for level, name in zip(
            ("level1" if conditional else "total", "level2"), map(str, given), strict=True
        )
    )
    return {
        "REML": "False",
        "weights": Brackets("{", docs, "}"),
        "weight_scaling": literal("unscaled"),
        "se": literal("CR1"),
    }


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _settle(bound: Bound) -> None:
    """Centring would change the estimates; the rest is of WeMix' algorithm."""
    for name in ("center_group", "center_grand"):
        if bound.node(name) is not None:
            raise Refused(f'{name}: centre the columns, or take center={{"x": "cluster"}} of fit.')
    bound.drop("nQuad", "verbose", "run", "fast", "start", "max_iteration", "acc0", "tolerance")


@r_function(
    "sem.mi cfa.mi runMI growth.mi lavaan.mi", "model data fun ... miArgs miPackage m seed cluster"
)
def imputations(context: Context, bound: Bound) -> Value:
    function = bound.call.function
    if function in ("growth.mi", "lavaan.mi") or bound.text("fun") in ("growth", "lavaan"):
        raise Refused(
            "mlsem.fit_many has the defaults of sem: write what differs into the model, "
            "and call sem.mi."
        )
    model = a_model(context, bound)
    node = bound.need("data")
    try:
        data = context.value(node)
    except Refused as error:
        raise Refused(LISTS) from error
    if data.kind != "list":
        raise Refused(LISTS)
    options: dict[str, Doc] = {}
    for name in ("cluster", "group"):
        value = bound.value(name)
        if value is not None:
            options[name] = value.doc
    for name, given in bound.others():
        if name is None:
            raise Refused(f"{function}() has an argument too many here.")
        options |= option(context, name, given)
    means(model, options)
    info = FitInfo("fit_many", model.doc, data, options, seen=context.seen(model.doc, data.doc))
    return Value(call("mlsem.fit_many", model.doc, data.doc, **options), "pooled", info=info)
