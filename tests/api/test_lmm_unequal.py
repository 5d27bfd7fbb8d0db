"""Residual variances by group (`residual=`): nlme, clubSandwich, dense matrices, identities."""

import json
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from dense_cr import KINDS, DenseCR
from differences import hessian, jacobian
from kinds import fit_at
from unequal import BY, FORMULA, SLOPES, DenseUnequal, data, reference

import mlsem
from mlsem.cli.main import main

FITS = [name for name in reference()["fits"] if not name.startswith("equal")]
SLOW = pytest.mark.slow
pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning"),
    pytest.mark.filterwarnings("ignore::mlsem.EstimationWarning"),  # a correlation of one
]


def fitted(name, formula=FORMULA, **options):
    by, method = name.rsplit("_", 1)
    return mlsem.lmm(formula, data(), REML=method == "REML", residual=BY[by], **options)


def theirs(record, fit):
    """nlme's estimates by our names."""
    sd = {key.replace("*", ":"): record["sigma"] * ratio for key, ratio in record["ratios"].items()}
    params = fit.params.copy()
    params.iloc[: len(record["coef"])] = record["coef"]
    params["id.(Intercept)"] = record["tau2"]
    for label, value in sd.items():
        params[f"Residual.{label}"] = value**2
    return params


# --- nlme and clubSandwich ------------------------------------------------------------------------


@pytest.mark.parametrize("name", FITS)
def test_estimates_as_nlme(name):
    record, fit = reference()["fits"][name], fitted(name)
    assert fit.converged
    assert fit.loglik == pytest.approx(record["loglik"], abs=1e-7)
    assert fit.loglik > record["loglik"] - 1e-9
    wanted, limit = theirs(record, fit), 2e-5 if name.startswith("group_arm") else 1e-5
    np.testing.assert_allclose(fit.params, wanted, rtol=4 * limit, atol=limit)
    sd = np.sqrt(np.array([fit.params, wanted])[:, 6:])
    np.testing.assert_allclose(*sd, rtol=2 * limit)


QUICK = ("group_ML", "group_arm_REML")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=SLOW) for name in FITS]
)
def test_robust_errors_as_clubsandwich(name):
    """At their estimates, where the likelihood's bread is that of either criterion."""
    record, fit = reference()["fits"][name], fitted(name.replace("REML", "ML"))
    there = fit_at(fit, theirs(record, fit))
    kinds = {k: v for k, v in record["robust"]["vcov"].items() if k != "CR1p"}
    for kind, wanted in kinds.items():
        found, p = there.with_se(kind).covariance, len(wanted)
        size = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
        assert (np.abs(found.matrix[:p, :p] - wanted) / size).max() < 1e-6
        if kind in record["robust"]["df"]:
            np.testing.assert_allclose(found.df[:p], record["robust"]["df"][kind], rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=SLOW) if "both" in name else name for name in reference()["slopes"]],
)
def test_random_slopes_as_nlme(name):
    record = reference()["slopes"][name]
    by = {"group": "group", "both": "group_arm"}[name.split("_")[1]]
    fit = fitted(f"{by}_{name.split('_')[2]}", SLOPES)
    assert fit.loglik == pytest.approx(record["loglik"], abs=1e-7)
    found = fit.VarCorr()
    np.testing.assert_allclose(fit.fixef(), record["coef"], atol=2e-5)
    np.testing.assert_allclose(found.covariance, record["psi"], atol=2e-5)
    np.testing.assert_allclose(found.sigma, [record["sd"][k] for k in found.classes], rtol=4e-5)


def test_rows_as_nlme():
    record, fit = reference()["rows"], fitted("group_REML")
    np.testing.assert_allclose(fit.random_effects().iloc[:, 0], record["ranef"], atol=1e-5)
    np.testing.assert_allclose(fit.fitted().head(20), record["fitted"], atol=1e-5)
    np.testing.assert_allclose(fit.residuals("pearson").head(20), record["pearson"], atol=2e-5)


