"""What a fit with missing values says when it is asked: missing information, patterns, residuals,
comparisons, refits."""

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from small import DATA, FACTORS

import mlsem
from mlsem.errors import InferenceError

RNG = np.random.default_rng(4)
HOLES = DATA.copy()
for _name in ("y1", "y2", "y3"):
    HOLES.loc[RNG.uniform(size=len(DATA)) < 0.2, _name] = np.nan
HOLES.loc[HOLES["id"] % 11 == 3, "z"] = np.nan
HOLES.loc[HOLES.index[7], ["y1", "y2", "y3"]] = np.nan
SLOPE = (
    "level: 1\n f =~ y1 + y2 + y3\n y1 ~ rv('s')*x1\nlevel: 2\n g =~ y1 + y2 + y3\n s ~ w1\n s ~~ g"
)


@cache
def fitted(model, cluster="id", missing="fiml", complete=False, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        data = DATA if complete else HOLES
        return mlsem.fit(model, data, cluster=cluster, missing=missing, **options)


# --- the fraction of missing information ----------------------------------------------------------


def test_nothing_is_missing():
    for options in ({"missing": "fiml"}, {"missing": "listwise"}):
        found = fitted(FACTORS, complete=True, **options).parameter_estimates(fmi=True)
        free = found["se"] > 0
        assert (found.loc[free, "fmi"] == 0).all()
        assert found.loc[~free, "fmi"].isna().all()


def test_of_one_variable_it_is_the_share_that_is_missing():
    """(V_c)/V = n/N for its mean and its variance, exactly."""
    data = DATA.copy()
    data.loc[data.index[:30], "y1"] = np.nan
    data["v"] = data["x1"]  # another outcome keeps the rows
    fit = mlsem.fit("y1 ~~ y1\n v ~~ v\n y1 ~~ 0*v", data, missing="fiml", se="none")
    found = fit.parameter_estimates(fmi=True).set_index(["lhs", "op", "rhs"])["fmi"]
    share = 30 / len(data)
    for row in (("y1", "~~", "y1"), ("y1", "~1", "")):
        assert found[row] == pytest.approx(share, abs=1e-6)
    assert found["v", "~~", "v"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("model", [FACTORS, SLOPE, FACTORS + "\n z ~ g"])
def test_information_of_complete_data(model):
    """Expected information takes no outcomes: it is that of the data before values were lost."""
    fit, whole = fitted(model, se="none"), fitted(model, se="none", complete=True)
    estimates = fit._estimates
    directions = estimates.directions()
    found = estimates.complete_information(directions)
    wanted = whole._estimates.problem.expected_information(fit.estimates, directions.basis)
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8 * np.abs(wanted).max())


def test_defined_parameters_and_rows_of_r2():
    fit = fitted(FACTORS.replace("f ~ x1", "f ~ a*x1") + "\n twice := 2*a")
    found = fit.parameter_estimates(fmi=True, rsquare=True, standardized=True)
    own = found.set_index(["lhs", "op", "rhs", "level"])["fmi"]
    twice = found.loc[found["op"] == ":=", "fmi"].item()
    assert twice == pytest.approx(own["f", "~", "x1", 1])
    assert found.loc[found["op"] == "r2", "fmi"].isna().all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        robust = fit.with_se("CR0").parameter_estimates(fmi=True)["fmi"]
    np.testing.assert_array_equal(robust, fit.parameter_estimates(fmi=True)["fmi"])
    assert 0.1 < own["f", "=~", "y2", 1] < 0.5


# --- patterns and moments -------------------------------------------------------------------------


def test_patterns_and_coverage():
    fit = fitted(FACTORS + "\n z ~ g", se="none")
    first, second = fit.inspect("patterns").values()
    names = ["y1", "y2", "y3", "x1"]
    assert list(first.columns) == names
    assert sum(first.index) == fit.inspect("nobs") == fit.n_obs
    assert first.index.is_monotonic_decreasing
    seen = HOLES[names].notna()
    counts = seen.value_counts()
    for count, row in zip(first.index, first.to_numpy(), strict=True):
        assert counts[tuple(row)] == count
    coverage, second_coverage = fit.inspect("coverage").values()
    wanted = (seen.T.astype(float) @ seen.astype(float)) / len(seen)
    np.testing.assert_allclose(coverage, wanted)
    clusters = HOLES.groupby("id")[["z", "w1"]].first().notna()
    assert sum(second.index) == len(clusters)
    assert second_coverage.loc["z", "z"] == pytest.approx(clusters["z"].mean())
    plain = fitted("y1 ~ x1", cluster=None, missing="listwise", se="none")
    assert plain.inspect("patterns").index.tolist() == [plain.n_obs]
    assert plain.inspect("coverage").eq(1).all(axis=None)


def test_residuals_are_less_the_saturated_model():
    fit = fitted(FACTORS)
    for kind in ("raw", "standardized"):
        assert fit.residuals(kind)
    sample, implied = fit.inspect("sampstat"), fit.inspect("implied")
    raw = fit.residuals("raw")
    for label, level in zip(sample, (1, 2), strict=True):
        gap = sample[label]["cov"] - implied[label]["cov"]
        found = raw[level] if level in raw else raw[label]
        np.testing.assert_allclose(getattr(found, "cov", found), gap, atol=1e-8)


def test_variances_and_reliabilities():
    """Those of outcomes with random slopes are over rows, of covariates that are all observed."""
    fit, whole = fitted(SLOPE), fitted(SLOPE, complete=True)
    from mlsem.results.variances import row_parts

    params = fit.estimates
    found = row_parts(fit._estimates.problem, params)
    wanted = row_parts(whole._estimates.problem, params)
    for name in ("fixed_within", "fixed_between", "slopes_within", "slopes_between", "intercepts"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=1e-8, abs=1e-9)
    frame = fitted(FACTORS).reliability().frame
    scores = frame[frame["measure"] == "scores"].set_index("composite")["est"]
    fit = fitted(FACTORS)
    for level, composite in ((1, "within"), (2, "between")):
        latent = fit.predict_latent(level, data=HOLES)
        name = latent.columns[0]
        variance = fit.inspect("cov.lv")[fit.table.level_labels[level - 1]].loc[name, name]
        left = (latent[f"{name}_se"] ** 2).mean()
        assert scores[composite] == pytest.approx(1 - left / variance, abs=1e-8)


# --- comparisons ----------------------------------------------------------------------------------


def test_comparisons_of_fits():
    full = fitted(FACTORS)
    simple = fitted(FACTORS.replace("f ~ x1", "f ~ 0*x1"))
    found = mlsem.lr_test(simple, full, method="lr")
    assert found.df == 1
    assert found.statistic == pytest.approx(2 * (full.loglik - simple.loglik), rel=1e-8)
    assert mlsem.lr_test(simple, full).pvalue < 0.05
    # rows without an outcome are there for their covariates, and compare with none
    fewer = fitted(FACTORS.replace("\n f ~ x1", ""))
    assert fewer.n_obs < full.n_obs
    assert len(mlsem.compare({"a": fewer, "b": full}, method="lr").table) == 2
    with pytest.raises(InferenceError, match="the same missing="):
        mlsem.lr_test(fitted(FACTORS.replace("f ~ x1", "f ~ 0*x1"), missing="listwise"), full)
    other = HOLES.copy()
    here = other.index[other["y1"].notna() & other["y2"].notna()][0]
    other.loc[here, "y1"] = np.nan
    for data in (other, HOLES.assign(y1=HOLES["y1"] * 1.01)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mlsem.MlsemWarning)
            moved = mlsem.fit(FACTORS.replace("f ~ x1", "f ~ 0*x1"), data, "id", missing="fiml")
        with pytest.raises(InferenceError, match="values of 'y1'"):
            mlsem.lr_test(moved, full)


def test_refits():
    """Pairs, wild and leave-one-out take cells; a fit is updated with its rows."""
    fit = fitted(FACTORS, se="CR2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        for kind in ("wild", "pairs"):
            assert fit.bootstrap(kind=kind, draws=20, seed=1).n_draws >= 15
        left = fit.cluster_diagnostics(exact=[5, 9])
        for label, change in left.exact.iterrows():
            rest = HOLES[HOLES["id"] != label]
            again = mlsem.fit(FACTORS, rest, "id", missing="fiml", se="none")
            moved = (again.params - fit.params)[change.index] / left.model_se
            np.testing.assert_allclose(change, moved, atol=1e-5)
        more = fit.update("+ level: 1\n y1 ~~ y2")
    assert more.loglik > fit.loglik


def test_random_slopes_of_one_outcome():
    """Rows that lack the outcome of a mixed model say nothing, and are in nobody's way."""
    model = "level: 1\n y1 ~ rv('s')*x1\nlevel: 2\n y1 ~ w1\n s ~ w1\n s ~~ y1"
    fit, plain = fitted(model), fitted(model, missing="listwise")
    assert fit.loglik == pytest.approx(plain.loglik, rel=1e-9)
    pd.testing.assert_series_equal(fit.params, plain.params, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        assert fit.with_se("CR2").bse.notna().all()
    assert fit.cluster_residuals()["distance"].sum() == pytest.approx(
        plain.cluster_residuals()["distance"].sum(), rel=1e-6
    )
