"""How the values of variables are spread: a small histogram for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from mlsem.report.figures.style import BLUE, SMALL, blank, broken, plain_axes, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACROSS, WIDTH = 4, 26  # panels beside each other; columns of a name


@dataclass(frozen=True, slots=True)
class Distribution:
    """The values of one variable.

    Attributes
    ----------
    name, units : str
        What it is called, and what is counted: rows or clusters.
    edges : sequence of float
        Of the bars; one more than `counts`.
    counts : sequence of int
    """

    name: str
    units: str
    edges: Sequence[float]
    counts: Sequence[int]


@styled
def distributions(panels: Sequence[Distribution], figure: Figure | None = None) -> Figure:
    """A histogram for each variable, all with bars from zero.

    Parameters
    ----------
    panels : sequence of Distribution
    figure : Figure, optional
        An empty one to draw in.
    """
    across = min(ACROSS, max(len(panels), 1))
    down = max(ceil(len(panels) / across), 1)
    figure = blank(1.9 * across + 0.4, 1.55 * down + 0.2, figure)
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for ax, panel in zip(axes, panels, strict=False):
        widths = [b - a for a, b in zip(panel.edges, panel.edges[1:], strict=False)]
        ax.bar(
            panel.edges[:-1],
            panel.counts,
            widths,
            align="edge",
            color=BLUE,
            edgecolor="white",
            linewidth=0.5,
        )
        plain_axes(ax)
        ax.set_title(broken(panel.name, WIDTH), fontsize=SMALL, parse_math=False)
        ax.set_ylabel(panel.units, fontsize=SMALL)
        ax.locator_params(nbins=4)
    for ax in axes[len(panels) :]:
        ax.remove()
    return figure