@pytest.mark.parametrize("name", ["group_ML", "arm_ML"])
def test_ratio_test_as_nlme(name):
    record, fit = reference()["fits"][name], fitted(name)
    found = mlsem.lr_test(fit.update(residual=None), fit)
    assert found.statistic == pytest.approx(record["lrt"], abs=1e-6)
    assert found.df == record["lrt_df"]
    assert found.pvalue == pytest.approx(record["p"], rel=1e-6)


# --- dense matrices -------------------------------------------------------------------------------


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("by", ["group", pytest.param(["group", "arm"], marks=SLOW)])
@pytest.mark.parametrize("slopes", [False, True])
def test_dense_likelihood_and_maximum(by, slopes, restricted):
    fit = mlsem.lmm(SLOPES if slopes else FORMULA, data(), REML=restricted, residual=by)
    dense, params = DenseUnequal(by, slopes=slopes), fit.params.to_numpy()
    assert list(fit.table.classes) == dense.labels
    assert fit.loglik == pytest.approx(dense.loglik(params, restricted=restricted), abs=1e-10)
    if fit.singular:
        return

    def along(variances):
        return dense.loglik(np.append(params[:5], variances), restricted=restricted)

    assert np.abs(jacobian(along, params[5:])).max() < 1e-4


@pytest.mark.parametrize("slopes", [False, pytest.param(True, marks=SLOW)])
def test_information_is_that_of_dense_matrices(slopes):
    """The observed one, by differences of the scores, which `test_scores_are_derivatives` has."""
    fit = fitted("group_ML", SLOPES if slopes else FORMULA)
    params = fit.params.to_numpy()
    here = -jacobian(lambda values: fit_at(fit, values).scores().sum().to_numpy(), params, 2e-4)
    found = fit.information("observed")
    np.testing.assert_allclose(found, here, rtol=1e-6, atol=1e-6)
    expected = fit.information("expected").to_numpy()
    dense = DenseUnequal("group", slopes=slopes)
    np.testing.assert_allclose(expected[:5, :5], dense.information(params), rtol=1e-9, atol=1e-9)
    V = dense.covariances(params)
    moved = [dense.covariances(params + each) for each in np.eye(len(params))[5:]]
    sides = [[np.linalg.solve(v, w - v) for v, w in zip(V, other, strict=True)] for other in moved]
    traces = [[sum(0.5 * np.sum(a * b.T) for a, b in zip(s, t, strict=True)) for s in sides]
              for t in sides]  # fmt: skip
    np.testing.assert_allclose(expected[5:, 5:], traces, rtol=1e-9, atol=1e-9)


