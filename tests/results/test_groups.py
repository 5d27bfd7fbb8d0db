"""What is asked of fits of several groups: identities with fits of one, and lavaan's values."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from grouped import demo_groups, reference

import mlsem

TEXT = "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1"
HOLES = "fiml"
ALL_EQUAL = ["loadings", "intercepts", "means", "residuals", "lv.variances"]
SINGLE = reference("single_level.json")
pytestmark = pytest.mark.filterwarnings("ignore:negative variance:mlsem.EstimationWarning")


def gaps(data):
    rng = np.random.default_rng(5)
    some = data.copy()
    for name in ("y1", "y2"):
        some.loc[rng.random(len(data)) < 0.1, name] = np.nan
    return some


@cache
def separate(kind):
    """A fit of groups with nothing in common, those of each group alone, and the data."""
    data, options = demo_groups(), {"cluster": "cluster"}
    text = TEXT
    if kind == HOLES:
        data, options = gaps(data), {"cluster": "cluster", "missing": "fiml"}
    elif kind == "slopes":
        text = 'level: 1\n y1 ~ rv("s")*x1 + x2\nlevel: 2\n y1 ~ w1\n s ~ w1\n y1 ~~ s'
    elif kind == "single":
        text, options = SINGLE["model"], {}
    whole = mlsem.fit(text, data, group="g", **options)
    parts = {label: mlsem.fit(text, own, **options, meanstructure=True)
             for label, own in data.groupby("g")}  # fmt: skip
    return whole, parts, data


KINDS = ["plain", HOLES, "slopes", "single"]


def same(found, expected, **options):
    names = {"check_names": False, "check_index_type": False, "check_column_type": False}
    kind = pd.testing.assert_series_equal if found.ndim == 1 else pd.testing.assert_frame_equal
    options = {"atol": 1e-8, "rtol": 1e-7, **options}
    kind(found, expected, check_dtype=False, **names, **options)


def of_group(frame, label):
    return frame[frame["group"] == label].drop(columns="group")


# --- groups that have nothing in common are separate fits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("se", ["standard", "CR2"])
def test_tables_are_those_of_each_group(kind, se):
    whole, parts, _ = separate(kind)
    whole = whole.with_se(se)
    tables = (
        lambda fit: fit.parameter_estimates(standardized=True, rsquare=True, fmi=True),
        lambda fit: fit.standardized("all"),
        lambda fit: fit.standardized("nox", level=0.9),
        lambda fit: fit.tidy(),
    )
    for table in tables:
        found = table(whole)
        for number, part in enumerate(parts.values(), start=1):
            own = found[found["group"] == number].drop(columns="group").reset_index(drop=True)
            expected = table(part.with_se(se)).drop(columns="group", errors="ignore")
            # a test of what is zero but for rounding has no digits
            same(own, expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_shares_of_variance_are_those_of_each_group(kind):
    whole, parts, _ = separate(kind)
    asked = ["r_squared"]
    asked += ["icc"] if kind != "single" else []
    asked += ["reliability"] if kind != "slopes" else []
    for name in asked:
        found = getattr(whole.with_se("CR2"), name)()
        assert list(found) == ["a", "b"]
        for number, (label, part) in enumerate(parts.items(), start=1):
            expected = getattr(part.with_se("CR2"), name)().frame
            same(found[label].frame, expected, rtol=1e-5)
            same(of_group(found.frame, label).reset_index(drop=True),
                 expected.reset_index(drop=True), rtol=1e-5)  # fmt: skip
            one = getattr(whole.with_se("CR2"), name)(group=number)
            same(one.frame, found[label].frame, rtol=0, atol=0)
        assert str(found).startswith("Group 1 [a]:\n\n" + str(found["a"])[:20])
        assert "\n\nGroup 2 [b]:\n\n" in str(found)


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_each_group(kind):
    whole, parts, data = separate(kind)
    two = kind != "single"
    asked = [lambda fit, rows: fit.predict(rows), lambda fit, rows: fit.row_residuals(rows)]
    if kind != "slopes":
        asked += [lambda fit, rows: fit.predict_latent(1, data=rows),
                  lambda fit, rows: fit.predict_latent(1, "bartlett", data=rows)]  # fmt: skip
    if two:
        asked += [
            lambda fit, rows: fit.random_effects(),
            lambda fit, rows: fit.predict_latent(2),
            lambda fit, rows: fit.predict_latent(2, data=rows),
            lambda fit, rows: fit.predict(level=2),
            lambda fit, rows: fit.predict(rows, level=2),
        ]
    for function in asked:
        found = function(whole, data)
        assert found.columns[0] == "group"
        for label, part in parts.items():
            expected = function(part, data[data["g"] == label])
            same(of_group(found, label).sort_index(), expected.sort_index(), rtol=1e-6)
    for index in (whole.predict(data).index, whole.row_residuals(data).sort_index().index):
        assert index.equals(data.index)


@pytest.mark.parametrize("kind", KINDS)
def test_clusters_are_those_of_each_group(kind):
    whole, parts, _ = separate(kind)
    found = whole.cluster_residuals()
    assert found["pvalue"].is_monotonic_increasing
    kept = ["rows", "distance", "df", "pvalue", "chisq"]
    for label, part in parts.items():
        own, expected = of_group(found, label)[kept], part.cluster_residuals()[kept]
        if kind == "single":  # rows, by their position in the data
            own, expected = own.sort_index(), expected.sort_index()
            own.index = expected.index
        same(own.sort_index(), expected.sort_index(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["plain", HOLES, "single"])
def test_inspect_has_a_dict_by_group(kind):
    whole, parts, data = separate(kind)
    for name in ("implied", "sampstat", "est", "cov.lv", "cor.ov", "cor.all", "mean.lv", "rsquare",
                 "patterns", "coverage", "mu", "sigma"):  # fmt: skip
        found = whole.inspect(name)
        assert list(found) == ["a", "b"]
        for label, part in parts.items():
            equal(found[label], part.inspect(name))
    count = data["g"].value_counts()
    assert whole.inspect("ngroups") == 2
    assert whole.inspect("group.label") == ("a", "b")
    assert whole.inspect("group") == "g"
    assert whole.inspect("ntotal") == sum(whole.inspect("nobs").values())
    assert whole.inspect("norig") == {"a": count["a"], "b": count["b"]}
    if kind != "single":
        assert whole.inspect("nclusters") == {"a": 100, "b": 100}
        for name in ("icc", "cluster.size"):
            for label, part in parts.items():
                equal(whole.inspect(name)[label], part.inspect(name))


def equal(found, expected):
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            equal(found[key], value)
        return
    same(found, expected, rtol=1e-5, atol=1e-6)


def test_matrices_of_numbers_and_errors_are_the_wholes():
    fit = mlsem.fit(TEXT, demo_groups(), "cluster", group="g", group_equal="loadings")
    free, se = fit.inspect("free"), fit.inspect("se")
    loadings = [free[g]["1"]["lambda"].loc["y2", "fw"] for g in ("a", "b")]
    assert loadings == [1, 1]
    for g in ("a", "b"):
        assert se[g]["1"]["lambda"].loc["y2", "fw"] == fit.bse["fw=~y2"]
    numbers = [frame.to_numpy().ravel() for g in free.values() for level in g.values()
               for frame in level.values()]  # fmt: skip
    assert set(np.concatenate(numbers)) == set(range(len(fit.params) + 1))


# --- groups that have everything in common are one


@pytest.mark.parametrize("se", ["standard", "MLR", "CR2"])
def test_groups_with_all_equal_are_the_one_group_model(se):
    text = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
    data = demo_groups()
    whole = mlsem.fit(text, data, "cluster", group="g", group_equal=ALL_EQUAL, se=se)
    one = mlsem.fit(text, data, "cluster", se=se)
    expected = one.standardized().drop(columns="group")
    for number in (1, 2):
        found = whole.standardized()
        found = found[found["group"] == number].drop(columns="group").reset_index(drop=True)
        same(found, expected, rtol=1e-5, atol=1e-7)
    for label in ("a", "b"):
        same(whole.icc(label).frame, one.icc().frame, rtol=1e-6, atol=1e-7)
        same(whole.r_squared(group=label).frame, one.r_squared().frame, rtol=1e-5, atol=1e-7)
        same(whole.implied(2, label).cov, one.implied(2).cov)
    effects = whole.random_effects()
    same(effects.drop(columns="group").sort_index(), one.random_effects().sort_index(), atol=1e-6)
    scores = whole.predict_latent(1, data=data)
    same(scores.drop(columns="group"), one.predict_latent(1, data=data), atol=1e-6)
    clusters = whole.cluster_residuals()[["distance", "df"]].sort_index()
    same(clusters, one.cluster_residuals()[["distance", "df"]].sort_index(), rtol=1e-6)


# --- lavaan, single-level models ----------------------------------------------------------


@pytest.fixture(scope="module", params=["configural", "scalar"])
def single(request):
    case = SINGLE["cases"][request.param]
    data = demo_groups().query("cluster <= 40").reset_index(drop=True)
    equal = [kind for kind in np.atleast_1d(case["group.equal"]).tolist() if kind]
    return case, mlsem.fit(SINGLE["model"], data, group="g", group_equal=equal), data


@pytest.mark.parametrize("kind", ["all", "lv", "nox"])
def test_standardized_values_are_lavaans(single, kind):
    case, fit, _ = single
    theirs = case["standardized"][kind]
    table = fit.standardized(kind)
    columns = table[["lhs", "op", "rhs", "group", "est_std", "se"]]
    ours = {tuple(row[:4]): row[4:] for row in columns.itertuples(index=False)}
    keys = zip(theirs["lhs"], theirs["op"], theirs["rhs"], theirs["group"], strict=True)
    seen = 0
    for key, est, se in zip(keys, theirs["est.std"], theirs["se"], strict=True):
        if key not in ours:  # covariances of covariates, which lavaan writes the other way round
            key = (key[2], key[1], key[0], key[3])
        assert ours[key] == pytest.approx((est, se), abs=1e-6)
        seen += 1
    assert seen == len(table)


def test_r_squared_and_moments_are_lavaans(single):
    case, fit, data = single
    assert fit.inspect("nobs") == dict(zip(("a", "b"), case["nobs"], strict=True))
    for label in ("a", "b"):
        rsquare = fit.inspect("rsquare")[label]
        assert rsquare.to_dict() == pytest.approx(case["rsquare"][label], abs=1e-6)
        moments = case["implied"][label]
        names = moments["names"]
        found = fit.implied(1, label)
        np.testing.assert_allclose(found.cov.loc[names, names], moments["values"], atol=1e-5)
        np.testing.assert_allclose(found.mean[names], list(moments["mean"].values()), atol=1e-5)
        assert fit.inspect("mean.lv")[label].to_dict() == pytest.approx(
            case["mean.lv"][label], abs=1e-5
        )
        np.testing.assert_allclose(
            fit.inspect("cor.lv")[label].loc[["f", "h"], ["f", "h"]],
            np.array(case["cor.lv"][label]["values"])[:2, :2], atol=1e-5,
        )  # fmt: skip
        scores = fit.predict_latent(data=data).query("group == @label")[["f", "h"]].iloc[:5]
        np.testing.assert_allclose(scores, np.array(case["scores"][label])[:, :2], atol=1e-5)
