"""Estimates with intervals, those of several fits side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from mlsem.report.figures.style import (
    LINE,
    METHODS,
    PLAIN,
    STEM,
    blank,
    broken,
    label_rows,
    plain_words,
    row_height,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 38  # columns of a name


@dataclass(frozen=True, slots=True)
class Series:
    """The estimates of one fit, or of one kind of standard error; NaN where it has none.

    Attributes
    ----------
    name : str
        Empty where there is but one.
    values, lower, upper : sequence of float
        One for each row; limits are NaN where there is no interval.
    """

    name: str
    values: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


@dataclass(frozen=True, slots=True)
class Section:
    """Rows under a heading; no heading is drawn where it is empty."""

    heading: str
    names: Sequence[str]


@styled
def coefficients(
    sections: Sequence[Section],
    series: Sequence[Series],
    axis: str,
    figure: Figure | None = None,
) -> Figure:
    """A row for each parameter, from above; a mark and an interval for each fit.

    Parameters
    ----------
    sections : sequence of Section
        Their names together are the rows of `series`.
    axis : str
        What the intervals are, below the axis.
    figure : Figure, optional
        An empty one to draw in.
    """
    places, ticks = _layout(sections)
    least = 0.30 if len(series) < 3 else 0.10 + 0.13 * len(series)
    row = row_height([name for _, name, _ in ticks], least)
    figure = blank(6.4, 0.9 + row * len(ticks) + 0.25 * (len(series) > 1), figure)
    ax = figure.subplots()
    label_rows(ax, [name for _, name, _ in ticks])
    ax.axvline(0.0, color=LINE, linewidth=0.9, zorder=1)
    for number, each in enumerate(series):
        _draw(ax, number, len(series), each, places)
    _set_headings(ax, ticks)
    ax.margins(x=0.04)
    ax.set_xlabel(axis, fontsize=PLAIN)
    if len(series) > 1:
        handles, names = ax.get_legend_handles_labels()
        plain_words(figure.legend(handles, names, loc="outside upper center", ncols=4))
    return figure


def _layout(sections: Sequence[Section]) -> tuple[list[int], list[tuple[int, str, bool]]]:
    """The place of each parameter, and all rows: their place, name, and whether they are
    headings."""
    places: list[int] = []
    rows: list[tuple[int, str, bool]] = []
    for section in sections:
        if section.heading:
            rows.append((len(rows), broken(section.heading, WIDTH), True))
        for name in section.names:
            places.append(len(rows))
            rows.append((len(rows), broken(name, WIDTH), False))
    return places, rows


def _set_headings(ax: Axes, ticks: Sequence[tuple[int, str, bool]]) -> None:
    """Headings in bold, over a fine line."""
    for (place, _, heading), label in zip(ticks, ax.get_yticklabels(), strict=True):
        if heading:
            label.set_fontweight("bold")
            ax.axhline(place, color=STEM, linewidth=0.5, zorder=0)


def _draw(ax: Axes, number: int, count: int, series: Series, places: Sequence[int]) -> None:
    colour, marker = METHODS[(number + 1) % len(METHODS)]
    offset = 0.72 * ((number + 0.5) / count - 0.5)
    rows = [k for k, value in enumerate(series.values) if isfinite(value)]
    for k in rows:
        low, high = series.lower[k], series.upper[k]
        if isfinite(low) and isfinite(high):
            y = places[k] + offset
            ax.plot([low, high], [y, y], color=colour, linewidth=1.2, zorder=2)
    ax.plot(
        [series.values[k] for k in rows],
        [places[k] + offset for k in rows],
        linestyle="",
        marker=marker,
        markersize=5.0 if count < 4 else 4.0,
        markeredgewidth=0.0,
        color=colour,
        zorder=3,
        label=series.name,
    )