def test_scores_are_derivatives():
    fit = fitted("group_ML", SLOPES)
    dense = DenseUnequal("group", slopes=True)
    moved = fit.params * 1.1
    there = fit_at(fit, moved)
    wanted = jacobian(dense.by_cluster, moved.to_numpy())
    np.testing.assert_allclose(there.scores(), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("slopes", [pytest.param(False, marks=SLOW), True])
def test_robust_errors_are_dense(slopes):
    fit = mlsem.lmm(SLOPES if slopes else FORMULA, data(), residual=["group", "arm"])
    dense = DenseUnequal(["group", "arm"], slopes=slopes).robust(fit.params.to_numpy())
    for kind in (each for each in KINDS if each != "CR1p"):
        found = fit.with_se(kind).covariance
        np.testing.assert_allclose(found.matrix[:5, :5], dense.cov(kind), rtol=1e-8, atol=1e-10)
        df = [dense.df(kind, each) for each in np.eye(5)]
        np.testing.assert_allclose(found.df[:5], df, rtol=1e-8)


def test_satterthwaite_is_dense():
    """ν = 2 (cᵀΦc)² / gᵀ W g, W by the observed information of the restricted likelihood."""
    fit = fitted("arm_REML")
    dense, params = DenseUnequal("arm", slopes=False), fit.params.to_numpy()

    def moved(variances):
        return np.append(params[:5], variances)

    W = np.linalg.inv(-hessian(lambda v: dense.loglik(moved(v), restricted=True), params[5:]))
    phi = np.linalg.inv(dense.information(params))
    slopes = jacobian(lambda v: np.diag(np.linalg.inv(dense.information(moved(v)))), params[5:])
    wanted = 2 * np.diag(phi) ** 2 / np.einsum("ck,kl,cl->c", slopes, W, slopes)
    np.testing.assert_allclose(fit.covariance.matrix[:5, :5], phi, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(fit.covariance.df[:5], wanted, rtol=1e-4)
    adjusted = fit.with_se("standard", df="kenward-roger")
    assert (adjusted.bse.iloc[:5] > fit.bse.iloc[:5]).all()


# --- identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("formula", [FORMULA, SLOPES])
def test_one_variance_is_that_of_lmm(formula):
    """At equal variances it is the model of one, with its likelihood, scores and errors."""
    plain = mlsem.lmm(formula, data(), REML=False)
    fit = mlsem.lmm(formula, data(), REML=False, residual="group")
    equal = pd.Series(np.append(plain.params, [plain.params["Residual"]] * 2), fit.params.index)
    there, last = fit_at(fit, equal), len(plain.params) - 1
    assert there.loglik == pytest.approx(plain.loglik, abs=1e-9)
    first, second = plain.scores(), there.scores()
    np.testing.assert_allclose(second.iloc[:, :last], first.iloc[:, :last], atol=1e-8)
    np.testing.assert_allclose(second.iloc[:, last:].sum(axis=1), first["Residual"], atol=1e-8)
    own = fit_at(plain, plain.params)
    for kind in ("CR0", "CR2", "CR3") if formula == FORMULA else ():
        options = {"information": "expected"}
        both = [each.with_se(kind, **options) for each in (own, there)]
        matrices = [each.covariance.matrix[:5, :5] for each in both]
        np.testing.assert_allclose(*matrices, rtol=1e-8, atol=1e-12)


def test_groups_of_clusters_are_groups():
    """Where whole clusters fall into groups it is a model of several groups that share the rest."""
    text = (
        "level: 1\n y ~ c(b, b)*x + c(g2, g2)*group_b + c(g3, g3)*group_c\n y ~~ c(s0, s1)*y\n"
        "level: 2\n y ~~ c(t, t)*y\n y ~ c(m, m1)*1"
    )
    rows = pd.get_dummies(data(), columns=["group"], dtype=float)
    rows["trial"] = rows["arm"].map({0: "zero", 1: "one"})
    grouped = mlsem.fit(text, rows, cluster="id", group="trial", group_label=["zero", "one"])
    fit = fitted("arm_ML")
    assert fit.loglik == pytest.approx(grouped.loglik, abs=1e-8)
    names = {"Residual.0": "s0", "Residual.1": "s1", "x": "b", "id.(Intercept)": "t"}
    for own, label in names.items():
        assert fit.params[own] == pytest.approx(grouped.params[label], abs=1e-6)
    assert fit.params["arm"] == pytest.approx(grouped.params["m1"] - grouped.params["m"], abs=1e-6)


def test_order_of_rows_and_names_of_groups_do_not_matter():
    fit = fitted("group_REML")
    other = data().sample(frac=1.0, random_state=1)
    other["group"] = pd.Categorical(other["group"], ["c", "a", "b", "unused"])
    again = mlsem.lmm(FORMULA.replace("group", "factor(group, levels=c('a','b','c'))"), other,
                      residual="group")  # fmt: skip
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-9)
    assert again.table.classes == ("c", "a", "b")
    for label in "abc":
        name = f"Residual.{label}"
        assert again.params[name] == pytest.approx(fit.params[name], rel=1e-6)


def test_values_of_any_type_are_groups():
    plain = fitted("arm_REML")
    kinds = {
        "bool": data()["arm"] == 1,
        "float": data()["arm"].astype(float),
        "mixed": data()["arm"].map({0: 0, 1: "one"}).astype(object),
        "nullable": data()["arm"].astype("Int64"),
    }
    for name, column in kinds.items():
        rows = changed(g=column)
        fit = mlsem.lmm(FORMULA, rows, residual="g")
        assert fit.loglik == pytest.approx(plain.loglik, abs=1e-9), name
        assert np.isfinite(fit.residuals("pearson")).all(), name
    assert mlsem.lmm(FORMULA, changed(g=kinds["float"]), residual="g").table.classes == ("0", "1")


def test_robust_clusters_of_several_clusters():
    rows = changed(block=data()["id"] // 4)
    fit = mlsem.lmm(FORMULA, rows, residual="group", se_cluster="block")
    dense = DenseUnequal("group", slopes=False)
    params = fit.params.to_numpy()
    V, blocks = dense.covariances(params), rows["block"].to_numpy()
    whole = np.zeros((len(rows), len(rows)))
    for r, v in zip(dense.clusters, V, strict=True):
        whole[np.ix_(r, r)] = v
    e = dense.y - dense.X @ params[:5]
    parts = [np.flatnonzero(blocks == each) for each in np.unique(blocks)]
    wanted = DenseCR([dense.X[r] for r in parts], [whole[np.ix_(r, r)] for r in parts],
                     [e[r] for r in parts])  # fmt: skip
    for kind in ("CR0", "CR2", "CR3"):
        found = fit.with_se(kind).covariance
        np.testing.assert_allclose(found.matrix[:5, :5], wanted.cov(kind), rtol=1e-8, atol=1e-11)
        df = [wanted.df(kind, each) for each in np.eye(5)]
        np.testing.assert_allclose(found.df[:5], df, rtol=1e-8)


def test_weights_of_clusters_count_as_so_many():
    rows = data().assign(w=1.0 + data()["arm"])
    twice = data().loc[data()["arm"] == 1].assign(id=lambda each: each["id"] + 1000)
    whole = pd.concat([data(), twice])
    weights = {"level2": "w"}
    fit = mlsem.lmm(FORMULA, rows, REML=False, residual="group", weights=weights,
                    weight_scaling="unscaled")  # fmt: skip
    plain = mlsem.lmm(FORMULA, whole, REML=False, residual="group")
    np.testing.assert_allclose(fit.params, plain.params, rtol=1e-6)


# --- what the result offers -----------------------------------------------------------------------


def test_it_is_said_which_variance_is_whose():
    fit = fitted("group_REML")
    text = fit.summary().to_text()
    for words in ("Residual variances by", "Ratio", "group"):
        assert words in text
    frame = fit.VarCorr().frame
    assert frame["var1"].tolist() == ["(Intercept)", "a", "b", "c"]
    variances = fit.params.iloc[-3:].to_numpy()
    np.testing.assert_allclose(frame["vcov"].iloc[-3:], variances)
    assert fit.tidy()["term"].tolist()[-3:] == [f"sd__Observation.{g}" for g in "abc"]
    np.testing.assert_allclose(fit.tidy()["estimate"].iloc[-3:], np.sqrt(variances))
    table = fit.parameter_estimates()
    assert table["label"].tolist().count("Residual.b") == 1
    found = fit.wald_test("`Residual.a` == `Residual.b`")
    assert found.pvalue < 0.001


def test_intraclass_correlation_of_each_group():
    fit = fitted("group_REML")
    icc, tau2 = fit.icc(), fit.params["id.(Intercept)"]
    assert icc.variables == ("y[a]", "y[b]", "y[c]")
    np.testing.assert_allclose(icc.adjusted, tau2 / (tau2 + fit.params.iloc[-3:]))
    shares = data()["group"].value_counts(normalize=True)
    mean = sum(shares[g] * fit.params[f"Residual.{g}"] for g in "abc")
    assert fit.r_squared().mixed.residual == pytest.approx(mean)


def test_rows_have_the_variance_of_their_group():
    fit = fitted("group_REML")
    rows = data().head(30)
    wide = fit.predict(rows, interval="prediction", se=True)
    half = (wide["y_upper"] - wide["y_lower"]) / 2 / 1.959963984540054
    wanted = wide["y_se"] ** 2 + rows["group"].map(lambda g: fit.params[f"Residual.{g}"])
    np.testing.assert_allclose(half**2, wanted, rtol=1e-9)
    drawn = fit.simulate(400, seed=1, effects="predicted").sub(fit.fitted(), axis=0)
    spread = drawn.var(axis=1).groupby(data()["group"]).mean()
    np.testing.assert_allclose(spread, fit.params.iloc[-3:], rtol=0.02)
    other = fitted("arm_REML", "y ~ x + (1 | id)")
    with pytest.raises(mlsem.DataError, match="no residual variance is known of '2'"):
        other.simulate(1, data=rows.assign(arm=2))


def test_data_drawn_from_the_model_have_its_moments():
    """The sampler of bootstraps: variances by group about their expectations."""
    fit = fitted("group_ML")
    sampler, generator = fit._estimates.sampler(), np.random.default_rng(3)
    within = np.zeros(3)
    for _ in range(100):
        cells = sampler.draw(generator)
        y = cells.columns.index("y")
        spread, lost = cells.within[:, y, y], cells.cell_rows - 1
        within += np.bincount(cells.pattern_of, spread) / np.bincount(cells.pattern_of, lost)
    fixed = within / 100 - fit.params.iloc[-3:].to_numpy()
    x = data().groupby(["id", "group"])["x"].transform(lambda each: each - each.mean())
    sizes = data().groupby(["id", "group"])["x"].transform("size")
    groups = data()["group"]
    lost = (1 - 1 / sizes).groupby(groups).sum()
    explained = fit.params["x"] ** 2 * (x**2).groupby(groups).sum() / lost
    np.testing.assert_allclose(fixed, explained, atol=0.09)


@pytest.mark.parametrize(
    "kind", ["wild", pytest.param("pairs", marks=SLOW), pytest.param("parametric", marks=SLOW)]
)
def test_bootstraps(kind):
    fit = fitted("arm_ML")
    found = fit.bootstrap(kind, 19, seed=1)
    assert np.isfinite(found.conf_int(0.8).loc["arm"]).all()


@SLOW
def test_profile_limits_are_where_the_likelihood_has_dropped():
    fit = fitted("arm_ML")
    limits = fit.conf_int(ci="profile").loc["Residual.1"]
    assert limits["lower"] < fit.params["Residual.1"] < limits["upper"]
    wald = fit.conf_int().loc["Residual.1"]
    assert limits["upper"] > wald["upper"]  # the likelihood is skewed


def test_update_pickle_and_choice_of_groups():
    fit = fitted("group_REML")
    assert pickle.loads(pickle.dumps(fit)).params.equals(fit.params)
    smaller = fit.update(". ~ . - x")
    assert smaller.params.index.tolist()[-3:] == ["Residual.a", "Residual.b", "Residual.c"]
    assert fit.update(residual=None).params.index[-1] == "Residual"
    both = fit.update(residual=["group", "arm"], REML=False)
    arm = fit.update(residual="arm", REML=False)
    assert both.table.classes == ("a:0", "a:1", "b:0", "b:1", "c:0", "c:1")
    assert mlsem.lr_test(arm, both).df == 4
    with pytest.raises(mlsem.InferenceError, match="by 'arm', those of the full model by 'group'"):
        mlsem.lr_test(arm, fit.update(REML=False))
    with pytest.raises(mlsem.InferenceError, match="Put the simple model first"):
        mlsem.lr_test(arm, arm.update(residual=None))


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda fit: fit.standardized(), "none to standardize by"),
        (lambda fit: fit.summary(standardized=True), "none to standardize by"),
        (lambda fit: fit.modification_indices(), "compare the two by mlsem.lr_test"),
        (lambda fit: fit.score_test(release=1), "compare the two by mlsem.lr_test"),
        (lambda fit: fit.h1(), "residual variances by group has no saturated model"),
        (lambda fit: fit.reliability(), "one for each group"),
    ],
)
def test_what_there_is_not_is_refused_by_name(ask, words):
    with pytest.raises(mlsem.InferenceError, match=words):
        ask(fitted("group_ML"))


