"""The restricted likelihood by dense matrices, and the models it is compared on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from dense_slopes import close
from differences import jacobian
from kinds import Kind
from slope_kinds import SLOPES

import mlsem
from mlsem.core.implied.means import mean_parameters
from mlsem.core.optimise.maximise import maximise
from mlsem.core.restricted.arranged import components
from mlsem.core.restricted.components import ComponentObjective
from mlsem.core.restricted.general import RemlObjective
from mlsem.core.slopes.carriers import slope_moments

REFERENCE = Path(__file__).parents[1] / "reference"


LINEAR = ["one slope", "no random intercept", "two slopes", "slope of a product"]


MIXED = {name: SLOPES[name] for name in LINEAR} | {
    "random intercept": Kind("level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1"),
    "labels and constants": Kind(
        'level: 1\n y1 ~ rv("s")*x1 + 0.2*x2\n y1 ~~ v*y1\n'
        "level: 2\n y1 ~ 0.3*1 + w1\n y1 ~~ v*y1 + 0.05*s\n s ~~ s"
    ),
}


def restricted(problem, *, mixed=True):
    """A REML objective of a problem, its fixed effects and its covariances."""
    pattern = problem.objective.pattern
    unit = np.eye(pattern.n_params)
    means = mean_parameters(pattern)
    fixed, others = unit[:, means], unit[:, ~means]
    data = slope_moments(pattern, problem.moments)
    if not mixed:
        return RemlObjective(pattern, data, fixed), fixed, others
    model = components(pattern, data, fixed, problem.guess)
    return ComponentObjective(model), fixed, others


class DenseReml:
    """ℓ_R = ℓ(β̂) - ½ log|Σ X_jᵀ V_j⁻¹ X_j| + (p/2) log 2π, from the dense clusters."""

    def __init__(self, dense, means):
        self.dense, self.means = dense, means

    def parts(self, params):
        unit = np.eye(len(params))
        here = self.dense.clusters(params)
        moved = [self.dense.clusters(params + unit[k]) for k in self.means]
        designs = [
            np.stack([each[j][1] - here[j][1] for each in moved], axis=1) for j in range(len(here))
        ]
        weighted = [np.linalg.solve(V, X) for (_, _, V), X in zip(here, designs, strict=True)]
        information = sum(X.T @ Y for X, Y in zip(designs, weighted, strict=True))
        slope = sum(Y.T @ (y - m) for (y, m, _), Y in zip(here, weighted, strict=True))
        best = params.copy()
        best[self.means] += np.linalg.solve(information, slope)
        return here, designs, information, best

    def loglik(self, params):
        *_, information, best = self.parts(params)
        p = len(self.means)
        penalty = 0.5 * np.linalg.slogdet(information)[1] - 0.5 * p * np.log(2 * np.pi)
        return self.dense.loglik(best) - penalty

    def expected(self, params, others, step=1e-3):
        """½ tr P V_a P V_b of all rows stacked."""
        from differences import WEIGHTS
        from scipy.linalg import block_diag

        def covariance(values):
            return block_diag(*[V for _, _, V in self.dense.clusters(values)])

        _, designs, information, _ = self.parts(params)
        inverse = np.linalg.inv(covariance(params))
        X = np.vstack(designs)
        P = inverse - inverse @ X @ np.linalg.solve(information, X.T @ inverse)
        sides = [
            P @ sum(w / step * covariance(params + k * step * each) for k, w in WEIGHTS)
            for each in others.T
        ]
        return np.array([[0.5 * np.sum(a * b.T) for b in sides] for a in sides])


def check_derivatives(objective, params, others, loglik, limit):
    """Gradient by differences of ℓ_R from dense matrices, observed information by differences of
    the gradient."""
    point = objective.evaluate(params)
    at = objective.derivatives(point, others)

    def along(values):
        return params + others @ values

    def slopes(values):
        return objective.derivatives(objective.evaluate(along(values)), others).gradient

    here = np.zeros(others.shape[1])
    close(at.gradient, jacobian(lambda values: loglik(along(values)), here), limit)
    close(objective.observed(point, at), -jacobian(slopes, here), 1e-8)


def translated(case):
    """Our text of `y ~ w1 + x1 + w1:x1 + (x1 | id)` and the like; lme4's estimates by our names."""
    sleep = "Reaction" in case["formula"]
    y, x = ("Reaction", "Days") if sleep else ("y", "x1")
    fixed = dict(zip(case["coef_names"], case["fixef"], strict=True))
    covs = {(v["var1"], v["var2"]): v["vcov"] for v in case["varcomp"]}
    values = {f"{y}~~{y}": case["sigma2"], f"{y}~~{y}.l2": covs["(Intercept)", None]}
    names = {"(Intercept)": f"{y}~1.l2", "w1": f"{y}~w1.l2"}
    if f"({x} |" in case["formula"]:
        within, between = f'{y} ~ rv("s")*{x}', f"{y} ~~ s"
        names |= {x: "s~1.l2", f"w1:{x}": "s~w1.l2"}
        values |= {"s~~s.l2": covs[x, None], f"s~~{y}.l2": covs["(Intercept)", x]}
        covariates = "" if sleep else f"\n {y} ~ w1\n s ~ w1"
    else:
        within, between = f"{y} ~ {x}" + ("" if sleep else f" + w1:{x}"), f"{y} ~~ {y}"
        names |= {x: f"{y}~{x}", f"w1:{x}": f"{y}~w1:{x}"}
        covariates = "" if sleep else f"\n {y} ~ w1"
    values |= {names[name]: value for name, value in fixed.items()}
    text = f"level: 1\n {within}\nlevel: 2\n {between}{covariates}"
    return text, values, [names[name] for name in case["coef_names"]]


def posed(case):
    """The problem, lme4's parameters in its order, and the positions of the fixed effects."""
    text, values, fixed = translated(case)
    data = pd.read_csv(REFERENCE / case["data_file"]).dropna()
    fit = mlsem.sem(text, data, cluster=case["cluster"], se="none")
    names = fit._estimates.problem.table.names
    params = np.array([values[name] for name in names])
    return fit, params, [names.index(name) for name in fixed]


def maximised(objective, start, free):
    first = objective.conditioned(start, free)
    return maximise(objective, start, free, first, tol=1e-8, max_iter=50)


LME4 = json.loads((REFERENCE / "lmm.json").read_text())["models"]
