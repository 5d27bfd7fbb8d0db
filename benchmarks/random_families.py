"""330 random models of 22 families: what converges and holds, with lavaan beside.

python -m benchmarks.random_families [--each 15] [--lavaan] [--save]

Every fit that converged is compared with the dense likelihood, its constraints and its gradient.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

import mlsem
from benchmarks.common import has_r, machine, save, table
from benchmarks.random_models import EQUAL, in_lavaan, versus
from tests.fuzz.model_fuzzer import FAMILIES, complaints, model

Record = dict[str, Any]
ONLY_HERE = ("random_slope",)
"""lavaan 0.6-14 has no slopes that vary."""
SPLIT = ("split_covariate", "mediation_from_above", "outcome_above")
"""Families with a covariate named at both levels. Its moments are parameters here: lavaan's
`fixed.x = TRUE` holds them at its saturated estimates, whose search ends early (its
log-likelihoods are then up to 1.8 lower or .1 higher; with free moments they are equal)."""
HELD = 1e-6


def drawn(number: int) -> tuple[str, str, pd.DataFrame, Record]:
    """Number k is the model of seed k, of family k modulo their number."""
    names = list(FAMILIES)
    name, text, data, options = model(number, names[number % len(names)])
    return name, text, data, options | ({"fixed_x": False} if name in SPLIT else {})


def quietly(*args: Any, **options: Any) -> mlsem.FitResult:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlsem.fit(*args, **options)


def fit_one(number: int) -> Record:
    """The fit with defaults, and what is wrong with it."""
    name, text, data, options = drawn(number)
    record: Record = {"number": number, "family": name}
    began = time.process_time()
    try:
        result = quietly(text, data, **options)
    except mlsem.MlsemError as error:
        return record | {"status": type(error).__name__, "why": str(error).splitlines()[0]}
    return record | {
        "seconds": time.process_time() - began,
        "status": result._estimates.optimum.status,
        "loglik": result._estimates.optimum.loglik,
        "where": result._estimates.optimum.where,
        "parameters": len(result.table.names),
        "wrong": complaints(result, data, options["cluster"]) if result.converged else [],
    }


def lavaan_fits(count: int) -> dict[int, Record]:
    """The same models in lavaan, of which the products are columns."""
    models, options = [], []
    for number in range(count):
        _, text, data, chosen = drawn(number)
        models.append((text.replace("w1:x1", "w1x1"), data.assign(w1x1=data["w1"] * data["x1"])))
        options.append(
            {
                "fixed_x": int(chosen.get("fixed_x", True)),
                "clustered": int(chosen["cluster"] is not None),
                "std_lv": int(chosen.get("std_lv", False)),
                "bounds": chosen.get("bounds", "none"),
                "meanstructure": int(chosen.get("meanstructure", False)),
            }
        )
    return in_lavaan(models, pd.DataFrame(options))


def explain(ours: Record, theirs: Record) -> str:
    """What is at lavaan's estimates, where mlsem has none or less."""
    _, text, data, options = drawn(ours["number"])
    given = dict(pair.rsplit("=", 1) for pair in theirs["estimates"].split(";"))
    if options.get("bounds") == "pos.var":
        below = [name for name, value in given.items() if _is_variance(name) and float(value) < 0]
        if below:
            return f"lavaan bounds level 1 only: {', '.join(below)} below 0"
    try:
        names = mlsem.check(text, data, **options).names
    except (mlsem.MlsemError, TypeError):
        names = tuple(given)
    start = {name.replace("w1x1", "w1:x1"): float(value) for name, value in given.items()}
    start = {name: value for name, value in start.items() if name in names}
    try:
        found = quietly(text, data, start=start, **options)
    except mlsem.MlsemError as error:
        return f"started there: {str(error).splitlines()[0]}"
    said = f"started there: {found._estimates.optimum.status}"
    if found._estimates.optimum.where:
        said += f" ({found._estimates.optimum.where})"
    said += f", {found._estimates.optimum.loglik:.6f}"
    below = [row for row in found.table.rows if row.op == "~~" and row.lhs == row.rhs]
    negative = [
        found.table.names[row.free]
        for row in below
        if row.free >= 0 and found.estimates[row.free] < 0
    ]
    return said + (f"; below 0: {', '.join(negative)}" if negative else "")


