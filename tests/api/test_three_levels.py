"""`level: 3`: models of pupils in classes in schools."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nested_rows import DATA, FACTORS, IDS, fitted, quietly

import mlsem
from mlsem import DataError, InferenceError, OptionValueError, SpecificationError

TRIALS = Path(__file__).parents[1] / "reference" / "trials"
MIXED = "level: 1; y1 ~ x; level: 2; y1 ~ w; level: 3; y1 ~ v"


@pytest.fixture(scope="module")
def fit():
    return fitted()


# --- what the text says ---------------------------------------------------------------------------


def test_variables_have_parts_where_they_are_named():
    table = mlsem.check(FACTORS)
    assert table.split == ("y1", "y2", "y3")
    assert table.raised == ("y1", "y2", "y3", "z")
    means = [(row.lhs, row.level) for row in table.rows if row.op == "~1" and row.free >= 0]
    assert means == [("y1", 3), ("y2", 3), ("y3", 3), ("s", 3), ("z", 3)]
    covariates = [level.covariates for level in table.levels]
    assert covariates == [("x",), ("w",), ("v",)]


def test_levels_have_names():
    named = FACTORS.replace("level: 1", "level: pupil").replace("level: 2", "level: class")
    table = mlsem.check(named.replace("level: 3", "level: school"))
    assert table.level_labels == ("pupil", "class", "school")
    assert {"fb~w.lclass", "fs~v.lschool"} <= set(table.names)


def test_a_variable_may_pass_a_level():
    """That it has no part there is said."""
    table = mlsem.check("level: 1; y1 ~ x; level: 2; z ~~ z; level: 3; y1 ~~ y1; z ~~ y1")
    assert table.passing == ("y1",)
    assert any("named at levels 1 and 3, not at level 2" in note for note in table.notes)
    passing = fitted("level: 1; y1 ~ x; level: 2; z ~~ z; level: 3; y1 ~~ z")
    same = fitted("level: 1; y1 ~ x; level: 2; z ~~ z + 0*y1; y1 ~~ 0*y1; level: 3; y1 ~~ z")
    np.testing.assert_allclose(passing.loglik, same.loglik, rtol=1e-12)


def test_moments_of_parts_are_parameters():
    table = mlsem.check("level: 1; y1 ~ y2; level: 2; y1 ~ y2; level: 3; y1 ~ y2")
    assert table.levels[1].covariates == ()
    assert {"y2~~y2", "y2~~y2.l2", "y2~~y2.l3", "y2~1.l3"} <= set(table.names)
    assert "parts are not observed" in table.notes[0]


REFUSED = {
    "level: 1; y1 ~ rv('b')*x; level: 2; y1 ~ w; level: 3; y1 ~~ y1": "rv.'b'.: with three levels",
    "level: 1; y1 ~ x; level: 2; y1 ~ w; level: 3": "names no variables",
    "level: 1; y1 ~ x; level: 2; y1 ~ x:w; level: 3; y1 ~ v": "belongs in the level-1 block",
    "level: 1; f =~ y1 + y2; level: 2; y1 ~ f; level: 3; y1 ~~ y1": "defined at level 1 only",
}


@pytest.mark.parametrize("model", REFUSED)
def test_models_that_cannot_be(model):
    with pytest.raises(mlsem.MlsemError, match=REFUSED[model]):
        mlsem.fit(model, DATA, cluster=IDS)


# --- numbers --------------------------------------------------------------------------------------


def test_one_outcome_is_a_mixed_model_of_lmer():
    wanted = json.loads((TRIALS / "mixed.json").read_text())["three"]["(|school/class_ml"]
    data = pd.read_csv(TRIALS / "data" / "three.csv")
    fit = quietly("level: 1; y ~ x; level: 2; y ~ v; level: 3; y ~ z", data)
    np.testing.assert_allclose(fit.loglik, wanted["loglik"], rtol=1e-10)
    names = ["y~1.l3", "y~x", "y~v.l2", "y~z.l3"]
    np.testing.assert_allclose(fit.params[names], wanted["coef"], rtol=1e-6)
    variances = [wanted["variances"][name] for name in sorted(wanted["variances"])]
    found = fit.params[["y~~y", "y~~y.l2", "y~~y.l3"]]
    np.testing.assert_allclose(sorted(found), sorted(variances), rtol=1e-5)


TWO = "level: 1; y1 ~ x; y2 ~ y1; level: 2; y1 + y2 ~ w; y1 ~~ y2"


@pytest.mark.parametrize(
    ("model", "two", "cluster"),
    [
        (TWO + "; level: 3; y1 ~~ 0*y1; y2 ~~ 0*y2", TWO, "class"),
        (
            "level: 1; y1 ~ x; y2 ~ y1; level: 2; y1 ~~ 0*y1; y2 ~~ 0*y2"
            "; level: 3; y1 + y2 ~ v; y1 ~~ y2",
            TWO.replace("w", "v"),
            "school",
        ),
    ],
)
def test_without_variance_at_a_level_it_is_a_model_of_two(model, two, cluster):
    three, wanted = fitted(model), mlsem.fit(two, DATA, cluster=cluster)
    np.testing.assert_allclose(three.loglik, wanted.loglik, rtol=1e-12)
    np.testing.assert_allclose(sorted(three.params), sorted(wanted.params), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(sorted(three.bse), sorted(wanted.bse), rtol=1e-6)


def test_standard_errors_are_robust_at_level_3(fit):
    """H⁻¹ (Σ s s') H⁻¹ of the scores of schools."""
    scores, robust = fit.scores(), fitted(se="MLR")
    assert sorted(scores.index) == sorted(DATA["school"].unique())
    bread = np.linalg.inv(fit.information("observed"))
    wanted = bread @ (scores.T @ scores) @ bread
    np.testing.assert_allclose(robust.vcov(), wanted, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(fit.vcov(), bread, rtol=1e-6, atol=1e-12)
    schools = len(scores)
    ratio = fitted(se="CR1").bse / robust.bse
    np.testing.assert_allclose(ratio, np.sqrt(schools / (schools - 1)), rtol=1e-9)


def test_few_schools_have_degrees_of_freedom():
    cr2, mlr = fitted(MIXED, se="CR2"), fitted(MIXED, se="MLR")
    columns = cr2.parameter_estimates().query("op == '~'")
    assert columns["df"].between(2.0, DATA["school"].nunique()).all()
    assert (cr2.bse > mlr.bse).all()
    assert cr2.wald_test("`y1~x` == 0").pvalue < 1e-4


def test_coarser_robust_clusters():
    district = DATA.assign(district=DATA["school"] // 3)
    fit = quietly(FACTORS, district, se="MLR", se_cluster="district")
    scores = fitted().scores()
    bread = fitted().vcov().to_numpy()
    sums = scores.groupby(scores.index // 3).sum()
    np.testing.assert_allclose(fit.vcov(), bread @ (sums.T @ sums) @ bread, rtol=1e-5, atol=1e-10)
    with pytest.raises(DataError, match=r"more than one cluster of se_cluster='class'"):
        mlsem.fit(FACTORS, DATA, cluster=IDS, se="MLR", se_cluster="class")


def test_it_does_not_matter(fit):
    """Order of rows; ids that count anew in each school; the origin of covariates."""
    moved = DATA.assign(v=DATA["v"] + 1000.0, w=3.0 - DATA["w"], school=DATA["school"].map(str))
    moved = moved.sample(frac=1.0, random_state=5)
    again = quietly(FACTORS, moved, cluster=["school", "number"], se="MLR")
    np.testing.assert_allclose(again.loglik, fit.loglik, rtol=1e-10)
    robust = fitted(se="MLR")
    same = [name for name in fit.params.index if "~1" not in name and "~w" not in name]
    np.testing.assert_allclose(again.params[same], fit.params[same], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(again.bse[same], robust.bse[same], rtol=1e-5)
    np.testing.assert_allclose(again.params["fb~w.l2"], -fit.params["fb~w.l2"], rtol=1e-5)


# --- data -----------------------------------------------------------------------------------------


def test_clusters_that_cannot_be():
    for cluster, error, said in (
        (["class", "school"], DataError, r"write cluster=\['school', 'class'\]"),
        ("class", OptionValueError, 'takes two columns of cluster ids, as cluster=."school"'),
        (None, OptionValueError, "takes two columns"),
        (["school", "school"], OptionValueError, "names one column twice"),
        (["school", "room"], DataError, "'room'"),
        (["school", "x"], DataError, "cluster ids and a variable of the model"),
        (["school", "class", "x"], OptionValueError, "two columns"),
    ):
        with pytest.raises(error, match=said):
            mlsem.fit(FACTORS, DATA, cluster=cluster)
    with pytest.raises(OptionValueError, match="'level: 3'"):
        mlsem.fit("level: 1; y1 ~ x; level: 2; y1 ~ w", DATA, cluster=IDS)
    with pytest.raises(DataError, match="one row, so that levels 1 and 2"):
        mlsem.fit(MIXED, DATA.drop_duplicates("class"), cluster=IDS)
    with pytest.raises(DataError, match="every cluster of 'school' has one cluster of 'class'"):
        mlsem.fit(MIXED, DATA[DATA["number"] == 0], cluster=IDS)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("level: 1; y1 ~ x; level: 2; y1 ~ v; level: 3; y1 ~~ y1", "Name it at level 3 only"),
        ("level: 1; y1 ~ x; level: 2; y1 ~ x; level: 3; y1 ~ w", "'w' is named at level 3 only"),
        ("level: 1; y1 ~ v; level: 2; y1 ~ w; level: 3; y1 ~~ y1", "does not vary within any"),
        ("level: 1; y1 ~ x; level: 2; y1 ~~ y1; level: 3; y1 ~ y2", "named at level 3 only"),
    ],
)
def test_variables_at_levels_where_they_do_not_vary(model, said):
    with pytest.raises(DataError, match=said):
        mlsem.fit(model, DATA, cluster=IDS)


def test_rows_with_missing_values_are_left_out():
    holes = DATA.assign(y1=DATA["y1"].where(DATA["x"] < 1.0))
    with pytest.warns(mlsem.DataWarning, match="left out for missing values"):
        fit = mlsem.fit(MIXED, holes, cluster=IDS)
    kept = mlsem.fit(MIXED, holes.dropna(), cluster=IDS)
    assert fit.n_obs == kept.n_obs == holes["y1"].notna().sum()
    np.testing.assert_allclose(fit.loglik, kept.loglik, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"missing": "fiml"}, "take complete rows"),
        ({"weights": {"total": "x"}}, "weights="),
        ({"estimator": "REML"}, "maximum likelihood"),
        ({"bounds": "wide"}, "pos.var"),
        ({"group": "g"}, "of one group"),
        ({"level_equal": "loadings"}, "write a label"),
        ({"df": "satterthwaite"}, "three levels"),
    ],
)
def test_what_is_not_there_is_refused_by_name(options, said):
    data = DATA.assign(g=DATA["school"] % 2)
    with pytest.raises((OptionValueError, SpecificationError), match=said):
        mlsem.fit(FACTORS, data, cluster=IDS, **options)


