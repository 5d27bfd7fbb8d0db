"""Table and figures of the coverage study.

    python examples/studies/few_clusters_report.py docs/studies/few_clusters

reads the study's files (one per cell), writes coverage.csv and the figures beside them, and the
tables as Markdown to standard output. Needs the extra "plot".
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

METHODS = ("model-based", "MLR", "CR2, z", "CR2, t, expected bread", "CR2, t")
COLOURS = ("#8c8c8c", "#D55E00", "#56B4E9", "#CC79A7", "#0072B2")
MARKERS = ("o", "s", "^", "x", "D")
KINDS = {
    "random intercept": ("within paths", "between paths", "within variances", "between variances"),
    "factor": (
        "within paths", "between paths", "within loadings", "between loadings",
        "within variances", "between variances",
    ),
}  # fmt: skip
EFFECTS = {"mediator in a product": "y~w:m", "mediator between": "y~m"}
GOALS = {"paths": (0.94, 0.96), "intercepts": (0.94, 0.96)}  # of covariance parameters: 93 to 97 %
CELL = ["model", "clusters", "sizes", "omitted slope"]


def read(folder: Path) -> pd.DataFrame:
    """All cells; coverage.csv holds them together."""
    parts = sorted(path for path in folder.glob("*_*.csv"))
    whole = folder / "coverage.csv"
    data = pd.concat(map(pd.read_csv, parts)) if parts else pd.read_csv(whole)
    data = data.sort_values([*CELL, "method", "parameter"], ignore_index=True)
    data.to_csv(whole, index=False, float_format="%.6g")
    return data


def goal(kind: str) -> tuple[float, float]:
    return GOALS.get(kind.split()[-1], (0.93, 0.97))


def figure(data: pd.DataFrame, model: str) -> object:
    """Coverage against the number of clusters: a column per kind of parameter, a row per design."""
    from matplotlib.figure import Figure

    part = data[data["model"] == model]
    designs = [(size, slope) for slope in (False, True) for size in ("equal", "uneven")]
    kinds = KINDS[model]
    drawn = Figure(figsize=(2.1 * len(kinds) + 0.8, 7.6), layout="constrained")
    axes = drawn.subplots(len(designs), len(kinds), sharex=True, sharey=True, squeeze=False)
    for row, (size, slope) in enumerate(designs):
        for column, kind in enumerate(kinds):
            ax = axes[row, column]
            ax.axhspan(*goal(kind), color="#e8e8e8", zorder=0)
            ax.axhline(0.95, color="#555555", linewidth=0.7)
            here = part[(part["sizes"] == size) & (part["omitted slope"] == slope)]
            _lines(ax, here[here["kind"] == kind])
            if row == 0:
                ax.set_title(kind, fontsize=9)
            if column == 0:
                ax.set_ylabel(f"{size} sizes,\n{'slope omitted' if slope else 'model right'}")
    for ax in axes[-1]:
        ax.set_xscale("log")
        ax.set_xticks(sorted(part["clusters"].unique()), sorted(part["clusters"].unique()))
        ax.minorticks_off()
        ax.set_xlabel("clusters")
    axes[0, 0].set_ylim(0.60, 1.0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=len(METHODS), frameon=False)
    return drawn


def _lines(ax: object, part: pd.DataFrame) -> None:
    for method, colour, marker in zip(METHODS, COLOURS, MARKERS, strict=True):
        mean = part[part["method"] == method].groupby("clusters")["coverage"].mean()
        ax.plot(  # type: ignore[attr-defined]
            mean.index, np.maximum(mean, 0.605), color=colour, marker=marker, markersize=4,
            linewidth=1.2, label=method,
        )  # fmt: skip


def table(data: pd.DataFrame, model: str) -> str:
    """Mean coverage in percent over the parameters of a kind and the four designs; below it the
    lowest and highest cell of CR2 with t."""
    part = data[data["model"] == model]
    heads = ("parameters", "clusters", *METHODS, "CR2, t: lowest, highest", "df")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for kind in KINDS[model]:
        for clusters, here in part[part["kind"] == kind].groupby("clusters"):
            means = [100 * here[here["method"] == m]["coverage"].mean() for m in METHODS]
            best = here[here["method"] == METHODS[-1]]
            cells = " | ".join(f"{mean:.1f}" for mean in means)
            low, high = 100 * best["coverage"].min(), 100 * best["coverage"].max()
            rest = f"{low:.1f}, {high:.1f} | {best['df'].median():.1f}"
            lines.append(f"| {kind} | {clusters} | {cells} | {rest} |")
    return "\n".join(lines)


def effects(data: pd.DataFrame) -> str:
    """Of the models with a mediator: the SD of its effect's estimates, and the coverage of the
    effect's intervals in percent."""
    heads = ("model", "effect", "clusters", "SD", *METHODS)
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for model, name in EFFECTS.items():
        part = data[(data["model"] == model) & (data["parameter"] == name)]
        for clusters, here in part.groupby("clusters"):
            found = here.set_index("method")["coverage"]
            cells = " | ".join(f"{100 * found[method]:.1f}" for method in METHODS)
            lines.append(
                f"| {model} | `{name}` | {clusters} | {here['sd'].iloc[0]:.3f} | {cells} |"
            )
    return "\n".join(lines)


