"""What is asked of fits of several groups: identities with fits of one, and lavaan's values."""

from __future__ import annotations

import datetime as dt
from functools import cache

import numpy as np
import pandas as pd
import pytest
from grouped import demo_groups, reference

import mlsem
from mlsem.errors import DataError, InferenceError, OptionValueError

TEXT = "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1"
UNCONDITIONAL = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
HOLES = "fiml"
ALL_EQUAL = ["loadings", "intercepts", "means", "residuals", "lv.variances"]
SINGLE = reference("standardized.json")
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
        text, options, data = SINGLE["model"], {}, data.groupby("g").head(150)
    elif kind == "reml":
        text, options = UNCONDITIONAL, {**options, "estimator": "REML"}
    whole = mlsem.fit(text, data, group="g", **options)
    parts = {label: mlsem.fit(text, own, **options, meanstructure=True)
             for label, own in data.groupby("g")}  # fmt: skip
    return whole, parts, data


KINDS = ["plain", HOLES, "slopes", "single", "reml"]


def same(found, expected, **options):
    options = {"atol": 1e-8, "rtol": 1e-7, **options}
    names = {"check_names": False, "check_index_type": False, "check_dtype": False}
    if found.ndim == 1:
        pd.testing.assert_series_equal(found, expected, **names, **options)
    else:
        pd.testing.assert_frame_equal(found, expected, check_column_type=False, **names, **options)


def of_group(frame, label):
    return frame[frame["group"] == label].drop(columns="group")


# --- groups that have nothing in common are separate fits -----------------------------------------


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
    whole = whole.with_se("CR2")
    parts = {label: part.with_se("CR2") for label, part in parts.items()}
    asked = ["r_squared"]
    asked += ["icc"] if kind != "single" else []
    asked += ["reliability"] if kind != "slopes" else []
    for name in asked:
        found = getattr(whole, name)()
        assert list(found) == ["a", "b"]
        for number, (label, part) in enumerate(parts.items(), start=1):
            expected = getattr(part, name)().frame
            same(found[label].frame, expected, rtol=1e-5)
            same(of_group(found.frame, label).reset_index(drop=True),
                 expected.reset_index(drop=True), rtol=1e-5)  # fmt: skip
            one = getattr(whole, name)(group=number)
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


# --- groups that have everything in common are one ------------------------------------------------


@pytest.mark.parametrize("se", ["standard", "MLR", "CR2"])
def test_groups_with_all_equal_are_the_one_group_model(se):
    data = demo_groups()
    whole = mlsem.fit(UNCONDITIONAL, data, "cluster", group="g", group_equal=ALL_EQUAL, se=se)
    one = mlsem.fit(UNCONDITIONAL, data, "cluster", se=se)
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


# --- lavaan, single-level models ------------------------------------------------------------------


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
        assert ours[key] == pytest.approx((est, se), abs=5e-6)
        seen += 1
    assert seen == len(table)


def test_r_squared_and_moments_are_lavaans(single):
    case, fit, data = single
    assert fit.inspect("nobs") == dict(zip(("a", "b"), case["nobs"], strict=True))
    for label in ("a", "b"):
        rsquare = fit.inspect("rsquare")[label]
        assert rsquare.to_dict() == pytest.approx(case["rsquare"][label], abs=5e-6)
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


# --- effects --------------------------------------------------------------------------------------


