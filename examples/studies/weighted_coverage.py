"""Do intervals of weighted two-level models hold with few schools? A simulation study.

20 or 50 schools of some 18 pupils each. Intercepts and slopes vary between schools; schools with
high ones were drawn rarely, pupils with positive residuals twice as often as the others, and the
weights say so. The model that is fitted leaves the random slope out, as users do: model-based
errors would be wrong, and without weights the estimates are.

Intervals at 95 % of the effects of a covariate of the pupils and of a group of 3 in 10 schools, by
the weighted fit: MLR with z, CR1 with t(J - 1), CR2 with Satterthwaite's degrees of freedom; and by
CR2 of the fit without weights.

    python examples/studies/weighted_coverage.py --replications 1000 --jobs 2 > weighted_coverage.md
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t

import mlsem

SEED = 20261130
SCHOOLS = (20, 50)
PUPILS = 40  # in a school, of whom 0.6 or 0.3 are drawn
CHANCE = {True: 0.6, False: 0.3}  # of pupils with positive residuals, and the others
INFORMATIVE = 0.7  # logit of a school's chance by a standard deviation of its effects
BETWEEN = np.sqrt([0.3, 0.1])  # standard deviations of intercepts and slopes
TRUE = {"x": 0.5, "w": 0.3}
MODEL = "y ~ x + w + (1 | school)"
WEIGHTS = {"level1": "pupil", "level2": "school_weight"}
METHODS = ("MLR, z", "CR1, t(J - 1)", "CR2", "unweighted, CR2")
BATCH = 50


@dataclass(frozen=True)
class Cell:
    """One design."""

    schools: int

    def draw(self, number: int) -> pd.DataFrame:
        """Rows with the weights of pupils within schools, and of schools."""
        rng = np.random.default_rng([SEED, self.schools, number])
        effects, chances = self.drawn_schools(rng)
        ids = np.repeat(np.arange(self.schools), PUPILS)
        w = (np.arange(self.schools) < 0.3 * self.schools).astype(float)[ids]
        x, e = rng.normal(size=(2, len(ids)))
        y = TRUE["x"] * x + TRUE["w"] * w + effects[ids, 0] + effects[ids, 1] * x + e
        chance = np.where(e > 0, CHANCE[True], CHANCE[False])
        frame = pd.DataFrame({"school": ids, "x": x, "w": w, "y": y, "pupil": 1.0 / chance})
        frame["school_weight"] = 1.0 / chances[ids]
        return frame[rng.random(len(ids)) < chance]

    def drawn_schools(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Intercepts and slopes of schools, and the chance that each had of being drawn."""
        scores = rng.normal(size=(20 * self.schools, 2))
        chances = 1.0 / (1.0 + np.exp(1.0 + INFORMATIVE * scores.sum(axis=1)))
        drawn = np.flatnonzero(rng.random(len(chances)) < chances)[: self.schools]
        return BETWEEN * scores[drawn], chances[drawn]


def replicate(cell: Cell, number: int) -> np.ndarray:
    """Misses and half widths, (2, methods, effects)."""
    data, names = cell.draw(number), list(TRUE)
    mlr = mlsem.lmm(MODEL, data, REML=False, weights=WEIGHTS)
    few = mlr.with_se("CR1").bse[names] * t.ppf(0.975, cell.schools - 1)
    limits = [
        mlr.conf_int().loc[names],
        pd.DataFrame({"lower": mlr.params[names] - few, "upper": mlr.params[names] + few}),
        mlr.with_se("CR2").conf_int().loc[names],
        mlsem.lmm(MODEL, data, REML=False, se="CR2").conf_int().loc[names],
    ]
    lower, upper = np.array([each.to_numpy().T for each in limits]).swapaxes(0, 1)
    true = np.array(list(TRUE.values()))
    return np.array([(true < lower) | (true > upper), 0.5 * (upper - lower)])


def run_batch(cell: Cell, numbers: range) -> list[np.ndarray]:
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    return [replicate(cell, number) for number in numbers]


def run_cell(cell: Cell, replications: int, jobs: int) -> np.ndarray:
    """(n, 2, methods, effects)."""
    from joblib import Parallel, delayed

    ranges = [range(k, min(k + BATCH, replications)) for k in range(0, replications, BATCH)]
    batches: list = Parallel(n_jobs=jobs)(delayed(run_batch)(cell, each) for each in ranges)  # type: ignore
    return np.array([each for batch in batches for each in batch])


def rows(cell: Cell, found: np.ndarray) -> list[str]:
    """Of the table: coverage in percent, and the median half width."""
    coverage = 100.0 * (1.0 - found[:, 0].mean(axis=0))
    widths = np.median(found[:, 1], axis=0)
    lines = []
    for k, effect in enumerate(TRUE):
        cells = [
            f"{share:.1f} ({width:.2f})"
            for share, width in zip(coverage[:, k], widths[:, k], strict=True)
        ]
        lines.append("| " + " | ".join([str(cell.schools), effect, *cells]) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of weighted two-level models.")
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=-1)
    arguments = parser.parse_args()
    heads = ["schools", "effect", *METHODS]
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for schools in SCHOOLS:
        cell = Cell(schools)
        found = run_cell(cell, arguments.replications, arguments.jobs)
        print("\n".join(rows(cell, found)), flush=True)


if __name__ == "__main__":
    main()
