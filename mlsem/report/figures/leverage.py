"""Each cluster's share of the information on a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, isfinite, sqrt
from statistics import median_low
from typing import TYPE_CHECKING

from mlsem.base.display import cell
from mlsem.report.figures.style import (
    BLUE,
    LINE,
    PLAIN,
    RED,
    SMALL,
    STEM,
    blank,
    broken,
    plain_axes,
    say,
    say_at_the_right,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class LeveragePanel:
    """One parameter: its name, each cluster's share of the information, effective clusters."""

    name: str
    shares: Sequence[float]
    effective: float


@styled
def leverage(
    panels: Sequence[LeveragePanel],
    labels: Sequence[str],
    rows: Sequence[int],
    cluster: str,
    figure: Figure | None = None,
) -> Figure:
    """Each cluster's share of the information on a parameter, the largest first.

    Parameters
    ----------
    panels : sequence of LeveragePanel
        One panel each.
    labels, rows : sequences of (G,)
        Of the clusters; the areas of the dots go with the rows.
    cluster : str
        The column that tells clusters apart.
    figure : Figure, optional
        An empty one to draw in.
    """
    across = _across(len(panels))
    down = ceil(len(panels) / across)
    width, height = (6.4, 3.8) if len(panels) == 1 else (3.1 * across, 2.3 * down + 0.7)
    figure = blank(width, height, figure)
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    areas = _areas(rows)
    for ax, panel in zip(axes, panels, strict=False):
        _draw_shares(ax, panel, labels, areas)
    for ax in axes[len(panels) :]:
        ax.remove()
    figure.supxlabel(f"clusters [{cluster}], by their share", fontsize=PLAIN, parse_math=False)
    figure.supylabel("share of the information", fontsize=PLAIN)
    _size_legend(figure, rows)
    return figure


def _across(count: int) -> int:
    """Panels beside each other."""
    return count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else 4


def _areas(rows: Sequence[int]) -> list[float]:
    """Areas of dots in square points, in proportion to the rows, but never too small to be seen."""
    largest, most = min(60.0, max(9.0, 2400.0 / len(rows))), max(rows)
    return [max(3.0, 0.08 * largest, largest * n / most) for n in rows]


def _draw_shares(
    ax: Axes, panel: LeveragePanel, labels: Sequence[str], areas: Sequence[float]
) -> None:
    count = len(labels)
    ax.set_title(broken(panel.name, 34), fontsize=PLAIN, loc="left", parse_math=False)
    plain_axes(ax)
    order = sorted(
        (k for k in range(count) if isfinite(panel.shares[k])), key=lambda k: -panel.shares[k]
    )
    if not order:
        ax.text(0.5, 0.5, "not free", transform=ax.transAxes, ha="center", fontsize=SMALL)
        return
    shares, dots = [panel.shares[k] for k in order], [areas[k] for k in order]
    places = range(1, count + 1)
    ax.vlines(places, 0.0, shares, color=STEM, linewidth=min(1.2, 120 / count), zorder=1)
    ax.scatter(places[1:], shares[1:], s=dots[1:], c=BLUE, linewidths=0, zorder=3)
    ax.scatter(1, shares[0], s=max(14.0, dots[0]), c=RED, linewidths=0, zorder=4)
    largest = cell(labels[order[0]], 24)
    say(ax, largest, (1, shares[0]), xytext=(6, 2), color=RED, fontsize=SMALL)
    ax.set_xlim(1 - 0.04 * count, count + 0.04 * count)
    ax.set_ylim(0.0, 1.2 * max(shares[0], 1.0 / count))
    ax.set_xticks([1, count])
    # between the two ticks, on their line
    ax.set_xlabel(f"{panel.effective:.1f} effective", fontsize=SMALL, color=LINE, labelpad=-9)
    _draw_equal(ax, count)


def _draw_equal(ax: Axes, count: int) -> None:
    """The share that each cluster had if all had the same."""
    ax.axhline(1.0 / count, color=LINE, linewidth=0.9, linestyle=(0, (4, 2)), zorder=2)
    say_at_the_right(ax, f"1/{count}", 1.0 / count, color=LINE, fontsize=SMALL - 1)


def _size_legend(figure: Figure, rows: Sequence[int]) -> None:
    """What the areas of dots mean, where clusters differ in size."""
    from matplotlib.lines import Line2D

    sizes = {min(rows), median_low(rows), max(rows)}
    if len(sizes) == 1:
        return
    drawn = dict(zip(rows, _areas(rows), strict=True))
    handles = [
        Line2D([], [], ls="", marker="o", color=BLUE, mew=0, label=f"{n}", ms=sqrt(area))
        for n, area in sorted(drawn.items())
        if n in sizes
    ]
    figure.legend(
        handles=handles,
        title="rows",
        loc="outside right center",
        fontsize=SMALL,
        title_fontsize=SMALL,
        frameon=False,
    )
