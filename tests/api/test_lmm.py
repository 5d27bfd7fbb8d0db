"""`lmm`: lme4's formulas as two-level models, against lme4's estimates."""

import json
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.api.lmm import mixed_table
from mlsem.data.design.mixed import read_mixed
from mlsem.errors import (
    DataError,
    DataWarning,
    EstimationWarning,
    IdentificationError,
    InferenceWarning,
    OptionError,
    OptionValueError,
    SpecificationError,
)
from mlsem.model.options import OPTION_NAMES
from mlsem.syntax.mixed import read_formula

REFERENCE = Path(__file__).parents[1] / "reference"
MODELS = json.loads((REFERENCE / "lmm.json").read_text("utf-8"))["models"]
KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")
ALONE = "one_treated_ri"  # one cluster alone determines an effect, which has no robust error


def article(**columns):
    data = pd.read_csv(REFERENCE / "data" / "article_50x10_rep1.csv")
    return data.assign(**columns)


def sexed():
    rng = np.random.default_rng(3)
    sex = rng.choice(["female", "male", "other"], 500)
    return article(
        sex=sex,
        school=np.where(article()["id"] % 2, "a", "b"),
        x2=rng.normal(size=500),
        when=pd.date_range("2026-01-01", periods=500),
        mess=[1.0, "many"] * 250,
    )


def table_of(formula, data=None):
    parsed = read_formula(formula)
    data = article() if data is None else data
    return mixed_table(parsed, read_mixed(parsed, data, "listwise").columns)


def shown(table, level):
    return [
        f"{r.lhs} {r.op} {r.rhs}".rstrip() + ("" if r.free >= 0 else f" {r.fixed:g}")
        for r in table.rows
        if r.level == level and not r.exo
    ]


# --- estimates --------------------------------------------------------------------------------


def fitted(name, **options):
    case = MODELS[name]
    data = pd.read_csv(REFERENCE / case["data_file"])
    options.setdefault("missing", "listwise")
    return mlsem.lmm(case["formula"], data, REML=case["REML"], **options)


@pytest.mark.parametrize("name", MODELS)
def test_estimates_of_lme4(name):
    case, fit = MODELS[name], fitted(name)
    names, group = case["coef_names"], case["cluster"]
    assert fit.loglik == pytest.approx(case["logLik"], abs=1e-8)
    np.testing.assert_allclose(fit.params[names], case["fixef"], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(fit.bse[names], case["se_model"], rtol=1e-6)
    scale = np.outer(case["se_model"], case["se_model"])
    np.testing.assert_allclose(
        fit.vcov().loc[names, names] / scale, case["vcov_model"] / scale, atol=1e-6
    )
    assert fit.singular == case["singular_fit"]
    for each in case["varcomp"]:
        first, second = each["var1"], each["var2"]
        label = "Residual" if first is None else f"{group}.{first}"
        if second is not None:
            label = f"{group}.{second}.{first}"
        assert fit.params[label] == pytest.approx(each["vcov"], rel=1e-5)
    assert (fit.n_obs, fit.n_clusters) == (case["n"], case["J"])


@pytest.mark.parametrize("name", [name for name in MODELS if name != ALONE])
def test_robust_errors_of_club_sandwich(name):
    case, fit = MODELS[name], fitted(name)
    names = case["coef_names"]
    for kind in KINDS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InferenceWarning)  # few clusters
            robust = fit.with_se(kind)
        wanted = np.array(case["vcovCR"][kind])
        scale = np.sqrt(np.outer(wanted.diagonal(), wanted.diagonal()))
        found = robust.vcov().loc[names, names]
        np.testing.assert_allclose(found / scale, wanted / scale, atol=1e-6)
        if kind in case["coef_test"]:
            places = [robust.table.names.index(each) for each in names]
            df = case["coef_test"][kind]["df_Satt"]
            np.testing.assert_allclose(robust.covariance.df[places], df, rtol=1e-6)