# --- bad input ------------------------------------------------------------------------------------


def changed(**columns):
    return data().assign(**columns)


BAD = {
    "lone": (changed(g=["only", *["rest"] * 353]), "g", "'g': 'only' has one row"),
    "constant": (changed(g="a"), "g", "'g' has one value, 'a'"),
    "cluster": (data(), "id", "is the column of clusters"),
    "measurement": (data(), "x", "look like a measurement"),
    "flat": (
        changed(g=["a"] * 40 + ["b"] * 314, y=[1.5] * 40 + data()["y"].tolist()[40:]),
        "g",
        "has one value, 1.5, in all 40 rows of 'a'",
    ),
    "many": (changed(g=[f"g{k // 3}" for k in range(354)]), "g", "tells 118 groups apart"),
    "twice": (
        changed(g=data()["arm"].map({0: "a:b", 1: "a"}), h=data()["arm"].map({0: "c", 1: "b:c"})),
        ["g", "h"],
        "two groups would be named 'a:b:c'",
    ),
    "absent": (data(), "nowhere", "'nowhere'"),
}


@pytest.mark.parametrize("case", BAD)
def test_columns_that_cannot_be_meant(case):
    rows, by, words = BAD[case]
    with pytest.raises(mlsem.DataError, match=words):
        mlsem.lmm("y ~ x + (1 | id)", rows, residual=by)


