"""What is asked of mixed models: effects, variances, predictions of rows, marginal means."""

from __future__ import annotations

from mlsem.porting.r.context import Bound, Context, r_function, short
from mlsem.porting.r.layout import Doc, at, items, literal, method
from mlsem.porting.r.nodes import Argument, Binary, Call, Name, Node, Text, Unary
from mlsem.porting.r.results import a_fit, data_of
from mlsem.porting.r.values import FitInfo, Refused, Value


@r_function("fixef fixed.effects", "object")
def fixef(context: Context, bound: Bound) -> Value:
    return Value(method(a_fit(context, bound, "object", "lmm").atom, "fixef"), "series")


@r_function("ranef random.effects", "object ...", lenient=True)
def ranef(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "lmm")
    bound.drop("condVar")
    return Value(method(fit.atom, "random_effects"), "random", info=fit.info)


@r_function("VarCorr", "x ...")
def var_corr(context: Context, bound: Bound) -> Value:
    return Value(method(a_fit(context, bound, "x", "lmm").atom, "VarCorr"), "variances")


@r_function("isSingular", "x tol")
def is_singular(context: Context, bound: Bound) -> Value:
    return Value((a_fit(context, bound, "x", "lmm").atom, ".singular"), "number")


@r_function("sigma", "object")
def sigma(context: Context, bound: Bound) -> Value:
    fit = a_fit(context, bound, "object", "lmm")
    return Value((method(fit.atom, "VarCorr"), ".sigma"), "number")


def predicted(context: Context, bound: Bound, fit: Value) -> Value:
    """`predict` and `fitted`."""
    table, form = bound.value("newdata"), bound.node("re.form")
    keywords: dict[str, Doc] = {}
    if form is not None:
        if form.source.replace(" ", "") not in ("NA", "~0"):
            raise Refused("re.form takes NA, no random effects, here.")
        keywords["random"] = "False"
    elif bound.flag("allow.new.levels", False):
        keywords["new_levels"] = literal("population")
    bound.drop("allow.new.levels")
    if bound.call.function == "fitted" or table is None:
        return Value(method(fit.atom, "fitted", *_rows(context, fit), **keywords), "series")
    made = method(fit.atom, "predict", table.doc, **keywords)
    outcome = fit.info.formula.partition("~")[0].strip()
    if not outcome.isidentifier():
        return Value(made, "frame")
    return Value(at(made, literal(outcome)), "series")


def row_residuals(context: Context, bound: Bound, fit: Value) -> Value:
    """`residuals`: of rows."""
    kind = bound.text("type")
    if kind not in (None, "response", "pearson"):
        raise Refused(f'type = "{kind}" of residuals is not translated.')
    asked: tuple[Doc, ...] = () if kind in (None, "response") else (literal(str(kind)),)
    rows = _rows(context, fit)
    keywords: dict[str, Doc] = {"data": rows[0]} if rows else {}
    return Value(method(fit.atom, "residuals", *asked, **keywords), "series")


def _rows(context: Context, fit: Value) -> tuple[Doc, ...]:
    """The data of the fit, where it would not find them itself."""
    data = data_of(context, fit)
    return () if fit.info.data.is_name else (data,)


@r_function("icc", "model ...", lenient=True)
def icc(context: Context, bound: Bound) -> Value:
    return Value(method(a_fit(context, bound, "model", "lmm").atom, "icc"), "any")


@r_function("r2 r2_nakagawa r.squaredGLMM", "model ...", lenient=True)
def r_squared(context: Context, bound: Bound) -> Value:
    return Value(method(a_fit(context, bound, "model", "lmm").atom, "r_squared"), "any")


# --- marginal means -----------------------------------------------------------------------------


@r_function("emmeans lsmeans", "object specs by ...")
def emmeans(context: Context, bound: Bound) -> Value:
    fit = _with_freedom(bound, a_fit(context, bound, "object", "lmm"))
    return _marginal(context, bound, fit, "marginal_means")


@r_function("emtrends", "object specs var ...")
def emtrends(context: Context, bound: Bound) -> Value:
    fit = _with_freedom(bound, a_fit(context, bound, "object", "lmm"))
    slope = bound.text("var")
    if slope is None:
        raise Refused("var is missing: the covariate whose slopes are asked for.")
    return _marginal(context, bound, fit, "marginal_slopes", literal(slope))


