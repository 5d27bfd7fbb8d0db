"""The cases of tests/reference: what lavaan found, by (lhs, op, rhs, level), and our fits."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

import mlsem

FOLDER = Path(__file__).parents[1] / "reference"
CONSTRAINTS = ("==", "<", ">")


@dataclass(frozen=True, eq=False)
class Case:
    """A fit of lavaan. `estimates` has its rows in its order, without those of constraints."""

    name: str
    record: dict
    estimates: pd.DataFrame

    @property
    def remaining(self):
        """Standard errors between lavaan's estimates and its optimum, by its own derivatives."""
        return self.record.get("remaining")

    @property
    def measures(self):
        return self.record["fit"]

    @property
    def names(self):
        """Names of the free parameters, each label once."""
        return list(dict.fromkeys(self.record["coef_names"]))

    @property
    def params(self):
        values = dict(zip(self.record["coef_names"], self.record["coef"], strict=True))
        return np.array([values[name] for name in self.names])

    @property
    def vcov(self):
        first = [self.record["coef_names"].index(name) for name in self.names]
        return np.atleast_2d(self.record["vcov"])[np.ix_(first, first)]

    def fit(self):
        options = dict(self.record.get("options") or {})
        if "level:" not in self.record["model"] and "~1" in set(self.estimates["op"]):
            options["meanstructure"] = True  # lavaan's robust errors bring the intercepts along
        options.setdefault("missing", "listwise")
        options = tuple(sorted(options.items()))
        return fitted(
            self.record.get("fun", "sem"),
            self.record["model"],
            self.record["data"],
            self.record.get("cluster"),
            options,
        )


@cache
def frame(name):
    return pd.read_csv(FOLDER / "data" / name)


@cache
def fitted(fun, model, data, cluster, options):
    keywords = {name.replace(".", "_"): value for name, value in options}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "negative variance", mlsem.EstimationWarning)
        return getattr(mlsem, fun)(model, frame(data), cluster=cluster, **keywords)


def load(file):
    cases = json.loads((FOLDER / file).read_text("utf-8"))["cases"]
    return {name: Case(name, record, _estimates(record)) for name, record in cases.items()}


def _estimates(record):
    table = pd.DataFrame({name: _column(values) for name, values in record["estimates"].items()})
    table["level"] = table.get("block", 1)
    table.loc[table["op"] == ":=", "level"] = 0
    table = table[~table["op"].isin(CONSTRAINTS)]
    numbers = ["est", "se", "z", "pvalue", "ci.lower", "ci.upper"]
    return table.astype(dict.fromkeys(numbers, float)).reset_index(drop=True)


def _column(values):
    return [np.nan if value is None else value for value in values]


def key(lhs, op, rhs, level):
    """What a row is, wherever it stands: covariances have no direction."""
    if op == "~~":
        lhs, rhs = sorted((lhs, rhs))
    return lhs, op, "" if op == ":=" else rhs, int(level)


def indexed(table):
    keys = [key(*row) for row in table[["lhs", "op", "rhs", "level"]].itertuples(index=False)]
    assert len(set(keys)) == len(keys)
    return table.set_axis(pd.MultiIndex.from_tuples(keys), axis=0)


def matched(case):
    """Our rows and lavaan's, in lavaan's order."""
    theirs = indexed(case.estimates)
    ours = indexed(case.fit().parameter_estimates())
    assert set(ours.index) == set(theirs.index)
    return ours.loc[theirs.index], theirs
