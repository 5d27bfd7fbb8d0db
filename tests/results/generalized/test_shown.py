"""`glm` in tables of several fits, and the diagnostics of its clusters."""

from __future__ import annotations

import numpy as np
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
    exact = fit.cluster_diagnostics("trt", exact=True)
    family = "binomial" if case == "logit" else "gaussian"
    for label in exact["cluster"].tolist()[:2]:
        again = mlsem.glm(fit.model, rows[rows["school"] != label], cluster="school", family=family)
        own = exact.loc[exact["cluster"] == label, "change"].item()
        assert own == pytest.approx(again.params["trt"] - fit.params["trt"], abs=1e-9)
    step = fit.cluster_diagnostics("trt")
    assert step["share"].sum() == pytest.approx(1.0)
    assert step["rows"].sum() == len(rows)
    whole = fit.cluster_diagnostics()
    assert whole["leverage"].to_numpy()[:: len(fit.params)].sum() == pytest.approx(len(fit.params))
    squares = (step["change"] ** 2).sum()
    assert np.sqrt(squares) == pytest.approx(fit.with_se("CR3").bse["trt"], rel=1e-9)
    if case == "lpm":  # of a linear model the step is exact
        assert step["change"].to_numpy() == pytest.approx(exact["change"].to_numpy(), abs=1e-10)


def test_a_cluster_that_stands_alone_is_not_left_out():
    found = fitted("one_treated_logit").cluster_diagnostics("trt", exact=True)
    assert np.isnan(found["change"]).tolist() == [True] + [False] * 7
