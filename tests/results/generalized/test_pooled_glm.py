"""Generalised linear models fitted to several data sets and pooled."""

from __future__ import annotations

import json
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import DataWarning, InferenceError, OptionValueError, UnknownNameError

FOLDER = Path(__file__).parents[2] / "reference" / "surveys"
FORMULA = "high ~ x1 + w1 + y3"


@cache
def imputed() -> tuple[pd.DataFrame, ...]:
    long = pd.read_csv(FOLDER / "imputed.csv")
    long = long.assign(high=(long["y1"] > 0).astype(int), treated=(long["w1"] > 0).astype(int))
    return tuple(part.drop(columns="imp") for _, part in long.groupby("imp"))


@cache
def logits(formula: str = FORMULA, se: Any = "CR2", family: Any = "binomial") -> Any:
    fits = [mlsem.glm(formula, each, cluster="id", se=se, family=family) for each in imputed()]
    return mlsem.pool(fits)


def test_coefficients_are_those_of_r() -> None:
    expected = json.loads((FOLDER / "pooled_glm.json").read_text("utf-8"))
    found = mlsem.pool(logits(se="CR0"), df="barnard-rubin", complete_df=47)
    assert found.params.index.tolist() == expected["names"]
    np.testing.assert_allclose([fit.estimates for fit in found], expected["each"], rtol=1e-8)
    for name, values in (
        ("params", "est"),
        ("bse", "se"),
        ("riv", "riv"),
        ("df", "df"),
        ("fmi",) * 2,
    ):
        np.testing.assert_allclose(getattr(found, name), expected[values], rtol=1e-7)
    test = mlsem.pool(logits(se="CR0"), df="rubin").wald_test("`x1`; `w1`")
    np.testing.assert_allclose([test.statistic, test.df_denom, test.riv], expected["D1"], rtol=1e-7)


def test_degrees_of_freedom_match_two_moments() -> None:
    found = logits()
    nu = np.mean([fit.df for fit in found], axis=0)
    values = np.array([fit.estimates for fit in found])
    share = 1.2 * values.var(axis=0, ddof=1) / np.diag(found.vcov())
    np.testing.assert_allclose(found.df, 1 / (share**2 / 4 + (1 - share) ** 2 / nu), rtol=1e-10)


def test_effects_are_pooled_one_by_one_and_ratios_as_logarithms() -> None:
    pooled = logits("high ~ treated + x1")
    found = pooled.effects("treated").frame
    each = [fit.effects("treated").frame for fit in pooled]
    logs = np.array(["ratio" in effect for effect in found["effect"]])
    z, se = (np.array([one[name] for one in each]) for name in ("estimate", "se"))
    z = np.where(logs, np.log(z), z)
    total = (se**2).mean(axis=0) + 1.2 * z.var(axis=0, ddof=1)
    expected = np.where(logs, np.exp(z.mean(axis=0)), z.mean(axis=0))
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-12)
    np.testing.assert_allclose(found["se"], np.sqrt(total), rtol=1e-10)
    assert found["pvalue"].isna().tolist() == [True, True, False, False, False]
    ratio = found.iloc[3]
    middle = np.sqrt(ratio["lower"] * ratio["upper"])
    assert middle == pytest.approx(ratio["estimate"], rel=1e-10)
    assert len(pooled.effects("x1").frame) == 1
    with pytest.raises(OptionValueError, match="no column that the formula's"):
        pooled.effects("nothing")


def test_expected_outcomes_are_those_at_the_pooled_coefficients() -> None:
    pooled, rows = logits(), imputed()[0].head(4)
    found = pooled.predict(rows, se=True, level=0.95)
    x = np.column_stack([np.ones(4), rows[["x1", "w1", "y3"]]])
    eta = x @ pooled.estimates
    mean = 1 / (1 + np.exp(-eta))
    np.testing.assert_allclose(found["predicted"], mean, rtol=1e-12)
    spread = np.sqrt(np.diag(x @ pooled.vcov().to_numpy() @ x.T))
    np.testing.assert_allclose(found["se"], spread * mean * (1 - mean), rtol=1e-10)
    assert len(pooled.predict()) == pooled.n_obs


