"""Figures of missing values: which variables go missing together, and in which clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsem.base.display import cell
from mlsem.report.figures.style import BLUE, LINE, PLAIN, RED, SMALL, blank, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 30  # patterns that a panel shows
LABEL = 24  # columns of a variable's name


@dataclass(frozen=True, slots=True)
class PatternPanel:
    """The patterns of one level: which variables are observed in each, and how many units have
    it."""

    title: str
    units: str
    variables: Sequence[str]
    patterns: Sequence[Sequence[bool]]
    counts: Sequence[int]


@styled
def patterns(panels: Sequence[PatternPanel], figure: Figure | None = None) -> Figure:
    """A row of tiles for each pattern, the most frequent above; missing ones are red.

    Parameters
    ----------
    panels : sequence of PatternPanel
        One below the other.
    figure : Figure, optional
        An empty one to draw in.
    """
    rows = [min(MOST, len(panel.counts)) for panel in panels]
    widest = max(len(panel.variables) for panel in panels)
    height = sum(0.22 * count + 1.3 for count in rows)
    figure = blank(max(4.0, 0.34 * widest + 2.4), height, figure)
    axes = figure.subplots(
        len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": [n + 3 for n in rows]}
    )
    for ax, panel in zip(axes.ravel().tolist(), panels, strict=True):
        _draw_patterns(ax, panel)
    figure.supxlabel("blue: observed, red: missing", fontsize=SMALL)
    return figure


def _draw_patterns(ax: Axes, panel: PatternPanel) -> None:
    from matplotlib.colors import ListedColormap

    shown = panel.patterns[:MOST]
    tiles = [[float(seen) for seen in row] for row in shown]
    ax.imshow(tiles, cmap=ListedColormap([RED, BLUE]), vmin=0.0, vmax=1.0, aspect="auto")
    _grid(ax, panel.variables, len(shown))
    ax.set_yticks(range(len(shown)), [str(count) for count in panel.counts[:MOST]])
    ax.tick_params(labelsize=SMALL, length=0)
    more = len(panel.counts) - len(shown)
    title = panel.title + (f" ({more} more patterns)" if more else "")
    ax.set_title(title, fontsize=PLAIN, loc="left")
    ax.set_ylabel(panel.units, fontsize=SMALL)


@styled
def by_cluster(
    variables: Sequence[str],
    shares: Sequence[Sequence[float]],
    cluster: str,
    figure: Figure | None = None,
) -> Figure:
    """A row for each cluster, darker the more a variable is missing; those with most above.

    Parameters
    ----------
    variables : sequence of str
    shares : sequence of sequences of float
        Of each cluster, the share of its rows in which each variable is missing.
    cluster : str
        The column that tells clusters apart.
    figure : Figure, optional
        An empty one to draw in.
    """
    figure = blank(max(4.0, 0.34 * len(variables) + 2.4), 4.6, figure)
    ax = figure.subplots()
    ordered = sorted(shares, key=sum, reverse=True)
    tiles = ax.imshow(
        ordered, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest"
    )
    _grid(ax, variables, len(ordered))
    ax.set_yticks([])
    ax.set_ylabel(
        f"{len(ordered)} clusters [{cell(cluster, LABEL)}], by what is missing",
        fontsize=SMALL,
        parse_math=False,
    )
    bar = figure.colorbar(tiles, ax=ax, shrink=0.6)
    bar.set_label("share missing", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    return figure


def _grid(ax: Axes, variables: Sequence[str], rows: int) -> None:
    """Names below the tiles, and lines between them where they are not too many."""
    names = [cell(name, LABEL) for name in variables]
    ax.set_xticks(range(len(names)))
    ax.set_xticklabels(names, rotation=90, fontsize=SMALL, parse_math=False)
    ax.tick_params(axis="x", length=0)
    ax.spines[:].set_color(LINE)
    lines = {"color": "white", "linewidth": 0.8}
    if rows <= MOST:
        ax.vlines([k + 0.5 for k in range(len(names) - 1)], -0.5, rows - 0.5, **lines)
        ax.hlines([k + 0.5 for k in range(rows - 1)], -0.5, len(names) - 0.5, **lines)
