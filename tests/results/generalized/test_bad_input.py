"""What `glm` and `gee` refuse, and what they note."""

from __future__ import annotations

import numpy as np
import pytest

import mlsem
from tests.results.generalized.cases import data, fitted


def test_an_empty_cell_is_named():
    with pytest.raises(mlsem.EstimationError, match="all 24 rows with trt = 1 have y = 1"):
        mlsem.glm("y ~ trt + x", data("zero_cell"), cluster="school")
    fit = mlsem.glm("y ~ trt + x", data("zero_cell"), cluster="school", family="gaussian")
    assert fit.params["trt"] > 0.3


def test_separation_without_a_cell_names_the_covariate():
    rows = data("zero_cell").assign(y=lambda d: (d["x"] > 0.1).astype(int))
    with pytest.raises(mlsem.EstimationError, match="no finite estimate of 'x'"):
        mlsem.glm("y ~ x", rows, cluster="school")


def test_counts_of_zero_in_a_cell():
    rows = data("zero_cell").assign(y=lambda d: 1 - d["y"])
    with pytest.raises(mlsem.EstimationError, match="trt = 1 have y = 0"):
        mlsem.glm("y ~ trt", rows, cluster="school", family="poisson")


def test_one_treated_cluster_has_no_error_and_is_named():
    fit = fitted("one_treated_logit")
    assert np.isnan(fit.bse["trt"])
    assert np.isnan(fit.df["trt"])
    assert fit.bse["x"] > 0
    assert any("cluster 1 of 'school' alone" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda d: d["y"] + 1, {}, r'Recode it, \(data\["y"\] == 2\)'),
        (lambda d: d["score"], {}, "is not 0 or 1"),
        (lambda d: d["y"] - 1, {"family": "poisson"}, "is negative in"),
        (lambda d: d["y"] * 0, {}, "nothing to explain"),
        (lambda d: np.where(d["y"] > 0, "yes", "no"), {}, "is text"),
    ],
)
def test_outcomes_that_are_none(change, options, said):
    rows = data("trial")
    rows = rows.assign(y=change(rows))
    with pytest.raises(mlsem.DataError, match=said):
        mlsem.glm("y ~ trt", rows, cluster="school", **options)


@pytest.mark.parametrize(
    ("formula", "options", "said"),
    [
        ("y ~ x", {"absorb": "school"}, "absorb= is for linear models"),
        ("score ~ trt", {"absorb": "school", "family": "gaussian"}, "'trt' is constant within"),
        ("score ~ x", {"absorb": "female", "family": "gaussian"}, "rows of several clusters"),
        ("cbind(y, hours) ~ x", {}, r"prop\(y, n\)"),
        ("y ~ x + (1 | school)", {}, "a random part"),
        ("x + offset(hours)", {}, r"such a model: write 'y ~ x1 \+ x2'"),
        ("y ~ trt * offset(x)", {}, r"offset\(\) is a term of its own"),
        ("y ~ x - offset(hours)", {}, "an offset is added"),
        ("prop(y, female) ~ x", {}, "no whole number of successes"),
    ],
)
def test_what_does_not_go_together(formula, options, said):
    with pytest.raises((mlsem.SpecificationError, mlsem.DataError), match=said):
        mlsem.glm(formula, data("trial"), cluster="school", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"family": "gamma"},
        {"link": "cloglog"},
        {"family": "gaussian", "link": "logit"},
        {"se": "HC3"},
        {"df": "t"},
        {"se_form": "both"},
        {"se": "CR3", "se_form": "residuals"},
    ],
)
def test_values_that_options_cannot_take(options):
    with pytest.raises(mlsem.OptionValueError):
        mlsem.glm("y ~ x", data("trial"), cluster="school", **options)


def test_probabilities_above_one_are_counted():
    rows = data("trial").assign(
        y=lambda d: (d["x"] + 0.5 * np.sin(7 * d["w"] + d["hours"]) > 0) * 1
    )
    fit = mlsem.glm("y ~ x", rows, cluster="school", family="gaussian")
    above = int((fit.predict()["predicted"] > 1).sum())
    assert above > 0
    assert any(f"of {above} above 1" in note for note in fit.notes)


def test_values_of_counts_that_are_not_whole_are_noted():
    fit = mlsem.glm("hours ~ x", data("trial"), cluster="school", family="poisson")
    assert any("no whole number in" in note for note in fit.notes)


def test_rows_without_a_value_are_left_out_and_said():
    rows = data("trial").copy()
    rows.loc[:4, "x"] = np.nan
    with pytest.warns(mlsem.DataWarning, match="5"):
        fit = mlsem.glm("y ~ x", rows, cluster="school")
    assert fit.n_obs == len(rows) - 5
