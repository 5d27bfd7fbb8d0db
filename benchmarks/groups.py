"""Time and memory as the number of groups grows; two groups against lavaan.

python -m benchmarks.groups [--groups 10 25 50 100 200] [--no-r] [--save]
python -m benchmarks.groups --one 100     one number of groups in this process, as JSON
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.cases import DEMO_CFA, SIX_INDICATORS, demo
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
from mlsem.data.moments.groups import read_groups
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.pose import pose
from mlsem.estimation.settings import Settings
from mlsem.inference.covariance.of_estimates import covariance_of

GROUPS = (10, 25, 50, 100, 200)
CLUSTERS, ROWS = 30, 20  # of each group, of each cluster
EQUAL = ("loadings",)
STEPS = ("table", "read", "search", "MLR", "CR2")
REPEATS = 20  # of lavaan
HEAD = (
    "groups", "parameters", "table", "reading", "search", "MLR", "CR2, df",
    "`fit`, MLR: processor", "peak, MB", "`fit`, CR2: processor", "peak, MB",
)  # fmt: skip
ABOUT = (
    f"{CLUSTERS} clusters of {ROWS} rows in each group, six indicators at both levels, loadings "
    "equal across groups: processor seconds, the median of up to five calls; the peak is the "
    "resident memory of a process of its own that makes the data and fits once, as `import mlsem` "
    "alone takes {base:.0f} MB. Two fits find the same estimates: only the errors differ. "
    "Growth: the exponent a of G^a between neighbouring sizes."
)


def frame(groups: int) -> pd.DataFrame:
    """Sorted rows; groups have means and between variances of their own."""
    rng = np.random.default_rng(20260106)
    clusters, size = groups * CLUSTERS, groups * CLUSTERS * ROWS
    ids = np.repeat(np.arange(clusters), ROWS)
    group = ids // CLUSTERS
    loadings = np.array([1.0, 0.8, 0.7, 0.9, 1.1, 0.6])
    factor = rng.normal(size=clusters)[ids] * (0.6 + 0.2 * (group % 3)) + rng.normal(size=size)
    y = np.outer(factor, loadings) + rng.normal(size=(size, 6))
    y += 0.4 * rng.normal(size=(clusters, 6))[ids] + 0.3 * rng.normal(size=(groups, 6))[group]
    return pd.DataFrame({"group": group, "id": ids, **{f"y{k + 1}": y[:, k] for k in range(6)}})


def steps(data: pd.DataFrame) -> dict[str, Callable[[], Any]]:
    """What a fit consists of, each on what those before it give."""

    numbers = count()

    def specified() -> Any:  # of a text that is new: tables are kept by their text
        text = f"{SIX_INDICATORS}\n# {next(numbers)}\n"
        return mlsem.check(text, data, "id", group="group", group_equal=EQUAL)

    table_ = specified()

    def read() -> Any:
        return read_groups(table_, data, group="group", cluster="id")

    record = read()
    problem, settings = pose(table_, record), Settings(se="MLR")
    optimum = optimum_of(problem, settings)

    def errors(kind: str) -> Any:
        estimates = Estimates(problem, settings.with_se(kind), optimum, record)
        return covariance_of(estimates)[0].df

    return {
        "table": specified,
        "read": read,
        "search": lambda: optimum_of(pose(table_, record), settings),
        "MLR": lambda: errors("MLR"),
        "CR2": lambda: errors("CR2"),
    }


def fit(data: pd.DataFrame, se: str) -> mlsem.FitResult:
    return mlsem.fit(SIX_INDICATORS, data, "id", group="group", group_equal=EQUAL, se=se)


def measure(groups: int) -> dict[str, Any]:
    """Processor seconds of each step."""
    calls = steps(frame(groups))
    found: dict[str, Any] = {"groups": groups}
    for name, call in calls.items():
        once = clock(call, 1)["cpu"]
        found[name] = median(clock(call, repeats_for(once[0], 5.0, least=1, most=5))["cpu"])
    return found


def measure_fit(groups: int, se: str) -> dict[str, Any]:
    """One fit: its processor seconds and the largest resident memory of the process, in MB."""
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    data, results = frame(groups), []
    spent = clock(lambda: results.append(fit(data, se)), 1)["cpu"][0]
    (result,) = results
    return {
        "converged": result.converged,
        "parameters": len(result.params),
        "fit": spent,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "base": base,
    }


def growth(records: Sequence[dict[str, Any]], name: str) -> str:
    """Exponents between neighbouring sizes."""
    sizes, values = (np.log([record[key] for record in records]) for key in ("groups", name))
    return ", ".join(f"{each:.2f}" for each in np.diff(values) / np.diff(sizes)) or "–"


# --- two groups -----------------------------------------------------------------------------------


def two_groups() -> pd.DataFrame:
    """The example's rows, clusters with odd numbers apart from those with even ones."""
    data = demo()
    return data.assign(group=1 + np.unique(data["cluster"], return_inverse=True)[1] % 2)


