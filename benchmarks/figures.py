"""The figures of docs/benchmarks.md, from what `benchmarks.grid` and `benchmarks.engines` saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import isotonic_regression

from benchmarks.designs import SERIES, Series
from benchmarks.grid_tables import Record, Runs, runs_of
from benchmarks.peers import MODEL_BASED
from mlsem.report.figures.style import BLUE, GREEN, INK, LINE, ORANGE, RED, SMALL, blank, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SKY, PINK, BROWN = "#56B4E9", "#CC79A7", "#8A5A2B"
LOOKS = {
    "mlsem, MLR": (BLUE, "o"),
    "mlsem, CR2": (SKY, "s"),
    "lavaan, MLR": (RED, "^"),
    "clubSandwich, CR2": (ORANGE, "D"),
    "lme-python, CR0": (GREEN, "v"),
    "lme4": (PINK, "P"),
    "MixedModels.jl": (GREEN, "X"),
    "mixedlm": ("0.25", "<"),
    "mixedlm-rs": ("0.45", ">"),
    "statsmodels": ("0.6", "h"),
    "semopy": (BROWN, "p"),
}
CASES = {
    "bare": ("grouping alone", LINE, "v"),
    "MLR": ("fit, MLR", BLUE, "o"),
    "CR2": ("fit, CR2", SKY, "s"),
}
SOLID, DASHED, DOTTED = "-", (0, (5, 2)), (0, (1, 2))
GAP = 0.065  # between names at the right, as a share of the axis
STEADY = {"svg.fonttype": "none", "svg.hashsalt": "mlsem", "savefig.facecolor": "white"}


@dataclass(frozen=True)
class Unit:
    """What the vertical axis measures: its name in a record, its ticks, its range."""

    name: str
    ticks: dict[float, str]
    span: tuple[float, float]

    def share(self, value: float) -> float:
        """Where a value is on the axis, from 0 to 1."""
        low, high = self.span
        return log(min(max(value, low), high) / low) / log(high / low)


SECONDS = Unit(
    "cpu",
    {1e-3: "1 ms", 1e-2: "10 ms", 0.1: "0.1 s", 1.0: "1 s", 10.0: "10 s", 100.0: "100 s",
     1e3: "1,000 s"},
    (5e-4, 4e3),
)  # fmt: skip
MEGABYTES = Unit(
    "memory", {1.0: "1 MB", 10.0: "10 MB", 100.0: "100 MB", 1e3: "1 GB", 1e4: "10 GB"}, (0.8, 1e4)
)
WALL = Unit("wall", {k: v for k, v in SECONDS.ticks.items() if k <= 100.0}, (4e-3, 60.0))


@dataclass(frozen=True)
class Curve:
    """A line with its name: points that were measured, and those that were only foreseen."""

    name: str
    colour: str
    marker: str
    seen: list[tuple[float, float]]
    ahead: list[tuple[float, float]]
    ours: bool = False
    robust: bool = True

    @property
    def end(self) -> tuple[float, float]:
        return [*self.seen, *self.ahead][-1]


# --- what is drawn --------------------------------------------------------------------------------


def peers_figure(data: dict[str, Any], unit: Unit) -> Figure:
    """Time or memory of every peer along each series."""
    with style(STEADY):
        figure = _blank(11.0)
        axes = [*figure.subplots(3, 2).flat]
        runs = runs_of(data)
        for ax, series in zip(axes, SERIES.values(), strict=False):
            curves = [_curve(name, series, runs, data, unit) for name in LOOKS]
            numbers = [series.number(design) for design in series.designs]
            _panel(ax, series.title, numbers, [each for each in curves if each], unit)
        _key(axes[len(SERIES)], foreseen=unit is SECONDS)
    return figure


def _curve(name: str, series: Series, runs: Runs, data: dict[str, Any], unit: Unit) -> Curve | None:
    records: list[tuple[int, Record]] = [
        (series.number(design), runs.get((name, design), {})) for design in series.designs
    ]
    seen = [(x, r[unit.name]) for x, r in records if r.get(unit.name, 0.0) > unit.span[0]]
    ahead = [(x, r["foreseen"]) for x, r in records if "foreseen" in r and unit is SECONDS]
    if not seen:
        return None
    robust = data["peers"][name]["errors"] != MODEL_BASED
    return Curve(name, *LOOKS[name], seen, ahead, name.startswith("mlsem"), robust)


def engines_figure(records: Sequence[Record]) -> Figure:
    """Time of a fit to a file of Parquet and of the grouping alone, by engine."""
    engines = [*dict.fromkeys(record["engine"] for record in records)]
    down = (len(engines) + 1) // 2
    with style(STEADY):
        figure = _blank(0.6 + 2.6 * down)
        axes = [*figure.subplots(down, 2, squeeze=False).flat]
        rows = sorted({record["rows"] for record in records})
        for ax, engine in zip(axes, engines, strict=False):
            of = [record for record in records if record["engine"] == engine]
            curves = [_case(name, of) for name in CASES]
            _panel(ax, engine, rows, [each for each in curves if each.seen], WALL)
        for ax in axes[len(engines) :]:
            ax.set_axis_off()
    return figure


def _case(case: str, records: Sequence[Record]) -> Curve:
    seen = sorted((r["rows"], r["wall"]) for r in records if r["case"] == case and "wall" in r)
    return Curve(*CASES[case], seen, [], ours=case != "bare")


def _blank(height: float) -> Figure:
    figure = blank(9.6, height, None)
    figure.get_layout_engine().set(h_pad=0.14, w_pad=0.1)
    return figure


# --- drawing --------------------------------------------------------------------------------------


def _panel(
    ax: Axes, title: str, numbers: Sequence[int], curves: Sequence[Curve], unit: Unit
) -> None:
    ax.set_title(title)
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(numbers, [f"{x:,}" for x in numbers])
    ax.set_yticks([*unit.ticks], [*unit.ticks.values()])
    ax.set_ylim(unit.span)
    ax.minorticks_off()
    ax.grid(axis="y", color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)
    for curve in curves:
        _draw(ax, curve)
    _names(ax, sorted(curves, key=lambda curve: curve.end[1]), unit)


def _draw(ax: Axes, curve: Curve) -> None:
    look: dict[str, Any] = {"color": curve.colour, "marker": curve.marker, "markersize": 4}
    dashes, width = (SOLID if curve.robust else DASHED), (2.2 if curve.ours else 1.1)
    ax.plot(*zip(*curve.seen, strict=True), linestyle=dashes, linewidth=width, zorder=3, **look)
    if curve.ahead:
        on = [curve.seen[-1], *curve.ahead]
        ax.plot(*zip(*on, strict=True), linestyle=DOTTED, linewidth=0.9, color=curve.colour)
        ax.plot(*zip(*curve.ahead, strict=True), linestyle="none", markerfacecolor="white", **look)


def _names(ax: Axes, curves: Sequence[Curve], unit: Unit) -> None:
    """Names and marks at the right of the axes, from below, each led to the end of its line."""
    places = apart([unit.share(curve.end[1]) for curve in curves], GAP)
    for curve, place in zip(curves, places, strict=True):
        x, y = curve.end
        ax.annotate(
            "", (x, min(y, unit.span[1])), xytext=(1.07, place), textcoords="axes fraction",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "0.8", "linewidth": 0.5,
                        "shrinkA": 3, "shrinkB": 3},
        )  # fmt: skip
        ax.plot(1.07, place, color=curve.colour, marker=curve.marker, markersize=4,
                transform=ax.transAxes, clip_on=False)  # fmt: skip
        ax.text(1.1, place, curve.name, transform=ax.transAxes, va="center", fontsize=SMALL,
                color=INK, fontweight="bold" if curve.ours else "normal")  # fmt: skip


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places from 0 to 1, moved as little as can be so that neighbours are a gap apart:
    least squares of z_k = place_k − k gap that may not descend."""
    steps = gap * np.arange(len(places))
    moved = isotonic_regression(np.asarray(places) - steps).x
    return [*(np.clip(moved, 0.0, max(0.0, 1.0 - steps[-1])) + steps)]


def _key(ax: Axes, *, foreseen: bool) -> None:
    """What the lines mean, in the panel that is left."""
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    said = [
        (SOLID, "full", "estimates and cluster-robust errors"),
        (DASHED, "full", "estimates and model-based errors"),
        (DOTTED, "none", "not run: what smaller sizes lead to"),
    ]
    for k, (dashes, fill, words) in enumerate(said[: 3 if foreseen else 2]):
        y = 0.85 - 0.1 * k
        ax.plot([0.02, 0.1, 0.18], [y] * 3, color=LINE, linestyle=dashes, marker="o", markersize=4,
                fillstyle=fill, linewidth=1.3)  # fmt: skip
        ax.text(0.22, y, words, va="center", fontsize=SMALL)


def write(figure: Figure, file: Path, source: str) -> None:
    """As SVG whose text is text and whose digits are the same each time; it tells its source."""
    with style(STEADY):
        figure.savefig(file, metadata={"Date": None, "Source": source})
