"""What is asked of a fit: lavaan's and lme4's functions of results."""

from __future__ import annotations

from dataclasses import replace

from mlsem.porting.r.context import Bound, Context, r_function
from mlsem.porting.r.layout import Doc, at, call, literal, method
from mlsem.porting.r.nodes import Text
from mlsem.porting.r.values import POWER, TIMES, FitInfo, Refused, Value, fixed_effects


def a_fit(context: Context, bound: Bound, formal: str, *kinds: str) -> Value:
    fit = bound.needed(formal)
    if fit.kind not in (kinds or ("sem", "lmm")):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    return fit


def data_of(context: Context, fit: Value) -> Doc:
    """The data of a fit, which R keeps with it, by the name that they had."""
    context.require_unchanged(fit.info)
    return fit.info.data.doc


def _flags(bound: Bound, **theirs: str) -> dict[str, Doc]:
    """Those that are TRUE: R's name → ours."""
    made: dict[str, Doc] = {}
    for ours, name in theirs.items():
        if bound.flag(name, False):
            made[ours] = "True"
    return made


# --- tables -------------------------------------------------------------------------------------

SUMMARY = (
    "object fit.measures standardized rsquare ci header estimates fmi std std.nox nd modindices "
    "remove.step1 cov.std correlation ddf ..."
)


@r_function("summary", SUMMARY, lenient=True)
def summary(context: Context, bound: Bound) -> Value:
    of = bound.needed_table("object")
    if of.kind in ("frame", "column", "estimates"):
        return Value(method(of.atom, "describe"), "frame")
    if of.kind == "lmm":
        return _mixed_summary(context, bound, of)
    if of.kind == "pooled":
        bound.others()
        return Value(method(of.atom, "summary"), "summary", info=None)
    if of.kind != "sem":
        raise Refused("summary() of this is not translated.")
    keywords: dict[str, Doc] = {"level": "0.95"} if bound.flag("ci", False) else {}
    keywords |= _flags(bound, fit_measures="fit.measures", standardized="standardized")
    if bound.flag("std", False):
        keywords["standardized"] = "True"
    keywords |= _flags(bound, rsquare="rsquare")
    if bound.flag("modindices", False):
        context.remark("The modification indices are fit.modification_indices().")
    for name in ("header", "estimates", "remove.step1", "cov.std"):
        bound.drop(name)
    digits = bound.value("nd")
    doc = method(of.atom, "summary", **keywords)
    if digits is not None:
        return Value(method(doc, "to_text", digits=digits.doc), "summary")
    return Value(doc, "summary")


def _mixed_summary(context: Context, bound: Bound, fit: Value) -> Value:
    ddf = bound.text("ddf")
    bound.drop("correlation", "corr")
    doc: Doc = fit.atom
    if ddf is not None and ddf.lower().startswith("kenward"):
        doc = method(doc, "with_se", literal("standard"), df=literal("kenward-roger"))
    elif ddf is not None and not ddf.lower().startswith("satterth"):
        raise Refused(f'ddf = "{ddf}": there are Satterthwaite and Kenward-Roger.')
    info = replace(fit.info, fit=doc, seen=context.seen(doc))
    return Value(method(doc, "summary"), "summary", info=info)


ESTIMATES = (
    "object se zstat pvalue ci standardized fmi level boot.ci.type cov.std fmi.options rsquare "
    "remove.system.eq remove.eq remove.ineq remove.def remove.nonfree remove.step1 "
    "add.attributes output header"
)


