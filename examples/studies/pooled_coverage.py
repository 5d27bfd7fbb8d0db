"""Do intervals of pooled plausible values hold with few clusters? A simulation study.

12 clusters of which 4 are treated, or 30 with 10; 15 rows each. An ability is measured with
reliability 0.8 within clusters, and five plausible values are drawn from its posterior distribution
given the test scores and all variables of the model, whose parameters are drawn, too. The mixed
model that abilities come from is fitted to each.

Intervals at 95 % of the effects of the treatment (level 2), of a covariate (level 1) and of their
product: CR1 with Barnard & Rubin's degrees of freedom where complete data have those of their rows
(as mixPV), CR2 with Barnard & Rubin's and with matching ones, and REML with Satterthwaite's and
matching ones.

    python examples/studies/pooled_coverage.py --replications 1000 --jobs 2 > pooled_coverage.md
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

import mlsem

SEED = 20261129
DESIGNS = {12: 4, 30: 10}  # clusters, and how many of them are treated
SIZE, VALUES = 15, 5
NOISE = 0.25  # variance of the error of the test
BETWEEN = 0.3  # variance of the intercepts; 1 within
TRUE = {"treated": 0.5, "x": 0.5, "treated:x": 0.0}
MODEL = "y ~ treated*x + (1 | id)"
METHODS = ("CR1, rows", "CR2, Barnard-Rubin", "CR2, matching", "REML, matching")
BATCH = 50


@dataclass(frozen=True)
class Cell:
    """One design."""

    clusters: int

    def draw(self, number: int) -> pd.DataFrame:
        """Rows with plausible values PV1 to PV5."""
        rng = np.random.default_rng([SEED, self.clusters, number])
        ids = np.repeat(np.arange(self.clusters), SIZE)
        treated = (ids < DESIGNS[self.clusters]).astype(float)
        x = rng.normal(size=len(ids))
        ability = TRUE["treated"] * treated + TRUE["x"] * x + rng.normal(size=len(ids))
        ability += np.sqrt(BETWEEN) * rng.normal(size=self.clusters)[ids]
        score = ability + np.sqrt(NOISE) * rng.normal(size=len(ids))
        design = np.column_stack([np.ones(len(ids)), treated, x, treated * x])
        values = [plausible(score, design, self.clusters, rng) for _ in range(VALUES)]
        columns = {"id": ids, "treated": treated, "x": x}
        return pd.DataFrame(columns | {f"PV{k}": each for k, each in enumerate(values, 1)})


def plausible(
    score: np.ndarray, design: np.ndarray, clusters: int, rng: np.random.Generator
) -> np.ndarray:
    """A draw of the abilities given the scores: of the variances (mean squares over χ² / df), of
    the coefficients and cluster effects given these, of the abilities given all."""
    rows, means = score.reshape(clusters, SIZE), design.reshape(clusters, SIZE, -1).mean(axis=1)
    away = rows - rows.mean(axis=1, keepdims=True)
    inner = (design.reshape(clusters, SIZE, -1) - means[:, None])[..., 2:].reshape(len(score), 2)
    within = drawn_square(away.ravel(), inner, len(score) - clusters - 2, rng)
    between = SIZE * drawn_square(rows.mean(axis=1), means, clusters - means.shape[1], rng)
    variance = max((between - within) / SIZE, 0.0)  # of the clusters
    shrunk = SIZE * variance / (within + SIZE * variance)
    centre = np.repeat(shrunk * means, SIZE, axis=0)  # V⁻¹ = (I - shrunk 11ᵀ / n) / within
    precision = design.T @ (design - centre) / within
    spread = np.linalg.inv(precision)
    best = spread @ (design - centre).T @ score / within
    fixed = design @ rng.multivariate_normal(best, spread)
    effect = shrunk * (score - fixed).reshape(clusters, SIZE).mean(axis=1)
    effect += np.sqrt(variance * (1.0 - shrunk)) * rng.normal(size=clusters)
    mean, own = fixed + np.repeat(effect, SIZE), max(within - NOISE, 0.05)
    share = own / (own + NOISE)
    return mean + share * (score - mean) + np.sqrt(share * NOISE) * rng.normal(size=len(score))


def drawn_square(y: np.ndarray, design: np.ndarray, df: int, rng: np.random.Generator) -> float:
    """A variance given its residual sum of squares."""
    residuals = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(residuals @ residuals / rng.chisquare(df))


def replicate(cell: Cell, number: int) -> np.ndarray | None:
    """Misses and half widths, (2, methods, effects); None where too many fits did not converge."""
    data = cell.draw(number)
    try:
        reml = mlsem.fit_many(MODEL, data, plausible={"y": "PV{}"})
        rows = len(data) - reml.n_params
        found = (
            mlsem.pool(reml.with_se("CR1"), df="barnard-rubin", complete_df=rows),
            mlsem.pool(reml.with_se("CR2"), df="barnard-rubin"),
            reml.with_se("CR2"),
            reml,
        )
    except mlsem.EstimationError:
        return None
    true = np.array(list(TRUE.values()))
    limits = np.array([each.conf_int(parameters=list(TRUE)).to_numpy().T for each in found])
    lower, upper = limits[:, 0], limits[:, 1]
    return np.array([(true < lower) | (true > upper), 0.5 * (upper - lower)])


def run_batch(cell: Cell, numbers: range) -> list[np.ndarray | None]:
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    return [replicate(cell, number) for number in numbers]


def run_cell(cell: Cell, replications: int, jobs: int) -> np.ndarray:
    """Of all data sets that were analysed, (n, 2, methods, effects)."""
    from joblib import Parallel, delayed

    ranges = [range(k, min(k + BATCH, replications)) for k in range(0, replications, BATCH)]
    batches: list = Parallel(n_jobs=jobs)(delayed(run_batch)(cell, each) for each in ranges)  # type: ignore
    return np.array([each for batch in batches for each in batch if each is not None])


def rows(cell: Cell, found: np.ndarray, replications: int) -> list[str]:
    """Of the table: coverage in percent, and the median half width."""
    coverage = 100.0 * (1.0 - found[:, 0].mean(axis=0))
    widths = np.median(found[:, 1], axis=0)
    lines = []
    for k, effect in enumerate(TRUE):
        cells = [
            f"{share:.1f} ({width:.2f})"
            for share, width in zip(coverage[:, k], widths[:, k], strict=True)
        ]
        facts = [str(cell.clusters), effect, f"{len(found)}/{replications}"]
        lines.append("| " + " | ".join(facts + cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of pooled plausible values.")
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=-1)
    arguments = parser.parse_args()
    heads = ["clusters", "effect", "analysed", *METHODS]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for clusters in DESIGNS:
        cell = Cell(clusters)
        found = run_cell(cell, arguments.replications, arguments.jobs)
        print("\n".join(rows(cell, found, arguments.replications)), flush=True)


if __name__ == "__main__":
    main()
