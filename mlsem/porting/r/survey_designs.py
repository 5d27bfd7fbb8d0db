"""survey's designs, `svydesign` and `svrepdesign`, and the regression `svyglm` of them.

A design becomes the keywords of `mlsem.fit` that say the same, in a dictionary.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.porting.numbered import pattern_of_regex
from mlsem.porting.r.context import Bound, Context, r_function, short
from mlsem.porting.r.fits import frame
from mlsem.porting.r.layout import Brackets, call, items, literal
from mlsem.porting.r.mixed_fits import formula_text
from mlsem.porting.r.nodes import Call
from mlsem.porting.r.values import FitInfo, Refused, Value

if TYPE_CHECKING:
    from mlsem.porting.r.layout import Doc
    from mlsem.porting.r.nodes import Node

NAME = r"[A-Za-z._][\w.]*"
METHODS = {"Fay": "Fay", "BRR": "BRR", "JK1": "JK1", "JK2": "JK2"}
ONE_BY_ONE = 'name the columns by a regular expression, repweights = "rw[0-9]+", or ~rw1 + rw2.'


@r_function("svydesign", "ids probs strata variables fpc data nest check.strata weights pps ...")
def by_clusters(context: Context, bound: Bound) -> Value:
    data = frame(context, bound.node("data"), "svydesign")
    for name, advice in (
        ("probs", "write the weights, weights = ~w, as a column with 1/probs"),
        ("fpc", "corrections for finite populations are not made here"),
        ("variables", "give data all columns"),
    ):
        node = bound.node(name)
        if node is not None:
            raise Refused(f"{name} = {short(node.source)}: {advice}.")
    clusters, strata = _columns(context, bound.node("ids")), _columns(context, bound.node("strata"))
    if len(clusters) > 1:
        context.remark("The clusters of the first stage are those of the errors, as in survey.")
    if bound.flag("nest", False):
        context.remark(
            "nest = TRUE: clusters of different strata need ids of their own here, and are named "
            "where they have not."
        )
    bound.drop("check.strata")
    options = {name: literal(each[0]) for name, each in _keys(clusters, strata)}
    options |= _weights(context, bound)
    if not options.keys() & {"cluster", "strata"}:
        options["se"] = literal("CR1")  # with N/(N - 1)
    return _design(context, "svydesign", data, options)


def _keys(clusters: list[str], strata: list[str]) -> list[tuple[str, list[str]]]:
    if len(strata) > 1:
        raise Refused("strata in several stages: write those of the first one alone.")
    return [(name, each) for name, each in (("cluster", clusters), ("strata", strata)) if each]


@r_function(
    "svrepdesign",
    "variables repweights weights data degf type combined.weights rho bootstrap.average scale "
    "rscales fpc fpctype mse ...",
)
def by_replicates(context: Context, bound: Bound) -> Value:
    data = frame(context, bound.node("data"), "svrepdesign")
    kind = bound.text("type") or "BRR"
    if kind not in METHODS:
        raise Refused(
            f'type = "{kind}": there are mlsem.Fay, mlsem.BRR, mlsem.JK1 and mlsem.JK2 (of both '
            "halves by zone= and rep=), whose factors are known."
        )
    if not bound.flag("combined.weights", True):
        raise Refused("combined.weights = FALSE: multiply the replicates by the weights first.")
    for name in ("scale", "rscales", "fpc", "degf", "variables"):
        node = bound.node(name)
        if node is not None:
            raise Refused(
                f"{name} = {short(node.source)}: that of the method is taken here. Leave it out."
            )
    if not bound.flag("mse", False):
        context.remark(
            "Squares are about the estimates by the weights of the sample, as with mse = TRUE."
        )
    arguments: dict[str, Doc] = {}
    factor = bound.value("rho")
    if kind == "Fay":
        if factor is None:
            raise Refused('type = "Fay" has no rho, which mlsem.Fay takes as k.')
        arguments["k"] = factor.doc
    columns = _replicates(context, bound.need("repweights"))
    options = _weights(context, bound)
    options["replicates"] = call(f"mlsem.{METHODS[kind]}", columns, **arguments)
    return _design(context, "svrepdesign", data, options)


def _replicates(context: Context, node: Node) -> Doc:
    """A pattern, or the columns."""
    value = context.value(node) if not isinstance(node, Call) else None
    text = None if value is None else value.constant
    if value is not None and value.kind == "text" and isinstance(text, str):
        pattern = pattern_of_regex(text)
        if pattern is None:
            raise Refused(f"repweights = {short(node.source)}: {ONE_BY_ONE}")
        return literal(pattern)
    if value is not None and value.kind == "formula":
        return items(map(literal, _columns(context, node)))
    raise Refused(f"repweights = {short(node.source)}: {ONE_BY_ONE}")


def _weights(context: Context, bound: Bound) -> dict[str, Doc]:
    names = _columns(context, bound.node("weights"))
    return {"weights": literal(names[0])} if names else {}


def _columns(context: Context, node: Node | None) -> list[str]:
    """The columns of a formula of one side, `~a + b`; none of `~1` and `~0`."""
    if node is None:
        return []
    value = context.value(node)
    text = value.constant if value.kind == "formula" else None
    if not isinstance(text, str) or not re.fullmatch(rf"~\s*({NAME}(\s*\+\s*{NAME})*|[01])", text):
        raise Refused(f"{short(node.source)} is no formula of columns, ~w.")
    return re.findall(NAME, text)


def _design(context: Context, function: str, data: Value, options: dict[str, Doc]) -> Value:
    entries = tuple((f"{literal(name)}: ", doc) for name, doc in options.items())
    info = FitInfo(function, "", data, options, seen=context.seen(data.doc))
    return Value(Brackets("{", entries, "}"), "design", info=info)


@r_function("svyglm", "formula design subset family start rescale ...")
def regression(context: Context, bound: Bound) -> Value:
    formula = formula_text(context, bound.need("formula"))
    design = bound.needed("design")
    if design.kind != "design":
        raise Refused("the design is none of svydesign() or svrepdesign() in this script.")
    context.require_unchanged(design.info)
    _require_gaussian(bound.node("family"))
    subset = bound.node("subset")
    if subset is not None:
        raise Refused(f"subset = {short(subset.source)}: choose the rows of the data frame.")
    bound.drop("rescale", "start")
    text = _of_columns(formula.constant)
    data, options = design.info.data, dict(design.info.options)
    if design.is_name:
        doc = call("mlsem.fit", literal(text), data.doc, ("**", design.doc), meanstructure="True")
    else:
        doc = call("mlsem.fit", literal(text), data.doc, **options, meanstructure="True")
    context.remark(
        "Estimates and errors are svyglm's, under names such as y~x and y~1; its t tests have the "
        "degrees of freedom of the design."
    )
    options["meanstructure"] = "True"
    info = FitInfo("fit", literal(text), data, options, seen=context.seen(data.doc, design.doc))
    return Value(doc, "sem", info=info)


def _require_gaussian(node: Node | None) -> None:
    name = node.function if isinstance(node, Call) else getattr(node, "name", None)
    if node is not None and name != "gaussian":
        raise Refused(
            f"family = {short(node.source)}: weighted models are of continuous outcomes here; "
            "mlsem.glm has other families, without sampling weights."
        )


def _of_columns(text: object) -> str:
    """The formula as a model: columns and their products, ``a * b`` written out."""
    if not isinstance(text, str):
        raise Refused("the formula is not written in the call: write it there.")
    outcome, _, right = text.partition("~")
    terms: list[str] = []
    for term in (each.strip() for each in right.split("+")):
        crossed = [each.strip() for each in term.split("*")]
        product = [each.strip() for each in term.split(":")]
        if len(crossed) == 2 and all(re.fullmatch(NAME, each) for each in crossed):
            terms += [*crossed, ":".join(crossed)]
        elif all(re.fullmatch(NAME, each) for each in product):
            terms.append(":".join(product))
        elif term != "1":
            raise Refused(
                f"{short(term)!r} in the formula: a model takes columns of numbers and their "
                "products. Make columns of what is computed, of 0 and 1 for a factor."
            )
    if not re.fullmatch(NAME, outcome.strip()):
        raise Refused(f"the outcome {short(outcome.strip())!r} is no column: make one of it.")
    return f"{outcome.strip()} ~ {' + '.join(dict.fromkeys(terms)) or '1'}"


@r_function("svymean svytotal svyby svyquantile svyttest withReplicates")
def descriptive(_: Context, bound: Bound) -> Value:
    raise Refused(
        f"{bound.call.function}(): a weighted mean with its error is mlsem.fit("
        '"y ~ 1", data, cluster="psu", weights="w", meanstructure=True).'
    )
