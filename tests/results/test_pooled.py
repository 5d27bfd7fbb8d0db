"""`pool`: fits to several data sets as one result."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import (
    DataWarning,
    EstimationError,
    EstimationWarning,
    InferenceError,
    OptionValueError,
    UnknownNameError,
)
from mlsem.estimation.estimates import Estimates

FOLDER = Path(__file__).parents[1] / "reference" / "surveys"
MIXED, SIMPLE = "y1 ~ x1 + w1 + y3 + (1 | id)", "y1 ~ y3 + (1 | id)"
TWO_LEVEL = "level: 1; y3 ~ x1; level: 2; y3 ~ w1"

pytestmark = pytest.mark.filterwarnings("ignore:negative variance:mlsem.EstimationWarning")


@cache
def stored() -> Any:
    return json.loads((FOLDER / "mi.json").read_text("utf-8"))


@cache
def imputed() -> tuple[pd.DataFrame, ...]:
    long = pd.read_csv(FOLDER / "imputed.csv")
    return tuple(part.drop(columns="imp") for _, part in long.groupby("imp"))


@cache
def factors(restricted: bool = False) -> mlsem.PooledResult:
    model = stored()["restricted" if restricted else "model"]
    return mlsem.fit_many(model, list(imputed()), cluster="id")


@cache
def mixed(formula: str = MIXED, REML: bool = False) -> mlsem.PooledResult:
    return mlsem.pool([mlsem.lmm(formula, each, REML) for each in imputed()])


@cache
def regression(se: str = "standard") -> mlsem.PooledResult:
    return mlsem.fit_many(TWO_LEVEL, list(imputed()), cluster="id", se=se)


# --- against other programs -----------------------------------------------------------------------


def test_estimates_and_errors_of_a_factor_model() -> None:
    """lavaan.mi 0.1-1 prints .0597 for the error of y2's loading, one inflation for all."""
    mi, found = stored(), factors()
    expected = dict(zip(mi["mitml_columns"], np.array(mi["pooled_ml"]["mitml"]).T, strict=True))
    assert found.params.index.tolist() == mi["names"]
    away = (found.estimates - expected["Estimate"].astype(float)) / found.bse
    assert np.abs(away).max() < 2e-4  # where lavaan stops
    np.testing.assert_allclose(found.bse, expected["Std.Error"].astype(float), rtol=1e-4)
    np.testing.assert_allclose(found.riv, expected["RIV"].astype(float), rtol=5e-3)
    assert round(found.bse["fw=~y2"], 4) == 0.0741


@pytest.mark.parametrize(("method", "name"), [("D2", "D2_lr"), ("D3", "D3"), (None, "D4_by_hand")])
def test_likelihood_ratios_of_a_factor_model(method: Any, name: str) -> None:
    """Clusters of the imputations stay apart: lavaan.mi's D4 merges them."""
    found, expected = factors().lr_test(factors(True), method=method), stored()[name]
    assert (found.method, found.df) == (method or "D4", 2)
    values = found.statistic, found.df_denom, found.pvalue, found.riv
    np.testing.assert_allclose(values, [expected[k] for k in (0, 2, 3, 4)], rtol=5e-5)


def test_d2_of_constraints() -> None:
    found = factors().wald_test("a == 0.3; b == 0.3", method="D2")
    expected = stored()["D2_wald"]
    assert found.statistic == pytest.approx(expected[0], rel=1e-4)
    assert found.pvalue == pytest.approx(expected[3], rel=1e-2)


def test_tests_of_a_mixed_model() -> None:
    expected = stored()["lmer"]
    for method, name in (("D2", "D2_lr"), ("D3", "D3"), ("D4", "D4")):
        found = mixed().lr_test(mixed(SIMPLE), method=method)  # type: ignore[arg-type]
        values = found.statistic, found.df, found.df_denom, found.pvalue, found.riv
        np.testing.assert_allclose(values, expected[name], rtol=1e-5)
    for keywords, name in (({"df": "rubin"}, "D1"), ({"complete_df": 47}, "D1_dfcom47")):
        found = mlsem.pool(mixed(), **keywords).wald_test("`x1`; `w1`")  # type: ignore[arg-type]
        values = found.statistic, found.df, found.df_denom, found.pvalue, found.riv
        np.testing.assert_allclose(values, expected[name], rtol=1e-6)