def test_moments_and_populations_are_not_there():
    with pytest.raises(OptionValueError, match="drawn from models of one and two levels"):
        mlsem.simulate(MIXED, 10, 5)
    with pytest.raises(OptionValueError, match="three levels, which are fitted to rows"):
        mlsem.moments(FACTORS, DATA, cluster=IDS)


# --- results --------------------------------------------------------------------------------------


def test_the_summary_has_three_levels(fit):
    text = str(fit.summary())
    schools, classes = DATA["school"].nunique(), DATA["class"].nunique()
    for name, count in (("school", schools), ("class", classes)):
        assert f"Number of clusters [{name}] {count}" in " ".join(text.split())
    assert all(f"\nLevel {k}:" in text or f"\nLevel {k}\n" in text for k in (1, 2, 3))
    assert fit.n_clusters == schools
    assert f"{classes} clusters in {schools}" in repr(fit)


def test_shares_of_variance(fit):
    shares = fit.icc()
    assert shares.variables == ("y1", "y2", "y3", "z")
    np.testing.assert_allclose(shares.shares.sum(axis=1), 1.0)
    for k in (1, 2, 3):
        cov = fit.implied(k).cov
        for i, name in enumerate(shares.variables):
            wanted = cov.loc[name, name] if name in cov else 0.0
            np.testing.assert_allclose(shares.variances[i, k - 1], wanted, rtol=1e-12)
    text = str(fitted(MIXED).icc())
    assert "icc2" in text
    assert "icc3" in text


