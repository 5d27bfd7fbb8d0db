"""An interaction: lines at values of the moderator, and its slope with the regions in which it is
told from 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsem.base.display import cell
from mlsem.report.figures.style import (
    BAND,
    BLUE,
    DASHES,
    LINE,
    METHODS,
    PLAIN,
    RED,
    SMALL,
    blank,
    broken,
    plain_axes,
    plain_words,
    say,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 400  # values of a moderator beyond which their marks would be one line


@dataclass(frozen=True, slots=True)
class Band:
    """A line with its limits.

    Attributes
    ----------
    name : str
        For the legend.
    x, y, lower, upper : sequence of float
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


@dataclass(frozen=True, slots=True)
class LinesPanel:
    """Lines in one frame."""

    title: str
    lines: Sequence[Band]


@dataclass(frozen=True, slots=True)
class RegionsPanel:
    """A slope, where its regions end, and those in which it is told from 0.

    Attributes
    ----------
    bounds : sequence of float
    known : sequence of (lower, upper)
        Ends may be infinite.
    marks : sequence of float
        Values of the moderator in the data; empty where they are not known.
    """

    title: str
    slope: Band
    bounds: Sequence[float]
    known: Sequence[tuple[float, float]]
    marks: Sequence[float] = ()


@styled
def lines(
    panels: Sequence[LinesPanel],
    x: str,
    y: str,
    moderator: str,
    caption: str,
    figure: Figure | None = None,
) -> Figure:
    """A line for each value of the moderator, with its band.

    Parameters
    ----------
    x, y, moderator : str
        What the axes and the lines are.
    caption : str
        What the bands are.
    figure : Figure, optional
        An empty one to draw in.
    """
    figure, axes = _frames(len(panels), figure)
    for ax, panel in zip(axes, panels, strict=True):
        plain_axes(ax)
        _title(ax, panel.title)
        for number, line in enumerate(panel.lines):
            colour = METHODS[1:][number % (len(METHODS) - 1)][0]
            ax.fill_between(line.x, line.lower, line.upper, color=colour, alpha=0.16, linewidth=0)
            ax.plot(
                line.x,
                line.y,
                color=colour,
                linestyle=DASHES[number % len(DASHES)],
                linewidth=1.6,
                label=line.name,
            )
        ax.margins(x=0.0)
    _name_axes(figure, x, y, caption)
    _set_legends(figure, axes, panels, broken(moderator, 26))
    return figure


def _set_legends(
    figure: Figure, axes: Sequence[Axes], panels: Sequence[LinesPanel], title: str
) -> None:
    """One for all, or one in each panel where the moderator has other values there."""
    kinds = {tuple(line.name for line in panel.lines) for panel in panels}
    if max(map(len, kinds)) < 2:
        return
    handles, names = axes[0].get_legend_handles_labels()
    if len(kinds) == 1:
        legends = [figure.legend(handles, names, title=title, loc="outside right center")]
    else:
        legends = [ax.legend(title=title, loc="best", fontsize=SMALL - 1) for ax in axes]
    for legend in legends:
        plain_words(legend)


@styled
def johnson_neyman(
    panels: Sequence[RegionsPanel],
    x: str,
    y: str,
    caption: str,
    figure: Figure | None = None,
) -> Figure:
    """The slope over the moderator; shaded where it is told from 0, with the bounds of that.

    Parameters
    ----------
    x, y : str
        What the axes are.
    caption : str
        What band and shade are.
    figure : Figure, optional
        An empty one to draw in.
    """
    figure, axes = _frames(len(panels), figure)
    for ax, panel in zip(axes, panels, strict=True):
        plain_axes(ax)
        _title(ax, panel.title)
        _draw_regions(ax, panel)
    _name_axes(figure, x, y, caption)
    return figure


def _draw_regions(ax: Axes, panel: RegionsPanel) -> None:
    slope = panel.slope
    low, high = slope.x[0], slope.x[-1]
    ax.set_xlim(low, high)
    for start, end in panel.known:
        if start < high and end > low:
            ax.axvspan(max(start, low), min(end, high), color=BLUE, alpha=0.10, linewidth=0)
    ax.axhline(0.0, color=LINE, linewidth=0.9)
    ax.fill_between(slope.x, slope.lower, slope.upper, color=BAND, linewidth=0)
    ax.plot(slope.x, slope.lower, color=LINE, linewidth=0.7, linestyle=DASHES[1])
    ax.plot(slope.x, slope.upper, color=LINE, linewidth=0.7, linestyle=DASHES[1])
    ax.plot(slope.x, slope.y, color=BLUE, linewidth=1.8)
    for bound in panel.bounds:
        if low < bound < high:
            ax.axvline(bound, color=RED, linewidth=1.0, linestyle=DASHES[2])
            across = ax.get_xaxis_transform()
            say(
                ax,
                f"{bound:.3g}",
                (bound, 1.0),
                xycoords=across,
                xytext=(0, 2),
                ha="center",
                color=RED,
                fontsize=SMALL,
            )
    if panel.marks:
        height = 7.0 if len(panel.marks) <= MANY else 4.0
        ax.plot(
            list(panel.marks),
            [0.0] * len(panel.marks),
            linestyle="",
            marker="|",
            markersize=height,
            markeredgewidth=0.6,
            color=LINE,
            alpha=0.6,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
        )


def _frames(count: int, figure: Figure | None) -> tuple[Figure, list[Axes]]:
    """Panels side by side, three in a row, on the same scales."""
    across = min(count, 3)
    down = -(-count // across)
    width = 6.4 if count == 1 else 3.2 + 2.4 * (across - 1) + 1.2
    figure = blank(width, 3.9 if down == 1 else 2.7 * down + 0.7, figure)
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    every = axes.ravel().tolist()
    for ax in every[count:]:
        ax.remove()
    return figure, every[:count]


def _title(ax: Axes, title: str) -> None:
    if title:
        ax.set_title(cell(title, 34), fontsize=PLAIN, loc="left", parse_math=False, pad=14)


def _name_axes(figure: Figure, x: str, y: str, caption: str) -> None:
    if len(figure.axes) == 1:
        figure.axes[0].set_xlabel(broken(x, 60), fontsize=PLAIN, parse_math=False)
        figure.axes[0].set_ylabel(broken(y, 44), fontsize=PLAIN, parse_math=False)
        figure.supxlabel(caption, fontsize=SMALL, parse_math=False, color=LINE)
        return
    figure.supxlabel(f"{broken(x, 70)}\n{caption}", fontsize=PLAIN, parse_math=False)
    figure.supylabel(broken(y, 44), fontsize=PLAIN, parse_math=False)
