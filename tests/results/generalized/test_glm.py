"""`glm` against clubSandwich and F. Huang's CR2, and against itself."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import mlsem
from tests.results.generalized.cases import data, fitted, read

LINEAR = ("lpm", "linear", "fixed_effects")
CASES = list(read("glm.json"))


@pytest.mark.parametrize("case", CASES)
def test_coefficients_and_sandwiches_are_r_s(case):
    record, fit = read("glm.json")[case], fitted(case)
    limit = 1e-11 if case in LINEAR else 5e-8
    assert fit.params.to_numpy() == pytest.approx(record["coef"], abs=1e-8)
    for kind, wanted in record["vcov"].items():
        if kind == "CR2" and case not in LINEAR:
            continue  # clubSandwich adjusts residuals
        found = fit.with_se(kind)
        own, matrix = found.vcov().to_numpy(), np.array(wanted)
        known = ~np.isnan(own)
        assert np.abs(own - matrix)[known].max() <= limit * np.abs(matrix[known]).max()
        df = found.df.to_numpy()
        there = ~np.isnan(df)
        assert df[there] == pytest.approx(np.array(record["df"][kind])[there], rel=1e-8)
    if "vcov_model" in record:
        own = fit.with_se("standard").vcov().to_numpy()
        matrix = np.array(record["vcov_model"])
        assert np.abs(own - matrix).max() <= limit * np.abs(matrix).max()


@pytest.mark.parametrize(
    "case", [case for case in CASES if "author_clustSE" in read("glm.json")[case]]
)
def test_cr2_of_scores_is_that_of_the_author_s_package(case):
    record, fit = read("glm.json")[case]["author_clustSE"], fitted(case)
    assert fit.bse.to_numpy() == pytest.approx(record["CR2"], rel=5e-8)
    assert fit.df.to_numpy() == pytest.approx(record["dfBM"], rel=5e-8)


@pytest.mark.parametrize("case", [case for case in CASES if case != "fixed_effects"])
def test_cr2_of_residuals_is_clubsandwich_s(case):
    record, fit = read("glm.json")[case], fitted(case).with_se("CR2", se_form="residuals")
    own, matrix = fit.vcov().to_numpy(), np.array(record["vcov"]["CR2"])
    known = ~np.isnan(own)
    assert known.any()
    assert np.abs(own - matrix)[known].max() <= 5e-8 * np.abs(matrix[known]).max()
    df, there = fit.df.to_numpy(), ~np.isnan(fit.df.to_numpy())
    assert df[there] == pytest.approx(np.array(record["df"]["CR2"])[there], rel=3e-8)


def test_joint_test_is_htz():
    record = read("glm.json")["lpm"]["htz"]
    found = fitted("lpm").wald_test("`trt`; `w`")
    assert found.test == "HTZ"
    assert (found.statistic, found.df_denom) == pytest.approx(
        (record["F"], record["df_denom"]), rel=1e-5
    )
    assert found.pvalue == pytest.approx(record["p"], rel=1e-5)


def test_score_form_does_not_depend_on_how_rows_are_grouped():
    single, grouped = fitted("ungrouped_binomial"), fitted("grouped_binomial")
    assert single.bse.to_numpy() == pytest.approx(grouped.bse.to_numpy(), rel=1e-9)
    assert single.df.to_numpy() == pytest.approx(grouped.df.to_numpy(), rel=1e-9)


def test_order_of_rows_does_not_matter():
    rows = data("trial").sample(frac=1.0, random_state=1)
    fit = mlsem.glm("y ~ trt + w + x + female", rows, cluster="school")
    assert fit.bse.to_numpy() == pytest.approx(fitted("logit").bse.to_numpy(), rel=1e-10)
    assert fit.n_clusters == 12


def test_absorb_is_the_model_with_dummies():
    rows = data("trial")
    dummies = mlsem.glm(
        "score ~ x + female + factor(school)", rows, cluster="school", family="gaussian"
    )
    inner = fitted("fixed_effects")
    assert inner.params["x"] == pytest.approx(dummies.params["x"], rel=1e-10)
    for kind in ("standard", "CR0", "CR1S"):
        assert inner.with_se(kind).bse["x"] == pytest.approx(
            dummies.with_se(kind).bse["x"], rel=1e-8
        )


@pytest.mark.parametrize("link", ["logit", "probit", "log", "identity"])
def test_scores_vanish_and_no_step_is_better(link):
    rows = data("trial").assign(
        y=lambda d: d["y"] * 0 + (d["x"] > 1.2 * np.sin(9 * d["w"] + d["hours"]))
    )
    fit = mlsem.glm("y ~ trt + female", rows, cluster="school", link=link)
    solution = fit._estimates.solution
    total = solution.scores.sum(axis=0)
    assert np.abs(total).max() <= 1e-9 * len(rows)
    assert solution.rows.mean.mean() == pytest.approx(rows["y"].mean(), abs=0.02)


def test_probit_is_scored_by_its_own_expected_information():
    from scipy.special import ndtr

    rows, step = data("trial"), 1e-5
    fit = mlsem.glm("y ~ trt + x", rows, cluster="school", link="probit", se="standard")
    design = np.column_stack((np.ones(len(rows)), rows["trt"], rows["x"]))
    beta, y = fit.params.to_numpy(), rows["y"].to_numpy()

    def loglik(b):
        mean = ndtr(design @ b)
        return float((y * np.log(mean) + (1 - y) * np.log1p(-mean)).sum())

    for k in range(3):
        move = np.eye(3)[k] * step
        assert abs(loglik(beta + move) - loglik(beta - move)) / (2 * step) < 1e-6
    mean, slope = ndtr(design @ beta), np.exp(-0.5 * (design @ beta) ** 2) / np.sqrt(2 * np.pi)
    information = design.T @ (design * (slope**2 / (mean * (1 - mean)))[:, None])
    assert fit.vcov().to_numpy() == pytest.approx(np.linalg.inv(information), rel=1e-9)


def test_tables_and_predictions():
    fit = fitted("poisson_offset")
    table = fit.parameter_estimates()
    assert table["est"].tolist() == fit.params.tolist()
    assert table["ci_lower"].tolist() == fit.conf_int()["lower"].tolist()
    assert "Coefficients" in str(fit.summary())
    assert "tabular" in fit.summary().to_latex()
    rows = data("trial")
    eta = fit.params["(Intercept)"] + fit.params["trt"] * rows["trt"] + fit.params["x"] * rows["x"]
    wanted = rows["hours"] * np.exp(eta)
    assert fit.predict()["predicted"].to_numpy() == pytest.approx(wanted.to_numpy(), rel=1e-12)
    some = fit.predict(rows.tail(3), se=True, level=0.9)
    assert some["predicted"].to_numpy() == pytest.approx(wanted.tail(3).to_numpy(), rel=1e-12)
    assert (some["lower"] < some["predicted"]).all()
    assert some.index.equals(rows.tail(3).index)
    again = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_frame_equal(again.parameter_estimates(), table)
    with pytest.raises(mlsem.InferenceError, match="no likelihood-ratio test"):
        fit.lr_test(fit)


@pytest.mark.parametrize("text", ["offset(log(hours))", "offset(np.log(hours))", "offset(lh)"])
def test_an_offset_is_no_column(text):
    rows = data("trial").assign(lh=lambda d: np.log(d["hours"]))
    fit = mlsem.glm(f"count ~ trt + x + {text}", rows, cluster="school", family="poisson")
    assert list(fit.params.index) == ["(Intercept)", "trt", "x"]
    wanted = fitted("poisson_offset")
    assert fit.params.to_numpy() == pytest.approx(wanted.params.to_numpy(), rel=1e-10)
    assert fit.bse.to_numpy() == pytest.approx(wanted.bse.to_numpy(), rel=1e-10)


def test_df_on_request():
    fit = fitted("logit")
    assert fit.with_se("CR0", df="J-p").df.tolist() == [7.0] * 5
    assert np.isinf(fit.with_se("CR2", df="z").df).all()
    assert fit.with_se("MBN").df.tolist() == [7.0] * 5
    assert fit.with_se("KC").bse.tolist() == fit.bse.tolist()
    with pytest.raises(mlsem.OptionValueError, match="satterthwaite"):
        fit.with_se("MBN", df="satterthwaite")
