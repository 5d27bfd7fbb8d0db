"""Which intervals hold with few clusters? A simulation study.

A random intercept and a factor model, 8 to 60 clusters, of equal and of uneven sizes, with and
without a random slope that the model leaves out; and two models with a mediator whose own moments
are not those that the model implies, though its effect is modelled rightly. Intervals at 95 %:
model-based, MLR and CR2 with the normal quantile, CR2 with t, and CR2 with t whose bread is the
expected information. A misspecified model is judged by its pseudo-true values, the estimates in a
very large sample.

    python examples/studies/few_clusters.py --replications 1000 --jobs 2 --out few_clusters
    python examples/studies/few_clusters_report.py few_clusters      # tables and figures

Needs the extras "simulation" and "plot".
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

SEED = 20261122
CLUSTERS, MEDIATED = (8, 15, 30, 60), (15, 20, 40, 80)
EVEN = {"mediator in a product": 8, "mediator between": 6}  # rows a cluster; 10 elsewhere
UNEVEN = (2, 3, 5, 6, 9, 12, 18, 25)
SLOPE_VARIANCE = 0.2
LARGE = 100_000  # clusters of the sample that gives the pseudo-true values
BATCH = 250
METHODS = {  # label: standard errors, information, reference distribution
    "model-based": ("standard", "observed", "z"),
    "MLR": ("MLR", "observed", "z"),
    "CR2, z": ("CR2", "observed", "z"),
    "CR2, t, expected bread": ("CR2", "expected", "t"),
    "CR2, t": ("CR2", "observed", "t"),
}


@dataclass(frozen=True)
class Cell:
    """One design: which model, how many clusters, of which sizes, with an omitted slope or not."""

    model: str
    clusters: int
    uneven: bool
    slope: bool

    @property
    def sizes(self) -> np.ndarray:
        return np.resize(UNEVEN if self.uneven else EVEN.get(self.model, 10), self.clusters)

    @property
    def seed(self) -> list[int]:
        return [SEED, list(MODELS).index(self.model), self.clusters, self.uneven, self.slope]


def random_intercept(sizes: np.ndarray, slope: bool, rng: np.random.Generator) -> pd.DataFrame:
    """The article's design: y = 0.25 w1 + 0.5 x1 + 0.25 w1 x1 + u + s x1 + e."""
    ids = np.repeat(np.arange(len(sizes)), sizes)
    w1, u, s = rng.normal(size=(3, len(sizes)))[:, ids]
    x1, e = rng.normal(size=(2, len(ids)))
    deviation = np.sqrt(SLOPE_VARIANCE) * s * x1 if slope else 0.0
    y = 0.25 * w1 + 0.5 * x1 + 0.25 * w1 * x1 + u + deviation + e
    return pd.DataFrame({"id": ids, "w1": w1, "x1": x1, "y": y})


LOADINGS = np.array([1.0, 0.9, 0.8, 0.7])


def factor(sizes: np.ndarray, slope: bool, rng: np.random.Generator) -> pd.DataFrame:
    """Four indicators of a factor at each level; the within factor depends on x, the between
    factor on w."""
    ids = np.repeat(np.arange(len(sizes)), sizes)
    w, fb, s = rng.normal(size=(3, len(sizes)))
    x, fw = rng.normal(size=(2, len(ids)))
    fb = 0.3 * w + np.sqrt(0.5) * fb
    fw = fw + 0.3 * x + (np.sqrt(SLOPE_VARIANCE) * s[ids] * x if slope else 0.0)
    between = np.outer(fb, LOADINGS) + np.sqrt(0.1) * rng.normal(size=(len(sizes), 4))
    y = np.outer(fw, LOADINGS) + between[ids] + np.sqrt(0.5) * rng.normal(size=(len(ids), 4))
    columns = {f"y{k + 1}": y[:, k] for k in range(4)}
    return pd.DataFrame({"id": ids, "w": w[ids], "x": x} | columns)


def mediator_in_a_product(sizes: np.ndarray, slope: bool, rng: np.random.Generator) -> pd.DataFrame:
    """m mediates at both levels, w is far from 0 and the product of the two has no effect. The
    model has no path from w:m to m, with which it goes together."""
    ids = np.repeat(np.arange(len(sizes)), sizes)
    w, um, uy = rng.normal(size=(3, len(sizes)))[:, ids]
    x, em, ey = rng.normal(size=(3, len(ids)))
    w = 3.0 + w
    m = 0.5 * x + 0.3 * w + 0.7 * um + em
    y = 0.4 * m + 0.3 * x + 0.2 * w + 0.7 * uy + ey
    return pd.DataFrame({"id": ids, "w": w, "x": x, "m": m, "y": y})


def mediator_between(sizes: np.ndarray, slope: bool, rng: np.random.Generator) -> pd.DataFrame:
    """m varies between clusters, which the model leaves out."""
    ids = np.repeat(np.arange(len(sizes)), sizes)
    w, um, uy = rng.normal(size=(3, len(sizes)))[:, ids]
    x, em, ey = rng.normal(size=(3, len(ids)))
    m = 0.5 * x + um + em
    y = 0.4 * m + 0.3 * x + 0.2 * w + 0.7 * uy + ey
    return pd.DataFrame({"id": ids, "w": w, "x": x, "m": m, "y": y})


