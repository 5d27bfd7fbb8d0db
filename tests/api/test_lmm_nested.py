"""Mixed models of three levels by `lmm`: lme4, lmerTest, pbkrtest, clubSandwich; identities."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import mlsem
from mlsem.core.restricted.nested.likelihood import evaluate
from mlsem.estimation.nested import estimate_nested
from mlsem.inference.covariance.nested import nested_covariance
from mlsem.inference.profile.search import critical_value, relative_variances
from tests.support.dense_cr import DenseCR
from tests.support.dense_nested_mixed import DenseNested

pytestmark = [  # 15 schools are few, and some fits are singular
    pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning"),
    pytest.mark.filterwarnings("ignore:the estimated covariance matrix:mlsem.EstimationWarning"),
]
TRIALS = Path(__file__).parents[1] / "reference" / "trials"
REFERENCE = json.loads((TRIALS / "three.json").read_text())
REGULAR = [name for name, each in REFERENCE.items() if not each["singular"]]
KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")


@cache
def _data(name):
    paths = {"three": TRIALS / "data/three.csv", "three_slopes": TRIALS / "data/three_slopes.csv"}
    return pd.read_csv(paths[name])


def three():
    return _data("three").copy()


@cache
def _fit(name):
    want = REFERENCE[name]
    return mlsem.lmm(want["formula"], _data(want["data"]), REML=want["REML"])


@cache
def nested_fit():
    return mlsem.lmm("y ~ x + v + z + (1 | school/class)", _data("three"))


def _place(fit, group, first, second):
    """Where a (co)variance of lme4's table stands among the parameters."""
    group = group.replace("school.class", "school:class").removesuffix(".1")
    both = [first] if second is None else [second, first]
    return fit.params.index.get_loc("Residual" if first is None else ".".join((group, *both)))


def _variances(fit, want):
    """lme4's variances and covariances in the order of the parameters."""
    found = np.full(len(fit.params) - len(want["coef"]), np.nan)
    for group, first, second, value in zip(
        want["grp"], want["var1"], want["var2"], want["var"], strict=True
    ):
        found[_place(fit, group, first, second) - len(want["coef"])] = value
    assert not np.isnan(found).any()
    return found


# --- against lme4 and its kin ---------------------------------------------------------------------


@pytest.mark.parametrize("name", REFERENCE)
def test_estimates_are_lme4s(name) -> None:
    fit, want = _fit(name), REFERENCE[name]
    assert fit.converged
    assert fit.singular == want["singular"]
    assert fit.loglik == pytest.approx(want["loglik"], abs=1e-7)
    assert fit.fixef().index.tolist() == want["names"]
    np.testing.assert_allclose(fit.fixef(), want["coef"], rtol=2e-6)
    got = fit.estimates[len(want["coef"]) :]
    np.testing.assert_allclose(got, _variances(fit, want), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REFERENCE)
def test_predictions_are_lme4s(name) -> None:
    fit, want = _fit(name), pd.DataFrame(REFERENCE[name]["ranef"])
    number = {each: fit.random_effects(each) for each in want["grpvar"].unique()}
    labels = {each: list(frame.index) for each, frame in number.items()}
    for group, term, level, mean, sd in want[
        ["grpvar", "term", "grp", "condval", "condsd"]
    ].itertuples(index=False):
        if group == "class:school":
            level = tuple(int(each) for each in reversed(level.split(":")))
        elif group == "school:class":
            level = tuple(int(each) for each in level.split(":"))
        else:
            level = int(level)
        row = number[group].iloc[labels[group].index(level)]
        assert row[term] == pytest.approx(mean, abs=2e-5)
        assert row[f"{term}_se"] == pytest.approx(sd, abs=2e-5)


@pytest.mark.parametrize("name", [name for name in REGULAR if name.endswith("_reml")])
def test_degrees_of_freedom_are_lmertests_and_pbkrtests(name) -> None:
    fit, want = _fit(name), REFERENCE[name]
    count = len(want["coef"])
    assert fit.df_method == "satterthwaite"
    np.testing.assert_allclose(fit.df[:count], want["satterthwaite"], rtol=1e-4)
    kenward_roger = fit.with_se("standard", df="kenward-roger")
    np.testing.assert_allclose(kenward_roger.df[:count], want["kr_df"], rtol=1e-4)
    np.testing.assert_allclose(kenward_roger.bse[:count], want["kr_se"], rtol=1e-5)
    assert kenward_roger.df[count:].isna().all()


