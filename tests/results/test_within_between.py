"""Fixed effects, random effects, contextual and hybrid models side by side."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.results.within_between.result import WithinBetween

pytestmark = pytest.mark.filterwarnings("ignore:.*few:mlsem.InferenceWarning")

FOLDER = Path(__file__).parents[1] / "reference" / "trials"


@cache
def drawn() -> pd.DataFrame:
    """Uneven clusters in no order, two of one row, with a text and a covariate of clusters."""
    rng = np.random.default_rng(7)
    sizes = np.array([1, 1, *rng.integers(2, 14, 16)])
    group = np.repeat(np.arange(len(sizes)), sizes)
    level = rng.normal(size=len(sizes))[group]
    x = level + rng.normal(size=len(group))
    z = rng.normal(size=len(group)) + 0.3 * level
    sex = np.where(rng.random(len(group)) < 0.5, "m", "f")
    w = rng.normal(size=len(sizes))[group]
    y = 0.5 * x - 0.2 * z + 0.3 * (sex == "m") + level + rng.normal(size=len(group))
    y = y + rng.normal(size=len(sizes))[group]
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "sex": sex, "w": w, "g": group})
    return frame.sample(frac=1.0, random_state=1)


@cache
def reference() -> dict:
    return json.loads((FOLDER / "within_between.json").read_text())


@cache
def of_reference() -> WithinBetween:
    rows = pd.read_csv(FOLDER / "data" / "trial.csv")
    return mlsem.within_between("score ~ x + female + w", rows, cluster="school")


# --- against plm, lme4 and clubSandwich -----------------------------------------------------------


def test_fixed_effects_are_those_of_plm():
    fit, known = of_reference().fixed, reference()["fixed"]
    assert fit.params.to_numpy() == pytest.approx(known["coef"], rel=1e-12)
    plain = fit.with_se("standard").bse.to_numpy()
    assert plain == pytest.approx(known["se"], rel=1e-10)
    for kind in ("CR0", "CR2"):
        robust = fit.with_se(kind)
        assert robust.bse.to_numpy() == pytest.approx(known[kind]["se"], rel=1e-10)
        assert robust.df.to_numpy() == pytest.approx(known[kind]["df"], rel=1e-9)


def test_contextual_and_random_effects_are_those_of_lme4_and_clubsandwich():
    found, known = of_reference(), reference()
    random = found.random.fixef().to_numpy()
    assert random == pytest.approx(known["random"]["coef"], rel=1e-6)
    table = found.to_frame().query("model == 'contextual'")
    order = [("(Intercept)", ""), ("x", "within"), ("female", "within"), ("w", "between")]
    order += [("x", "contextual"), ("female", "contextual")]
    table = table.set_index(["covariate", "effect"]).loc[order]
    assert table["est"].to_numpy() == pytest.approx(known["contextual"]["coef"], rel=1e-6)
    assert table["se"].to_numpy() == pytest.approx(known["contextual"]["CR2"]["se"], rel=1e-6)
    assert table["df"].to_numpy() == pytest.approx(known["contextual"]["CR2"]["df"], rel=1e-5)


def test_the_hausman_test_is_clubsandwichs_of_the_means():
    test, known = of_reference().hausman, reference()["hausman"]
    assert test.test == "HTZ"
    assert test.statistic == pytest.approx(known["F"], rel=1e-6)
    assert test.df_denom == pytest.approx(known["df_denom"], rel=1e-5)
    assert test.pvalue == pytest.approx(known["p"], rel=1e-6)


# --- identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("se", ["CR0", "CR1", "CR2", "CR3"])
@pytest.mark.parametrize("interactions", ["product", "double"])
def test_within_effects_of_all_models_are_those_of_fixed_effects(se, interactions):
    formula = "y ~ x*z + sex + x:w + w"
    found = mlsem.within_between(formula, drawn(), "g", se=se, interactions=interactions)
    table = found.to_frame().query("effect == 'within'")
    names = ["est", "se", "df"]
    fixed, *others = (
        table[table["model"] == each].set_index("covariate")[names]
        for each in ("fixed", "contextual", "hybrid")
    )
    assert fixed.index.tolist() == ["x", "z", "sexm", "x:z", "x:w"]
    for each in others:
        assert each.to_numpy() == pytest.approx(fixed.to_numpy(), rel=1e-9)


def test_fixed_effects_are_least_squares_with_a_dummy_for_each_cluster():
    rows = drawn()
    found = mlsem.within_between("y ~ x + sex + w", rows, "g")
    dummies = pd.get_dummies(rows["g"]).to_numpy(dtype=float)
    design = np.column_stack([rows["x"], rows["sex"] == "m", dummies]).astype(float)
    beta = np.linalg.lstsq(design, rows["y"], rcond=None)[0][:2]
    assert found.fixed.params.to_numpy() == pytest.approx(beta, rel=1e-10)
    assert found.fixed.params.index.tolist() == ["x", "sexm"]
    left = rows["y"] - design @ np.linalg.lstsq(design, rows["y"], rcond=None)[0]
    assert found.fixed.dispersion == pytest.approx(left @ left / (len(rows) - 20), rel=1e-10)


def test_contextual_effects_are_between_less_within_effects():
    found = mlsem.within_between("y ~ x + z + w", drawn(), "g", REML=False, center=True)
    table = found.to_frame().set_index(["covariate", "effect", "model"])["est"]
    for name in ("x", "z"):
        difference = table[name, "between", "hybrid"] - table[name, "within", "hybrid"]
        assert table[name, "contextual", "contextual"] == pytest.approx(difference, abs=1e-9)
    equal = "`x_between` == `x_within`; `z_between` == `z_within`"
    again = found.hybrid.wald_test(equal)
    assert found.hausman.statistic == pytest.approx(again.statistic, rel=1e-8)
    assert found.hausman.df_denom == pytest.approx(again.df_denom, rel=1e-8)
    assert found.data["x_between"].mean() == pytest.approx(0.0, abs=1e-12)
    plain = mlsem.within_between("y ~ x + z + w", drawn(), "g", REML=False)
    assert found.hausman.statistic == pytest.approx(plain.hausman.statistic, rel=1e-8)


def test_double_demeaned_products_are_free_of_the_means():
    """Adding a constant of each cluster to a factor changes nothing within clusters, where the
    product of the factors themselves would."""
    rows, shift = drawn(), np.random.default_rng(1).normal(size=18)
    moved = rows.assign(x=rows["x"] + 3.0 * shift[rows["g"]])
    found = [
        mlsem.within_between("y ~ x*z", each, "g", interactions=kind).fixed.params["x_z"]
        for kind in ("double", "product")
        for each in (rows, moved)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-10)
    assert abs(found[2] - found[3]) > 0.003


# --- what is in which model -----------------------------------------------------------------------


def test_means_are_those_of_the_rows_used():
    rows = drawn().copy()
    rows.loc[rows.index[:5], "z"] = np.nan
    found = mlsem.within_between("y ~ x + z", rows, "g", missing="listwise")
    used = rows.dropna()
    means = used.groupby("g")["x"].transform("mean")
    assert found.data["x_between"].to_numpy() == pytest.approx(means.to_numpy(), abs=1e-14)
    assert any("5 of" in note for note in found.notes)
    with pytest.warns(mlsem.DataWarning, match="lack a covariate"):
        mlsem.within_between("y ~ x + z", rows, "g")


def test_a_covariate_of_clusters_has_no_fixed_effect():
    found = mlsem.within_between("y ~ x + w", drawn(), "g")
    effects = found.to_frame().query("covariate == 'w'")
    assert effects["model"].tolist() == ["random", "contextual", "hybrid"]
    assert "'w' does not vary within clusters" in " ".join(found.notes)
    assert "2 clusters have one row" in " ".join(found.notes)
    assert found.covariates["varies"].tolist() == ["both", "between"]


def test_a_covariate_with_equal_means_has_no_between_effect():
    rows = drawn()
    rows = rows.assign(t=rows["x"] - rows.groupby("g")["x"].transform("mean"))
    found = mlsem.within_between("y ~ t + z", rows, "g")
    assert found.covariates.loc["t", "varies"] == "within"
    assert "t_between" not in found.formulas["hybrid"]
    assert "the mean is the same in all clusters" in " ".join(found.notes)
    alone = mlsem.within_between("y ~ t", rows, "g")
    assert alone.hausman == "no covariate has both a within and a between effect."
    assert "Hausman test (" not in str(alone.summary())


def test_dependent_parts_are_named_and_left_out():
    rows = drawn()
    rows = rows.assign(mean=rows.groupby("g")["x"].transform("mean"), moved=rows["x"] + rows["w"])
    known = mlsem.within_between("y ~ x + mean", rows, "g")
    assert "the means of 'x' are linear combinations" in " ".join(known.notes)
    moved = mlsem.within_between("y ~ x + moved", rows, "g")
    assert moved.fixed.params.index.tolist() == ["x"]
    assert "'moved': deviations from the means" in " ".join(moved.notes)
    assert moved.formulas["contextual"] == "y ~ x + x_between + moved_between + (1 | g)"


def test_what_is_not_split_keeps_one_effect():
    found = mlsem.within_between("y ~ x + z", drawn(), "g", split="x")
    effects = found.to_frame().query("covariate == 'z' and model == 'hybrid'")["effect"]
    assert effects.tolist() == ["both"]
    assert "'z': not split" in " ".join(found.notes)
    dummies = mlsem.within_between("y ~ sex*x", drawn(), "g", split=["sexm"])
    assert [each.name for each in dummies._covariates if each.split] == ["sexm", "sexm:x"]
    factor = mlsem.within_between("y ~ sex*x", drawn(), "g", split="sex")
    assert factor.formulas == dummies.formulas


@pytest.mark.filterwarnings("ignore:.*singular:mlsem.EstimationWarning")
def test_random_slopes_of_the_hybrid_model_are_of_deviations():
    found = mlsem.within_between("y ~ x + w + (x | g)", drawn())
    assert found.formulas["contextual"].endswith("(1 + x | g)")
    assert found.formulas["hybrid"].endswith("(1 + x_within | g)")
    assert "slopes vary between clusters" in " ".join(found.notes)


@pytest.mark.filterwarnings("ignore:.*singular:mlsem.EstimationWarning")
def test_components_and_reliability_are_those_of_an_analysis_of_variance():
    """Of equal clusters τ² / (τ² + σ²/n) is 1 - 1/F."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(20), 6)
    x = rng.normal(size=20)[group] + rng.normal(size=120)
    rows = pd.DataFrame({"x": x, "g": group, "y": x + rng.normal(size=120)})
    own = mlsem.within_between("y ~ x", rows, "g").covariates.loc["x"]
    by = rows.groupby("g")["x"]
    between, within = 6.0 * by.mean().var(), float(by.var().mean())
    assert own["reliability"] == pytest.approx(1.0 - within / between, rel=1e-10)
    assert own["sd_within"] == pytest.approx(np.sqrt(within), rel=1e-10)
    assert own["icc"] == pytest.approx((between - within) / (between + 5.0 * within), rel=1e-10)