def test_the_stacked_maximum_is_that_of_rows_with_clusters_of_their_own() -> None:
    frames = [each.assign(id=each["id"].astype(str) + f"/{k}") for k, each in enumerate(imputed())]
    stacked = pd.concat(frames, ignore_index=True)
    simple = "level: 1; y3 ~ x1; level: 2; y3 ~ 0*w1"
    whole, part = (mlsem.fit(m, stacked, cluster="id").loglik for m in (TWO_LEVEL, simple))
    full = regression()
    small = mlsem.fit_many(simple, list(imputed()), cluster="id")
    ratios = [2 * (a.loglik - b.loglik) for a, b in zip(full, small, strict=True)]
    lr, mean = 2 * (whole - part) / 5, float(np.mean(ratios))
    riv = max(0.0, 6 / 4 * (mean - lr))
    found = full.lr_test(small)
    assert found.riv == pytest.approx(riv, rel=1e-8)
    assert found.statistic == pytest.approx(lr / (1 + riv), rel=1e-9)


# --- what is in a result --------------------------------------------------------------------------


def test_the_covariance_is_the_sum_of_its_parts() -> None:
    found = regression("CR2")
    values = np.array([fit.estimates for fit in found])
    within = np.mean([fit.vcov() for fit in found], axis=0)
    between = np.cov(values.T)
    np.testing.assert_allclose(found.vcov(), within + 1.2 * between, rtol=1e-12)
    np.testing.assert_allclose(found.vcov_within, within, rtol=1e-12)
    np.testing.assert_allclose(found.vcov_between, between, rtol=1e-10)
    share = 1.2 * np.diag(between) / np.diag(found.vcov())
    nu = np.mean([fit.covariance.df for fit in found], axis=0)
    np.testing.assert_allclose(found.df, 1 / (share**2 / 4 + (1 - share) ** 2 / nu), rtol=1e-10)


def test_tables_are_those_of_a_fit_with_fractions_of_missing_information() -> None:
    found, one = factors(), factors()[0]
    table = found.parameter_estimates(0.9)
    own = one.parameter_estimates(0.9)
    assert [*own.columns, "riv", "fmi"] == list(table.columns)
    pd.testing.assert_frame_equal(
        own[["lhs", "op", "rhs", "label"]], table[["lhs", "op", "rhs", "label"]]
    )
    free = table[table["label"] == "b"].iloc[0]
    limits = found.conf_int(0.9, parameters="b").iloc[0]
    assert free[["est", "se", "df", "fmi"]].tolist() == [
        found.params["b"],
        found.bse["b"],
        found.df["b"],
        found.fmi["b"],
    ]
    assert free[["ci_lower", "ci_upper"]].tolist() == limits.tolist()
    assert table.loc[table["se"] == 0, ["stat", "riv", "fmi"]].isna().all(axis=None)
    assert found.tidy()["fmi"].equals(found.parameter_estimates()["fmi"])
    text = str(found.summary(level=0.95))
    assert "5 fits pooled by Rubin's rules" in text
    assert "FMI" in text
    assert "ci.lower" in text
    assert found.glance().loc[0, ["n_data", "n_failed"]].tolist() == [5, 0]


def test_a_mixed_model_has_its_own_tables() -> None:
    found = mixed(REML=True)
    table = found.tidy(0.9).set_index("term")
    assert table["effect"].tolist() == ["fixed"] * 4 + ["ran_pars"] * 2
    assert table.loc["x1", ["estimate", "df", "fmi"]].tolist() == [
        found.params["x1"],
        found.df["x1"],
        found.fmi["x1"],
    ]
    sd = table.loc["sd__Observation", "estimate"]
    assert sd == pytest.approx(np.sqrt(found.params["Residual"]))
    text = str(found.summary(0.95))
    assert "Formula" in text
    assert re.search(r"ci\.lower +ci\.upper +FMI", text)
    line = next(each for each in text.splitlines() if each.startswith("  x1 "))
    assert line.split()[-1] == f"{found.fmi['x1']:.3f}"
    assert f"{found.params['id.(Intercept)']:.3f}" in text