def test_effects_and_their_differences():
    """Against the same products as defined parameters."""
    text = (
        "level: 1\n fw =~ y1 + y2 + y3\n y4 ~ c(ca, cb)*fw + x1\n fw ~ c(aa, ab)*x1\n"
        "level: 2\n y1 ~~ y1 + y2 + y3 + y4\n y2 ~~ y2 + y3 + y4\n y3 ~~ y3 + y4\n y4 ~~ y4\n"
        "ia := aa*ca\n ib := ab*cb\n d := ib - ia"
    )
    fit = mlsem.fit(text, demo_groups(), "cluster", group="g", se="CR2")
    defined = fit.parameter_estimates().query("op == ':='").set_index("lhs")
    assert set(defined["group"]) == {0}
    columns = ["est", "se", "df", "pvalue", "ci_lower"]
    frame = fit.effects("y4", "x1").frame
    assert frame.columns[0] == "group"
    indirect = frame.query("effect == 'indirect'").set_index("group")[columns]
    assert list(indirect.index) == ["a", "b", "b - a"]
    np.testing.assert_allclose(indirect, defined.loc[["ia", "ib", "d"], columns], rtol=1e-8)
    other = fit.effects("y4", "x1", group=["b", 1]).frame.query("effect == 'indirect'")
    assert other["group"].tolist() == ["b", "a", "a - b"]
    assert other["est"].iloc[2] == pytest.approx(-defined.loc["d", "est"])
    alone = fit.effects("y4", "x1", group="a").frame
    pd.testing.assert_frame_equal(alone, frame[frame["group"] == "a"], check_dtype=False)
    drawn = fit.effects("y4", "x1", ci="monte carlo", draws=4000, seed=3).frame
    assert drawn["ci_upper"].sub(frame["ci_upper"]).abs().max() < 0.02


def test_differences_between_levels_are_compared_too():
    text = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ x1"
    fit = mlsem.fit(text, demo_groups(), "cluster", group="g", fixed_x=False)
    frame = fit.effects("y1", "x1").frame.set_index(["group", "level", "effect"])["est"]
    contextual = [frame[g, 0, "total, difference"] for g in ("a", "b")]
    for g, value in zip(("a", "b"), contextual, strict=True):
        assert value == pytest.approx(frame[g, 2, "total"] - frame[g, 1, "total"])
    both = frame["b - a", 0, "total, difference"]
    assert both == pytest.approx(contextual[1] - contextual[0])


# --- groups with models of their own --------------------------------------------------------------


APART = """group: a
level: 1
 fw =~ y1 + y2 + y3
level: 2
 fb =~ y1 + y2 + y3
group: b
level: 1
 y4 ~ x2
 y5 ~ x1
level: 2
 y4 ~ w2
 y5 ~~ y4
"""


def test_groups_with_different_variables():
    data = demo_groups()
    fit = mlsem.fit(APART, data, "cluster", group="g")
    scores = fit.predict_latent(1, data=data)
    assert scores.columns.tolist() == ["group", "fw", "fw_se"]
    assert (scores["fw"].notna() == (data["g"] == "a")).all()
    expected = fit.predict(data)
    assert (expected["y4"].notna() == (data["g"] == "b")).all()
    effects = fit.random_effects()
    assert of_group(effects, "a")["y4"].isna().all()
    assert of_group(effects, "b")["y4"].notna().all()
    found = fit.effects("y4", "x2")
    assert set(found.frame["group"]) == {"b"}
    assert found.notes == ("group 'a': outcome='y4' is no variable of the model.",)
    with pytest.raises(InferenceError, match="'x2' to 'y1' in any group"):
        fit.effects("y1", "x2")
    with pytest.raises(OptionValueError, match="outcome='y9' is no variable"):
        fit.effects("y9", "x2")
    assert fit.icc()["b"].variables == ("y4", "y5")
    assert fit.inspect("ov.names")["b"] == ("y4", "y5", "x2", "x1", "w2")
    assert set(fit.standardized().query("group == 2")["lhs"]) == {"y4", "y5", "x2", "x1", "w2"}


def test_a_group_without_what_is_asked_says_so():
    text = "group: a\n f =~ y1 + y2 + y3\ngroup: b\n y4 ~~ y5"
    fit = mlsem.fit(text, demo_groups(), group="g")
    found = fit.r_squared()
    assert list(found) == ["a"]
    assert len(found) == 1
    assert "Group 2 [b]: no variable of the model is explained by others" in str(found)
    with pytest.raises(InferenceError, match="group 'b': no variable of the model is explained"):
        found["b"]
    with pytest.raises(KeyError):
        found["c"]
    with pytest.raises(InferenceError, match="explained"):
        fit.r_squared(group="b")
    assert set(fit.parameter_estimates(rsquare=True).query("op == 'r2'")["group"]) == {1}
    assert len(fit.inspect("rsquare")["b"]) == 0


