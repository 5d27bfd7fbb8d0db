"""Weighted fits against references: pseudo-likelihoods of prototypes, WeMix, survey, lavaan."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER

import mlsem
from mlsem.errors import InferenceError

pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.errors.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore:.*plausible values:mlsem.errors.DataWarning"),
]
SURVEYS = FOLDER / "surveys"
BOTH = {"total": "w_stu", "level2": "w_sch"}
CALLS = {
    **{each: {"weights": BOTH, "weight_scaling": each} for each in ("unscaled", "ecluster", "gk")},
    "cluster": {"weights": BOTH},
    "level2": {"weights": {"level2": "w_sch"}},
    "level1": {"weights": {"level1": "w_mean1"}, "weight_scaling": "unscaled"},
}
FORMULAS = {
    "ri": "pv1math ~ ses + private + girl + (1 | school)",
    "rs": "pv1math ~ ses + private + girl + (ses | school)",
}
PLACES = {"ri": [0, 1, 2, 3, 4, 5], "rs": [0, 1, 2, 3, 4, 6, 5, 7]}  # variances, then covariances


def read(name):
    return json.loads((SURVEYS / name).read_text("utf-8"))


WLMM, WEMIX, SINGLE = read("wlmm.json"), read("wemix.json"), read("single_level.json")
CASES = [name for name in WLMM if not name.endswith("none")]


@pytest.fixture(scope="module")
def pupils():
    data = pd.read_csv(SURVEYS / "lsa_pv.csv")
    return data.assign(w_mean1=data.w_stu / data.w_stu.mean())


@pytest.fixture(scope="module")
def fits(pupils):
    found = {}
    for name in CASES:
        model, how = name.split(".")
        found[name] = mlsem.lmm(FORMULAS[model], pupils, REML=False, tol=1e-10, **CALLS[how])
    return found


def values(name, field):
    found = WLMM[name] if field == "est" else WLMM[name]["se"]
    return np.array(found[field])[PLACES[name[:2]]]


@pytest.mark.parametrize("name", CASES)
def test_mixed_models(fits, name):
    """Estimates of every scaling, and standard errors as Mplus, WeMix and Stata print them."""
    fit = fits[name]
    se = values(name, "mplus_sas")
    np.testing.assert_array_less(np.abs(fit.params - values(name, "est")) / se, 1e-8)
    assert fit.loglik == pytest.approx(WLMM[name]["loglik"], rel=1e-12)
    assert fit.se_kind == "MLR"
    np.testing.assert_allclose(fit.bse, se, rtol=1e-8)
    scores = fit.with_se("CR1")
    np.testing.assert_allclose(scores.bse, values(name, "wemix"), rtol=1e-8)
    np.testing.assert_allclose(scores.bse[:4], values(name, "stata_mixed")[:4], rtol=1e-8)


@pytest.mark.parametrize("name", [name for name in CASES if name in WEMIX])
def test_wemix(fits, name):
    found = WEMIX[name]
    fit = fits[name].with_se("CR1")
    coef, se = (np.array(list(found[field].values())) for field in ("coef", "se"))
    np.testing.assert_array_less(np.abs(fit.params[:4] - coef) / se, 1e-5)
    np.testing.assert_allclose(fit.bse[:4], se, rtol=1e-5)
    assert fit.loglik == pytest.approx(found["lnl"], rel=1e-8)


@pytest.mark.filterwarnings("ignore:negative variance")
@pytest.mark.parametrize("name", ["cfa", "random_slope", "cross_level"])
def test_whole_weights_are_rows_and_clusters_that_are_there_as_often(name):
    case = read("integer_weights.json")[name]
    data = pd.read_csv(SURVEYS / "integer_weights.csv")
    fit = mlsem.fit(
        case["model"],
        data.assign(both=data.f1 * data.f2),
        cluster="id",
        weights={"total": "both", "level2": "f2"},
        weight_scaling="unscaled",
        tol=1e-10,
    )
    wanted = pd.DataFrame({"est": case["est"], "se": case["se_mlr"]}, case["names"])
    np.testing.assert_array_less((fit.params - wanted.est).abs() / wanted.se, 1e-9)
    np.testing.assert_allclose(fit.bse, wanted.se, rtol=1e-9)
    assert fit.loglik == pytest.approx(case["loglik"], rel=1e-11)


MODEL = "pv1math ~ ses + private + girl"
ORDER = ["pv1math~1", "pv1math~ses", "pv1math~private", "pv1math~girl"]


def one_level(pupils, model=MODEL, **options):
    return mlsem.fit(model, pupils, weights="w_stu", meanstructure=True, **options)


@pytest.mark.parametrize(("name", "strata"), [("svyglm_cluster", None), ("svyglm_strata", "zone")])
def test_svyglm(pupils, name, strata):
    fit = one_level(pupils, cluster="school", strata=strata)
    est, se = (np.array(SINGLE[name][field]) for field in ("est", "se"))
    np.testing.assert_array_less(np.abs(fit.params[ORDER] - est) / se, 1e-8)
    np.testing.assert_allclose(fit.bse[ORDER], se, rtol=1e-8)


def test_clubsandwich_of_weighted_rows(pupils):
    """CR1 and its degrees of freedom; CR2 adjusts scores here and residuals there."""
    found = {}
    for kind, tolerance in (("CR1", 1e-8), ("CR2", 5e-3)):
        case = SINGLE[f"clubSandwich_{kind}"]
        fit = one_level(pupils, cluster="school", se=kind)
        np.testing.assert_allclose(fit.bse[ORDER], case["se"], rtol=tolerance)
        df = pd.Series(fit.covariance.df, fit.params.index)[ORDER]
        np.testing.assert_allclose(df, case["df"], rtol=tolerance / 10)
        found[kind] = fit.bse
    assert (found["CR2"] > found["CR1"]).all()


@pytest.mark.parametrize(
    ("name", "cluster"), [("lavaan_weights", None), ("lavaan_weights_cluster", "school")]
)
def test_lavaan(pupils, name, cluster):
    """lavaan scales weights to sum to the number of rows, which its log-likelihood alone shows."""
    case = SINGLE[name]
    model = f"{MODEL}\n pv1read ~ ses + private + girl"
    fit = one_level(pupils, model, cluster=cluster)
    wanted = pd.DataFrame({"est": case["est"], "se": case["se"]})
    np.testing.assert_array_less((fit.params - wanted.est).abs() / wanted.se, 2e-6)
    np.testing.assert_allclose(fit.bse[wanted.index], wanted.se, rtol=2e-6)
    unit = len(pupils) / pupils.w_stu.sum()
    assert fit.loglik * unit == pytest.approx(case["logl"], rel=1e-9)


@pytest.mark.parametrize("name", ["population", "mean one", "sum to N"])
def test_scaled_likelihood_ratios_do_not_depend_on_the_weights_unit(pupils, name):
    case = read("pseudo_lr.json")[name]
    schools = pupils.groupby("school").w_sch.first()
    unit = {
        "population": 1.0,
        "mean one": 1.0 / schools.mean(),
        "sum to N": len(pupils) / pupils.w_stu.sum(),
    }[name]
    data = pupils.assign(w_sch=pupils.w_sch * unit, w_stu=pupils.w_stu * unit)
    simple, full = (
        mlsem.lmm(formula, data, REML=False, tol=1e-10, **CALLS["unscaled"])
        for formula in ("pv1math ~ ses + (1 | school)", FORMULAS["ri"])
    )
    found = mlsem.lr_test(simple, full)
    assert (found.df, found.reference) == (2, "scaled")
    assert found.statistic == pytest.approx(case["scaled_lr"], rel=1e-6)
    assert found.scaling == pytest.approx(case["scaling"], rel=1e-8)
    assert found.statistic * found.scaling == pytest.approx(case["lr"], rel=1e-6)
    wald = full.wald_test("`private`; `girl`", test="chi2")
    assert wald.statistic == pytest.approx(case["wald"], rel=1e-8)
    with pytest.raises(InferenceError, match=r"unscaled likelihood ratios with weights"):
        mlsem.lr_test(simple, full, method="lr")
