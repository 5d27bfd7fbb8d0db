"""Missing values: reading, the search and MLR errors with missing="fiml", against lavaan.

python -m benchmarks.missing [--cases demo six …] [--no-lavaan] [--save]
python -m benchmarks.missing --one six        one case in this process, as JSON

Seconds are of processor time. lavaan takes a minute or two, so it runs once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.cases import DEMO_CFA, SIX_INDICATORS
from benchmarks.common import (
    ROOT,
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
)  # fmt: skip
from benchmarks.scaling import high_water, peak
from mlsem.api.fit import check
from mlsem.data.moments.aggregate import read_moments
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.pose import pose
from mlsem.estimation.settings import Settings
from mlsem.results.result import assemble

DEMO = ROOT / "tests" / "reference" / "data" / "demo_missing.csv"
SEED, BUDGET = 20261203, 4.0
PHASES = ("read", "fit", "MLR")
ITEMS = [f"y{k}" for k in range(1, 7)]
PAIRS = [f"{a} ~~ {b}" for k, a in enumerate(ITEMS) for b in ITEMS[k:]]
SATURATED = "\n  ".join(["level: 1", *PAIRS, "\nlevel: 2", *PAIRS])
FACTORS = [
    f"f{k} =~ " + " + ".join(f"y{i}" for i in part)
    for k, part in enumerate((range(1, 8), range(8, 15), range(15, 21)))
]
FACTORS_ABOVE = [each.replace("f", "b", 1) for each in FACTORS]
TWENTY_INDICATORS = "\n  ".join(["level: 1", *FACTORS, "\nlevel: 2", *FACTORS_ABOVE])


def indicators(rows: int, clusters: int, factors: int, count: int) -> pd.DataFrame:
    """Indicators of correlated factors at both levels; clusters of nearly equal sizes, sorted."""
    rng = np.random.default_rng([SEED, rows, clusters])
    ids = np.repeat(np.arange(clusters), np.diff(np.linspace(0, rows, clusters + 1).astype(int)))

    def part(shape: int, rest: float) -> np.ndarray:
        common = 0.6 * rng.normal(size=(shape, 1)) + 0.8 * rng.normal(size=(shape, factors))
        own = np.sqrt(rest) * rng.normal(size=(shape, count))
        of = np.minimum(np.arange(count) * factors // count, factors - 1)
        if factors == 3:  # of seven, seven and six indicators
            of = np.repeat(np.arange(3), (7, 7, 6))
        return common[:, of] * np.linspace(1.0, 0.7, count) + own

    values = 0.6 * part(clusters, 0.3)[ids] + part(rows, 0.6)
    columns = {f"y{k + 1}": values[:, k] for k in range(count)}
    return pd.DataFrame(columns | {"id": ids})


def at_random(data: pd.DataFrame, share: float) -> pd.DataFrame:
    """With that share of each indicator missing."""
    rng = np.random.default_rng(SEED)
    columns = list(data.columns[:-1])
    return data.assign(**data[columns].mask(rng.uniform(size=(len(data), len(columns))) < share))


def planned(data: pd.DataFrame, patterns: int) -> pd.DataFrame:
    """Each row has one of so many patterns."""
    rng = np.random.default_rng(SEED)
    columns = list(data.columns[:-1])
    every = (np.arange(2 ** len(columns) - 1)[:, None] >> np.arange(len(columns))) % 2 == 1
    few = every[rng.permutation(len(every))[:patterns]]
    return data.assign(**data[columns].mask(few[rng.integers(0, patterns, len(data))]))


@dataclass(frozen=True)
class Case:
    """A model and data with holes, and the seconds that reading, search and errors may take."""

    title: str
    model: str
    data: Callable[[], pd.DataFrame]
    targets: tuple[float, float, float] | None = None
    cluster: str = "id"
    memory: bool = False


def million(rows: int) -> Callable[[], pd.DataFrame]:
    return lambda: planned(indicators(rows, 20_000, 1, 6), 40)


CASES = {
    "demo": Case(
        "demo_missing, 12 % missing", DEMO_CFA, lambda: pd.read_csv(DEMO), (0.003, 0.0134, 0.0018),
        "cluster",
    ),
    "six": Case(
        "6 indicators, 1,000 clusters", SIX_INDICATORS,
        lambda: at_random(indicators(27_000, 1000, 1, 6), 0.15), (0.03, 0.15, 0.03),
    ),
    "many": Case(
        "6 indicators, 5,000 clusters", SIX_INDICATORS,
        lambda: at_random(indicators(30_000, 5000, 1, 6), 0.15), (0.02, 0.45, 0.08),
    ),
    "wide": Case(
        "20 indicators, 250 clusters", TWENTY_INDICATORS,
        lambda: at_random(indicators(5000, 250, 3, 20), 0.073), (0.08, 3.3, 0.5),
    ),
    "quarter": Case(
        "6 indicators, 20,000 clusters", SIX_INDICATORS, million(250_000), memory=True
    ),
    "million": Case(
        "6 indicators, 20,000 clusters", SIX_INDICATORS, million(1_000_000), memory=True
    ),
    "saturated": Case(
        "the same, covariances free at both levels", SATURATED, million(1_000_000), memory=True
    ),
}  # fmt: skip


def phases(case: Case, data: pd.DataFrame) -> dict[str, Callable[[], Any]]:
    """As `fit` does them, each with what the one before has found."""
    table_, settings = check(case.model, data), Settings(estimator="MLR", missing="fiml")
    kept: dict[str, Any] = {}

    def read() -> None:
        kept["record"] = read_moments(table_, data, cluster=case.cluster, missing="fiml")

    def search() -> None:
        kept["problem"] = pose(table_, kept["record"])
        kept["optimum"] = optimum_of(kept["problem"], settings, None)

    def errors() -> None:
        found = Estimates(kept["problem"], settings, kept["optimum"], kept["record"])
        kept["fit"] = assemble(case.model, found)

    return {"read": read, "fit": search, "MLR": errors, "found": lambda: kept}


def measure(name: str) -> dict[str, Any]:
    case = CASES[name]
    data = case.data()
    calls = phases(case, data)
    kept = calls.pop("found")()
    record: dict[str, Any] = {"name": name, "rows": len(data)}
    record["frame"], before = data.memory_usage(deep=True).sum() / 1e6, high_water()
    for phase, call in calls.items():
        once = clock(call, 1)
        least = 0 if once["cpu"][0] > BUDGET else 3
        runs = clock(call, repeats_for(once["cpu"][0], BUDGET, least=least, most=50))
        record[phase] = median(runs["cpu"] or once["cpu"])
        record[f"{phase} least"] = min(runs["cpu"] + once["cpu"])
    record["resident"] = high_water() - before
    if case.memory:
        for phase, call in calls.items():
            record[f"{phase} memory"] = peak(call)
    cells, fit = kept["record"].moments, kept["fit"]
    if not case.memory:
        again = repeats_for(record["fit"], BUDGET, least=3, most=50)
        record["whole"] = median(clock(lambda: _whole(case, data), again)["cpu"])
    return record | {
        "clusters": fit.n_clusters,
        "cells": len(cells.cell_sizes),
        "patterns": len(cells.patterns),
        "parameters": fit.n_params,
        "loglik": fit.loglik,
        "iterations": fit.n_iterations,
        "converged": bool(fit.converged),
    }


def _whole(case: Case, data: pd.DataFrame) -> object:
    fit = mlsem.fit(case.model, data, cluster=case.cluster, estimator="MLR", missing="fiml")
    return fit.parameter_estimates()


def lavaan_once(case: Case) -> dict[str, Any]:
    """Processor seconds of lavaan's one fit to the same data, and its log-likelihood."""
    with tempfile.TemporaryDirectory() as folder:
        model, data = Path(folder, "model.lav"), Path(folder, "data.csv")
        model.write_text(case.model)
        case.data().to_csv(data, index=False, float_format="%.17g")
        (line,) = r_script("lavaan_speed.R", str(model), str(data), case.cluster, "1", "ml")
    version, loglik, cpu = line
    return {"version": version, "loglik": float(loglik), "cpu": float(cpu)}