def test_defined_parameters_go_by_the_delta_method() -> None:
    model = TWO_LEVEL.replace("~ x1", "~ a*x1").replace("~ w1", "~ b*w1") + "; ab := a*b"
    found = mlsem.fit_many(model, list(imputed()), cluster="id")
    a, b = found.params[["a", "b"]]
    gradient = np.array([b, a])
    variance = gradient @ found.vcov().loc[["a", "b"], ["a", "b"]].to_numpy() @ gradient
    row = found.parameter_estimates().iloc[-1]
    assert row["est"] == pytest.approx(a * b, rel=1e-12)
    assert row["se"] == pytest.approx(np.sqrt(variance), rel=1e-12)
    assert 0 < row["fmi"] < 1
    test = found.wald_test("ab")
    assert test.statistic == pytest.approx(row["stat"] ** 2, rel=1e-10)
    assert test.pvalue == pytest.approx(row["pvalue"], rel=1e-8)


def test_other_standard_errors_and_degrees_of_freedom_need_no_new_fits() -> None:
    found = regression().with_se("CR2")
    np.testing.assert_allclose(found.vcov(), regression("CR2").vcov(), rtol=1e-8)
    again = mlsem.pool(found, df="barnard-rubin")
    assert again.fits == found.fits
    assert (again.df < found.df).all()
    assert (mlsem.pool(found, df="rubin").df > found.df).all()
    given = mlsem.pool(regression(), complete_df=49)
    assert (given.df < 49 + 4).all()  # two parts have no more than both together
    assert (given.df > 4).all()


def test_a_pickle_is_the_same() -> None:
    found = pickle.loads(pickle.dumps(regression("CR2")))
    np.testing.assert_array_equal(found.df, regression("CR2").df)
    assert str(found.summary()) == str(regression("CR2").summary())


# --- numbers that are no parameters ---------------------------------------------------------------


def test_a_correlation_is_pooled_as_fishers_z() -> None:
    model = "level: 1; y1 ~~ y2; level: 2; y1 ~~ y2"
    found = mlsem.fit_many(model, list(imputed()), cluster="id")
    each = [fit.standardized().iloc[0] for fit in found]
    assert each[0][["lhs", "op", "rhs"]].tolist() == ["y1", "~~", "y2"]
    rho, se = (np.array([row[name] for row in each]) for name in ("est_std", "se"))
    z, u = np.arctanh(rho), (se / (1 - rho**2)) ** 2
    total = u.mean() + 1.2 * z.var(ddof=1)
    row = found.standardized().iloc[0]
    assert row["est_std"] == pytest.approx(np.tanh(z.mean()), rel=1e-12)
    assert row["se"] == pytest.approx(np.sqrt(total) * (1 - np.tanh(z.mean()) ** 2), rel=1e-10)
    assert row["stat"] == pytest.approx(z.mean() / np.sqrt(total), rel=1e-10)
    for name, error in (("icc", "se"), ("adjusted", "adjusted_se")):
        icc, se = (np.array([getattr(fit.icc(), n) for fit in found]) for n in (name, error))
        z, u = np.arctanh(icc), (se / (1 - icc**2)) ** 2
        total, middle = u.mean(axis=0) + 1.2 * z.var(axis=0, ddof=1), np.tanh(z.mean(axis=0))
        np.testing.assert_allclose(getattr(found.icc(), name), middle, rtol=1e-12)
        np.testing.assert_allclose(
            getattr(found.icc(), error), np.sqrt(total) * (1 - middle**2), rtol=1e-10
        )
    variances = [fit.icc().between for fit in found]
    np.testing.assert_allclose(found.icc().between, np.mean(variances, axis=0), rtol=1e-12)


def test_paths_are_pooled_as_they_are_and_constants_have_no_error() -> None:
    found, table = regression(), regression().standardized()
    each = [fit.standardized() for fit in found]
    path = table["op"] == "~"
    mean = np.mean([one.loc[path, "est_std"] for one in each], axis=0)
    np.testing.assert_allclose(table.loc[path, "est_std"], mean, rtol=1e-12)
    constant = (table["lhs"] == "x1") & (table["rhs"] == "x1")
    assert table.loc[constant, "se"].tolist() == [0.0]
    assert table.loc[constant, ["stat", "fmi"]].isna().all(axis=None)