def describe(records: list[Record]) -> str:
    done = [record for record in records if record["status"] == "converged"]
    kinds = Counter(record["status"] for record in records)
    others = ", ".join(f"{kind}: {n}" for kind, n in kinds.items() if kind != "converged")
    wrong = Counter(each.partition(" = ")[0] for record in done for each in record["wrong"])
    rows = [
        ["converged", f"{len(done)} of {len(records)} ({len(done) / len(records):.1%})"],
        ["not converged, or refused", others or "none"],
        ["converged with a wrong log-likelihood (dense check)", wrong["log-likelihood"]],
        [f"converged with a constraint or bound missed by more than {HELD:g}",
         wrong["constraint missed by"] + wrong["bound missed"]],
        ["converged with a gradient that is not zero", wrong["gradient"]],
    ]  # fmt: skip
    return table(("", "fits"), rows)


def against(records: list[Record], theirs: dict[int, Record]) -> str:
    """The counts by family, and a word on each case where lavaan has more."""
    labels = ("equal", "higher", "lower", "another model", "only mlsem", "only lavaan", "neither")
    counts: dict[str, Counter[str]] = {}
    cells = []
    for record in records:
        family, number = record["family"], record["number"]
        if family in ONLY_HERE:
            continue
        answer = theirs[number]
        kind = versus(record, answer)
        counts.setdefault(family, Counter())[kind] += 1
        if kind in ("lower", "only lavaan", "another model", "higher"):
            why = explain(record, answer) if kind != "higher" else ""
            cells.append(
                [number, family, kind, _number(record.get("loglik", math.nan)),
                 _number(answer["loglik"]), record["status"], why or record.get("where", "")]
            )  # fmt: skip
    total: Counter[str] = sum(counts.values(), Counter())
    rows = [[family, *(each[label] for label in labels)] for family, each in counts.items()]
    rows.append(["all", *(total[label] for label in labels)])
    compared = [r["number"] for r in records if r["family"] not in ONLY_HERE]
    done = np.mean([theirs[number]["status"] == "converged" for number in compared])
    head = (
        f"{len(compared)} models that lavaan fits too ({', '.join(ONLY_HERE)}: it cannot). It "
        f"converged in {done:.1%}. Log-likelihoods within {EQUAL:g} are equal."
    )
    counted = table(("family", *labels), rows)
    names = ("number", "family", "outcome", "mlsem", "lavaan", "status here", "why")
    return "\n\n".join([head, counted, table(names, cells)])


def _is_variance(name: str) -> bool:
    sides = name.removesuffix(".l2").split("~~")
    return len(sides) == 2 and sides[0] == sides[1]


def _number(value: float) -> str:
    return f"{value:.6f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=15, help="models of each family")
    parser.add_argument("--lavaan", action="store_true", help="fit them in lavaan too")
    parser.add_argument("--save", action="store_true", help="write results/random_families.*")
    chosen = parser.parse_args()
    count = chosen.each * len(FAMILIES)
    records = [fit_one(number) for number in range(count)]
    data: Record = {"machine": machine(), "records": records}
    parts = ["# Random models of many families", machine() + ".", describe(records)]
    wrong = [[r["number"], r["family"], "; ".join(r["wrong"])] for r in records if r.get("wrong")]
    if wrong:
        parts.append(table(("number", "family", "wrong"), wrong))
    if chosen.lavaan and has_r("lavaan"):
        data["lavaan"] = lavaan_fits(count)
        parts += ["## Against lavaan", against(records, data["lavaan"])]
    text = "\n\n".join(parts)
    print(text)
    if chosen.save:
        save("random_families", text, data)


if __name__ == "__main__":
    main()
