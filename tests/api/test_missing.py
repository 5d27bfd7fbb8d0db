"""`missing=`: the names it takes, and what it goes with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from reference import frame
from small import DATA, FACTORS

import mlsem
from mlsem.errors import DataError, DataWarning, OptionValueError
from mlsem.estimation.settings import Settings

PATHS = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"
LACKING = DATA.reset_index(drop=True)
LACKING.loc[LACKING.index % 7 == 2, "y1"] = np.nan


@pytest.mark.parametrize("name", ["fiml", "FIML", "ml", "direct"])
def test_names_of_full_information(name):
    assert Settings(missing=name).missing == "fiml"


@pytest.mark.parametrize("name", ["fiml.x", "ml.x"])
def test_modelled_covariates(name):
    table = mlsem.check(FACTORS, missing=name)
    assert table == mlsem.check(FACTORS, fixed_x=False)
    with pytest.raises(OptionValueError, match="fixed_x=True conditions on them"):
        mlsem.check(FACTORS, missing=name, fixed_x=True)


def test_one_level():
    """Where values are missing, means do not separate from covariances and are in the model, and
    errors are by the observed information."""
    text = "f =~ y1 + y2 + y3"
    assert mlsem.check(text, missing="fiml") == mlsem.check(text, meanstructure=True)
    assert mlsem.check(text, missing="listwise") == mlsem.check(text)
    fit = mlsem.fit(text, LACKING, missing="fiml")
    assert abs(fit.params["y1~1"] - LACKING["y1"].mean()) > 0.01
    observed = mlsem.fit(text, LACKING, missing="fiml", information="observed")
    pd.testing.assert_series_equal(fit.bse, observed.bse, check_exact=True)
    with pytest.raises(OptionValueError, match="meanstructure=False leaves them out"):
        mlsem.fit(text, LACKING, missing="fiml", meanstructure=False)


def test_complete_data_are_fitted_as_ever():
    fit = mlsem.fit(FACTORS, DATA, "id")
    for model, estimator in ((FACTORS, "ML"), (PATHS, "REML")):
        full, plain = (
            mlsem.fit(model, DATA, "id", estimator=estimator, missing=missing)
            for missing in ("fiml", "listwise")
        )
        pd.testing.assert_series_equal(full.params, plain.params, check_exact=True)
    modelled = mlsem.fit(FACTORS, DATA, "id", missing="fiml.x")
    assert modelled.settings.missing == "fiml"
    assert len(modelled.params) > len(fit.params)


def test_restricted_likelihood_takes_complete_data():
    with pytest.raises(OptionValueError, match=r'"REML" takes complete data.*"listwise"'):
        mlsem.fit(FACTORS, LACKING, "id", missing="fiml", estimator="REML")


def test_mixed_models_have_no_use_for_it():
    with pytest.raises(OptionValueError, match=r"says nothing in lmm.*without its only outcome"):
        mlsem.lmm("y1 ~ x1 + (1 | id)", LACKING, missing="ml")


# --- rows that listwise deletion leaves out -------------------------------------------------------

SPLIT = "level: 1\n y1 ~ x1\n y1 ~~ v\nlevel: 2\n y1 ~ w1"


@pytest.mark.parametrize(
    ("model", "columns", "said"),
    [
        (SPLIT, ["y1"], r'missing="fiml" uses what is observed in them; missing="listwise" leaves'),
        (SPLIT, ["x1"], r'missing="fiml\.x", which models covariates, uses what is observed'),
        (SPLIT, ["y1", "w1"], r"\('w1'\), which missing=\"fiml\.x\" models"),
        (PATHS, ["y1"], r'Without an outcome they say nothing, with missing="fiml" neither'),
        (
            'level: 1\n y1 ~ rv("s")*x1\n y1 ~~ v\nlevel: 2\n y1 ~~ s',
            ["x1"],
            r'missing="fiml" uses no row either in which the carrier of a random slope is missing',
        ),
    ],
)
def test_they_are_said_at_the_call(model, columns, said):
    data = DATA.reset_index(drop=True)
    for place, name in enumerate(columns):
        data.loc[data.index % 7 == place, name] = np.nan
    gone = data[columns].isna().any(axis=1).sum()
    share = rf"{gone} of {len(data)} rows \({gone / len(data):.1%}\) left out for missing values"
    with pytest.warns(DataWarning, match=share + ".*" + said) as caught:
        fit = mlsem.fit(model, data, "id")
    assert caught[0].filename == __file__
    assert len([each for each in caught if each.category is DataWarning]) == 1
    silent = mlsem.fit(model, data, "id", missing="listwise")
    pd.testing.assert_series_equal(fit.params, silent.params, check_exact=True)
    assert fit.notes == silent.notes
    assert any("left out for missing values" in note for note in fit.notes)
    with pytest.warns(DataWarning, match=share):
        fit.update("+ level: 2\n y1 ~~ y1", data=data)


def test_clusters_without_rows_that_say_something_keep_their_level_2():
    """z is known of clusters in which nothing of level 1 is; their number of rows is no matter."""
    model = "level: 1\n y1 ~~ v\nlevel: 2\n z ~ y1"
    data = DATA.reset_index(drop=True)
    empty = data["id"] % 4 == 0
    data.loc[empty, ["y1", "v"]] = np.nan
    fit = mlsem.fit(model, data, "id", missing="fiml", se="none")
    assert (fit.n_obs, fit.n_clusters) == (len(data), data["id"].nunique())
    once = data[~(empty & data["id"].duplicated())]
    again = mlsem.fit(model, once, "id", missing="fiml", se="none")
    assert fit.loglik == pytest.approx(again.loglik, abs=1e-9)
    np.testing.assert_allclose(fit.params, again.params, atol=1e-7)
    without = mlsem.fit(model, data[~empty], "id", missing="fiml", se="none")
    assert abs(without.loglik - fit.loglik) > 1.0


# --- the header of the summary --------------------------------------------------------------------


def lines(fit):
    return [" ".join(line.split()) for line in str(fit.summary()).splitlines()]


def test_the_summary_says_what_is_used():
    data = LACKING.copy()
    data.loc[data.index % 11 == 3, "x1"] = np.nan
    data.loc[data["id"] % 9 == 5, "w1"] = np.nan
    gone = data["w1"].isna() | data["x1"].isna()
    said = lines(mlsem.fit(SPLIT, data, "id", missing="fiml", se="none"))
    assert f"Number of observations (used) {(~gone).sum()}" in said
    assert f"Observations with missing values {(~gone & data['y1'].isna()).sum()}" in said
    out = data["id"].nunique() - data.loc[~gone, "id"].nunique()
    assert f"Clusters left out {out}" in said
    assert "Patterns of missing values 2" in said
    said = lines(mlsem.fit(SPLIT, data, "id", missing="fiml.x", se="none"))
    assert f"Number of observations {len(data)}" in said
    without = data.loc[data["w1"].isna(), "id"].nunique()
    assert f"Clusters with missing values {without}" in said
    assert "Patterns of missing values (level 1, 2) 4, 2" in said
    assert "Missing values in these none" in lines(mlsem.fit(PATHS, DATA, "id", missing="fiml"))


def test_what_a_missing_product_assumes_is_said():
    data = DATA.reset_index(drop=True)
    data.loc[data.index % 6 == 1, "x1"] = np.nan
    model = "level: 1\n y1 ~ x1 + v + x1:v\nlevel: 2\n y1 ~ w1"
    fit = mlsem.fit(model, data, "id", missing="fiml.x", se="none")
    assert "'x1:v': missing where a factor is, and taken as normal" in " ".join(fit.notes)


# --- updates without the data ---------------------------------------------------------------------


def test_updates_read_the_cells_again():
    data = LACKING.copy()
    data.loc[data.index % 11 == 3, "x1"] = np.nan
    fit = mlsem.fit(SPLIT, data, "id", missing="fiml.x", se="none")
    smaller = fit.update("level: 1\n y1 ~~ v\nlevel: 2\n y1 ~~ y1")
    assert smaller.n_obs == len(data)
    again = mlsem.fit("level: 1\n y1 ~~ v\nlevel: 2\n y1 ~~ y1", data, "id", missing="fiml")
    assert smaller.loglik == pytest.approx(again.loglik, abs=1e-8)
    with pytest.raises(DataError, match="'x1': a fixed covariate here, and missing in rows"):
        fit.update(fixed_x=True)
    with pytest.raises(OptionValueError, match="takes complete data"):
        fit.update(estimator="REML")
    fixed = fit.update(fixed_x=True, data=data)
    assert fixed.n_obs == data["x1"].notna().sum()


def test_one_outcome_is_a_mixed_model_of_the_rows_that_have_it():
    """Whatever `missing=` says: rows without the outcome say nothing, and CR2 is that of the
    complete rows."""
    data = frame("demo_missing.csv")
    text = "level: 1\n y1 ~ x1 + x2\nlevel: 2\n y1 ~ w1"
    fits = [
        mlsem.fit(text, data, cluster="cluster", se="CR2", missing=missing)
        for missing in ("fiml", "listwise")
    ]
    assert fits[0].n_obs == fits[1].n_obs == int(data["y1"].notna().sum())
    assert fits[0].bic == fits[1].bic
    np.testing.assert_array_equal(fits[0].bse, fits[1].bse)