MODELS = {
    "random intercept": (random_intercept, "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"),
    "factor": (
        factor,
        "level: 1\n fw =~ y1 + y2 + y3 + y4\n fw ~ x\nlevel: 2\n fb =~ y1 + y2 + y3 + y4\n fb ~ w",
    ),
    "mediator in a product": (
        mediator_in_a_product,
        "level: 1\n m ~ x\n y ~ m + w:m + x\nlevel: 2\n m ~~ y\n y ~ w\n m ~ w",
    ),
    "mediator between": (mediator_between, "level: 1\n m ~ x\n y ~ m + x\nlevel: 2\n y ~ w"),
}
CELLS = [
    *(
        Cell(*each)
        for each in product(("random intercept", "factor"), CLUSTERS, (False, True), (False, True))
    ),
    *(Cell(model, clusters, False, False) for model, clusters in product(EVEN, MEDIATED)),
]


def kind(name: str) -> str:
    """What sort of parameter a coefficient's name stands for."""
    level = "between" if name.endswith(".l2") else "within"
    sort = {"=~": "loadings", "~~": "variances", "~1": "intercepts"}
    return f"{level} {next((word for op, word in sort.items() if op in name), 'paths')}"


def pseudo_true(cell: Cell) -> pd.Series:
    """Estimates in a very large sample of the cell's sizes."""
    generate, text = MODELS[cell.model]
    sizes = np.resize(cell.sizes, LARGE)
    data = generate(sizes, cell.slope, np.random.default_rng([*cell.seed, 1]))
    return mlsem.fit(text, data, cluster="id", se="none").params


def replicate(cell: Cell, start: pd.Series, number: int) -> tuple[np.ndarray, bool] | None:
    """Estimates, then standard error and df by method, (1 + 2 methods, parameters), and whether a
    variance is negative; None where the fit did not converge."""
    generate, text = MODELS[cell.model]
    data = generate(cell.sizes, cell.slope, np.random.default_rng([*cell.seed, 2, number]))
    fit = mlsem.fit(text, data, cluster="id", se="none", start=start, max_iter=60)
    if not fit.converged:
        return None
    rows = [fit.params.to_numpy()]
    found = {
        (se, bread): fit.with_se(se, information=bread).covariance
        for se, bread in {each[:2]: None for each in METHODS.values()}
    }
    for se, bread, test in METHODS.values():
        each = found[se, bread]
        rows += [each.se, each.df if test == "t" else np.full(len(rows[0]), np.inf)]
    variances = [str(name).removesuffix(".l2").split("~~") for name in fit.params.index]
    own = np.array([len(pair) == 2 and pair[0] == pair[1] for pair in variances])
    return np.array(rows), bool((rows[0][own] < 0).any())


def run_batch(cell: Cell, start: pd.Series, numbers: range) -> list:
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    found = []
    for number in numbers:
        try:
            found.append(replicate(cell, start, number))
        except mlsem.EstimationError:
            found.append(None)
    return found


def run_cell(cell: Cell, replications: int, jobs: int) -> pd.DataFrame:
    """One row per parameter and method."""
    from joblib import Parallel, delayed

    truth = pseudo_true(cell)
    ranges = [range(k, min(k + BATCH, replications)) for k in range(0, replications, BATCH)]
    batches: list = Parallel(n_jobs=jobs)(delayed(run_batch)(cell, truth, r) for r in ranges)  # type: ignore
    found = [each for batch in batches for each in batch]
    kept = [each for each in found if each is not None]
    values = np.array([rows for rows, _ in kept])
    facts = {
        "model": cell.model,
        "clusters": cell.clusters,
        "sizes": "uneven" if cell.uneven else "equal",
        "omitted slope": cell.slope,
        "replications": replications,
        "converged": len(kept),
        "negative variance": sum(negative for _, negative in kept),
    }
    return pd.DataFrame(
        [facts | row for row in summarise(values, truth)],
    )


def summarise(values: np.ndarray, truth: pd.Series) -> list[dict]:
    """Coverage of 95 % intervals by parameter and method; one that does not exist misses."""
    from scipy.special import stdtrit

    estimate, rows = values[:, 0], []
    for k, method in enumerate(METHODS):
        se, df = values[:, 1 + 2 * k], values[:, 2 + 2 * k]
        width = stdtrit(np.where(np.isfinite(df), df, 1e9), 0.975) * se
        hit = np.abs(estimate - truth.to_numpy()) <= width
        for j, name in enumerate(truth.index):
            rows.append(
                {
                    "parameter": name,
                    "kind": kind(name),
                    "method": method,
                    "true": truth.iloc[j],
                    "mean": estimate[:, j].mean(),
                    "sd": estimate[:, j].std(ddof=1),
                    "coverage": hit[:, j].mean(),
                    "undefined": np.isnan(width[:, j]).mean(),
                    "half width": np.nanmedian(width[:, j]),
                    "df": np.nanmedian(df[:, j]),
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage with few clusters.")
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--model", choices=list(MODELS), action="append")
    parser.add_argument("--out", type=Path, default=Path("few_clusters"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for cell in CELLS:
        if arguments.model and cell.model not in arguments.model:
            continue
        name = f"{cell.model} {cell.clusters} {cell.uneven:d}{cell.slope:d}".replace(" ", "_")
        path = arguments.out / f"{name}.csv"
        if path.exists():
            continue  # an interrupted study goes on
        run_cell(cell, arguments.replications, arguments.jobs).to_csv(path, index=False)
        print(path)


if __name__ == "__main__":
    main()
