"""Figures: plain lists in, a matplotlib figure out. matplotlib is an extra, and imported late.

The figures are pyplot's only if the caller made them: nothing here shows a window or leaves
anything behind. Colours are those of Okabe & Ito (2008), told apart by the colour-blind too; shapes
tell the same for print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isfinite, log, sqrt
from statistics import median_low
from typing import TYPE_CHECKING, Any

from mlsem.base.display import cell, display_width, printable
from mlsem.errors import InterfaceError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, STEM, LINE, BAND = "#0072B2", "#D55E00", "0.72", "0.35", "0.88"
METHODS = (  # colour and marker of each method, in turn
    ("#000000", "|"),
    ("#0072B2", "o"),
    ("#E69F00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#56B4E9", "v"),
    ("#D55E00", "P"),
)
TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
SMALL, PLAIN = 8.0, 9.0  # points


@dataclass(frozen=True, slots=True)
class LeveragePanel:
    """One parameter: its name, each cluster's share of the information, effective clusters."""

    name: str
    shares: Sequence[float]
    effective: float


def blank(width: float, height: float, given: Figure | None) -> Figure:
    """A figure of that size in inches, or the given one; neither pyplot's nor shown.

    Raises
    ------
    InterfaceError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InterfaceError(
            f"figures need matplotlib ({error}): pip install matplotlib", name="matplotlib"
        ) from error
    if given is None:
        return Figure(figsize=(width, height), layout="constrained")
    if isinstance(given, Figure) and given.get_layout_engine() is None:
        given.set_layout_engine("constrained")
    return given


# --- leverage -------------------------------------------------------------------------------------


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
    largest = min(60.0, max(9.0, 2400.0 / len(rows)))
    return [max(3.0, 0.08 * largest, largest * n / max(rows)) for n in rows]


def _draw_shares(
    ax: Axes, panel: LeveragePanel, labels: Sequence[str], areas: Sequence[float]
) -> None:
    count = len(labels)
    ax.set_title(_broken(panel.name, 34), fontsize=PLAIN, loc="left", parse_math=False)
    _plain_axes(ax)
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
    _say(ax, largest, (1, shares[0]), xytext=(6, 2), color=RED, fontsize=SMALL)
    ax.set_xlim(1 - 0.04 * count, count + 0.04 * count)
    ax.set_ylim(0.0, 1.2 * max(shares[0], 1.0 / count))
    ax.set_xticks([1, count])
    # between the two ticks, on their line
    ax.set_xlabel(f"{panel.effective:.1f} effective", fontsize=SMALL, color=LINE, labelpad=-9)
    _draw_equal(ax, count)


def _draw_equal(ax: Axes, count: int) -> None:
    """The share that each cluster had if all had the same."""
    ax.axhline(1.0 / count, color=LINE, linewidth=0.9, linestyle=(0, (4, 2)), zorder=2)
    _at_the_right(ax, f"1/{count}", 1.0 / count, color=LINE, fontsize=SMALL - 1)


def _at_the_right(ax: Axes, words: str, y: float, **style: Any) -> None:
    """Words outside the axes, at a value of y."""
    across = ax.get_yaxis_transform()
    _say(ax, words, (1.0, y), xycoords=across, xytext=(3, 0), va="center", **style)


def _say(ax: Axes, words: str, place: tuple[float, float], **style: Any) -> None:
    """Words of the user's, in which $ is no formula, some points away from a place."""
    ax.annotate(
        words,
        place,
        textcoords="offset points",
        annotation_clip=False,
        parse_math=False,
        **style,
    )


def _plain_axes(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=SMALL)


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


# --- standard errors ------------------------------------------------------------------------------


def se_comparison(
    names: Sequence[str],
    ratios: Mapping[str, Sequence[float]],
    bands: Sequence[tuple[float, float]] | None = None,
    banded: str | None = None,
    figure: Figure | None = None,
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
    """
    figure = blank(6.6, 1.2 + 0.34 * len(names), figure)
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
    label_rows(ax, [_broken(name, 36) for name in names])
    for k, band in enumerate(bands or ()):
        if _is_outside(ratios[method][k], band):
            _mark(ax, k, ratios[method][k])
    ax.set_xlabel("standard error / the model's", fontsize=PLAIN)
    figure.legend(loc="outside upper center", ncols=4, fontsize=SMALL, frameon=False)
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


def label_rows(ax: Axes, labels: Sequence[str]) -> None:
    """A row for each label, from above, and no frame but the axis below."""
    ax.set_yticks(range(len(labels)))
    ax.set_yticklabels(labels, fontsize=SMALL, parse_math=False)
    ax.set_ylim(len(labels) - 0.45, -0.55)
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _mark(ax: Axes, row: int, ratio: float) -> None:
    """The coefficient's name in bold red, with the ratio at the right of the axes."""
    name = ax.get_yticklabels()[row]
    name.set_color(RED)
    name.set_fontweight("bold")
    _at_the_right(ax, f"{ratio:.2f}", row, color=RED, fontsize=SMALL, fontweight="bold")


def _broken(name: str, width: int) -> str:
    """A long name on two lines, broken behind its operator; each line shortened to the width."""
    name = printable(name)
    if display_width(name) <= width:
        return name
    for operator in ("=~", "~~", "~"):
        left, sign, right = name.partition(operator)
        if sign:
            return f"{cell(left, width - 3)} {sign}\n{cell(right, width)}"
    return cell(name, width)
