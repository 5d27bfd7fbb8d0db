"""`auxiliary=`: saturated correlates beside a model, at the levels at which they vary."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from small import rows

import mlsem
from mlsem.errors import DataError, InferenceError, OptionValueError

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.errors.MlsemWarning")
MODEL = """level: 1
 f =~ y1 + y2 + y3
 f ~ x1
level: 2
 g =~ y1 + y2 + y3
 g ~ w1"""
BY_HAND = """level: 1
 f =~ y1 + y2 + y3
 f ~ x1
 v ~~ y1 + y2 + y3 + v + 0*f
 v ~ x1
level: 2
 g =~ y1 + y2 + y3
 g ~ w1
 v ~~ y1 + y2 + y3 + v + z + 0*g
 z ~~ y1 + y2 + y3 + z + 0*g
 v ~ w1
 z ~ w1"""
PATH = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"


@cache
def lacking() -> pd.DataFrame:
    """Values missing by what v (of both levels) and z (of level 2) are; some of v as well."""
    data = rows(seed=2, clusters=60).reset_index(drop=True)
    data.loc[data["v"] > 0.6, "y1"] = np.nan
    data.loc[data["z"] > 0.8, "y2"] = np.nan
    data.loc[data.index % 9 == 4, ["v", "y3"]] = np.nan
    return data


@cache
def fitted(model: str = MODEL, *auxiliary: str, **options) -> mlsem.FitResult:
    return mlsem.fit(
        model, lacking(), "id", missing="fiml", auxiliary=list(auxiliary) or None, **options
    )


def turned(params: pd.Series) -> dict[tuple[str, str], float]:
    """By the two sides of each parameter, in whichever order, and the operator with the level."""
    found = {}
    for name, value in params.items():
        base, _, level = str(name).partition(".l")
        op = next(op for op in ("=~", "~~", "~") if op in base)
        sides = base.split(op)
        found["".join(sorted(sides) if op == "~~" else sides), op + level] = value
    return found


@pytest.mark.parametrize("se", ["MLR", "CR2"])
def test_the_same_as_written_by_hand(se):
    ours, theirs = fitted(MODEL, "v", "z", se=se), fitted(BY_HAND, se=se)
    assert ours.loglik == pytest.approx(theirs.loglik, abs=1e-9)
    assert (ours.aic, ours.bic) == pytest.approx((theirs.aic, theirs.bic), rel=1e-12)
    for one, other in ((ours.params, theirs.params), (ours.bse, theirs.bse)):
        assert turned(one) == pytest.approx(turned(other), rel=1e-6, abs=1e-8)
    same = ["chisq", "chisq.scaled", "df", "chisq.score", "rmsea", "unrestricted.logl", "aic"]
    pd.testing.assert_series_equal(ours.fit_measures(same), theirs.fit_measures(same), rtol=1e-6)


def test_they_are_set_apart():
    plain, fit = fitted(), fitted(MODEL, "v", "z")
    assert fit.table.auxiliary == ("v", "z")
    assert (fit.n_params, fit.fit_measures()["npar"]) == (plain.n_params, plain.n_params)
    names = [*plain.params.index]
    assert [*fit.params.index[: len(names)]] == names
    same = ["df", "baseline.df"]
    pd.testing.assert_series_equal(fit.fit_measures(same), plain.fit_measures(same))
    for level in (1, 2):
        both = (each.fit_measures(same, level=level) for each in (fit, plain))
        pd.testing.assert_series_equal(*both)
    keys = ["lhs", "op", "rhs", "level"]
    for table in ("parameter_estimates", "standardized", "tidy"):
        ours, theirs = (getattr(each, table)() for each in (fit, plain))
        shown = [key for key in ("term", *keys) if key in ours]
        pd.testing.assert_frame_equal(ours[shown], theirs[shown])
    whole = fit.parameter_estimates(auxiliary=True, rsquare=True)
    added = whole[(whole["lhs"].isin(["v", "z"])) & (whole["op"] != "r2")]
    assert (added["se"] > 0).sum() == fit.table.n_auxiliary == len(fit.params) - len(names)
    assert len(whole) == len(fit.parameter_estimates(rsquare=True)) + len(added)
    assert not {"v", "z"} & {*fit.implied(2).cov.index, *fit.h1().implied(1).cov.index}
    assert not {"v", "z"} & {*fit.residuals(level=2).cov.index, *fit.icc().variables}
    mentioned = fit.modification_indices()[["lhs", "rhs"]].to_numpy().ravel()
    assert not {"v", "z"} & {*mentioned}
    assert {"v", "z"}.isdisjoint(fit.r_squared().variables)
    assert [*fit.random_effects().columns] == [*plain.random_effects().columns]
    compared = (each.compare_se(draws=20, seed=1).parameters for each in (fit, plain))
    assert next(compared) == next(compared)
    both = (each.cluster_diagnostics().parameters for each in (fit, plain))
    assert next(both) == next(both)
    assert fit.h1().n_params - fit.n_params == fit.fit_measures()["df"]


def test_the_summary_says_what_they_do():
    fit = fitted(MODEL, "v", "z")
    text = " ".join(str(fit.summary()).split())
    assert f"Parameters of auxiliary variables {fit.table.n_auxiliary}" in text
    assert "Auxiliary, beside the model: 'v' (both levels), 'z' (level 2)." in text
    assert "v ~~" not in text
    assert "v ~~" in " ".join(str(fit.summary(auxiliary=True, standardized=True)).split())


def test_what_explains_missing_values_takes_the_bias_away():
    rng = np.random.default_rng(11)
    clusters, size = 300, 10
    ids = np.repeat(np.arange(clusters), size)
    inner, outer = rng.normal(size=len(ids)), rng.normal(size=clusters)
    y = 1.0 + 0.7 * inner + 0.6 * outer[ids]
    y += 0.5 * rng.normal(size=len(ids)) + 0.4 * rng.normal(size=clusters)[ids]
    v, z = inner + 0.5 * rng.normal(size=clusters)[ids], outer[ids]
    y[(inner + z > 0.5) & (rng.uniform(size=len(ids)) < 0.9)] = np.nan
    data = pd.DataFrame({"y": y, "v": v, "z": z, "id": ids})
    model = "level: 1\n y ~~ y\nlevel: 2\n y ~ 1"
    mean, variance = "y~1.l2", "y~~y"
    plain = mlsem.fit(model, data, "id", missing="fiml")
    told = mlsem.fit(model, data, "id", missing="fiml", auxiliary=["v", "z"])
    assert plain.params[mean] - 1.0 < -6.0 * plain.bse[mean]
    assert told.params[mean] == pytest.approx(1.0, abs=2.5 * told.bse[mean])
    assert told.params[variance] == pytest.approx(0.74, abs=3.0 * told.bse[variance])


def test_where_nothing_is_missing_and_clusters_are_alike_they_change_nothing():
    data = rows(seed=5, clusters=90)
    data = data[data.groupby("id")["y1"].transform("size") >= 3].groupby("id").head(3).copy()
    data["x1"] -= data.groupby("id")["x1"].transform("mean")  # v and z have none of it at level 2
    plain = mlsem.fit(MODEL, data, "id", estimator="MLR")
    told = mlsem.fit(MODEL, data, "id", estimator="MLR", missing="fiml", auxiliary=["v", "z"])
    assert (told.params[: len(plain.params)] - plain.params).abs().max() < 1e-6
    same = ["chisq", "df", "baseline.chisq", "baseline.df", "cfi", "rmsea", "srmr_within"]
    pd.testing.assert_series_equal(
        told.fit_measures(same), plain.fit_measures(same), rtol=1e-6, atol=1e-8
    )


def test_random_slopes_covary_with_them():
    fit = fitted("level: 1\n y1 ~ rv('s')*x1\nlevel: 2\n y1 ~ w1\n s ~ w1\n y1 ~~ s", "v", "z")
    assert {"v~~s.l2", "z~~s.l2", "v~x1", "z~w1.l2"} <= {*fit.params.index}
    assert fit.converged


def test_levels():
    data = lacking().copy()
    data["inner"] = data["v"].fillna(0.0)
    data["inner"] -= data.groupby("id")["inner"].transform("mean")

    def levels(*names, model=MODEL, cluster="id"):
        table = mlsem.check(model, data, cluster, missing="fiml", auxiliary=names)
        return [[n for n in names if n in level.modelled] for level in table.levels]

    assert levels("v", "z", "inner") == [["v", "inner"], ["v", "z"]]
    assert levels("z", model="f =~ y1 + y2 + y3") == [["z"]]
    products = levels("v", model="level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ w1")
    assert products == [["v"], ["v"]]


@pytest.mark.parametrize(
    ("asked", "options", "words"),
    [
        ("v", {"missing": None}, 'goes with missing="fiml"'),
        ("v", {"missing": "listwise"}, 'goes with missing="fiml"'),
        ("y1", {}, "'y1', which is in the model already"),
        ("f", {}, "'f', which is in the model already"),
        ("id", {}, "'id', the column of cluster="),
        ("half", {"se_cluster": "half"}, "'half', the column of se_cluster="),
        (["v", "v"], {}, "'v' twice"),
        (3, {}, "takes names of columns"),
        ([["v"]], {}, "takes names of columns"),
    ],
)
def test_options_that_cannot_be(asked, options, words):
    data = lacking().assign(half=lacking()["id"] // 2)
    with pytest.raises(OptionValueError, match=words):
        mlsem.fit(MODEL, data, "id", **{"missing": "fiml", "auxiliary": asked} | options)


def test_factors_of_products_are_of_the_model():
    model = "level: 1\n y1 ~ v:x1\nlevel: 2\n y1 ~ w1"
    with pytest.raises(OptionValueError, match="the model's product 'v:x1' is made"):
        mlsem.fit(model, lacking(), "id", missing="fiml", auxiliary="v")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("V", "'V', which is not a column of the data. Did you mean 'v'"),
        ("w1:x1", "make a column of it first"),
        ("same", "'same', which is constant: it tells nothing"),
        ("never", "'never', which is missing in every row"),
        ("text", "'text' is not numeric"),
        ("far", "infinite"),
        (["v", "twice"], "linear combination"),
    ],
)
def test_columns_that_cannot_be(asked, words):
    data = lacking().assign(same=2.0, never=np.nan, text="a", far=np.inf)
    data["twice"] = 2.0 * data["v"] + 1.0
    with pytest.raises(DataError, match=words):
        mlsem.fit(MODEL, data, "id", missing="fiml", auxiliary=asked)


def test_levels_are_said_by_data():
    with pytest.raises(OptionValueError, match="data say at which level"):
        mlsem.check(MODEL, missing="fiml", auxiliary="v")


def test_updates_keep_them():
    fit = fitted(PATH, "v", "z")
    again = fit.update(se="CR2")
    assert again.table == fit.table
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-9)
    assert fit.update(auxiliary="z").table.auxiliary == ("z",)
    assert fit.update(auxiliary=None).table.auxiliary == ()
    taken_up = fit.update("+ level: 2\n y1 ~ z", data=lacking())
    assert taken_up.table.auxiliary == ("v",)
    assert "y1~z.l2" in taken_up.params
    with pytest.raises(OptionValueError, match="Pass data"):
        fit.update(auxiliary="y3")


def test_nested_fits_have_the_same_ones():
    full, simple = (fitted(PATH.replace("x1", path), "v", "z") for path in ("x1", "0*x1"))
    test = mlsem.lr_test(simple, full)
    assert test.n_params == (simple.n_params, full.n_params) == (4, 5)
    assert test.statistic == pytest.approx(2.0 * (full.loglik - simple.loglik), abs=1e-8)
    frame = mlsem.compare([simple, full]).table
    assert frame["npar"].tolist() == [4, 5]
    assert frame["sabic"].tolist() == pytest.approx(
        [fit.fit_measures()["bic2"] for fit in (simple, full)]
    )
    with pytest.raises(InferenceError, match="other outcomes"):
        mlsem.lr_test(fitted(PATH.replace("x1", "0*x1"), "z"), full)


def test_a_baseline_beside_a_close_correlate_has_a_maximum():
    """With sample covariances with v, and none among the items, the covariance matrix would not be
    positive definite."""
    data = lacking().copy()
    data["v"] = data[["y1", "y2", "y3"]].sum(axis=1) + 0.1 * data["v"].fillna(0.0)
    fit = mlsem.fit("f =~ y1 + y2 + y3\n f ~ x1", data, missing="fiml", auxiliary="v")
    measures = fit.fit_measures(["df", "baseline.df", "cfi"])
    assert measures[["df", "baseline.df"]].tolist() == [2, 6]
    assert 0.0 < measures["cfi"] <= 1.0
