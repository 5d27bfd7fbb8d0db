"""What is asked of mixed models: effects, variances, predictions of rows."""

from __future__ import annotations

from mlsem.porting.r.context import Bound, Context, r_function
from mlsem.porting.r.layout import Doc, at, literal, method
from mlsem.porting.r.results import a_fit, data_of
from mlsem.porting.r.values import PLUS, POWER, FitInfo, Refused, Value


@r_function("fixef fixed.effects", "object")
def fixef(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "lmm")
    params: Doc = (fit.atom, ".params")
    return Value(at(params, ("~", _variances(fit, params))), "series")


def _variances(fit: Value, params: Doc) -> Doc:
    """Which parameters are variances and covariances: those of the grouping factor."""
    group = fit.info.formula.rpartition("|")[2].partition(")")[0].strip()
    if not group.isidentifier():
        raise Refused("the grouping factor of this fit is not written in its formula.")
    return method((params, ".index.str"), "match", f'r"{group}\\.|Residual$"')


@r_function("ranef random.effects", "object ...")
def ranef(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "lmm")
    bound.drop("condVar")
    return Value(method(fit.atom, "random_effects"), "random", info=fit.info)


@r_function("VarCorr", "x ...")
def var_corr(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "x", "lmm")
    params: Doc = (fit.atom, ".params")
    return Value(at(params, _variances(fit, params)), "variances")


@r_function("isSingular", "x tol")
def is_singular(context: Context, bound: Bound) -> Value:
    return Value((a_fit(context, bound, "x", "lmm").atom, ".singular"), "number")


@r_function("sigma", "object")
def sigma(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "lmm")
    return Value((at((fit.atom, ".params"), literal("Residual")), " ** 0.5"), "number", POWER)


def predicted(context: Context, bound: Bound, fit: Value) -> Value:
    """`predict` and `fitted`."""
    table, form = bound.value("newdata"), bound.node("re.form")
    if form is not None:
        raise Refused("predictions without random effects are not translated.")
    data = data_of(context, fit) if table is None else table.doc
    return Value(method(fit.atom, "predict", data), "frame")


def row_residuals(context: Context, bound: Bound, fit: Value) -> Value:
    """`residuals`: outcome minus expectation."""
    info: FitInfo = fit.info
    outcome = info.formula.partition("~")[0].strip()
    if bound.text("type") not in (None, "response") or not outcome.isidentifier():
        raise Refused("residuals of this kind: the outcome minus fit.predict(data).")
    data, name = data_of(context, fit), literal(outcome)
    expected = at(method(fit.atom, "predict", data), name)
    return Value((at(data, name), " - ", expected), "series", PLUS)


@r_function("icc", "model ...")
def icc(context: Context, bound: Bound) -> Value:
    return Value(method(a_fit(context, bound, "model", "lmm").atom, "icc"), "any")


@r_function("r2 r2_nakagawa r.squaredGLMM", "model ...")
def r_squared(context: Context, bound: Bound) -> Value:
    return Value(method(a_fit(context, bound, "model", "lmm").atom, "r_squared"), "any")
