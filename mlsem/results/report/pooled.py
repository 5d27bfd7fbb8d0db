"""A pooled result → its report: the model, pooled estimates, what missing values took."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isnan
from textwrap import dedent, indent
from typing import TYPE_CHECKING, Literal, get_args

from mlsem.report.page.records import (
    Code,
    Column,
    Facts,
    Page,
    Paragraph,
    Part,
    Section,
    Table,
    Verdict,
    Verdicts,
)
from mlsem.results.pooled.summary import DF_NAMES
from mlsem.results.report.build import (
    labels_of,
    overview_of,
    rendered,
    require_title,
    wanted_of,
)
from mlsem.results.report.closing import made, notes_section, session_of
from mlsem.results.report.context import Context, tried
from mlsem.results.report.estimates import CONFIDENCE, estimates_section
from mlsem.results.report.fitting import indices_table, tests_table
from mlsem.results.report.model import added, call
from mlsem.results.report.pictures import diagram
from mlsem.results.report.result import Report, checked
from mlsem.version import __version__

if TYPE_CHECKING:
    from mlsem.results.pooled.result import PooledResult

PooledSection = Literal[
    "overview", "model", "data", "estimates", "imputations", "fit", "notes", "session"
]
SOURCES = (
    "Rubin (1987). Multiple imputation for nonresponse in surveys. Wiley.",
    "Lipsitz, Parzen & Zhao (2002). A degrees-of-freedom approximation in multiple imputation. "
    "Journal of Statistical Computation and Simulation 72, 309-318.",
    "Li, Raghunathan & Rubin (1991). Large-sample significance levels from multiply imputed data "
    "using moment-based statistics and an F reference distribution. Journal of the American "
    "Statistical Association 86, 1065-1073.",
    "White, Royston & Wood (2011). Multiple imputation using chained equations: Issues and "
    "guidance for practice. Statistics in Medicine 30, 377-399.",
)


def make_pooled_report(
    pooled: PooledResult,
    path: str | os.PathLike[str] | None,
    *,
    title: str | None,
    labels: Mapping[str, str] | None,
    overwrite: bool,
    sections: Iterable[str] | None,
) -> Report:
    """See `PooledResult.report`. What cannot be written is said before anything is computed."""
    name = None if path is None else checked(path, overwrite=overwrite)
    require_title(title)
    wanted = wanted_of(sections, get_args(PooledSection))
    context = Context(pooled, None, labels_of(pooled, labels), 1)
    found = tuple(MAKERS[each](context) for each in wanted if each in MAKERS)
    page = Page(
        title or f"Report of {len(pooled.used)} fits pooled",
        f"{len(pooled.fits)} data sets of {pooled.n_obs:,} rows, {pooled.n_params} parameters",
        (overview_of(context, found), *found) if "overview" in wanted else found,
        f"Made by mlsem {__version__}. This page needs no network and sends nothing.",
    )
    return rendered(page, name, overwrite=overwrite)


def _model(context: Context) -> Section:
    def parts() -> Iterator[Part]:
        pooled = context.fit
        yield Code(dedent(pooled.model).strip(), "Formula" if context.mixed else "Model text")
        one = call(Context(pooled.used[0], None, context.labels, context.seed))
        lines = indent(one, "    ")
        text = f"fits = [\n{lines}\n    for data in sets\n]\n"
        yield Code(f"{text}mlsem.pool(fits, df={pooled.df_kind!r})", "The call that repeats it")
        yield from tried("Path diagram", lambda: diagram(context))
        if not context.mixed:
            yield from tried("Parameters that defaults added", lambda: added(context))

    return Section("model", "Model", tuple(parts()))


def _data(context: Context) -> Section:
    facts = tuple((name.strip(), value) for name, value in context.fit._facts().facts)
    return Section("data", "Data sets, and how they were pooled", (Facts(facts),))


def _estimates(context: Context) -> Section:
    pooled = context.fit
    kind = pooled.covariance.kind
    how = (
        f"Means over {len(pooled.used)} fits, with Rubin's rules: T = Ū + (1 + 1/m) B. Standard "
        f"errors of each fit: {'model-based' if kind.model_based else kind.title}; degrees of "
        f"freedom by {DF_NAMES[pooled.df_kind]}. Intervals are those of {CONFIDENCE:.0%}."
    )
    return estimates_section(context, how)


def _imputations(context: Context) -> Section:
    """What each parameter lost, and whether there are data sets enough."""
    pooled = context.fit
    columns = zip(pooled.params.index, pooled.riv, pooled.fmi, pooled.df, strict=True)
    rows = tuple((context.parameter(name), *(float(v) for v in rest)) for name, *rest in columns)
    heads = (Column("Parameter", "name"), Column("RIV"), Column("FMI"), Column("df", "df"))
    note = (
        "RIV: what the differences between data sets add to the variance, as a share of it. FMI: "
        "the fraction of the information that missing values took."
    )
    table = Table("Information that was missing", heads, rows, note)
    known = [(row[2], row[0]) for row in rows if not isnan(row[2])]
    if not known:
        return Section("imputations", "Imputations", (table,))
    most, name = max(known)
    needed, there = int(-(-100 * most // 1)), len(pooled.used)
    says = f"The largest fraction of missing information is {most:.2f} ({name})"
    rule = f"; by the rule of thumb of White, Royston & Wood (2011) {needed} data sets"
    if there >= needed:
        verdict = Verdict("good", "There are enough data sets.", f"{says}{rule} are enough.")
    else:
        verdict = Verdict(
            "note",
            f"{there} data sets are few for what is missing.",
            f"{says}{rule} would do: with fewer, another draw of the imputations moves standard "
            "errors and p values visibly. Plausible values are as many as there are.",
        )
    return Section("imputations", "Imputations", (Verdicts((verdict,)), table))


def _fit(context: Context) -> Section:
    def parts() -> Iterator[Part]:
        measures = context.fit.fit_measures().to_dict()
        yield Paragraph("χ² of all data sets together by D2; indices are those of these χ².")
        yield tests_table(measures)
        yield indices_table(measures)

    return Section("fit", "Fit", tried("Tests of fit and indices", parts))


def _session(context: Context) -> Section:
    return session_of(made(), SOURCES)


MAKERS: dict[str, Callable[[Context], Section]] = {
    "model": _model,
    "data": _data,
    "estimates": _estimates,
    "imputations": _imputations,
    "fit": _fit,
    "notes": notes_section,
    "session": _session,
}