@pytest.mark.parametrize("residual", [3, [], ["group", "group"], ["group", 1], {"g": 1}])
def test_what_residual_takes(residual):
    with pytest.raises(mlsem.OptionValueError, match="residual="):
        mlsem.lmm(FORMULA, data(), residual=residual)


def test_frames_of_other_libraries():
    frame, fit = pl.from_pandas(data()), fitted("group_REML")
    other = mlsem.lmm("y ~ x + (1 | id)", frame, residual=["arm", "group"])
    assert other.table.classes[0] == "0:a"
    assert isinstance(other.fitted(), pl.Series)
    again = mlsem.lmm(FORMULA, frame.lazy(), residual="group")
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-9)
    assert mlsem.lmm("y ~ x + (1 | id)", frame).variance_test("group").df == 2


def test_rows_without_a_group_are_left_out():
    rows = data()
    rows.loc[[0, 7], "g"] = np.nan
    rows["g"] = data()["group"].where(~data().index.isin([0, 7]))
    with pytest.warns(mlsem.DataWarning, match=r"'g' \(2\)"):
        fit = mlsem.lmm(FORMULA, rows, residual="g")
    wanted = mlsem.lmm(FORMULA, data().drop(index=[0, 7]), residual="group")
    np.testing.assert_allclose(fit.params, wanted.params, rtol=1e-10)
    assert fit.n_obs == 352
    assert fit.residuals("pearson").isna().sum() == 2
    with pytest.raises(mlsem.DataError, match="'g'"):
        mlsem.lmm(FORMULA, rows, residual="g", missing="error")


