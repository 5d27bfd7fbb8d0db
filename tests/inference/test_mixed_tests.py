"""t and F tests of mixed models where users meet them: options, tables, summaries, cautions."""

import json
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.cli.main import main
from mlsem.errors import InferenceError, InferenceWarning, OptionValueError

DATA = Path(__file__).parents[1] / "reference" / "data"
TWO = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"


def article(clusters=50):
    return pd.read_csv(DATA / "article_50x10_rep1.csv").query(f"id <= {clusters}")


def quiet(call, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **options)


@pytest.fixture(scope="module")
def fit():
    return mlsem.lmm("y ~ w1*x1 + (1 | id)", article(10))


def test_tables(fit):
    """(Co)variances keep their standard errors and normal limits, and are not tested."""
    table = fit.parameter_estimates()
    slope = table[(table["op"] == "~") & (table["rhs"] == "x1")].iloc[0]
    variance = table.query("op == '~~' and se > 0")
    assert slope["df"] == pytest.approx(fit.covariance.df[fit.table.names.index("x1")])
    half = slope["ci_upper"] - slope["est"]
    assert half == pytest.approx(slope["se"] * 1.98, rel=0.02)
    assert len(variance) == 2
    assert variance[["stat", "df", "pvalue"]].isna().all(axis=None)
    np.testing.assert_allclose(
        variance["ci_upper"] - variance["est"], 1.959963985 * variance["se"], rtol=1e-8
    )
    assert fit.pvalues.isna().sum() == 2
    assert not fit.conf_int().isna().any(axis=None)
    assert 7 < fit.tidy().set_index("term").loc["w1", "df"] < 10
    assert fit.glance()["df_method"][0] == "satterthwaite"


def test_summary(fit):
    text = str(fit.summary())
    assert re.search("t tests of fixed effects +Satterthwaite's degrees of freedom\n", text)
    assert re.search(r"Estimate +Std\.Error +df +t value +P\(>\|t\|\)\n", text)
    html = fit.with_se("standard", df="kenward-roger").summary()._repr_html_()
    assert "Kenward-Roger degrees of freedom" in html
    assert "expected, adjusted (Kenward-Roger)" in html


def test_degrees_of_freedom_wait_until_they_are_asked_for():
    fit = mlsem.lmm("y ~ x1 + (x1 | id)", article())
    source = fit.covariance.reference.source
    fit.bse, fit.vcov(), fit.wald_test("`x1`", test="chi2")
    assert "_variation" not in vars(source)
    loaded = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_series_equal(loaded.pvalues, fit.pvalues)
    assert "_variation" in vars(source)


def test_other_standard_errors_and_back(fit):
    robust = quiet(fit.with_se, "CR2")
    assert robust.df_method is None
    assert robust.covariance.reference.joint_test == "HTZ"
    back = robust.with_se("standard")
    pd.testing.assert_series_equal(back.pvalues, fit.pvalues)
    assert robust.wald_test("`w1`; `w1:x1`", vcov="standard").df_method == "satterthwaite"
    by_ml = mlsem.lmm("y ~ w1*x1 + (1 | id)", article(10), REML=False)
    pd.testing.assert_series_equal(quiet(by_ml.with_se, "CR2").with_se("standard").bse, by_ml.bse)


def test_wald_tests(fit):
    both = fit.wald_test("`w1`; `w1:x1`")
    assert both.constraints == ("`w1` == 0", "`w1:x1` == 0")
    assert "Wald test (F, df satterthwaite, covariance standard)" in str(both)
    assert both.frame["df_method"][0] == "satterthwaite"
    one = fit.wald_test("`w1`")
    assert one.pvalue == pytest.approx(fit.pvalues["w1"], rel=1e-9)
    assert fit.wald_test("`w1`; `w1:x1`", test="chi2").df_denom == np.inf
    assert fit.wald_test("`Residual` == 1").test == "chi2"
    with pytest.raises(InferenceError, match=r'test="F" is for fixed effects.*lr_test'):
        fit.wald_test("`Residual` == 1", test="F")
    with pytest.raises(OptionValueError, match='"HTZ" needs a cluster-robust covariance'):
        fit.wald_test("`w1`", test="HTZ")
    z = quiet(fit.with_se, "standard", test="z").wald_test("`w1`; `w1:x1`", test="F")
    assert (z.df_method, z.df_denom) == (None, 9.0)


def test_functions_of_parameters():
    """`:=` of fixed effects has degrees of freedom; of variances it is not tested."""
    text = (
        "level: 1\n y ~ b*x1\n y ~~ s*y\nlevel: 2\n y ~ g*w1\n y ~~ t*y\n"
        "sum := b + g\n icc := t/(s + t)"
    )
    fit = mlsem.fit(text, article(10), "id", estimator="REML", test="t")
    rows = fit.parameter_estimates().set_index("lhs").loc[["sum", "icc"]]
    want = fit.wald_test("b + g == 0")
    assert rows.loc["sum", "pvalue"] == pytest.approx(want.pvalue, rel=1e-9)
    assert rows.loc["sum", "df"] == pytest.approx(want.df_denom, rel=1e-9)
    assert np.isnan(rows.loc["icc", ["df", "pvalue"]].astype(float)).all()
    assert rows.loc["icc", ["se", "ci_upper"]].notna().all()


# --- refusals -------------------------------------------------------------------------------------

