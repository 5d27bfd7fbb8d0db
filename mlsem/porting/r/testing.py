"""Tests of fits and between them: `anova`, `lavTestLRT`, `lavTestScore`, `lavTestWald`."""

from __future__ import annotations

import re

from mlsem.porting.r.context import Bound, Context, r_function, short
from mlsem.porting.r.layout import Brackets, Doc, call, flat, items, literal, method
from mlsem.porting.r.results import a_fit
from mlsem.porting.r.values import FitInfo, Refused, Value


@r_function("anova lavTestLRT lrtest", "object ...")
def anova(context: Context, bound: Bound) -> Value:
    first = a_fit(context, bound, "object")
    others = [context.value(node) for name, node in bound.dots() if name is None]
    for name in ("refit", "ddf"):
        node = bound.node(name)
        if node is not None:
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
        keywords["method"] = literal(named)
    return _test_of_two(context, fits, keywords)


@r_function("compareFit", "...")
def compare(context: Context, bound: Bound) -> Value:
    bound.drop("nested", "indices")
    fits = [context.value(node) for name, node in bound.dots() if name is None]
    if len(fits) < 2 or any(fit.kind != "sem" for fit in fits):
        raise Refused("what is compared are no fits that were translated.")
    return Value(call("mlsem.compare", _by_name(fits)), "comparison")


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
    if first < second:
        return docs
    if second < first:
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
    return method(fit.atom, "update", REML="False")


def _random_part(formula: str) -> str:
    return "".join(formula[formula.find("(") :].split()) if "(" in formula else ""


@r_function("lavTestScore", "object add release univariate cumulative epc ...", lenient=True)
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