@r_function("parameterEstimates parameterestimates parameterTable", ESTIMATES, lenient=True)
def parameter_estimates(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    if bound.call.function == "parameterTable":
        raise Refused("the parameter table is fit.table, and fit.parameter_estimates().")
    keywords: dict[str, Doc] = {}
    level = bound.value("level")
    if level is not None:
        keywords["level"] = level.doc
    keywords |= _flags(bound, standardized="standardized", rsquare="rsquare", fmi="fmi")
    for name in ("se", "zstat", "pvalue", "ci", "cov.std", "remove.system.eq", "remove.eq"):
        bound.drop(name)
    bound.drop("remove.ineq", "remove.step1", "add.attributes", "output", "header")
    return Value(method(fit.atom, "parameter_estimates", **keywords), "estimates", info=fit.info)


STANDARDIZED = "object type se zstat pvalue ci level cov.std remove.eq remove.ineq remove.def"


@r_function("standardizedSolution standardizedsolution", STANDARDIZED, lenient=True)
def standardized(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    asked = bound.text("type") or "std.all"
    kind = {"std.all": "all", "std.lv": "lv", "std.nox": "nox"}.get(asked)
    if kind is None:
        raise Refused(f'type = "{asked}": there are "all", "lv" and "nox".')
    level, keywords = bound.value("level"), dict[str, Doc]()
    if level is not None:
        keywords["level"] = level.doc
    for name in STANDARDIZED.split():
        bound.drop(name)
    doc = method(fit.atom, "standardized", literal(kind), **keywords)
    return Value(doc, "estimates", info=fit.info)


@r_function("fitMeasures fitmeasures", "object fit.measures ...", lenient=True)
def fit_measures(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    names = bound.node("fit.measures")
    if names is None or (isinstance(names, Text) and names.value == "all"):
        return Value(method(fit.atom, "fit_measures"), "series", info=fit.info)
    value = context.value(names)
    if value.kind == "text":
        return Value(at(method(fit.atom, "fit_measures"), value.doc), "number", info=fit.info)
    if value.kind != "texts":
        raise Refused("the measures of fit are no names here.")
    return Value(method(fit.atom, "fit_measures", value.doc), "series", info=fit.info)


MODINDICES = (
    "object standardized cov.std information power delta alpha high.power sort. minimum.value "
    "maximum.number free.remove na.remove op"
)


@r_function("modindices modificationIndices modificationindices", MODINDICES, lenient=True)
def modification_indices(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    keywords: dict[str, Doc] = {}
    if not (bound.flag("sort.", False)):
        keywords["sort"] = "False"
    minimum, most, operator = (
        bound.value("minimum.value"),
        bound.value("maximum.number"),
        bound.value("op"),
    )
    if minimum is not None:
        keywords["minimum"] = minimum.doc
    if bound.flag("power", False):
        delta = bound.value("delta")
        keywords["power"] = "0.1" if delta is None else delta.doc
    bound.drop("standardized", "cov.std", "na.remove")
    doc: Doc = method(fit.atom, "modification_indices", **keywords)
    if operator is not None:
        doc = method(doc, "query", literal(f'op == "{operator.constant}"'))
    if most is not None:
        doc = method(doc, "head", most.doc)
    return Value(doc, "estimates")


# --- numbers ------------------------------------------------------------------------------------


@r_function("coef", "object ...")
def coef(context: Context, bound: Bound) -> Value:
    fit = bound.needed("object")
    if fit.kind == "summary" and fit.info is not None:
        context.require_unchanged(fit.info)
        return fixed_effects(fit.info)
    if fit.kind == "lmm":
        raise Refused(
            "coef() of a mixed model adds fixed and random effects cluster by cluster: they are "
            "fit.fixef() and fit.random_effects()."
        )
    if fit.kind not in ("sem", "pooled"):
        raise Refused("coef() of this is not translated.")
    return Value((fit.atom, ".params"), "series", info=fit.info)


@r_function("vcov", "object ...")
def vcov(context: Context, bound: Bound) -> Value:
    fit = bound.needed("object")
    if fit.kind not in ("sem", "lmm", "robust", "pooled"):
        raise Refused("vcov() of this is not translated.")
    return Value(method(fit.atom, "vcov"), "matrix", info=fit.atom)


@r_function("diag", "x")
def diag(context: Context, bound: Bound) -> Value:
    matrix = bound.needed("x")
    if matrix.kind == "robust":
        return Value(((matrix.atom, ".bse"), "**2"), "squares", POWER, info=(matrix.atom, ".bse"))
    if matrix.kind != "matrix":
        raise Refused("diag() of this is not translated.")
    if matrix.info is not None and not matrix.is_name:
        bse: Doc = (matrix.info, ".bse")
        return Value((bse, "**2"), "squares", POWER, info=bse)
    return Value(call(f"{context.numpy()}.diag", matrix.doc), "series")


NUMBERS = {"logLik": "loglik", "AIC": "aic", "BIC": "bic", "nobs": "n_obs"}


@r_function(" ".join(NUMBERS), "object")
def number(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object")
    return Value((fit.atom, f".{NUMBERS[bound.call.function]}"), "number")


@r_function("deviance", "object")
def deviance(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object")
    if isinstance(fit.info, FitInfo) and fit.info.reml and fit.kind == "lmm":
        raise Refused("the deviance of a fit by REML: -2 * fit.loglik is the REML criterion.")
    return Value(("-2 * ", (fit.atom, ".loglik")), "number", TIMES)


@r_function("confint", "object parm level method ...")
def confint(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem", "lmm")
    keywords: dict[str, Doc] = {}
    level, method_ = bound.value("level"), bound.text("method")
    names = bound.value("parm")
    if level is not None:
        keywords["level"] = level.doc
    if names is not None and names.kind in ("text", "texts") and names.constant != "beta_":
        keywords["parameters"] = names.doc
    doc: Doc = fit.atom
    if fit.kind == "lmm":
        if method_ is None or method_.lower() != "wald":
            raise Refused(
                'intervals by profile: fit.conf_int(ci="profile") has them, of variances where R '
                "has standard deviations."
            )
        doc = method(doc, "with_se", literal("standard"), test=literal("z"))
    return Value(method(doc, "conf_int", **keywords), "estimates", info=fit.info)
