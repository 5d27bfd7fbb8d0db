"""What lavInspect's names give, against lavaan's."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER
from reference import fitted as reference_fit
from small import DATA, FACTORS, fitted

import mlsem
from mlsem.errors import InferenceError, OptionValueError
from mlsem.results.inspect import NAMES

AFTER = json.loads((FOLDER / "fit" / "after.json").read_text("utf-8"))["cases"]


def check_moments(found, theirs):
    for label, level in zip(found, theirs.values(), strict=True):
        cov = level["cov"]
        ours = found[label]["cov"].loc[cov["rows"], cov["cols"]]
        np.testing.assert_allclose(ours, np.array(cov["values"]), atol=3e-4)
        mean = pd.Series(level["mean"], dtype=float)
        np.testing.assert_allclose(found[label]["mean"][mean.index], mean, atol=3e-4)


@pytest.mark.parametrize("name", list(AFTER))
def test_moments_are_lavaans(name):
    case = AFTER[name]
    options = (("estimator", "MLR"),)
    fit = reference_fit("sem", case["model"], case["data"], case["cluster"], options)
    check_moments(fit.inspect("h1"), case["h1"])
    check_moments(fit.inspect("sampstat"), case["h1"])
    check_moments(fit.inspect("implied"), case["implied"])
    icc = fit.inspect("icc")
    np.testing.assert_allclose(icc[list(case["icc"])], list(case["icc"].values()), atol=2e-4)
    found = fit.inspect("rsquare")
    for label, theirs in zip(found, case["rsquare"].values(), strict=True):
        values = [np.nan if v is None else v for v in theirs.values()]
        np.testing.assert_allclose(found[label][list(theirs)], values, atol=2e-4)


def test_matrices_imply_the_moments():
    fit = fitted(FACTORS + "\n z ~ g", se="standard")
    est = fit.inspect("est")
    assert list(est) == ["1", "2"]
    within, between = est.values()
    load, psi, theta = (within[k].to_numpy() for k in ("lambda", "psi", "theta"))
    x = within["gamma"].loc["f", "x1"] ** 2 * DATA["x1"].var(ddof=0)
    sigma = load @ (psi + x) @ load.T + theta
    names = list(within["theta"].columns)
    implied = fit.inspect("cov.ov")["1"].loc[names, names]
    np.testing.assert_allclose(implied, sigma)
    assert set(between["lambda"].columns) == {"g", "z"}
    assert between["beta"].loc["z", "g"] == fit.params["z~g.l2"]
    assert between["nu"]["y1"] == fit.params["y1~1.l2"]
    free = fit.inspect("free")["2"]
    assert fit.params.iloc[free["beta"].loc["z", "g"] - 1] == between["beta"].loc["z", "g"]
    assert free["lambda"].loc["y1", "g"] == 0
    assert fit.inspect("se")["2"]["beta"].loc["z", "g"] == fit.bse["z~g.l2"]


OF_CLUSTERS = {name for name in NAMES if "cluster" in name} | {"icc"}
PER_LEVEL = {"h1", "implied", "est", "free", "cov.lv", "cor.all", "residuals", "mean.lv"}


@pytest.mark.parametrize("name", sorted({*NAMES} - {"std", "standardized"}))
def test_every_name_gives_something(name):
    fit = fitted(FACTORS, se="standard")
    found = fit.inspect(name)
    assert found is not None
    if name in PER_LEVEL:
        assert list(found) == list(fit.table.level_labels)
    single = fitted("f =~ y1 + y2 + y3\n v ~ f", cluster=None, se="standard")
    if name not in OF_CLUSTERS:
        assert single.inspect(name) is not None
        return
    with pytest.raises(InferenceError):
        single.inspect(name)


def test_counts_and_correlations():
    fit = fitted(FACTORS, se="standard")
    sizes = DATA.groupby("id").size()
    assert fit.inspect("nobs") == len(DATA)
    assert fit.inspect("nclusters") == len(sizes)
    assert fit.inspect("cluster sizes").tolist() == sorted(set(sizes))
    assert fit.inspect("cluster.size").sort_index().tolist() == sizes.tolist()
    assert fit.inspect("average_cluster_size") == pytest.approx(sizes.mean())
    assert np.diag(fit.inspect("cor.all")["1"]) == pytest.approx(1.0)
    expected = fit.params["g~w1.l2"] * DATA.groupby("id")["w1"].first().mean()
    assert fit.inspect("mean.lv")["2"]["g"] == pytest.approx(expected)
    assert np.abs(fit.inspect("gradient")).max() < 1e-3


def test_unknown_names_are_told_the_nearest():
    with pytest.raises(OptionValueError, match="'sampstat'"):
        fitted(FACTORS).inspect("sampstats")
    with pytest.raises(OptionValueError, match="vcov"):
        fitted(FACTORS).inspect("nonsense")
    with pytest.raises(OptionValueError, match="None"):
        fitted(FACTORS).inspect(None)
    assert mlsem.fit("y1 ~ x1", DATA).inspect("converged")
