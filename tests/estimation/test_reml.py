"""Restricted likelihood against dense matrices, and lme4's fits of mixed models."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from differences import jacobian
from kinds import UNBALANCED, Kind, point_inside, pose
from slope_kinds import SLOPES, slope_data
from test_slopes import close

import mlsem
from mlsem.core.implied.means import mean_parameters
from mlsem.core.optimise.maximise import maximize
from mlsem.core.restricted.components import ComponentObjective, components
from mlsem.core.restricted.general import RemlObjective
from mlsem.core.slopes.carriers import slope_moments

REFERENCE = Path(__file__).parents[1] / "reference"
LME4 = json.loads((REFERENCE / "lmm.json").read_text())["models"]
LINEAR = ["one slope", "no random intercept", "two slopes", "slope of a product"]
MIXED = {name: SLOPES[name] for name in LINEAR} | {
    "random intercept": Kind("level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1"),
    "labels and constants": Kind(
        'level: 1\n y1 ~ rv("s")*x1 + 0.2*x2\n y1 ~~ v*y1\n'
        "level: 2\n y1 ~ 0.3*1 + w1\n y1 ~~ v*y1 + 0.05*s\n s ~~ s"
    ),
}
OTHERS = {
    "several outcomes": SLOPES["several outcomes"],
    "level-2 outcome": Kind('level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~~ z1 + s\n z1 ~ w1'),
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
    return ComponentObjective(pattern, model), fixed, others


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


CASES = [(name, True) for name in MIXED] + [(name, False) for name in MIXED | OTHERS]


@pytest.mark.parametrize(("name", "mixed"), CASES)
def test_against_dense_matrices(name, mixed):
    model = pose((MIXED | OTHERS)[name], slope_data(5, UNBALANCED))
    objective, fixed, others = restricted(model.fit._estimates.problem, mixed=mixed)
    dense = DenseReml(model.dense, np.flatnonzero(fixed.any(axis=1)))
    params = point_inside(model, 1)
    point = objective.evaluate(params)
    np.testing.assert_allclose(point.loglik, dense.loglik(params), rtol=1e-11)
    close(point.params, dense.parts(params)[-1], 1e-10)
    close(
        objective.expected(point, objective.derivatives(point, others)),
        dense.expected(params, others),
        1e-9,
    )
    check_derivatives(objective, params, others, dense.loglik, 1e-9)


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


@pytest.mark.parametrize("name", MIXED)
def test_both_forms_go_where_the_other_goes(name):
    """Outside the parameter space, and from points whose fixed effects are absurd."""
    model = pose(MIXED[name], slope_data(5, UNBALANCED))
    problem = model.fit._estimates.problem
    (quick, fixed, _), (general, *_) = (restricted(problem, mixed=mixed) for mixed in (True, False))
    forms = (quick, general)
    params = point_inside(model, 2)
    far = params + 1e3 * fixed.sum(axis=1)
    first, second = (form.evaluate(far) for form in forms)
    np.testing.assert_allclose(first.loglik, second.loglik, rtol=1e-12)
    close(first.params, second.params, 1e-9)
    close(first.root @ first.root.T, second.root @ second.root.T, 1e-9)
    variances = [k for k, n in enumerate(problem.table.names) if n.partition("~~")[1]]
    outside = params.copy()
    outside[variances] = -10.0
    assert [form.evaluate(outside) for form in forms] == [None, None]


def test_only_linear_mixed_models_of_one_outcome_have_components():
    for kind in OTHERS.values():
        problem = pose(kind, slope_data(5, UNBALANCED)).fit._estimates.problem
        pattern = problem.objective.pattern
        data = slope_moments(pattern, problem.moments)
        assert components(pattern, data, np.eye(pattern.n_params), problem.guess) is None


# --- lme4 -----------------------------------------------------------------------------------------


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


def models(*, reml):
    return [name for name, case in LME4.items() if case["REML"] == reml]


@pytest.mark.parametrize("name", models(reml=True))
def test_lme4_reml(name):
    """ℓ_R at lme4's estimates; fixed effects and their standard errors there and at our optimum."""
    case = LME4[name]
    fit, params, fixed = posed(case)
    objective, means, others = restricted(fit._estimates.problem)
    point = objective.evaluate(params)
    np.testing.assert_allclose(point.loglik, case["logLik"], atol=1e-8)
    optimum = maximized(objective, objective.evaluate(fit._estimates.optimum.params), others)
    assert optimum.converged
    assert optimum.n_iterations < 12
    assert optimum.point.loglik >= case["logLik"] - 1e-9
    for at in (point, optimum.point):
        direction = means @ at.root
        se = np.sqrt(np.einsum("ik,ik->i", direction, direction))[fixed]
        np.testing.assert_allclose(se, case["se_model"], rtol=1e-5)
        assert (np.abs(at.params[fixed] - case["fixef"]) < 1e-5 * se).all()
    np.testing.assert_allclose(optimum.params, params, rtol=1e-5, atol=1e-6)


def maximized(objective, start, free):
    first = objective.conditioned(start, free)
    return maximize(objective, start, free, first, tol=1e-8, max_iter=50)


@pytest.mark.parametrize("name", models(reml=False))
def test_lme4_ml(name):
    case = LME4[name]
    fit, params, fixed = posed(case)
    np.testing.assert_allclose(
        fit._estimates.problem.objective.evaluate(params).loglik, case["logLik"]
    )
    np.testing.assert_allclose(fit.loglik, case["logLik"], atol=1e-8)
    np.testing.assert_allclose(
        fit._estimates.optimum.params[fixed], case["fixef"], rtol=1e-5, atol=1e-6
    )
