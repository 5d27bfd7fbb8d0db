"""Simple slopes as a figure shows them: of one fit, or of each of several groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args
from typing import Annotated as Shaped

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.errors import OptionValueError, listed
from mlsem.inference.covariance.intervals import Wald
from mlsem.inference.slopes import grid
from mlsem.inference.slopes.equation import Source
from mlsem.inference.slopes.regions import UNKNOWN
from mlsem.inference.slopes.words import point_words
from mlsem.report.figures import slopes as figures
from mlsem.report.labels import Labels, read_labels

if TYPE_CHECKING:
    from mlsem.inference.slopes.result import SimpleSlopes
    from mlsem.report.figures.style import Figure

PlotKind = Literal["lines", "johnson-neyman"]
UNSEEN = " (mean ± 2 SD: the fit keeps no rows)"


@quiet
def plot_slopes(
    found: Mapping[str, SimpleSlopes], kind: str, labels: object, figure: Figure | None
) -> Figure:
    """Of one or several groups, whose titles are the keys."""
    words = read_labels(labels)
    if kind not in get_args(PlotKind):
        raise OptionValueError(f"kind={kind!r}: it takes one of {listed(get_args(PlotKind))}.")
    return (_plot_lines if kind == "lines" else _plot_regions)(found, words, figure)


def _plot_lines(found: Mapping[str, SimpleSlopes], words: Labels, figure: Figure | None) -> Figure:
    panels = []
    for title, each in found.items():
        drawn = grid.lines(
            each.interaction, each.chosen, each.level, simultaneous=each.simultaneous
        )
        by_other: dict[str, list[figures.Band]] = {}
        for line in drawn:
            first, other = _split(each, line.at)
            band = _band(point_words(each, first, Labels(), bare=True), line.x, line.tests)
            by_other.setdefault(point_words(each, other, words), []).append(band)
        panels += [
            figures.LinesPanel(", ".join(filter(None, (title, other))), bands)
            for other, bands in by_other.items()
        ]
    one = next(iter(found.values()))
    predictor = one.interaction.predictor
    return figures.lines(
        panels,
        _axis(one, predictor, words),
        f"Expected {words.variable(one.outcome)}",
        words.variable(one.moderators[0]),
        f"Bands: {one.intervals}",
        figure,
    )


def _plot_regions(
    found: Mapping[str, SimpleSlopes], words: Labels, figure: Figure | None
) -> Figure:
    panels = []
    for title, each in found.items():
        spread = each.interaction.spreads[each.interaction.moderators[0]]
        for curve in each.curves:
            name = ", ".join(filter(None, (title, point_words(each, curve.other, words))))
            known = [(r.lower, r.upper) for r in curve.regions if r.slope != UNKNOWN]
            marks = [] if spread.points is None else spread.points.tolist()
            slope = _band("", curve.x, curve.tests)
            panels.append(figures.RegionsPanel(name, slope, curve.bounds, known, marks))
    one = next(iter(found.values()))
    return figures.johnson_neyman(
        panels,
        _axis(one, one.interaction.moderators[0], words),
        f"Slope of {words.variable(one.predictor)} on {words.variable(one.outcome)}",
        f"Band: {one.intervals}; blue where it excludes 0",
        figure,
    )


def _split(
    found: SimpleSlopes, at: Mapping[Source, Any]
) -> tuple[dict[Source, Any], dict[Source, Any]]:
    """The first moderator's value, and that of the other."""
    first = found.interaction.moderators[0]
    return (
        {source: value for source, value in at.items() if source == first},
        {source: value for source, value in at.items() if source != first},
    )


def _axis(found: SimpleSlopes, source: Source, words: Labels) -> str:
    """The variable, and what is said of its values and their range."""
    spread, centred = found.interaction.spreads[source], found.interaction.centred(source)
    part = f", {source.part} clusters" if source.part else ""
    range_words = "" if spread.observed else UNSEEN
    return f"{words.variable(source.name)}{part}{', ' if centred else ''}{centred}{range_words}"


def _band(name: str, x: Shaped[Array, "c"], tests: Wald) -> figures.Band:
    return figures.Band(
        name, x.tolist(), tests.est.tolist(), tests.lower.tolist(), tests.upper.tolist()
    )