# --- tests of equal variances ---------------------------------------------------------------------


@pytest.mark.parametrize("test", ["BP", "Levene"])
def test_residuals_as_ncvmlm(test):
    found = fitted("equal_REML").variance_test(test=test)
    assert found.by == ("arm", "x", "group")
    assert found.df == 4
    assert found.pvalue == pytest.approx(reference()["tests"][f"ncvMLM_{test}"], rel=2e-6)


def test_clusters_as_htest():
    record = reference()["tests"]["Htest"]
    found = mlsem.lmm("y ~ arm + x + (1 | id)", data()).variance_test(test="H")
    assert found.statistic == pytest.approx(record["H"], rel=1e-12)
    assert (found.df, found.by, found.left_out) == (record["df"], ("id",), 15)
    assert found.pvalue == pytest.approx(record["p"], rel=1e-9)
    assert "15 clusters with fewer than 10 degrees of freedom are left out" in str(found)


def test_ratio_by_columns_of_the_data():
    plain, fit = fitted("equal_ML"), fitted("group_ML")
    for found in (plain.variance_test("group"), fit.variance_test()):
        assert found.statistic == pytest.approx(reference()["fits"]["group_ML"]["lrt"], abs=1e-6)
        assert found.groups == ("a", "b", "c")
        np.testing.assert_allclose(found.sd, fit.VarCorr().sigma, rtol=1e-6)
    assert "by group" in str(found)
    assert found.frame["pvalue"][0] == found.pvalue
    assert pickle.loads(pickle.dumps(found)).statistic == found.statistic


def test_residuals_that_a_model_has_scaled_are_no_longer_unequal():
    assert fitted("equal_REML").variance_test("group", "BP").pvalue < 1e-6
    assert fitted("group_REML").variance_test("group", "BP").pvalue > 0.5
    both = fitted("equal_REML").variance_test(["group", "arm"], "Levene")
    assert (both.df, both.groups[:2]) == (5, ("a:0", "a:1"))