def test_standardized_by_level(fit):
    frame = fit.standardized().set_index(["lhs", "op", "rhs", "level"])["est_std"]
    for k, factor in ((1, "fw"), (2, "fb"), (3, "fs")):
        loading = frame[factor, "=~", "y2", k]
        residual = frame["y2", "~~", "y2", k]
        np.testing.assert_allclose(loading**2 + residual, 1.0, rtol=1e-10)


def test_it_pickles_and_is_updated(fit):
    again = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_series_equal(again.params, fit.params)
    more = fit.update("+ level: 3\n s ~ v")
    wanted = fitted(FACTORS + "  s ~ v\n")
    np.testing.assert_allclose(more.loglik, wanted.loglik, rtol=1e-10)
    data = fit.update(data=DATA, se="none")
    np.testing.assert_allclose(data.params, fit.params, rtol=1e-9)


def test_tests_between_models(fit):
    simple = fitted(FACTORS.replace("fs ~ v", "fs ~ 0*v"))
    found = mlsem.lr_test(simple, fit)
    np.testing.assert_allclose(found.statistic, 2 * (fit.loglik - simple.loglik), rtol=1e-9)
    score = simple.score_test("level: 3\n fs ~ v")
    assert 0.3 < score.statistic / found.statistic < 3.0


