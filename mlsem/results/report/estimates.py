"""The estimates: every parameter with its interval, standardized values, R², defined effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import isfinite, isnan, nan, sqrt
from typing import Any

from mlsem.errors import InferenceError
from mlsem.model.table import MEANS, Row
from mlsem.report.page.records import Column, Paragraph, Part, Section, Subsection, Table, Value
from mlsem.results.report.context import Context, columns_of, tried
from mlsem.results.report.pictures import coefficients, interactions
from mlsem.results.summary import DF_NAMES

CONFIDENCE = 0.95
Record = dict[str, Any]


def estimates_section(context: Context, how: str | None = None) -> Section:
    """`how` says which standard errors these are, by default those of a fit."""
    parts: list[Part | Subsection] = [Paragraph(how or _how(context))]
    converged = context.fit._estimates.converged
    if converged:
        parts += tried("Figure of the coefficients", lambda: coefficients(context))
    else:
        parts.append(Paragraph("The search did not converge: these numbers are no estimates."))
    parts += tried("Parameters", lambda: _tables(context))
    for title, make in (
        ("Interactions", interactions),
        ("Standardized estimates", _standardized),
        ("Explained variance, R²", _explained),
    ):
        if converged:
            found = tried(title, lambda make=make: make(context))
            parts += [Subsection(title, found)] if found else []
    return Section("estimates", "Estimates", tuple(parts))


def _how(context: Context) -> str:
    """Which standard errors these are, and what their tests go by."""
    fit = context.fit
    estimator = "restricted maximum likelihood" if context.restricted else "maximum likelihood"
    kind = fit.covariance.kind
    errors = "model-based" if kind.model_based else kind.title
    said = f"Estimates by {estimator}. Standard errors: {errors}"
    if kind.replicated:
        said += f" ({fit.covariance.form})"
    elif fit.covariance.form:
        said += f", by the {fit.covariance.form} information"
    if fit.df_method is not None:
        said += f"; t tests of fixed effects with {DF_NAMES[fit.df_method]}"
    elif _has_df(fit.covariance.df.tolist()):
        said += f"; t tests with {kind.df_words}"
    return f"{said}. Intervals are those of {CONFIDENCE:.0%}."


def _has_df(df: Iterable[float]) -> bool:
    return any(isfinite(each) for each in df)


# --- parameters -----------------------------------------------------------------------------------


def _tables(context: Context) -> Iterator[Part]:
    """One of each level of each group, and one of what was defined."""
    table = context.fit.table
    records = _records(context)
    pairs = list(zip(table.rows, records[: len(table.rows)], strict=True))
    beside = table.auxiliary
    shown = [
        (row, found)
        for row, found in pairs
        if not row.exo and row.lhs not in beside and row.rhs not in beside
    ]
    if context.mixed:
        yield from _mixed(context, shown)
    else:
        for key in dict.fromkeys((row.group, row.level) for row, _ in shown):
            own = [(row, each) for row, each in shown if (row.group, row.level) == key]
            of = [context.group_title(context.groups[key[0] - 1]), context.level_title(key[1])]
            caption = ": ".join(["Parameters", ", ".join(filter(None, of))]).rstrip(": ")
            yield _table(context, caption, [_kind(row, table.rows) for row, _ in own], own)
    defined = [each for each in records[len(table.rows) :] if each["op"] == ":="]
    if defined:
        written = [(None, each) for each in defined]
        yield _table(context, "Defined parameters", ["Defined"] * len(written), written)


def _records(context: Context) -> list[Record]:
    frame = context.fit.parameter_estimates(CONFIDENCE, auxiliary=True)
    return frame.to_dict("records")


def _mixed(context: Context, shown: list[tuple[Row, Record]]) -> Iterator[Part]:
    """Of a mixed model, under the names of `FitResult.params` and in their order."""
    free = sorted(
        ((row, each) for row, each in shown if row.free >= 0), key=lambda pair: pair[0].free
    )
    fixed = [(row, each) for row, each in free if row.op in MEANS]
    random = [(row, each) for row, each in free if row.op not in MEANS]
    yield _table(context, "Fixed effects", None, fixed)
    kinds = ["Variance" if row.is_variance else "Covariance" for row, _ in random]
    table = _table(context, "Variances and covariances of random effects", kinds, random)
    yield replace(
        table,
        columns=(*table.columns, Column("SD or correlation")),
        rows=tuple((*row, each) for row, each in zip(table.rows, _scaled(random), strict=True)),
        note="Wald tests say little of variances, which are not negative: see mlsem.lr_test.",
    )


def _scaled(random: Sequence[tuple[Row, Record]]) -> list[float]:
    """√ψ of variances, ψ_ab / √(ψ_a ψ_b) of covariances."""
    sd = {
        (row.level, row.lhs): sqrt(max(each["est"], 0.0)) for row, each in random if row.is_variance
    }
    found: list[float] = []
    for row, each in random:
        left, right = sd.get((row.level, row.lhs), nan), sd.get((row.level, row.rhs), nan)
        scale = left * right
        found.append(left if row.is_variance else each["est"] / scale if scale > 0 else nan)
    return found


def _kind(row: Row, rows: tuple[Row, ...]) -> str:
    match row.op:
        case "=~":
            return "Loading"
        case "~":
            return "Regression"
        case "~1":
            return "Intercept"
    explained = any(
        (each.op == "~" and each.lhs == row.lhs) or (each.op == "=~" and each.rhs == row.lhs)
        for each in rows
        if each.block == row.block
    )
    what = "variance" if row.is_variance else "covariance"
    return f"Residual {what}" if explained else what.capitalize()


def _table(
    context: Context,
    caption: str,
    kinds: list[str] | None,
    pairs: Sequence[tuple[Row | None, Record]],
) -> Table:
    found = [each for _, each in pairs]
    with_df = _has_df([each["df"] for each in found if not isnan(each["df"])])
    labelled = any(each["label"] for each in found) and not context.mixed
    letter = "t" if with_df else "z"
    columns = [Column("Parameter", "name")]
    columns += [Column("Kind", "text")] if kinds is not None else []
    columns += [Column("Label", "text")] if labelled else []
    fields = {"se": Column("SE")}
    if not all(isnan(each["stat"]) for each in found):
        fields |= {"stat": Column(letter)} | ({"df": Column("df", "df")} if with_df else {})
        fields |= {"pvalue": Column("p", "p")}
    fields |= {"ci_lower": Column("CI lower"), "ci_upper": Column("CI upper")}
    columns += [Column("Estimate"), *fields.values()]
    rows = []
    for k, (row, each) in enumerate(pairs):
        cells: list[Value] = [_name(context, row, each)]
        cells += [kinds[k]] if kinds is not None else []
        cells += [each["label"]] if labelled else []
        estimated = row is None or row.free >= 0
        cells += [each["est"], *(each[name] if estimated else None for name in fields)]
        rows.append(tuple(cells))
    return Table(caption, tuple(columns), tuple(rows))


def _name(context: Context, row: Row | None, each: Record) -> str:
    if row is None:
        return each["lhs"]
    if context.mixed:
        return context.labels.variable(context.fit.table.names[row.free])
    return context.relation(each["lhs"], each["op"], each["rhs"])


# --- standardized, R² -----------------------------------------------------------------------------


def _standardized(context: Context) -> Iterator[Part]:
    if context.mixed:
        return
    frame = context.fit.standardized()
    fields = ("lhs", "op", "rhs", "level", "group", "est_std", "se", "pvalue")
    rows = []
    groups = [context.group_title(group) for group in context.groups]
    for lhs, op, rhs, level, group, est, se, p, lower, upper in columns_of(
        frame, *fields, "ci_lower", "ci_upper"
    ):
        if op == "~1" or se == 0.0 or isnan(est):
            continue
        name = lhs if op == ":=" else context.relation(lhs, op, rhs)
        own: list[Value] = [name]
        own += [groups[group - 1] if group else ""] if len(groups) > 1 else []
        own += [level or None] if context.two_level else []
        rows.append((*own, est, se, p, lower, upper))
    columns = [Column("Parameter", "name")]
    columns += [Column("Group", "text")] if len(groups) > 1 else []
    columns += [Column("Level", "count")] if context.two_level else []
    columns += [Column("Std. estimate"), Column("SE"), Column("p", "p")]
    columns += [Column("CI lower"), Column("CI upper")]
    note = (
        "By the standard deviations of both variables at their level (StdYX); a covariance is "
        "a correlation. What is constant by definition is left out, as are intercepts."
    )
    yield Table("Standardized estimates", tuple(columns), tuple(rows), note)


def _explained(context: Context) -> Iterator[Part]:
    found = context.fit.r_squared(CONFIDENCE)
    groups: list[tuple[str, Any]] = (
        [(f" of group {label}", found[label]) for label in found]
        if context.fit.table.groups
        else [("", found)]
    )
    if not groups:
        raise InferenceError("the model explains nothing.")
    for of, each in groups:
        if each.mixed is not None:
            yield from _mixed_parts(each.mixed, of)
        if each.variables:
            rows = columns_of(each.frame, "variable", "level", "r2", "se", "ci_lower", "ci_upper")
            shown = tuple((context.labels.variable(name), *rest) for name, *rest in rows)
            columns = (Column("Variable", "name"), Column("Level", "count"), Column("R²"))
            columns += (Column("SE"), Column("CI lower"), Column("CI upper"))
            note = "One minus residual by implied variance, of each variable at its level."
            yield Table(f"R² of what the model explains{of}", columns, shown, note)


def _mixed_parts(mixed: Any, of: str) -> Iterator[Part]:
    frame = mixed.frame
    names = [str(name).capitalize() for name in frame.index.tolist()]
    values = columns_of(frame, "variance", "total", "within", "between")
    columns = (Column("Part", "name"), Column("Variance"), Column("Of all", "share"))
    columns += (Column("Of that within", "share"), Column("Of that between", "share"))
    note = (
        f"Marginal R² (fixed effects) {mixed.marginal:.3f}, conditional R² (with random effects) "
        f"{mixed.conditional:.3f}. Shares of Rights & Sterba (2019)."
    )
    rows = tuple((name, *each) for name, each in zip(names, values, strict=True))
    yield Table(f"Variance of the outcome in parts{of}", columns, rows, note)
