"""The power of a trial, against its effect or its clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsem.report.figures.style import (
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
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Power along one thing.

    Attributes
    ----------
    name : str
        Of what lies across.
    x, power : sequence of float
    at : (float, float)
        The trial that is planned: its value and power.
    words : str
        What that is.
    steps : bool
        Whether only whole numbers have a power.
    """

    name: str
    x: Sequence[float]
    power: Sequence[float]
    at: tuple[float, float]
    words: str
    steps: bool


@styled
def power_curve(curve: PowerCurve, caption: str, figure: Figure | None = None) -> Figure:
    """The curve, with the planned trial on it.

    Parameters
    ----------
    caption : str
        What else the trial is, below.
    figure : Figure, optional
        An empty one to draw in.
    """
    figure = blank(6.0, 4.0, figure)
    ax = figure.subplots()
    plain_axes(ax)
    x, y = curve.at
    low, high = min(curve.x), max(curve.x)
    ax.set_xlim(low, high)
    ax.set_ylim(0.0, 1.02)
    ax.plot([low, x, x], [y, y, 0.0], color=LINE, linewidth=0.9, linestyle=DASHES[1])
    marker = "." if curve.steps and len(curve.x) <= 60 else ""
    ax.plot(curve.x, curve.power, color=BLUE, linewidth=1.8, marker=marker)
    ax.plot([x], [y], "o", color=RED, markersize=6, zorder=3)
    left = x > (low + high) / 2
    say(
        ax,
        curve.words,
        (x, y),
        xytext=(-8, 8) if left else (8, -12),
        ha="right" if left else "left",
        color=RED,
        fontsize=SMALL,
    )
    ax.set_xlabel(broken(curve.name, 60), fontsize=PLAIN, parse_math=False)
    ax.set_ylabel("Power", fontsize=PLAIN)
    figure.supxlabel(broken(caption, 90), fontsize=SMALL, color=LINE, parse_math=False)
    return figure
