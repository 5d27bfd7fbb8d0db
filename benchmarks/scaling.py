"""Time and memory at a fixed number of clusters as the rows grow.

python -m benchmarks.scaling [--rows 1e4 1e5 1e6 1e7] [--save]
python -m benchmarks.scaling --one 100000     one size in this process, as JSON
"""

from __future__ import annotations

import argparse
import json
import resource
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.cases import RANDOM_INTERCEPT, SIX_INDICATORS
from benchmarks.common import child, clock, machine, median, repeats_for, save, seconds, table
from mlsem.api.fit import check
from mlsem.data.moments.aggregate import read_moments
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.pose import pose
from mlsem.estimation.settings import Settings
from mlsem.results.result import assemble

CLUSTERS = 1000
ROWS = (10**4, 10**5, 10**6, 10**7)
MODELS = {"random intercept": RANDOM_INTERCEPT, "6 indicators": SIX_INDICATORS}


def frame(model: str, rows: int) -> pd.DataFrame:
    """Sorted rows in 1,000 clusters of equal size."""
    rng = np.random.default_rng(20260106)
    ids = np.repeat(np.arange(CLUSTERS), rows // CLUSTERS)
    u, w, f = rng.normal(size=(3, CLUSTERS))
    if model == "random intercept":
        x = rng.normal(size=rows)
        y = 0.25 * w[ids] + 0.5 * x + 0.25 * w[ids] * x + u[ids] + rng.normal(size=rows)
        return pd.DataFrame({"id": ids, "w1": w[ids], "x1": x, "y": y})
    common = rng.normal(size=rows)
    columns = {
        f"y{k}": f[ids] + rng.normal(0, 0.4, CLUSTERS)[ids] + common + rng.normal(size=rows)
        for k in range(1, 7)
    }
    return pd.DataFrame({"id": ids, **columns})


def phases(model: str, data: pd.DataFrame) -> dict[str, Callable[[], Any]]:
    """The pass over the rows, and all that follows it, as `fit` does them."""
    text = MODELS[model]
    table_, settings = check(text, data), Settings(estimator="MLR")
    record = read_moments(table_, data, cluster="id")

    def rest() -> Any:
        problem = pose(table_, record)
        optimum = optimum_of(problem, settings, None)
        return assemble(text, Estimates(problem, settings, optimum, record)).parameter_estimates()

    return {"pass": lambda: read_moments(table_, data, cluster="id"), "rest": rest}


def peak(call: Callable[[], Any]) -> float:
    """Largest memory that Python and numpy take during a call, in MB."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def high_water() -> float:
    """Largest resident memory of the process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(rows: int) -> list[dict[str, Any]]:
    found = []
    for model in MODELS:
        data = frame(model, rows)
        before = high_water()
        calls = phases(model, data)
        record: dict[str, Any] = {"model": model, "rows": rows}
        record["frame"] = data.memory_usage(deep=True).sum() / 1e6
        for name, call in calls.items():
            runs = clock(call, repeats_for(clock(call, 1)["wall"][0], 3.0, least=3, most=50))
            record[f"{name} wall"] = median(runs["wall"])
            record[f"{name} cpu"] = median(runs["cpu"])
            record[f"{name} least"] = min(runs["wall"])
            record[f"{name} memory"] = peak(call)
        record["resident"] = high_water() - before
        found.append(record)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=float, default=ROWS)
    parser.add_argument("--one", type=int, help="one number of rows, in this process")
    parser.add_argument("--save", action="store_true", help="write results/scaling.*")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps({"records": measure(chosen.one)}))
        return
    answers = [child("benchmarks.scaling", "--one", str(int(rows))) for rows in chosen.rows]
    failed = [answer["error"] for answer in answers if "error" in answer]
    records = [record for answer in answers for record in answer.get("records", ())]
    records.sort(key=lambda record: (record["model"], record["rows"]))
    cells = [
        [r["model"], f"{r['rows']:,}",
         *(seconds(r[f"{name} {kind}"]) for name in ("pass", "rest") for kind in ("wall", "cpu")),
         *(f"{r[name]:.1f}" for name in ("frame", "pass memory", "rest memory"))]
        for r in records
    ]  # fmt: skip
    head = (
        "model", "rows", "the pass over the rows", "processor", "the rest of the fit", "processor",
        "frame, MB", "pass, MB", "rest, MB",
    )  # fmt: skip
    text = "\n\n".join(
        [
            "# Scaling in rows",
            machine() + ".",
            f"{CLUSTERS:,} clusters of equal size, MLR: medians; memory is the peak beyond the "
            "frame.",
            table(head, cells),
            *failed,
        ]
    )
    print(text)
    if chosen.save:
        save("scaling", text, {"machine": machine(), "records": records})


if __name__ == "__main__":
    main()
