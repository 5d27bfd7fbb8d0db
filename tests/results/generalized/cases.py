"""The cases of tests/reference/trials."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pandas as pd

import mlsem

FOLDER = Path(__file__).parents[2] / "reference" / "trials"


@cache
def read(name: str) -> dict:
    return json.loads((FOLDER / name).read_text())


@cache
def data(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "data" / f"{name}.csv")


@cache
def fitted(case: str) -> mlsem.GlmResult:
    """Of glm.json."""
    record, rows, more = read("glm.json")[case], data("trial"), {}
    formula = record["formula"]
    if case == "fixed_effects":
        formula, more = "score ~ x + female", {"absorb": "school"}
    elif case == "grouped_binomial":
        formula, rows = "prop(y, n) ~ trt + w + female", data("trial_grouped")
    elif case == "one_treated_logit":
        rows = data("one_treated")
    return mlsem.glm(
        formula, rows, cluster="school", family=record.get("family", "gaussian"), **more
    )
