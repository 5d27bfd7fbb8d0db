"""What the data are, level by level: sizes, means, spreads, intraclass correlations, gaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.data.moments.gaps import LevelGaps
from mlsem.report.page.records import Column, Facts, Paragraph, Part, Section, Subsection, Table
from mlsem.results.observed import observed_in
from mlsem.results.report.context import Context, tried
from mlsem.results.report.described import Described, describe
from mlsem.results.report.given import given_parts
from mlsem.results.report.model import centred_facts
from mlsem.results.weights import sampling_pairs

if TYPE_CHECKING:
    from mlsem.data.moments.aggregate import DataRecord
    from mlsem.data.moments.groups import GroupedRecord
    from mlsem.inference.estimated import GroupEstimated

PATTERNS = 12  # that are listed
NOTE = (
    "Of the values in the rows that the fit used, as they enter the model. SD within: pooled over "
    "clusters. SD of means: of the observed means of clusters, which have what is within them, "
    "divided by their size, in them. ICC: of the analysis of variance, ICC(1); the model's own is "
    "below its estimates."
)
SINGLE = "Of the values in the rows that the fit used, as they enter the model."


def data_section(context: Context) -> Section:
    parts: list[Part | Subsection] = [Facts(tuple(_facts(context)))]
    for group in context.groups:
        own = tried("Variables", lambda group=group: _variables(context, group))
        own += tried("Missing values", lambda group=group: _gaps(context, group))
        title = context.group_title(group)
        parts += [Subsection(title, own)] if title else own
    parts += tried("Distributions in the data", lambda: given_parts(context))
    return Section("data", "Data", tuple(parts))


def _facts(context: Context) -> Iterator[tuple[str, str]]:
    fit = context.fit
    record = context.record
    used = f"{fit.n_obs:,}"
    if record.n_rows_total != fit.n_obs:
        used += f" of {record.n_rows_total:,}"
    yield "Rows used", used
    if fit.n_clusters is not None:
        name = record.cluster or record.robust.name
        yield f"Clusters ({name})", f"{fit.n_clusters:,}"
        if record.cluster is not None:
            sizes = sorted(record.moments.rows.tolist())
            middle = sizes[len(sizes) // 2]
            same = sizes[0] == sizes[-1]
            spread = f"{sizes[0]}" if same else f"{sizes[0]} to {sizes[-1]}, median {middle}"
            yield "Rows in each cluster" if same else "Rows in a cluster", spread
    if fit._n_coarser is not None:
        yield f"Clusters of robust errors ({record.robust.name})", f"{fit._n_coarser:,}"
    if fit.table.groups:
        yield f"Groups ({record.column})", f"{len(fit.table.groups)}"
    yield from sampling_pairs(fit.settings, record)
    yield from _missing_facts(context)
    yield from centred_facts(context)


def _missing_facts(context: Context) -> Iterator[tuple[str, str]]:
    record = context.record
    missing = record.missingness
    if missing is not None:
        yield "Missing values", "full information maximum likelihood uses what is observed"
        yield "Rows with missing values", f"{missing.rows_partly:,}"
        if missing.clusters_dropped:
            yield "Clusters left out", f"{missing.clusters_dropped:,}"
    elif record.n_rows_total != context.fit.n_obs + _without_weight(record):
        left = record.n_rows_total - context.fit.n_obs - _without_weight(record)
        yield "Missing values", f"{left:,} rows with missing values were left out"
    else:
        yield "Missing values", "none in the variables of the model"


def _without_weight(record: DataRecord | GroupedRecord) -> int:
    return 0 if record.weighted is None else record.weighted.n_zero


# --- variables ------------------------------------------------------------------------------------


@quiet
def _variables(context: Context, group: GroupEstimated) -> Iterator[Part]:
    estimates = group.each[0].estimates
    names = tuple(
        dict.fromkeys(
            name
            for level in estimates.table.levels
            for name in (*level.modelled, *level.covariates)
        )
    )
    clustered = estimates.table.two_level
    found = describe(estimates.record, names, clustered=clustered)
    yield _table(context, found, clustered=clustered)


def _table(context: Context, found: list[Described], *, clustered: bool) -> Table:
    columns = [Column("Variable", "name"), Column("N", "count"), Column("Missing", "share")]
    columns += [Column("Mean"), Column("SD")]
    if clustered:
        columns.insert(1, Column("Level", "count"))
        columns += [Column("SD within"), Column("SD of means"), Column("ICC")]
    rows = []
    for each in found:
        units = each.n + each.missing
        row = [each.n, each.missing / units if units else None, each.mean, each.sd]
        if clustered:
            row = [each.level, *row, each.sd_within, each.sd_between, each.icc]
        rows.append((context.variable(each.name), *row))
    note = NOTE if clustered else SINGLE
    return Table("Variables of the model", tuple(columns), tuple(rows), note)


# --- gaps -----------------------------------------------------------------------------------------


def _gaps(context: Context, group: GroupEstimated) -> Iterator[Part]:
    estimates = group.each[0].estimates
    if not estimates.record.moments.incomplete:
        return
    for level in range(1, len(estimates.table.levels) + 1):
        gaps = observed_in(estimates, level)
        if len(gaps.counts) > 1:
            yield _patterns(context, gaps)


def _patterns(context: Context, gaps: LevelGaps) -> Part:
    units = "rows" if gaps.number == 1 else "clusters"
    places = np.flatnonzero(~gaps.patterns.all(axis=0)).tolist()
    if not places:
        return Paragraph(f"No values are missing in {units}.")
    heads = tuple(Column(context.labels.variable(gaps.variables[k]), "text") for k in places)
    rows = tuple(
        (
            str(number),
            *("observed" if gaps.patterns[number - 1, k] else "missing" for k in places),
            count,
            count / gaps.n_units,
        )
        for number, count in enumerate(gaps.counts[:PATTERNS].tolist(), 1)
    )
    more = len(gaps.counts) - len(rows)
    note = f"{more} rarer patterns are left out: fit.inspect('patterns')." if more else ""
    counts = (Column(units.capitalize(), "count"), Column("Share", "share"))
    columns = (Column("Pattern", "name"), *heads, *counts)
    return Table(f"Patterns of missing values, {units}", columns, rows, note)
