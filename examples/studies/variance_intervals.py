"""Intervals of variances with few clusters: estimate ± t · SE of CR2 against profile likelihood.

The data of `few_clusters.py`, uneven sizes of 5 to 24 rows. One line per variance: how often a 95 %
interval has the truth inside, misses below and above, and the median ratio of the lengths.

    python examples/studies/variance_intervals.py --replications 300 --jobs 2

Needs the extra "simulation".
"""

from __future__ import annotations

import argparse
import warnings
from itertools import product

import few_clusters
import numpy as np
import pandas as pd

import mlsem

SIZES = (5, 8, 11, 14, 17, 20, 24)
SEED = 20261128
DESIGNS = [
    *product(("random intercept",), (8, 15, 30), (False, True)),
    *product(("factor",), (15, 30), (False, True)),
]


def truth(model: str, sizes: np.ndarray, slope: bool) -> pd.Series:
    """Pseudo-true values: the estimates in a very large sample."""
    generate, text = few_clusters.MODELS[model]
    many = np.resize(sizes, few_clusters.LARGE)
    data = generate(many, slope, np.random.default_rng([SEED, 1]))
    return mlsem.fit(text, data, cluster="id", se="none").params


def replicate(model: str, sizes: np.ndarray, slope: bool, number: int) -> pd.DataFrame | None:
    """Limits of both kinds of every variance; None where the fit did not converge."""
    generate, text = few_clusters.MODELS[model]
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    data = generate(sizes, slope, np.random.default_rng([SEED, 2, len(sizes), slope, number]))
    fit = mlsem.fit(text, data, cluster="id", se="CR2", max_iter=60)
    if not fit.converged:
        return None
    names = [name for name in fit.params.index if few_clusters.kind(name).endswith("variances")]
    both = [fit.conf_int(parameters=names, ci=ci) for ci in ("wald", "profile")]
    return pd.concat(both, axis=1, keys=["CR2, t", "profile"])


def table(model: str, clusters: int, slope: bool, replications: int, jobs: int) -> pd.DataFrame:
    """One row per variance."""
    from joblib import Parallel, delayed

    sizes = np.resize(SIZES, clusters)
    true = truth(model, sizes, slope)
    tried: list = Parallel(n_jobs=jobs)(  # type: ignore
        delayed(replicate)(model, sizes, slope, number) for number in range(replications)
    )
    found = [each for each in tried if each is not None]
    limits, names = np.array([each.to_numpy() for each in found]), found[0].index
    value = true[names].to_numpy()[:, None]
    columns: dict[str, object] = {"model": model, "clusters": clusters, "omitted slope": slope}
    columns |= {"parameter": names, "fits": len(found)}
    for k, method in enumerate(("CR2, t", "profile")):
        lower, upper = limits[:, :, [2 * k]], limits[:, :, [2 * k + 1]]
        columns[method] = 100 * ((lower <= value) & (value <= upper)).mean(axis=0)[:, 0]
        columns[f"{method}: below"] = 100 * (upper < value).mean(axis=0)[:, 0]
        columns[f"{method}: above"] = 100 * (lower > value).mean(axis=0)[:, 0]
    lengths = limits[:, :, [1, 3]] - limits[:, :, [0, 2]]
    columns["length"] = np.nanmedian(lengths[:, :, 1] / lengths[:, :, 0], axis=0)
    return pd.DataFrame(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description="Intervals of variances with few clusters.")
    parser.add_argument("--replications", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--model", choices=["random intercept", "factor"])
    arguments = parser.parse_args()
    for model, clusters, slope in DESIGNS:
        if arguments.model in (None, model):
            found = table(model, clusters, slope, arguments.replications, arguments.jobs)
            print(found.round(2).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
