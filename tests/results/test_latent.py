"""Factor scores and predicted outcomes against dense conditional expectations, and lavaan's."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER, frame
from scores import MODELS, PARTS, DenseScores, check_dense
from small import DATA, FACTORS, fitted, rows

import mlsem
from mlsem.errors import DataError, InferenceError, OptionValueError

AFTER = json.loads((FOLDER / "fit" / "after.json").read_text("utf-8"))["cases"]


@pytest.mark.parametrize("name", MODELS)
def test_regression_scores_are_dense_posteriors(name):
    fit = fitted(MODELS[name])
    assert fit.converged
    second = fit.predict_latent(2)
    assert list(second.columns[::2]) == list(fit.table.levels[1].latent)
    check_dense(fit, DATA, fit.predict_latent(1, data=DATA), second)
    pd.testing.assert_frame_equal(fit.predict_latent(2, data=DATA), second, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["factors", "a random slope", "a product across levels"])
def test_scores_of_new_rows(name):
    """Of new clusters, and of new rows of known ones, which count with those of the fit."""
    fit, new = fitted(MODELS[name]), rows(seed=8, clusters=60)
    known = new["id"] < 40
    level2 = DATA.groupby("id")[["w1", "z"]].first()
    for column in ("w1", "z"):
        new[column] = new[column].where(~known, new["id"].map(level2[column]))
    new.index = 1000 + np.arange(len(new))
    joined = pd.concat([DATA, new])
    first, second = (fit.predict_latent(k, data=new, history=True) for k in (1, 2))
    whole1, whole2 = (fit.predict_latent(k, data=joined) for k in (1, 2))
    assert list(first.index) == list(new.index)
    np.testing.assert_allclose(first, whole1.loc[new.index], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(second, whole2.loc[second.index], rtol=1e-9, atol=1e-9)
    check_dense(fit, joined, whole1, whole2)
    alone1, alone2 = (fit.predict_latent(k, data=new) for k in (1, 2))
    check_dense(fit, new, alone1, alone2)


def test_a_known_cluster_is_not_counted_twice():
    fit = fitted(FACTORS)
    with pytest.raises(DataError, match="those that it has seen"):
        fit.predict_latent(2, data=DATA, history=True)
    other = DATA[DATA["id"] > 30].iloc[::2].assign(w1=5.0)
    with pytest.raises(DataError, match="another value"):
        fit.predict_latent(2, data=other, history=True)


@pytest.mark.parametrize("name", list(AFTER))
@pytest.mark.parametrize(("method", "theirs"), [("regression", "EBM"), ("bartlett", "Bartlett")])
def test_scores_are_lavaans(name, method, theirs):
    case = AFTER[name]
    data = frame(case["data"])
    fit = mlsem.fit(case["model"], data, cluster=case["cluster"], se="none")
    for level in (1, 2):
        reference = case[f"predict_l{level}_{theirs}"]
        found = fit.predict_latent(level, method, se=False, data=data)
        assert list(found.columns) == reference["names"]
        assert list(found.shape) == reference["dim"]
        np.testing.assert_allclose(found.iloc[:20], reference["first"], atol=2e-4)
        squares = [reference["sum_sq"][each] for each in found.columns]
        np.testing.assert_allclose((found**2).sum(), squares, rtol=2e-4)


def bartlett_errors(fit, data):
    """√E(A t̂ - η)² of cluster and row by dense algebra, A and t̂ written out."""
    dense = DenseScores(fit.table, data, "id")
    within, between = (dense.level(k, fit.estimates) for k in (1, 2))
    found = {}
    for j, label in enumerate(dense.ids):
        values, covariates, level2, moves = dense.data[j]
        mean = dense._cluster(dense.data[j], within, between)[1]
        cov = dense._cluster(dense.data[j], within, between)[2]
        inverse, n, p = np.linalg.inv(cov), len(covariates), len(within.names)
        for number, moments, x in ((1, within, covariates[0]), (2, between, level2)):
            names, centre, spread = dense._all(number, fit.estimates, x)
            own = [names.index(each) for each in moments.names]
            directed = dense.matrices(number, fit.estimates)[1]
            loadings = directed[own, 0]
            weights = np.linalg.solve(moments.cov, loadings)
            weights = weights / (loadings @ weights)
            if number == 2:
                gain = weights @ moments.cov @ moves.T @ inverse
                across = spread[0, own] @ moves.T
            else:
                pick = np.zeros((p, n * p))
                pick[:, :p] = moments.cov
                gain = weights @ pick @ inverse
                across = np.concatenate((spread[0, own], np.zeros((n - 1) * p)))
            error = spread[0, 0] + gain @ cov @ gain - 2 * gain @ across
            score = centre[0] + gain @ (values - mean)
            unit = label if number == 2 else data.index[dense.rows_of[j][0]]
            found[number, unit] = score, np.sqrt(error)
    return found


def test_errors_of_bartlett_scores():
    fit = fitted(FACTORS)
    tables = {k: fit.predict_latent(k, "bartlett", data=DATA) for k in (1, 2)}
    for (level, unit), expected in bartlett_errors(fit, DATA).items():
        np.testing.assert_allclose(tables[level].loc[unit], expected, rtol=1e-9, atol=1e-10)


def test_bartlett_scores_with_residual_variances_of_zero():
    """A variable without a residual is its factor, and where all are, û_j is the score."""
    text = FACTORS + "\n y1 ~~ 0*y1\n y2 ~~ 0*y2\n y3 ~~ 0*y3"
    fit = fitted(text)
    second = fit.predict_latent(2, "bartlett")
    between = fit.predict(level=2)["y1"] - fit.params["y1~1.l2"]
    np.testing.assert_allclose(second["g"], between, atol=1e-8)
    np.testing.assert_allclose(second, fit.predict_latent(2), atol=1e-7)
    first = fitted("level: 1\n f =~ y1 + y2 + y3\n y1 ~~ 0*y1\nlevel: 2\n g =~ y1 + y2 + y3")
    scores = first.predict_latent(1, "bartlett", data=DATA)["f"]
    left = DATA["y1"] - first.predict(DATA)["y1"]
    np.testing.assert_allclose(scores, left, atol=1e-8)


def test_single_level_scores():
    model = "f =~ y1 + y2 + y3\n f ~ x1"
    fit = mlsem.fit(model, DATA, meanstructure=True)
    p = fit.params
    loadings = np.array([1, p["f=~y2"], p["f=~y3"]])
    theta = np.diag([p[f"y{k}~~y{k}"] for k in (1, 2, 3)])
    psi, expected = p["f~~f"], p["f~x1"] * DATA["x1"].to_numpy()
    sigma = psi * np.outer(loadings, loadings) + theta
    away = DATA[["y1", "y2", "y3"]].to_numpy() - [p[f"y{k}~1"] for k in (1, 2, 3)]
    away = away - np.outer(expected, loadings)
    gain = psi * np.linalg.solve(sigma, loadings)
    found = fit.predict_latent(data=DATA)
    np.testing.assert_allclose(found["f"], expected + away @ gain, atol=1e-10)
    np.testing.assert_allclose(found["f_se"], np.sqrt(psi - psi * gain @ loadings), atol=1e-10)
    precision = np.linalg.solve(theta, loadings)
    bartlett = fit.predict_latent(method="bartlett", data=DATA)
    np.testing.assert_allclose(
        bartlett["f"], expected + away @ precision / (precision @ loadings), atol=1e-10
    )
    np.testing.assert_allclose(bartlett["f_se"], (precision @ loadings) ** -0.5, atol=1e-10)
    plain = mlsem.fit(model, DATA)  # about the means of the data of the fit
    centred = DATA - DATA.mean()
    again = mlsem.fit(model, centred, meanstructure=True).predict_latent(data=centred)
    np.testing.assert_allclose(plain.predict_latent(data=DATA), again, atol=1e-6)


def test_centring_and_missing_values_are_as_in_the_fit():
    data = DATA.assign(x1=DATA["x1"] + 300.0)
    text = FACTORS.replace("f ~ x1", "f ~ x1 + w1:x1")
    center = {"x1": "cluster", "w1": "grand"}
    fit = mlsem.fit(text, data, cluster="id", center=center, se="none")
    means = data.groupby("id")["x1"].transform("mean")
    grand = data.groupby("id")["w1"].first().mean()
    own = data.assign(x1=data["x1"] - means, w1=data["w1"] - grand)
    check_dense(fit, own, fit.predict_latent(1, data=data), fit.predict_latent(2))
    with pytest.raises(DataError, match="cluster means"):
        fit.predict_latent(1, data=data, history=True)
    holes = DATA.copy()
    holes.loc[holes.index[5], "y2"] = np.nan
    found = fitted(FACTORS).predict_latent(1, data=holes)
    assert list(found.index) == list(holes.index)
    assert found.isna().all(axis=1).sum() == 1
    rest = fitted(FACTORS).predict_latent(1, data=holes.dropna())
    np.testing.assert_allclose(found.dropna(), rest)


def test_order_of_rows_and_labels_do_not_matter():
    fit = fitted(FACTORS)
    shuffled = DATA.sample(frac=1.0, random_state=5)
    named = shuffled.assign(id=shuffled["id"].map("c{}".format))
    for level in (1, 2):
        base = fit.predict_latent(level, data=DATA)
        other = fit.predict_latent(level, data=shuffled).loc[base.index]
        np.testing.assert_allclose(other, base, atol=1e-11)
    assert set(fit.predict_latent(2, data=named).index) == set(named["id"])


# --- outcomes -------------------------------------------------------------------------------------


def test_predicted_outcomes_of_a_mixed_model():
    """X β + Z b of known clusters; X β of new ones."""
    data = mlsem.load_example("article")
    fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=False)
    p, effects = fit.params, fit.random_effects()
    fixed = p["(Intercept)"] + p["w1"] * data["w1"] + p["x1"] * data["x1"]
    fixed = fixed + p["w1:x1"] * data["w1"] * data["x1"]
    own = effects.loc[data["id"]].to_numpy()
    found = fit.predict(data.drop(columns="y"))
    expected = fixed + own[:, 0] + own[:, 2] * data["x1"]
    np.testing.assert_allclose(found["y"], expected, atol=1e-10)
    new = fit.predict(data.assign(id=data["id"] + 1000), new_levels="population")
    np.testing.assert_allclose(new["y"], fixed, atol=1e-10)
    assert "not seen" in new.attrs["note"]


@pytest.mark.parametrize("meanstructure", [True, False])
def test_predicted_outcomes_of_a_regression(meanstructure):
    """Of one level: least squares, also where the model says nothing of the means."""
    design = np.column_stack((np.ones(len(DATA)), DATA["x1"], DATA["v"]))
    expected = design @ np.linalg.lstsq(design, DATA["y1"], rcond=None)[0]
    for fixed_x in (True, False):
        fit = mlsem.fit("y1 ~ x1 + v", DATA, meanstructure=meanstructure, fixed_x=fixed_x)
        found = fit.predict(DATA.drop(columns="y1"))
        assert list(found.columns) == ["y1"]
        np.testing.assert_allclose(found["y1"], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["an outcome of level 2", "a latent path", "a random slope"])
def test_predicted_outcomes_are_dense_expectations(name):
    fit = fitted(MODELS[name])
    dense = DenseScores(fit.table, DATA, "id")
    found, second = fit.predict(DATA), fit.predict(level=2)
    within, between = (dense.level(k, fit.estimates) for k in (1, 2))
    for j, label in enumerate(dense.ids):
        values, covariates, level2, moves = dense.data[j]
        _, mean, cov = dense._cluster(dense.data[j], within, between)
        effects = between.cov @ moves.T @ np.linalg.solve(cov, values - mean)
        own = np.isin(between.names, (*within.names, *(s.name for s in fit.table.slopes)))
        n, p = len(covariates), len(within.names)
        effects = np.where(own, effects, 0.0)
        expected = (mean + moves @ effects)[: n * p].reshape(n, p)
        at = DATA.index[dense.rows_of[j]]
        np.testing.assert_allclose(found.loc[at, list(within.names)], expected, atol=1e-9)
        level = between.intercepts + between.slopes @ level2 + effects
        np.testing.assert_allclose(second.loc[label, list(between.names)], level, atol=1e-9)


@pytest.mark.parametrize("fixed_x", [True, False])
def test_covariates_with_a_part_at_both_levels(fixed_x):
    """Scores are dense posteriors; outcomes are expected given x of the row, and in new clusters
    given all their x."""
    fit = fitted(PARTS, fixed_x=fixed_x)
    saturated = fit._estimates.problem.saturated
    if saturated is not None:
        from mlsem.model.pattern import level_names

        saturated = list(
            zip(level_names(fit.table), saturated.means, saturated.covariances, strict=True)
        )
    dense = DenseScores(fit.table, DATA, "id", saturated)
    check_dense(fit, DATA, fit.predict_latent(1, data=DATA), fit.predict_latent(2), dense)
    new = DATA.assign(id=DATA["id"] + 100, y1=np.nan)
    known, other = fit.predict(DATA), fit.predict(new)
    assert list(known.columns) == ["y1", "y2", "y3"]
    within, between = (dense.level(k, fit.estimates) for k in (1, 2))
    p, x = len(within.names), within.names.index("x1")
    y = [k for k in range(p) if k != x]
    slopes = within.cov[y, x] / within.cov[x, x]
    for j in range(len(dense.ids)):
        values, covariates, _, moves = dense.data[j]
        _, mean, cov = dense._cluster(dense.data[j], within, between)
        n, at = len(covariates), DATA.index[dense.rows_of[j]]
        seen = np.arange(n * p) % p == x  # the values of x, the only ones known of a new cluster
        if not fixed_x:
            seen = np.append(seen, True)  # and w1, which is modelled too
        for found, chosen in ((known, np.ones(len(values), bool)), (other, seen)):
            gain = np.linalg.solve(cov[np.ix_(chosen, chosen)], (values - mean)[chosen])
            effects = between.cov @ moves[chosen].T @ gain
            expected = (mean + moves @ effects)[: n * p].reshape(n, p)
            gap = values[: n * p].reshape(n, p)[:, x] - expected[:, x]
            expected = expected[:, y] + np.outer(gap, slopes)
            np.testing.assert_allclose(found.loc[at], expected, atol=1e-9)


# --- what is refused ------------------------------------------------------------------------------


def test_what_cannot_be_predicted():
    fit = fitted(FACTORS)
    with pytest.raises(InferenceError, match="keeps no rows"):
        fit.predict_latent()
    with pytest.raises(InferenceError, match="keeps no rows"):
        fit.predict()
    with pytest.raises(OptionValueError, match="bartlett"):
        fit.predict_latent(2, "bartlet")
    with pytest.raises(OptionValueError, match="history"):
        fit.predict_latent(2, history=True)
    with pytest.raises(OptionValueError, match="one level"):
        mlsem.fit("f =~ y1 + y2 + y3", DATA).predict_latent(data=DATA, history=True)
    with pytest.raises(OptionValueError, match="level"):
        fit.predict_latent(3)
    with pytest.raises(DataError, match="y3"):
        fit.predict_latent(data=DATA.drop(columns="y3"))
    with pytest.raises(DataError, match="w1"):
        fit.predict_latent(data=DATA.assign(w1=DATA["x1"]))
    only = fitted("level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n y1 ~~ y2")
    with pytest.raises(InferenceError, match="at level 1"):
        only.predict_latent(2)
