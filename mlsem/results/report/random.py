"""How clusters differ: intraclass correlations and predicted random effects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlsem.report.page.records import Column, Paragraph, Part, Section, Table
from mlsem.results.random_effects import INTERCEPT, SE
from mlsem.results.report.context import Context, columns_of, tried
from mlsem.results.report.pictures import caterpillar

MOST = 100  # clusters that a table lists
NOTE = (
    "Posterior means given the estimates, as deviations from what the model expects of the "
    "cluster, and their standard errors. They are drawn towards 0, the more the less is known of a "
    "cluster."
)


def random_section(context: Context) -> Section:
    title = "Random effects" if context.mixed else "Differences between clusters"
    if not context.two_level:
        words = "The model has one level: it has no part that varies between clusters."
        return Section("random", title, (Paragraph(words),))
    parts = [
        *tried("Intraclass correlations", lambda: _icc(context)),
        *tried("Figure of the random effects", lambda: caterpillar(context)),
        *tried("Random effects", lambda: _effects(context)),
    ]
    return Section("random", title, tuple(parts))


def _icc(context: Context) -> Iterator[Part]:
    found = context.fit.icc()
    grouped = bool(context.fit.table.groups)
    each: list[tuple[str, Any]] = (
        [(str(label), found[label]) for label in found] if grouped else [("", found)]
    )
    names = ("between", "within", "icc", "se", "adjusted", "unadjusted")
    rows = [
        ((context.labels.variable(variable),) + ((label,) if grouped else ()) + values)
        for label, icc in each
        for variable, values in zip(icc.variables, columns_of(icc.frame, *names), strict=True)
    ]
    columns = [Column("Variable", "name"), *([Column("Group", "text")] if grouped else [])]
    columns += [Column("Variance between"), Column("Variance within"), Column("ICC")]
    columns += [Column("SE"), Column("Adjusted"), Column("Conditional")]
    note = (
        "By the estimates of the model. ICC: between, of all variance. Adjusted: of the variance "
        "that covariates leave. Conditional: what covariates leave between clusters, of all "
        "variance."
    )
    yield Table("Intraclass correlations", tuple(columns), tuple(rows), note)


def _effects(context: Context) -> Iterator[Part]:
    frame = context.fit.random_effects()
    labels = [str(label) for label in frame.index.tolist()]
    names = [str(name) for name in frame.columns if f"{name}{SE}" in frame.columns]
    if not names:
        yield Paragraph("No random effect has a variance.")
        return
    grouped = "group" in frame.columns
    cluster = context.fit._record.cluster or "cluster"
    columns = [Column(cluster, "name"), *([Column("Group", "text")] if grouped else [])]
    fields = ["group"] if grouped else []
    for name in names:
        words = name if name == INTERCEPT else context.labels.variable(name)
        columns += [Column(words), Column("SE")]
        fields += [name, f"{name}{SE}"]
    values = columns_of(frame, *fields)
    rows = [
        (label, *(str(each) if k < grouped else each for k, each in enumerate(own)))
        for label, own in zip(labels, values, strict=True)
    ]
    note = NOTE
    if len(rows) > MOST:
        note += f" The first {MOST} of {len(rows)} clusters; fit.random_effects() has all."
    yield Table("Predicted effects of clusters", tuple(columns), tuple(rows[:MOST]), note)
