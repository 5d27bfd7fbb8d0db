"""Type I errors of tests of cluster-randomised trials with binary outcomes and few clusters.

Outcomes are logistic with an intraclass correlation of .1 (of the latent response) and neither
treatment nor the covariate of clusters has an effect. Each data set is fitted by four models
(logit, linear probability, modified Poisson, GEE logit with an exchangeable correlation), each
tested in five ways at 5 %.

    python examples/studies/trials_type_one.py --replications 2000 --out type_one.csv
    python examples/studies/trials_type_one.py --report --out type_one.csv

Designs that the file has already are not done again, so that a run that was cut off goes on. With
--report the tables of docs/studies/trials_type_one.md are printed and its figure is written beside
the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtr

import mlsem

DESIGNS = {  # clusters, treated, coefficient of variation of the sizes
    "J=10, 5 treated, CV .25": (10, 5, 0.25),
    "J=20, 10 treated, CV .25": (20, 10, 0.25),
    "J=10, 3 treated, CV .75": (10, 3, 0.75),
    "J=30, 5 treated, CV .75": (30, 5, 0.75),
}
MODELS = {
    "logit": lambda d: mlsem.glm("y ~ trt + w", d, cluster="id"),
    "LPM": lambda d: mlsem.glm("y ~ trt + w", d, cluster="id", family="gaussian"),
    "modified Poisson": lambda d: mlsem.glm("y ~ trt + w", d, cluster="id", family="poisson"),
    "GEE": lambda d: mlsem.gee("y ~ trt + w", d, cluster="id"),
}
MEAN, SPREAD = 20, np.sqrt(0.1 / 0.9 * np.pi**2 / 3)
EFFECTS = ("trt", "w")
COLUMNS = ("design", "model", "test", "effect", "type_one", "used", "failed")


def drawn(design: str, seed: tuple[int, ...]) -> pd.DataFrame:
    """A data set without effects."""
    clusters, treated, cv = DESIGNS[design]
    draw = np.random.default_rng(seed)
    sizes = np.maximum(2, np.round(draw.gamma(1 / cv**2, MEAN * cv**2, clusters))).astype(int)
    ids = np.repeat(np.arange(clusters), sizes)
    trt = draw.permutation(np.arange(clusters) < treated).astype(int)
    w, u = draw.normal(size=clusters), SPREAD * draw.normal(size=clusters)
    y = draw.random(len(ids)) < 1 / (1 + np.exp(-(u[ids] - 0.4)))
    return pd.DataFrame({"id": ids, "trt": trt[ids], "w": w[ids], "y": y.astype(int)})


def rejections(fit: mlsem.GlmResult) -> dict[str, np.ndarray]:
    """Whether treatment and covariate are significant, by way of testing."""
    count = fit.n_clusters or 0

    def two_sided(kind: str, df: float | None) -> np.ndarray:
        own = fit.with_se(kind)
        t = -np.abs(own.tvalues[list(EFFECTS)].to_numpy())
        p = 2 * (ndtr(t) if df is None else stdtr(df, t))
        return np.where(np.isnan(t), np.nan, p < 0.05)

    found = {
        "CR0 z": two_sided("CR0", None),
        "CR1 t(J-1)": two_sided("CR1", count - 1),
        "KC t(J-p)": two_sided("KC", count - 3),
    }
    for kind, name in (("CR2", "CR2 Satterthwaite"), ("MD", "MD Satterthwaite")):
        found[name] = fit.with_se(kind).pvalues[list(EFFECTS)].to_numpy() < 0.05
    return found


def measured(k: int, design: str, replications: int) -> list[tuple[object, ...]]:
    """Rates in % of each model, test and effect."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    failed = dict.fromkeys(MODELS, 0)
    for number in range(replications):
        data = drawn(design, (18, k, number))
        for name, model in MODELS.items():
            try:
                fit = model(data)
            except mlsem.MlsemError:  # no finite estimate
                failed[name] += 1
                continue
            for test, each in rejections(fit).items():
                found.setdefault((name, test), []).append(each)
    return [
        (design, name, test, effect, round(rate, 2), len(each), failed[name])
        for (name, test), each in found.items()
        for effect, rate in zip(EFFECTS, (100 * np.nanmean(each, axis=0)).tolist(), strict=True)
    ]


def table(rates: pd.DataFrame, model: str) -> str:
    """Of treatment / of the covariate, by test and design."""
    lines = [f"| {' | '.join((model, *DESIGNS))} |", "|---" * (1 + len(DESIGNS)) + "|"]
    for test in rates["test"].unique():
        cells = []
        for design in DESIGNS:
            cell = (rates["model"] == model) & (rates["design"] == design) & (rates["test"] == test)
            own = rates[cell].set_index("effect")["type_one"]
            cells.append(" / ".join(f"{own[effect]:.1f}" for effect in EFFECTS))
        lines.append(f"| {' | '.join((test, *cells))} |")
    return "\n".join(lines)


def figure(rates: pd.DataFrame) -> object:
    """A panel for each design, a row for each test, a colour for each model."""
    from matplotlib.figure import Figure

    tests = [*rates["test"].unique()][::-1]
    whole = Figure(figsize=(9.0, 5.6), layout="constrained")
    axes = whole.subplots(2, 2, sharex=True, sharey=True).ravel()
    for ax, design in zip(axes, DESIGNS, strict=True):
        ax.axvspan(4.0, 6.0, color="#e8e8e8", zorder=0)
        ax.axvline(5.0, color="#555555", linewidth=0.7)
        for m, model in enumerate(MODELS):
            own = rates[(rates["model"] == model) & (rates["design"] == design)]
            for effect, marker in zip(EFFECTS, ("o", "x"), strict=True):
                part = own[own["effect"] == effect].set_index("test")["type_one"]
                places = [tests.index(test) + 0.24 - 0.16 * m for test in part.index]
                label = f"{model}, {'treatment' if effect == 'trt' else 'covariate'}"
                ax.plot(part, places, marker, color=f"C{m}", markersize=4.5, label=label)
        ax.set_title(design, fontsize=9)
        ax.set_yticks(range(len(tests)), tests)
    for ax in axes[2:]:
        ax.set_xlabel("rejected, %")
    handles, labels = axes[0].get_legend_handles_labels()
    whole.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return whole


def main() -> None:
    """Run the study, a row for each design, model, test and effect; or report it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("type_one.csv"))
    parser.add_argument("--report", action="store_true")
    asked = parser.parse_args()
    if asked.report:
        rates = pd.read_csv(asked.out)
        print("\n\n".join(table(rates, model) for model in MODELS))
        figure(rates).savefig(asked.out.with_suffix(".png"), dpi=130)
        return
    rows: list[tuple[object, ...]] = []
    if asked.out.exists():
        known = pd.read_csv(asked.out)
        done = known[known["used"] + known["failed"] == asked.replications]
        rows = [*done.itertuples(index=False, name=None)]
    for k, design in enumerate(DESIGNS):
        if design not in {row[0] for row in rows}:
            rows += measured(k, design, asked.replications)
            pd.DataFrame(rows, columns=COLUMNS).to_csv(asked.out, index=False)


if __name__ == "__main__":
    main()
