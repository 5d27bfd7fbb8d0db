"""Many fits of one model at once: a bootstrap and a study, together and one by one.

python -m benchmarks.batch [--save]
python -m benchmarks.batch --one "NAME" WAY     one of both in this process, as JSON
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np

import mlsem
from benchmarks.common import child, machine, save, seconds, table
from mlsem.estimation import refit
from mlsem.simulation.article.study import article_study
from mlsem.simulation.study import ahead

DRAWS, REPLICATIONS = 1_000, 1_000
MODEL = (
    "level: 1; fw =~ y1 + y2 + y3; fw ~ x1 + x2 + x3; level: 2; fb =~ y1 + y2 + y3; fb ~ w1 + w2"
)
HEAD = ("fits", "together", "one by one", "one by one / together", "largest difference")
ABOUT = (
    "Data sets of one model, whose searches are one computation (leading axis: data set), against "
    "the same with each searched alone; processor seconds of one process. Differences of all "
    "estimates and standard errors are relative to the larger of 0.01 and the number itself."
)


def bootstrap() -> np.ndarray:
    fit = mlsem.fit(MODEL, mlsem.load_example("demo_twolevel"), cluster="cluster")
    return fit.bootstrap("pairs", draws=DRAWS, seed=1).draws


def study() -> np.ndarray:
    found = article_study(REPLICATIONS).study
    return np.concatenate([part for each in found.methods for part in (each.est, each.se)], axis=1)


CASES: dict[str, Callable[[], np.ndarray]] = {
    f"pairs bootstrap of a CFA at two levels, {DRAWS:,} draws": bootstrap,
    f"the article's study, {REPLICATIONS:,} replications of five methods": study,
}
WAYS = ("together", "alone")
SEARCHES = ((refit, "maxima_of"), (ahead, "usual_maxima"))


def measure(name: str, way: str) -> dict[str, Any]:
    with ExitStack() as stack:
        for module, search in SEARCHES if way == "alone" else ():
            stack.enter_context(patch.object(module, search, lambda *_: {}))
        start = time.process_time()
        found = CASES[name]()
        spent = time.process_time() - start
    return {"cpu": spent, "values": found.tolist()}


def both(name: str) -> dict[str, Any]:
    ours, alone = (child("benchmarks.batch", "--one", name, way) for way in WAYS)
    values, expected = (np.array(each.pop("values"), dtype=float) for each in (ours, alone))
    same = values.shape == expected.shape and not (np.isnan(values) ^ np.isnan(expected)).any()
    gap = np.abs(values - expected) / np.maximum(np.abs(expected), 0.01) if same else np.inf
    return {
        "case": name,
        "together": ours["cpu"],
        "alone": alone["cpu"],
        "gap": float(np.nanmax(gap)),
    }


def line(record: dict[str, Any]) -> list[str]:
    return [
        record["case"], seconds(record["together"]), seconds(record["alone"]),
        f"{record['alone'] / record['together']:.2f}", f"{record['gap']:.0e}",
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Many fits at once.")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "WAY"))
    parser.add_argument("--save", action="store_true", help="write results/batch.md and .json")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(*chosen.one)))
        return
    records = [both(name) for name in CASES]
    parts = ["# Many fits at once", machine() + ".", ABOUT, table(HEAD, map(line, records))]
    print("\n\n".join(parts))
    if chosen.save:
        save("batch", "\n\n".join(parts), {"machine": machine(), "cases": records})


if __name__ == "__main__":
    main()
