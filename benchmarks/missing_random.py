"""Hard data with missing values: what converges; random data: whose log-likelihood is higher.

python -m benchmarks.missing_random [--lavaan] [--count 100] [--save]

Hard: six indicators of two factors within and one between, 40 data sets of each kind: half of the
values missing at random (MCAR), missing by the first indicator (MAR), a planned design of three
forms, each item wholly missing in 40 % of the clusters; 50 to 200 clusters, then 20 or 30. Random:
small data sets and four kinds of model, in lavaan, too (some minutes).
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.common import has_r, machine, median, save, table
from benchmarks.random_models import EQUAL, Record, in_lavaan, versus

SEED = 20261204
KINDS = ("MCAR", "MAR", "planned", "by cluster")
EACH = 40
STARTS = 20  # where lavaan's log-likelihood is higher
CLUSTERS = {"50 to 200 clusters": (50, 100, 200), "20 or 30 clusters": (20, 30)}
HARD = """
level: 1
  f1 =~ y1 + y2 + y3
  f2 =~ y4 + y5 + y6
level: 2
  fb =~ y1 + y2 + y3 + y4 + y5 + y6
"""
RANDOM = {
    "factor": "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3",
    "factor on covariates": (
        "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w"
    ),
    "regression": "level: 1\n y1 ~ y2 + x\n y2 ~ x\nlevel: 2\n y1 ~ y2 + w\n y2 ~ w",
    "outcome of level 2": "level: 1\n y1 ~~ y2\nlevel: 2\n y1 ~~ y2\n z ~ y1 + y2",
}


def hard(rng: np.random.Generator, clusters: int, kind: str) -> pd.DataFrame:
    """Two correlated factors within, one between; loadings alike at both levels."""
    ids = np.repeat(np.arange(clusters), rng.integers(5, 25, clusters))
    loadings, of = np.array([1.0, 0.9, 0.8, 1.0, 0.9, 0.8]), np.array([0, 0, 0, 1, 1, 1])
    own = rng.multivariate_normal([0, 0], [[1, 0.4], [0.4, 1]], len(ids))[:, of]
    common = 0.6 * np.outer(rng.normal(size=clusters), loadings)
    common += 0.4 * rng.normal(size=common.shape)
    y = own * loadings + common[ids] + 0.8 * rng.normal(size=own.shape) + 0.2 * np.arange(6)
    gone = rng.uniform(size=y.shape) < {"MCAR": 0.5, "MAR": 0.0}.get(kind, 0.1)
    if kind == "MAR":
        likely = 1.0 / (1.0 + np.exp(-1.5 * (y[:, :1] - 0.2)))
        gone[:, 1:] = rng.uniform(size=(len(y), 5)) < likely
    elif kind == "planned":
        form = rng.integers(0, 3, len(y))
        gone |= (np.arange(6) % 3) == form[:, None]
    elif kind == "by cluster":
        for item in range(6):
            gone[:, item] |= np.isin(ids, rng.choice(clusters, int(0.4 * clusters), replace=False))
    y[gone] = np.nan
    return pd.DataFrame({f"y{k + 1}": y[:, k] for k in range(6)} | {"id": ids})


def hard_fit(kind: str, number: int, choices: tuple[int, ...]) -> Record:
    rng = np.random.default_rng([SEED, KINDS.index(kind), number, len(choices)])
    clusters = int(rng.choice(choices))
    record: Record = {"kind": kind, "number": number, "clusters": clusters}
    return record | fitted(HARD, hard(rng, clusters, kind), {})


def fitted(text: str, data: pd.DataFrame, options: dict[str, Any]) -> Record:
    """Status, iterations, log-likelihood and processor seconds."""
    began = time.process_time()
    try:
        fit = mlsem.fit(text, data, cluster="id", missing="fiml", se="none", **options)
    except mlsem.MlsemError as error:
        return {"status": type(error).__name__, "why": str(error).splitlines()[0]}
    return {
        "status": fit._estimates.optimum.status,
        "iterations": fit.n_iterations,
        "loglik": fit._estimates.optimum.loglik,
        "parameters": fit.n_params,
        "seconds": time.process_time() - began,
    }


def drawn(number: int) -> tuple[str, pd.DataFrame]:
    """A kind of model and a small data set with holes."""
    rng = np.random.default_rng([SEED, 1000, number])
    kind = [*RANDOM][number % len(RANDOM)]
    clusters = int(rng.integers(25, 45))
    ids = np.repeat(np.arange(clusters), rng.integers(2, 8, clusters))
    x, w = rng.normal(size=len(ids)), rng.normal(size=clusters)
    share = rng.uniform(0.2, 0.8)  # of the variance between clusters
    loadings = rng.uniform(0.5, 1.2, 3)
    fb = 0.4 * w + rng.normal(size=clusters)
    fw = 0.4 * x + rng.normal(size=len(ids))
    between = np.sqrt(share) * (np.outer(fb, loadings) + 0.6 * rng.normal(size=(clusters, 3)))
    noise = rng.uniform(0.5, 1.0) * rng.normal(size=(len(ids), 3))
    y = between[ids] + np.outer(fw, loadings) + noise
    z = 0.5 * fb + rng.normal(size=clusters)
    how, rate = KINDS[number // len(RANDOM) % 4], rng.uniform(0.1, 0.4)
    gone = rng.uniform(size=y.shape) < rate
    if how == "MAR":
        gone = rng.uniform(size=y.shape) < 1.0 / (1.0 + np.exp(1.0 - y[:, :1]))
        gone[:, 0] = False
    elif how == "planned":
        gone = np.arange(3) == rng.integers(0, 3, len(y))[:, None]
    elif how == "by cluster":
        gone = (rng.uniform(size=(clusters, 3)) < 0.5 * rate)[ids] | (gone & (x > 0)[:, None])
    gone[gone.all(axis=1), 0] = False  # lavaan has another number of rows with empty ones
    y[gone] = np.nan
    z[rng.uniform(size=clusters) < 0.5 * rate] = np.nan
    columns = {f"y{k + 1}": y[:, k] for k in range(3)} | {"x": x, "w": w[ids], "z": z[ids]}
    return RANDOM[kind], pd.DataFrame(columns | {"id": ids})


def random_fits(count: int, with_lavaan: bool) -> list[Record]:
    sets = [drawn(number) for number in range(count)]
    found = [
        {"number": number, "model": [*RANDOM][number % len(RANDOM)]} | fitted(text, data, {})
        for number, (text, data) in enumerate(sets)
    ]
    if with_lavaan:
        options = pd.DataFrame({"fixed_x": [1] * count, "missing": ["ml"] * count})
        theirs = in_lavaan(sets, options)
        for record in found:
            other = theirs[record["number"]]
            record |= {f"lavaan {key}": other[key] for key in ("status", "loglik", "seconds")}
            record["versus"] = versus({"parameters": other["parameters"]} | record, other)
            if record["versus"] == "lower":  # another maximum: do random starts find theirs?
                again = fitted(*sets[record["number"]], {"starts": STARTS, "seed": 1})
                record["with starts"] = again["loglik"] - other["loglik"]
    return found


def hard_table(records: dict[str, list[Record]]) -> str:
    rows = []
    for label, found in records.items():
        for kind in (*KINDS, "all"):
            here = [each for each in found if kind in ("all", each["kind"])]
            states = Counter(each["status"] for each in here)
            done = [each for each in here if each["status"] == "converged"]
            rest = ", ".join(f"{n} {name}" for name, n in states.items() if name != "converged")
            iterations = [each["iterations"] for each in done]
            spread = f"{median(iterations):.0f} ({min(iterations)} to {max(iterations)})"
            cpu = 1e3 * median(each["seconds"] for each in done)
            rows.append((label, kind, len(here), len(done), rest or "–", spread, f"{cpu:.0f} ms"))
    heads = ("clusters", "missing", "data sets", "converged", "other", "iterations", "median")
    return table(heads, rows)


def _again(records: list[Record]) -> str:
    """What random starts find where lavaan found a higher maximum."""
    found = [each["with starts"] for each in records if "with starts" in each]
    return f" (with starts={STARTS} from {min(found):+.1e})" if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="random data sets")
    parser.add_argument("--lavaan", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/missing_random.*")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", mlsem.MlsemWarning)
    records = {
        label: [hard_fit(kind, number, choices) for kind in KINDS for number in range(EACH)]
        for label, choices in CLUSTERS.items()
    }
    parts = ["# Hard and random data with missing values", machine() + "."]
    parts.append(hard_table(records))
    drawn_ones = random_fits(chosen.count, chosen.lavaan and has_r("lavaan"))
    states = Counter(each["status"] for each in drawn_ones)
    counted = ", ".join(f"{count} {name}" for name, count in states.items())
    parts.append(f"{chosen.count} random data sets: {counted}.")
    if "versus" in drawn_ones[0]:
        outcomes = Counter(each["versus"] for each in drawn_ones)
        both = [each for each in drawn_ones if each["versus"] in ("equal", "higher", "lower")]
        apart = [each["loglik"] - each["lavaan loglik"] for each in both]
        ratio = median(each["lavaan seconds"] / each["seconds"] for each in both)
        parts += [
            "Log-likelihoods against lavaan's: "
            + ", ".join(f"{n} {name}" for name, n in outcomes.items())
            + f" (equal within {EQUAL:g}); mlsem's − lavaan's from {min(apart):+.1e} to "
            f"{max(apart):+.1e}{_again(drawn_ones)}. "
            f"lavaan takes {ratio:.0f} times as long (median).",
        ]
    text = "\n\n".join(parts)
    print(text)
    if chosen.save:
        save("missing_random", text, {"machine": machine(), "hard": records, "random": drawn_ones})


if __name__ == "__main__":
    main()
