"""Fits: lavaan's `sem` and its kin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.other_programs.options import keyword_advice, value_advice
from mlsem.porting.r.context import Context, r_function, short, table_or_value
from mlsem.porting.r.layout import at, call, grouped, literal, method
from mlsem.porting.r.nodes import Constant, Node
from mlsem.porting.r.values import PLUS, FitInfo, Refused, Value

if TYPE_CHECKING:
    from mlsem.porting.r.context import Bound
    from mlsem.porting.r.layout import Doc

LAVAAN = (
    "model data ordered sampling.weights sample.cov sample.mean sample.th sample.nobs group "
    "cluster constraints WLS.V NACOV ov.order ..."
)
# lavaan's options that there are here, by their names with _ for the dots.
KEPT = set(
    "std.lv fixed.x meanstructure auto.fix.first auto.fix.single auto.var auto.cov.lv.x "
    "auto.cov.y int.ov.free int.lv.free orthogonal bounds group.equal group.partial "
    "group.label start".split()
)
# Without these the estimates would be others.
ESSENTIAL = set(
    "ordered sampling.weights sampling.weights.normalization sample.cov sample.mean sample.th "
    "sample.nobs WLS.V NACOV std.ov effect.coding correlation conditional.x group.w.free "
    "do.fit slotOptions slotParTable slotSampleStats slotData slotModel slotCache rotation "
    "optim.bounds orthogonal.x orthogonal.y parameterization level.label ridge auto.efa "
    "likelihood".split()
)
DEFAULTS = {  # values that say what is the case here anyway
    "likelihood": {"normal", "default"},
    "mimic": {"lavaan", "default"},
    "test": {"standard", "default", "none"},
    "conditional.x": {False},
    "ordered": {False},
    "std.ov": {False},
    "do.fit": {True},
    "effect.coding": {False},
    "correlation": {False},
    "group.w.free": {False},
    "rotation": {"none"},
    "warn": {True},
    "verbose": {False},
    "debug": {False},
}
MISSING = {
    **dict.fromkeys(("ml", "fiml", "direct"), "fiml"),
    **dict.fromkeys(("ml.x", "fiml.x", "direct.x"), "fiml.x"),
    "listwise": "listwise",
}


@r_function("sem cfa growth lavaan", LAVAAN)
def lavaan_fit(context: Context, bound: Bound) -> Value:
    function = bound.call.function
    model = a_model(context, bound)
    _refuse_summary_data(bound)
    data = frame(context, bound.node("data"), function)
    options = _weights(context, bound, model) | _options(context, bound, data)
    means(model, options)
    seen = context.seen(model.doc, data.doc, *options.values())
    info = FitInfo(function, model.doc, data, options, seen=seen)
    return Value(call(f"mlsem.{function}", model.doc, data.doc, **options), "sem", info=info)


def a_model(context: Context, bound: Bound) -> Value:
    model = bound.needed("model")
    if model.kind == "texts":  # lines of a model
        model = Value((literal("\n"), ".join", grouped(model.doc)), "text")
    if model.kind not in ("text", "any"):
        raise Refused("the model is no text: write it as one, 'f =~ y1 + y2'.")
    constraints = bound.value("constraints")
    if constraints is None:
        return model
    if isinstance(model.constant, str) and isinstance(constraints.constant, str):
        both = f"{model.constant.rstrip()}\n{constraints.constant.strip()}\n"
        return Value(literal(both), "text", constant=both)
    return Value((model.within(PLUS), ' + "\\n" + ', constraints.within(PLUS + 1)), "text", PLUS)


def _weights(context: Context, bound: Bound, model: Value) -> dict[str, Doc]:
    """Sampling weights, in a model of one level those of rows."""
    node = bound.node("sampling.weights")
    if node is None:
        return {}
    text = model.constant if isinstance(model.constant, str) else "level:"
    if _has_levels(text):
        raise _no_such("sampling.weights", node, keyword_advice("sampling.weights"))
    return {"weights": context.value(node).doc}


def _has_levels(text: str) -> bool:
    return re.search(r"(?mi)^\s*level\s*:", text) is not None


def _refuse_summary_data(bound: Bound) -> None:
    for name in ("sample.cov", "sample.nobs", "sample.mean"):
        if bound.node(name) is not None:
            raise Refused(f"{name}: {keyword_advice(name)}")


def _options(context: Context, bound: Bound, data: Value) -> dict[str, Doc]:
    options: dict[str, Doc] = {}
    for name in ("cluster", "group"):
        value = bound.value(name)
        if value is not None:
            options[name] = value.doc
    own_labels = False
    given = bound.others()
    draws = next((node.source for name, node in given if name == "bootstrap"), "1000")
    for name, node in given:
        if name == "bootstrap":
            continue
        if name == "se" and _constant(context, node) in ("bootstrap", "boot"):
            context.leave_out(name, node, _bootstrap(draws))
            continue
        if name is None:
            raise Refused(f"{bound.call.function}() has an argument too many here.")
        if isinstance(node, Constant) and node.name == "NULL":
            continue
        own_labels |= name == "group.label"
        options |= option(context, name, node)
    if "group" in options and not own_labels:
        # lavaan numbers groups as they first appear
        data = context.hoist("data", data)
        column = method(at(data.doc, options["group"]), "dropna")
        labels = call("list", method(column, "unique"))
        options["group_label"] = labels
        order = ["cluster", "group", "group_label"]
        rest = [name for name in options if name not in order]
        options = {name: options[name] for name in (*order, *rest) if name in options}
    return options


def option(context: Context, name: str, node: Node) -> dict[str, Doc]:
    value = context.value(node) if name in KEPT | {"estimator", "se", "missing"} else None
    constant = _constant(context, node) if value is None else value.constant
    if constant is not None and constant in DEFAULTS.get(name, ()):
        return {}
    if name in ESSENTIAL:
        raise _no_such(name, node, keyword_advice(name, constant))
    if name in CHOICES:
        return CHOICES[name](context, node, constant)
    if name in KEPT and value is not None:
        return {name.replace(".", "_"): value.doc}
    if name == "test" and str(constant).lower().startswith("yuan.bentler"):
        return {}  # MLR's own
    context.leave_out(name, node, value_advice(name, constant))
    return {}


def _no_such(name: str, node: Node, advice: str) -> Refused:
    return Refused(f"{name} = {short(node.source)}: {advice or 'there is no such value here.'}")


def _constant(context: Context, node: Node) -> object:
    try:
        return context.value(node).constant
    except Refused:
        return None


def _estimator(_: Context, node: Node, constant: object) -> dict[str, Doc]:
    name = str(constant).upper()
    if name not in ("ML", "MLR"):
        raise _no_such("estimator", node, value_advice("estimator", constant))
    return {"estimator": literal(name)}


def _se(context: Context, node: Node, constant: object) -> dict[str, Doc]:
    name = str(constant).lower()
    if name in ("robust.huber.white", "robust.cluster"):
        return {"se": literal("MLR")}
    if name in ("standard", "none"):
        return {"se": literal(name)}
    raise _no_such("se", node, value_advice("se", constant))


def _bootstrap(draws: str) -> str:
    count = draws.rstrip("L") if draws.rstrip("L").isdigit() else "1000"
    return (
        "Standard errors here are those of the likelihood; those of the bootstrap are "
        f'fit.bootstrap("pairs", draws={count}, seed=1).conf_int().'
    )


def _missing(_: Context, node: Node, constant: object) -> dict[str, Doc]:
    kind = MISSING.get(str(constant).lower())
    if kind is None:
        raise _no_such("missing", node, value_advice("missing", constant))
    return {"missing": literal(kind)}


def _information(_: Context, node: Node, constant: object) -> dict[str, Doc]:
    if constant not in ("expected", "observed"):
        raise _no_such("information", node, value_advice("information", constant))
    return {"information": literal(str(constant))}


CHOICES = {
    "estimator": _estimator,
    "se": _se,
    "missing": _missing,
    "information": _information,
}


def means(model: Value, keywords: dict[str, Doc]) -> None:
    """lavaan adds means to a single-level model of clusters."""
    text = model.constant if isinstance(model.constant, str) else ""
    if (
        "cluster" in keywords
        and not _has_levels(text)
        and not {"missing", "meanstructure"} & keywords.keys()
    ):
        keywords["meanstructure"] = "True"


def frame(context: Context, node: Node | None, function: str) -> Value:
    """The data of a fit; a name that the script does not make is a table from elsewhere."""
    if node is None:
        raise Refused(f"{function}() has no data frame: {keyword_advice('sample.cov')}")
    value = table_or_value(context, node)
    if value.kind not in ("frame", "grouped", "any"):
        raise Refused(f"the data {short(node.source)!r} are no data frame.")
    return value
