"""Random slopes by REML against lme4, and the article's whole simulation.

python -m benchmarks.mixed [--no-r] [--no-study] [--save]
python -m benchmarks.mixed --one "50 x 10"     one size in this process, as JSON
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
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
    seconds,
    table,
)

FORMULA = "y ~ w1*x1 + (x1 | id)"
SIZES = {"50 x 10": (50, 10), "1,000 x 20": (1_000, 20), "10,000 x 50": (10_000, 50)}
CALLS = {"50 x 10": 9, "1,000 x 20": 3, "10,000 x 50": 1}  # of lme4
ROUNDS = {"50 x 10": 5}  # in turn, so that both meet the machine's good and bad moments
STUDIES = 5
HEAD = ("clusters", "mlsem", "lme4", "lme4 / mlsem", "REML log-likelihood: mlsem − lme4's best")
ABOUT = (
    f"`{FORMULA}` by REML, from formula and data frame to estimates and standard errors; processor "
    "seconds, one thread, medians. lme4 with its own settings; its best log-likelihood is that of "
    "bobyqa led on to 1e-10."
)
STUDY = (
    "The article's study, 1,000 replications of five methods (RI by ML, REML, with MLR and CR2; "
    "RS by REML), two processes: {} of wall time, median of {}."
)


def frame(clusters: int, rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(20260106)
    ids = np.repeat(np.arange(clusters), rows)
    w, u, s = rng.normal(size=(3, clusters))[:, ids]
    x, e = rng.normal(size=(2, len(ids)))
    y = 0.25 * w + 0.5 * x + 0.25 * w * x + u + np.sqrt(0.2) * s * x + e
    return pd.DataFrame({"id": ids, "w1": w, "x1": x, "y": y})


def measure(name: str) -> dict[str, float]:
    data = frame(*SIZES[name])
    fit = mlsem.lmm(FORMULA, data, REML=True)
    (first,) = clock(lambda: mlsem.lmm(FORMULA, data, REML=True), 1)["cpu"]
    times = clock(lambda: mlsem.lmm(FORMULA, data, REML=True), repeats_for(first, 5.0, least=3))
    return {"cpu": median(times["cpu"]), "loglik": fit.loglik}


def lme4_seconds(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.csv")
        frame(*SIZES[name]).to_csv(path, index=False)
        (found,) = r_script("lme4_speed.R", str(path), FORMULA, str(CALLS[name]))
    version, loglik, best, *times = found
    return {
        "version": version,
        "loglik": float(loglik),
        "best": float(best),
        "cpu": median(map(float, times)),
    }


def compared(name: str, *, with_r: bool) -> dict[str, Any]:
    ours, theirs = [], []
    for _ in range(ROUNDS.get(name, 1)):
        ours.append(child("benchmarks.mixed", "--one", name))
        if with_r:
            theirs.append(lme4_seconds(name))
    record: dict[str, Any] = {"case": name, "mlsem": middle(ours)}
    return record | {"lme4": middle(theirs)} if theirs else record


def middle(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The round whose time is the median; one that failed, if any did."""
    failed = [each for each in found if "error" in each]
    return failed[0] if failed else sorted(found, key=lambda each: each["cpu"])[len(found) // 2]


def line(record: dict[str, Any]) -> list[str]:
    ours, theirs = record["mlsem"], record.get("lme4")
    if "error" in ours or theirs is None:
        return [record["case"], ours.get("error") or seconds(ours["cpu"]), "–", "–", "–"]
    return [
        record["case"], seconds(ours["cpu"]), seconds(theirs["cpu"]),
        f"{theirs['cpu'] / ours['cpu']:.1f}", f"{ours['loglik'] - theirs['best']:+.1e}",
    ]  # fmt: skip


def study_seconds() -> float:
    """Of the whole study, the median of some runs, of which the first starts the processes."""
    from mlsem.simulation.article.study import article_study

    def once() -> float:
        start = time.perf_counter()
        article_study(n_jobs=2)
        return time.perf_counter() - start

    return median(once() for _ in range(STUDIES))


def main() -> None:
    parser = argparse.ArgumentParser(description="Random slopes by REML.")
    parser.add_argument("--one", choices=[*SIZES])
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--no-study", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/mixed.md and .json")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one)))
        return
    records: list[dict[str, Any]] = []
    for name in SIZES:
        records.append(compared(name, with_r=not chosen.no_r and has_r("lme4")))
    parts = ["# Random slopes by REML", machine() + ".", ABOUT, table(HEAD, map(line, records))]
    spent = None if chosen.no_study else study_seconds()
    if spent is not None:
        parts.append(STUDY.format(seconds(spent), STUDIES))
    print("\n\n".join(parts))
    if chosen.save:
        data = {"machine": machine(), "cases": records, "study": spent}
        save("mixed", "\n\n".join(parts), data)


if __name__ == "__main__":
    main()
