"""Degrees of freedom of mixed models: lmerTest, pbkrtest, dense matrices and invariances."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dense import Dense
from dense_reml import MIXED, DenseReml
from differences import WEIGHTS, hessian, jacobian
from kinds import UNBALANCED
from scipy.linalg import block_diag
from slope_kinds import slope_data

import mlsem
from mlsem.core.implied.means import mean_parameters
from mlsem.errors import EstimationWarning, InferenceError, InferenceWarning
from mlsem.inference.covariance.mixed import fai_cornelius, scaled_moments

REFERENCE = Path(__file__).parents[1] / "reference"
LMERTEST = json.loads((REFERENCE / "lmm_df.json").read_text("utf-8"))["models"]
BY_REML = [name for name, case in LMERTEST.items() if case["REML"]]
LIMIT = 3e-6  # lme4 stops early by up to 1e-7 standard errors


def read(name):
    return pd.read_csv(REFERENCE / "data" / f"{name}.csv")


def fitted(case, **options):
    data = pd.read_csv(REFERENCE / case["data_file"])
    data = data.drop(index=[k - 1 for k in case["take"] or []])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        fit = mlsem.lmm(case["formula"], data, REML=case["REML"], **options)
    names = case["coef_names"]
    names = [names] if isinstance(names, str) else names
    return fit, names


def jointly(fit, names, want):
    contrasts = np.array(want["L"], float).reshape(-1, len(names))
    return fit.wald_test(pd.DataFrame(contrasts, columns=names))


def near(found, want, limit=LIMIT):
    np.testing.assert_allclose(found, np.array(want, float).reshape(np.shape(found)), rtol=limit)


@pytest.mark.parametrize("name", [name for name in LMERTEST if name != "sleep_singular"])
def test_satterthwaite_as_lmertest(name):
    case = LMERTEST[name]
    fit, names = fitted(case)
    rows = fit.tidy().dropna(subset="df")
    assert fit.df_method == "satterthwaite"
    assert len(rows) == len(names)
    near(fit.bse[names], case["se"])
    places = [fit.table.names.index(each) for each in names]
    near(fit.covariance.df[places], case["df"])
    near(fit.pvalues[names], case["p"], 1e-4)  # tails are steep
    for want in case["satterthwaite"].values():
        found = jointly(fit, names, want)
        assert (found.test, found.df) == ("F", want["ndf"])
        near([found.statistic, found.df_denom], [want["F"], want["ddf"]])
        near(found.pvalue, want["p"], 1e-4)


@pytest.mark.parametrize("name", BY_REML)
def test_kenward_roger_as_pbkrtest(name):
    """On the boundary too, where its expected information needs no gradient of zero."""
    case = LMERTEST[name]["kenward_roger"]
    fit, names = fitted(LMERTEST[name], df="Kenward-Roger")
    matrix = fit.vcov().loc[names, names].to_numpy()
    want = np.array(case["vcov"], float).reshape(matrix.shape)
    np.testing.assert_allclose(matrix, want, atol=LIMIT * np.abs(want).max())
    places = [fit.table.names.index(each) for each in names]
    near(fit.covariance.df[places], case["df"])
    for want in case["tests"].values():
        found = jointly(fit, names, want)
        assert (found.test, found.df_method, found.df) == ("F", "kenward-roger", want["ndf"])
        near([found.statistic, found.df_denom], [want["F"], want["ddf"]])
        near(1.0 if found.delta is None else found.delta, want["scaling"])
        near(found.pvalue, want["p"], 1e-4)


def test_machines():
    """Six clusters: the z test says .0010."""
    fit, _ = fitted(LMERTEST["machines_rs"])
    assert fit.pvalues["MachineB"] == pytest.approx(0.0217, abs=5e-5)
    with pytest.warns(InferenceWarning, match="6 clusters are few: z tests"):
        assert fit.with_se("standard", test="z").pvalues["MachineB"] < 0.00105


# --- dense matrices -------------------------------------------------------------------------------


class DenseModel:
    """Φ, V_k, W and what Kenward & Roger make of them, from N × N matrices."""

    def __init__(self, fit, data):
        self.fit, self.params = fit, fit.params.to_numpy()
        means = mean_parameters(fit._estimates.problem.objective.pattern)
        self.means, self.others = np.flatnonzero(means), np.eye(len(means))[:, ~means]
        self.reml = DenseReml(Dense(fit.table, data, "id"), self.means)

    def moved(self, step):
        return self.params + self.others @ step

    def phi(self, step):
        return np.linalg.inv(self.reml.parts(self.moved(step))[2])

    def spread(self):
        """W of REML or ML, from the Hessian in the interior."""
        origin = np.zeros(self.others.shape[1])
        restricted = self.fit.settings.estimator == "REML"
        if not self.fit.singular:

            def criterion(step):
                params = self.moved(step)
                if restricted:
                    return self.reml.loglik(params)
                return self.reml.dense.loglik(self.reml.parts(params)[3])

            return np.linalg.inv(-hessian(criterion, origin))
        if restricted:
            return np.linalg.inv(self.reml.expected(self.params, self.others))
        sides = self.inverse() @ self.changes()
        return np.linalg.inv(0.5 * np.einsum("kij,lji->kl", sides, sides))

    def covariance(self, params):
        return block_diag(*[V for _, _, V in self.reml.dense.clusters(params)])

    def inverse(self):
        return np.linalg.inv(self.covariance(self.params))

    def changes(self, step=1e-2):
        """V_k; V is linear, and the step of no account."""
        moves = step * self.others.T
        covariance = self.covariance
        return np.array(
            [sum(w / step * covariance(self.params + k * m) for k, w in WEIGHTS) for m in moves]
        )

    def satterthwaite(self, contrast):
        origin = np.zeros(self.others.shape[1])
        slope = jacobian(lambda step: contrast @ self.phi(step) @ contrast, origin)
        length = contrast @ self.phi(origin) @ contrast
        return 2 * length**2 / (slope @ self.spread() @ slope)

    def kenward_roger(self):
        """Φ, P_k, W and the adjusted covariance."""
        _, designs, information, _ = self.reml.parts(self.params)
        X, phi, inverse, V = np.vstack(designs), np.linalg.inv(information), self.inverse(), None
        V = self.changes()
        W = np.linalg.inv(self.reml.expected(self.params, self.others))
        P = [-X.T @ inverse @ each @ inverse @ X for each in V]
        total = np.zeros_like(phi)
        for k, first in enumerate(V):
            for m, second in enumerate(V):
                Q = X.T @ inverse @ first @ inverse @ second @ inverse @ X
                total += W[k, m] * (Q - P[k] @ phi @ P[m])
        return phi, P, W, phi + 2 * phi @ total @ phi


@pytest.mark.parametrize("estimator", ["REML", "ML"])
@pytest.mark.parametrize("name", ["one slope", "no random intercept", *list(MIXED)[-2:]])
def test_satterthwaite_from_dense_matrices(name, estimator):
    data = slope_data(5, UNBALANCED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = mlsem.fit(MIXED[name].text, data, "id", estimator=estimator, test="t")
    assert fit.df_method == "satterthwaite"
    assert fit.covariance.form == "expected"
    dense = DenseModel(fit, data)
    phi = dense.phi(np.zeros(dense.others.shape[1]))
    np.testing.assert_allclose(
        fit.vcov().to_numpy()[np.ix_(dense.means, dense.means)], phi, rtol=1e-7, atol=1e-9
    )
    df = fit.covariance.df
    assert np.isnan(np.delete(df, dense.means)).all()
    want = [dense.satterthwaite(each) for each in np.eye(len(dense.means))]
    np.testing.assert_allclose(df[dense.means], want, rtol=1e-5)


@pytest.mark.parametrize("name", ["one slope", "no random intercept", *list(MIXED)[-2:]])
def test_kenward_roger_from_dense_matrices(name):
    data = slope_data(6, UNBALANCED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = mlsem.fit(MIXED[name].text, data, "id", estimator="REML", df="kenward-roger")
    dense = DenseModel(fit, data)
    phi, P, W, adjusted = dense.kenward_roger()
    found = fit.vcov().to_numpy()[np.ix_(dense.means, dense.means)]
    np.testing.assert_allclose(found, adjusted, rtol=1e-6, atol=1e-8)
    contrasts = np.random.default_rng(1).normal(size=(2, len(dense.means)))
    full = np.zeros((2, len(fit.params)))
    full[:, dense.means] = contrasts
    result = fit.wald_test(full)
    theta = contrasts.T @ np.linalg.solve(contrasts @ phi @ contrasts.T, contrasts)
    sides = [theta @ phi @ each @ phi for each in P]
    first = sum(
        W[k, m] * np.trace(a) * np.trace(b)
        for k, a in enumerate(sides)
        for m, b in enumerate(sides)
    )
    second = sum(
        W[k, m] * np.trace(a @ b) for k, a in enumerate(sides) for m, b in enumerate(sides)
    )
    scale, m = paper(2, first, second)
    np.testing.assert_allclose([result.delta, result.df_denom], [scale, m], rtol=1e-6)
    value = contrasts @ fit.params.to_numpy()[dense.means]
    distance = value @ np.linalg.solve(contrasts @ adjusted @ contrasts.T, value)
    assert result.statistic == pytest.approx(scale * distance / 2, rel=1e-6)


def paper(q, a1, a2):
    """λ and m by the moments E and V as they are printed."""
    b = (a1 + 6 * a2) / (2 * q)
    g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
    c = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
    mean = 1 / (1 - a2 / q)
    variance = 2 / q * (1 + c[0] * b) / ((1 - c[1] * b) ** 2 * (1 - c[2] * b))
    rho = variance / (2 * mean**2)
    m = 4 + (q + 2) / (q * rho - 1)
    return m / (mean * (m - 2)), m


# --- identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("random", ["(1 | id)", "(x1 | id)"])
def test_units_order_and_shifts(random):
    data = read("small10_unequal")
    effects = ["w1", "x1"]
    plain = mlsem.lmm(f"y ~ w1 + x1 + {random}", data)
    other = data.sample(frac=1, random_state=1).assign(
        id=lambda d: -d["id"], y=lambda d: 1e4 * d["y"], x1=lambda d: 1e-3 * d["x1"]
    )
    shifted = data.assign(x1=data["x1"] + 1e6, w1=data["w1"] - 50.0)
    for df in ("satterthwaite", "kenward-roger"):
        want = plain.with_se("standard", df=df).pvalues[effects]
        for moved, limit in ((other, 1e-6), (shifted, 1e-5)):
            fit = mlsem.lmm(f"y ~ w1 + x1 + {random}", moved, df=df)
            np.testing.assert_allclose(fit.pvalues[effects], want, rtol=limit)


def test_fit_and_lmm_agree():
    data = read("few_treated")
    text = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1\n y ~~ s'
    for REML, estimator in ((True, "REML"), (False, "ML")):
        fit = mlsem.fit(text, data, "id", estimator=estimator, df="satterthwaite")
        want = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=REML)
        ours, names = (
            ["y~1.l2", "y~w1.l2", "s~1.l2", "s~w1.l2"],
            ["(Intercept)", "w1", "x1", "w1:x1"],
        )
        np.testing.assert_allclose(fit.pvalues[ours], want.pvalues[names], rtol=1e-5)


def test_balanced_designs_have_the_df_of_anova():
    """Also on the boundary, where lmerTest takes the variance for known to be zero and gives
    N - 2 = 58 degrees of freedom to the effect of six clusters."""
    rng = np.random.default_rng(3)
    ids = np.repeat(np.arange(6), 10)
    data = pd.DataFrame({"id": ids, "w": np.repeat([0.0, 0, 0, 1, 1, 1], 10)})
    noise = rng.normal(size=60)
    for spread, singular in ((1.0, False), (0.0, True)):
        means = pd.Series(noise).groupby(ids).transform("mean").to_numpy()
        data["y"] = noise - means + spread * rng.normal(size=6)[ids]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EstimationWarning)
            fit = mlsem.lmm("y ~ w + (1 | id)", data)
        assert fit.singular == singular
        for df in ("satterthwaite", "kenward-roger"):
            row = fit.with_se("standard", df=df).tidy().query("term == 'y ~ w'")
            np.testing.assert_allclose(row["df"], 4.0, rtol=1e-6)


def test_zero_variances_as_pbkrtest_not_as_lmertest():
    case = LMERTEST["sleep_singular"]
    fit, _ = fitted(case)
    assert fit.singular
    assert case["df"] == pytest.approx(179, rel=1e-6)
    assert fit.covariance.df[fit.table.names.index("Days")] == pytest.approx(
        case["kenward_roger"]["df"], rel=1e-6
    )


def test_limits():
    assert fai_cornelius(np.array([7.5])) == 7.5
    assert fai_cornelius(np.array([8.0, 8.0, 8.0])) == pytest.approx(8.0)
    assert fai_cornelius(np.array([9.0, 2.0])) == 2.0
    assert fai_cornelius(np.array([np.inf, np.inf])) == np.inf
    assert fai_cornelius(np.array([5.0, 9.0])) == pytest.approx(2 * 62 / 21 / (62 / 21 - 2))
    changes = np.eye(2)[None]
    assert scaled_moments(np.eye(2), changes, np.zeros((1, 1))) == (1.0, np.inf)


@pytest.mark.parametrize("workers", [(1, 2, 3, 4), (1, 2, 4, 6), (1, 2, 3, 4, 5), range(1, 7)])
def test_balanced_multivariate_data_have_hotellings_test(workers):
    """T² of the workers' means, with λ = (J - q) / (J - 1) and J - q degrees of freedom; at J = 4
    the moments that λ matches do not exist (pbkrtest's F is -2.6e-10 for the first four)."""
    data = read("machines").query("Worker in @workers")
    means = data.groupby(["Worker", "Machine"])["score"].mean().unstack()
    moves = means[["B", "C"]].sub(means["A"], axis=0)
    J, mean = len(moves), moves.mean()
    want = (J - 2) / (2 * (J - 1)) * J * mean @ np.linalg.solve(moves.cov(), mean)
    fit = mlsem.lmm("score ~ Machine + (Machine | Worker)", data, df="kenward-roger")
    assert not fit.singular
    found = fit.wald_test("`MachineB`; `MachineC`")
    np.testing.assert_allclose(
        [found.statistic, found.df_denom, found.delta], [want, J - 2, (J - 2) / (J - 1)], rtol=1e-6
    )


def test_no_f_test_of_too_many_contrasts():
    """Three clusters do not test three contrasts."""
    data = read("machines").query("Worker < 4")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = mlsem.lmm("score ~ Machine + (Machine | Worker)", data, df="kenward-roger")
    with pytest.raises(InferenceError, match="does not exist for these 3 constraints"):
        fit.wald_test("`(Intercept)`; `MachineB`; `MachineC`")
