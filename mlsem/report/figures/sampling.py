"""Distributions of estimates: bootstrap draws, and the likelihood of one parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING

from mlsem.report.figures.style import (
    BAND,
    BLUE,
    DASHES,
    LINE,
    PLAIN,
    RED,
    SMALL,
    STEM,
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
class Draws:
    """Bootstrap draws of one parameter.

    Attributes
    ----------
    edges, counts : sequences of float
        Of the histogram: (bins + 1,), (bins,), as a density.
    estimate : float
    limits : (lower, upper)
        Of its interval.
    normal : sequence of (value, density)
        The normal curve that the standard error of the fit stands for; empty without one.
    """

    name: str
    edges: Sequence[float]
    counts: Sequence[float]
    estimate: float
    limits: tuple[float, float]
    normal: Sequence[tuple[float, float]]


@styled
def draws(
    panels: Sequence[Draws], interval: str, curve: str, caption: str, figure: Figure | None = None
) -> Figure:
    """A histogram for each parameter, with its estimate and interval.

    Parameters
    ----------
    interval, curve, caption : str
        What these are, for the legend and below.
    figure : Figure, optional
        An empty one to draw in.
    """
    from matplotlib.lines import Line2D

    across = 1 if len(panels) == 1 else 2 if len(panels) in (2, 4) else 3
    down = ceil(len(panels) / across)
    width, height = (5.6, 3.6) if across == 1 else (2.9 * across, 2.2 * down + 0.8)
    figure = blank(width, height, figure)
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for ax, panel in zip(axes, panels, strict=False):
        _draw_draws(ax, panel)
    for ax in axes[len(panels) :]:
        ax.remove()
    handles = [
        Line2D([], [], color=RED, linewidth=1.4, label="estimate"),
        Line2D([], [], color=LINE, linewidth=1.2, linestyle=DASHES[1], label=interval),
        Line2D([], [], color=BLUE, linewidth=1.2, linestyle=DASHES[2], label=curve),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    figure.supxlabel(caption, fontsize=SMALL, color=LINE, parse_math=False)
    return figure


def _draw_draws(ax: Axes, panel: Draws) -> None:
    plain_axes(ax)
    ax.set_title(broken(panel.name, 32), fontsize=PLAIN, loc="left", parse_math=False)
    ax.stairs(panel.counts, panel.edges, fill=True, color=BAND)
    ax.stairs(panel.counts, panel.edges, color=STEM, linewidth=0.8)
    if panel.normal:
        x, y = zip(*panel.normal, strict=True)
        ax.plot(x, y, color=BLUE, linewidth=1.2, linestyle=DASHES[2])
    for limit in panel.limits:
        if isfinite(limit):
            ax.axvline(limit, color=LINE, linewidth=1.2, linestyle=DASHES[1])
    ax.axvline(panel.estimate, color=RED, linewidth=1.4)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_ylim(bottom=0.0)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The profile of one parameter.

    Attributes
    ----------
    values : sequence of float
    root : sequence of float
        The signed root of what the log-likelihood lacks of its maximum, twice and scaled.
    critical : float
        Its absolute value at the limits.
    estimate : float
    limits : (lower, upper)
        Of the profile interval; ends may be infinite.
    slope, wald : float, (lower, upper)
        Of the straight line that a normal estimate has (1 / standard error), and its limits.
    """

    name: str
    values: Sequence[float]
    root: Sequence[float]
    critical: float
    estimate: float
    limits: tuple[float, float]
    slope: float
    wald: tuple[float, float]


@styled
def profile(panels: Sequence[Likelihood], caption: str, figure: Figure | None = None) -> Figure:
    """A row for each parameter: the signed root, and the likelihood itself.

    Parameters
    ----------
    caption : str
        What is seen, below.
    figure : Figure, optional
        An empty one to draw in.
    """
    figure = blank(6.8, 2.6 * len(panels) + 0.9, figure)
    rows = figure.subplots(len(panels), 2, squeeze=False)
    for (left, right), panel in zip(rows.tolist(), panels, strict=True):
        _draw_root(left, panel)
        _draw_likelihood(right, panel)
    handles, names = rows[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)
    figure.supxlabel(caption, fontsize=SMALL, color=LINE, parse_math=False)
    return figure


def _draw_root(ax: Axes, panel: Likelihood) -> None:
    plain_axes(ax)
    ax.set_title(broken(panel.name, 36), fontsize=PLAIN, loc="left", parse_math=False)
    for side in (-panel.critical, panel.critical):
        ax.axhline(side, color=STEM, linewidth=0.9)
    ax.axhline(0.0, color=BAND, linewidth=0.9)
    ax.plot(panel.values, panel.root, color=BLUE, linewidth=1.6, label="profile likelihood")
    line = [panel.slope * (value - panel.estimate) for value in panel.values]
    ax.plot(
        panel.values, line, color=LINE, linewidth=1.1, linestyle=DASHES[1], label="Wald (normal)"
    )
    ax.plot(panel.estimate, 0.0, "o", color=RED, markersize=5, label="estimate")
    _draw_limits(ax, panel, [-panel.critical, panel.critical], ((7, -11), (9, -13)))
    ax.set_ylim(-1.35 * panel.critical, 1.35 * panel.critical)
    ax.set_ylabel("signed root", fontsize=SMALL)


def _draw_likelihood(ax: Axes, panel: Likelihood) -> None:
    from math import exp

    plain_axes(ax)
    ax.plot(panel.values, [exp(-0.5 * z * z) for z in panel.root], color=BLUE, linewidth=1.6)
    line = [exp(-0.5 * (panel.slope * (x - panel.estimate)) ** 2) for x in panel.values]
    ax.plot(panel.values, line, color=LINE, linewidth=1.1, linestyle=DASHES[1])
    height = exp(-0.5 * panel.critical**2)
    ax.axhline(height, color=STEM, linewidth=0.9)
    ax.plot(panel.estimate, 1.0, "o", color=RED, markersize=5)
    _draw_limits(ax, panel, [height, height], ((7, 3), (6, 5)))
    ax.set_ylim(0.0, 1.08)
    ax.set_ylabel("relative likelihood", fontsize=SMALL)


def _draw_limits(
    ax: Axes,
    panel: Likelihood,
    heights: Sequence[float],
    offsets: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """Marks at the limits: full ones of the profile, with their values, open ones of Wald's."""
    low, high = panel.values[0], panel.values[-1]
    for limit, height in zip(panel.wald, heights, strict=True):
        if low <= limit <= high:
            ax.plot(limit, height, "s", color="white", markeredgecolor=LINE, markersize=5)
    for offset, limit, height in zip(offsets, panel.limits, heights, strict=True):
        if low <= limit <= high:
            ax.plot(limit, height, "s", color=BLUE, markersize=5)
            say(
                ax,
                f"{limit:.3g}",
                (limit, height),
                xytext=offset,
                ha="left" if offset[0] > 0 else "right",
                color=BLUE,
                fontsize=SMALL,
            )