def test_exponentiated_coefficients_are_those_of_the_pooled_ones() -> None:
    found = logits().exponentiated()
    limits = np.exp(logits().conf_int())
    np.testing.assert_allclose(found["ratio"], np.exp(logits().params), rtol=1e-12)
    np.testing.assert_allclose(found[["lower", "upper"]], limits, rtol=1e-12)
    with pytest.raises(InferenceError, match="is no ratio of anything"):
        logits(family="gaussian").exponentiated()


def test_tables_and_summary() -> None:
    found = logits()
    table = found.parameter_estimates(0.9)
    assert table["fmi"].tolist() == found.fmi.tolist()
    assert table["ci_lower"].tolist() == found.conf_int(0.9)["lower"].tolist()
    assert found.tidy()["term"].tolist() == found.params.index.tolist()
    text = str(found.summary(0.95))
    assert "5 fits pooled by Rubin's rules" in text
    assert text.splitlines()[-1].split()[-1] == f"{found.fmi.iloc[-1]:.3f}"
    assert "FMI" in found.summary().to_latex()
    assert found.glance().loc[0, ["family", "link", "n_data"]].tolist() == ["binomial", "logit", 5]
    assert "5 fits pooled" in str(mlsem.summary_table([found, found[0]]))
    again = pickle.loads(pickle.dumps(found))
    assert again.df.tolist() == found.df.tolist()
    np.testing.assert_array_equal(found.with_se("CR0").bse, logits(se="CR0").bse)


def test_estimating_equations_are_pooled_too() -> None:
    fits = [mlsem.gee(FORMULA, each, cluster="id", family="binomial") for each in imputed()]
    found = mlsem.pool(fits)
    assert "exchangeable" in str(found.summary())
    np.testing.assert_allclose(found.estimates, np.mean([f.estimates for f in fits], axis=0))
    with pytest.raises(InferenceError, match="different working correlations"):
        mlsem.pool([fits[0], logits()[1]])


def test_changed_models_are_pooled_again_and_drawn() -> None:
    found = logits().update(". ~ . - y3", se="CR0")
    again = logits("high ~ x1 + w1", se="CR0")
    np.testing.assert_allclose(found.estimates, again.estimates, rtol=1e-10)
    np.testing.assert_allclose(found.bse, again.bse, rtol=1e-8)
    assert found.plot_coefficients(logits(), names=["small", "large"]).axes
    with pytest.raises(OptionValueError, match=r"(?s)several data sets.*mlsem\.pool"):
        found.update(data=imputed()[0])


def test_one_plausible_value_is_warned_of() -> None:
    one = imputed()[0]
    rows = one.assign(PV1M=one["y1"], PV2M=one["y1"] + one["y3"])
    with pytest.warns(DataWarning, match=r"'PV1M' is one of 2 plausible values.*mlsem\.pool"):
        mlsem.glm("PV1M ~ x1", rows, cluster="id", family="gaussian")


def test_what_is_refused() -> None:
    found = logits()
    with pytest.raises(UnknownNameError, match=r"no 'rho'.*fits\[0\]\.rho"):
        found.rho  # noqa: B018
    with pytest.raises(UnknownNameError, match=r"likelihood-ratio.*wald_test"):
        found.lr_test(found)
    with pytest.raises(InferenceError, match="different families, binomial and poisson"):
        mlsem.pool([found[0], logits(family="poisson")[1]])
    with pytest.raises(OptionValueError, match="fit 2 is a FitResult; it takes a GlmResult"):
        mlsem.pool([found[0], mlsem.sem("y3 ~ x1", imputed()[0])])  # type: ignore[list-item]
