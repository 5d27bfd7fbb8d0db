"""A fit → its report: which sections it has, and in which order."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlsem.arguments import require_seed
from mlsem.data.table.frame import column_names
from mlsem.errors import DataError, OptionValueError, listed, nearest
from mlsem.report.labels import Labels, read_labels
from mlsem.report.page.records import Page, Part, Section, Subsection, Verdict, Verdicts
from mlsem.report.page.render import render
from mlsem.results.report.closing import notes_section, session_section
from mlsem.results.report.context import Context
from mlsem.results.report.data import data_section
from mlsem.results.report.diagnostics import diagnostics_section, search_verdicts
from mlsem.results.report.estimates import estimates_section
from mlsem.results.report.fitting import fit_section
from mlsem.results.report.model import model_section
from mlsem.results.report.random import random_section
from mlsem.results.report.result import Report, checked
from mlsem.version import __version__

if TYPE_CHECKING:
    from mlsem.results.result import FitResult
    from mlsem.results.summary_table.records import AnyFit

SectionName = Literal[
    "overview", "model", "data", "estimates", "fit", "random", "diagnostics", "notes", "session"
]


def make_report(
    fit: FitResult,
    path: str | os.PathLike[str] | None,
    *,
    data: Any,
    title: str | None,
    labels: Mapping[str, str] | None,
    overwrite: bool,
    sections: Iterable[str] | None,
    seed: int,
) -> Report:
    """See `FitResult.report`. What cannot be written is said before anything is computed."""
    name = None if path is None else checked(path, overwrite=overwrite)
    wanted = wanted_of(sections, get_args(SectionName))
    require_seed(seed)
    _require_data(fit, data)
    context = Context(fit, data, labels_of(fit, labels), seed)
    page = Page(
        _title(context, title),
        _subtitle(context),
        _sections(context, wanted),
        f"Made by mlsem {__version__}. This page needs no network and sends nothing.",
    )
    return rendered(page, name, overwrite=overwrite)


def rendered(page: Page, name: str | None, *, overwrite: bool) -> Report:
    """The page as a report, which is written where there is a name."""
    report = Report(render(page), page.title)
    if name is not None:
        report.save(name, overwrite=overwrite)
    return report


def _sections(context: Context, wanted: tuple[str, ...]) -> tuple[Section, ...]:
    made = tuple(MAKERS[each](context) for each in wanted if each in MAKERS)
    if "overview" not in wanted:
        return made
    more = [] if _has(made, "diagnostics") else [*search_verdicts(context)]
    return overview_of(context, made, more), *made


# --- arguments ------------------------------------------------------------------------------------


def wanted_of(sections: Iterable[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    """Those asked for, in the order of the page."""
    if sections is None:
        return known
    asked = [sections] if isinstance(sections, str) else list(sections)
    for each in asked:
        if each not in known:
            hint = nearest(each, known) if isinstance(each, str) else ""
            raise OptionValueError(f"sections: {each!r} is none of {listed(known)}.{hint}")
    if not asked:
        raise OptionValueError(f"sections is empty: name some of {listed(known)}.")
    return tuple(each for each in known if each in asked)


def _require_data(fit: FitResult, data: Any) -> None:
    if data is None:
        return
    if not hasattr(data, "columns"):
        raise DataError(f"data is a {type(data).__name__}: it takes the data frame of the fit.")
    cluster = fit._record.cluster
    if cluster is not None and cluster not in column_names(data):
        raise DataError(f"data has no column {cluster!r}: give the data frame of the fit.")


def labels_of(fit: AnyFit, labels: Mapping[str, str] | None) -> Labels:
    """Those given, each for a name that the model has."""
    given = read_labels(labels)
    known = _names(fit)
    for name in given.words:
        if name not in known and name not in re.split(r"[^\w.]+", fit.model):
            raise OptionValueError(
                f"labels: the model has no variable {name!r}.{nearest(name, known)}"
            )
    return given


def _names(fit: AnyFit) -> list[str]:
    """Of variables, products and parameters."""
    levels = fit.table.levels
    variables = [n for each in levels for n in (*each.latent, *each.modelled, *each.covariates)]
    return list(dict.fromkeys([*variables, *fit.table.names]))


# --- the top --------------------------------------------------------------------------------------


def require_title(title: object) -> None:
    if title is not None and not (isinstance(title, str) and title.strip()):
        raise OptionValueError(f"title={title!r}: it takes a text.")


def _title(context: Context, title: str | None) -> str:
    require_title(title)
    if title is not None:
        return title
    if context.mixed:
        return "Report of a linear mixed model"
    levels = "two-level " if context.two_level else ""
    return f"Report of a {levels}structural equation model"


def _subtitle(context: Context) -> str:
    fit = context.fit
    parts = [f"{fit.n_obs:,} rows"]
    parts += [f"{fit.n_clusters:,} clusters"] if fit.n_clusters is not None else []
    parts += [f"{len(fit.table.groups)} groups"] if fit.table.groups else []
    parts += [f"{fit.n_params} parameters", "REML" if context.restricted else "ML"]
    kind = "model-based" if fit.covariance.kind.model_based else fit.se_kind
    parts += [f"{kind} standard errors"]
    return ", ".join(parts)


def overview_of(
    context: Context, others: tuple[Section, ...], more: Iterable[Verdict] = ()
) -> Section:
    """What the other sections come to, with the way to each."""
    found = [
        replace(verdict, text="", target=section.key)
        for section in others
        for part in _flat(section)
        if isinstance(part, Verdicts)
        for verdict in part.each
    ]
    found += more
    if context.fit.notes:
        count = len(context.fit.notes)
        title = f"The fit has {count} note{'' if count == 1 else 's'}."
        found.append(Verdict("note", title, "", target="notes" if _has(others, "notes") else ""))
    order = {"bad": 0, "caution": 1, "note": 2, "good": 3}
    found.sort(key=lambda each: order[each.tone])
    return Section("overview", "At a glance", (Verdicts(tuple(found)),))


def _has(sections: tuple[Section, ...], key: str) -> bool:
    return any(section.key == key for section in sections)


def _flat(section: Section) -> Iterator[Part]:
    for part in section.parts:
        if isinstance(part, Subsection):
            yield from part.parts
        else:
            yield part


MAKERS: dict[str, Callable[[Context], Section]] = {
    "model": model_section,
    "data": data_section,
    "estimates": estimates_section,
    "fit": fit_section,
    "random": random_section,
    "diagnostics": diagnostics_section,
    "notes": notes_section,
    "session": session_section,
}
