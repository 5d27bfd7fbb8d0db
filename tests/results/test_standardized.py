"""Standardized parameters and R²: lavaan's values, closed forms, derivatives, invariances."""

from __future__ import annotations

import json
import warnings
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from differences import jacobian
from reference import FOLDER, frame

import mlsem
from mlsem.estimation.scales import scales_at
from mlsem.inference.covariance.intervals import share_limits
from mlsem.results.standardized import standardized


def _load(name):
    return json.loads((FOLDER / "fit" / name).read_text("utf-8"))["cases"]


MEASURES, AFTER = _load("measures.json"), _load("after.json")
SLOPES = {"article_random_slope_ml", "demo_random_slope_factor_ml"}
NUMBERS = ["est_std", "se", "df", "ci_lower", "ci_upper"]
DEMO = "level: 1\n fw =~ y1 + l2*y2 + y3\n fw ~ x1 + x2\n"
DEMO += "level: 2\n fb =~ y1 + y2 + y3\n fb ~ g*w1\n prod := l2*g"
PRODUCTS = "level: 1\n y1 ~ x1 + x2 + w1:x1\nlevel: 2\n y1 ~ w1 + w2 + w1:w2"
MEDIATION = "level: 1\n m ~ a1*x\n y ~ b1*m + x\nlevel: 2\n m ~ a2*x + w\n y ~ b2*m + x\n"
MEDIATION += "ind := a1*b1\n both := a2*b2 - ind"
VARYING = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1\n y ~~ s'
SLOPE = """
level: 1
 y1 ~ rv("s")*x1 + rv("t")*x2 + y2
 y2 ~ x2
level: 2
 y1 ~ w1
 s ~ w1 + w2
 t ~ w2
 y2 ~~ y2
 s ~~ t
"""