@pytest.mark.parametrize("name", REGULAR)
def test_covariances_are_clubsandwichs(name) -> None:
    """At lme4's variances, which its search ends a little beside the maximum."""
    fit, want = _fit(name), REFERENCE[name]
    own = fit._estimates
    there = own.point.model
    params = np.append(fit.estimates[: len(want["coef"])], _variances(fit, want))
    at = replace(
        own,
        optimum=replace(own.optimum, point=evaluate(there, np.linalg.solve(own.to_user, params))),
    )
    count = len(want["coef"])
    found, _ = nested_covariance(at)
    np.testing.assert_allclose(found.matrix[:count, :count], want["vcov"], rtol=1e-6, atol=1e-9)
    for kind in KINDS:
        found, _ = nested_covariance(at.under(own.settings.with_se(kind)))
        expected = want["robust"][kind]
        matrix = found.matrix[:count, :count]
        np.testing.assert_allclose(matrix, expected["vcov"], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.df[:count], expected["df"], rtol=1e-6)


# --- identities -----------------------------------------------------------------------------------


def _dense(fit, data, lower, upper):
    """The same model with n × n matrices, and φ at its estimates as these have it."""
    columns = {"(Intercept)": np.ones(len(data)), **{name: data[name].to_numpy() for name in data}}
    design = np.column_stack([columns[name] for name in fit.fixef().index])
    classes = data.groupby(["school", "class"]).ngroup().to_numpy()
    dense = DenseNested(
        data["y"].to_numpy(), design, *(
            np.column_stack([columns[name] for name in names]) for names in (lower, upper)
        ), classes, data["school"].to_numpy(), fit.settings.estimator == "REML",
    )  # fmt: skip
    groups = dict(zip(("lower", "upper"), fit.n_groups, strict=True))
    effects = {"lower": lower, "upper": upper}
    phi = []
    for which, a, b in dense.cells:
        names = dict.fromkeys((effects[which][a], effects[which][b]))
        phi.append(fit.params[".".join((groups[which], *names))])
    return dense, np.array([*phi, fit.params["Residual"]])