# --- shown ----------------------------------------------------------------------------------------


def test_the_summary_shows_the_models_side_by_side():
    found = of_reference()
    text = str(found.summary(("se", "ci")))
    line = next(each for each in text.splitlines() if each.startswith("  within"))
    assert line.split() == ["within", "0.938", "0.938", "0.938"]
    assert "Robust Hausman test (HTZ, CR2)" in text
    assert "F" in text
    assert "0.646" in text
    assert found.summary().to_latex().count("Contextual") == 1
    assert "<table>" in found._repr_html_()
    standard = mlsem.within_between("y ~ x", drawn(), "g", se="standard").summary(None)
    assert "\nHausman test (F, standard)" in str(standard)
    assert "(0." not in str(standard)


def test_it_pickles_and_its_models_predict():
    found = pickle.loads(pickle.dumps(of_reference()))
    assert str(found.summary()) == str(of_reference().summary())
    values = found.hybrid.predict(found.data).to_numpy()
    assert values == pytest.approx(found.contextual.predict(found.data).to_numpy(), abs=1e-8)


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "more", "error", "said"),
    [
        ("y ~ w", {}, mlsem.DataError, "no covariate of .* varies within clusters of 'g'"),
        ("y ~ 0 + x", {}, mlsem.SpecificationError, "has no constant"),
        ("y ~ x + (0 + x | g)", {}, mlsem.SpecificationError, "has no intercept"),
        ("y ~ x + (z | g)", {}, mlsem.SpecificationError, "'z' varies .* has no fixed effect"),
        ("y ~ x", {"cluster": None}, mlsem.OptionValueError, "needs the column of clusters"),
        ("y ~ x + (1 | g)", {"cluster": "w"}, mlsem.OptionValueError, "name the clusters once"),
        ("y ~ x + w", {"split": "w"}, mlsem.OptionValueError, "does not vary within clusters"),
        ("y ~ x + w", {"split": "q"}, mlsem.OptionValueError, "is no covariate of the formula"),
        ("y ~ x", {"split": []}, mlsem.OptionValueError, "split is empty"),
        ("y ~ x:z", {"interactions": "double"}, mlsem.SpecificationError, r"write x\*z"),
        ("y ~ x", {"se": "MLR"}, mlsem.OptionValueError, "within_between takes 'CR2', 'CR0'"),
        ("y ~ x", {"center": "grand"}, mlsem.OptionValueError, "center='grand': it takes True"),
        ("y ~ x", {"family": "binomial"}, mlsem.OptionError, "has no 'family'"),
        (3, {}, mlsem.OptionValueError, "formula is a int"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(formula, more, error, said):
    more = {"cluster": None if "|" in str(formula) else "g"} | more
    with pytest.raises(error, match=said):
        mlsem.within_between(formula, drawn(), **more)


def test_an_error_says_of_which_model_it_is():
    few = drawn().query("g in (5, 6, 7)")
    with pytest.raises(mlsem.IdentificationError, match=r"the model 'contextual': .* not identif"):
        mlsem.within_between("y ~ x + w", few, "g")


def test_a_column_that_would_be_made_is_not_overwritten():
    rows = drawn().assign(x_between=1.0)
    with pytest.raises(mlsem.DataError, match="'x_between' of their own"):
        mlsem.within_between("y ~ x", rows, "g")
    same = mlsem.within_between("y ~ x", drawn(), "g").data
    assert mlsem.within_between("y ~ x", same, "g").formulas["hybrid"].startswith("y ~ x_within")
