"""How often do tests of fit reject? A simulation study.

Two correlated factors per level, three indicators each. Right models: plain, with a covariate at
each level, with little variance between clusters, with sizes from 2 to 60, with a singular
covariance between clusters (no residual variance there). Wrong ones: an indicator that loads on
both factors, a correlation of residuals left out.

    python examples/studies/fit_tests.py --replications 2000 --jobs 2 --out fit_tests
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

import mlsem

SEED = 20261129
CLUSTERS = (15, 20, 30, 50, 100, 200)
RIGHT = ("plain", "covariates", "little between", "unequal sizes", "singular between")
WRONG = ("crossed loading", "correlation left out")
DATA = ("normal", "skewed", "elliptical")
BATCH = 250
MEASURES = {  # lavaan's names, and the study's
    "chisq": "chisq",
    "df": "df",
    "chisq.scaling.factor": "c",
    "chisq.score": "score/c0",
    "chisq.score.scaling.factor": "c0",
}
MODEL = """
level: 1
  f1 =~ y1 + y2 + y3
  f2 =~ y4 + y5 + y6
level: 2
  g1 =~ y1 + y2 + y3
  g2 =~ y4 + y5 + y6
"""
WITH_COVARIATES = MODEL.replace("level: 2", "  f1 + f2 ~ x\nlevel: 2") + "  g1 + g2 ~ w\n"
LOADINGS = np.array([[1.0, 0.0], [0.9, 0.0], [0.8, 0.0], [0.0, 1.0], [0.0, 0.9], [0.0, 0.8]])
CORRELATED = np.linalg.cholesky([[1.0, 0.4], [0.4, 1.0]])
BETWEEN, REST_BETWEEN, REST_WITHIN = 0.3, 0.1, 0.6  # variances; within factors have 1


@dataclass(frozen=True)
class Cell:
    """One design."""

    design: str
    clusters: int
    data: str

    @property
    def sizes(self) -> np.ndarray:
        if self.design == "unequal sizes":
            return np.geomspace(2, 60, self.clusters).round().astype(int)
        return np.linspace(5, 25, self.clusters).round().astype(int)

    @property
    def name(self) -> str:
        return f"{self.design} {self.clusters} {self.data}".replace(" ", "_")

    @property
    def seed(self) -> list[int]:
        return [SEED, (RIGHT + WRONG).index(self.design), self.clusters, DATA.index(self.data)]


CELLS = [Cell(*each) for each in product(RIGHT + WRONG, CLUSTERS, DATA)]


def generate(cell: Cell, rng: np.random.Generator) -> pd.DataFrame:
    """Skewed: every part is a chi-square of 3 df. Elliptical: the scale of a cluster, at both
    levels, is that of a t distribution of 5 df."""
    sizes = cell.sizes
    ids = np.repeat(np.arange(len(sizes)), sizes)
    spread = np.ones(len(sizes))
    if cell.data == "elliptical":
        spread = np.sqrt(3.0 / rng.chisquare(5, len(sizes)))

    def draw(scale: np.ndarray, count: int) -> np.ndarray:
        shape = (len(scale), count)
        unit = rng.normal(size=shape)
        if cell.data == "skewed":
            unit = (rng.chisquare(3, shape) - 3.0) / np.sqrt(6.0)
        return scale[:, None] * unit

    within, between = LOADINGS.copy(), LOADINGS.copy()
    if cell.design == "crossed loading":
        within[2, 1], between[2, 1] = 0.2, 0.4
    factors = np.sqrt(BETWEEN) * draw(spread, 2) @ CORRELATED.T
    own = draw(spread[ids], 2) @ CORRELATED.T
    x, w = rng.normal(size=len(ids)), rng.normal(size=len(sizes))
    if cell.design == "covariates":
        own, factors = own + 0.3 * x[:, None], factors + 0.25 * w[:, None]
    rest = np.sqrt(REST_BETWEEN) * draw(spread, 6) * (cell.design != "singular between")
    error = np.sqrt(REST_WITHIN) * draw(spread[ids], 6)
    if cell.design == "correlation left out":  # .6 between y1 and y4 at level 2, .2 at level 1
        for each, share, scale in ((rest, 0.6, spread), (error, 0.2, spread[ids])):
            size = np.sqrt(share * (REST_BETWEEN if each is rest else REST_WITHIN))
            each[:, [0, 3]] = np.sqrt(1.0 - share) * each[:, [0, 3]] + size * draw(scale, 1)
    part = factors @ between.T + rest
    if cell.design == "little between":
        part = np.sqrt(0.2) * part
    y = part[ids] + own @ within.T + error
    columns = {f"y{k + 1}": y[:, k] for k in range(6)}
    return pd.DataFrame({"id": ids, "x": x, "w": w[ids]} | columns)


LARGE = 20_000  # clusters of the sample that gives starting values
STARTS: dict[str, pd.Series] = {}


def start_of(cell: Cell) -> pd.Series:
    """Estimates in a very large sample."""
    if cell.design not in STARTS:
        large = Cell(cell.design, LARGE, "normal")
        text = WITH_COVARIATES if cell.design == "covariates" else MODEL
        data = generate(large, np.random.default_rng([*large.seed, 1]))
        STARTS[cell.design] = mlsem.fit(text, data, cluster="id", se="none").params
    return STARTS[cell.design]


def replicate(cell: Cell, number: int) -> dict:
    """The three statistics; `converged` alone where there is no maximum."""
    data = generate(cell, np.random.default_rng([*cell.seed, 2, number]))
    text = WITH_COVARIATES if cell.design == "covariates" else MODEL
    missed = {"number": number, "converged": False}
    try:
        fit = mlsem.fit(
            text, data, cluster="id", se="MLR", bounds="pos.var", start=start_of(cell), max_iter=60
        )
        if not fit.converged:
            return missed
        measures = fit.fit_measures(list(MEASURES))
    except mlsem.MlsemError:
        return missed
    names = measures.rename(MEASURES).to_dict()
    return {"number": number, "converged": True} | names


def run_batch(cell: Cell, numbers: range, path: Path) -> None:
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    rows = [replicate(cell, number) for number in numbers]
    pd.DataFrame(rows).to_csv(path, index=False)


def rejections(data: pd.DataFrame) -> pd.Series:
    """Of a cell, at 0.05."""
    from scipy.special import chdtrc

    fitted = data[data["converged"]]
    statistics = {
        "ML": fitted["chisq"],
        "scaled": fitted["chisq"] / fitted["c"],
        "score/c0": fitted["score/c0"],
    }
    rates = {
        name: (chdtrc(fitted["df"], each)[each.notna()] < 0.05).mean()
        for name, each in statistics.items()
    }
    return pd.Series(
        rates | {"c0": fitted["c0"].mean(), "n": len(data), "converged": data["converged"].mean()}
    )


def main() -> None:
    from joblib import Parallel, delayed

    parser = argparse.ArgumentParser(description="How often tests of fit reject.")
    parser.add_argument("--replications", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--out", type=Path, default=Path("fit_tests"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    most = arguments.replications
    tasks = [
        (
            cell,
            range(k, min(k + BATCH, most)),
            arguments.out / f"{cell.name}.{k}.csv",
        )
        for k in range(0, most, BATCH)
        for cell in CELLS
    ]
    left = [task for task in tasks if not task[2].exists()]  # an interrupted study goes on
    Parallel(n_jobs=arguments.jobs)(delayed(run_batch)(*task) for task in left)
    for cell in CELLS:
        parts = [pd.read_csv(path) for path in arguments.out.glob(f"{cell.name}.*.csv")]
        print(cell, rejections(pd.concat(parts)).round(3).to_dict())


if __name__ == "__main__":
    main()
