"""clubSandwich: `vcovCR`, `coef_test`, `conf_int`, `Wald_test`.

A covariance matrix of R is here the fit with those standard errors; its `vcov()` is the matrix.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsem.porting.r.context import Bound, Context, r_function, short
from mlsem.porting.r.layout import Doc, flat, literal, method
from mlsem.porting.r.nodes import Call, Field, Index, Node, Text
from mlsem.porting.r.values import FitInfo, Refused, Value, fixed_effects

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")
TESTS = {"satterthwaite": "t", "naive-t": "", "z": "z", "naive-tp": "", "saddlepoint": ""}


@r_function("vcovCR", "obj cluster type target inverse_var form ...")
def vcov_cr(context: Context, bound: Bound) -> Value:
    fit = bound.needed("obj")
    kind = bound.text("type")
    return robust(context, fit, kind, bound.node("cluster"))


def robust(context: Context, fit: Value, kind: str | None, cluster: Node | None) -> Value:
    """The fit with cluster-robust standard errors."""
    if fit.kind not in ("lmm", "sem") or not isinstance(fit.info, FitInfo):
        raise Refused("robust standard errors are those of a fit that was translated.")
    if kind not in KINDS:
        raise Refused("the type of robust standard errors is not one of CR0 to CR3.")
    seen = fit.info.seen | context.seen(fit.doc)
    info = replace(fit.info, fit=fit.doc, se=kind, seen=seen)
    column = None if cluster is None else _column(cluster)
    if column is None or column in _clusters(info):
        return Value(method(fit.atom, "with_se", literal(kind)), "robust", info=info)
    context.require_unchanged(info)
    options = {"data": info.data.doc, "se": literal(kind), "se_cluster": literal(column)}
    return Value(method(fit.atom, "update", **options), "robust", info=info)


def _clusters(info: FitInfo) -> set[str]:
    """The column of the fit's own clusters."""
    inside = info.formula.rpartition("|")[2].replace(")", " ").split()
    return {*inside[:1], flat(info.options.get("cluster", "")).strip("\"'")}


def _column(node: Node) -> str:
    match node:
        case Field(name=name):
            return name
        case Index(arguments=arguments) if arguments and isinstance(arguments[-1].value, Text):
            return arguments[-1].value.value
        case _:
            raise Refused(f"cluster = {short(node.source)} is not a column, data$id.")


def _with(context: Context, bound: Bound) -> Value:
    """The fit with the standard errors that ``vcov =`` says: a kind, or a matrix of `vcovCR`."""
    fit, node = bound.needed("obj"), bound.need("vcov")
    cluster = bound.node("cluster")
    if isinstance(node, Text):
        return robust(context, fit, node.value, cluster)
    matrix = context.value(node)
    if matrix.kind == "text" and isinstance(matrix.constant, str):
        return robust(context, fit, matrix.constant, cluster)
    if matrix.kind != "robust":
        raise Refused(f"vcov = {short(node.source)} is no matrix of vcovCR().")
    return matrix


def _tested(context: Context, bound: Bound, fit: Value) -> Value:
    """``test =`` of coefficients."""
    asked = bound.text("test") or "Satterthwaite"
    test = TESTS.get(asked.lower(), "")
    if not test:
        raise Refused(f'test = "{asked}": there are t tests by Satterthwaite, and z tests.')
    if test == "t":
        return fit
    inner: FitInfo = fit.info
    context.require_unchanged(inner)
    doc = method(inner.fit, "with_se", literal(inner.se), test=literal("z"))
    return replace(fit, doc=doc)


@r_function("coef_test", "obj vcov test coefs p_values ...")
def coef_test(context: Context, bound: Bound) -> Value:
    fit = _tested(context, bound, _with(context, bound))
    bound.drop("p_values")
    _refuse_choice(bound)
    if bound.call is context.shown:
        return Value(method(fit.atom, "summary"), "summary")
    return fixed_effects(replace(fit.info, fit=fit.atom))


@r_function("conf_int", "obj vcov level test coefs ...")
def conf_int(context: Context, bound: Bound) -> Value:
    fit = _tested(context, bound, _with(context, bound))
    level, keywords = bound.value("level"), dict[str, Doc]()
    if level is not None:
        keywords["level"] = level.doc
    bound.drop("p_values")
    _refuse_choice(bound)
    return Value(method(fit.atom, "conf_int", **keywords), "estimates", info=fit.info)


def _refuse_choice(bound: Bound) -> None:
    coefs = bound.node("coefs")
    if coefs is not None and not (isinstance(coefs, Text) and coefs.value == "All"):
        raise Refused("coefs = …: choose the rows of the table by name.")


@r_function("Wald_test", "obj constraints vcov test ...")
def wald_test(context: Context, bound: Bound) -> Value:
    constraints = bound.need("constraints")
    fit = _with(context, bound)
    test = bound.text("test") or "HTZ"
    bound.drop("tidy")
    keywords: dict[str, Doc] = {}
    if test == "chi-sq":
        keywords["test"] = literal("chi2")
    elif test == "Naive-F":
        keywords["test"] = literal("F")
    elif test != "HTZ":
        raise Refused(f'test = "{test}": there are "HTZ", "F" and "chi2".')
    text = _constraints(context, constraints)
    return Value(method(fit.atom, "wald_test", text, **keywords), "test")


def _constraints(context: Context, node: Node) -> Doc:
    """``constrain_zero(c("x1", "x2"))``."""
    if not isinstance(node, Call) or node.function not in ("constrain_zero", "constrain_equal"):
        raise Refused(
            'write the hypothesis as constrain_zero(c("x1", "x2")); here it is '
            'fit.wald_test("`x1`; `x2`").'
        )
    bound = Bound(context, node, ("constraints", "coefs", "reg_ex"))
    names = context.value(bound.need("constraints"))
    bound.drop("coefs")
    bound.finish(lenient=False)
    constant = (names.constant,) if names.kind == "text" else names.constant
    if not isinstance(constant, tuple) or not all(isinstance(each, str) for each in constant):
        raise Refused(
            f'{node.function}() with numbers of coefficients: name them, as in c("x1", "x2").'
        )
    quoted = [f"`{each}`" for each in constant]
    if node.function == "constrain_zero":
        return literal("; ".join(quoted))
    return literal(_equal(quoted))


def _equal(names: Iterable[str]) -> str:
    first, *others = names
    return "; ".join(f"{first} == {other}" for other in others)