def measure_two() -> dict[str, Any]:
    data = two_groups()

    def once() -> mlsem.FitResult:
        return mlsem.fit(DEMO_CFA, data, "cluster", group="group", se="MLR")

    runs = clock(once, repeats_for(median(clock(once, 3)["cpu"]), 4.0))["cpu"]
    return {"median": median(runs), "min": min(runs), "loglik": once().loglik}


def lavaan_two() -> dict[str, Any]:
    """Of the same rows and model; lavaan takes a block of the text for each group."""
    with tempfile.TemporaryDirectory() as folder:
        model, data = Path(folder, "model.lav"), Path(folder, "data.csv")
        model.write_text(f"group: 1\n{DEMO_CFA}\ngroup: 2\n{DEMO_CFA}\n")
        two_groups().to_csv(data, index=False)
        (found,) = r_script("lavaan_groups.R", str(model), str(data), str(REPEATS))
    version, loglik, *times = found
    values = [float(each) for each in times]
    return {
        "version": version,
        "median": median(values),
        "min": min(values),
        "loglik": float(loglik),
    }


def compared(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """The two in a sentence."""
    return (
        "Two groups of the two-level CFA of the example (2,500 rows, 200 clusters), nothing equal, "
        f"MLR: mlsem {seconds(ours['median'])} (least {seconds(ours['min'])}), lavaan "
        f"{theirs['version']} {seconds(theirs['median'])} ({seconds(theirs['min'])}): "
        f"{theirs['median'] / ours['median']:.0f} times as long; log-likelihoods "
        f"{ours['loglik']:.4f} and {theirs['loglik']:.4f}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Several groups.")
    parser.add_argument("--groups", nargs="+", type=int, default=GROUPS)
    parser.add_argument("--one", type=int, help="one number of groups, in this process")
    parser.add_argument("--fit", choices=("MLR", "CR2"), help="with --one: one fit and its memory")
    parser.add_argument("--two", action="store_true", help="two groups, in this process")
    parser.add_argument("--no-r", action="store_true", help="without lavaan")
    parser.add_argument("--save", action="store_true", help="write results/groups.*")
    chosen = parser.parse_args()
    if chosen.two:
        print(json.dumps(measure_two()))
        return
    if chosen.one:
        found = measure_fit(chosen.one, chosen.fit) if chosen.fit else measure(chosen.one)
        print(json.dumps(found))
        return
    records: list[dict[str, Any]] = []
    for groups in sorted(chosen.groups):
        record = child("benchmarks.groups", "--one", str(groups))
        for kind in ("MLR", "CR2"):
            found = child("benchmarks.groups", "--one", str(groups), "--fit", kind)
            record |= {f"{name} {kind}": value for name, value in found.items()}
        records.append(record)
    text = "\n\n".join(["# Several groups", f"{machine()}.", *report(records)])
    two: dict[str, Any] = {"mlsem": child("benchmarks.groups", "--two")}
    if not chosen.no_r and has_r("lavaan"):
        two["lavaan"] = lavaan_two()
        text += "\n\n" + compared(two["mlsem"], two["lavaan"])
    print(text)
    if chosen.save:
        save("groups", text, {"machine": machine(), "groups": records, "two": two})


def report(records: Sequence[dict[str, Any]]) -> list[str]:
    """Tables, and what failed."""
    failed = [str(value) for r in records for name, value in r.items() if name.startswith("error")]
    if failed:
        return failed
    cells = [
        [f"{r['groups']}", f"{r['parameters MLR']:,}", *(seconds(r[name]) for name in STEPS),
         *(cell for kind in ("MLR", "CR2")
           for cell in (seconds(r[f"fit {kind}"]), f"{r[f'peak {kind}']:.0f}"))]
        for r in records
    ]  # fmt: skip
    grown = (*STEPS, "fit MLR", "peak MLR", "fit CR2", "peak CR2")
    cells.append(["growth", "", *(growth(records, name) for name in grown)])
    base = min(record["base MLR"] for record in records)
    return [ABOUT.format(base=base), table(HEAD, cells)]


if __name__ == "__main__":
    main()