def change(data: pd.DataFrame) -> str:
    """Mean coverage in percent of CR2 with t by kind: the observed bread against the expected."""
    rows = data[data["method"].isin(METHODS[3:])]
    means = rows.pivot_table(
        index=["model", "clusters", "kind"], columns="method", values="coverage"
    )
    apart = 100 * (means[METHODS[4]] - means[METHODS[3]])
    found = apart[apart < -1]
    lines = ["| model | clusters | parameters | expected bread | observed bread |"]
    lines.append("|---|---|---|---|---|")
    for model, clusters, kind in found.index:
        pair = 100 * means.loc[(model, clusters, kind), list(METHODS[3:])]
        cells = " | ".join(f"{value:.1f}" for value in pair)
        lines.append(f"| {model} | {clusters} | {kind} | {cells} |")
    return "\n".join(lines)


def fits(data: pd.DataFrame, model: str) -> str:
    """Which replications converged, and which of these have a negative variance."""
    part = data[data["model"] == model].drop_duplicates(CELL)
    lines = ["| clusters | sizes | omitted slope | replications | converged | negative variance |"]
    lines.append("|---|---|---|---|---|---|")
    for each in part.to_dict("records"):
        slope = "yes" if each["omitted slope"] else "no"
        lines.append(
            f"| {each['clusters']} | {each['sizes']} | {slope} | {each['replications']} "
            f"| {each['converged']} | {each['negative variance']} |"
        )
    return "\n".join(lines)


def outside(data: pd.DataFrame) -> pd.DataFrame:
    """Parameters of CR2 with t whose 99 % Monte Carlo interval misses the goal, where it is set:
    means from 8 clusters on, the others from 15."""
    part = data[data["method"] == METHODS[-1]].copy()
    means = part["kind"].str.contains("paths|intercepts")
    part = part[means | (part["clusters"] >= 15)]
    limits = np.array([goal(kind) for kind in part["kind"]])
    error = 2.576 * np.sqrt(part["coverage"] * (1 - part["coverage"]) / part["converged"])
    missed = (part["coverage"] + error < limits[:, 0]) | (part["coverage"] - error > limits[:, 1])
    return part[missed].assign(checked=len(part))


def main() -> None:
    parser = argparse.ArgumentParser(description="Table and figures of the coverage study.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    data = read(folder)
    for model in KINDS:
        figure(data, model).savefig(folder / f"{model.replace(' ', '_')}.png", dpi=130)  # type: ignore[attr-defined]
        print(f"### {model}\n\n{table(data, model)}\n\n{fits(data, model)}\n")
    print(f"### effects of mediators\n\n{effects(data)}\n")
    print(f"### kinds of parameter worse by more than a point\n\n{change(data)}\n")
    missed = outside(data[data["model"].isin(KINDS)])
    print(f"outside the goal: {len(missed)} of {missed['checked'].max() if len(missed) else 0}")
    print(missed[[*CELL, "parameter", "coverage", "converged", "df"]].to_string(index=False))


if __name__ == "__main__":
    main()
