"""A million clusters and more: the whole fit with MLR and with CR2, and its memory.

python -m benchmarks.many_clusters [--save]
python -m benchmarks.many_clusters --one "1,000,000 x 5" CR2     one case in this process, as JSON

"beyond the frame": the peak of resident memory, which Linux alone tells, less what the process held
before the fit, the data frame in it. The frame's own size is next to it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.cases import RANDOM_INTERCEPT, random_intercept
from benchmarks.common import beyond, child, machine, median, save, seconds, table

CFA = "level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n g =~ y1 + y2 + y3\n"
KINDS = ("none", "MLR", "CR2")
HEAD = ("clusters x rows", "model", "se", "processor", "frame, MB", "beyond the frame, MB")
BUDGET = 12.0  # seconds of repeated calls


@dataclass(frozen=True)
class Case:
    """A model, and data of `clusters` clusters of `size` rows."""

    title: str
    model: str
    data: Callable[[int, int], pd.DataFrame]
    clusters: int
    size: int


def three_indicators(clusters: int, size: int) -> pd.DataFrame:
    """Three outcomes of a factor at each level."""
    rng = np.random.default_rng(20261129)
    ids = np.repeat(np.arange(clusters), size)
    between = 0.7 * rng.normal(size=(clusters, 1)) + 0.4 * rng.normal(size=(clusters, 3))
    within = rng.normal(size=(len(ids), 1)) + rng.normal(size=(len(ids), 3))
    columns = {f"y{k + 1}": (between[ids] + within)[:, k] for k in range(3)}
    return pd.DataFrame({"id": ids, **columns})


CASES = {
    f"{case.clusters:,} x {case.size}{' CFA' * (case.model is CFA)}": case
    for case in (
        Case("random intercept", RANDOM_INTERCEPT, random_intercept, 10**6, 5),
        Case("random intercept", RANDOM_INTERCEPT, random_intercept, 5 * 10**6, 2),
        Case("a factor at each level", CFA, three_indicators, 10**5, 5),
    )
}


def one(name: str, kind: Any) -> dict[str, Any]:
    """Processor seconds of a whole fit, to its table of estimates, and the memory of the first."""
    case = CASES[name]

    def fitted(data: pd.DataFrame) -> float:
        before = time.process_time()
        fit = mlsem.fit(case.model, data, cluster="id", se=kind)
        assert fit.converged
        fit.parameter_estimates()
        return time.process_time() - before

    fitted(case.data(200, case.size))  # what stays once it is loaded
    data = case.data(case.clusters, case.size)
    took: list[float] = []
    peak = beyond(lambda: took.append(fitted(data)))
    while len(took) < 3 or sum(took) < BUDGET / 4:
        took.append(fitted(data))
    size = int(data.memory_usage(index=False).sum())
    return {"cpu": median(took), "frame": size / 2**20, "beyond": peak}


def _cells(record: dict[str, Any]) -> list[str]:
    names = [f"{record['clusters']:,} x {record['size']}", record["model"], record["se"]]
    if "error" in record:
        return [*names, record["error"], "", ""]
    sizes = (f"{record[each]:,.0f}" for each in ("frame", "beyond"))
    return [*names, seconds(record["cpu"]), *sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("CASE", "SE"))
    parser.add_argument("--save", action="store_true", help="write results/many_clusters.*")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(one(*chosen.one)))
        return
    if not os.path.exists("/proc/self/clear_refs"):
        sys.exit("benchmarks.many_clusters: only Linux tells the peak of a part of a run.")
    records: list[dict[str, Any]] = []
    for name, case in CASES.items():
        about = {"clusters": case.clusters, "size": case.size, "model": case.title}
        for kind in KINDS:
            found = child("benchmarks.many_clusters", "--one", name, kind)
            records.append({**about, "se": kind, **found})
    models = (
        f"Random intercept: {' '.join(RANDOM_INTERCEPT.split())}. Factors: {' '.join(CFA.split())}"
    )
    text = (
        "# Clusters by the million\n\n"
        "The whole fit, from model text and data frame to the table of estimates, with degrees of "
        f"freedom under CR2; medians of processor seconds. {models}. `beyond the frame`: the peak "
        "of memory less what was there before, the data frame included.\n\n"
        f"{table(HEAD, map(_cells, records))}\n\n{machine()}.\n"
    )
    print(text)
    if chosen.save:
        save("many_clusters", text, records)


if __name__ == "__main__":
    main()
