"""Fits of mixed models: lme4's `lmer`, nlme's `lme`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.other_programs.options import keyword_advice
from mlsem.porting.r.context import Context, name_of, r_function, short
from mlsem.porting.r.fits import frame
from mlsem.porting.r.layout import call, literal
from mlsem.porting.r.values import FitInfo, Refused, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlsem.porting.r.context import Bound
    from mlsem.porting.r.layout import Doc
    from mlsem.porting.r.nodes import Node


@r_function(
    "lmer",
    "formula data REML control start verbose subset weights na.action offset ...",
    lenient=True,
)
def lme4_fit(context: Context, bound: Bound) -> Value:
    formula = formula_text(context, bound.need("formula"))
    data = frame(context, bound.node("data"), "lmer")
    reml = bound.flag("REML", True)
    for name in ("subset", "weights", "offset", "contrasts"):
        node = bound.node(name)
        if node is not None:
            raise Refused(f"{name} = {short(node.source)}: {keyword_advice(name)}")
    _drop_na_action(bound)
    return mixed(context, formula, data, reml)


def mixed(
    context: Context,
    formula: Value,
    data: Value,
    reml: bool,
    more: Mapping[str, Doc] | None = None,
) -> Value:
    """A call of `mlsem.lmm`."""
    text = formula.constant
    if isinstance(text, str):
        require_groupings(text)
    options: dict[str, Doc] = ({} if reml else {"REML": "False"}) | dict(more or {})
    seen = context.seen(formula.doc, data.doc)
    info = FitInfo("lmm", formula.doc, data, options, str(text or ""), reml, seen=seen)
    return Value(call("mlsem.lmm", formula.doc, data.doc, **options), "lmm", info=info)


def formula_text(context: Context, node: Node) -> Value:
    value = context.value(node)
    if value.kind not in ("formula", "text"):
        raise Refused("the formula is none that the script writes.")
    return value


@r_function("as.formula formula", "object env")
def formula(context: Context, bound: Bound) -> Value:
    value = bound.needed("object")
    bound.drop("env")
    if value.kind == "lmm" or value.kind not in ("formula", "text"):
        raise Refused("the formula of this is not translated.")
    return Value(value.doc, "formula", value.binds, value.constant)


def require_groupings(text: str, most: int = 2) -> None:
    """One grouping factor, or two of which one may be nested in the other: `a/b`; `a` beside `a:b`
    or `b`."""
    groupings = {each.replace(" ", "") for each in re.findall(r"\|\s*([^|()]+?)\s*\)", text)}
    if not groupings:
        raise Refused("the formula has no random part that is known here, as (1 | id).")
    columns = {name for each in groupings for name in re.split(r"[/:]", each)}
    alone = len(groupings) == 1 and any(":" in each for each in groupings)
    if len(columns) > most or alone or any(set(each) & set("+*") for each in groupings):
        nested = ", or one nested in another, (1 | school/class)" if most > 1 else " here"
        raise Refused(
            f"mlsem.lmm takes one grouping factor{nested}: keep that of the largest clusters, or "
            "use a program for crossed effects."
        )


def _drop_na_action(bound: Bound) -> None:
    node = bound.node("na.action")
    if node is not None and name_of(node) not in ("na.omit", "na.exclude"):
        raise Refused(f"na.action = {short(node.source)}: {keyword_advice('na.action')}")


@r_function(
    "lme", "fixed data random correlation weights subset method na.action control ...", lenient=True
)
def nlme_fit(context: Context, bound: Bound) -> Value:
    fixed = formula_text(context, bound.need("fixed"))
    data = frame(context, bound.node("data"), "lme")
    random = bound.needed("random")
    if not isinstance(fixed.constant, str) or not isinstance(random.constant, str):
        raise Refused("the formulas are not written in the call: write them there.")
    for name in ("correlation", "subset"):
        node = bound.node(name)
        if node is not None:
            raise Refused(f"{name} = {short(node.source)}: residuals are independent here.")
    residual = _residual(bound.node("weights"))
    reml = (bound.text("method") or "REML").upper() == "REML"
    _drop_na_action(bound)
    text = f"{fixed.constant} + ({random.constant.removeprefix('~').strip()})"
    return mixed(context, Value(literal(text), "formula", constant=text), data, reml, residual)


_VAR_IDENT = re.compile(
    r"varIdent\(\s*(?:form\s*=\s*)?~\s*1\s*\|\s*(?P<by>[\w.]+(?:\s*\*\s*[\w.]+)*)\s*\)"
)


def _residual(node: Node | None) -> dict[str, Doc]:
    """`residual=` of nlme's weights."""
    if node is None:
        return {}
    found = _VAR_IDENT.fullmatch(node.source.strip())
    if found is None:
        raise Refused(
            f"weights = {short(node.source)}: of nlme's variance functions there is "
            'varIdent(form = ~ 1 | g), written in the call, as residual="g".'
        )
    names = [literal(each.strip()) for each in found["by"].split("*")]
    return {"residual": names[0] if len(names) == 1 else f"[{', '.join(names)}]"}


@r_function("lm glm glmer gls nls aov")
def other_models(_: Context, bound: Bound) -> Value:
    function = bound.call.function
    advice = {
        "lm": 'mlsem.fit("y ~ x", data, meanstructure=True) has its estimates (by maximum '
        "likelihood, so without its degrees of freedom).",
        "glmer": keyword_advice("family"),
    }.get(function, "mlsem fits structural equation models and linear mixed models.")
    raise Refused(f"{function}(): {advice}")


@r_function("lmerControl lmeControl")
def control(_: Context, bound: Bound) -> Value:
    raise Refused(f"{bound.call.function}(): {keyword_advice('control')}")
