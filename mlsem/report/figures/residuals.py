"""Residuals over fitted values, and quantiles against those of the normal distribution."""

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
    PLAIN,
    RED,
    SMALL,
    blank,
    broken,
    plain_axes,
    say,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Scatter:
    """Residuals over fitted values.

    Attributes
    ----------
    fitted, residuals : sequence of float
    middle : sequence of (fitted, residual)
        A smooth line through them.
    """

    title: str
    fitted: Sequence[float]
    residuals: Sequence[float]
    middle: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Sorted values, the normal quantiles that they are expected at, and their envelope.

    Attributes
    ----------
    far : sequence of (place, name)
        Of those that are outside, to be named.
    """

    title: str
    expected: Sequence[float]
    values: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    far: Sequence[tuple[int, str]] = ()


@styled
def residuals(
    panels: Sequence[Scatter | Quantiles], caption: str, figure: Figure | None = None
) -> Figure:
    """Two panels beside each other, row by row.

    Parameters
    ----------
    caption : str
        What is seen, below.
    figure : Figure, optional
        An empty one to draw in.
    """
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    figure = blank(6.6 if across == 2 else 4.2, 2.9 * down + 0.5, figure)
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for ax, panel in zip(axes, panels, strict=False):
        plain_axes(ax)
        ax.set_title(broken(panel.title, 40), fontsize=PLAIN, loc="left", parse_math=False)
        if isinstance(panel, Scatter):
            _draw_scatter(ax, panel)
        else:
            _draw_quantiles(ax, panel)
    for ax in axes[len(panels) :]:
        ax.remove()
    figure.supxlabel(caption, fontsize=SMALL, color=LINE, parse_math=False)
    return figure


def _draw_scatter(ax: Axes, panel: Scatter) -> None:
    count = len(panel.fitted)
    ax.axhline(0.0, color=LINE, linewidth=0.9, zorder=1)
    ax.scatter(
        panel.fitted,
        panel.residuals,
        s=max(2.0, min(14.0, 9000.0 / count)),
        c=BLUE,
        alpha=max(0.2, min(0.6, 700.0 / count)),
        linewidths=0,
        zorder=2,
        rasterized=count > 5000,
    )
    if panel.middle:
        x, y = zip(*panel.middle, strict=True)
        ax.plot(x, y, color=RED, linewidth=1.5, linestyle=DASHES[1], zorder=3)
    ax.set_xlabel("fitted", fontsize=SMALL)
    ax.set_ylabel("residual, standardized", fontsize=SMALL)


def _draw_quantiles(ax: Axes, panel: Quantiles) -> None:
    count = len(panel.values)
    ax.fill_between(panel.expected, panel.lower, panel.upper, color=BAND, linewidth=0, zorder=0)
    ends = [panel.expected[0], panel.expected[-1]]
    ax.plot(ends, ends, color=LINE, linewidth=0.9, zorder=1)
    triples = zip(panel.values, panel.lower, panel.upper, strict=True)
    outside = [value < low or value > high for value, low, high in triples]
    size = max(2.0, min(12.0, 4000.0 / count))
    for chosen, colour, marker in ((False, BLUE, "o"), (True, RED, "D")):
        own = [k for k in range(count) if outside[k] is chosen]
        ax.scatter(
            [panel.expected[k] for k in own],
            [panel.values[k] for k in own],
            s=size,
            c=colour,
            marker=marker,
            linewidths=0,
            zorder=2,
            rasterized=count > 5000,
        )
    for place, name in panel.far:
        right = panel.expected[place] < 0.0
        say(
            ax,
            cell(name, 14),
            (panel.expected[place], panel.values[place]),
            xytext=(4 if right else -4, 0),
            ha="left" if right else "right",
            va="center",
            color=RED,
            fontsize=SMALL - 1,
        )
    ax.set_xlabel("normal quantile", fontsize=SMALL)
    ax.set_ylabel("standardized", fontsize=SMALL)
