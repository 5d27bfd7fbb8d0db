"""Rows of mixed models: predictions, residuals, new outcomes; against lme4 and dense matrices."""

from __future__ import annotations

import copy
import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import DataError, InferenceError, OptionValueError

FOLDER = Path(__file__).parents[1] / "reference"
R: Any = json.loads((FOLDER / "emmeans.json").read_text("utf-8"))


@cache
def data_of(name: str) -> pd.DataFrame:
    case = R["fits"][name]
    data = pd.read_csv(FOLDER / "data" / f"{case['data']}.csv")
    return data.drop(index=[k - 1 for k in case["take"]])


@cache
def fit_of(name: str) -> Any:
    return mlsem.lmm(R["fits"][name]["formula"], data_of(name))


@cache
def article() -> tuple[pd.DataFrame, Any]:
    data = mlsem.load_example("article")
    return data, mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)


@pytest.mark.parametrize("case", R["predictions"], ids=lambda case: case["fit"])
def test_as_lme4_and_henderson(case: dict[str, Any]) -> None:
    fit, data = fit_of(case["fit"]), data_of(case["fit"])
    name = fit.table.split[0]
    found = fit.predict(data, se=True)
    spread = np.std(case["fitted"])
    np.testing.assert_allclose(found[name], case["fitted"], atol=1e-5 * spread)
    np.testing.assert_allclose(found[f"{name}_se"], case["se"], rtol=1e-4)
    fixed = fit.predict(data, random=False, se=True)
    np.testing.assert_allclose(fixed[name], case["fixed"], atol=1e-6 * spread)
    np.testing.assert_allclose(fixed[f"{name}_se"], case["se_fixed"], rtol=1e-5)
    # lme4 does not divide by σ but with scaled = TRUE; nlme does
    np.testing.assert_allclose(
        fit.residuals("pearson") * fit.VarCorr().sigma, case["pearson"], atol=1e-5 * spread
    )
    assert found.index.equals(data.index)


def test_the_error_of_prediction_by_dense_matrices() -> None:
    """Var of η̂ - η by V⁻¹ of all rows, also where the covariance is singular."""
    data = data_of("sleep")
    for formula, restricted in (
        ("Reaction ~ Days + (Days | Subject)", True),
        ("Reaction ~ 0 + Days + (Days || Subject)", False),
        ("Reaction ~ 1 + (0 + Days | Subject)", True),
    ):
        fit = mlsem.lmm(formula, data, REML=restricted)
        names = list(fit.fixef().index)
        both = np.column_stack([np.ones(len(data)), data["Days"]])
        x = both[:, [["(Intercept)", "Days"].index(name) for name in names]]
        effects = list(fit.VarCorr().effects)
        z = both[:, [["(Intercept)", "Days"].index(name) for name in effects]]
        psi, sigma2 = fit.VarCorr().covariance, fit.VarCorr().residual
        same = data["Subject"].to_numpy()[:, None] == data["Subject"].to_numpy()
        shared = same * (z @ psi @ z.T)
        inverse = np.linalg.inv(shared + sigma2 * np.eye(len(data)))
        phi = np.linalg.inv(x.T @ inverse @ x)
        away = x - shared @ inverse @ x
        wanted = np.diagonal(away @ phi @ away.T + shared - shared @ inverse @ shared)
        found = fit.predict(data, se=True, interval="prediction")
        np.testing.assert_allclose(found["Reaction_se"] ** 2, wanted, rtol=1e-6)
        half = (found["Reaction_upper"] - found["Reaction_lower"]) / 2
        np.testing.assert_allclose((half / 1.959963985) ** 2, wanted + sigma2, rtol=1e-6)
        y = data["Reaction"].to_numpy()
        rest = y - x @ fit.fixef().to_numpy()
        np.testing.assert_allclose(fit.fitted(data), y - sigma2 * inverse @ rest, rtol=1e-6)
        np.testing.assert_allclose(fit.residuals("marginal", data=data), rest, atol=1e-9)


def test_new_clusters() -> None:
    data, fit = article()
    new = data.head(4).assign(id=[1, 2, 9001, 9001])
    with pytest.raises(
        DataError, match=r"1 of 3 clusters of the data.*id 9001.*new_levels=\"population\""
    ):
        fit.predict(new)
    found = fit.predict(new, se=True, interval="prediction", new_levels="population")
    assert "2 of 4 are of clusters" in found.attrs["note"]
    alone = fit.predict(new, random=False, se=True, interval="prediction")
    for column in ("y", "y_lower", "y_upper"):
        np.testing.assert_allclose(found[column][2:], alone[column][2:])
    x = np.column_stack([np.ones(4), new["w1"], new["x1"], new["w1"] * new["x1"]])
    z, psi = x[:, [0, 2]], fit.VarCorr().covariance
    phi = fit.vcov().to_numpy()[:4, :4]
    fixed = np.diagonal(x @ phi @ x.T)
    np.testing.assert_allclose(found["y_se"][2:] ** 2, (fixed + np.diagonal(z @ psi @ z.T))[2:])
    np.testing.assert_allclose(alone["y_se"] ** 2, fixed)


