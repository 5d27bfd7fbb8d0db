"""The cases of lme4 and clubSandwich in tests/reference."""

from __future__ import annotations

import json
import re
import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
from dense_cr import DenseCR
from kinds import fit_at
from reference import FOLDER, frame

import mlsem

ALONE = "one_treated_ri"  # has a cluster of leverage 1: what clubSandwich says of it is rounding


class Case:
    """A model of lmm.json or clubsandwich.json, written for mlsem."""

    def __init__(self, name, record):
        self.name, self.record = name, record
        self.data = frame(Path(record["data_file"]).name)
        self.outcome = record["formula"].split("~")[0].strip()
        random = re.search(r"\|\s*(\w+)\)", record["formula"])
        self.group = random[1] if random else None
        self.terms = record["coef_names"][1:]

    @property
    def has_random_slope(self):
        return self.group is not None and "(1 |" not in self.record["formula"]

    @property
    def text(self):
        y = self.outcome
        if self.group is None:
            return f"{y} ~ {' + '.join(self.terms)}"
        lines = []
        for number, inside in ((1, True), (2, False)):
            terms = [term for term in self.terms if self._is_within(term) == inside]
            lines += [f"level: {number}", f"{y} ~ {' + '.join(terms)}" if terms else f"{y} ~~ {y}"]
        return "\n".join(lines)

    def _is_within(self, term):
        if self.group is None:
            return True
        groups = self.data.groupby(self.group)
        return any((groups[factor].nunique() > 1).any() for factor in term.split(":"))

    @property
    def names(self):
        """Names of the fixed effects, in the order of the record."""
        second = "" if self.group is None else ".l2"
        own = [f"{self.outcome}~{t}{'' if self._is_within(t) else second}" for t in self.terms]
        return [f"{self.outcome}~1{second}", *own]

    @cached_property
    def fit(self):
        robust = self.record["cluster"]
        cluster = {"cluster": self.group or robust, "se_cluster": robust}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mlsem.InferenceWarning)
            means = {} if self.group else {"meanstructure": True}
            options = {"se": "CR0", "missing": "listwise"} | cluster | means
            return mlsem.fit(self.text, self.data, **options)

    @cached_property
    def fit_at_theirs(self):
        """With lme4's fixed effects and variance components in place of our estimates."""
        params = self.fit.params
        params[self.names] = self.record["fixef"]
        variance = f"{self.outcome}~~{self.outcome}"
        params[variance] = self.record["sigma2"]
        if self.group is not None:
            params[f"{variance}.l2"] = self.record["sigma2"] * self.theta**2
        return fit_at(self.fit, params)

    @property
    def theta(self):
        """Standard deviation of the random intercept over the residual one."""
        return 0.0 if self.group is None else float(np.ravel(self.record["theta"])[0])

    @cached_property
    def dense(self):
        robust, factors = self.record["cluster"], {f for t in self.terms for f in t.split(":")}
        used = self.data.dropna(subset=[self.outcome, *factors, robust])
        X = [np.ones(len(used))]
        X += [np.prod([used[f] for f in t.split(":")], axis=0) for t in self.terms]
        X = np.column_stack(X)
        V = np.eye(len(used))
        if self.group is not None:
            ids = used[self.group].to_numpy()
            V += self.theta**2 * (ids[:, None] == ids)
        e = used[self.outcome].to_numpy() - X @ self.record["fixef"]
        labels = used[robust].to_numpy()
        rows = [np.flatnonzero(labels == each) for each in np.unique(labels)]
        return DenseCR([X[r] for r in rows], [V[np.ix_(r, r)] for r in rows], [e[r] for r in rows])


def load(file):
    models = json.loads((FOLDER / file).read_text("utf-8"))["models"]
    return {name: Case(name, record) for name, record in models.items()}


ALL = load("lmm.json") | load("clubsandwich.json")


CASES = {name: case for name, case in ALL.items() if not case.has_random_slope}


ML = {name: case for name, case in CASES.items() if not case.record["REML"]}


WHOLE = {name: case for name, case in CASES.items() if name != ALONE}


# z has mean 1000, and lme4 rounds: with z - 1000 the dense values move by 1e-10 only
ROUNDED = {"mean_1000": 1e-8}