# --- fit ------------------------------------------------------------------------------------------


def test_the_saturated_model_is_the_unrestricted_one(fit):
    """All covariances of each level, by a text that has them."""
    names = ["y1", "y2", "y3"]
    free = "level: {}\n{}\n y1 + y2 + y3{} ~ {}\n"
    pairs = "\n".join(f" {a} ~~ {b}" for i, a in enumerate(names) for b in names[i:])
    second = pairs + "".join(f"\n z ~~ {name}" for name in (*names, "z"))
    third = second + "".join(f"\n s ~~ {name}" for name in (*names, "z", "s"))
    text = free.format(1, pairs, "", "x") + free.format(2, second, " + z", "w")
    text += free.format(3, third, " + z + s", "v")
    wanted = fitted(text)
    h1 = fit.h1()
    np.testing.assert_allclose(h1.loglik, wanted.loglik, rtol=1e-10)
    assert h1.n_params == wanted.n_params
    measures = fit.fit_measures()
    np.testing.assert_allclose(measures["chisq"], 2 * (wanted.loglik - fit.loglik), rtol=1e-6)
    assert measures["df"] == wanted.n_params - fit.n_params
    assert wanted.fit_measures()["chisq"] < 1e-6
    cov, same = h1.implied(3).cov, wanted.implied(3).cov
    np.testing.assert_allclose(cov, same.loc[cov.index, cov.columns], rtol=1e-5, atol=1e-6)


def test_fit_of_each_level(fit):
    measures = fit.fit_measures()
    levels = [fit.fit_measures(level=k) for k in (1, 2, 3)]
    assert sum(each["df"] for each in levels) == measures["df"]
    for k, each in enumerate(levels, start=1):
        assert each[f"srmr_level{k}"] > 0
        assert 0 < each["pvalue"] <= 1
    total = sum(measures[f"srmr_level{k}"] for k in (1, 2, 3))
    np.testing.assert_allclose(measures["srmr"], total)
    bad = fitted(FACTORS.replace("fs ~ v", "fs ~ 0*v"))
    assert bad.fit_measures(level=3)["pvalue"] < levels[2]["pvalue"]
    assert "SRMR (level 3)" in str(fit.summary(fit_measures=True))


def test_a_level_that_a_variable_passes_is_not_in_the_saturated_model():
    passing = fitted("level: 1; y1 ~ x; y2 ~~ y1; level: 2; y1 ~ w; level: 3; y1 ~~ y2")
    assert passing.fit_measures()["df"] == 1  # of y2 on x; none of y2 at level 2


