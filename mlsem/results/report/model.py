"""What was fitted: the model, what defaults added to it, and the call that fits it again."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from textwrap import dedent

from mlsem.model.table import Row
from mlsem.report.page.records import Code, Column, Facts, Paragraph, Part, Section, Table
from mlsem.results.call import call_of
from mlsem.results.report.context import Context, tried
from mlsem.results.report.pictures import diagram

NOTE = (
    "The value is what the model fixes a parameter at; free parameters are estimated. Moments of "
    "fixed covariates are taken from the data as they are and are no parameters."
)


def model_section(context: Context) -> Section:
    return Section("model", "Model", tuple(_parts(context)))


def _parts(context: Context) -> Iterator[Part]:
    fit = context.fit
    title = "Formula" if context.mixed else "Model text, as it was written"
    yield Code(dedent(fit.model).strip(), title)
    yield Code(call(context), "The call that fits it")
    yield from tried("Path diagram", lambda: diagram(context))
    if not context.mixed:
        yield from tried("Parameters that defaults added", lambda: added(context))
    if context.labels.words:
        names = tuple((words, name) for name, words in context.labels.words.items())
        yield Paragraph("Names in this report, and those of the data:")
        yield Facts(names)


# --- what was added -------------------------------------------------------------------------------


def added(context: Context) -> Iterator[Part]:
    table = context.fit.table
    rows = [row for row in table.rows if row.group == 1 and not row.exo]
    beside = table.auxiliary
    found = [
        (context.relation(row.lhs, row.op, row.rhs), row.level, _value(row), reason)
        for row in rows
        if row.lhs not in beside and row.rhs not in beside and (reason := _reason(row, context))
    ]
    if not found:
        yield Paragraph("All parameters of the model were written in its text.")
        return
    columns = [Column("Parameter", "name"), Column("Value", "text"), Column("Why", "text")]
    if context.two_level:
        columns.insert(1, Column("Level", "count"))
        shown = tuple(found)
    else:
        shown = tuple((name, *rest) for name, _, *rest in found)
    of = ", of each group" if table.groups else ""
    yield Table(f"Parameters that defaults added or fixed{of}", tuple(columns), shown, NOTE)


def _value(row: Row) -> str:
    return "free" if row.free >= 0 else f"{row.fixed:g}" if row.fixed is not None else ""


def _reason(row: Row, context: Context) -> str:
    """Why the model has a row, or its value; empty where the user wrote it so."""
    table = context.fit.table
    latent = table.levels[row.level - 1].latent
    if row.op == "=~" and row.free < 0 and row.fixed == 1.0 and _is_first(row, table.rows):
        return "the first indicator gives its latent variable a unit (auto_fix_first)"
    if row.user:
        return ""
    explained = row.lhs in {each.lhs for each in table.rows if each.op == "~"} | {
        each.rhs for each in table.rows if each.op == "=~" and each.level == row.level
    }
    if row.is_variance:
        if row.fixed == 1.0:
            return "gives the latent variable a unit (std_lv)"
        if row.fixed == 0.0:
            return "a single indicator is measured without error (auto_fix_single)"
        return "residual variance" if explained else "variance"
    if row.op == "~~":
        if row.fixed == 0.0:
            return "latent variables that do not covary (orthogonal)"
        if row.lhs in latent and not explained:
            return "latent variables that nothing explains covary (auto_cov_lv_x)"
        return "residuals of final outcomes covary (auto_cov_y)" if explained else "covariance"
    if row.free >= 0:
        return "intercept" if explained else "mean"
    if row.lhs in latent:
        return "the mean of a latent variable is fixed: its indicators have intercepts"
    if context.two_level and row.level == 1:
        return "the part within clusters has mean 0; the mean is one of level 2"
    return "fixed intercept (int_ov_free)"


def _is_first(row: Row, rows: tuple[Row, ...]) -> bool:
    same = [each for each in rows if each.op == "=~" and each.lhs == row.lhs]
    return next(each for each in same if each.block == row.block) is row


# --- the call -------------------------------------------------------------------------------------


def call(context: Context) -> str:
    """Python that repeats the fit, with the options that matter."""
    made = call_of(context.fit)
    model, *_ = made.arguments  # "model" or "formula"
    given = {name: value for name, value in made.arguments.items() if name != model}
    head = {name: given[name] for name in ("cluster", "group", "group_label") if name in given}
    options = head | _always(context) | given
    arguments = "\n".join(f"    {name}={value!r}," for name, value in options.items())
    return f"mlsem.{made.function}(\n    {model},\n    data,\n{arguments}\n)"


def _always(context: Context) -> dict[str, object]:
    """What a reader asks first, also where it is the default."""
    fit = context.fit
    how: dict[str, object] = (
        {"REML": context.restricted} if context.mixed else {"estimator": fit.settings.estimator}
    )
    return how | {"se": fit.se_kind} | ({} if fit.df_method is None else {"df": fit.df_method})


def centred_facts(context: Context) -> Iterator[tuple[str, str]]:
    """What `center=` took off."""
    for name, how, value in context.fit._record.centered:
        where = "at the cluster's mean" if isnan(value) else f"at the {how} mean {value:.6g}"
        yield f"{context.variable(name)} centred", where
