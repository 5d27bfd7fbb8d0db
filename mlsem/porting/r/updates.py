"""Fits that are changed: `update`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mlsem.porting.r.context import Context, r_function
from mlsem.porting.r.fits import frame, option
from mlsem.porting.r.layout import literal, method
from mlsem.porting.r.values import FitInfo, Refused, Value

if TYPE_CHECKING:
    from mlsem.porting.r.context import Bound
    from mlsem.porting.r.layout import Doc


@r_function("update", "object ...")
def update(context: Context, bound: Bound) -> Value:
    fit = bound.needed("object")
    if fit.kind == "lmm":
        return _updated_mixed(context, bound, fit)
    if fit.kind != "sem":
        raise Refused("update() of this is not translated.")
    info: FitInfo = fit.info
    model, add, data = bound.node("model"), bound.node("add"), bound.node("data")
    dots = bound.dots()
    if model is None and dots and dots[0][0] is None:
        model, dots = dots[0][1], dots[1:]
    keywords: dict[str, Doc] = {}
    for name, node in dots:
        if name is None:
            raise Refused("update() has an argument too many here.")
        if name == "group":
            raise Refused("update() with other groups: write the call anew.")
        keywords |= option(context, name, node)
    if data is not None:
        keywords["data"] = frame(context, data, "update").doc
    text: tuple[Doc, ...] = ()
    if model is not None:
        text = (context.value(model).doc,)
    elif add is not None:
        added = context.value(add)
        if not isinstance(added.constant, str):
            raise Refused("what update() adds is not written in the call.")
        text = (literal("+ " + "\n+ ".join(_statements(added.constant))),)
    return Value(method(fit.atom, "update", *text, **keywords), "sem", info=info)


def _statements(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"[;\n]", text) if line.strip()]


def _updated_mixed(context: Context, bound: Bound, fit: Value) -> Value:
    info: FitInfo = fit.info
    change, table = bound.node("formula"), bound.node("data")
    dots = bound.dots()
    if change is None and dots and dots[0][0] is None:
        change, dots = dots[0][1], dots[1:]
    bound.rest = dots
    reml = bound.flag("REML", info.reml)
    text: tuple[Doc, ...] = ()
    formula, data = info.formula, info.data
    keywords: dict[str, Doc] = {}
    if change is not None:
        changed = context.value(change)
        if changed.kind != "formula":
            raise Refused("this change of a formula is not translated.")
        text, formula = (changed.doc,), _changed(formula, changed.constant)
    if table is not None:
        data = frame(context, table, "update")
    else:
        context.require_unchanged(info)  # R takes what has the name by now
    if table is not None or (text and not data.is_name):
        keywords["data"] = data.doc
    if reml is not info.reml:
        keywords["REML"] = str(reml)
    seen = context.seen(data.doc)
    new = replace(info, formula=formula, data=data, reml=reml, seen=seen)
    return Value(method(fit.atom, "update", *text, **keywords), "lmm", info=new)


def _changed(formula: str, change: object) -> str:
    """The formula after ``. ~ . + x``; of other changes its random part is what is known."""
    added = re.fullmatch(r"\s*\.\s*~\s*\.\s*\+([^.]*)", str(change), re.DOTALL)
    if added is not None:
        return f"{formula} + {added[1].strip()}"
    removed = re.fullmatch(r"\s*\.\s*~\s*\.\s*-\s*([\w.:]+)\s*", str(change))
    outcome, _, terms = formula.partition("~")
    if removed is not None:
        kept = re.sub(rf"(^|\+)\s*{re.escape(removed[1])}\s*(?=\+)", r"\1", terms.strip())
        if kept != terms.strip():
            return f"{outcome} ~ {kept.replace('++', '+').removeprefix('+')}"
    return f"{outcome} ~ ? + {terms[terms.find('(') :]}"
