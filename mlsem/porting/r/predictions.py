"""Scores, predictions, residuals, and what `lavInspect` knows by name."""

from __future__ import annotations

from mlsem.porting.r.context import Bound, Context, r_function
from mlsem.porting.r.layout import Doc, literal, method
from mlsem.porting.r.mixed import predicted, row_residuals
from mlsem.porting.r.results import a_fit, data_of
from mlsem.porting.r.values import Refused, Value


@r_function("lavPredict", "object newdata type method se acov label fsm append.data assemble level")
def lav_predict(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    return _scores(context, bound, fit)


def _scores(context: Context, bound: Bound, fit: Value) -> Value:
    kind, how = bound.text("type") or "lv", (bound.text("method") or "regression").lower()
    if kind != "lv":
        raise Refused('only type = "lv" is translated; fit.predict(data) has expected outcomes.')
    names = {"ebm": "regression", "regression": "regression", "bartlett": "bartlett", "ml": ""}
    if not names.get(how):
        raise Refused(f'method = "{how}": there are "regression" and "bartlett".')
    level, table = bound.value("level"), bound.value("newdata")
    errors = bound.text("se")
    bound.drop("label")
    if bound.flag("append.data", False) or bound.flag("assemble", False):
        raise Refused("put the scores beside the data: data.join(fit.predict_latent(data=data)).")
    keywords: dict[str, Doc] = {}
    if names[how] != "regression":
        keywords["method"] = literal(names[how])
    if errors in (None, "none"):
        keywords["se"] = "False"
    second = level is not None and level.constant == 2
    if not second:
        keywords["data"] = data_of(context, fit) if table is None else table.doc
    elif table is not None:
        keywords["data"] = table.doc
    first = "2" if second else "1"
    return Value(method(fit.atom, "predict_latent", first, **keywords), "matrix")


@r_function("predict fitted", "object newdata ...")
def predict(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object")
    if fit.kind == "sem":
        if bound.call.function == "fitted":
            return Value(method(fit.atom, "inspect", literal("implied")), "any")
        return _scores(context, bound, fit)
    return predicted(context, bound, fit)


@r_function("resid residuals", "object type ...")
def residuals(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object")
    if fit.kind == "sem":
        kind = bound.text("type")
        kinds = {None: "raw", "raw": "raw", "cor": "cor.bollen", "cor.bollen": "cor.bollen"}
        kinds |= {"cor.bentler": "cor.bentler"}
        if kind not in kinds:
            raise Refused(f'type = "{kind}" of residuals is not translated.')
        return Value(method(fit.atom, "residuals", literal(str(kinds[kind]))), "any")
    return row_residuals(context, bound, fit)


@r_function("lavResiduals", "object type ...", lenient=True)
def lav_residuals(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    kind = bound.text("type") or "cor.bentler"
    bound.drop("zstat", "summary")
    return Value(method(fit.atom, "residuals", literal(kind)), "any")


@r_function("lavInspect inspect lavTech", "object what ...")
def inspect(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    what = bound.text("what") or "free"
    if what in ("converged", "optim.converged"):
        return Value((fit.atom, ".converged"), "number")
    if what == "fit":
        return Value(method(fit.atom, "fit_measures"), "series")
    kind = {"rsquare": "series", "r2": "series", "icc": "series", "vcov": "matrix"}.get(what, "any")
    return Value(method(fit.atom, "inspect", literal(what)), kind)


@r_function("reliability compRelSEM", "object ...", lenient=True)
def reliability(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    return Value(method(fit.atom, "reliability"), "any")


@r_function("tidy glance", "x ...", lenient=True)
def broom(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "x")
    bound.drop("conf.int")
    return Value(method(fit.atom, bound.call.function), "any")
