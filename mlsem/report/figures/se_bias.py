"""The figure of a Monte Carlo study: plain lists in, a matplotlib figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from mlsem.report.figures.style import (
    BAND,
    LINE,
    METHODS,
    PLAIN,
    SMALL,
    blank,
    broken,
    label_rows,
    plain_words,
    row_height,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOLERABLE = 0.10  # relative bias of standard errors (Hoogland & Boomsma, 1998)
WIDTH = 1.96  # standard errors to each side of a 95% interval


@styled
def se_bias(
    names: Sequence[str],
    biases: Mapping[str, Sequence[float]],
    errors: Mapping[str, Sequence[float]],
    figure: Figure | None = None,
) -> Figure:
    """Relative bias of standard errors by coefficient and method.

    Parameters
    ----------
    names : sequence of str
        The coefficients, from above.
    biases, errors : mapping of method to sequence of float
        One for each coefficient, and its Monte Carlo standard error; NaN is left out.
    figure : Figure, optional
        An empty one to draw in.

    Raises
    ------
    InterfaceError
        matplotlib is not installed.
    """
    row = max(0.34, 0.12 * len(biases) + 0.1)
    shown = [broken(name, 36) for name in names]
    figure = blank(6.6, 1.2 + row_height(shown, row) * len(names), figure)
    ax = figure.subplots()
    ax.axvspan(-TOLERABLE, TOLERABLE, color=BAND, zorder=0, linewidth=0)
    ax.axvline(0.0, color=LINE, linewidth=0.9, zorder=1)
    for number, (method, values) in enumerate(biases.items()):
        _draw(ax, number, len(biases), method, values, errors[method])
    _percent_axis(ax)
    label_rows(ax, shown)
    ax.set_xlabel("relative bias of the standard error", fontsize=PLAIN)
    plain_words(figure.legend(loc="outside upper center", ncols=4, fontsize=SMALL))
    return figure


def _draw(
    ax: Axes,
    number: int,
    count: int,
    method: str,
    values: Sequence[float],
    errors: Sequence[float],
) -> None:
    """A dot and an interval for each coefficient, a little below those of the method before."""
    colour, marker = METHODS[number % len(METHODS)]
    offset = 0.7 * ((number + 0.5) / count - 0.5)
    places = [k for k, value in enumerate(values) if isfinite(value)]
    ax.errorbar(
        [values[k] for k in places],
        [k + offset for k in places],
        xerr=[WIDTH * errors[k] if isfinite(errors[k]) else 0.0 for k in places],
        fmt=marker,
        color=colour,
        markersize=5.0,
        elinewidth=0.9,
        zorder=3,
        label=method,
    )


def _percent_axis(ax: Axes) -> None:
    from matplotlib.ticker import PercentFormatter

    ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
