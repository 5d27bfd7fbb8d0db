"""Mixed models of three levels by REML against lme4.

python -m benchmarks.three_levels [--no-r] [--save]
python -m benchmarks.three_levels --one "20 x 5 x 10"     one case in this process, as JSON
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
from benchmarks.common import (
    child,
    clock,
    has_r,
    machine,
    median,
    r_script,
    repeats_for,
    save,
    table,
)
from benchmarks.mixed import line

INTERCEPTS = "y ~ w + x + (1 | school/room)"
SLOPES = "y ~ w + x + (x | school/room)"
CASES = {
    "20 x 5 x 10": (INTERCEPTS, (20, 5, 10), 5),
    "200 x 5 x 20": (INTERCEPTS, (200, 5, 20), 3),
    "1,000 x 5 x 20": (INTERCEPTS, (1_000, 5, 20), 1),
    "10,000 x 5 x 20": (INTERCEPTS, (10_000, 5, 20), 1),
    "200 x 5 x 20, slopes": (SLOPES, (200, 5, 20), 1),
}
HEAD = ("schools", "mlsem", "lme4", "lme4 / mlsem", "REML log-likelihood: mlsem − lme4's best")
ABOUT = (
    f"`{INTERCEPTS}` and `{SLOPES}` by REML, from formula and data frame to estimates and standard "
    "errors; schools x rooms x pupils; processor seconds, one thread, medians. lme4 with its own "
    "settings; its best log-likelihood is that of bobyqa led on to 1e-10."
)


def frame(schools: int, rooms: int, pupils: int) -> pd.DataFrame:
    rng = np.random.default_rng(20261129)
    school = np.repeat(np.arange(schools), rooms * pupils)
    room = np.tile(np.repeat(np.arange(rooms), pupils), schools)
    w, u, s = rng.normal(size=(3, schools))[:, school]
    v, t = rng.normal(size=(2, schools * rooms))[:, school * rooms + room]
    x, e = rng.normal(size=(2, len(school)))
    y = 0.3 * w + 0.5 * x + 0.7 * u + 0.6 * v + (0.3 * s + 0.3 * t) * x + e
    return pd.DataFrame({"school": school, "room": room, "w": w, "x": x, "y": y})


def measure(name: str) -> dict[str, float]:
    formula, size, _ = CASES[name]
    data = frame(*size)
    fit = mlsem.lmm(formula, data)
    (first,) = clock(lambda: mlsem.lmm(formula, data), 1)["cpu"]
    times = clock(lambda: mlsem.lmm(formula, data), repeats_for(first, 5.0, least=3))
    return {"cpu": median(times["cpu"]), "loglik": fit.loglik}


def lme4_seconds(name: str) -> dict[str, Any]:
    formula, size, calls = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        frame(*size).to_csv(path, index=False)
        (found,) = r_script("lme4_speed.R", str(path), formula, str(calls))
    version, loglik, best, *times = found
    cpu = median(map(float, times))
    return {"version": version, "loglik": float(loglik), "best": float(best), "cpu": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description="Three levels by REML.")
    parser.add_argument("--one", choices=[*CASES])
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/three_levels.md, .json")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one)))
        return
    records: list[dict[str, Any]] = []
    for name in CASES:
        record = {"case": name, "mlsem": child("benchmarks.three_levels", "--one", name)}
        if not chosen.no_r and has_r("lme4"):
            record["lme4"] = lme4_seconds(name)
        records.append(record)
    text = "\n\n".join(
        ["# Three levels by REML", machine() + ".", ABOUT, table(HEAD, map(line, records))]
    )
    print(text)
    if chosen.save:
        save("three_levels", text, {"machine": machine(), "cases": records})


if __name__ == "__main__":
    main()
