"""mlsem against every program of `benchmarks.peers`: time and memory as one number grows.

python -m benchmarks.grid [--peers mlsem lme4 …] [--series J10 J100 N p K] [--limit 15] [--save]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import mlsem
from benchmarks.common import machine, save
from benchmarks.designs import SERIES, Design, designs_of, foreseen
from benchmarks.grid_tables import Record, Runs, grid_text
from benchmarks.peers import MODEL_BASED, PEERS, measured

LIMIT = 15.0  # seconds: a call is not made that would take longer by what smaller ones took
PATIENCE = 30.0  # seconds, after which a process is ended
COMPARED = 10**5  # rows up to which answers are compared
KINDS = ("MLR", "CR2", "CR0")

Truth = dict[str, dict[str, float]]


def run_all(peers: Sequence[str], series: Sequence[str], limit: float) -> Runs:
    """Every peer at every design, in turn, so that all meet the machine's good and bad moments."""
    runs: Runs = {}
    there = [name for name in peers if PEERS[name].absent() is None]
    for design in designs_of(series):
        truth = answers(design) if design.rows <= COMPARED else None
        for name in there:
            if PEERS[name].takes(design):
                record = one(name, design, runs, limit)
                runs[name, design] = compared(record, truth, PEERS[name].errors)
    return runs


def one(name: str, design: Design, runs: Runs, limit: float) -> Record:
    """A measurement, or why there is none."""
    ahead = 0.0
    for number, points in smaller(name, design, runs):
        failed = [record["error"] for _, record in points if "error" in record]
        if failed:
            return {"error": failed[0]}
        ahead = max(ahead, foreseen([(x, length(record)) for x, record in points], number))
    return {"foreseen": ahead} if ahead > limit else measured(name, design, PATIENCE)


def smaller(
    name: str, design: Design, runs: Runs
) -> Iterator[tuple[int, list[tuple[int, Record]]]]:
    """By series that the design is in: its number there, numbers and records before it."""
    for series in SERIES.values():
        if design in series.designs:
            before = series.designs[: series.designs.index(design)]
            points = [(series.number(d), runs[name, d]) for d in before if (name, d) in runs]
            if points:
                yield series.number(design), points


def length(record: Record) -> float:
    return record["cpu"] if "cpu" in record else record["foreseen"]


def answers(design: Design) -> Truth:
    """mlsem's estimates, and its errors of each kind."""
    fit = mlsem.fit(design.model, design.data(), cluster="id", se="MLR")
    kinds = {kind: fit.with_se(kind).bse for kind in KINDS}
    found = {"estimates": fit.params, **kinds}
    return {
        kind: {name.removesuffix(".l2"): float(value) for name, value in values.items()}
        for kind, values in found.items()
    }


def compared(record: Record, truth: Truth | None, kind: str) -> Record:
    """The record with the largest differences from mlsem's answers in the place of its own:
    of estimates in standard errors, of cluster-robust errors of the same kind relative to them."""
    estimates, errors = record.pop("estimates", None), record.pop("errors", None)
    if truth is None or estimates is None or errors is None:
        return record
    best, scale = truth["estimates"], truth["MLR"]
    shared = [name for name in estimates if scale.get(name, 0.0) > 0.0]
    record["estimates apart"] = max(abs(estimates[x] - best[x]) / scale[x] for x in shared)
    if kind != MODEL_BASED:
        same = truth[kind]
        record["errors apart"] = max(abs(errors[x] / same[x] - 1.0) for x in shared if x in errors)
    return record


def as_data(runs: Runs, peers: Sequence[str], limit: float) -> dict[str, Any]:
    """What is saved."""
    versions = {
        name: record["version"] for (name, _), record in runs.items() if "version" in record
    }
    about = {
        name: {
            "errors": PEERS[name].errors,
            "language": PEERS[name].language,
            "latent": PEERS[name].latent,
            "version": versions.get(name),
            "absent": PEERS[name].absent(),
        }
        for name in peers
    }
    records = [
        {"peer": name, **asdict(design), **record} for (name, design), record in runs.items()
    ]
    return {
        "machine": machine(), "limit": limit, "patience": PATIENCE, "peers": about, "runs": records
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="+", choices=[*PEERS], default=[*PEERS])
    parser.add_argument("--series", nargs="+", choices=[*SERIES], default=[*SERIES])
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of a call")
    parser.add_argument("--save", action="store_true", help="write results/grid.md and .json")
    chosen = parser.parse_args()
    runs = run_all(chosen.peers, chosen.series, chosen.limit)
    data = as_data(runs, chosen.peers, chosen.limit)
    text = grid_text(data)
    print(text)
    if chosen.save:
        save("grid", text, data)


if __name__ == "__main__":
    main()
