"""Figures of several groups: estimates with intervals by group, and indices of fit over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import TYPE_CHECKING

from mlsem.base.display import cell
from mlsem.report.figures.style import (
    BAND,
    BLUE,
    LINE,
    METHODS,
    PLAIN,
    SMALL,
    blank,
    broken,
    label_rows,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ACROSS = 3  # panels side by side


@dataclass(frozen=True, slots=True)
class Panel:
    """Estimates of one thing in each group.

    Attributes
    ----------
    title : str
    values : sequence of float
        NaN of a group that has none.
    limits : sequence of (lower, upper)
        Equal to the value where there is no interval.
    centre : float or None
        A line to compare with.
    """

    title: str
    values: Sequence[float]
    limits: Sequence[tuple[float, float]]
    centre: float | None = None


@styled
def by_group(
    panels: Sequence[Panel], groups: Sequence[str], column: str, figure: Figure | None = None
) -> Figure:
    """A panel for each thing, a row for each group: estimate and interval.

    Parameters
    ----------
    column : str
        The grouping variable.
    figure : Figure, optional
        An empty one to draw in.
    """
    across = min(ACROSS, len(panels))
    down = ceil(len(panels) / across)
    figure = blank(3.2 * across + 0.6, down * _height(len(groups)) + 0.4, figure)
    _draw_panels(figure, panels, groups, across)
    figure.supylabel(column, fontsize=PLAIN, parse_math=False)
    return figure


@styled
def invariance(
    panels: Sequence[Panel],
    groups: Sequence[str],
    column: str,
    steps: Sequence[str],
    paths: Mapping[str, Mapping[str, Sequence[float]]],
    figure: Figure | None = None,
) -> Figure:
    """Estimates by group above, indices of fit over the steps below.

    Parameters
    ----------
    paths : mapping of axis to mapping of index to sequence of float
        One number for each step; NaN is left out.
    """
    across = min(ACROSS, max(len(panels), 1))
    down = ceil(len(panels) / across)
    above = down * _height(len(groups)) + 0.4
    figure = blank(3.2 * ACROSS + 0.6, above + 2.8, figure)
    halves = figure.subfigures(2, 1, squeeze=False, height_ratios=[above, 2.8])
    top, bottom = halves[:, 0]
    if panels:
        _draw_panels(top, panels, groups, across)
        top.supylabel(column, fontsize=PLAIN, parse_math=False)
    axes = bottom.subplots(1, len(paths), squeeze=False)[0]
    for ax, (name, indices) in zip(axes, paths.items(), strict=True):
        _draw_path(ax, name, steps, indices)
    return figure


def _height(groups: int) -> float:
    """Inches of a panel."""
    return min(1.0 + 0.2 * groups, 9.0)


def _draw_panels(
    figure: Figure | SubFigure, panels: Sequence[Panel], groups: Sequence[str], across: int
) -> None:
    down = ceil(len(panels) / across)
    axes = figure.subplots(down, across, squeeze=False, sharey=True).ravel().tolist()
    size = SMALL if len(groups) <= 40 else SMALL * 40 / len(groups)
    for ax, panel in zip(axes, panels, strict=False):
        _draw_panel(ax, panel)
    for ax in axes[: len(panels)]:
        label_rows(ax, [cell(group, 20) for group in groups])
        ax.tick_params(axis="y", labelsize=size)
    for ax in axes[len(panels) :]:
        ax.remove()


def _draw_panel(ax: Axes, panel: Panel) -> None:
    ax.set_title(broken(panel.title, 34), fontsize=PLAIN, loc="left", parse_math=False)
    if panel.centre is not None and isfinite(panel.centre):
        ax.axvline(panel.centre, color=BAND, linewidth=2.0, zorder=0)
    for k, (low, high) in enumerate(panel.limits):
        if isfinite(low) and isfinite(high):
            ax.plot([low, high], [k, k], color=LINE, linewidth=1.0, zorder=1)
    places = [k for k, value in enumerate(panel.values) if isfinite(value)]
    ax.scatter([panel.values[k] for k in places], places, s=18, c=BLUE, linewidths=0, zorder=2)


def _draw_path(
    ax: Axes, name: str, steps: Sequence[str], indices: Mapping[str, Sequence[float]]
) -> None:
    for number, (label, values) in enumerate(indices.items(), start=1):
        colour, marker = METHODS[number % len(METHODS)]
        places = [k for k, value in enumerate(values) if isfinite(value)]
        ax.plot(
            places,
            [values[k] for k in places],
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.0,
            label=label,
        )
    ax.set_title(name, fontsize=PLAIN, loc="left")
    ax.set_xticks(range(len(steps)))
    ax.set_xticklabels(steps, fontsize=SMALL, rotation=25, ha="right", parse_math=False)
    ax.tick_params(axis="y", labelsize=SMALL)
    ax.spines[["top", "right"]].set_visible(False)
    if len(indices) > 1:
        ax.legend(fontsize=SMALL - 1, frameon=False)
