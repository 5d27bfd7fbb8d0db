"""Formulas of `lmm` beside R: the columns of `model.matrix`, the rows used, lme4's fits."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.design.columns import contrast_matrix, dependent
from mlsem.data.design.mixed import read_mixed
from mlsem.errors import DataError, DataWarning, EstimationWarning, SpecificationError
from mlsem.syntax.mixed import read_formula

REFERENCE = Path(__file__).parents[1] / "reference"
R = json.loads((REFERENCE / "formulas.json").read_text("utf-8"))
DATA = pd.read_csv(REFERENCE / "data" / "formulas.csv")


def read(right, data=DATA):
    return read_mixed(read_formula(f"y ~ {right} + (1 | id)"), data, "listwise")


def kept(names, dropped):
    return [name for name in names if name not in dropped]


def column(mixed, name):
    return np.ones(len(mixed.frame)) if name == "(Intercept)" else mixed.rows.values[name]


@pytest.mark.parametrize("case", R["columns"], ids=lambda case: case["right"])
def test_columns_and_rows_of_r(case):
    mixed = read(case["right"])
    names = kept(case["names"], case["dropped"])
    assert list(mixed.columns.fixed) == names
    assert len(mixed.frame) == case["n"]
    places = [case["names"].index(name) for name in names]
    values = np.column_stack([column(mixed, name) for name in names])
    for found, wanted in (
        (values[0], case["first"]),
        (values[-1], case["last"]),
        (values.sum(axis=0), case["sums"]),
        ((values**2).sum(axis=0), case["squares"]),
    ):
        np.testing.assert_allclose(found, np.array(wanted)[places], rtol=1e-8, atol=1e-9)


def test_what_is_left_out_is_named():
    for case in R["columns"]:
        told = [note for note in read(case["right"]).notes if "linear combination" in note]
        assert len(told) == bool(case["dropped"])
        assert all(repr(name) in told[0] for name in case["dropped"])


@pytest.mark.parametrize("case", R["random"], ids=lambda case: case["right"])
def test_columns_of_random_formulas(case):
    mixed = read(case["right"])
    names = case["names"].split()
    left = kept(names, case["dropped"].split())
    assert list(mixed.columns.fixed) == left
    sums = dict(zip(names, case["sums"], strict=True))
    for name in left:
        np.testing.assert_allclose(column(mixed, name).sum(), sums[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "case", R["fits"], ids=lambda case: f"{case['formula']} {'REML' if case['REML'] else 'ML'}"
)
def test_fits_of_lme4(case):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EstimationWarning)  # some are on the boundary
        fit = mlsem.lmm(case["formula"], DATA, REML=case["REML"], missing="listwise")
    assert fit.n_obs == case["n"]
    assert fit.loglik == pytest.approx(case["logLik"], abs=1e-7)
    np.testing.assert_allclose(fit.params[case["names"]], case["fixef"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fit.bse[case["names"]], case["se"], rtol=1e-6)


def test_terms_are_computed_before_rows_are_left_out():
    """scale(Days) of all 180 days, 18 of which have no outcome."""
    data = pd.read_csv(REFERENCE / "data" / "sleepstudy.csv")
    data.loc[R["sleep"]["missing"], "Reaction"] = np.nan
    with pytest.warns(DataWarning, match=r"18 of 180 rows \(10\.0%\) .* nothing is lost"):
        fit = mlsem.lmm("Reaction ~ scale(Days) + (1 | Subject)", data)
    assert fit.n_obs == 162
    np.testing.assert_allclose(
        fit.params[["(Intercept)", "scale(Days)"]], [298.310, 29.907], atol=5e-4
    )
    np.testing.assert_allclose(
        fit.params[["(Intercept)", "scale(Days)"]], R["sleep"]["fixef"], rtol=1e-7
    )
    assert fit.loglik == pytest.approx(R["sleep"]["logLik"], abs=1e-7)


# --- missing values ------------------------------------------------------------------------------


def test_columns_that_miss_values_are_counted():
    (note,) = read("log(x2) + f").notes
    assert "7 of 96 rows (7.3%) left out" in note
    assert "'f' (2), 'x2' (2), 'y' (3)" in note
    (note,) = read("cut(x1, c(1, 2, 10))").notes
    assert "'cut(x1, c(1, 2, 10))'" in note
    assert len(read("I(is.na(gap) + 0)").frame) == 93


def test_missing_values_that_r_refuses():
    for call in ("poly(gap, 2)", "I(x1 - mean(gap))"):
        with pytest.raises(SpecificationError, match="missing values"):
            read(call)


def test_a_slip_of_arithmetic_is_no_missing_value():
    with pytest.raises(DataError, match=r"'log\(x1 - 2\)' is not a number in rows"):
        read("log(x1 - 2)")


# --- columns that are combinations of others ----------------------------------------------------


def test_the_tolerance_is_rs():
    """What is left of a column is compared with its length: 1e-7."""
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 400))
    z -= x * (x @ z) / (x @ x)
    z *= np.linalg.norm(x) / np.linalg.norm(z)
    for unit in (1e-200, 1.0, 1e200):
        assert dependent({"x": x, "z": unit * (x + 0.9e-7 * z)}) == ("z",)
        assert dependent({"x": x, "z": unit * (x + 1.2e-7 * z)}) == ()
    assert dependent({"x": x, "nothing": 0 * x, "z": z}) == ("nothing",)


def test_more_columns_than_rows():
    names = dependent(dict(zip("abcde", np.random.default_rng(1).normal(size=(5, 3)), strict=True)))
    assert names == ("d", "e")


@pytest.mark.parametrize("levels", range(2, 9))
def test_codings_span_what_dummies_span(levels):
    for kind in ("sum", "helmert", "poly"):
        matrix, labels = contrast_matrix(levels, kind)
        assert matrix.shape == (levels, len(labels))
        whole = np.column_stack([np.ones(levels), matrix])
        assert np.linalg.matrix_rank(whole) == levels
        np.testing.assert_allclose(matrix.sum(axis=0), 0.0, atol=1e-12)


def test_a_slope_whose_fixed_effect_is_left_out():
    """It varies about zero: the mean is in the others."""
    with pytest.warns(EstimationWarning, match="singular"):
        fit = mlsem.lmm("y ~ x1 + I(2 * x1) + t + (I(2 * x1) | id)", DATA, missing="listwise")
    assert "I(2 * x1)" not in fit.params
    assert "id.I(2 * x1)" in fit.params
