"""Random effects of clusters, from the smallest to the largest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsem.base.display import cell
from mlsem.report.figures.style import (
    BLUE,
    LINE,
    PLAIN,
    SMALL,
    STEM,
    blank,
    broken,
    plain_axes,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 60  # clusters whose names are shown
TALLEST = 14.0  # inches


@dataclass(frozen=True, slots=True)
class EffectPanel:
    """The effects of one kind, and the clusters whose they are."""

    name: str
    clusters: Sequence[str]
    values: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]


@styled
def caterpillar(
    panels: Sequence[EffectPanel],
    cluster: str,
    axis: str,
    figure: Figure | None = None,
) -> Figure:
    """A panel for each kind of effect, each sorted by itself; blue where the interval excludes 0.

    Parameters
    ----------
    cluster : str
        The column that tells clusters apart; their names are shown where they are not too many.
    axis : str
        What the intervals are, below.
    figure : Figure, optional
        An empty one to draw in.
    """
    count = max(len(panel.clusters) for panel in panels)
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    height = min(TALLEST, 1.0 + 0.15 * count) if count <= NAMED else 4.6
    width = 1.2 + (4.2 if across == 1 else 2.7 * across)
    figure = blank(width, down * height + 0.4, figure)
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for ax, panel in zip(axes, panels, strict=False):
        _draw(ax, panel)
    for ax in axes[len(panels) :]:
        ax.remove()
    figure.supxlabel(axis, fontsize=SMALL, color=LINE, parse_math=False)
    figure.supylabel(
        f"{count} clusters [{cell(cluster, 30)}], sorted", fontsize=PLAIN, parse_math=False
    )
    return figure


def _draw(ax: Axes, panel: EffectPanel) -> None:
    count = len(panel.clusters)
    order = sorted(range(count), key=lambda k: panel.values[k])
    ax.set_title(broken(panel.name, 34), fontsize=PLAIN, loc="left", parse_math=False)
    plain_axes(ax)
    ax.axvline(0.0, color=LINE, linewidth=0.9, zorder=1)
    apart = [panel.lower[k] > 0.0 or panel.upper[k] < 0.0 for k in order]
    colours = [BLUE if away else STEM for away in apart]
    places = range(count)
    ax.hlines(
        places,
        [panel.lower[k] for k in order],
        [panel.upper[k] for k in order],
        color=colours,
        linewidth=min(1.2, 160.0 / count),
        zorder=2,
    )
    values = [panel.values[k] for k in order]
    for chosen, marker, colour in ((True, "o", BLUE), (False, "D", LINE)):
        own = [k for k in places if apart[k] is chosen]
        size = max(2.0, min(14.0, 900.0 / count))
        ax.scatter(
            [values[k] for k in own],
            own,
            s=size if chosen else 0.6 * size,
            c=colour,
            marker=marker,
            linewidths=0,
            zorder=3,
        )
    ax.set_ylim(-0.9, count - 0.1)
    if count > NAMED:
        ax.set_yticks([])
        return
    ax.set_yticks(list(places))
    names = [cell(panel.clusters[k], 18) for k in order]
    ax.set_yticklabels(names, fontsize=SMALL - 1.5, parse_math=False)
    ax.tick_params(axis="y", length=0)
