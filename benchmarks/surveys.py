"""An assessment of a country: plausible values, weights of pupils and schools, replicate weights.

python -m benchmarks.surveys [--no-wemix] [--save]
python -m benchmarks.surveys --one replicates      one case in this process, as JSON

Seconds are of processor time; the first call of a process is not counted. WeMix fits one plausible
value by the full weights, once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import mlsem
from benchmarks.common import child, clock, has_r, machine, median, r_script, save, seconds, table

SEED, PUPILS, SCHOOLS, VALUES, REPLICATES = 20261129, 7000, 200, 10, 80
MODEL = "level: 1; math ~ ses + girl; level: 2; math ~ private"
FORMULA = "PV1MATH ~ ses + girl + private + (1 | school)"
CASES = {
    "values": f"{VALUES} plausible values",
    "replicates": f"{VALUES} plausible values × {1 + REPLICATES} weights (Fay)",
    "unscaled": "the same, weights unscaled",
}
TARGETS = {"values": 0.2, "replicates": 4.0, "unscaled": 4.0}


def country() -> pd.DataFrame:
    """Pupils in schools of nearly 35, with Fay's replicate weights of pairs of schools."""
    rng = np.random.default_rng(SEED)
    sizes = rng.multinomial(PUPILS - 15 * SCHOOLS, np.full(SCHOOLS, 1 / SCHOOLS)) + 15
    school = np.repeat(np.arange(SCHOOLS), sizes)
    u, w = rng.normal(size=(2, SCHOOLS))
    data = {"school": school, "ses": rng.normal(size=PUPILS) + 0.3 * w[school]}
    data |= {"girl": rng.integers(0, 2, PUPILS) * 1.0, "private": (w > 0)[school] * 1.0}
    data["W_SCH"] = 20 * np.exp(rng.normal(0, 0.5, SCHOOLS))[school]
    data["W_STU"] = 3 * data["W_SCH"] * np.exp(rng.normal(0, 0.3, PUPILS))
    ability = 500 + 20 * data["ses"] + 10 * data["private"] + 40 * u[school]
    ability += rng.normal(0, 70, PUPILS)
    for k in range(1, VALUES + 1):
        data[f"PV{k}MATH"] = ability + rng.normal(0, 30, PUPILS)
    pair, second = np.arange(SCHOOLS) // 2, np.arange(SCHOOLS) % 2
    for r in range(1, REPLICATES + 1):
        half = rng.integers(0, 2, SCHOOLS // 2)[pair] == second
        data[f"W_REP{r}"] = data["W_STU"] * np.where(half, 1.5, 0.5)[school]
    return pd.DataFrame(data)


def one(case: str) -> dict[str, list[float]]:
    """Seconds of a case, after one call that is not counted."""
    data, how = country(), {}
    if case != "values":
        how["replicates"] = mlsem.Fay("W_REP{}", k=0.5)
    if case == "unscaled":
        how["weight_scaling"] = "unscaled"

    def call() -> None:
        mlsem.fit_many(
            MODEL,
            data,
            cluster="school",
            plausible={"math": "PV{}MATH"},
            weights={"total": "W_STU", "level2": "W_SCH"},
            progress=False,
            **how,
        )

    call()
    return clock(call, 5)


def wemix() -> float | None:
    """Seconds of one fit of WeMix; None where R has none."""
    if not has_r("WeMix"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "country.csv"
        country().to_csv(path, index=False)
        return float(r_script("wemix_speed.R", str(path), FORMULA)[0][1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", choices=CASES)
    parser.add_argument("--no-wemix", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/surveys.*")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(chosen.one)))
        return
    found = {case: child("benchmarks.surveys", "--one", case) for case in CASES}
    other = None if chosen.no_wemix else wemix()
    rows = [
        [CASES[case], seconds(median(took["cpu"])), f"< {seconds(TARGETS[case])}"]
        for case, took in found.items()
    ]
    if other is not None:
        rows.append(["WeMix: one plausible value, one weight", seconds(other), ""])
    text = "\n\n".join(
        [
            "# Assessments",
            machine() + ".",
            f"{PUPILS} pupils in {SCHOOLS} schools, `{MODEL}`, processor time, median of 5.",
            table(("", "mlsem", "target"), rows),
        ]
    )
    print(text)
    if chosen.save:
        save("surveys", text, {"machine": machine(), "seconds": found, "wemix": other})


if __name__ == "__main__":
    main()
