"""Predictions of random effects, intraclass correlations and R²."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import EstimationWarning, InferenceError

DATA = Path(__file__).parents[1] / "reference" / "data"
SLEEP = pd.read_csv(DATA / "sleepstudy.csv")
ARTICLE = pd.read_csv(DATA / "article_50x10_rep1.csv")
DEMO = pd.read_csv(DATA / "demo.csv")
SLOPE = mlsem.lmm("y ~ w1*x1 + (x1 | id)", ARTICLE, REML=False)


# --- random effects -----------------------------------------------------------------------------


def test_ranef_of_lme4():
    """lme4 1.1, bobyqa with rhoend 1e-12: ranef(condVar = TRUE)."""
    found = mlsem.lmm("Reaction ~ Days + (Days | Subject)", SLEEP, REML=False).random_effects()
    assert list(found.columns) == ["(Intercept)", "(Intercept)_se", "Days", "Days_se"]
    expected = {308: (2.81568217, 9.07553415), 309: (-40.04848951, -8.64406713)}
    for subject, values in expected.items():
        np.testing.assert_allclose(found.loc[subject, ["(Intercept)", "Days"]], values, atol=1e-5)
    np.testing.assert_allclose(found["(Intercept)_se"], 11.87295425, atol=1e-5)
    np.testing.assert_allclose(found["Days_se"], 2.27107454, atol=1e-5)


def dense_mixed(fit, data):
    """G Zᵀ V⁻¹ (y - X β) of every cluster of `w1*x1 + (x1 | id)`, and the posterior sd."""
    p = fit.params
    cov = p["id.x1.(Intercept)"]
    g = np.array([[p["id.(Intercept)"], cov], [cov, p["id.x1"]]])
    rows = {}
    for label, part in data.groupby("id"):
        w, x, y = (part[name].to_numpy() for name in ("w1", "x1", "y"))
        mean = p["(Intercept)"] + p["w1"] * w + p["x1"] * x + p["w1:x1"] * w * x
        z = np.column_stack((np.ones(len(x)), x))
        v = z @ g @ z.T + p["Residual"] * np.eye(len(x))
        gain = g @ z.T @ np.linalg.inv(v)
        rows[label] = (*(gain @ (y - mean)), *np.sqrt(np.diag(g - gain @ z @ g)))
    return pd.DataFrame(rows, index=["(Intercept)", "x1", "(Intercept)_se", "x1_se"]).T


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_predictions_of_rows(shift):
    data = ARTICLE.assign(x1=ARTICLE["x1"] + shift)
    fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=False)
    found, expected = fit.random_effects(), dense_mixed(fit, data)
    tolerance = 1e-7 if shift == 0 else 1e-3
    np.testing.assert_allclose(found[expected.columns], expected, atol=tolerance)


def test_effects_of_a_formula_without_an_intercept():
    fit = mlsem.lmm("y ~ x1 + (0 + x1 | id)", ARTICLE, REML=False)
    assert list(fit.random_effects().columns) == ["x1", "x1_se"]


def test_latent_variables_of_level_2():
    model = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1"
    fit = mlsem.fit(model, DEMO, cluster="cluster")
    found = fit.random_effects()
    assert list(found.columns[::2]) == ["y1", "y2", "y3", "fb"]
    p = fit.params
    load_w = np.array([1, p["fw=~y2"], p["fw=~y3"]])
    load_b = np.array([1, p["fb=~y2.l2"], p["fb=~y3.l2"]])
    sigma_w = p["fw~~fw"] * np.outer(load_w, load_w)
    sigma_w += np.diag([p[f"y{k}~~y{k}"] for k in (1, 2, 3)])
    psi = p["fb~~fb.l2"]
    sigma_b = psi * np.outer(load_b, load_b)
    sigma_b += np.diag([p[f"y{k}~~y{k}.l2"] for k in (1, 2, 3)])
    nu = np.array([p[f"y{k}~1.l2"] for k in (1, 2, 3)])
    for label, part in list(DEMO.groupby("cluster"))[:5]:
        y = part[["y1", "y2", "y3"]].to_numpy().mean(axis=0)
        gap = y - nu - load_b * p["fb~w1.l2"] * part["w1"].iloc[0]
        inverse = np.linalg.inv(sigma_b + sigma_w / len(part))
        assert found.loc[label, "fb"] == pytest.approx(psi * load_b @ inverse @ gap, abs=1e-8)
        left = psi - psi**2 * load_b @ inverse @ load_b
        assert found.loc[label, "fb_se"] == pytest.approx(np.sqrt(left), abs=1e-8)
        np.testing.assert_allclose(
            found.loc[label, ["y1", "y2", "y3"]], sigma_b @ inverse @ gap, atol=1e-8
        )


def test_a_single_level_has_none():
    fit = mlsem.fit("y ~ x1", ARTICLE)
    with pytest.raises(InferenceError, match="one level"):
        fit.random_effects()
    with pytest.raises(InferenceError, match="both levels"):
        fit.icc()


# --- intraclass correlations ----------------------------------------------------------------------


def test_icc_of_an_empty_model():
    fit = mlsem.lmm("y ~ 1 + (1 | id)", ARTICLE, REML=False)
    found = fit.icc()
    between, within = fit.params["id.(Intercept)"], fit.params["Residual"]
    total = between + within
    assert found.icc[0] == pytest.approx(between / total)
    assert found.adjusted[0] == pytest.approx(between / total)
    slopes = np.array([within, -between]) / total**2
    names = ["id.(Intercept)", "Residual"]
    variance = slopes @ fit.vcov().loc[names, names].to_numpy() @ slopes
    assert found.se[0] == pytest.approx(np.sqrt(variance), rel=1e-7)
    assert "y" in str(found)
    assert repr(found).startswith("<Icc: y=")


# model → unadjusted and adjusted by the R package performance 0.10.2 (lme4 1.1-31, REML)
PERFORMANCE = {
    "y ~ x1*w1 + (x1 | id)": (0.5020676109, 0.5961336802),
    "y ~ 1 + (1 | id)": (0.4487589627, 0.4487589627),
    "Reaction ~ Days + (Days | Subject)": (0.5205688646, 0.7216602596),
    "Reaction ~ Days + (1 | Subject)": (0.4243698156, 0.5893089171),
}


@pytest.mark.parametrize(("formula", "wanted"), PERFORMANCE.items())
def test_icc_given_the_covariates_as_performance_has_them(formula, wanted):
    data = SLEEP if "Days" in formula else pd.read_csv(DATA / "article.csv")
    found = mlsem.lmm(formula, data).icc()
    assert (found.unadjusted[0], found.adjusted[0]) == pytest.approx(wanted, abs=2e-6)
    assert "unadjusted (conditional)" in str(found)


def test_icc_of_all_variance_is_near_that_of_the_empty_model():
    """.547 it would be at the mean of the carrier, without what the slope adds within clusters."""
    data = pd.read_csv(DATA / "article.csv")
    full = mlsem.lmm("y ~ x1*w1 + (x1 | id)", data).icc()
    assert full.icc[0] == pytest.approx(0.4488, abs=0.01)
    assert full.between[0] + full.within[0] == pytest.approx(data["y"].var(), rel=0.1)


def test_icc_with_a_slope_in_parts():
    fit = mlsem.lmm("y ~ w1 + x1 + w1:x1 + (x1 | id)", ARTICLE, REML=False)
    found, parts = fit.icc(), brute_force(fit, ARTICLE)
    between = parts["intercepts"] + parts["slopes_between"] + parts["fixed_between"]
    total = parts["random"] + parts["fixed"] + parts["residual"]
    assert found.between[0] == pytest.approx(between)
    assert found.icc[0] == pytest.approx(between / total)
    assert found.adjusted[0] == pytest.approx(
        parts["random"] / (parts["random"] + parts["residual"])
    )
    assert found.unadjusted[0] == pytest.approx(parts["random"] / total)
    assert (found.se > 0).all()


def test_predictions_of_a_latent_variable_are_no_factor_scores():
    fit = mlsem.fit(
        "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1", DEMO, "cluster"
    )
    assert "lavPredict" in fit.random_effects().attrs["note"]
    plain = mlsem.fit(fit.model.replace("\n fb ~ w1", ""), DEMO, "cluster")
    assert "note" not in plain.random_effects().attrs


# --- explained variance ---------------------------------------------------------------------------


def brute_force(fit, data):
    """The parts from the rows."""
    p = fit.params
    w, x = data["w1"].to_numpy(), data["x1"].to_numpy()
    fixed = pd.Series(p["w1"] * w + p["x1"] * x + p["w1:x1"] * w * x)
    level = fixed.groupby(data["id"]).transform("mean")
    n = len(data)
    cov = p["id.x1.(Intercept)"]
    t = np.array([[p["id.(Intercept)"], cov], [cov, p["id.x1"]]])
    z = np.column_stack((np.ones(n), x))
    middle = data.groupby("id")["x1"].transform("mean")
    return {
        "fixed": fixed.var(),
        "fixed_within": ((fixed - level) ** 2).sum() / (n - 1),
        "fixed_between": level.var(),
        "random": np.mean(np.einsum("ia,ab,ib->i", z, t, z)),
        "slopes_within": p["id.x1"] * ((x - middle) ** 2).mean(),
        "slopes_between": p["id.x1"] * middle.var(ddof=0),
        "intercepts": z.mean(axis=0) @ t @ z.mean(axis=0),
        "residual": p["Residual"],
    }


def test_r_squared_of_a_mixed_model():
    mixed, expected = SLOPE.r_squared().mixed, brute_force(SLOPE, ARTICLE)
    for name in ("fixed", "fixed_within", "fixed_between", "slopes_within", "slopes_between"):
        assert getattr(mixed, name) == pytest.approx(expected[name]), name
    assert mixed.intercepts == pytest.approx(expected["intercepts"])
    # Johnson (2014), as MuMIn and performance compute it
    assert mixed.slopes + mixed.intercepts == pytest.approx(expected["random"])
    total = expected["fixed"] + expected["random"] + expected["residual"]
    assert mixed.marginal == pytest.approx(expected["fixed"] / total)
    assert mixed.conditional == pytest.approx(1 - expected["residual"] / total)
    np.testing.assert_allclose(mixed.frame[["total", "within", "between"]].sum(), 1.0)
    assert "marginal" in str(SLOPE.r_squared())


def test_a_moderated_slope_has_the_same_parts():
    model = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1\n y ~~ s'
    ours = mlsem.fit(model, ARTICLE, cluster="id").r_squared()
    theirs = SLOPE.r_squared().mixed
    np.testing.assert_allclose(ours.mixed.frame, theirs.frame, atol=1e-6)
    assert list(ours.frame["variable"]) == ["y", "s"]


def test_slopes_of_centred_carriers_vary_within_only():
    data = ARTICLE.assign(x1=ARTICLE["x1"] - ARTICLE.groupby("id")["x1"].transform("mean"))
    fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=False)
    mixed = fit.r_squared().mixed
    assert mixed.slopes_between == pytest.approx(0.0, abs=1e-12)
    assert mixed.intercepts == pytest.approx(fit.params["id.(Intercept)"])


def test_r2_of_lavaan():
    """lavaan 0.6: inspect(fit, "r2"), of centred covariates."""
    data = DEMO.assign(w1=DEMO["w1"] - DEMO["w1"].mean())
    for name in ("x1", "x2"):
        data[name] -= data.groupby("cluster")[name].transform("mean")
    model = "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1 + x2\n"
    model += "level: 2\n fb =~ y1 + y2 + y3\n fb ~ w1"
    found = mlsem.fit(model, data, cluster="cluster").r_squared()
    assert found.mixed is None
    assert list(found.variables) == ["y1", "y2", "y3", "fw", "y1", "y2", "y3", "fb"]
    expected = [0.497, 0.356, 0.344, 0.397, 0.946, 0.798, 0.678, 0.028]
    np.testing.assert_allclose(found.values, expected, atol=6e-4)
    with pytest.raises(InferenceError, match="no R2"):
        mlsem.fit("y1 ~~ y2", data).r_squared()


def test_shares_of_negative_variances_are_said_to_be_none():
    rng = np.random.default_rng(1)
    ids = np.repeat(np.arange(40), 5)
    y = rng.normal(size=200)
    data = pd.DataFrame({"id": ids, "x": rng.normal(size=200), "y": y})
    data["y"] -= 0.9 * data.groupby("id")["y"].transform("mean")  # less alike than by chance
    with pytest.warns(EstimationWarning, match="negative variance"):
        fit = mlsem.fit("level: 1\n y ~ x\nlevel: 2\n y ~~ y", data, cluster="id")
    assert fit.icc().icc[0] < 0
    assert "a variance is estimated to be negative" in str(fit.icc())
