"""What is asked of a fit: lavaan's and lme4's functions of results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.porting.r.context import Bound, Context, r_function, short
from mlsem.porting.r.layout import Brackets, Doc, at, call, flat, items, literal, method
from mlsem.porting.r.nodes import Text
from mlsem.porting.r.values import POWER, TIMES, FitInfo, Refused, Value

if TYPE_CHECKING:
    pass


def a_fit(context: Context, bound: Bound, formal: str, *kinds: str) -> Value:
    fit = bound.needed(formal)
    if fit.kind not in (kinds or ("sem", "lmm")):
        raise Refused(f"{bound.call.function}() of this is not translated.")
    return fit


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


@r_function("summary", SUMMARY)
def summary(context: Context, bound: Bound) -> Value:
    of = bound.needed_table("object")
    if of.kind in ("frame", "column", "estimates"):
        return Value(method(of.atom, "describe"), "frame")
    if of.kind == "lmm":
        return _mixed_summary(bound, of)
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
        return Value(method(doc, "to_text", digits=digits.doc), "summary", info=of.info)
    return Value(doc, "summary", info=of.info)


def _mixed_summary(bound: Bound, fit: Value) -> Value:
    ddf = bound.text("ddf")
    bound.drop("correlation", "corr")
    doc: Doc = fit.atom
    if ddf is not None and ddf.lower().startswith("kenward"):
        doc = method(doc, "with_se", literal("standard"), df=literal("kenward-roger"))
    elif ddf is not None and not ddf.lower().startswith("satterth"):
        raise Refused(f'ddf = "{ddf}": there are Satterthwaite and Kenward-Roger.')
    return Value(method(doc, "summary"), "summary", info=fit.info)


ESTIMATES = (
    "object se zstat pvalue ci standardized fmi level boot.ci.type cov.std fmi.options rsquare "
    "remove.system.eq remove.eq remove.ineq remove.def remove.nonfree remove.step1 "
    "add.attributes output header"
)


@r_function("parameterEstimates parameterestimates parameterTable", ESTIMATES)
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


@r_function("standardizedSolution standardizedsolution", STANDARDIZED)
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


@r_function("fitMeasures fitmeasures", "object fit.measures ...")
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


@r_function("modindices modificationIndices modificationindices", MODINDICES)
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
    if fit.kind == "summary" and isinstance(fit.info, FitInfo) and fit.info.function == "lmm":
        raise Refused("the table of fixed effects is fit.tidy(), as a data frame.")
    if fit.kind == "lmm":
        raise Refused(
            "coef() of a mixed model adds fixed and random effects cluster by cluster: they are "
            "fit.fixef and fit.random_effects()."
        )
    if fit.kind != "sem":
        raise Refused("coef() of this is not translated.")
    return Value((fit.atom, ".params"), "series", info=fit.info)


@r_function("fixef fixed.effects", "object")
def fixef(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "lmm")
    params: Doc = (fit.atom, ".params")
    return Value(at(params, ("~", _variances(fit, params))), "series")


def _variances(fit: Value, params: Doc) -> Doc:
    """Which parameters are variances and covariances: those of the grouping factor."""
    group = fit.info.formula.rpartition("|")[2].partition(")")[0].strip()
    pattern = literal(f"{re.escape(group)}\\.|Residual$".replace("\\", "\\"))
    return method((params, ".index.str"), "match", "r" + pattern.replace("\\\\", "\\"))


@r_function("ranef random.effects", "object ...")
def ranef(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "lmm")
    bound.drop("condVar")
    return Value(method(fit.atom, "random_effects"), "random", info=fit.info)


@r_function("VarCorr", "x ...")
def var_corr(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "x", "lmm")
    bound.drop("sigma")
    params: Doc = (fit.atom, ".params")
    return Value(at(params, _variances(fit, params)), "random")


@r_function("vcov", "object ...")
def vcov(context: Context, bound: Bound) -> Value:
    fit = bound.needed("object")
    if fit.kind not in ("sem", "lmm", "robust"):
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


def _number(name: str) -> object:
    def translate(context: Context, bound: Bound) -> Value:
        return Value((a_fit(context, bound, "object").atom, f".{name}"), "number")

    return translate


for _theirs, _ours in (("logLik", "loglik"), ("AIC", "aic"), ("BIC", "bic"), ("nobs", "n_obs")):
    r_function(_theirs, "object")(_number(_ours))  # pyright: ignore[reportArgumentType]


@r_function("isSingular", "x tol")
def is_singular(context: Context, bound: Bound) -> Value:
    return Value((a_fit(context, bound, "x", "lmm").atom, ".singular"), "number")


@r_function("sigma", "object")
def sigma(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "lmm")
    return Value((at((fit.atom, ".params"), literal("Residual")), " ** 0.5"), "number", POWER)


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


# --- tests --------------------------------------------------------------------------------------


@r_function("anova lavTestLRT lrtest", "object ...")
def anova(context: Context, bound: Bound) -> Value:
    first = a_fit(context, bound, "object")
    others = [context.value(node) for name, node in bound.dots() if name is None]
    for name in ("refit", "ddf", "type"):
        node = bound.node(name)
        if node is not None and name != "type":
            raise Refused(f"{name} = {short(node.source)} is not translated.")
    named = bound.text("method")
    if not others:
        raise Refused(
            'anova() of one fit tests its terms: fit.wald_test("`x1`") tests one, several are '
            "joined by ';'."
        )
    fits = [first, *others]
    if any(fit.kind != first.kind for fit in fits):
        raise Refused("these are not fits of one kind.")
    if len(fits) > 2:
        if first.kind == "lmm":
            raise Refused("compare two fits at a time: mlsem.lr_test(simple, full).")
        return Value(call("mlsem.compare", _by_name(fits)), "comparison")
    keywords: dict[str, Doc] = {}
    if named is not None and named != "default":
        keywords["method"] = literal(named.replace("satorra.", "satorra."))
    return _test_of_two(context, fits, keywords)


def _by_name(fits: list[Value]) -> Doc:
    if all(fit.is_name for fit in fits):
        pairs = tuple(f"{literal(str(fit.doc))}: {fit.doc}" for fit in fits)
        return Brackets("{", pairs, "}")
    return items(fit.doc for fit in fits)


def _test_of_two(context: Context, fits: list[Value], keywords: dict[str, Doc]) -> Value:
    infos: list[FitInfo] = [fit.info for fit in fits]
    docs = [fit.doc for fit in fits]
    if fits[0].kind == "lmm":
        docs = [_by_ml(fit, info) for fit, info in zip(fits, infos, strict=True)]
        docs = _simple_first(docs, infos)
        if len({_random_part(info.formula) for info in infos}) > 1:
            keywords["boundary"] = "False"
            _tell_boundary(context)
    else:
        docs = _more_equal_first(docs, infos)
        keywords["boundary"] = "False"
    return Value(call("mlsem.lr_test", *docs, **keywords), "test")


def _simple_first(docs: list[Doc], infos: list[FitInfo]) -> list[Doc]:
    """R sorts the fits by their parameters."""
    first, second = (set(_terms(info.formula)) for info in infos)
    if first <= second:
        return docs
    if second <= first:
        return docs[::-1]
    return _sorted(docs)


def _sorted(docs: list[Doc]) -> list[Doc]:
    return [("*", call("sorted", Brackets("(", tuple(docs), ")"), key="lambda fit: fit.n_params"))]


def _more_equal_first(docs: list[Doc], infos: list[FitInfo]) -> list[Doc]:
    """Of one model in groups that with more parameters equal is the simple one."""
    names = ("group_equal", "group_partial")
    rest = [{k: v for k, v in info.options.items() if k not in names} for info in infos]
    first, second = (
        [set(re.findall(r'"[^"]*"', flat(info.options.get(name, "")))) for name in names]
        for info in infos
    )
    if rest[0] != rest[1] or infos[0].model != infos[1].model or first == second:
        return _sorted(docs)
    if first[0] >= second[0] and first[1] <= second[1]:
        return docs
    if second[0] >= first[0] and second[1] <= first[1]:
        return docs[::-1]
    return _sorted(docs)


def _terms(formula: str) -> list[str]:
    """The terms of a mixed model's formula, fixed and random, as far as they are plain."""
    terms: list[str] = []
    for k, part in enumerate(re.split(r"\(([^()|]*)\|+[^()]*\)", formula.partition("~")[2])):
        random = "|" if k % 2 else ""
        for term in re.split(r"\s*\+\s*", part.strip()):
            factors = re.split(r"\s*\*\s*", term)
            crossed = [":".join(factors)] if len(factors) > 1 else []
            terms += [random + each for each in (*factors, *crossed) if each]
        if random:
            terms.append("|1")
    return terms