@pytest.mark.parametrize(
    ("by", "test", "words"),
    [
        (None, "LR", "name their column"),
        ("group", "White", "it takes one of"),
        ("group", "H", "leave by= out"),
        ({"group"}, "LR", "by="),
    ],
)
def test_what_variance_test_takes(by, test, words):
    with pytest.raises(mlsem.OptionValueError, match=words):
        fitted("equal_REML").variance_test(by, test)


def test_clusters_may_be_too_small_for_h():
    small = data().groupby("id").head(5)
    with pytest.raises(mlsem.InferenceError, match="0 of 30 clusters leave 10"):
        mlsem.lmm("y ~ x + (1 | id)", small).variance_test(test="H")


def test_three_levels_have_one_residual_variance():
    rows = changed(school=data()["id"] // 5)
    with pytest.raises(mlsem.OptionValueError, match="residual variances that differ"):
        mlsem.lmm("y ~ x + (1 | school/id)", rows, residual="group")


# --- elsewhere ------------------------------------------------------------------------------------


def test_a_variance_that_goes_to_zero_is_named():
    random = np.random.default_rng(1)
    ids, x = np.repeat(np.arange(40), 6), random.normal(size=240)
    kind = np.where(np.arange(240) % 6 == 0, "exact", "usual")
    y = 0.5 * x + random.normal(size=40)[ids] + (kind == "usual") * random.normal(size=240)
    rows = pd.DataFrame({"id": ids, "x": x, "kind": kind, "y": y})
    with pytest.warns(mlsem.ConvergenceWarning, match="variance of 'exact' goes to zero"):
        mlsem.lmm("y ~ x + (1 | id)", rows, residual="kind")


def test_several_data_sets_are_pooled():
    random = np.random.default_rng(2)
    sets = [changed(y=data()["y"] + 0.2 * random.normal(size=354)) for _ in range(3)]
    pooled = mlsem.fit_many("y ~ x + (1 | id)", sets, residual="group")
    assert "Residual.b" in pooled.params.index
    assert "Ratio" in str(pooled.summary())


def test_the_command_line_and_the_call_that_repeats_a_fit(tmp_path, capsys):
    path = tmp_path / "unequal.csv"
    data().to_csv(path, index=False)
    assert main(["lmm", "y ~ x + (1 | id)", str(path), "--residual", "group,arm", "--json"]) == 0
    call = json.loads(capsys.readouterr().out)["call"]
    assert call["arguments"]["residual"] == ["group", "arm"]
    assert {"group", "arm"} <= {*json.dumps(call).split('"')}


def test_scripts_of_nlme_are_translated():
    script = (
        "library(nlme)\nd <- read.csv('d.csv')\n"
        "a <- lme(y ~ x, random = ~ 1 | id, data = d, weights = varIdent(form = ~ 1 | g))\n"
        "b <- lme(y ~ x, random = ~ 1 | id, data = d, weights = varIdent(~ 1 | g * h))\n"
        "c <- lme(y ~ x, random = ~ 1 | id, data = d, weights = varPower())\n"
    )
    text = mlsem.port(script).code
    assert 'a = mlsem.lmm("y ~ x + (1 | id)", d, residual="g")' in text
    assert 'b = mlsem.lmm("y ~ x + (1 | id)", d, residual=["g", "h"])' in text
    assert "weights = varPower()" in text
    assert "c = mlsem" not in text


def test_effects_are_in_standard_deviations_over_rows():
    fit = mlsem.lmm("y ~ arm*x + (1 | id)", data(), residual="group")
    found = fit.effects("arm").frame.set_index("effect")
    shares = data()["group"].value_counts(normalize=True)
    mean = sum(shares[g] * fit.params[f"Residual.{g}"] for g in "abc")
    scale = np.sqrt(mean + fit.params["id.(Intercept)"])
    ratio = found.loc["difference", "estimate"] / found.loc["standardized", "estimate"]
    assert ratio == pytest.approx(scale, rel=1e-9)
