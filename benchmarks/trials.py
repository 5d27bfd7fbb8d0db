"""Trials: a logit with CR2 in ten clusters, GEE of a million rows, beside R and statsmodels.

python -m benchmarks.trials [--no-r] [--save]
python -m benchmarks.trials --one logit mlsem      one program's case in this process, as JSON

Seconds are of processor time, from a formula and a data frame in memory to estimates and standard
errors; the first call of a process is not counted, but for programs that take minutes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.common import child, clock, has_r, machine, median, r_script, save, seconds, table

SEED, FORMULA = 20261129, "y ~ trt + x + w"
RHO = 0.1  # of the latent outcome


@dataclass(frozen=True)
class Case:
    """What is fitted, to how many clusters of how many rows."""

    title: str
    clusters: int
    size: int
    calls: int


CASES = {
    "logit": Case("logit, CR2 with df, 10 clusters of 1,000", 10, 1_000, 51),
    "gee": Case("GEE, exchangeable, 10,000 clusters of 100", 10_000, 100, 3),
}
OTHERS = {  # what is compared, and what mlsem's time is to be of theirs at most
    "logit": {
        "statsmodels": ("statsmodels, the fit alone", 1.0),
        "clubSandwich": ("clubSandwich, CR2 with df", 1 / 1000),
    },
    "gee": {
        "statsmodels": ("statsmodels, robust errors", 1 / 5),
        "geepack": ("geepack, robust errors", 1 / 5),
    },
}


def trial(case: Case) -> pd.DataFrame:
    """Half of the clusters treated; a covariate of rows and one of clusters."""
    rng = np.random.default_rng(SEED)
    ids = np.repeat(np.arange(case.clusters), case.size)
    trt = rng.permutation(np.arange(case.clusters) % 2)
    w = rng.normal(size=case.clusters)
    u = np.sqrt(RHO / (1 - RHO) * np.pi**2 / 3) * rng.normal(size=case.clusters)
    x = rng.normal(size=len(ids))
    eta = -0.3 + 0.3 * trt[ids] + 0.4 * x + 0.2 * w[ids] + u[ids]
    y = rng.random(len(ids)) < 1 / (1 + np.exp(-eta))
    return pd.DataFrame({"id": ids, "trt": trt[ids], "x": x, "w": w[ids], "y": y.astype(int)})


def by_mlsem(case: str, data: pd.DataFrame) -> Callable[[], Any]:
    if case == "logit":
        return lambda: mlsem.glm(FORMULA, data, cluster="id").parameter_estimates()
    return lambda: mlsem.gee(FORMULA, data, cluster="id", se="CR0").parameter_estimates()


def by_statsmodels(case: str, data: pd.DataFrame) -> Callable[[], Any]:
    import statsmodels.formula.api as smf
    from statsmodels.api import families
    from statsmodels.genmod.cov_struct import Exchangeable

    if case == "logit":
        return lambda: smf.glm(FORMULA, data, family=families.Binomial()).fit().params
    how = {"family": families.Binomial(), "cov_struct": Exchangeable()}
    return lambda: smf.gee(FORMULA, "id", data, **how).fit().bse


def one(case: str, program: str) -> dict[str, list[float]]:
    """Seconds of a case in this process."""
    asked = CASES[case]
    call = {"mlsem": by_mlsem, "statsmodels": by_statsmodels}[program](case, trial(asked))
    call()
    return clock(call, asked.calls)


def by_r(case: str) -> tuple[str, float]:
    """R's version of the package and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trial.csv")
        trial(CASES[case]).to_csv(path, index=False)
        version, took = r_script("trials_speed.R", str(path), FORMULA, case)[0]
    return version, float(took)


def measured(case: str, with_r: bool) -> dict[str, Any]:
    """Seconds of every program that is there."""
    found: dict[str, Any] = {
        "mlsem": median(child("benchmarks.trials", "--one", case, "mlsem")["cpu"])
    }
    for name in OTHERS[case]:
        if name == "statsmodels":
            if find_spec(name):
                found[name] = median(child("benchmarks.trials", "--one", case, name)["cpu"])
        elif with_r and has_r(name):
            found["version"], found[name] = by_r(case)
    return found


def lines(case: str, found: dict[str, Any]) -> list[list[str]]:
    rows = [[CASES[case].title, "mlsem", seconds(found["mlsem"]), "", ""]]
    for name, (title, most) in OTHERS[case].items():
        if name in found:
            times = found[name] / found["mlsem"]
            rows.append(["", title, seconds(found[name]), f"{times:,.1f}", f"> {1 / most:,.0f}"])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("CASE", "PROGRAM"))
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/trials.*")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(*chosen.one)))
        return
    found = {case: measured(case, not chosen.no_r) for case in CASES}
    head = ("", "", "processor time", "times mlsem's", "target")
    text = "\n\n".join(
        [
            "# Trials",
            machine() + ".",
            f"`{FORMULA}`, logit, processor time, one thread, medians (clubSandwich and geepack: "
            "one call). Of mlsem the whole call, from formula and data frame to the table.",
            table(head, [row for case in CASES for row in lines(case, found[case])]),
        ]
    )
    print(text)
    if chosen.save:
        save("trials", text, {"machine": machine(), "seconds": found})


if __name__ == "__main__":
    main()