def test_shares_of_variance_are_pooled_as_fishers_z() -> None:
    found = regression().r_squared()
    each = [fit.r_squared() for fit in regression()]
    z = np.arctanh(np.sqrt([one.values for one in each]))
    np.testing.assert_allclose(found.values, np.tanh(z.mean(axis=0)) ** 2, rtol=1e-12)
    assert ((found.lower < found.values) & (found.values < found.upper)).all()
    share, se = (np.array([getattr(one, n) for one in each]) for n in ("values", "se"))
    u = (se / (2 * np.sqrt(share) * (1 - share))) ** 2
    total, middle = u.mean(axis=0) + 1.2 * z.var(axis=0, ddof=1), np.tanh(z.mean(axis=0))
    np.testing.assert_allclose(found.se, np.sqrt(total) * 2 * middle * (1 - middle**2), rtol=1e-10)
    parts = [fit.r_squared().mixed for fit in mixed()]
    mean = np.mean([part.residual for part in parts])
    assert mixed().r_squared().mixed.residual == pytest.approx(mean, rel=1e-12)


def test_measures_of_fit_are_those_of_d2() -> None:
    found = factors().fit_measures()
    chisq = np.array([fit.fit_measures("chisq").iloc[0] for fit in factors()])
    riv = 1.2 * np.sqrt(chisq).var(ddof=1)
    value = (chisq.mean() / 4 - 6 / 4 * riv) / (1 + riv)
    assert (found["chisq"], found["riv"]) == (pytest.approx(4 * value), pytest.approx(riv))
    own, base = found["chisq"] - 4, found["baseline.chisq"] - found["baseline.df"]
    assert found["cfi"] == pytest.approx(1 - own / base)
    assert found["rmsea"] == pytest.approx(np.sqrt(own / (4 * 400)))
    base_df, free = found["baseline.df"], (base + found["baseline.df"]) / found["baseline.df"]
    assert found["tli"] == pytest.approx((free - found["chisq"] / 4) / (free - 1))
    assert base_df == factors()[0].fit_measures("baseline.df").iloc[0]
    for name in ("srmr_within", "srmr_between"):
        each = [fit.fit_measures(name).iloc[0] for fit in factors()]
        assert found[name] == pytest.approx(np.mean(each), rel=1e-12)
    assert "aic" not in found.index


def test_each_group_has_its_own_numbers() -> None:
    frames = [each.assign(half=each["id"] % 2) for each in imputed()]
    found = mlsem.fit_many("y3 ~ x1 + w1", frames, group="half")
    shares = found.r_squared()
    assert list(shares) == [0, 1]
    alone = mlsem.fit_many("y3 ~ x1 + w1", [f[f["half"] == 1] for f in frames])
    np.testing.assert_allclose(shares[1].values, alone.r_squared().values, rtol=1e-6)
    assert str(found.summary()).count("Group ") == 2
    assert found.parameter_estimates()["group"].tolist()[-1] == 2


# --- what is refused ------------------------------------------------------------------------------


def test_what_has_no_rule_says_so() -> None:
    with pytest.raises(UnknownNameError, match=r"lr_test compares two models.*fits\[0\].aic"):
        regression().aic  # noqa: B018
    with pytest.raises(UnknownNameError, match=r"own: .*\.predict_latent"):
        regression().predict_latent()
    with pytest.raises(UnknownNameError, match="'nonsense'"):
        regression().nonsense  # noqa: B018


def test_robust_and_restricted_likelihoods_are_not_compared() -> None:
    simple = mlsem.fit_many(TWO_LEVEL.replace("w1", "0*w1"), list(imputed()), cluster="id")
    with pytest.raises(InferenceError, match=r"(?s)robust standard errors.*wald_test"):
        regression("MLR").lr_test(simple)
    with pytest.raises(InferenceError, match="REML"):
        mixed(REML=True).lr_test(mixed(SIMPLE))
    with pytest.raises(InferenceError, match="no rule that pools scaled tests"):
        regression("MLR").fit_measures()
    with pytest.raises(OptionValueError, match="it takes a PooledResult"):
        regression().lr_test(simple[0])  # type: ignore[arg-type]
    with pytest.raises(OptionValueError, match=r"'D1'.*'D2', 'D3'"):
        regression().lr_test(simple, method="D1")  # type: ignore[arg-type]
    with pytest.raises(InferenceError, match="4 and 5 data sets"):
        regression().lr_test(mlsem.pool(simple.fits[:4]))


def test_constraints_on_variances_beside_t_tests_are_refused() -> None:
    with pytest.raises(InferenceError, match="variance or covariance"):
        mixed().wald_test("`Residual` == 1")
    with pytest.raises(InferenceError, match="follows from"):
        mixed().wald_test("`x1`; 2*`x1`")