def flat_data(seed):
    """30 clusters of unequal size whose slopes and intercepts hardly vary."""
    rng = np.random.default_rng(seed)
    clusters = 30
    sizes = rng.integers(2, 8, clusters)
    ids = np.repeat(np.arange(clusters), sizes)
    x, w = rng.normal(size=len(ids)), rng.normal(size=clusters)[ids]
    u = rng.normal(size=clusters)[ids] * (0.3 if seed % 3 else 0.0)
    v = rng.normal(size=clusters)[ids] * (0.15 if seed % 2 else 0.0)
    deviation = x - x.mean()
    y = 1 + 0.5 * deviation + 0.2 * w + u + v * deviation + rng.normal(size=len(ids))
    return pd.DataFrame({"y": y, "x": x, "w": w, "id": ids})


# logLik and the standard errors of (Intercept), x, w by lme4 (bobyqa, rhoend = 1e-10)
BOUNDARY = {
    (0, "(1 | id)", True): (-204.526147366, [0.0845690686133, 0.0888095209332, 0.0842262975802]),
    (0, "(1 | id)", False): (-199.887042904, [0.0836709645522, 0.0878663842435, 0.0833318336687]),
    (2, "(x | id)", True): (-201.480974871, [0.125952361803, 0.0983849565682, 0.148188824598]),
    (2, "(x | id)", False): (-197.880813687, [0.121532340866, 0.0973196615405, 0.143137160685]),
    (6, "(x || id)", True): (-216.689945858, [0.0922494231123, 0.0842135274345, 0.0914971163237]),
    (6, "(x || id)", False): (-212.068933682, [0.0913160153931, 0.0833614293517, 0.0905713206734]),
    (8, "(x || id)", True): (-188.310587103, [0.109611109982, 0.0877782397986, 0.105727041173]),
    (8, "(x || id)", False): (-184.125924308, [0.105299744262, 0.0869879460206, 0.101943742187]),
}


@pytest.mark.parametrize(("seed", "random", "reml"), BOUNDARY)
def test_boundary_of_lme4(seed, random, reml):
    loglik, errors = BOUNDARY[seed, random, reml]
    with pytest.warns(EstimationWarning, match="is singular"):
        fit = mlsem.lmm(f"y ~ x + w + {random}", flat_data(seed), REML=reml)
    assert fit.converged
    assert fit.singular
    assert fit.loglik == pytest.approx(loglik, abs=1e-6)
    np.testing.assert_allclose(fit.bse[["(Intercept)", "x", "w"]], errors, rtol=1e-6)
    assert any("is singular" in note for note in fit.notes)
    assert (fit.params[[name for name in fit.params.index if name.count(".") == 1]] >= 0).all()


def test_the_same_as_the_model_in_lavaans_language():
    data = article()
    ours = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, REML=False)
    model = 'level: 1\n y ~ rv("s")*x1 + w1:x1\nlevel: 2\n y ~ w1\n y ~~ s'
    theirs = mlsem.fit(model, data, cluster="id")
    assert ours.loglik == pytest.approx(theirs.loglik, abs=1e-9)
    assert ours.params["x1"] == pytest.approx(theirs.params["s~1.l2"], abs=1e-7)
    assert ours.params["id.x1.(Intercept)"] == pytest.approx(theirs.params["s~~y.l2"], abs=1e-6)


def test_what_fit_offers():
    fit = mlsem.lmm("y ~ w1*x1 + (1 | id)", article(), REML=False, se="CR2")
    assert fit.se_kind == "CR2"
    expected = MODELS["article_ri_ml"]["coef_test"]["CR2"]
    np.testing.assert_allclose(fit.bse[MODELS["article_ri_ml"]["coef_names"]], expected["SE"], 1e-6)
    assert fit.conf_int().loc["x1", "lower"] < fit.params["x1"]
    assert "w1:x1" in str(fit.summary())
    assert fit.model == "y ~ w1*x1 + (1 | id)"


def test_missing_values():
    data = pd.read_csv(REFERENCE / MODELS["missing_ri_ml"]["data_file"])
    with pytest.warns(DataWarning, match=r"23 of them have an outcome .*missing=\"fiml\.x\""):
        fit = mlsem.lmm("y ~ x1 + (1 | id)", data, REML=False)
    assert fit._estimates.record.n_rows_total == 500
    assert "rows (7.6%) left out for missing values: 'x1' (25), 'y' (15)" in fit.notes[0]
    with pytest.raises(DataError, match="missing values in 'x1'"):
        mlsem.lmm("y ~ x1 + (1 | id)", data, REML=False, missing="error")


