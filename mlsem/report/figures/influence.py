"""What leaving each cluster out would do to the estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from mlsem.base.display import cell
from mlsem.report.figures.style import (
    BAND,
    BLUE,
    LINE,
    PLAIN,
    RED,
    SMALL,
    blank,
    broken,
    label_rows,
    row_height,
    say,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 2  # clusters that are named, of each parameter and side
APART = 0.06  # of the width, between names


@dataclass(frozen=True, slots=True)
class Shifts:
    """By how many standard errors leaving out each cluster moves a parameter."""

    name: str
    values: Sequence[float]


@styled
def influence(
    rows: Sequence[Shifts],
    clusters: Sequence[str],
    limit: float,
    axis: str,
    caption: str,
    figure: Figure | None = None,
) -> Figure:
    """A row for each parameter, a mark for each cluster; those beyond the limit are named.

    Parameters
    ----------
    clusters : sequence of str
    limit : float
        On both sides of 0.
    axis, caption : str
        Below.
    figure : Figure, optional
        An empty one to draw in.
    """
    names = [broken(row.name, 36) for row in rows]
    figure = blank(6.6, 1.1 + row_height(names, 0.36) * len(rows), figure)
    ax = figure.subplots()
    ax.axvspan(-limit, limit, color=BAND, linewidth=0, zorder=0)
    ax.axvline(0.0, color=LINE, linewidth=0.9, zorder=1)
    known = [value for row in rows for value in row.values if isfinite(value)]
    width = max((*known, limit)) - min((*known, -limit))
    for k, row in enumerate(rows):
        _draw(ax, k, row, clusters, limit, width)
    label_rows(ax, names)
    ax.margins(x=0.08)
    ax.set_xlabel(axis, fontsize=PLAIN)
    figure.supxlabel(caption, fontsize=SMALL, color=LINE, parse_math=False)
    return figure


def _draw(
    ax: Axes, place: int, row: Shifts, clusters: Sequence[str], limit: float, width: float
) -> None:
    known = [k for k, value in enumerate(row.values) if isfinite(value)]
    inside = [k for k in known if abs(row.values[k]) <= limit]
    beyond = [k for k in known if abs(row.values[k]) > limit]
    values = [row.values[k] for k in inside]
    alpha = 0.6 if len(known) <= 200 else 0.25
    ax.plot(values, [place] * len(inside), "|", color=BLUE, markersize=8, alpha=alpha, zorder=2)
    ax.plot(
        [row.values[k] for k in beyond],
        [place] * len(beyond),
        "D",
        color=RED,
        markersize=4,
        markeredgewidth=0,
        zorder=3,
    )
    for k in _named(row, beyond, width):
        say(
            ax,
            cell(clusters[k], 12),
            (row.values[k], place),
            xytext=(0, 4),
            ha="center",
            color=RED,
            fontsize=SMALL - 1.5,
        )


def _named(row: Shifts, beyond: Sequence[int], width: float) -> list[int]:
    """The furthest on each side, as far as their names do not meet."""
    named: list[int] = []
    for side in (-1.0, 1.0):
        own = [k for k in beyond if side * row.values[k] > 0.0]
        own.sort(key=lambda k: -abs(row.values[k]))
        for k in own[:NAMED]:
            if all(abs(row.values[k] - row.values[other]) > APART * width for other in named):
                named.append(k)
    return named