# --- scores ---------------------------------------------------------------------------------------


SCORED = """
level: 1; y ~ x
level: 2; c =~ 1*y; y ~~ 0*y; c ~ v
level: 3; s =~ 1*y; y ~~ 0*y; s ~ z
"""


def test_scores_are_lmers_predictions():
    """A factor that is all of an outcome's part is that part: fixed and random effects."""
    wanted = json.loads((TRIALS / "mixed.json").read_text())["three"]["(|school/class_ml"]
    data = pd.read_csv(TRIALS / "data" / "three.csv")
    fit = quietly(SCORED, data)
    classes = [int(each.split(":")[0]) for each in wanted["ranef_class_names"]]
    ids = {"class": classes, "school": sorted(data["school"].unique())}
    for level, variable, name in ((2, "v", "c"), (3, "z", "s")):
        column = IDS[3 - level]
        found = fit.predict_latent(level).loc[ids[column]]
        covariate = data.groupby(column)[variable].first().loc[ids[column]]
        random = found[name] - fit.params[f"{name}~{variable}.l{level}"] * covariate
        np.testing.assert_allclose(random, wanted[f"ranef_{column}"], atol=1e-5)
        np.testing.assert_allclose(found[f"{name}_se"], wanted[f"condsd_{column}"], rtol=1e-5)


def test_scores_of_rows_are_not_there(fit):
    for how in ({"level": 1, "data": DATA}, {"level": 2, "data": DATA}):
        with pytest.raises(InferenceError, match=r"predict_latent.2. and predict_latent.3."):
            fit.predict_latent(**how)
    with pytest.raises(OptionValueError, match="posterior means"):
        fit.predict_latent(2, "bartlett")
    assert list(fit.predict_latent(2, se=False).columns) == ["school", "fb"]


# --- draws ----------------------------------------------------------------------------------------


def test_draws_have_the_covariance_of_the_scores(fit):
    """At the estimates scores of drawn data have mean 0 and the expected information."""
    estimates = fit._estimates
    source, rng = estimates.sampler(), np.random.default_rng(3)
    problem, point = estimates.problem, estimates.optimum.point
    count, totals = 150, []
    for _ in range(count):
        drawn = problem.with_moments(source.draw(rng), estimates.params)
        there = drawn.inner.evaluate(point.params)
        totals.append(drawn.inner.derivatives(there, np.eye(len(point.params))).gradient)
    totals = np.array(totals)
    expected = fit.information("expected").to_numpy()
    root = np.linalg.inv(np.linalg.cholesky(expected))
    white = totals @ root.T
    assert np.abs(white.mean(axis=0)).max() < 4.0 / np.sqrt(count)
    assert np.abs(white.var(axis=0) - 1.0).max() < 5.0 * np.sqrt(2.0 / count)
    across = np.corrcoef(white, rowvar=False) - np.eye(white.shape[1])
    assert np.abs(across).max() < 5.0 / np.sqrt(count)


@pytest.mark.parametrize("kind", ["pairs", "parametric", "wild"])
def test_bootstraps(kind):
    fit = fitted(MIXED)
    found = fit.bootstrap(kind=kind, draws=30, seed=1)
    again = fit.bootstrap(kind=kind, draws=30, seed=1)
    pd.testing.assert_series_equal(found.se, again.se)
    assert (found.se > 0).all()
    assert "school" in str(found)


NOT_THERE = {
    "random_effects": (),
    "predict": (),
    "reliability": (),
    "cluster_residuals": (),
    "row_residuals": (DATA,),
    "cluster_diagnostics": (),
    "compare_se": (),
    "report": (),
    "effects": ("y1", "x"),
    "plot_random_effects": (),
    "plot_residuals": (),
}


@pytest.mark.parametrize("name", NOT_THERE)
def test_results_that_are_not_there(fit, name):
    with pytest.raises(InferenceError, match=rf"{name}\(\) is there for one and two levels"):
        getattr(fit, name)(*NOT_THERE[name])