@pytest.mark.parametrize(
    ("name", "effects"),
    [
        ("nested_reml", (["(Intercept)"], ["(Intercept)"])),
        pytest.param(
            "both_slopes_ml",
            (["(Intercept)", "x"], ["(Intercept)", "x"]),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_robust_errors_are_those_of_n_by_n_matrices(name, effects) -> None:
    fit, data = _fit(name), _data(REFERENCE[name]["data"])
    dense, phi = _dense(fit, data, *effects)
    assert fit.loglik == pytest.approx(dense.loglik(phi), rel=1e-12)
    V, e, schools = dense.covariance(phi), dense.residuals(phi), data["school"].unique()
    rows = [np.flatnonzero(data["school"] == school) for school in schools]
    cr = DenseCR(
        [dense.design[each] for each in rows],
        [V[np.ix_(each, each)] for each in rows],
        [e[each] for each in rows],
    )
    count = dense.design.shape[1]
    for kind in ("CR2", "CR3"):
        found = fit.with_se(kind)
        matrix = found.covariance.matrix[:count, :count]
        np.testing.assert_allclose(matrix, cr.cov(kind), rtol=1e-10, atol=1e-12)
        df = cr.df(kind, np.eye(count)[1])
        assert found.df.iloc[1] == pytest.approx(df, rel=1e-8)


def test_neither_order_of_rows_nor_labels_matter() -> None:
    fit, data = nested_fit().with_se("CR2"), three()
    moved = data.sample(frac=1.0, random_state=3)
    moved["school"] = moved["school"].map(lambda each: f"s{each * 7 % 31}")
    again = mlsem.lmm(fit.model, moved, se="CR2")
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-6)
    np.testing.assert_allclose(again.bse, fit.bse, rtol=1e-6)
    np.testing.assert_allclose(again.df, fit.df, rtol=1e-5)
    np.testing.assert_allclose(again.fitted().reindex(data.index), fit.fitted(data), rtol=1e-5)


@pytest.mark.parametrize(
    "random",
    [
        "(1 | school) + (1 | school:class)",
        "(1 | class:school) + (1 | school)",
        "(1 | class) + (1 | school)",
    ],
)
def test_ways_to_say_it(random) -> None:
    again = mlsem.lmm(f"y ~ x + v + z + {random}", three())
    assert again.loglik == pytest.approx(nested_fit().loglik, abs=1e-9)
    assert list(again.n_groups.values()) == [36, 15]
    assert f"{next(iter(again.n_groups))}.(Intercept)" in again.params.index


def test_ids_that_count_anew() -> None:
    data = three()
    data["class"] = data.groupby("school")["class"].transform(lambda ids: pd.factorize(ids)[0])
    assert data["class"].nunique() < 10
    again = mlsem.lmm(nested_fit().model, data)
    np.testing.assert_allclose(again.params, nested_fit().params, rtol=1e-8)


def test_a_level_that_has_no_variance_is_no_level() -> None:
    """Pupils dealt out to schools at random: the model of classes alone is the same."""
    data = three()
    codes = data["class"].rank(method="dense").astype(int)
    data["school"] = codes % 7
    data["y"] = data["x"] + np.sin(7.0 * codes) + np.cos(100.0 * np.arange(len(data)))
    fit = mlsem.lmm("y ~ x + (1 | school/class)", data, REML=False)
    two = mlsem.lmm("y ~ x + (1 | class)", data, REML=False)
    assert fit.params["school.(Intercept)"] == 0.0
    assert fit.singular
    assert "singular" in fit.notes[0]
    assert fit.loglik == pytest.approx(two.loglik, abs=1e-9)
    np.testing.assert_allclose(fit.fixef(), two.fixef(), rtol=1e-6)
    np.testing.assert_allclose(fit.bse[:2], two.bse[:2], rtol=1e-6)


@pytest.mark.parametrize("far", [1e3, 1e6])
def test_carriers_far_from_zero(far) -> None:
    data = _data("three_slopes")
    plain = _fit("both_slopes_reml")
    fit = mlsem.lmm(plain.model, data.assign(x=data["x"] + far))
    assert fit.loglik == pytest.approx(plain.loglik, abs=1e-6)
    for name in ("x", "class:school.x", "school.x", "Residual"):
        assert fit.params[name] == pytest.approx(plain.params[name], rel=1e-5)
        assert fit.bse[name] == pytest.approx(plain.bse[name], rel=1e-5)
    assert fit.with_se("CR2").df["x"] == pytest.approx(plain.with_se("CR2").df["x"], rel=1e-5)


def test_units_of_covariates_and_outcome() -> None:
    data = three()
    data["x"], data["y"] = 1e3 * data["x"] + 1e6, 100.0 * data["y"]
    fit, plain = mlsem.lmm(nested_fit().model, data, se="CR2"), nested_fit().with_se("CR2")
    assert fit.params["x"] == pytest.approx(0.1 * plain.params["x"], rel=1e-6)
    assert fit.bse["x"] == pytest.approx(0.1 * plain.bse["x"], rel=1e-6)
    assert fit.df["x"] == pytest.approx(plain.df["x"], rel=1e-6)


# --- rows -----------------------------------------------------------------------------------------


def test_predictions_add_up() -> None:
    fit, data = nested_fit(), three()
    marginal = fit.predict(data, random=False)["y"]
    school = fit.random_effects("school")["(Intercept)"]
    classes = fit.random_effects("class")["(Intercept)"]
    of_school = data["school"].map(school)
    index = pd.MultiIndex.from_frame(data[["school", "class"]])
    of_class = classes.reindex(index).to_numpy()
    some = fit.predict(data, random="school")["y"]
    np.testing.assert_allclose(some, marginal + of_school, rtol=1e-12)
    np.testing.assert_allclose(fit.predict(data)["y"], some + of_class, rtol=1e-12)
    np.testing.assert_allclose(fit.residuals(), data["y"] - fit.fitted(), rtol=1e-12)
    np.testing.assert_allclose(fit.residuals("marginal"), data["y"] - marginal, rtol=1e-12)
    sigma = fit.params["Residual"] ** 0.5
    np.testing.assert_allclose(fit.residuals("pearson") * sigma, fit.residuals(), rtol=1e-12)


def test_errors_of_prediction_are_hendersons() -> None:
    """Of (β, u, v) together: the inverse of the mixed model equations."""
    fit, data = _fit("both_slopes_reml"), _data("three_slopes")
    names = ["(Intercept)", "x"]
    dense, phi = _dense(fit, data, names, names)
    blocks, priors = [dense.design], []
    for which, ids in (("lower", dense.classes), ("upper", dense.schools)):
        codes = pd.factorize(ids)[0]
        own = np.zeros((len(ids), codes.max() + 1, 2))
        own[np.arange(len(ids)), codes] = getattr(dense, which)
        blocks.append(own.reshape(len(ids), -1))
        cells = phi[:3] if which == "lower" else phi[3:6]
        psi = np.array([[cells[0], cells[1]], [cells[1], cells[2]]])
        priors.append(np.kron(np.eye(codes.max() + 1), np.linalg.inv(psi)))
    W = np.column_stack(blocks)
    matrix = W.T @ W / phi[-1]
    first = 2 + len(priors[0])
    matrix[2:first, 2:first] += priors[0]
    matrix[first:, first:] += priors[1]
    inverse = np.linalg.inv(matrix)
    expected = np.sqrt(np.einsum("na,ab,nb->n", W, inverse, W))
    found = fit.predict(data, se=True)
    np.testing.assert_allclose(found["y_se"], expected, rtol=1e-8)
    solved = inverse @ W.T @ data["y"].to_numpy() / phi[-1]
    np.testing.assert_allclose(found["y"], W @ solved, rtol=1e-7, atol=1e-7)


def test_new_clusters() -> None:
    fit, data = nested_fit(), three()
    new = data.head(3).copy()
    new["class"], new["school"] = [new["class"].iloc[0], 990, 991], [1, 1, 770]
    with pytest.raises(mlsem.DataError, match=r"2 of 3 clusters .* school 1 class 990, school 770"):
        fit.predict(new)
    found = fit.predict(new, se=True, new_levels="population")
    some = fit.predict(new, random="school", new_levels="population")["y"]
    none = fit.predict(new, random=False)["y"]
    assert found["y"].iloc[0] == pytest.approx(fit.predict(data.head(1))["y"].iloc[0])
    assert found["y"].iloc[1] == pytest.approx(some.iloc[1])
    assert found["y"].iloc[2] == pytest.approx(none.iloc[2])
    assert found["y_se"].is_monotonic_increasing
    assert "2 of 3" in found.attrs["note"]


def test_simulated_outcomes_have_the_models_variances() -> None:
    fit, data = nested_fit(), three()
    draws = fit.simulate(1000, seed=1, data=data).to_numpy()
    away = draws - fit.predict(data, random=False)["y"].to_numpy()[:, None]
    covariance = away @ away.T / 1000
    ids = {name: data[name].to_numpy() for name in ("school", "class")}
    same = {name: each[:, None] == each for name, each in ids.items()}
    row = np.eye(len(data), dtype=bool)
    _, lower, upper, sigma2 = np.split(fit.estimates, [4, 5, 6])
    assert covariance[row].mean() == pytest.approx(lower + upper + sigma2, rel=0.06)
    assert covariance[same["class"] & ~row].mean() == pytest.approx(lower + upper, rel=0.1)
    assert covariance[same["school"] & ~same["class"]].mean() == pytest.approx(upper, rel=0.2)
    assert abs(covariance[~same["school"]].mean()) < 0.02
    kept = fit.simulate(400, seed=1, data=data, effects="predicted").mean(axis=1)
    np.testing.assert_allclose(kept, fit.fitted(data), atol=0.25)


def test_missing_values() -> None:
    data = three()
    data.loc[[3, 40], "x"] = np.nan
    data.loc[50, "y"] = np.nan
    with pytest.warns(mlsem.DataWarning, match="2 of them have an outcome"):
        fit = mlsem.lmm(nested_fit().model, data)
    assert fit.n_obs == len(data) - 3
    assert fit.residuals().isna().sum() == 3
    whole = mlsem.lmm(fit.model, data.dropna())
    np.testing.assert_allclose(fit.params, whole.params, rtol=1e-10)
    with pytest.raises(mlsem.DataError):
        mlsem.lmm(fit.model, data, missing="error")


# --- what is asked of a fit -----------------------------------------------------------------------


def test_shares_of_variance() -> None:
    fit = nested_fit()
    _, lower, upper, sigma2 = (float(each[0]) for each in np.split(fit.estimates, [4, 5, 6]))
    whole = lower + upper + sigma2
    found = fit.icc()
    np.testing.assert_allclose(found.icc, [upper / whole, (upper + lower) / whole], rtol=1e-12)
    np.testing.assert_allclose(found.share, [upper / whole, lower / whole], rtol=1e-12)
    gradient = np.zeros((1, 7))
    gradient[0, 4:] = np.array([-upper, whole - upper, -upper]) / whole**2
    se, _ = fit.covariance.of_functions(gradient)
    assert found.se[0] == pytest.approx(se[0], rel=1e-10)
    fixed = fit.predict(random=False)["y"].var()
    shares = fit.r_squared()
    assert shares.marginal == pytest.approx(fixed / (fixed + whole), rel=1e-10)
    assert shares.conditional == pytest.approx(1.0 - sigma2 / (fixed + whole), rel=1e-10)
    assert "class:school" in str(found)
    assert "residual" in str(shares)


def test_random_slopes_count_by_their_mean_over_rows() -> None:
    fit, data = _fit("both_slopes_reml"), _data("three_slopes")
    z = np.column_stack((np.ones(len(data)), data["x"]))
    v = fit.params
    psi = np.array(
        [[v["school.(Intercept)"], v["school.x.(Intercept)"]],
         [v["school.x.(Intercept)"], v["school.x"]]]
    )  # fmt: skip
    assert fit.icc().variance[0] == pytest.approx(np.einsum("na,ab,nb->n", z, psi, z).mean())


def test_tests_and_tables() -> None:
    fit = nested_fit()
    robust = fit.with_se("CR2")
    single = robust.wald_test("`x` == 0.2")
    t = (fit.params["x"] - 0.2) / robust.bse["x"]
    assert single.statistic == pytest.approx(t**2)
    assert single.df_denom == pytest.approx(robust.df["x"])
    assert fit.wald_test("`x`; `v`").test == "F"
    limits = robust.conf_int(parameters=["x"]).loc["x"]
    assert limits.mean() == pytest.approx(fit.params["x"])
    frame = fit.parameter_estimates()
    assert frame["level"].tolist() == [1, 1, 2, 2, 3, 3, 3]
    assert fit.tidy(0.9)["group"].tolist()[-3:] == ["class:school", "school", "Residual"]
    assert fit.glance()["n_clusters"].tolist() == [15]
    varcorr = fit.VarCorr()
    assert varcorr.titles == ("class:school", "school")
    np.testing.assert_allclose(varcorr.frame["vcov"], fit.estimates[4:])
    means = fit.marginal_means("x", at={"x": [0, 1]}).frame["estimate"]
    assert means.diff().iloc[1] == pytest.approx(fit.params["x"])
    text = str(robust.summary(level=0.95, rsquare=True, correlation=True))
    for each in ("class:school", "Robust clusters [school]", "R-squared", "ci.upper", "REML"):
        assert each in text


def test_influence_of_schools() -> None:
    fit, data = nested_fit(), three()
    found = fit.cluster_diagnostics(["x", "z"])
    assert found.groupby("parameter")["share"].sum().to_numpy() == pytest.approx([1.0, 1.0])
    assert found["rows"][::2].sum() == len(data)
    first = found["cluster"].iloc[0]
    without = mlsem.lmm(fit.model, data[data["school"] != first])
    assert found["change"].iloc[0] == pytest.approx(without.params["x"] - fit.params["x"], abs=0.01)


@pytest.mark.filterwarnings("default::mlsem.InferenceWarning")
def test_few_schools_are_warned_of() -> None:
    with pytest.warns(mlsem.InferenceWarning, match="15 clusters are few: CR0"):
        found = nested_fit().with_se("CR0")
    assert "15 clusters are few" in found.notes[0]


def test_fits_again() -> None:
    data = three()
    fit = mlsem.lmm("y ~ x + v + z + (1 | school/class)", data, se="CR2")
    again = fit.update(REML=False)
    assert again.loglik == pytest.approx(REFERENCE["nested_ml"]["loglik"], abs=1e-7)
    assert again.se_kind == "CR2"
    assert fit.update("+ x:z").fixef().index.tolist()[-1] == "x:z"
    two = fit.update("y ~ x + v + z + (1 | school)", REML=False)
    assert isinstance(two, mlsem.MixedResult)
    assert isinstance(two.update("y ~ x + (1 | school/class)"), mlsem.NestedResult)
    kept = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_series_equal(kept.params, fit.params)
    pd.testing.assert_series_equal(kept.fitted(data), fit.fitted(data))
    with pytest.raises(mlsem.InferenceError, match="pass data="):
        kept.fitted()
    data["y"] += 1.0
    with pytest.raises(mlsem.DataError, match="has changed"):
        fit.fitted()


def test_a_search_that_is_cut_off() -> None:
    with pytest.warns(mlsem.ConvergenceWarning, match="max_iter=1"):
        fit = mlsem.lmm("y ~ x + (1 | school/class)", three(), max_iter=1)
    assert not fit.converged
    assert fit.bse.isna().all()
    assert "not estimates" in fit.notes[0]
    with pytest.raises(mlsem.InferenceError, match="did not converge"):
        fit.icc()
    with pytest.raises(mlsem.ConvergenceError):
        mlsem.lmm("y ~ x + (1 | school/class)", three(), max_iter=1, on_failure="raise")


# --- refusals -------------------------------------------------------------------------------------

OPTIONS = {
    "starts": (3, "starts= with the clusters within clusters"),
    "se_cluster": ("class", "sum over the clusters of 'school'.*those of 'class' are not"),
    "se": ("replicates", "replicate"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_go_with_two_levels(name) -> None:
    value, said = OPTIONS[name]
    with pytest.raises(mlsem.OptionValueError, match=said):
        mlsem.lmm("y ~ x + (1 | school/class)", three(), **{name: value})


def test_weights_go_with_two_levels() -> None:
    data = three().assign(w=1.0)
    with pytest.raises(mlsem.OptionValueError, match="weights= with the clusters within clusters"):
        mlsem.lmm("y ~ x + (1 | school/class)", data, REML=False, weights="w")


def test_ids_that_count_anew_are_not_told_apart_unasked() -> None:
    data = three()
    data["class"] = data.groupby("school")["class"].transform(lambda ids: pd.factorize(ids)[0])
    with pytest.raises(mlsem.DataError, match=r"write '(school/class|class/school)'.*crossed"):
        mlsem.lmm("y ~ x + (1 | school) + (1 | class)", data)


DATA = {
    "the same clusters twice": (lambda data: data.assign(school=data["class"]), "different levels"),
    "rows alone": (
        lambda data: data.assign(**{"class": np.arange(len(data))}),
        "every cluster of 'class:school' has one row",
    ),
    "an outcome of classes": (lambda data: data.assign(y=data["v"]), "does not vary within"),
    "few rows": (lambda data: data.iloc[:4], "do not determine 'school"),
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_say_nothing_of_three_levels(name) -> None:
    change, said = DATA[name]
    with pytest.raises(mlsem.MlsemError, match=said):
        mlsem.lmm("y ~ x + z + I(x^2) + (1 | school/class)", change(three()))


def test_estimates_are_a_maximum() -> None:
    """The gradient is zero, and the observed information positive."""
    own = estimate_nested(nested_fit()._estimates.data, nested_fit().settings)
    at = own.optimum.at
    assert np.abs(at.slopes @ np.linalg.inv(at.observed) @ at.slopes) < 1e-14
    assert np.linalg.eigvalsh(at.observed)[0] > 0.0


# --- likelihood ratios ----------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["school", "class"])
def test_a_level_is_tested_on_the_boundary(group) -> None:
    data = three()
    simple, full = mlsem.lmm(f"y ~ x + v + z + (1 | {group})", data), nested_fit()
    found = mlsem.lr_test(simple, full)
    assert found.statistic == pytest.approx(2.0 * (full.loglik - simple.loglik))
    assert found.parts == ((0, 0.5), (1, 0.5))
    assert found.added == (
        "school.(Intercept)" if group == "class" else "class:school.(Intercept)",
    )
    assert mlsem.lr_test(simple, full, boundary=False).pvalue == pytest.approx(2.0 * found.pvalue)


def test_several_variances_are_tested_by_simulation() -> None:
    data = _data("three_slopes")
    simple = mlsem.lmm("y ~ x + (1 | school/class)", data)
    found = mlsem.lr_test(simple, _fit("both_slopes_reml"), draws=500)
    assert (found.reference, found.df, len(found.added)) == ("simulated", 4, 4)
    assert found.pvalue < 0.01
    one = mlsem.lr_test(simple, mlsem.lmm("y ~ x + (x | school) + (1 | school:class)", data))
    assert one.parts == ((1, 0.5), (2, 0.5))


def test_means_are_tested_by_ml() -> None:
    data = three()
    simple, full = (
        mlsem.lmm(f"y ~ x + {more}(1 | school/class)", data, REML=False) for more in ("", "v + ")
    )
    found = mlsem.lr_test(simple, full)
    assert (found.df, found.parts, found.added) == (1, ((1, 1.0),), ("v",))
    with pytest.raises(mlsem.InferenceError, match="differ in their means"):
        mlsem.lr_test(simple.update(REML=True), full.update(REML=True))


def test_what_is_not_nested_is_not_tested() -> None:
    data, full = three(), nested_fit()
    with pytest.raises(mlsem.InferenceError, match="three levels and the full one two"):
        mlsem.lr_test(full, mlsem.lmm("y ~ x + v + z + (1 | school)", data))
    with pytest.raises(mlsem.InferenceError, match="Put the simple model first"):
        mlsem.lr_test(full, full)
    with pytest.raises(mlsem.InferenceError, match="of other rows"):
        mlsem.lr_test(mlsem.lmm("y ~ x + v + z + (1 | school)", data.iloc[:-1]), full)
    data["other"] = np.arange(len(data)) % 9
    with pytest.raises(mlsem.InferenceError, match="clusters of 'other'"):
        mlsem.lr_test(mlsem.lmm("y ~ x + v + z + (1 | other)", data), full)


def test_effects_by_standardisation() -> None:
    fit = _fit("both_slopes_reml")
    found = fit.effects("x", kind="contrast", values=[0, 1]).frame.set_index("effect")
    assert found.loc["difference", "estimate"] == pytest.approx(fit.params["x"])
    assert found.loc["difference", "se"] == pytest.approx(fit.bse["x"])
    variance = fit.icc().variance.sum() + fit.params["Residual"]
    shares = found.loc["standardized", "estimate"], fit.params["x"] / np.sqrt(variance)
    assert shares[0] == pytest.approx(shares[1], rel=1e-6)


# --- profile intervals ----------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "side"), [(4, "upper"), (6, "lower")])
def test_profile_limits_are_where_the_likelihood_has_fallen(place, side) -> None:
    """By n × n matrices: 2 (ℓ_R - ℓ_R(limit)) = crit² V_r / V_m."""
    data = three().query("school <= 7")
    fit = mlsem.lmm(nested_fit().model, data, se="CR2")
    name = fit.params.index[place]
    limit = fit.conf_int(ci="profile", parameters=[name]).loc[name, side]
    dense, phi = _dense(fit, data, ["(Intercept)"], ["(Intercept)"])
    others = [k for k in range(3) if k != place - 4]

    def fallen(free):
        there = np.empty(3)
        there[others], there[place - 4] = np.exp(free), limit
        return -dense.loglik(there)

    least = minimize(fallen, np.log(phi[others]), method="Nelder-Mead", options={"xatol": 1e-4})
    clusters = fit.covariance.reference.clusters
    model = clusters.basis[place] @ clusters.influence[place]
    ratio = fit.bse.iloc[place] ** 2 / model
    (r,) = relative_variances(clusters, clusters.influence[[place]])
    root = np.sqrt(2.0 * (fit.loglik + least.fun) / ratio)
    assert root == pytest.approx(critical_value(r, 0.95), rel=2e-3)
    if side == "lower":
        assert f"{limit:.3f}" in str(fit.summary(ci="profile"))


@pytest.mark.slow
def test_profile_intervals_by_ml_are_those_of_the_restricted_likelihood() -> None:
    """Of slopes, too, whose variance is no cell of the search's matrices."""
    fit = _fit("both_slopes_ml")
    found = fit.conf_int(ci="profile", parameters=["school.x", "x"])
    restricted = _fit("both_slopes_reml").conf_int(ci="profile", parameters=["school.x"])
    np.testing.assert_allclose(found.loc["school.x"], restricted.loc["school.x"], rtol=0.05)
    np.testing.assert_allclose(found.loc["x"], fit.with_se("CR2").conf_int().loc["x"])
    assert 0.0 < found.loc["school.x", "lower"] < fit.params["school.x"]
