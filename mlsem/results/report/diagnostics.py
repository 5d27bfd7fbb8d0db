"""What the results rest on: convergence, clusters, standard errors side by side, residuals."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, isnan
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.estimation.refit import model_sampler, refit
from mlsem.report.page.records import (
    Column,
    Paragraph,
    Part,
    Section,
    Subsection,
    Table,
    Verdict,
    Verdicts,
)
from mlsem.results.report.context import Context, as_sentence, columns_of, tried
from mlsem.results.report.pictures import leverage, residuals, se_comparison

if TYPE_CHECKING:
    from mlsem.inference.comparison.result import SeComparison
    from mlsem.results.residuals import ResidualMoments

DRAWS, FEWEST_DRAWS = 200, 50
SECONDS = 12.0  # for the draws of `compare_se`
LISTED = 15
"""Rows of lists that have the worst first."""


def diagnostics_section(context: Context) -> Section:
    parts: list[Part | Subsection] = [Verdicts(tuple(search_verdicts(context)))]
    if context.fit.converged:
        for title, make in (
            ("Clusters that the estimates rest on", _clusters),
            ("Standard errors side by side: may a random slope be left out?", _errors),
            ("Distribution of the residuals", residuals),
            ("Clusters that the model describes badly", _misfitting),
            ("Residual moments", _residuals),
            ("Modification indices", _modifications),
            ("Rows that the model describes badly", _rows),
        ):
            own = tried(title, lambda make=make: make(context))
            parts += [Subsection(title, own)] if own else []
    return Section("diagnostics", "Diagnostics", tuple(parts))


# --- the search -----------------------------------------------------------------------------------


def search_verdicts(context: Context) -> Iterator[Verdict]:
    """How the search ended, and whether the estimates are proper."""
    fit = context.fit
    if not fit.converged:
        yield Verdict(
            "bad",
            "The search did not converge.",
            "The numbers in this report are where it stopped; they are no estimates, and no test "
            "or interval holds. The notes say what may help.",
        )
        return
    steps = f"{fit.n_iterations} iteration{'' if fit.n_iterations == 1 else 's'}"
    yield Verdict("good", "The search converged.", f"It took {steps}.")
    if fit.singular:
        yield Verdict(
            "caution",
            "The estimates lie on the boundary.",
            "The covariance matrix of random effects is singular: a variance is estimated as zero, "
            "or a correlation as one. Standard errors and tests of variances do not hold there.",
        )
    negative = _negative(context)
    if negative:
        yield Verdict(
            "caution",
            "A variance is estimated as negative.",
            f"{', '.join(negative)}. Small negative values are what chance gives where a variance "
            "is near zero; large ones say that the model is wrong.",
        )


def _negative(context: Context) -> list[str]:
    table, params = context.fit.table, context.fit.estimates
    places = dict.fromkeys(
        row.free for row in table.rows if row.is_variance and row.free >= 0 and params[row.free] < 0
    )
    return [table.names[place] for place in places]


# --- clusters -------------------------------------------------------------------------------------


def _clusters(context: Context) -> Iterator[Part]:
    if context.fit.n_clusters is None:
        yield Paragraph("The fit has no clusters.")
        return
    found = context.fit.cluster_diagnostics()
    yield Verdicts((_of_clusters(found.verdict),))
    frame = found.coefficients
    names = [str(name) for name in frame.index.tolist()]
    fields = ("effective", "largest", "cluster", "df", "ratio", "ratio_lower", "ratio_upper")
    values = columns_of(frame, *fields, "change", "influential")
    rows = tuple(
        (context.parameter(name), *map(_shown, own))
        for name, own in zip(names, values, strict=True)
    )
    columns = (
        Column("Parameter", "name"),
        Column("Effective clusters", "df"),
        Column("Largest share", "share"),
        Column("of cluster", "text"),
        Column("df", "df"),
        Column("CR2 / model SE"),
        Column("usually from"),
        Column("to"),
        Column("Largest change"),
        Column("without cluster", "text"),
    )
    note = (
        "Effective: how many clusters carry the estimate. Share: of the information on it. df: "
        "Satterthwaite's of CR2. Change: in standard errors of the model, without the cluster, by "
        "one step from the estimates."
    )
    yield Table("What carries each estimate", columns, rows, note, digits=2)
    yield from tried("Figure of the clusters", lambda: leverage(context, found))


def _shown(value: Any) -> Any:
    """Labels of clusters as text, be they numbers or not."""
    return value if isinstance(value, float) else str(value)


def _of_clusters(sentences: tuple[str, ...]) -> Verdict:
    calm = "nothing stands out: "
    words = "\n".join(as_sentence(each.removeprefix(calm)) for each in sentences)
    if sentences[0].startswith(calm):
        return Verdict("good", "Nothing stands out among the clusters.", words)
    return Verdict("caution", "The clusters deserve a look.", words)


# --- standard errors ------------------------------------------------------------------------------


def _errors(context: Context) -> Iterator[Part]:
    if context.fit.n_clusters is None:
        yield Paragraph("The fit has no clusters to be robust against.")
        return
    draws = _draws(context)
    found = context.fit.compare_se(draws=draws, seed=context.seed)
    if draws:
        yield Verdicts(tuple(_of_errors(found)))
    else:
        yield Paragraph(
            "The reference band of the ratios was left out, for it takes a fit of the model per "
            f"draw: fit.compare_se(draws={DRAWS}) has it."
        )
    frame = found.table
    fields = ["est", *(f"se_{kind}" for kind in found.kinds), "ratio"]
    columns = [Column("Parameter", "name"), Column("Estimate")]
    columns += [Column(f"SE {kind}") for kind in found.kinds]
    columns += [Column("Ratio")]
    note = f"Ratio: {found.kinds[-1]} to {found.kinds[0]}."
    if draws:
        fields += ["lower", "upper", "pvalue"]
        columns += [Column("Band from"), Column("to"), Column("p", "p")]
        note += (
            f" Band: where it lies in {found.level:.0%} of {draws} data sets drawn from the fitted "
            "model, in which no slope varies beyond what the model says. p: share of them with a "
            f"ratio as large. Seed {context.seed}."
        )
    names = [str(name) for name in frame.index.tolist()]
    rows = tuple(
        (context.parameter(name), *own)
        for name, own in zip(names, columns_of(frame, *fields), strict=True)
    )
    yield Table("Standard errors of several kinds", tuple(columns), rows, note)
    yield from tried("Figure of the standard errors", lambda: se_comparison(context, found))


def _of_errors(found: SeComparison) -> Iterator[Verdict]:
    """One verdict for each of its sentences."""
    first, *others = map(as_sentence, found.verdict)
    if found.varying:
        yield Verdict("caution", "A slope looks as if it varied between clusters.", first)
    elif found.slopes.intersection(found.parameters):
        yield Verdict("good", "No sign of a random slope that the model leaves out.", first)
    else:
        yield Verdict("note", "There is no slope that could vary.", first)
    title = "Some robust standard errors are smaller than the model's."
    for each in others:
        yield Verdict("note", title if found.steadier else "Some draws failed.", each)
        title = "Some draws failed."


def _draws(context: Context) -> int:
    """How many draws there is time for, by the quicker of two; 0 where too few."""
    if context.hurried:
        return 0
    each = min(_seconds(context), _seconds(context))  # the first may import what it needs
    return next((draws for draws in (DRAWS, FEWEST_DRAWS) if draws * each < SECONDS), 0)


def _seconds(context: Context) -> float:
    """What a draw takes."""
    estimates, begun = context.fit._estimates, monotonic()
    context.fit.compare_se(draws=0)
    moments = model_sampler(estimates).draw(np.random.default_rng(context.seed))
    refit(estimates, moments, estimates.settings, estimates.params, estimates.problem.robust)
    return monotonic() - begun


# --- residuals, modification indices --------------------------------------------------------------


def _misfitting(context: Context) -> Iterator[Part]:
    if not context.two_level:
        return
    frame = context.fit.cluster_residuals()
    yield _worst("Clusters, the worst described first", frame, context, "cluster", change=True)


def _rows(context: Context) -> Iterator[Part]:
    if context.data is None:
        yield Paragraph(
            "A fit keeps no rows: fit.report(…, data=data) lists those that it describes badly."
        )
        return
    frame = context.fit.row_residuals(context.data)
    yield _worst("Rows, the worst described first", frame, context, "row", change=False)


def _worst(caption: str, frame: Any, context: Context, unit: str, *, change: bool) -> Table:
    labels = [str(label) for label in frame.index.tolist()]
    own = frame["pvalue"].tolist()
    known = [k for k, p in enumerate(own) if not isnan(p)]
    name = context.fit._record.cluster if unit == "cluster" else None
    columns = [Column(name or unit.capitalize(), "name"), Column("Distance", "number")]
    columns += [Column("df", "count"), Column("p", "p")]
    fields = ["distance", "df", "pvalue"]
    if change:
        columns += [Column("Largest change"), Column("of parameter", "text")]
        fields += ["change", "parameter"]
    values = columns_of(frame, *fields)
    rows = tuple((labels[k], *values[k]) for k in known[:LISTED])
    note = (
        f"Squared Mahalanobis distance of the {unit}'s outcomes, χ² in a right model of normal "
        f"variables. Of {len(known)} {unit}s about {0.01 * len(known):.0f} have a p below .01 by "
        "chance."
    )
    if change:
        note += " Change: in standard errors, without the cluster, by one step."
    return Table(caption, tuple(columns), rows, note, digits=2)


def _residuals(context: Context) -> Iterator[Part]:
    """Of covariances, the largest z first; those of a mixed model are of rows."""
    if context.mixed:
        return
    found = context.fit.residuals("standardized")
    by_group: Any = found if context.fit.table.groups else {"": found}
    rows = [
        (words, str(label), level, z)
        for label in by_group
        for level, moments in enumerate(_levels(by_group[label]), 1)
        for words, z in _pairs(context, moments.cov_z)
    ]
    if not rows:
        yield Paragraph("The model reproduces all variances and covariances whatever they are.")
        return
    rows.sort(key=lambda row: -abs(row[3]))
    grouped, leveled = bool(context.fit.table.groups), context.two_level
    columns = [Column("Variables", "name"), *([Column("Group", "text")] if grouped else [])]
    columns += [*([Column("Level", "count")] if leveled else []), Column("z")]
    shown = tuple(
        (name, *([label] if grouped else []), *([level] if leveled else []), z)
        for name, label, level, z in rows[:LISTED]
    )
    large = sum(abs(row[3]) > 1.96 for row in rows)
    note = (
        "Covariances of the saturated model less those implied, over their standard errors. "
        f"{large} of {len(rows)} are beyond ±1.96, where chance alone gives about "
        f"{0.05 * len(rows):.0f}."
    )
    yield Table("Residual covariances, the largest first", tuple(columns), shown, note, digits=2)


def _levels(found: Any) -> list[ResidualMoments]:
    return list(found.values()) if isinstance(found, dict) else [found]


def _pairs(context: Context, moments: Any) -> Iterator[tuple[str, float]]:
    """The lower triangle of a square data frame, where it is finite."""
    names = [context.labels.variable(str(name)) for name in moments.index.tolist()]
    values = moments.to_numpy().tolist()
    for a, first in enumerate(names):
        for b, second in enumerate(names[: a + 1]):
            if isfinite(values[a][b]):
                yield f"{first} with {second}", values[a][b]


def _modifications(context: Context) -> Iterator[Part]:
    if context.hurried:
        yield Paragraph("Left out, for the report took long: fit.modification_indices() has them.")
        return
    frame = context.fit.modification_indices()
    if not len(frame):
        yield Paragraph("There is no parameter to be added that the data would determine.")
        return
    robust = "mi_robust" in frame.columns
    grouped = "group" in frame.columns
    titles = [context.group_title(group) for group in context.groups]
    fields = ["level", "mi", *(["mi_robust"] if robust else []), "pvalue", "epc", "sepc_all"]
    names = columns_of(frame, "lhs", "op", "rhs")[:LISTED]
    of = columns_of(frame, "group")[:LISTED] if grouped else [()] * len(names)
    rows = tuple(
        (context.relation(*name), *(titles[number - 1] for number in group), *own)
        for name, group, own in zip(names, of, columns_of(frame, *fields), strict=False)
    )
    columns = [Column("Parameter", "name"), *([Column("Group", "text")] if grouped else [])]
    columns += [Column("Level", "count"), Column("MI")]
    columns += [*([Column("Robust MI")] if robust else []), Column("p", "p")]
    columns += [Column("Expected change"), Column("Standardized")]
    note = (
        f"Score tests of {len(frame)} single parameters that the model does not have, the largest "
        "first. With many of them some are significant by chance: add what theory calls for, one "
        "at a time."
    )
    yield Table("Parameters that would improve the fit", tuple(columns), rows, note)