# --- the model that a formula means -------------------------------------------------------------


def test_random_intercepts():
    table = table_of("y ~ w1*x1 + (1 | id)")
    assert shown(table, 1) == ["y ~ x1", "y ~ w1:x1", "y ~~ y", "y ~1 0"]
    assert shown(table, 2) == ["y ~ w1", "y ~1", "y ~~ y"]
    assert table.names == ("(Intercept)", "w1", "x1", "w1:x1", "id.(Intercept)", "Residual")
    assert not table.notes


def test_random_slopes():
    table = table_of("y ~ w1*x1 + (x1 | id)")
    assert shown(table, 1) == ["y ~ x1 0", "y ~ w1:x1", "y ~~ y", "y ~1 0"]
    assert shown(table, 2) == [
        "y ~ w1",
        "y ~1",
        "x1|id ~1",
        "y ~~ y",
        "x1|id ~~ y",
        "x1|id ~~ x1|id",
    ]
    assert table.names[-4:] == ("id.(Intercept)", "id.x1", "id.x1.(Intercept)", "Residual")
    assert "x1" in table.names
    (slope,) = table.slopes
    assert (slope.outcome, slope.carrier) == ("y", "x1")


@pytest.mark.parametrize("formula", ["y ~ x1 + (x1 || id)", "y ~ x1 + (1|id) + (0 + x1 | id)"])
def test_uncorrelated(formula):
    table = table_of(formula)
    assert "id.x1" in table.names
    assert "id.(Intercept)" in table.names
    assert "id.x1.(Intercept)" not in table.names


def test_a_slope_alone():
    table = table_of("y ~ x1 + (0 + x1 | id)")
    assert {"y ~~ y 0", "y ~1", "x1|id ~1"} <= set(shown(table, 2))
    assert table.names == ("(Intercept)", "x1", "id.x1", "Residual")


def test_a_slope_without_fixed_effect_has_mean_zero():
    table = table_of("y ~ 1 + (x1 | id)")
    assert "x1|id ~1 0" in shown(table, 2)
    assert "x1" not in table.names


def test_no_fixed_intercept():
    table = table_of("y ~ 0 + x1 + (1 | id)")
    assert "y ~1 0" in shown(table, 2)
    assert "(Intercept)" not in table.names


def test_only_clusters_are_described():
    table = table_of("y ~ w1 + (1 | id)")
    assert shown(table, 1) == ["y ~~ y", "y ~1 0"]


def test_two_slopes_covary_as_they_are_written():
    together = table_of("y ~ x1 + x2 + (x1 + x2 | id)", sexed())
    assert {"id.x2.x1", "id.x1.(Intercept)", "id.x2.(Intercept)"} <= set(together.names)
    apart = table_of("y ~ x1 + x2 + (x1 | id) + (0 + x2 | id)", sexed())
    assert "id.x1.(Intercept)" in apart.names
    assert not {"id.x2.x1", "id.x2.(Intercept)"} & set(apart.names)


def test_factors():
    table = table_of("y ~ sex*x1 + school + (sex | id)", sexed())
    assert {"sexmale", "sexother", "sexmale:x1", "sexother:x1", "schoolb"} <= set(table.names)
    assert "y ~ schoolb" in shown(table, 2)
    assert {"id.sexmale", "id.sexother.sexmale"} <= set(table.names)
    apart = table_of("y ~ sex + (sex || id)", sexed())
    assert "id.sexother.sexmale" in apart.names  # as in lme4, which parts terms
    assert "id.sexmale.(Intercept)" not in apart.names


def test_transformations_and_products():
    formula = "np.log(y + 9) ~ I(x1**2) + x1:w1 + scale(w1) + exp(x1) + (w1:x1 || id)"
    table = table_of(formula)
    assert {"I(x1^2)", "x1:w1", "scale(w1)", "exp(x1)", "id.x1:w1"} <= set(table.names)
    assert table.split == ("np.log(y + 9)",)
    assert "np.log(y + 9) ~ scale(w1)" in shown(table, 2)


