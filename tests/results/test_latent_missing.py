"""Scores, expected outcomes and distances where values are missing, against dense conditional
expectations given what is observed."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scores import MODELS, PARTS, DenseScores, check_dense
from small import DATA, FACTORS, rows

import mlsem
from mlsem.errors import DataError


class DenseIncompleteScores(DenseScores):
    @staticmethod
    def _given(names, centre, spread, across, inverse, residual):
        there = ~np.isnan(residual)
        inverse = np.linalg.inv(np.linalg.inv(inverse)[np.ix_(there, there)])
        args = (names, centre, spread, across[:, there], inverse, residual[there])
        return DenseScores._given(*args)


def holes(data, names=("y1", "y2", "y3", "v", "z"), seed=1, share=0.25):
    """Single values, an item in whole clusters, and level-2 outcomes in whole clusters."""
    rng, out = np.random.default_rng(seed), data.copy()
    ids = out["id"].unique()
    for k, name in enumerate(names):
        gone = rng.uniform(size=len(out)) < share
        if name == "z":
            gone = out["id"].isin(ids[rng.uniform(size=len(ids)) < share]).to_numpy()
        gone = gone | (out["id"] % 13 == k).to_numpy()
        out.loc[gone, name] = np.nan
    return out


HOLES = holes(DATA, seed=4)


@cache
def fitted(model, cluster="id", **options):
    return quietly(model, HOLES, cluster=cluster, **options)


def quietly(model, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(model, data, **{"se": "none", "missing": "fiml"} | options)


@pytest.mark.parametrize("name", MODELS)
def test_regression_scores_are_dense_posteriors(name):
    fit = fitted(MODELS[name])
    assert fit.converged
    second = fit.predict_latent(2)
    dense = DenseIncompleteScores(fit.table, HOLES, "id")
    check_dense(fit, HOLES, fit.predict_latent(1, data=HOLES), second, dense)
    again = fit.predict_latent(2, data=HOLES)
    pd.testing.assert_frame_equal(again.loc[second.index], second, rtol=1e-8, atol=1e-8)
    effects = fit.random_effects()
    pd.testing.assert_index_equal(effects.index, second.index)
    assert effects.notna().all(axis=None)


@pytest.mark.parametrize("name", ["factors", "a random slope", "an outcome of level 2"])
@pytest.mark.parametrize("complete", [False, True])
def test_new_rows_count_with_those_of_the_fit(name, complete):
    fit, new = fitted(MODELS[name]), rows(seed=8, clusters=60)
    known = new["id"] < 40
    level2 = DATA.groupby("id")[["w1", "z"]].first()
    for column in ("w1", "z"):
        new[column] = new[column].where(~known, new["id"].map(level2[column]))
    if not complete:
        new = holes(new, seed=2)
    new.index = 1000 + np.arange(len(new))
    joined = pd.concat([HOLES, new])
    joined["z"] = joined.groupby("id")["z"].transform("first")
    first, second = (fit.predict_latent(k, data=new, history=True) for k in (1, 2))
    whole1, whole2 = (fit.predict_latent(k, data=joined) for k in (1, 2))
    assert list(first.index) == list(new.index)
    np.testing.assert_allclose(first, whole1.loc[new.index], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(second, whole2.loc[second.index], rtol=1e-8, atol=1e-8)
    dense = DenseIncompleteScores(fit.table, joined, "id")
    check_dense(fit, joined, whole1, whole2, dense)
    with pytest.raises(DataError, match="those that it has seen"):
        fit.predict_latent(2, data=HOLES, history=True)


def test_bartlett_scores_are_those_of_the_observed_indicators():
    fit = fitted("f =~ y1 + y2 + y3\n f ~ x1", cluster=None)
    p = fit.params
    loadings = np.array([1, p["f=~y2"], p["f=~y3"]])
    theta = np.array([p[f"y{k}~~y{k}"] for k in (1, 2, 3)])
    found = fit.predict_latent(method="bartlett", data=HOLES)
    regression = fit.predict_latent(data=HOLES)
    for place, row in HOLES.iterrows():
        y = row[["y1", "y2", "y3"]].to_numpy(float) - [p[f"y{k}~1"] for k in (1, 2, 3)]
        there, expected = ~np.isnan(y), p["f~x1"] * row["x1"]
        if not there.any():
            assert found.loc[place].isna().all()
            assert regression.loc[place, "f"] == pytest.approx(expected)
            assert regression.loc[place, "f_se"] == pytest.approx(np.sqrt(p["f~~f"]))
            continue
        weights = loadings[there] / theta[there]
        precision = weights @ loadings[there]
        assert found.loc[place, "f"] == pytest.approx(weights @ y[there] / precision, abs=1e-9)
        assert found.loc[place, "f_se"] == pytest.approx(precision**-0.5)


def test_bartlett_scores_of_clusters():
    """An item that is wholly missing in a cluster, and what residuals vary by, are left out."""
    fit = fitted(FACTORS)
    found, whole = fit.predict_latent(2, "bartlett"), fit.predict_latent(2)
    assert found.notna().all(axis=None)
    assert (found["g_se"] >= whole["g_se"] - 1e-12).all()
    one = HOLES.groupby("id")[["y1", "y2", "y3"]].count().gt(0).sum(axis=1) == 1
    one = one.index[one]
    assert len(one)
    effects = fit.random_effects()
    for label in one:  # of a single item its mean, over its loading
        k = int(HOLES[HOLES["id"] == label][["y1", "y2", "y3"]].count().to_numpy().argmax()) + 1
        loading = 1.0 if k == 1 else fit.params[f"g=~y{k}.l2"]
        expected = fit.params["g~w1.l2"] * HOLES.loc[HOLES["id"] == label, "w1"].iloc[0]
        score = expected + effects.loc[label, f"y{k}"] / loading
        assert found.loc[label, "g"] == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize("name", ["an outcome of level 2", "a latent path", "a random slope"])
def test_predicted_outcomes_are_dense_expectations(name):
    fit = fitted(MODELS[name])
    dense = DenseScores(fit.table, HOLES, "id")
    found, second = fit.predict(HOLES), fit.predict(level=2)
    within, between = (dense.level(k, fit.estimates) for k in (1, 2))
    for j, label in enumerate(dense.ids):
        values, covariates, level2, moves = dense.data[j]
        _, mean, cov = dense._cluster(dense.data[j], within, between)
        there = ~np.isnan(values)
        gain = np.linalg.solve(cov[np.ix_(there, there)], (values - mean)[there])
        effects = between.cov @ moves[there].T @ gain
        own = np.isin(between.names, (*within.names, *(s.name for s in fit.table.slopes)))
        n, p = len(covariates), len(within.names)
        effects = np.where(own, effects, 0.0)
        expected = (mean + moves @ effects)[: n * p].reshape(n, p)
        at = HOLES.index[dense.rows_of[j]]
        np.testing.assert_allclose(found.loc[at, list(within.names)], expected, atol=1e-9)
        level = between.intercepts + between.slopes @ level2 + effects
        np.testing.assert_allclose(second.loc[label, list(between.names)], level, atol=1e-9)


def test_exogenous_variables_that_are_missing():
    """A modelled covariate that is missing is not conditioned on."""
    data = HOLES.copy()
    data.loc[data.index[::6], "x1"] = np.nan
    fit = mlsem.fit("y1 ~ x1 + w1", data, se="none", missing="fiml.x")
    found, p = fit.predict(data)["y1"], fit.params
    spread = pd.Series({"x1": p["x1~~x1"], "w1": p["w1~~w1"]})
    slope = p["y1~w1"] + p["y1~x1"] * p["x1~~w1"] / spread["w1"]
    mean = p["y1~1"] + p["y1~x1"] * p["x1~1"] + p["y1~w1"] * p["w1~1"]
    gone = data["x1"].isna()
    expected = mean + slope * (data["w1"] - p["w1~1"])
    np.testing.assert_allclose(found[gone], expected[gone], atol=1e-10)
    full = p["y1~1"] + p["y1~x1"] * data["x1"] + p["y1~w1"] * data["w1"]
    np.testing.assert_allclose(found[~gone], full[~gone], atol=1e-10)


def test_covariates_with_a_part_at_both_levels():
    data = HOLES.copy()
    data.loc[data.index[::7], "x1"] = np.nan
    fit = quietly(PARTS, data, cluster="id", fixed_x=False)
    dense = DenseIncompleteScores(fit.table, data, "id")
    check_dense(fit, data, fit.predict_latent(1, data=data), fit.predict_latent(2), dense)
    new = fit.predict(data.assign(id=data["id"] + 100))
    assert new.notna().all(axis=None)


def test_rows_that_lack_a_fixed_covariate():
    fit = fitted(FACTORS)
    data = HOLES.copy()
    lacking = data.index[3]
    data.loc[lacking, "x1"] = np.nan
    found = fit.predict_latent(1, data=data)
    assert found.loc[lacking].isna().all()
    assert found.drop(index=lacking).notna().all(axis=None)
    with pytest.raises(DataError, match=r"no row is left.*\('x1' \(129\)\)"):
        fit.predict_latent(1, data=data.assign(x1=np.nan))
    data.loc[data.index[1], "w1"] = np.nan  # known of other rows of its cluster
    assert (data["id"] == data.loc[data.index[1], "id"]).sum() > 1
    np.testing.assert_array_equal(fit.predict_latent(1, data=data), found)


def test_distances_of_rows():
    """Of a row from what the others of its cluster say of it."""
    fit = fitted(FACTORS)
    found = fit.row_residuals(HOLES)
    there = HOLES[["y1", "y2", "y3"]].notna().sum(axis=1)
    pd.testing.assert_series_equal(found["df"].loc[HOLES.index], there, check_names=False)
    dense = DenseScores(fit.table, HOLES, "id")
    for j, (values, mean, cov) in enumerate(dense.clusters(fit.estimates)):
        seen, p = ~np.isnan(values), 3
        for i, place in enumerate(HOLES.index[dense.rows_of[j]]):
            own = np.arange(len(values)) // p == i
            if not (own & seen).any():
                assert found.loc[place].isna().tolist() == [True, False, True]
                continue
            rest, own = np.flatnonzero(~own & seen), np.flatnonzero(own & seen)
            gain = np.linalg.solve(cov[np.ix_(rest, rest)], cov[np.ix_(rest, own)]).T
            gap = (values - mean)[own] - gain @ (values - mean)[rest]
            left = cov[np.ix_(own, own)] - gain @ cov[np.ix_(rest, own)]
            wanted = gap @ np.linalg.solve(left, gap)
            assert found.loc[place, "distance"] == pytest.approx(wanted, abs=1e-8)


def test_residuals_of_clusters():
    fit = quietly(FACTORS, HOLES, cluster="id", se="MLR")
    found = fit.cluster_residuals().loc[fit.predict_latent(2).index]
    seen = HOLES[["y1", "y2", "y3"]].notna().sum(axis=1).groupby(HOLES["id"]).sum()
    np.testing.assert_array_equal(found["df"], seen.loc[found.index])
    assert found["rows"].sum() == fit.n_obs
    saturated = fit.h1().loglik
    assert found["chisq"].sum() == pytest.approx(2 * (saturated - fit.loglik), abs=1e-6)