def beside_lavaan(ours: dict[str, Any]) -> str:
    """The demo fit's time beside lavaan's, or how lavaan fails: 0.6-14 does in the errors."""
    try:
        theirs = lavaan_once(CASES["demo"])
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        stopped = next((line for line in lines if line.startswith("Timing stopped")), "")
        return f"lavaan fails on demo_missing with MLR: {' '.join(lines[:2])} {stopped}".strip()
    ratio = theirs["cpu"] / ours["whole"]
    return (
        f'lavaan {theirs["version"]} on demo_missing, `missing = "ml"` with MLR, one fit and '
        f"`parameterEstimates()`: {seconds(theirs['cpu'])}, {ratio:.0f} "
        f"times mlsem's {seconds(ours['whole'])}; log-likelihood: mlsem's − lavaan's "
        f"{ours['loglik'] - theirs['loglik']:+.1e}."
    )


def row(record: dict[str, Any]) -> list[str]:
    case = CASES[record["name"]]
    cells = [case.title, f"{record['rows']:,}", f"{record['patterns']:,}", f"{record['cells']:,}"]
    cells += [str(record["parameters"]), str(record["iterations"])]
    for phase, target in zip(PHASES, case.targets or (None,) * 3, strict=True):
        aim = f" ({seconds(target)})" if target else ""
        cells.append(seconds(record[phase]) + aim)
    return [*cells, seconds(record.get("whole"))]


