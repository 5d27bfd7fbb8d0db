"""KC, MD, FG, MBN by their n x n definitions (scipy's principal square root), to the last digits.

python make_gee_own.py DIR. alpha: "p" has pairs - p and N - p in its denominators (gee, SAS, SPSS,
statsmodels), "plain" has not (geepack).
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.linalg import sqrtm

DIR = sys.argv[1]
d = pd.read_csv(f"{DIR}/data/trial.csv").sort_values("school", kind="stable")
c = np.unique(d.school, return_inverse=True)[1]
J = 12
n = np.bincount(c)
X4 = np.column_stack([np.ones(len(d)), d.trt, d.w, d.x, d.female])
X3 = X4[:, [0, 1, 3, 4]]
X2 = X4[:, [0, 1, 3]]
link = {
    "binomial": (lambda e: 1 / (1 + np.exp(-e)), lambda m: m * (1 - m), lambda m: m * (1 - m)),
    "poisson": (np.exp, lambda m: m, lambda m: m),
    "gaussian": (lambda e: e, lambda m: 1 + 0 * m, lambda m: 1 + 0 * m),
}
cases = {
    "logit": (X4, d.y, "binomial"),
    "poisson": (X4, d.y, "poisson"),
    "linear": (X3, d.score, "gaussian"),
    "count": (X2, d["count"], "poisson"),
}
out = {}
for name, (X, y, fam) in cases.items():
    y = y.to_numpy(float)
    mu_, dm_, v_ = link[fam]
    N, p = X.shape
    for corr in ("independence", "exchangeable"):
        for how in ("p", "plain") if corr == "exchangeable" else ("p",):
            b = np.zeros(p)
            rho = 0.0
            for it in range(200):
                m = mu_(X @ b)
                D = X * dm_(m)[:, None]
                v = v_(m)
                r = (y - m) / np.sqrt(v)
                k = p if how == "p" else 0
                phi = r @ r / (N - k)
                if corr == "exchangeable" and it > 4:
                    s = sum(r[c == j].sum() ** 2 - (r[c == j] ** 2).sum() for j in range(J)) / 2
                    rho = s / phi / ((n * (n - 1) / 2).sum() - k)
                Vi = [
                    np.linalg.inv(
                        np.sqrt(np.outer(v[c == j], v[c == j])) * (rho + (1 - rho) * np.eye(n[j]))
                    )
                    for j in range(J)
                ]
                B = [D[c == j].T @ Vi[j] @ D[c == j] for j in range(J)]
                s_ = [D[c == j].T @ Vi[j] @ (y - m)[c == j] for j in range(J)]
                step = np.linalg.solve(sum(B), sum(s_))
                b = b + step
                if it > 8 and np.abs(step).max() < 1e-15:
                    break
            M = np.linalg.inv(sum(B))
            u = {k: [] for k in ("CR0", "KC", "MD", "FG")}
            for j in range(J):
                Dj, e = D[c == j], (y - m)[c == j]
                H = Dj @ M @ Dj.T @ Vi[j]
                one = np.eye(n[j])
                u["CR0"].append(s_[j])
                u["KC"].append(Dj.T @ Vi[j] @ np.real(np.linalg.inv(sqrtm(one - H))) @ e)
                u["MD"].append(Dj.T @ Vi[j] @ np.linalg.solve(one - H, e))
                u["FG"].append(s_[j] / np.sqrt(1 - np.minimum(0.75, np.diag(B[j] @ M))))
            V = {k: M @ np.array(a).T @ np.array(a) @ M for k, a in u.items()}
            V["MBN"] = (N - 1) / (N - p) * J / (J - 1) * V["CR0"] + min(0.5, p / (J - p)) * max(
                1.0, np.trace(M @ np.array(s_).T @ np.array(s_)) / p
            ) * M
            out[f"{name}_{corr}" + ("" if corr == "independence" else f"_{how}")] = dict(
                coef=b.tolist(),
                rho=rho,
                phi=phi,
                model=(M * (phi if fam == "gaussian" else 1)).tolist(),
                **{k: a.tolist() for k, a in V.items()},
            )
Path(f"{DIR}/gee_own.json").write_text(json.dumps(out))
