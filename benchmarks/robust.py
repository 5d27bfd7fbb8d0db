"""CR2 with Satterthwaite degrees of freedom: against clubSandwich, and for many clusters.

python -m benchmarks.robust [--no-r] [--save]
python -m benchmarks.robust --one "6 x 1,200"     one case in this process, as JSON
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.cases import RANDOM_INTERCEPT
from benchmarks.common import (
    child,
    clock,
    has_r,
    machine,
    median,
    r_script,
    repeats_for,
    save,
    seconds,
    table,
)
from mlsem.inference.covariance.of_estimates import covariance_of

MANY = 100_000
SIZES = {
    "50 x 10": np.full(50, 10),
    "6 x 1,200": np.full(6, 1_200),
    "20 x 50,000": np.full(20, 50_000),
    "100,000 x 10": np.full(MANY, 10),
    "100,000 x 5 to 15": 5 + np.arange(MANY) % 11,
}
AGAINST_R = {"50 x 10": 5, "6 x 1,200": 1}  # calls of clubSandwich, two minutes in the second
HEAD = (
    "clusters", "whole fit, se=none", "whole fit, CR2 with df", "CR2 with df alone",
    "clubSandwich: vcovCR", "coef_test", "clubSandwich / mlsem",
)  # fmt: skip
ABOUT = (
    "y ~ x1 + w1:x1 within, y ~ w1 between, ML; processor seconds, one thread, medians. Whole fit: "
    "from model text and data frame to the table of estimates. Alone: from the optimum to the "
    "covariance matrix and the degrees of freedom of every parameter, the variances too; "
    "clubSandwich's are of the fixed effects, of an lmer fit to the same rows."
)


def frame(sizes: np.ndarray) -> pd.DataFrame:
    rng = np.random.default_rng(20260106)
    ids = np.repeat(np.arange(len(sizes)), sizes)
    w, u = rng.normal(size=(2, len(sizes)))[:, ids]
    x, e = rng.normal(size=(2, len(ids)))
    return pd.DataFrame({"id": ids, "w1": w, "x1": x, "y": 0.25 * w + 0.5 * x + u + e})


def measure(name: str) -> dict[str, float]:
    """Processor seconds of one case."""
    data = frame(SIZES[name])

    def fitted(kind: str) -> Any:
        fit = mlsem.fit(RANDOM_INTERCEPT, data, cluster="id", se=kind)
        fit.parameter_estimates()
        return fit

    fit = fitted("CR2")
    (first,) = clock(lambda: fitted("CR2"), 1)["cpu"]
    repeats = repeats_for(first, 5.0, least=3)
    alone = clock(lambda: covariance_of(fit._estimates), repeats)
    return {
        "none": median(clock(lambda: fitted("none"), repeats)["cpu"]),
        "whole": median(clock(lambda: fitted("CR2"), repeats)["cpu"]),
        "alone": median(alone["cpu"]),
    }


def club_seconds(name: str) -> dict[str, Any]:
    """Processor seconds of vcovCR and coef_test on the same rows."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        frame(SIZES[name]).to_csv(path, index=False)
        formula, repeats = "y ~ x1 + w1 + w1:x1 + (1 | id)", AGAINST_R[name]
        (found,) = r_script("clubsandwich_speed.R", str(path), formula, "id", str(repeats))
    version, _, *times = found
    values = [float(each) for each in times]
    return {"version": version, "vcovCR": values[:repeats], "coef_test": values[repeats:]}


def line(record: dict[str, Any]) -> list[str]:
    ours, theirs = record["mlsem"], record.get("clubSandwich")
    cells = [record["case"], *(seconds(ours[key]) for key in ("none", "whole", "alone"))]
    if theirs is None:
        return [*cells, "–", "–", "–"]
    times = median(theirs["vcovCR"]), median(theirs["coef_test"])
    return [*cells, *map(seconds, times), f"{sum(times) / ours['alone']:,.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description="CR2 with degrees of freedom.")
    parser.add_argument("--one", choices=[*SIZES])
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/robust.md and .json")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one)))
        return
    with_r = not chosen.no_r and has_r("lme4", "clubSandwich")
    records: list[dict[str, Any]] = []
    for name in SIZES:
        record: dict[str, Any] = {"case": name, "mlsem": child("benchmarks.robust", "--one", name)}
        if with_r and name in AGAINST_R:
            record["clubSandwich"] = club_seconds(name)
        records.append(record)
    text = "\n\n".join(("# CR2", machine() + ".", ABOUT, table(HEAD, map(line, records))))
    print(text)
    if chosen.save:
        save("robust", text, {"machine": machine(), "cases": records})


if __name__ == "__main__":
    main()
