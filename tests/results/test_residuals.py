"""Residual moments, and residuals of clusters and rows, against lavaan's and dense algebra."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from dense import Dense
from reference import FOLDER, frame
from reference import fitted as reference_fit
from small import DATA, FACTORS, fitted

import mlsem
from mlsem.errors import InferenceError, OptionValueError

AFTER = json.loads((FOLDER / "fit" / "after.json").read_text("utf-8"))["cases"]
LEVEL2 = FACTORS + "\n z ~ g"
SLOPE = "level: 1\n y1 ~ rv('s')*x1\n y2 ~ x1\nlevel: 2\n s ~ w1\n y1 ~~ s\n y2 ~ w1"


def reference(case):
    options = (("estimator", "MLR"),)
    return reference_fit("sem", case["model"], case["data"], case["cluster"], options)


def table_of(level):
    return pd.DataFrame(level["values"], level["rows"], level["cols"], dtype=float)


# --- moments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(AFTER))
def test_residuals_are_lavaans(name):
    case = AFTER[name]
    fit = reference(case)
    for kind in ("raw", "cor.bentler"):
        found = fit.residuals(kind)
        for label, theirs in zip(found, case[f"residuals_{kind}"].values(), strict=True):
            cov = table_of(theirs["cov"])
            ours = found[label].cov.loc[cov.index, cov.columns]
            np.testing.assert_allclose(ours, cov, atol=3e-4)
            mean = pd.Series(theirs["mean"], dtype=float)
            np.testing.assert_allclose(found[label].mean[mean.index], mean, atol=3e-4)


def test_z_values_are_lavaans():
    """Of covariances; lavaan's covariance matrix of the moments is another estimate, and that of
    variances, which hardly differ whatever the model, is cut off."""
    case = AFTER["misfit"]
    found, theirs = reference(case).residuals(level=1), case["residuals_raw"]["within"]["cov.z"]
    below = np.tril_indices(6, -1)
    expected = table_of(theirs).loc[found.cov_z.index, found.cov_z.columns].to_numpy()[below]
    np.testing.assert_allclose(found.cov_z.to_numpy()[below], expected, atol=0.15)


@pytest.mark.parametrize("se", ["standard", "MLR"])
def test_covariance_of_residual_moments(se):
    """(I - ΔK) Γ (I - ΔK)ᵀ by plain algebra."""
    from mlsem.estimation.saturated import at_estimates
    from mlsem.inference.fit.residual_tests import residual_roots

    fit = fitted(LEVEL2, se=se)
    models, robust = fit._models, se == "MLR"
    ((root, full),) = residual_roots(models.seen, models.saturated, robust=robust)
    at, estimates = at_estimates(models.seen), models.seen
    ((_, delta),) = at.tangents(estimates.along(estimates.equal))
    weight = at.expected
    gain = delta @ np.linalg.solve(delta.T @ weight @ delta, delta.T @ weight)
    gamma = np.linalg.inv(weight)
    if robust:
        bread = np.linalg.inv(models.saturated.observed)
        gamma = bread @ models.saturated.scores.T @ models.saturated.scores @ bread
    left = np.eye(len(gain)) - gain
    np.testing.assert_allclose(full @ full.T, gamma, atol=1e-9 * np.abs(gamma).max())
    np.testing.assert_allclose(root @ root.T, left @ gamma @ left.T, atol=1e-9 * gamma.max())


def test_errors_of_residuals_by_isserlis():
    """Of one level, where a residual covariance has a variance in closed form: with all loadings
    equal and fixed, e of the covariances about their mean, by Isserlis."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(300, 4)) + rng.normal(size=(300, 1)))
    data.columns = [f"y{k}" for k in (1, 2, 3, 4)]
    text = "f =~ 1*y1 + 1*y2 + 1*y3 + 1*y4\n" + "\n".join(f"y{k} ~~ t*y{k}" for k in (1, 2, 3, 4))
    fit = mlsem.fit(text, data)
    sigma = fit.implied().cov.to_numpy()
    rows, cols = np.tril_indices(4)
    gamma = (
        sigma[np.ix_(rows, rows)] * sigma[np.ix_(cols, cols)]
        + sigma[np.ix_(rows, cols)] * sigma[np.ix_(cols, rows)]
    ) / 300
    delta = np.column_stack((np.ones(10), rows == cols)).astype(float)
    weight = np.linalg.inv(gamma)
    left = np.eye(10) - delta @ np.linalg.solve(delta.T @ weight @ delta, delta.T @ weight)
    expected = np.sqrt(np.diagonal(left @ gamma @ left.T))
    found = fit.residuals()
    np.testing.assert_allclose(found.cov_se.to_numpy()[rows, cols], expected, rtol=1e-6)
    assert found.srmr == pytest.approx(fit.fit_measures("srmr").iloc[0])


def test_z_values_do_not_depend_on_units():
    fit = fitted(LEVEL2, se="MLR")
    moved = mlsem.fit(LEVEL2, DATA.assign(y2=100 * DATA["y2"] - 7), cluster="id", se="MLR")
    for label, own in fit.residuals().items():
        other = moved.residuals()[label]
        np.testing.assert_allclose(other.cov_z, own.cov_z, rtol=1e-3, atol=1e-4)
        for kind in ("cor.bentler", "standardized"):
            again = fit.residuals(kind)[label]
            np.testing.assert_allclose(again.cov_z, own.cov_z)
        np.testing.assert_allclose(fit.residuals("standardized")[label].cov, own.cov_z)
        correlations = fit.residuals("cor.bollen")[label], moved.residuals("cor.bollen")[label]
        np.testing.assert_allclose(correlations[1].cov, correlations[0].cov, atol=1e-6)
        np.testing.assert_allclose(correlations[1].cov_z, correlations[0].cov_z, rtol=1e-3)
        assert np.isnan(np.diag(correlations[0].cov_z)).all()
        assert own.srmr == fit.fit_measures().iloc[:][f"srmr_{_part(own.level)}"]


