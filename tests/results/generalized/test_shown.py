"""`glm` in tables and figures of several fits, its clusters left out and drawn, fitted again."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mlsem
from tests.results.generalized.cases import data, fitted


def test_fits_stand_side_by_side():
    text = str(mlsem.summary_table({"logit": fitted("logit"), "LPM": fitted("lpm")}))
    assert "binomial (logit); standard errors cluster-robust" in " ".join(text.split())
    assert f"{fitted('lpm').params['trt']:.3f}" in text
    assert "Observations" in text


@pytest.mark.parametrize("case", ["logit", "lpm"])
def test_clusters_left_out(case):
    fit, rows = fitted(case), data("trial")
    found = fit.cluster_diagnostics("trt", exact=True)
    for j, label in enumerate(found.labels[:2]):
        again = fit.update(data=rows[rows["school"] != label])
        assert found.left_out.change[j, 0] == pytest.approx(
            again.params["trt"] - fit.params["trt"], abs=1e-9
        )
    assert found.exact.loc[label, "trt"] * found.model_se[0] == found.left_out.change[1, 0]
    assert found.measures.share.sum() == pytest.approx(1.0)
    assert found.rows.sum() == len(rows)
    assert found.measures.leverage.sum() == pytest.approx(len(fit.params))
    squares = (found.measures.change**2).sum()
    assert np.sqrt(squares) == pytest.approx(fit.with_se("CR3").bse["trt"], rel=1e-9)
    assert (found.se, found.df) == (fit.bse["trt"], fit.df["trt"])
    assert found.model_se[0] == pytest.approx(fit.with_se("standard").bse["trt"], rel=1e-12)
    if case == "lpm":  # of a linear model the step is exact
        assert found.measures.change == pytest.approx(found.left_out.change, abs=1e-10)


def test_the_working_correlation_is_estimated_again_without_a_cluster():
    rows = data("trial")
    fit = mlsem.gee("y ~ trt + x", rows, cluster="school")
    found = fit.cluster_diagnostics(exact=[5])
    again = mlsem.gee("y ~ trt + x", rows[rows["school"] != 5], cluster="school")
    assert again.rho != pytest.approx(fit.rho, rel=1e-3)
    assert found.left_out.change[0] == pytest.approx(again.params - fit.params, abs=1e-9)
    with pytest.raises(mlsem.OptionValueError, match="no cluster 99 of 'school'"):
        fit.cluster_diagnostics(exact=[99])


def test_a_cluster_that_stands_alone_is_not_left_out():
    found = fitted("one_treated_logit").cluster_diagnostics("trt", exact=True)
    assert np.isnan(found.left_out.change[:, 0]).tolist() == [True] + [False] * 7
    assert any("cluster 1 alone determines part of trt" in each for each in found.verdict)
    assert "few: CR0 and CR1" in found.verdict[0]


def test_without_the_cluster_that_has_the_other_outcome_there_is_no_estimate():
    rows = data("zero_cell").copy()
    first = rows.index[(rows["trt"] == 1)][0]
    rows.loc[first, "y"] = 0  # else all treated have y = 1
    fit = mlsem.glm("y ~ trt", rows, cluster="school")
    found = fit.cluster_diagnostics(exact=True)
    assert found.labels[found.left_out.failed].tolist() == [rows.loc[first, "school"]]


def test_the_wild_bootstrap_of_a_linear_model_is_the_one_of_fit():
    rows = data("trial")
    fit = mlsem.glm("score ~ trt + x", rows, cluster="school", family="gaussian")
    same = mlsem.fit("score ~ trt + x", rows, se_cluster="school", se="CR2")
    one = fit.bootstrap(draws=39, seed=4, parameters=["trt", "x"])
    other = same.bootstrap(draws=39, seed=4, parameters=["score~trt", "score~x"])
    assert one.robust_se == pytest.approx(other.robust_se, rel=1e-6)
    assert one.draws == pytest.approx(other.draws, rel=1e-6)
    assert one.t == pytest.approx(other.t, rel=1e-6)


def test_pairs_are_clusters_drawn_and_fitted_again():
    rows = data("trial")
    fit = mlsem.gee("y ~ trt + x", rows, cluster="school")
    booted = fit.bootstrap("pairs", draws=9, seed=2)
    assert (booted.kind, booted.cluster, booted.n_clusters) == ("pairs", "school", 12)
    seed = np.random.SeedSequence(2).spawn(9)[0]
    drawn = np.sort(np.random.default_rng(seed).integers(0, 12, 12))
    labels = fit._estimates.data.labels[drawn]
    parts = [rows[rows["school"] == each].assign(id=k) for k, each in enumerate(labels)]
    again = mlsem.gee("y ~ trt + x", pd.concat(parts), cluster="id", se="CR0")
    assert booted.draws[0] == pytest.approx(again.params.to_numpy(), abs=1e-6)
    t = (again.params - fit.params) / again.bse
    assert booted.t[0] == pytest.approx(t.to_numpy(), abs=1e-5)
    assert "clusters drawn with replacement" in str(booted)
    with pytest.raises(mlsem.OptionValueError, match="no data can be drawn"):
        fit.bootstrap("parametric")


def test_update_keeps_what_is_not_changed():
    rows = data("trial")
    fit = mlsem.gee("y ~ trt + x", rows, cluster="school", se="MD", df="J-p")
    same = fit.update()
    assert same.bse.tolist() == fit.bse.tolist()
    assert (same.settings, same.model) == (fit.settings, fit.model)
    smaller = fit.update(". ~ . - x")
    assert list(smaller.params.index) == ["(Intercept)", "trt"]
    assert (smaller.se_kind, smaller.df["trt"]) == ("CR3", 10.0)
    counts = fit.update(family="poisson", se="KC")
    assert (counts.link, counts.settings.df) == ("log", None)
    wider = fit.update("+ w", data=rows)
    wanted = mlsem.gee("y ~ trt + x + w", rows, cluster="school", se="MD", df="J-p")
    assert wider.bse.tolist() == wanted.bse.tolist()
    with pytest.raises(mlsem.InferenceError, match="without 'w': pass data="):
        fit.update("+ w")
    with pytest.raises(mlsem.OptionError, match="Did you mean 'corr'"):
        fit.update(cor="ar1")
    with pytest.raises(mlsem.OptionValueError, match="needs to know which rows"):
        fit.update(corr="ar1")


def test_update_of_a_within_estimator():
    fit = fitted("fixed_effects")
    smaller = fit.update(". ~ . - female")
    wanted = mlsem.glm(
        "score ~ x", data("trial"), cluster="school", family="gaussian", absorb="school"
    )
    assert smaller.bse.tolist() == wanted.bse.tolist()


def test_a_likelihood_ratio_is_refused_by_the_test_in_its_place():
    fit = fitted("logit")
    said = r'full.wald_test\("`x`; `female`"\)'
    for refused in (
        lambda: fit.lr_test(fit.update("y ~ trt + w")),
        lambda: mlsem.lr_test(fit.update("y ~ trt + w"), fit),
    ):
        with pytest.raises(mlsem.InferenceError, match=said):
            refused()


def test_coefficients_are_drawn():
    fit = fitted("logit")
    figure = fit.plot_coefficients(fitted("lpm"), names=["logit", "LPM"])
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["logit", "LPM"]
    ticks = [each.get_text() for each in figure.axes[0].get_yticklabels()]
    assert {"trt", "x"} <= set(ticks)