def test_a_covariate_far_from_zero_in_a_product():
    """x + 10⁶: the product is all but collinear with w1, and the intercept's variance with all."""
    near = mlsem.lmm("y ~ w1*x1 + (x1 | id)", article())
    far = mlsem.lmm("y ~ w1*x1 + (x1 | id)", article(x1=article()["x1"] + 1e6))
    assert far.converged
    assert far.n_iterations < 10
    np.testing.assert_allclose(far.loglik, near.loglik, atol=1e-6)
    same = ["x1", "w1:x1", "id.x1", "Residual"]
    np.testing.assert_allclose(far.params[same], near.params[same], rtol=1e-5)
    np.testing.assert_allclose(far.bse[same], near.bse[same], rtol=1e-5)


def test_columns_of_other_types():
    """Numbers as objects and nullable numbers are numbers; products of small integers are right."""
    data = article(x1=(10 * article()["x1"]).round(), w1=article()["id"] % 3)
    want = mlsem.lmm("y ~ w1*x1 + (1 | id)", data)
    for kinds in ({"x1": object}, {"x1": "Int64", "w1": "Int32"}, {"x1": "int8", "w1": "int8"}):
        got = mlsem.lmm("y ~ w1*x1 + (1 | id)", data.astype(kinds))
        np.testing.assert_allclose(got.params, want.params, rtol=1e-8)
    flags = mlsem.lmm("y ~ x1*flag + (1 | id)", data.assign(flag=data["x1"] > 0))
    assert {"flag", "x1:flag"} <= set(flags.params.index)


def test_coarser_robust_clusters():
    """`se_cluster` is a column that the formula does not name."""
    data = article(school=article()["id"] // 5)
    fit = mlsem.lmm("y ~ x1 + (1 | id)", data, REML=False, se="CR2", se_cluster="school")
    plain = mlsem.fit(
        "level: 1\n y ~ x1\nlevel: 2\n y ~~ y", data, "id", se="CR2", se_cluster="school"
    )
    assert fit.bse["x1"] == pytest.approx(plain.bse["y~x1"], rel=1e-6)


def test_starting_values_of_fixed_effects_do_not_matter():
    want = mlsem.lmm("y ~ x1 + (1 | id)", article())
    got = mlsem.lmm("y ~ x1 + (1 | id)", article(), start={"x1": 1e8, "Residual": 3.0})
    np.testing.assert_allclose(got.params, want.params, rtol=1e-6)


# --- refusals ---------------------------------------------------------------------------------

REFUSED = {
    "y ~ x1": ("no random part: add '\\(1 \\| id\\)'", None),
    "y + x1": ("is no formula of such a model: write 'y ~ x1", None),
    "y ~ x1 + (1 | id) + (1 | a) + (1 | b)": ("several grouping factors", "b"),
    "y ~ x1 + (1 | a/school/id)": ("up to three levels.*se_cluster", "a/school/id"),
    "y ~ x1 + (1 | id:school)": ("alone is clusters that two columns tell apart", "id:school"),
    "y ~ x1 + (1 | id*school)": ("crossed factors, which mlsem does not fit", "id*school"),
    "y ~ x1 + (1 | id) + (1 | a:b)": ("'id' and 'a:b' are crossed factors", "a:b"),
    "y ~ x1*(1 | id)": ("stands in parentheses of its own", "x1*(1 | id)"),
    "y ~ x1 + (1 | )": ("what follows '|' is the column", "|"),
    "y ~ x1 + (x1 | id) + (0 + x1 | id)": ("x1 varies between clusters twice", None),
    "y ~ x1^2 + (1 | id)": ("written I\\(x1\\^2\\)", "x1^2"),
    "y ~ nosuch(x1) + (1 | id)": ("'nosuch' is not known", None),
    "y ~ x1 + offset(x2) + (1 | id)": ("subtract it from the outcome", None),
    "y ~ x1 + (0 | id)": ("random part", None),
}


@pytest.mark.parametrize("formula", REFUSED)
def test_refused(formula):
    message, place = REFUSED[formula]
    with pytest.raises(SpecificationError, match=message.replace("'|'", "'\\|'")) as caught:
        mlsem.lmm(formula, sexed(), REML=False)
    if place is not None:
        span = caught.value.span
        assert formula[span.start : span.end] == place
        assert "^" in str(caught.value)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ x1_ + (1 | id)", "'x1_', which is not a column.*Did you mean 'x1'"),
        ("y ~ x1 + (1 | idd)", "column of clusters 'idd'.*Did you mean 'id'"),
        ("sex ~ x1 + (1 | id)", "is not one numeric variable"),
        ("y ~ np.log(x1) + (1 | id)", r"'np.log\(x1\)' is not a number in rows"),
        ("y ~ when + (1 | id)", "'when' is not numeric.*dates"),
        ("y ~ mess + (1 | id)", "'mess' is not numeric.*'many' in rows 1"),
        ("y ~ x1 + id + (1 | id)", "the column of clusters and an effect"),
    ],
)
def test_refused_data(formula, message):
    with pytest.raises(DataError, match=message):
        mlsem.lmm(formula, sexed(), REML=False)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_fixed_effects_that_leave_nothing(seed, scale):
    """Two clusters and a level-2 effect; an effect of each cluster: refused, not by luck."""
    rng = np.random.default_rng(seed)
    ids = np.repeat([0, 1], rng.integers(4, 9, 2))
    data = pd.DataFrame({"id": ids, "x": rng.normal(size=len(ids)), "w": rng.normal(size=2)[ids]})
    data["y"] = scale * (data["x"] + rng.normal(size=2)[ids] + rng.normal(size=len(ids)))
    with pytest.raises(IdentificationError, match=r"no data that determine 'id.\(Intercept\)'"):
        mlsem.lmm("y ~ w + (1 | id)", data)
    data = article(own=article()["id"].map("c{}".format)).query("id < 6")
    with pytest.raises(IdentificationError, match=r"determine 'id.*\(Intercept\)'"):
        mlsem.lmm("y ~ x1 + own + (x1 | id)", data)


