"""Mixed models with residual variances by group, as dense matrices have them: y = X β + Z b + ε,
V_j = Z_j Ψ Z_jᵀ + diag(σ_g²)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from dense_cr import DenseCR

FOLDER = Path(__file__).parents[1] / "reference" / "trials"
FORMULA = "y ~ arm + x + group + (1 | id)"
SLOPES = "y ~ arm + x + group + (x | id)"
BY = {"equal": None, "group": "group", "arm": "arm", "group_arm": ["group", "arm"]}


@cache
def reference():
    """`fits` and `tests` of mixed.json, `slopes` and `rows` of unequal.json."""
    mixed, more = (
        json.loads((FOLDER / name).read_text("utf-8")) for name in ("mixed.json", "unequal.json")
    )
    fits = {name: fit for name, fit in mixed["unequal"].items() if "exp" not in name}
    return {"fits": fits, "tests": mixed["tests"], **more}


@cache
def data():
    return pd.read_csv(FOLDER / "data" / "unequal.csv")


class DenseUnequal:
    """Of the data above: parameters in the order of the fit, β, then Ψ (its parts by rows of the
    lower triangle, variances first as in the fit), then σ_g²."""

    def __init__(self, by, *, slopes):
        rows = data()
        self.y, ones = rows["y"].to_numpy(), np.ones(len(rows))
        dummies = [(rows["group"] == level).to_numpy(float) for level in "bc"]
        self.X = np.column_stack([ones, rows["arm"], rows["x"], *dummies])
        self.Z = np.column_stack([ones, rows["x"]])[:, : 1 + slopes]
        names = [by] if isinstance(by, str) else by
        labels = rows[names].astype(str).agg(":".join, axis=1)
        self.labels = sorted(set(labels))
        self.classes = labels.map(self.labels.index).to_numpy()
        ids = rows["id"].to_numpy()
        self.clusters = [np.flatnonzero(ids == each) for each in pd.unique(ids)]
        self.n_fixed, self.slopes = self.X.shape[1], slopes

    def covariances(self, params):
        own = params[self.n_fixed :]
        if self.slopes:
            a, b, c = own[:3]
            psi, sigma2 = np.array([[a, c], [c, b]]), own[3:]
        else:
            psi, sigma2 = own[:1, None], own[1:]
        return [
            self.Z[r] @ psi @ self.Z[r].T + np.diag(sigma2[self.classes[r]]) for r in self.clusters
        ]

    def by_cluster(self, params):
        """Log-likelihood of each cluster."""
        found = []
        for r, V in zip(self.clusters, self.covariances(params), strict=True):
            e = self.y[r] - self.X[r] @ params[: self.n_fixed]
            determinant = np.linalg.slogdet(V)[1]
            found.append(len(r) * np.log(2 * np.pi) + determinant + e @ np.linalg.solve(V, e))
        return -0.5 * np.array(found)

    def information(self, params):
        """Σ X_jᵀ V_j⁻¹ X_j."""
        parts = zip(self.clusters, self.covariances(params), strict=True)
        return sum(self.X[r].T @ np.linalg.solve(V, self.X[r]) for r, V in parts)

    def loglik(self, params, *, restricted):
        if not restricted:
            return float(self.by_cluster(params).sum())
        information = self.information(params)
        parts = zip(self.clusters, self.covariances(params), strict=True)
        slope = sum(self.X[r].T @ np.linalg.solve(V, self.y[r]) for r, V in parts)
        best = np.concatenate((np.linalg.solve(information, slope), params[self.n_fixed :]))
        penalty = np.linalg.slogdet(information)[1] - self.n_fixed * np.log(2 * np.pi)
        return float(self.by_cluster(best).sum()) - 0.5 * penalty

    def robust(self, params):
        parts = list(zip(self.clusters, self.covariances(params), strict=True))
        residuals = self.y - self.X @ params[: self.n_fixed]
        return DenseCR([self.X[r] for r, _ in parts], [V for _, V in parts],
                       [residuals[r] for r, _ in parts])  # fmt: skip
