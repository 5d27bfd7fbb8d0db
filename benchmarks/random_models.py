"""500 random two-level models on random data: what converges, and why the rest does not.

python -m benchmarks.random_models [--count 500] [--lavaan] [--others] [--bounds] [--save]

Seconds are of processor time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.common import has_r, machine, r_script, save, table
from benchmarks.mirrors import (
    BOUNDARY,
    edge,
    fitted,
    growing,
    long_search,
    negative_variances,
    other_maximum,
)
from benchmarks.random_design import Drawn, draw

Record = dict[str, Any]
EQUAL = 1e-6
"""Log-likelihoods nearer than this are the same."""


def fit_one(drawn: Drawn) -> Record:
    """The fit with defaults, and why it failed if it did."""
    record: Record = {"number": drawn.number, **drawn.tags}
    began = time.process_time()
    try:
        result = fitted(drawn)
    except Exception as error:
        kind = type(error).__name__
        known = isinstance(error, mlsem.MlsemError)
        said = str(error).splitlines()[0] if str(error) else ""
        return record | {"status": kind, "why": said if known else f"{kind}: {said}"}
    names, params = result.table.names, result.estimates
    record |= {
        "seconds": time.process_time() - began,
        "status": result._estimates.optimum.status,
        "loglik": result._estimates.optimum.loglik,
        "iterations": result.n_iterations,
        "parameters": len(names),
        "negative": negative_variances(names, params),
        "doubt": " ".join(result._doubts) if result.bse.isna().any() else "",
    }
    if not result.converged:
        record |= diagnose(drawn, result)
    return record


def diagnose(drawn: Drawn, result: mlsem.FitResult) -> Record:
    """Why a fit did not converge."""
    reached = result._estimates.optimum.loglik
    better = other_maximum(drawn)
    at = edge(result)
    found: Record = {"eigenvalue": at.eigenvalue}
    if better is not None:
        found["other"] = better.loglik
        if better.loglik > reached - EQUAL:
            below = ", ".join(f"{name} < 0" for name in better.negative) or "no variance < 0"
            why = f"maximum {better.loglik:.4f} ({below}) from a {better.how}"
            return found | {"class": "missed", "why": why}
    if at.eigenvalue < BOUNDARY:
        clusters = "1 cluster" if at.clusters == 1 else f"{at.clusters} clusters"
        why = f"covariance of the {clusters} of {at.size} rows goes singular ({at.eigenvalue:.0e})"
        return found | {"class": "unbounded", "why": why}
    names = growing(fitted(drawn, max_iter=60, se="none"), result)
    if names:
        return found | {"class": "infinite", "why": "without bound: " + ", ".join(names)}
    loglik, remaining = long_search(result)
    found["BFGS"] = loglik
    return found | {
        "class": "unexplained",
        "why": f"BFGS ends {loglik - reached:+.4f} away, remaining step {remaining:.1e}",
    }


def lavaan_fits(count: int) -> dict[int, Record]:
    """The same models in lavaan, one R process."""
    drawn = [draw(number) for number in range(count)]
    options = pd.DataFrame({"fixed_x": [int(each.fixed_x) for each in drawn]})
    return in_lavaan([(each.model, each.data) for each in drawn], options)


def in_lavaan(models: list[tuple[str, pd.DataFrame]], options: pd.DataFrame) -> dict[int, Record]:
    """What lavaan finds; `options` as in lavaan_fits.R, a row per model."""
    with tempfile.TemporaryDirectory() as folder:
        for number, (text, data) in enumerate(models):
            Path(folder, f"{number}.lav").write_text(text)
            data.to_csv(Path(folder, f"{number}.csv"), index=False, float_format="%.17g")
        options.to_csv(Path(folder, "options.csv"), index_label="number")
        found = r_script("lavaan_fits.R", folder)
    answers: dict[int, Record] = {}
    for number, status, loglik, _, seconds, rest in found:
        names = {_canonical(each.rsplit("=", 1)[0]) for each in rest.split(";")}
        answers[int(number)] = {
            "status": status,
            "loglik": float("nan") if loglik == "NA" else float(loglik),
            "estimates": rest,
            "parameters": len(names),
            "seconds": float(seconds),
        }
    return answers


def _canonical(name: str) -> str:
    """A covariance has one name, though lavaan may list both of a pair."""
    bare, level = (name[:-3], ".l2") if name.endswith(".l2") else (name, "")
    return "~~".join(sorted(bare.split("~~"))) + level


def versus(ours: Record, theirs: Record) -> str:
    """The outcome of one comparison."""
    mine, other = ours["status"] == "converged", theirs["status"] == "converged"
    if mine and other:
        if ours["parameters"] != theirs["parameters"]:
            return "another model"
        apart = ours["loglik"] - theirs["loglik"]
        if abs(apart) < EQUAL:
            return "equal"
        return "higher" if apart > 0 else "lower"
    if mine:
        return "only mlsem"
    return "only lavaan" if other else "neither"


def restarted(numbers: list[int]) -> list[Record]:
    """Converged fits for which another start finds a higher maximum."""
    found = []
    for number in numbers:
        drawn = draw(number)
        better, usual = other_maximum(drawn, 5), fitted(drawn, se="none").loglik
        if better is not None and better.loglik > usual + 1e-4:
            gain = better.loglik - usual
            found.append(
                {"number": number, "gain": gain, "how": better.how, "negative": better.negative}
            )
    return found


def fit_wide(drawn: Drawn) -> Record:
    """The fit within bounds that the data give."""
    began = time.process_time()
    result = fitted(drawn, bounds="wide", se="none")
    return {
        "number": drawn.number,
        "status": result._estimates.optimum.status,
        "loglik": result._estimates.optimum.loglik,
        "active": len(result._estimates.optimum.active),
        "seconds": time.process_time() - began,
    }


def describe_wide(records: list[Record], wide: list[Record]) -> str:
    """Which converge, and where they end below the fit without bounds."""
    pairs = [
        (free, within)
        for free, within in zip(records, wide, strict=True)
        if free["status"] == within["status"] == "converged"
    ]
    lower = [within for free, within in pairs if within["loglik"] < free["loglik"] - EQUAL]
    inside = sum(not within["active"] for within in lower)
    seconds = np.array([within["seconds"] for within in wide])
    done = sum(within["status"] == "converged" for within in wide)
    shown = ", ".join(f"{np.quantile(seconds, q):.3g}" for q in (0.5, 0.99, 1.0))
    rows = [
        ["converged", f"{done} of {len(wide)} ({done / len(wide):.1%})"],
        ["lower than the maximum without bounds, a bound being active", len(lower) - inside],
        ["lower, no bound being active", inside],
        ["seconds per fit (median, 99 %, largest)", shown],
    ]
    return table(("", "fits"), rows)


def describe(records: list[Record]) -> str:
    """Shares, iterations and improper solutions."""
    count = len(records)
    done = [record for record in records if record["status"] == "converged"]
    steps = np.array([record["iterations"] for record in done])
    kinds = Counter(record["status"] for record in records)
    reasons = Counter(record.get("class", "refused") for record in records if record not in done)
    failures = [f"{kind}: {n}" for kind, n in kinds.items() if kind != "converged"]
    spent = [record["seconds"] for record in done]
    rows = [
        ["converged", f"{len(done)} of {count} ({100 * len(done) / count:.1f} %)"],
        ["not converged, or refused", ", ".join(failures)],
        ["  a maximum that another start finds", reasons["missed"]],
        ["  likelihood unbounded at the largest clusters", reasons["unbounded"]],
        ["  parameters without bound", reasons["infinite"]],
        ["  refused with an error", reasons["refused"]],
        ["  unexplained", reasons["unexplained"]],
        ["iterations (median, 90 %, largest)",
         f"{np.median(steps):.0f}, {np.quantile(steps, 0.9):.0f}, {steps.max()}"],
        ["seconds per fit (median, 99 %, largest)",
         f"{np.median(spent):.4f}, {np.quantile(spent, 0.99):.2f}, {max(spent):.2f}"],
        ["converged with a negative variance", sum(bool(record["negative"]) for record in done)],
        ["converged, but without (some) standard errors", sum(bool(r["doubt"]) for r in done)],
    ]  # fmt: skip
    return table(("", "fits"), rows)


def by_tag(records: list[Record], tag: str) -> str:
    """Share that converged by what was drawn."""
    groups: dict[str, list[bool]] = {}
    for record in records:
        groups.setdefault(str(record[tag]), []).append(record["status"] == "converged")
    rows = [
        [kind, len(flags), f"{100 * np.mean(flags):.0f} %"]
        for kind, flags in sorted(groups.items())
    ]
    return table((tag, "models", "converged"), rows)


def comparison(records: list[Record], theirs: dict[int, Record]) -> tuple[str, list[Record]]:
    """Counts against lavaan, and the cases that need a word."""
    outcomes = {
        number: versus(record, theirs[number])
        for record in records
        if (number := record["number"]) in theirs
    }
    counts = Counter(outcomes.values())
    share = np.mean([answer["status"] == "converged" for answer in theirs.values()])
    labels = {
        "equal": f"log-likelihoods equal (within {EQUAL:g})",
        "higher": "mlsem's higher",
        "lower": "mlsem's lower",
        "another model": "another number of parameters",
        "only mlsem": "only mlsem converged",
        "only lavaan": "only lavaan converged",
        "neither": "neither converged",
    }
    head = f"lavaan converged in {100 * share:.1f} % (at most 500 iterations)."
    text = head + "\n\n" + table(("", "fits"), [[labels[key], counts[key]] for key in labels])
    words = []
    for record in records:
        kind = outcomes.get(record["number"])
        if kind in ("higher", "lower", "only lavaan", "another model"):
            answer = theirs[record["number"]]
            words.append(
                {
                    "number": record["number"],
                    "outcome": kind,
                    "mlsem": record.get("loglik", float("nan")),
                    "lavaan": answer["loglik"],
                    "other": record.get("other"),
                }
            )
    return text, words


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--lavaan", action="store_true", help="fit them in lavaan too")
    parser.add_argument("--others", action="store_true", help="other starts for converged fits too")
    parser.add_argument("--bounds", action="store_true", help='the same with bounds="wide"')
    parser.add_argument("--save", action="store_true", help="write results/random_models.*")
    chosen = parser.parse_args()
    records = [fit_one(draw(number)) for number in range(chosen.count)]
    data: Record = {"machine": machine(), "records": records}
    parts = ["# Random models", machine() + ".", describe(records)]
    parts += [by_tag(records, tag) for tag in ("sizes", "between variance", "within", "between")]
    failed = [record for record in records if record["status"] != "converged"]
    cells = [
        [r["number"], r.get("class", r["status"]), f"{r.get('loglik', float('nan')):.4f}",
         r["within"], r["between"], r["sizes"], r["why"]]
        for r in failed
    ]  # fmt: skip
    head = ("number", "class", "log-likelihood", "within", "between", "sizes", "why")
    parts += ["## What did not converge", table(head, cells)]
    if chosen.lavaan and has_r("lavaan"):
        data["lavaan"] = lavaan_fits(chosen.count)
        text, words = comparison(records, data["lavaan"])
        parts += ["## Against lavaan", text]
        for word in words:
            if word["outcome"] == "lower" and word["other"] is None:
                better = other_maximum(draw(word["number"]))
                word["other"] = None if better is None else better.loglik
        cells = [
            [w["number"], w["outcome"], f"{w['mlsem']:.6f}", f"{w['lavaan']:.6f}",
             f"{w['mlsem'] - w['lavaan']:+.2e}", "" if w["other"] is None else f"{w['other']:.6f}"]
            for w in words
        ]  # fmt: skip
        head = ("number", "outcome", "mlsem", "lavaan", "difference", "mlsem, other starts")
        parts.append(table(head, cells))
    if chosen.bounds:
        data["wide"] = [fit_wide(draw(record["number"])) for record in records]
        parts += ['## With `bounds="wide"`', describe_wide(records, data["wide"])]
    if chosen.others:
        fine = [record["number"] for record in records if record["status"] == "converged"]
        data["others"] = restarted(fine)
        cells = [
            [r["number"], f"{r['gain']:+.4f}", r["how"], ", ".join(r["negative"])]
            for r in data["others"]
        ]
        parts += [
            "## Converged, but another start finds a higher maximum",
            table(("number", "gain", "from", "negative variances there"), cells),
        ]
    text = "\n\n".join(parts)
    print(text)
    if chosen.save:
        save("random_models", text, data)


if __name__ == "__main__":
    main()