def _with_freedom(bound: Bound, fit: Value) -> Doc:
    """emmeans takes Kenward and Roger's degrees of freedom, if it is not told otherwise."""
    info: FitInfo = fit.info
    asked = bound.text("lmer.df") or bound.text("mode") or "kenward-roger"
    if asked.lower().startswith("satterth"):
        return fit.atom
    if asked.lower().startswith("asymp"):
        return method(fit.atom, "with_se", literal("standard"), test=literal("z"))
    if not info.reml:
        raise Refused(
            "degrees of freedom of Kenward and Roger are those of a fit by REML: say "
            'lmer.df = "satterthwaite".'
        )
    return method(fit.atom, "with_se", literal("standard"), df=literal("kenward-roger"))


def _marginal(context: Context, bound: Bound, fit: Doc, name: str, *first: Doc) -> Value:
    variables, by, pairs = _specs(bound.need("specs"))
    asked = bound.value("by")
    if asked is not None:
        by = [*by, *_texts(asked)]
    keywords: dict[str, Doc] = {"by": _one_or_more(by)} if by else {}
    places, level = bound.value("at"), bound.value("level")
    if places is not None:
        if places.kind != "dict":
            raise Refused("at is translated as list(x = c(…)).")
        keywords["at"] = places.doc
    weights = bound.text("weights")
    if weights not in (None, "equal", "proportional"):
        raise Refused(f'weights = "{weights}": there are "equal" and "proportional".')
    if weights == "proportional":
        keywords["weights"] = literal(weights)
    if level is not None:
        keywords["level"] = level.doc
    made = method(fit, name, *first, _one_or_more(variables), **keywords)
    if pairs:
        context.remark("pairs() has the differences; the means are what it is asked of.")
        return Value(method(made, "pairs"), "contrasts")
    return Value(made, "marginal means")


def _specs(node: Node) -> tuple[list[str], list[str], bool]:
    """``~ f * g | h``, ``pairwise ~ f``, ``c("f", "g")``: variables, by, whether pairs."""
    pairs = False
    if isinstance(node, Binary) and node.operator == "~":
        pairs = isinstance(node.left, Name) and node.left.name == "pairwise"
        if not pairs:
            raise Refused(f"the contrasts {short(node.source)!r} are not translated.")
        node = node.right
    elif isinstance(node, Unary) and node.operator == "~":
        node = node.operand
    if isinstance(node, Binary) and node.operator == "|":
        return _words(node.left), _words(node.right), pairs
    return _words(node), [], pairs


def _words(node: Node) -> list[str]:
    match node:
        case Name(name=name) | Text(value=name):
            return [name]
        case Binary(operator="*" | "+" | ":", left=left, right=right):
            return [*_words(left), *_words(right)]
        case Call(function="c", arguments=arguments):
            return [word for each in arguments for word in _words_of(each)]
        case _:
            raise Refused(f"the variables {short(node.source)!r} are not named one by one.")


def _words_of(argument: Argument) -> list[str]:
    if argument.value is None or argument.name is not None:
        raise Refused("the variables of marginal means are not named one by one.")
    return _words(argument.value)


def _texts(value: Value) -> list[str]:
    parts = value.constant if isinstance(value.constant, tuple) else (value.constant,)
    return [part for part in parts if isinstance(part, str)]


def _one_or_more(names: list[str]) -> Doc:
    return literal(names[0]) if len(names) == 1 else items(map(literal, names))


@r_function("pairs contrast", "x method ...")
def pairs(context: Context, bound: Bound) -> Value:
    means, how = bound.needed("x"), bound.text("method")
    if means.kind != "marginal means" or how not in (None, "pairwise"):
        raise Refused(
            f"{bound.call.function}() of this is not translated: differences of all "
            "pairs are, and fit.contrast() has others."
        )
    adjust = bound.text("adjust")
    if bound.call.function == "contrast" and how is None:
        raise Refused('contrast() is translated with "pairwise".')
    keywords: dict[str, Doc] = {}
    if adjust is not None:
        keywords["adjust"] = "None" if adjust == "none" else literal(adjust)
    if bound.flag("reverse", False):
        raise Refused("differences the other way round are the negatives of pairs().")
    return Value(method(means.atom, "pairs", **keywords), "contrasts")