def _part(level):
    return ("within", "between")[level - 1]


def test_what_the_model_leaves_free_has_no_test():
    """With y3 apart the moments of y1 and y2 are the sample's."""
    found = mlsem.fit("y1 ~~ y2 + 0*y3\ny2 ~~ 0*y3", DATA).residuals()
    assert found.cov_se.notna().to_numpy().sum() == 4
    assert found.cov_pvalue.loc["y2", "y3"] < 0.01
    assert found.mean_se.isna().all()
    assert "SRMR" in str(found)


def test_residuals_that_are_refused():
    with pytest.raises(OptionValueError, match="bollen'"):
        fitted(FACTORS).residuals("bollen")
    with pytest.raises(OptionValueError, match="level"):
        fitted(FACTORS).residuals(level=3)
    with pytest.raises(InferenceError, match="random slopes"):
        fitted(SLOPE).residuals()


# --- clusters and rows ----------------------------------------------------------------------------


def dense_clusters(fit):
    dense = Dense(fit.table, DATA, "id")
    distances = {}
    for label, (values, mean, cov) in zip(dense.ids, dense.clusters(fit.estimates), strict=True):
        away = values - mean
        distances[label] = away @ np.linalg.solve(cov, away), len(values)
    return dense, distances


@pytest.mark.parametrize("model", [FACTORS, LEVEL2, SLOPE], ids=["factors", "level 2", "slope"])
def test_distances_of_clusters_and_rows_are_dense(model):
    from mlsem.estimation.clusterwise import clusters_of

    fit = fitted(model)
    found = fit.cluster_residuals()
    dense, distances = dense_clusters(fit)
    for label, (distance, df) in distances.items():
        assert found.at[label, "distance"] == pytest.approx(distance, rel=1e-9)
        assert found.at[label, "df"] == df
    assert found["pvalue"].is_monotonic_increasing
    own = dict(zip(fit._estimates.problem.moments.labels, clusters_of(fit._estimates).loglik,
                   strict=True))  # fmt: skip
    np.testing.assert_allclose([own[k] for k in dense.ids], dense.logliks(fit.estimates))
    rows, p = fit.row_residuals(DATA), len(fit.table.levels[0].modelled)
    for j, (values, mean, cov) in enumerate(dense.clusters(fit.estimates)):
        inverse = np.linalg.inv(cov)
        pulled = inverse @ (values - mean)
        for i, unit in enumerate(DATA.index[dense.rows_of[j]]):
            at = slice(i * p, (i + 1) * p)
            distance = pulled[at] @ np.linalg.solve(inverse[at, at], pulled[at])
            assert rows.at[unit, "distance"] == pytest.approx(distance, rel=1e-8)


@pytest.mark.parametrize("model", [FACTORS, LEVEL2, "f =~ y1 + y2 + y3\n v ~ f + 0*x1"])
def test_contributions_add_up_to_chi_square(model):
    cluster = "id" if "level" in model else None
    fit = fitted(model, cluster=cluster, meanstructure=True)
    found = fit.cluster_residuals()
    assert found["chisq"].sum() == pytest.approx(fit.fit_measures("chisq").iloc[0], abs=1e-7)
    assert found["rows"].sum() == len(DATA)


def test_influence_is_that_of_the_diagnostics():
    fit = fitted(FACTORS, se="CR2")
    names = ["f~x1", "g~w1.l2"]
    found, influence = fit.cluster_residuals(names), fit.cluster_diagnostics().influence
    pd.testing.assert_frame_equal(
        found[names].sort_index(), influence[names].sort_index(), check_names=False
    )
    largest = fit.cluster_residuals().iloc[0]
    row = influence.loc[largest.name]
    assert abs(largest["change"]) == row.abs().max()
    assert row[largest["parameter"]] == largest["change"]
    with pytest.raises(OptionValueError, match="f~x2"):
        fit.cluster_residuals("f~x2")


def test_coarser_clusters_add_up():
    data = DATA.assign(school=DATA["id"] // 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.InferenceWarning)
        fit = mlsem.fit(FACTORS, data, cluster="id", se_cluster="school", se="CR0")
    own, school = fitted(FACTORS).cluster_residuals(), fit.cluster_residuals()
    for name in ("distance", "df", "chisq", "rows"):
        sums = own[name].groupby(own.index // 4).sum()
        np.testing.assert_allclose(school[name].sort_index(), sums, rtol=1e-5, atol=1e-4)


def test_rows_with_missing_values_come_last():
    data = DATA.copy()
    data.iloc[4, data.columns.get_loc("y1")] = np.nan
    found = fitted(FACTORS).row_residuals(data)
    assert found.index[-1] == data.index[4]
    assert found["pvalue"].isna().sum() == 1


def test_restricted_fits_have_distances_alone():
    fit = mlsem.lmm("y ~ x1 + (1 | id)", frame("article_50x10_rep1.csv"))
    found = fit.cluster_residuals()
    assert found["chisq"].isna().all()
    assert (found["distance"] > 0).all()
