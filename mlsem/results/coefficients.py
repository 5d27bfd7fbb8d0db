"""Estimates of several fits, parameter by parameter, as a figure shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING

from mlsem.arguments import require_level
from mlsem.errors import OptionValueError, nearest
from mlsem.report.figures.coefficients import Section, Series, coefficients
from mlsem.report.labels import Labels, read_labels
from mlsem.results.groups import group_titles
from mlsem.results.random_effects import is_mixed

if TYPE_CHECKING:
    from mlsem.model.table import ParameterTable, Row
    from mlsem.report.figures.style import Figure
    from mlsem.results.summary_table.records import AnyFit

KINDS = ("~", "~1", "=~", "~~", ":=")
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a fit, so that fits are told what is the same in others.

    Attributes
    ----------
    name : str
        As in `FitResult.params`.
    op : str
        Its kind; the mean of a random slope, and what moves it, are "~".
    same : str
        What it is called in every fit: `y~x1` of that path, be it fixed, the mean of a random
        slope, or written in lme4's language.
    heading : str
        Its group and level.
    at : int
        Its row in the table of estimates.
    """

    name: str
    op: str
    same: str
    heading: str
    at: int


def plot_coefficients(
    fits: Mapping[str, AnyFit],
    parameters: str | Iterable[str] | None,
    level: float,
    labels: object,
    figure: Figure | None,
) -> Figure:
    """See `mlsem.plot_coefficients`."""
    require_level(level)
    words = read_labels(labels)
    own = {called: parameters_of(fit) for called, fit in fits.items()}
    rows = _wanted(_united(own.values()), parameters)
    sections = _sections(rows)
    ordered = [each for section in sections.values() for each in section]
    shown = _shown(words, ordered, headed=len(sections) > 1)
    series = [
        _series(words.variable(called) if len(fits) > 1 else "", fit, own[called], ordered, level)
        for called, fit in fits.items()
    ]
    return coefficients(
        [Section(heading, [shown[row.same] for row in each]) for heading, each in sections.items()],
        series,
        _axis(fits.values(), series, level),
        figure,
    )


def _axis(fits: Iterable[AnyFit], series: Iterable[Series], level: float) -> str:
    """What is shown; no interval is named where there are none."""
    bounds = [bound for each in series for bound in each.lower]
    text = (
        f"estimate and {100.0 * level:g} % interval" if any(map(isfinite, bounds)) else "estimate"
    )
    if all(fit._estimates.converged for fit in fits):
        return text
    return f"{text}\na fit did not converge: its values are no estimates"


# --- what is the same in several fits -------------------------------------------------------------


def parameters_of(fit: AnyFit) -> list[Parameter]:
    """Those with an estimate of their own, in the order of `params`, then of definitions."""
    table = fit.table
    headings = _headings(table)
    of_rows: dict[str, list[int]] = {}
    for k, row in enumerate(table.rows):
        if row.free >= 0 and not table.is_auxiliary(row):
            of_rows.setdefault(table.names[row.free], []).append(k)
    found = []
    first = [str(name) for name in fit.params.index]  # of a mixed model the fixed effects alone
    for name in (*first, *(name for name in table.names if name not in first)):
        places = of_rows.get(name, [])
        if not places:
            continue
        row = table.rows[places[0]]
        path = _path(row, table)
        op = row.op if path is None else "~"
        # a label that several rows share is itself what they have in common
        same = name if len(places) > 1 else path or _relation(row, table)
        found.append(Parameter(name, op, same, headings.get(row.block, ""), places[0]))
    for k, each in enumerate(table.definitions):
        heading = "defined" if table.multilevel else ""
        found.append(Parameter(each.name, ":=", each.name, heading, len(table.rows) + k))
    return found


def _relation(row: Row, table: ParameterTable) -> str:
    """`y~x1`, `y~w1.l2`; factors of a product in one order."""
    suffix = {block.key: block.suffix for block in table.blocks}[row.block]
    right = "1" if row.op == "~1" else ":".join(sorted(row.rhs.split(":")))
    return f"{row.lhs}{row.op.removesuffix('1')}{right}{suffix}"


