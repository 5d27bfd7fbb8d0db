"""Type I errors of tests of cluster-randomised trials with binary outcomes and few clusters.

Outcomes are logistic with an intraclass correlation of .1 (of the latent response) and neither
treatment nor the covariate of clusters has an effect. Each data set is fitted by four models
(logit, linear probability, modified Poisson, GEE logit with an exchangeable correlation), each
tested in five ways at 5 %.

    python examples/studies/trials_type_one.py --replications 2000 --out trials_type_one.csv
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


def main() -> None:
    """Run the study and write a row for each design, model, test and effect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("trials_type_one.csv"))
    asked = parser.parse_args()
    rows = []
    for k, design in enumerate(DESIGNS):
        found: dict[tuple[str, str], list[np.ndarray]] = {}
        failed = dict.fromkeys(MODELS, 0)
        for number in range(asked.replications):
            data = drawn(design, (18, k, number))
            for name, model in MODELS.items():
                try:
                    fit = model(data)
                except mlsem.MlsemError:  # no finite estimate
                    failed[name] += 1
                    continue
                for test, each in rejections(fit).items():
                    found.setdefault((name, test), []).append(each)
        for (name, test), each in found.items():
            rates = 100 * np.nanmean(each, axis=0)
            rows += [
                (design, name, test, effect, round(rate, 2), len(each), failed[name])
                for effect, rate in zip(EFFECTS, rates.tolist(), strict=True)
            ]
        columns = ("design", "model", "test", "effect", "type_one", "used", "failed")
        pd.DataFrame(rows, columns=columns).to_csv(asked.out, index=False)


if __name__ == "__main__":
    main()