@pytest.mark.parametrize(
    "labels",
    [(0, 1), (False, True), (1.5, 2.5), (dt.datetime(2020, 1, 1), dt.datetime(2021, 5, 1)),
     ("x" * 200, "a <b>label</b> of words")],
    ids=["int", "bool", "float", "date", "text"],
)  # fmt: skip
def test_labels_of_any_type(labels):
    data = demo_groups()
    data = data.assign(g=pd.Series([labels[k] for k in data["cluster"] % 2], index=data.index))
    fit = mlsem.fit(TEXT, data, "cluster", group="g")
    first = fit.table.groups[0].label
    assert list(fit.icc()) == [each.label for each in fit.table.groups]
    same(fit.icc(labels[1]).frame, fit.icc()[labels[1]].frame, rtol=0)
    title = f"Group 1 [{first}]:"
    assert title in fit.summary().to_text().splitlines()
    assert "<b>label" not in fit.summary().to_html()
    scores = fit.predict_latent(1, data=data)
    assert scores["group"].tolist() == data["g"].tolist()
    assert set(fit.random_effects()["group"]) == set(labels)
    assert str(fit.effects("y1", "x1"))


def test_numbers_mean_labels_where_labels_are_numbers():
    data = demo_groups()
    fit = mlsem.fit(
        "y1 ~ x1", data.assign(g=data["cluster"] % 2 + 1), group="g", group_label=[2, 1]
    )
    assert fit.table.group_number(2) == 1
    assert fit.table.group_number(1) == 2
    fit = mlsem.fit("y1 ~ x1", data.assign(g=data["cluster"] % 2 + 2000), group="g")
    assert fit.table.group_number(2001) == 2
    assert fit.table.group_number(2) == 2


@pytest.mark.filterwarnings("ignore:few degrees of freedom:mlsem.InferenceWarning")
def test_twelve_groups():
    data = demo_groups()
    fit = mlsem.fit(TEXT, data.assign(g=data["cluster"] % 12), "cluster", group="g",
                    group_equal="loadings", se="CR2")  # fmt: skip
    text = fit.summary(standardized=True).to_text()
    assert [line for line in text.splitlines() if line.startswith("Group ")] == [
        f"Group {k + 1} [{k}]:" for k in range(12)
    ]
    assert fit.standardized()["group"].max() == 12
    assert len(fit.effects("y1", "x1").frame) == 3 * (12 + 11)


# --- requests that cannot be met ------------------------------------------------------------------


@pytest.mark.parametrize("group", ["c", 3, 0, True, ["a"], str])
def test_there_is_no_such_group(group):
    fit, _, _ = separate("plain")
    with pytest.raises(OptionValueError, match=r"the model has the groups 'a', 'b'\."):
        fit.icc(group)


def test_one_group_has_no_label():
    _, parts, _ = separate("plain")
    with pytest.raises(OptionValueError, match="the model has one group"):
        parts["a"].implied(1, group="a")