def memory_row(record: dict[str, Any]) -> list[str]:
    title = CASES[record["name"]].title
    cells = [title, f"{record['rows']:,}", str(record["parameters"]), f"{record['frame']:.0f}"]
    return [*cells, *(f"{record[f'{phase} memory']:.0f}" for phase in PHASES)]


def growth(records: list[dict[str, Any]]) -> str:
    """What a parameter more adds to the peaks, in bytes a row."""
    found = {record["name"]: record for record in records}
    few, more = found["million"], found["saturated"]
    extra = more["parameters"] - few["parameters"]
    each = []
    for phase in PHASES:
        grown = more[f"{phase} memory"] - few[f"{phase} memory"]
        each.append(f"{phase} {1e6 * grown / extra / few['rows']:.2f}")
    return (
        f"A parameter more adds to the peak, in bytes a row: {', '.join(each)}; an array of rows × "
        "parameters would add 8."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=[*CASES], default=[*CASES])
    parser.add_argument("--one", choices=[*CASES], help="one case, in this process")
    parser.add_argument("--no-lavaan", action="store_true")
    parser.add_argument("--save", action="store_true", help="write results/missing.*")
    chosen = parser.parse_args()
    if chosen.one:
        print(json.dumps(measure(chosen.one)))
        return
    records = [child("benchmarks.missing", "--one", name) for name in chosen.cases]
    failed = [record["error"] for record in records if "error" in record]
    records = [record for record in records if "error" not in record]
    head = (
        "case", "rows", "patterns", "cells", "parameters", "iterations", "read (aim)", "fit (aim)",
        "MLR (aim)", "`fit` and table",
    )  # fmt: skip
    parts = [
        '# Missing values: `missing="fiml"`',
        machine() + ".",
        "Processor seconds, medians of repeated calls; a cell is a pattern in a cluster. The aim "
        "in brackets is what a prototype took. Of complete data (demo_twolevel, the same model) a "
        f"fit and its table take {seconds(child('benchmarks.measure', 'demo')['warm_cpu'])} in "
        "this run, which says how busy the machine was: speed.md has the time of a quiet one.",
        table(head, map(row, records)),
        *failed,
    ]
    if "demo" in chosen.cases and not chosen.no_lavaan and has_r("lavaan"):
        parts.append(beside_lavaan(records[chosen.cases.index("demo")]))
    large = [record for record in records if "read memory" in record]
    if large:
        heads = ("case", "rows", "parameters", "frame", *PHASES)
        parts += [
            "Memory: peak in MB beyond what is there when a phase begins.",
            table(heads, map(memory_row, large)),
        ]
    if {"million", "saturated"} <= {record["name"] for record in large}:
        parts.append(growth(large))
    text = "\n\n".join(parts)
    print(text)
    if chosen.save:
        save("missing", text, {"machine": machine(), "cases": records})


if __name__ == "__main__":
    main()