def test_fits_of_different_models_rows_or_kinds() -> None:
    one, other = imputed()[:2]
    fit = mlsem.fit(TWO_LEVEL, one, cluster="id")
    for second, said in (
        (mlsem.fit(TWO_LEVEL.replace("w1", "0*w1"), other, cluster="id"), "only in fit 1"),
        (mlsem.fit(TWO_LEVEL, other.iloc[8:], cluster="id"), "400 and 392 rows"),
        (mlsem.fit(TWO_LEVEL, other, cluster="id", se="CR2"), "standard errors, standard and CR2"),
        (mlsem.fit(TWO_LEVEL, other, cluster="id", estimator="MLR"), "estimators, ML and MLR"),
    ):
        with pytest.raises(InferenceError, match=said):
            mlsem.pool([fit, second])
    with pytest.raises(OptionValueError, match="two fits or more"):
        mlsem.pool([fit])
    with pytest.raises(OptionValueError, match="list of fits"):
        mlsem.pool(fit)  # type: ignore[arg-type]
    with pytest.raises(OptionValueError, match="fit 2 is a DataFrame"):
        mlsem.pool([fit, one])  # type: ignore[list-item]
    with pytest.raises(OptionValueError, match="Did you mean 'matching'"):
        mlsem.pool(regression(), df="match")  # type: ignore[arg-type]
    with pytest.raises(OptionValueError, match="positive number"):
        mlsem.pool(regression(), complete_df=0)


def test_the_same_data_twice_is_said() -> None:
    fit = regression()[0]
    with pytest.warns(DataWarning, match="fits 1 and 3 have exactly the same estimates"):
        mlsem.pool([fit, regression()[1], fit])


def unfinished(fit: mlsem.FitResult) -> mlsem.FitResult:
    """A fit whose search did not reach a maximum."""
    optimum = fit._estimates.optimum.stopped("max_iter")
    own = fit._estimates
    return replace(fit, _estimates=Estimates(own.problem, own.settings, optimum, own.record))


def test_fits_that_did_not_converge_are_counted_and_left_out() -> None:
    fits = list(regression())
    bad = unfinished(fits[4])
    with pytest.warns(EstimationWarning, match=r"1 of 5 fits did not converge \(number 5\)"):
        found = mlsem.pool([*fits[:4], bad])
    assert (len(found), found.n_failed, len(found.used), found.converged) == (5, 1, 4, False)
    np.testing.assert_array_equal(found.params, mlsem.pool(fits[:4]).params)
    assert "whose fits converged" in str(found.summary())
    assert found.notes[0].startswith("1 fits that did not converge")
    np.testing.assert_array_equal(found.with_se("CR2").estimates, found.estimates)
    with pytest.raises(EstimationError, match="2 of 5 fits did not converge"):
        mlsem.pool([*fits[:3], bad, bad])
    with pytest.raises(EstimationError, match="nested ones are pooled only where all did"):
        mlsem.pool([*fits[:3], bad], nested=[1, 1, 2, 2])


# --- nested ---------------------------------------------------------------------------------------


def test_nested_fits() -> None:
    fits = regression("CR2").fits[:4]
    found = mlsem.pool(fits, nested=["a", "b", "a", "b"])
    values = np.array([fit.estimates for fit in fits])
    means = np.array([values[[0, 2]].mean(axis=0), values[[1, 3]].mean(axis=0)])
    inner = sum(values[pair].var(axis=0, ddof=1) for pair in ([0, 2], [1, 3])) / 2
    total = np.diag(found.vcov_within) + 1.5 * means.var(axis=0, ddof=1) + 0.5 * inner
    np.testing.assert_allclose(found.bse**2, total, rtol=1e-10)
    assert found.wald_test("`y3~x1`").statistic == pytest.approx(found.tvalues["y3~x1"] ** 2)
    with pytest.raises(InferenceError, match="no joint test of several constraints"):
        found.wald_test("`y3~x1`; `y3~w1.l2`")
    with pytest.raises(InferenceError, match="not for nested"):
        mlsem.pool(regression().fits[:4], nested=[1, 1, 2, 2]).lr_test(
            mlsem.pool(regression().fits[:4])
        )
    for nested, said in (([1, 1, 2], "3 values"), ([1, 1, 1, 2], "as many fits"), ([1] * 4, "two")):
        with pytest.raises(OptionValueError, match=said):
            mlsem.pool(fits, nested=nested)
