"""Which tests of fixed effects hold their level with few clusters? A simulation study.

Linear mixed models by REML with 6, 10 and 20 clusters of uneven sizes; the effects of a covariate
of level 2 (`w`) and of one of level 1 (`x`) are zero. How often is that rejected at 5 %: by z, by
t with the degrees of freedom of Satterthwaite and of Kenward & Roger, and by CR2?

    python examples/studies/mixed_df.py --replications 4000 --jobs 2 > mixed_df.md
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

import mlsem

SEED = 20261128
CLUSTERS = (6, 10, 20)
SIZES = (3, 5, 8, 12, 20)
INTERCEPT, SLOPE = 0.5, 0.2  # variances between clusters; 1 within
MODELS = {"random intercept": "y ~ w + x + (1 | id)", "random slope": "y ~ w + x + (x | id)"}
EFFECTS = ("w", "x")
METHODS = {
    "z": {"kind": "standard", "test": "z"},
    "Satterthwaite": {"kind": "standard", "df": "satterthwaite"},
    "Kenward-Roger": {"kind": "standard", "df": "kenward-roger"},
    "CR2": {"kind": "CR2"},
}
BATCH = 250
FEWEST = 100  # singular fits of which a share of rejections says something


@dataclass(frozen=True)
class Cell:
    """One design."""

    model: str
    clusters: int

    def draw(self, number: int) -> pd.DataFrame:
        """A data set in which neither effect is there."""
        seed = [SEED, list(MODELS).index(self.model), self.clusters, number]
        rng = np.random.default_rng(seed)
        ids = np.repeat(np.arange(self.clusters), np.resize(SIZES, self.clusters))
        w, u, s = rng.normal(size=(3, self.clusters))[:, ids]
        x, e = rng.normal(size=(2, len(ids)))
        slope = np.sqrt(SLOPE) * s * x if self.model == "random slope" else 0.0
        return pd.DataFrame({"id": ids, "w": w, "x": x, "y": np.sqrt(INTERCEPT) * u + slope + e})


def replicate(cell: Cell, number: int) -> tuple[np.ndarray, bool] | None:
    """p values (methods, effects), and whether the fit is singular; None without convergence."""
    try:
        fit = mlsem.lmm(MODELS[cell.model], cell.draw(number), se="none")
    except mlsem.EstimationError:
        return None
    if not fit.converged:
        return None
    found = [fit.with_se(**options).pvalues[list(EFFECTS)] for options in METHODS.values()]
    return np.array(found), fit.singular


def run_batch(cell: Cell, numbers: range) -> list[tuple[np.ndarray, bool] | None]:
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    return [replicate(cell, number) for number in numbers]


def run_cell(cell: Cell, replications: int, jobs: int) -> list[str]:
    """Rows of the table."""
    from joblib import Parallel, delayed

    ranges = [range(k, min(k + BATCH, replications)) for k in range(0, replications, BATCH)]
    batches: list = Parallel(n_jobs=jobs)(delayed(run_batch)(cell, each) for each in ranges)  # type: ignore
    kept = [each for batch in batches for each in batch if each is not None]
    pvalues = np.array([each for each, _ in kept])
    singular = np.array([each for _, each in kept])
    return [
        row(cell, effect, pvalues[:, :, k], singular, replications)
        for k, effect in enumerate(EFFECTS)
    ]


def row(
    cell: Cell, effect: str, pvalues: np.ndarray, singular: np.ndarray, replications: int
) -> str:
    """Rejections in percent of all fits (and of the singular ones)."""
    rejected = 100.0 * (pvalues < 0.05)  # a test that does not exist rejects nothing
    cells = [f"{value:.1f}" for value in rejected.mean(axis=0)]
    if singular.sum() >= FEWEST:
        some = rejected[singular].mean(axis=0)
        cells = [f"{cell} ({value:.1f})" for cell, value in zip(cells, some, strict=True)]
    share = f"{100 * singular.mean():.0f}"
    facts = [cell.model, str(cell.clusters), effect, f"{len(singular)}/{replications}", share]
    return "| " + " | ".join(facts + cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Type I error of tests of fixed effects.")
    parser.add_argument("--replications", type=int, default=4000)
    parser.add_argument("--jobs", type=int, default=-1)
    arguments = parser.parse_args()
    heads = ["model", "clusters", "effect", "converged", "singular, %", *METHODS]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for model, clusters in product(MODELS, CLUSTERS):
        for line in run_cell(Cell(model, clusters), arguments.replications, arguments.jobs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