def test_without_the_columns_that_are_not_needed() -> None:
    data, fit = article()
    bare = data[["w1", "x1"]].head(5)
    found = fit.predict(bare, random=False, interval="confidence")
    assert found.columns.tolist() == ["y", "y_lower", "y_upper"]
    # t intervals of xᵀβ, by the degrees of freedom of the fit
    row = bare.iloc[0]
    contrast = fit.marginal_means("x1", at={"x1": [row["x1"]], "w1": [row["w1"]]}).frame.iloc[0]
    assert found["y"].iloc[0] == pytest.approx(contrast["estimate"])
    assert found["y_lower"].iloc[0] == pytest.approx(contrast["lower"])
    assert found["y_upper"].iloc[0] == pytest.approx(contrast["upper"])
    with pytest.raises(DataError, match="'id'"):
        fit.predict(bare)
    robust = fit.with_se("CR2")
    mine = robust.predict(bare, random=False, se=True)["y_se"].iloc[0]
    design = np.array([1.0, row["w1"], row["x1"], row["w1"] * row["x1"]])
    assert mine**2 == pytest.approx(design @ robust.vcov().to_numpy()[:4, :4] @ design)


def test_missing_values() -> None:
    data = article()[0].copy()
    data.loc[3, "x1"] = np.nan
    data.loc[7, "y"] = np.nan
    fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data, missing="listwise")
    assert np.flatnonzero(fit.fitted().isna()).tolist() == [3, 7]
    assert np.flatnonzero(fit.residuals().isna()).tolist() == [3, 7]
    found = fit.predict(data, se=True, interval="confidence", random=False)
    assert np.flatnonzero(found.isna().any(axis=1)).tolist() == [3]
    assert np.flatnonzero(fit.simulate(1, seed=1)["sim_1"].isna()).tolist() == [3]


def test_the_data_frame_of_the_fit() -> None:
    """Used as long as it is there and the same; a fit keeps no rows."""
    data = article()[0].copy()
    fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
    pd.testing.assert_series_equal(fit.fitted(), fit.fitted(data))
    assert fit.with_se("CR2").residuals().equals(fit.residuals(data=data))
    for other in (pickle.loads(pickle.dumps(fit)), copy.deepcopy(fit)):
        with pytest.raises(InferenceError, match="or the query of the fit is gone: pass data="):
            other.fitted()
        pd.testing.assert_series_equal(other.fitted(data), fit.fitted(data))
    data["beside"] = 1.0  # what the formula does not know does not matter
    shuffled = data.sample(frac=1.0, random_state=1)
    np.testing.assert_allclose(fit.fitted(shuffled).loc[data.index], fit.fitted())
    data["y"] += 0.01
    with pytest.raises(DataError, match="has changed since"):
        fit.residuals()
    data["y"] -= 0.01
    fit.residuals()
    del data["x1"]
    with pytest.raises(DataError, match="has changed since"):
        fit.simulate(1)
    del data
    with pytest.raises(InferenceError, match="is gone"):
        fit.predict()


def test_new_outcomes_have_the_model_s_moments() -> None:
    data, fit = article()
    draws = fit.simulate(4000, seed=3).to_numpy()[:10]
    rows = data.head(10)
    expected = fit.predict(rows, random=False)["y"]
    z = np.column_stack([np.ones(10), rows["x1"]])
    psi, sigma2 = fit.VarCorr().covariance, fit.VarCorr().residual
    same = rows["id"].to_numpy()[:, None] == rows["id"].to_numpy()
    wanted = same * (z @ psi @ z.T) + sigma2 * np.eye(10)
    scale = np.sqrt(np.diagonal(wanted))
    assert (np.abs(draws.mean(axis=1) - expected) < 4 * scale / np.sqrt(4000)).all()
    np.testing.assert_allclose(np.cov(draws), wanted, atol=4 * scale.max() ** 2 * np.sqrt(2 / 4000))
    known = fit.simulate(2000, seed=4, effects="predicted").to_numpy()[:10]
    np.testing.assert_allclose(known.mean(axis=1), fit.fitted()[:10], atol=4 / np.sqrt(2000))
    np.testing.assert_allclose(known.var(axis=1), sigma2, rtol=0.2)
    assert fit.simulate(2, seed=9).equals(fit.simulate(2, seed=9))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda fit: fit.predict(interval="both"), "interval='both'"),
        (lambda fit: fit.predict(random=None), "random=None"),
        (lambda fit: fit.predict(new_levels="allow"), "population"),
        (lambda fit: fit.predict(confidence=95), "between 0 and 1"),
        (lambda fit: fit.residuals("deviance"), "'pearson'"),
        (lambda fit: fit.residuals("pearson", level=2), "of rows"),
        (lambda fit: fit.simulate(0), "n=0"),
        (lambda fit: fit.simulate(seed=-1), "seed=-1"),
        (lambda fit: fit.simulate(effects="old"), "effects='old'"),
    ],
)
def test_what_arguments_cannot_take(call: Any, words: str) -> None:
    with pytest.raises(OptionValueError, match=words):
        call(article()[1])


def test_a_search_that_ended_early() -> None:
    data = article()[0]
    with pytest.warns(mlsem.ConvergenceWarning):
        fit = mlsem.lmm("y ~ x1 + (x1 | id)", data, max_iter=1, on_failure="warn")
    assert "did NOT converge" in str(fit.summary())
    for call in (fit.predict, fit.fitted, fit.residuals, fit.simulate):
        with pytest.raises(InferenceError, match="did not converge"):
            call()
    with pytest.raises(InferenceError, match="did not converge"):
        fit.marginal_means("x1")


def test_moments_of_level_2_and_residual_moments_are_still_there() -> None:
    data = data_of("sleep")
    fit = mlsem.lmm("Reaction ~ Days + (1 | Subject)", data, REML=False)
    effects = fit.predict(level=2)
    assert len(effects) == 18
    assert fit.residuals("raw", level=2).cov.shape[0] >= 1
