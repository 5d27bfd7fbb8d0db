"""Other Python packages that fit one random intercept, each in its own way.

python -m benchmarks.peers PACKAGE CLUSTERS SIZE   times one in a process of its own
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import pandas as pd

from benchmarks.cases import RANDOM_INTERCEPT, random_intercept
from benchmarks.common import child, clock, median, repeats_for, seconds

FORMULA = "y ~ x1 + w1 + w1:x1"
TERMS = ("Intercept", "x1", "w1", "w1:x1")
SIZES = ((50, 10), (1000, 20), (10_000, 50))
BUDGET, PATIENCE = 4.0, 300.0

Answer = dict[str, float]


def _mlsem(data: pd.DataFrame, estimator: str) -> Callable[[], Answer]:
    import mlsem

    names = dict(zip(TERMS, ("y~1.l2", "y~x1", "y~w1.l2", "y~w1:x1"), strict=True))

    def call() -> Answer:
        result = mlsem.fit(RANDOM_INTERCEPT, data, cluster="id", estimator=estimator)
        result.parameter_estimates()
        params = result.params
        return {term: float(params[name]) for term, name in names.items()}

    return call


def _statsmodels(data: pd.DataFrame) -> Callable[[], Answer]:
    from statsmodels.regression.mixed_linear_model import MixedLM

    def call() -> Answer:
        params = MixedLM.from_formula(FORMULA, data, groups=data["id"]).fit(reml=False).params
        return {term: float(params[term]) for term in TERMS}

    return call


def _mixedlm(data: pd.DataFrame) -> Callable[[], Answer]:
    import mixedlm

    def call() -> Answer:
        effects = mixedlm.lmer(f"{FORMULA} + (1 | id)", data, REML=False).fixef()
        return {_term(name): float(value) for name, value in effects.items()}

    return call


def _mixedlm_rs(data: pd.DataFrame) -> Callable[[], Answer]:
    from mixedlm_rs import MixedLM

    def call() -> Answer:
        result = MixedLM.from_formula(FORMULA, data, groups=data["id"]).fit(reml=False)
        return dict(zip(TERMS, map(float, _ordered(result)), strict=True))

    return call


def _ordered(result: Any) -> list[float]:
    names = [_term(name) for name in result.model.exog_names]
    values = dict(zip(names, result.fe_params, strict=True))
    return [values[term] for term in TERMS]


def _lme_python(data: pd.DataFrame) -> Callable[[], Answer]:
    import lme_python
    import polars

    frame = polars.DataFrame({name: data[name].to_numpy() for name in data})

    def call() -> Answer:
        result = lme_python.lmer(f"{FORMULA} + (1 | id)", data=frame, reml=False)
        names = map(_term, result.fixed_names)
        return dict(zip(names, map(float, result.coefficients), strict=True))

    return call


def _semopy(data: pd.DataFrame) -> Callable[[], Answer]:
    from semopy import ModelEffects

    frame = data.assign(int=data["w1"] * data["x1"], id=data["id"].astype(str))
    names = dict(zip(("1", "x1", "w1", "int"), TERMS, strict=True))

    def call() -> Answer:
        model = ModelEffects("y ~ x1 + w1 + int")
        model.fit(frame, group="id", obj="ML")
        found = model.inspect()
        paths = found[(found["op"] == "~") & found["rval"].isin(names)]
        return {
            names[row.rval]: float(row.Estimate) for row in paths.itertuples() if row.rval in names
        }

    return call


def _term(name: str) -> str:
    """The name of a fixed effect in any package's writing."""
    bare = name.strip("():")
    return {"x1:w1": "w1:x1", "1": "Intercept"}.get(bare, bare)


PEERS: dict[str, tuple[str, Callable[[pd.DataFrame], Callable[[], Answer]]]] = {
    "mlsem (ML)": ("mlsem", lambda data: _mlsem(data, "ML")),
    "mlsem (MLR)": ("mlsem", lambda data: _mlsem(data, "MLR")),
    "lme-python": ("lme-python", _lme_python),
    "mixedlm": ("mixedlm", _mixedlm),
    "mixedlm-rs": ("mixedlm-rs", _mixedlm_rs),
    "statsmodels MixedLM": ("statsmodels", _statsmodels),
    "semopy ModelEffects": ("semopy", _semopy),
}


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "source" if package == "mlsem" else None


def peer_rows(
    chosen: Sequence[str],
) -> tuple[tuple[str, ...], list[dict[str, Any]], list[list[str]]]:
    """Head, records and cells of the table of packages."""
    head = ("package", *(f"{j:,} × {n}" for j, n in SIZES), "first call, 50 × 10", "deviation")
    records: list[dict[str, Any]] = []
    truth: dict[int, Answer] = {}
    for name in chosen:
        package, _ = PEERS[name]
        if version(package) is None:
            records.append({"package": name, "runs": [], "note": "not installed: left out"})
            continue
        runs: list[dict[str, Any]] = []
        for k, (clusters, size) in enumerate(SIZES):
            if runs and "error" in runs[-1]:
                runs.append({"error": "not tried"})
                continue
            run = child("benchmarks.peers", name, str(clusters), str(size), timeout=PATIENCE)
            if package == "mlsem" and "answer" in run:
                truth.setdefault(k, run["answer"])
            runs.append(run)
        records.append({"package": f"{name} {version(package)}", "runs": runs})
    return head, records, [_cells(record, truth) for record in records]


def _cells(record: dict[str, Any], truth: dict[int, Answer]) -> list[str]:
    if not record["runs"]:
        return [record["package"], record["note"], *[""] * (len(SIZES) + 1)]
    times = [
        f"{seconds(run['median'])} ({seconds(run['cpu'])})" if "median" in run else run["error"]
        for run in record["runs"]
    ]
    away = [
        max(abs(run["answer"].get(term, float("nan")) - truth[k][term]) for term in TERMS)
        for k, run in enumerate(record["runs"])
        if "answer" in run and k in truth
    ]
    first = record["runs"][0]
    return [
        record["package"], *times, seconds(first.get("cold")), f"{max(away):.0e}" if away else "–"
    ]  # fmt: skip


def main(name: str, clusters: int, size: int) -> None:
    call = PEERS[name][1](random_intercept(clusters, size))
    cold = clock(call, 1)["wall"][0]
    warm_up = clock(call, 1)["wall"][0]
    runs = clock(call, repeats_for(warm_up, BUDGET, least=1))
    print(
        json.dumps(
            {
                "cold": cold,
                "median": median(runs["wall"]),
                "cpu": median(runs["cpu"]),
                "least": min(runs["wall"]),
                "answer": call(),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