CFA = "level: 1\n f =~ y + x1 + int\nlevel: 2\n y ~~ x1"
WRONG = {
    "no such df": (TWO, {"df": "residual"}, "df='residual' is not available"),
    "robust": (TWO, {"df": "satterthwaite", "se": "CR2"}, "has degrees of freedom of its own"),
    "MLR": (TWO, {"df": "satterthwaite", "estimator": "MLR"}, 'se="MLR" has none'),
    "no errors": (TWO, {"df": "satterthwaite", "se": "none"}, 'se="none" has none'),
    "t of MLR": (TWO, {"test": "t", "se": "MLR"}, 'se="MLR" does not have'),
    "z": (TWO, {"df": "satterthwaite", "test": "z"}, 'is for t tests: leave test="z" out'),
    "KR by ML": (TWO, {"df": "kenward-roger"}, "goes with restricted maximum likelihood"),
    "observed": (TWO, {"df": "satterthwaite", "information": "observed"}, "expected information"),
    "latent": (CFA, {"df": "satterthwaite"}, 'has latent variables. Use se="CR2"'),
    "two outcomes": (TWO + "\n y ~ x1", {"test": "t", "fixed_x": False}, "several outcomes"),
    "one level": ("y ~ x1", {"test": "t", "se": "standard"}, "has one level"),
    "clustered": ("y ~ x1", {"df": "satterthwaite"}, 'se="MLR" has none'),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name):
    text, options, message = WRONG[name]
    with pytest.raises(OptionValueError, match=message):
        quiet(mlsem.fit, text, article(), "id", **options)


def test_refused_with_constraints():
    text = "level: 1\n y ~ a*x1 + b*int\nlevel: 2\n y ~ w1\n a == 2*b"
    with pytest.raises(OptionValueError, match="constraints or bounds"):
        mlsem.fit(text, article(), "id", test="t")


def test_refused_before_the_search():
    """Nothing is fitted when the option makes no sense."""
    with pytest.raises(OptionValueError, match="latent variables"):
        mlsem.fit(CFA, article(), "id", test="t", max_iter=1, on_failure="raise")


# --- cautions -------------------------------------------------------------------------------------


def cautions(call, *args, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InferenceWarning)
        found = call(*args, **options)
    said = [str(each.message) for each in caught if "clusters are few" in str(each.message)]
    assert said == [note for note in found.notes if "clusters are few" in note]
    return said


def test_z_tests_with_few_clusters():
    few, many = article(29), article(30)
    (said,) = cautions(mlsem.fit, TWO, few, "id")
    assert said.startswith("29 clusters are few: z tests with model-based standard errors")
    assert 'se="CR2" has t tests that correct for that, and so has df="satterthwaite"' in said
    (said,) = cautions(mlsem.fit, CFA.replace("f =~ y + x1 + int", "y ~ x1"), few, "id")
    assert said.endswith('se="CR2" has t tests that correct for that.')
    assert len(cautions(mlsem.fit, "y ~ x1", few, "id", se="standard")) == 1
    assert len(cautions(mlsem.lmm, "y ~ x1 + (1 | id)", few, test="z")) == 1
    assert not cautions(mlsem.fit, TWO, many, "id")
    assert not cautions(mlsem.fit, "y ~ x1", few)
    assert not cautions(mlsem.fit, TWO, few, "id", test="t")
    assert not cautions(mlsem.fit, TWO, few, "id", se="none")
    assert not cautions(mlsem.lmm, "y ~ x1 + (1 | id)", few)


# --- elsewhere ------------------------------------------------------------------------------------


def test_command(tmp_path, capsys):
    model = tmp_path / "model.lav"
    model.write_text(TWO)
    options = ["--cluster", "id", "--estimator", "REML", "--df", "kenward-roger"]
    assert main(["fit", str(model), str(DATA / "small10_unequal.csv"), *options]) == 0
    assert "Kenward-Roger degrees of freedom" in capsys.readouterr().out
    assert main(["fit", str(model), str(DATA / "small10_unequal.csv"), *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {(row["lhs"], row["op"], row["rhs"]): row for row in found["estimates"]}
    assert 2 < rows["y", "~", "w1"]["df"] < 10
    assert main(["fit", str(model), str(DATA / "small10_unequal.csv"), *options, "--se", "CR2"]) > 0
    assert "degrees of freedom of its own" in capsys.readouterr().err


def test_study():
    """Methods differ in their degrees of freedom; variances keep normal intervals, untested."""

    def draw(rng):
        ids = np.repeat(np.arange(6), 5)
        y = rng.normal(size=6)[ids] + rng.normal(size=30)
        return pd.DataFrame({"id": ids, "w": rng.normal(size=6)[ids], "y": y})

    lmm = {"formula": "y ~ w + (1 | id)"}
    fit = {"model": "level: 1\n y ~ 1\nlevel: 2\n y ~ w", "cluster": "id", "estimator": "REML"}
    found = mlsem.study(
        draw,
        {
            "t": lmm,
            "z": lmm | {"test": "z"},
            "KR": lmm | {"df": "kenward-roger"},
            "CR2": lmm | {"se": "CR2"},
            "fit": fit,
            "fit, t": fit | {"df": "satterthwaite"},
        },
        replications=4,
        seed=1,
        truth={"w": 0.0, "id.(Intercept)": 1.0},
    )
    df = found.estimates.query("replication == 0 and parameter in ('w', 'y~w.l2')")
    df = df.set_index("model")["df"]
    assert df["t"] == pytest.approx(df["fit, t"], rel=1e-5)
    assert np.isinf(df[["z", "fit"]]).all()
    assert 1 < df["KR"] < 6
    rows = found.summary.query("model == 't'").set_index("parameter")
    assert rows.loc["id.(Intercept)", "coverage"] > 0
    assert np.isnan(rows.loc["id.(Intercept)", "rejection"])