@cache
def fitted(model, data, cluster, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(model, frame(data), cluster=cluster, **options)


def reference(case):
    options = {name.replace(".", "_"): value for name, value in dict(case["options"] or {}).items()}
    return fitted(case["model"], case["data"], case["cluster"], **options)


def demo(text=DEMO, **options):
    return fitted(text, "demo.csv", "cluster", **options)


def by_occurrence(columns):
    """Rows by what they are and how often that came before: levels follow each other."""
    seen, found = {}, []
    for lhs, op, rhs in zip(columns["lhs"], columns["op"], columns["rhs"], strict=True):
        key = (lhs, op, "" if op == ":=" else rhs)
        if op == "~~":
            key = (min(lhs, rhs), op, max(lhs, rhs))
        seen[key] = seen.get(key, -1) + 1
        found.append((*key, seen[key]))
    return found


def compare(ours, theirs):
    """2e-4 of a value, and of a standard error relatively; 4e-5 of one beside a bound of 1."""
    place = {key: k for k, key in enumerate(by_occurrence(ours))}
    wrong = {}
    for k, key in enumerate(by_occurrence(theirs)):
        if key[1] in ("==", "<", ">"):
            continue
        row, value, se = ours.iloc[place[key]], theirs["est.std"][k], theirs["se"][k]
        close = abs(row["est_std"] - value) < 2e-4
        bound = 4e-5 if abs(value) > 0.999 else 2.5e-4 * se + 1e-7
        if not close or not abs(row["se"] - se) <= bound:
            wrong[key] = row["est_std"], value, row["se"], se
    assert not wrong


@pytest.mark.parametrize("name", [name for name in MEASURES if name not in SLOPES])
def test_standardized_is_lavaans(name):
    compare(reference(MEASURES[name]).standardized(), MEASURES[name]["standardized"])


@pytest.mark.parametrize("kind", ["all", "lv", "nox"])
@pytest.mark.parametrize("name", list(AFTER))
def test_kinds_are_lavaans(name, kind):
    compare(reference(AFTER[name]).standardized(kind), AFTER[name][f"standardized_{kind}"])


def test_level_2_of_random_slopes_is_lavaans():
    """At level 1 lavaan leaves out what the random slope explains."""
    case = MEASURES["article_random_slope_ml"]
    fit = reference(case)
    theirs = {name: values[5:] for name, values in case["standardized"].items()}
    second = fit.standardized()
    second = second[second["level"] == 2]
    for lhs, op, rhs, value, se in zip(
        theirs["lhs"], theirs["op"], theirs["rhs"], theirs["est.std"], theirs["se"], strict=True
    ):
        pair = {(lhs, op, rhs), (rhs, op, lhs)}
        row = next(
            row for _, row in second.iterrows() if (row["lhs"], row["op"], row["rhs"]) in pair
        )
        assert row["est_std"] == pytest.approx(value, abs=1e-4)
        assert row["se"] == pytest.approx(se, rel=2e-4, abs=1e-7)


@pytest.mark.parametrize("name", list(AFTER))
def test_r_squared_is_lavaans(name):
    found = reference(AFTER[name]).r_squared().frame
    for level, theirs in enumerate(AFTER[name]["rsquare"].values(), 1):
        ours = found[found["level"] == level].set_index("variable")["r2"]
        assert {**theirs} == pytest.approx({**ours[list(theirs)]}, abs=2e-4)


# --- closed forms ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["standard", "MLR", "CR2"])
@pytest.mark.parametrize("constraint", ["", "l2 == l3", "l2 == 1.5*l3^2"])
def test_as_defined_parameters(kind, constraint):
    """What the delta method and Satterthwaite's df say of the formula that a user would write."""
    text = f"""
    level: 1
     f =~ y1 + l2*y2 + l3*y3 + y4
     f ~~ v*f
     y2 ~~ e2*y2
     y1 ~~ c*y3
     y1 ~~ e1*y1
     y3 ~~ e3*y3
    level: 2
     g =~ y1 + m2*y2 + m3*y3
     g ~~ w*g
     y2 ~~ d2*y2
     y2 ~ i2*1
     m2 == m3
     {constraint}
    s1 := l2*sqrt(v / (l2^2*v + e2))
    s2 := m2*sqrt(w / (m2^2*w + d2))
    s3 := i2 / sqrt(m2^2*w + d2)
    s4 := c / sqrt(e1*e3)
    s5 := 1 - d2 / (m2^2*w + d2)
    s6 := l2*sqrt(v)
    """
    fit = demo(text, se=kind)
    defined = fit.parameter_estimates(level=0.9).set_index("lhs")
    rows, partly = fit.standardized(level=0.9), fit.standardized("lv", level=0.9)
    places = {
        "s1": (rows, "f", "=~", "y2", 1),
        "s2": (rows, "g", "=~", "y2", 2),
        "s3": (rows, "y2", "~1", "", 2),
        "s4": (rows, "y1", "~~", "y3", 1),
        "s6": (partly, "f", "=~", "y2", 1),
    }
    for name, (table, *key) in places.items():
        own = table.set_index(["lhs", "op", "rhs", "level"]).loc[tuple(key)]
        theirs = defined.loc[name]
        assert own["est_std"] == pytest.approx(theirs["est"])
        assert list(own[["se", "df", "ci_lower", "ci_upper"]]) == pytest.approx(
            list(theirs[["se", "df", "ci_lower", "ci_upper"]]), rel=1e-6
        )
    share = fit.r_squared().frame.set_index(["variable", "level"]).loc["y2", 2]
    assert list(share[["r2", "se", "df"]]) == pytest.approx(
        list(defined.loc["s5", ["est", "se", "df"]]), rel=1e-6
    )


def test_standardized_data_have_the_standardized_values_as_estimates():
    """Of one level, where the data can be scaled (with 1/N)."""
    data = frame("demo.csv")[["y1", "y2", "x1", "x2"]]
    text = "y1 ~ a*x1 + x2\ny2 ~ b*y1 + x2\nind := a*b"
    scaled = mlsem.fit(text, (data - data.mean()) / data.std(ddof=0))
    own = mlsem.fit(text, data).standardized()["est_std"]
    assert own.to_numpy() == pytest.approx(scaled.parameter_estimates()["est"].to_numpy(), abs=1e-6)


def test_the_mean_variance_of_an_outcome_with_random_slopes():
    """σ² + β²σ₂² + gᵀ S g + tr(T S), g the mean slopes and what goes through the other outcome."""
    fit, data = demo(SLOPE), frame("demo.csv")
    p, rows = fit.params, fit.standardized().set_index(["lhs", "op", "rhs", "level"])
    w = data.groupby("cluster")[["w1", "w2"]].first()
    slopes = pd.DataFrame(
        {
            "s": p["s~1.l2"] + p["s~w1.l2"] * w["w1"] + p["s~w2.l2"] * w["w2"],
            "t": p["t~1.l2"] + p["t~w2.l2"] * w["w2"],
        }
    )
    rest = [[p["s~~s.l2"], p["s~~t.l2"]], [p["s~~t.l2"], p["t~~t.l2"]]]
    varying = slopes.cov(ddof=0).to_numpy() + rest
    cov = data[["x1", "x2"]].cov(ddof=0).to_numpy()
    mean = slopes.mean().to_numpy()
    through = mean + np.array([0.0, p["y1~y2"] * p["y2~x2"]])
    total = through @ cov @ through + (varying * cov).sum() + p["y1~~y1"]
    total += p["y1~y2"] ** 2 * p["y2~~y2"]
    other = p["y2~x2"] ** 2 * cov[1, 1] + p["y2~~y2"]
    value = rows["est_std"]
    assert value["y1", "~", "x1", 1] == pytest.approx(mean[0] * np.sqrt(cov[0, 0] / total))
    assert value["y1", "~~", "y1", 1] == pytest.approx(p["y1~~y1"] / total)
    assert value["y1", "~", "y2", 1] == pytest.approx(p["y1~y2"] * np.sqrt(other / total))
    assert np.isnan(fit.parameter_estimates()["est"].iloc[0])
    assert "a random path is the mean" in str(fit.summary(standardized=True))


# --- derivatives and invariances ------------------------------------------------------------------


@pytest.mark.parametrize(
    "fit",
    [
        lambda: demo(se="none"),
        lambda: demo(PRODUCTS, se="none"),
        lambda: fitted(MEDIATION, "mediation.csv", "id", se="none"),
        lambda: fitted(MEDIATION, "mediation.csv", "id", se="none", fixed_x=False),
        lambda: demo(SLOPE, se="none"),
    ],
    ids=["factors", "products", "split covariates", "modelled covariates", "slopes"],
)
def test_derivatives(fit):
    estimates = fit()._estimates

    def at(params):
        same = ("problem", "table", "converged", "names")
        found = SimpleNamespace(**{name: getattr(estimates, name) for name in same}, params=params)
        found.groups = [SimpleNamespace(places=np.arange(len(params)), estimates=found)]
        return found

    for kind in ("all", "lv", "nox"):
        numeric = jacobian(
            lambda p, kind=kind: standardized(at(p), kind).values, estimates.params, 5e-5
        )
        gradients = standardized(estimates, kind).gradients
        np.testing.assert_allclose(gradients, numeric, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", ["MLR", "CR2"])
@pytest.mark.parametrize(
    ("text", "name", "cluster"),
    [
        (DEMO, "demo.csv", "cluster"),
        (PRODUCTS, "demo.csv", "cluster"),
        (VARYING, "article.csv", "id"),
    ],
    ids=["factors", "products", "slopes"],
)
def test_units_do_not_matter(text, name, cluster, kind):
    data = frame(name)
    outcome = "y1" if name == "demo.csv" else "y"
    moved = data.assign(x1=0.1 * data["x1"], w1=5 * data["w1"])
    moved[outcome] *= 7
    own, other = (
        mlsem.fit(text, each, cluster=cluster, se=kind).standardized()[NUMBERS]
        for each in (data, moved)
    )
    np.testing.assert_allclose(other, own, atol=2e-6, rtol=1e-3)


def test_covariates_are_constants_and_stay_as_they_are_in_nox():
    fit = demo()
    known = fit.parameter_estimates()
    exogenous = [row.exo for row in fit.table.rows] + [False]
    every, nox = fit.standardized(), fit.standardized("nox")
    assert (every.loc[exogenous, "se"] == 0).all()
    assert list(nox.loc[exogenous, "est_std"]) == list(known.loc[exogenous, "est"])
    spread = frame("demo.csv")["x1"].std(ddof=0)
    path = (every["lhs"] == "fw") & (every["rhs"] == "x1")
    assert float(every.loc[path, "est_std"].iloc[0]) == pytest.approx(
        spread * float(nox.loc[path, "est_std"].iloc[0])
    )


def test_modelled_covariates_are_left_as_they_are_in_nox_too():
    """lavaan 0.6-14: standardizedSolution(type = "std.nox") with fixed.x = FALSE."""
    text = "level: 1\n m ~ x\n y ~ m + x\nlevel: 2\n m ~ x + w\n y ~ m + x"
    rows = fitted(text, "mediation.csv", "id", fixed_x=False).standardized("nox")
    values = rows.set_index(["lhs", "op", "rhs", "level"])["est_std"]
    assert values["m", "~", "x", 1] == pytest.approx(0.486, abs=6e-4)
    assert values["x", "~~", "x", 1] == pytest.approx(1.031, abs=6e-4)
    assert values["m", "~", "w", 2] == pytest.approx(0.703, abs=6e-4)
    assert values["x", "~~", "w", 2] == pytest.approx(-0.107, abs=6e-4)


def test_constants_have_no_error():
    """A variance fixed to zero makes a loading 1; an equality may fix a parameter."""
    text = "level: 1\n f =~ y1 + y2 + y3\n y1 ~~ e*y1\nlevel: 2\n f =~ y1 + y2 + y3\n y1 ~~ 0*y1"
    fit = demo(text + "\n e == 0.5\n twice := 2*e\n three := 3 + 0*e", se="CR2")
    assert list(fit.parameter_estimates()["se"].iloc[-2:]) == [0, 0]
    rows = fit.standardized().set_index(["lhs", "op", "rhs", "level"])
    for place in (("f", "=~", "y1", 2), ("f", "~~", "f", 1), ("y1", "~~", "y1", 2)):
        assert rows.loc[place, "se"] == 0
        assert np.isnan(rows.loc[place, "stat"])
    assert rows.loc[("f", "=~", "y1", 2), "est_std"] == pytest.approx(1.0)
    assert rows.loc[("y1", "~~", "y1", 1), "se"] > 0


def test_a_label_of_several_rows_means_the_first():
    text = "level: 1\n f =~ y1 + a*y2 + b*y3\nlevel: 2\n g =~ y1 + a*y2 + b*y3\nd := a*b"
    fit = demo(text)
    rows = fit.standardized()
    first = rows[(rows["op"] == "=~") & (rows["level"] == 1)]["est_std"].to_numpy()
    assert rows["est_std"].iloc[-1] == pytest.approx(first[1] * first[2])
    assert "first row that is labelled 'a', 'b'" in str(fit.summary(standardized=True)).replace(
        "\n    ", " "
    )


def test_definitions_take_labelled_constants_as_they_are_standardized():
    fit = demo("level: 1\n y1 ~ a*x1 + b*x2\n a == 0.3\nlevel: 2\n y1 ~~ y1\nd := a + b")
    rows = fit.standardized()
    assert rows["est_std"].iloc[-1] == pytest.approx(rows["est_std"].iloc[:2].sum())


# --- what is missing ------------------------------------------------------------------------------


def negative():
    """Level-2 variances below zero: rows of a cluster are less alike than by chance."""
    rng = np.random.default_rng(1)
    ids = np.repeat(np.arange(60), 5)
    y = rng.normal(size=(300, 2))
    data = pd.DataFrame({"id": ids, "y1": y[:, 0], "y2": y[:, 1] + 0.3 * y[:, 0] + ids % 4})
    data["y1"] -= 0.9 * data.groupby("id")["y1"].transform("mean")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit("level: 1\n y1 ~~ y2\nlevel: 2\n y1 ~~ y2", data, cluster="id")


def test_negative_variances_have_no_standard_deviation():
    fit = negative()
    assert fit.params["y1~~y1.l2"] < 0
    rows = fit.standardized().set_index(["lhs", "op", "rhs", "level"])
    assert np.isnan(
        rows.loc[("y1", "~~", "y2", 2), ["est_std", "se", "pvalue"]].astype(float)
    ).all()
    assert np.isnan(rows.loc[("y1", "~1", "", 2), "est_std"])
    assert rows.loc[("y2", "~1", "", 2), "se"] > 0
    assert "is not positive" in str(fit.summary(standardized=True)).replace("\n    ", " ")
    assert "is not positive" not in str(fit.summary())


def test_without_standard_errors():
    fit = demo(se="none")
    rows = fit.standardized()
    assert rows["est_std"].notna().all()
    assert (np.isnan(rows["se"]) | (rows["se"] == 0)).all()
    assert fit.r_squared().frame["ci_lower"].isna().all()


def test_what_is_refused():
    fit = demo()
    with pytest.raises(mlsem.OptionValueError, match="'all', 'lv'"):
        fit.standardized("std.all")
    with pytest.raises(mlsem.OptionValueError, match="level"):
        fit.standardized(level=95)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        stopped = mlsem.fit(
            DEMO, frame("demo.csv"), cluster="cluster", max_iter=1, on_failure="warn"
        )
    for ask in (stopped.standardized, lambda: stopped.summary(standardized=True)):
        with pytest.raises(mlsem.InferenceError, match="did not converge"):
            ask()


# --- beside the estimates -------------------------------------------------------------------------


def test_columns_and_rows_of_the_table_of_estimates():
    fit = demo()
    plain, full = (
        fit.parameter_estimates(),
        fit.parameter_estimates(standardized=True, rsquare=True),
    )
    count = len(plain)
    pd.testing.assert_frame_equal(full.iloc[:count][list(plain.columns)], plain)
    for kind in ("lv", "all"):
        theirs = fit.standardized(kind)["est_std"]
        assert full[f"std_{kind}"].iloc[:count].to_numpy() == pytest.approx(theirs.to_numpy())
    rows, shares = full.iloc[count:], fit.r_squared().frame
    assert set(rows["op"]) == {"r2"}
    assert list(rows["lhs"]) == list(rows["rhs"]) == list(shares["variable"])
    assert list(rows["ci_upper"]) == list(shares["ci_upper"])
    assert rows[["stat", "pvalue", "std_lv", "std_all"]].isna().all(axis=None)
    assert "r2" not in set(fit.tidy()["op"])
    alone = mlsem.fit("y1 ~~ y2", frame("demo.csv")).parameter_estimates(rsquare=True)
    assert "r2" not in set(alone["op"])


def test_limits_of_shares():
    """Fisher's z: of the correlation .5 with standard error .1, and of what is no share."""
    share, se = np.array([0.25, 1e-6, -0.1, 0.999]), np.array([0.1, 2e-4, 0.2, 0.0005])
    lower, upper = share_limits(share, se, np.array([np.inf, np.inf, 9.0, np.nan]), 0.95)
    z = np.arctanh(0.5) + np.array([-1, 1]) * 1.959964 * 0.1 / 0.75
    assert [lower[0], upper[0]] == pytest.approx(list(np.tanh(z) ** 2))
    assert lower[1] == 0
    assert 0.01 < upper[1] < 0.1
    assert [lower[2], upper[2]] == pytest.approx([-0.1 - 2.262157 * 0.2, -0.1 + 2.262157 * 0.2])
    assert 0 < lower[3] < 0.999 < upper[3] < 1


def test_scales_of_a_model_of_means_only():
    """No paths, no covariates: the variances are the parameters."""
    fit = demo("level: 1\n y1 ~~ y1\nlevel: 2\n y1 ~~ y1")
    first, second = scales_at(fit._estimates.problem, fit.estimates).levels
    assert first.total == pytest.approx(first.residual)
    assert second.total_gradients == pytest.approx(second.residual_gradients)