def _tell_boundary(context: Context) -> None:
    context.remark(
        "boundary=False is R's test. A variance cannot be negative: without it the p value is "
        "right."
    )


def _by_ml(fit: Value, info: FitInfo) -> Doc:
    """R refits by maximum likelihood before it compares."""
    if not info.reml:
        return fit.doc
    return call("mlsem.lmm", info.model, info.data.doc, **(info.options | {"REML": "False"}))


def _random_part(formula: str) -> str:
    return "".join(formula[formula.find("(") :].split()) if "(" in formula else ""


@r_function("lavTestScore", "object add release univariate cumulative epc ...")
def score_test(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    add, release = bound.value("add"), bound.value("release")
    bound.drop("univariate", "epc", "standardized", "cov.std", "verbose", "warn")
    if release is not None:
        raise Refused('equalities are given up by fit.score_test(release="all").')
    if add is None:
        return Value(method(fit.atom, "score_test", release=literal("all")), "test")
    return Value(method(fit.atom, "score_test", add.doc), "test")


@r_function("lavTestWald", "object constraints ...")
def lav_test_wald(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    constraints = bound.needed("constraints")
    bound.drop("verbose")
    doc = method(fit.atom, "wald_test", constraints.doc, test=literal("chi2"))
    return Value(doc, "test")


# --- predictions, residuals ---------------------------------------------------------------------


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
        keywords["data"] = fit.info.data.doc if table is None else table.doc
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
    table = bound.value("newdata")
    form, keywords = bound.node("re.form"), dict[str, Doc]()
    if form is not None:
        if form.source.replace(" ", "") not in ("NA", "~0"):
            raise Refused("re.form takes NA (no random effects) here.")
        keywords["random"] = "False"
    data = fit.info.data.doc if table is None else table.doc
    return Value(method(fit.atom, "predict", data, **keywords), "frame")


@r_function("resid residuals", "object type ...")
def residuals(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object")
    kind = bound.text("type")
    if fit.kind == "sem":
        kinds = {None: "raw", "raw": "raw", "cor": "cor.bollen", "cor.bollen": "cor.bollen"}
        kinds |= {"cor.bentler": "cor.bentler"}
        if kind not in kinds:
            raise Refused(f'type = "{kind}" of residuals is not translated.')
        return Value(method(fit.atom, "residuals", literal(str(kinds[kind]))), "any")
    raise Refused("residuals of a mixed model: the outcome minus fit.predict(data).")


@r_function("lavResiduals", "object type ...")
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


@r_function("reliability compRelSEM", "object ...")
def reliability(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "sem")
    return Value(method(fit.atom, "reliability"), "any")


@r_function("icc", "model ...")
def icc(context: Context, bound: Bound) -> Value:
    return Value(method(a_fit(context, bound, "model", "lmm").atom, "icc"), "any")


@r_function("r2 r2_nakagawa r.squaredGLMM", "model ...")
def r_squared(context: Context, bound: Bound) -> Value:
    return Value(method(a_fit(context, bound, "model", "lmm").atom, "r_squared"), "any")