def test_new_rows_without_a_group():
    fit, _, data = separate("plain")
    some = data.copy()
    some.loc[:4, "g"] = None
    scores = fit.predict_latent(1, data=some)
    assert scores["fw"].isna().tolist() == [True] * 5 + [False] * (len(data) - 5)
    residuals = fit.row_residuals(some)
    assert set(residuals.index[-5:]) == set(data.index[:5])
    with pytest.raises(DataError, match="the fit has no group 'c'"):
        fit.predict(data.assign(g="c"))
    with pytest.raises(DataError, match="'g', which is not a column"):
        fit.predict(data.drop(columns="g"))
    with pytest.raises(DataError, match="in more than one group"):
        fit.predict(data.assign(g=["a", "b"] * (len(data) // 2)))
    with pytest.raises(DataError, match="'x1', which is not a column of the data") as caught:
        fit.predict(data.drop(columns="x1"))
    assert "group" not in str(caught.value)


def test_new_clusters_are_noted_by_group():
    fit, _, data = separate("plain")
    assert fit.predict(data).attrs == {}
    moved = data.assign(cluster=data["cluster"].where(data["g"] == "a", data["cluster"] + 1000))
    note = fit.predict(moved).attrs["note"]
    assert note.startswith("group 'b': 1000 of 1000 are of clusters that the fit has not seen")


# --- words ----------------------------------------------------------------------------------------


def test_the_summary_shows_groups_then_levels():
    fit = mlsem.fit(TEXT, demo_groups(), "cluster", group="g", group_equal="loadings")
    text = fit.summary(rsquare=True).to_text()
    titles = [line for line in text.splitlines() if line.startswith(("Group ", "Level "))]
    levels = ["Level 1 [within]:", "Level 2 [between]:"]
    assert titles == ["Group 1 [a]:", *levels, "Group 2 [b]:", *levels]
    lines = [" ".join(line.split()) for line in text.splitlines()]
    start = lines.index("Number of groups [g] 2")
    assert lines[start + 1 : start + 7] == [
        "Number of observations per group:", "a 1500", "b 1000",
        "Number of clusters per group:", "a 100", "b 100",
    ]  # fmt: skip
    assert "2 groups, 2500 rows, 200 clusters" in repr(fit)
    assert fit.glance()["n_groups"].tolist() == [2]
    assert fit.tidy()["group"].unique().tolist() == [1, 2]
    html = fit.summary()._repr_html_()
    assert html.count('class="level"') == 6
    assert "Group 1 [a]" in html


def test_moments_print_by_group_and_level():
    fit, _, _ = separate("plain")
    implied = str(fit.implied(2))
    assert implied.startswith("Group 1 [a]:\n\nCovariances:\n")
    assert implied.split("Group 2 [b]:")[1].strip() == str(fit.implied(2, "b"))
    residuals = str(fit.residuals())
    assert [line.split()[4] for line in residuals.splitlines() if "Residuals" in line] == [*"1212"]


def test_clusters_that_cut_across_groups():
    data = demo_groups().assign(k=np.arange(2500) % 40)
    fit = mlsem.fit("f =~ y1 + y2 + y3", data, "k", group="g", se="CR2")
    found = fit.cluster_residuals()
    assert fit.inspect("nclusters") == {g: own["k"].nunique() for g, own in data.groupby("g")}
    where = data.groupby("k")["g"].agg(lambda values: ", ".join(sorted(set(values))))
    assert found["group"].sort_index().tolist() == where.tolist()
    assert found["rows"].sum() == 2500


def test_an_improper_group_is_named():
    rng = np.random.default_rng(2)
    both = []
    for label, apart in (("a", 1.0), ("b", 0.0)):
        f = rng.normal(size=(400, 1))
        h = f if apart == 0.0 else rng.normal(size=(400, 1))
        scores = np.concatenate((f + rng.normal(size=(400, 3)), h + rng.normal(size=(400, 3))), 1)
        if apart == 0.0:  # common to indicators of both factors, and to none of one
            scores[:, [0, 3]] += 0.8 * rng.normal(size=(400, 1))
        frame = pd.DataFrame(scores, columns=[f"y{k}" for k in range(1, 7)])
        both.append(frame.assign(g=label))
    data = pd.concat(both, ignore_index=True)
    with pytest.warns(mlsem.EstimationWarning, match="variables 'f', 'h' in group 'b' is not"):
        mlsem.fit("f =~ y1 + y2 + y3\nh =~ y4 + y5 + y6", data, group="g")


def test_patterns_of_missing_values_by_group():
    data = gaps(demo_groups())
    found = mlsem.missing_patterns(data, TEXT, "cluster", group="g")
    for label, own in data.groupby("g"):
        expected = mlsem.missing_patterns(own, TEXT, "cluster")
        assert str(found[label]) == str(expected)
        same(found[label].patterns(), expected.patterns())
    assert str(found).startswith("Group 1 [a]:\n\nMissing values")
    assert found._repr_html_().count("<strong>Group ") == 2
    found = mlsem.missing_patterns(data, group="g", variables="y1")
    assert found["b"].n_rows == 1000