def _path(row: Row, table: ParameterTable) -> str | None:
    """`y~x1` of the mean of its random slope, `y~w1:x1` of what w1 adds to it; None of what is
    said of no slope."""
    slopes = {slope.name: slope for slope in table.slopes}
    if row.lhs not in slopes or row.op not in ("~", "~1"):
        return None
    slope = slopes[row.lhs]
    factors = [*slope.carrier.split(":"), *([] if row.op == "~1" else row.rhs.split(":"))]
    group = "" if row.group == 1 else f".g{row.group}"
    return f"{slope.outcome}~{':'.join(sorted(factors))}{group}"


def _united(lists: Iterable[Sequence[Parameter]]) -> list[Parameter]:
    """Each parameter of several fits once; under its common name where their names differ."""
    found: dict[str, Parameter] = {}
    for each in (parameter for own in lists for parameter in own):
        known = found.get(each.same)
        if known is None:
            found[each.same] = each
        elif known.name != each.name:
            heading = known.heading or each.heading
            found[each.same] = replace(known, name=each.same, heading=heading)
    return list(found.values())


def _headings(table: ParameterTable) -> dict[object, str]:
    """By block; a mixed model's coefficients are of one equation, whatever level they vary at."""
    if is_mixed(table):
        return {}
    titles = group_titles(table)
    found: dict[object, str] = {}
    for block in table.blocks:
        parts = [titles[block.key.group - 1]] if titles else []
        if table.multilevel:
            number, label = block.key.level, table.level_labels[block.key.level - 1]
            parts.append(f"level {number}" + ("" if label.isdigit() else f" ({label})"))
        found[block.key] = ", ".join(parts)
    return found


# --- what is asked for ----------------------------------------------------------------------------


def _wanted(rows: list[Parameter], parameters: str | Iterable[str] | None) -> list[Parameter]:
    """Those that are asked for, kinds by their operator; by default regression coefficients,
    else loadings, else all."""
    if parameters is None:
        for op in ("~", "=~"):
            if own := [row for row in rows if row.op == op]:
                return own
        return rows
    asked = [parameters] if isinstance(parameters, str) else list(parameters)
    if not asked:
        raise OptionValueError("parameters is empty; leave it out for the coefficients.")
    found: dict[str, Parameter] = {}
    for each in asked:
        own = [row for row in rows if each in (row.name, row.same)]
        own = own or [row for row in rows if row.op == each]
        if not own:
            raise OptionValueError(_unknown(each, rows))
        found |= {row.same: row for row in own}
    return list(found.values())


def _unknown(name: object, rows: list[Parameter]) -> str:
    if name in KINDS:
        return f"parameters: no fit has a free parameter of the kind {name!r}."
    near = nearest(str(name), [row.name for row in rows])
    kinds = ", ".join(map(repr, KINDS))
    return (
        f"parameters: no fit has a free parameter {name!r}.{near} See fit.params; {kinds} stand "
        "for all of a kind."
    )


def _sections(rows: list[Parameter]) -> dict[str, list[Parameter]]:
    """By their headings, which are left out where there is one."""
    found: dict[str, list[Parameter]] = {}
    for row in rows:
        found.setdefault(row.heading, []).append(row)
    return found if len(found) > 1 else {"": rows}


def _shown(words: Labels, rows: list[Parameter], *, headed: bool) -> dict[str, str]:
    """What each is called. Under the heading of its level its label need not say it again."""
    names = [row.name for row in rows]
    shown = [words.parameter(name, ending=not headed) for name in names]
    if len(set(shown)) < len(shown) and not headed:
        shown = words.all(names)
    return dict(zip((row.same for row in rows), shown, strict=True))


def _series(
    called: str,
    fit: AnyFit,
    own: Sequence[Parameter],
    rows: Sequence[Parameter],
    level: float,
) -> Series:
    columns = fit._columns(level)
    at = {each.same: each.at for each in own}

    def values(key: str) -> list[float]:
        return [float(columns[key][at[row.same]]) if row.same in at else NAN for row in rows]

    return Series(called, values("est"), values("ci_lower"), values("ci_upper"))
