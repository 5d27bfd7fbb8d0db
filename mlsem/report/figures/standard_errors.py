"""Standard errors of several methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, log
from typing import TYPE_CHECKING

from mlsem.report.figures.style import (
    BAND,
    LINE,
    METHODS,
    PLAIN,
    RED,
    SMALL,
    blank,
    broken,
    label_rows,
    row_height,
    say_at_the_right,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)


@styled
def se_comparison(
    names: Sequence[str],
    ratios: Mapping[str, Sequence[float]],
    bands: Sequence[tuple[float, float]] | None = None,
    banded: str | None = None,
    figure: Figure | None = None,
    caption: str = "",
) -> Figure:
    """Standard errors of several methods, as ratios to the model's on a log axis.

    Parameters
    ----------
    names : sequence of str
        The coefficients, from above.
    ratios : mapping of method to sequence of float
        One for each coefficient; NaN is left out.
    bands : sequence of (lower, upper), optional
        Where the ratio of the method `banded` lies if the model is right; (nan, nan) for none.
    banded : str, optional
        Default: the last method. A coefficient for which it lies outside its band is marked.
    figure : Figure, optional
        An empty one to draw in.
    caption : str
        What is seen, below.
    """
    shown = [broken(name, 36) for name in names]
    height = 1.2 + row_height(shown, 0.34) * len(names) + 0.16 * caption.count("\n")
    figure = blank(6.6, height, figure)
    ax = figure.subplots()
    method = banded or list(ratios)[-1]
    known = [value for values in ratios.values() for value in values if _is_ratio(value)]
    if bands is not None:
        _draw_bands(ax, bands, method)
        known += [limit for band in bands for limit in band if _is_ratio(limit)]
    ax.axvline(1.0, color=LINE, linewidth=0.9, zorder=1)
    for number, (name, values) in enumerate(ratios.items()):
        _draw_method(ax, number, len(ratios), name, values)
    _log_axis(ax, [*known, 1.0])
    label_rows(ax, shown)
    for k, band in enumerate(bands or ()):
        if _is_outside(ratios[method][k], band):
            _mark(ax, k, ratios[method][k])
    ax.set_xlabel("standard error / the model's", fontsize=PLAIN)
    figure.legend(loc="outside upper center", ncols=4, fontsize=SMALL, frameon=False)
    if caption:
        figure.supxlabel(caption, fontsize=SMALL, color=LINE, parse_math=False)
    return figure


def _is_ratio(value: float) -> bool:
    return isfinite(value) and value > 0.0


def _is_outside(ratio: float, band: tuple[float, float]) -> bool:
    return ratio < band[0] or ratio > band[1]


def _draw_bands(ax: Axes, bands: Sequence[tuple[float, float]], method: str) -> None:
    places = [k for k, band in enumerate(bands) if all(map(_is_ratio, band))]
    lower = [bands[k][0] for k in places]
    widths = [bands[k][1] - bands[k][0] for k in places]
    label = f"{method} if the model is right"
    ax.barh(places, widths, left=lower, height=0.62, color=BAND, zorder=0, label=label)


def _draw_method(ax: Axes, number: int, count: int, method: str, values: Sequence[float]) -> None:
    """The dots of one method, a little below those of the one before."""
    colour, marker = METHODS[number % len(METHODS)]
    places = [k for k, value in enumerate(values) if _is_ratio(value)]
    offset = 0.44 * ((number + 0.5) / count - 0.5)
    ax.scatter(
        [values[k] for k in places],
        [k + offset for k in places],
        s=26,
        c=colour,
        marker=marker,
        linewidths=1.6 if marker == "|" else 0.0,
        zorder=3,
        label=method,
    )


def _log_axis(ax: Axes, values: Sequence[float]) -> None:
    """Ticks at round ratios that do not crowd."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

    low, high = min(values) / 1.08, max(values) * 1.08
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    apart, ticks = log(high / low) / 10, [1.0]
    for tick in sorted(TICKS, key=lambda tick: abs(log(tick))):
        if low <= tick <= high and min(abs(log(tick / other)) for other in ticks) > apart:
            ticks.append(tick)
    ax.xaxis.set_major_locator(FixedLocator(sorted(ticks)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _mark(ax: Axes, row: int, ratio: float) -> None:
    """The coefficient's name in bold red, with the ratio at the right of the axes."""
    name = ax.get_yticklabels()[row]
    name.set_color(RED)
    name.set_fontweight("bold")
    say_at_the_right(ax, f"{ratio:.2f}", row, color=RED, fontsize=SMALL, fontweight="bold")