NO_COMMON_INTERCEPT = ["0 + sex + (1 | id)", "sex + x1 - 1 + (1 | id)", "0 + school:sex + (1 | id)"]
NO_COMMON_INTERCEPT += ["1 + (0 + school:x1 | id)", "x1 + (0 + sex:x1 | id)", "x1 + (sex:x1 | id)"]


@pytest.mark.parametrize("right", NO_COMMON_INTERCEPT)
def test_designs_without_a_common_intercept(right):
    """Full sets of dummies are no combination of an intercept that is not there."""
    data = sexed().assign(school=lambda d: np.where(d["x2"] > 0, "a", "b"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)
        fit = mlsem.lmm(f"y ~ {right}", data)
    assert fit.converged


def test_a_random_slope_has_no_estimate_of_its_own():
    fit = mlsem.lmm("y ~ x1 + (x1 | id)", article())
    (row,) = fit.parameter_estimates().query("op == '~' and rhs == 'x1'").to_dict("records")
    assert np.isnan(row["est"])
    assert row["label"] == "x1|id"
    assert re.search(r"x1 +0\.539 ", str(fit.summary()))  # its mean


def test_options():
    data = article()
    with pytest.raises(OptionError, match="Unknown option 'std'"):
        mlsem.lmm("y ~ x1 + (1 | id)", data, std=True)
    with pytest.raises(OptionValueError, match="takes True or False"):
        mlsem.lmm("y ~ x1 + (1 | id)", data, REML="no")
    with pytest.raises(OptionValueError, match="lmm takes REML"):
        mlsem.lmm("y ~ x1 + (1 | id)", data, estimator="ML")
    with pytest.raises(OptionValueError, match="The first argument is the formula"):
        mlsem.lmm(data, "y ~ x1 + (1 | id)")


@pytest.mark.parametrize("name", [*OPTION_NAMES, "cluster", "center", "offset", "subset"])
def test_no_option_is_ignored(name):
    with pytest.raises(OptionError, match=f"lmm does not take {name}=: .+"):
        mlsem.lmm("y ~ x1 + (1 | id)", article(), **{name: None})
