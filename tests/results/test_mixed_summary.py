"""The summary and the tables of a mixed model."""

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
from mlsem.errors import InferenceError, OptionValueError

FOLDER = Path(__file__).parents[1] / "reference"
R: Any = json.loads((FOLDER / "emmeans.json").read_text("utf-8"))


@cache
def article() -> tuple[pd.DataFrame, Any]:
    data = mlsem.load_example("article")
    return data, mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)


def blocks(text: str) -> dict[str, list[list[str]]]:
    """The lines of each table by its title, cut into cells."""
    found: dict[str, list[list[str]]] = {}
    title = ""
    for line in text.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            title = line[:-1]
        elif line.strip():
            found.setdefault(title, []).append(line.split())
    return found


def test_the_layout_of_lme4() -> None:
    _, fit = article()
    text = str(fit.summary())
    tables = blocks(text)
    assert list(tables) == ["", "Random effects", "Fixed effects"]
    assert text.startswith("Linear mixed model by REML\n")
    assert ["Formula", "y", "~", "w1*x1", "+", "(x1", "|", "id)"] in tables[""]
    assert ["Groups", "[id]", "50"] in tables[""]
    assert ["REML", "criterion", "1591.000"] in tables[""]
    assert tables["Random effects"] == [
        ["Groups", "Name", "Variance", "Std.Dev.", "Corr"],
        ["id", "(Intercept)", "1.108", "1.053"],
        ["x1", "0.323", "0.568", "-0.03"],
        ["Residual", "0.952", "0.976"],
    ]
    fixed = tables["Fixed effects"]
    assert fixed[0] == ["Estimate", "Std.Error", "df", "t", "value", "P(>|t|)"]
    assert [row[0] for row in fixed[1:]] == ["(Intercept)", "w1", "x1", "w1:x1"]
    assert fixed[3] == ["x1", "0.576", "0.096", "47.2", "5.985", "<.001"]


def test_what_may_be_asked_for() -> None:
    data, fit = article()
    text = fit.summary(0.9, correlation=True, standardized=True, rsquare=True).to_text(digits=5)
    tables = blocks(text)
    limits = fit.conf_int(0.9)
    row = next(row for row in tables["Fixed effects"] if row[0] == "x1")
    standardized = fit.standardized().set_index(["lhs", "op", "rhs", "level"])["est_std"]
    wanted = [fit.params["x1"], fit.bse["x1"]]
    wanted += [*limits.loc["x1"], fit.params["x1"], standardized["y", "~", "x1", 1]]
    found = [float(row[k]) for k in (1, 2, 6, 7, 8, 9)]
    np.testing.assert_allclose(found, wanted, atol=6e-6)
    (residual,) = (row for row in tables["Variances and covariances"] if row[0] == "Residual")
    np.testing.assert_allclose([float(each) for each in residual[2:]], limits.loc["Residual"], 1e-5)
    matrix = fit.vcov().to_numpy()[:4, :4]
    rho = matrix[3, 2] / np.sqrt(matrix[3, 3] * matrix[2, 2])
    assert tables["Correlation of fixed effects"][-1][-1] == f"{rho:.3f}"
    assert ["Marginal", f"{fit.r_squared().mixed.marginal:.3f}"] in tables["R-squared"]
    with pytest.raises(InferenceError):
        fit.summary(fit_measures=True)
    ml = mlsem.lmm("y ~ w1*x1 + (1 | id)", data, REML=False)
    measures = ml.fit_measures(["cfi"])["cfi"]
    assert f"{measures:.3f}" in str(ml.summary(fit_measures=True))
    assert "Log-likelihood" in str(ml.summary())


def test_robust_and_z_tests_are_named() -> None:
    _, fit = article()
    robust = str(fit.with_se("CR2").summary())
    assert "CR2" in robust
    assert "Satterthwaite" in robust
    z = blocks(str(fit.with_se("standard", test="z").summary()))
    assert z["Fixed effects"][0] == ["Estimate", "Std.Error", "z", "value", "P(>|z|)"]


def test_html_is_escaped_and_pickles() -> None:
    data, _ = article()
    odd = data.rename(columns={"x1": "<i>&\x1b[31m", "id": "Schüler <b>"})
    fit = mlsem.lmm("y ~ `<i>&\x1b[31m` + (1 | `Schüler <b>`)", odd)
    page, text = fit.summary()._repr_html_(), str(fit.summary())
    assert "<i>" not in page
    assert "<b>" not in page
    assert "&lt;i&gt;&amp;" in page
    assert "\x1b" not in page + text + str(fit.VarCorr())
    assert "Schüler" in text
    again = pickle.loads(pickle.dumps(fit.summary(level=0.95)))
    assert str(again) == str(fit.summary(level=0.95))
    assert fit._repr_html_() == page


@pytest.mark.parametrize("name", R["VarCorr"])
def test_variances_as_lme4_has_them(name: str) -> None:
    bar = {"correlated": "|", "apart": "||"}[name]
    data = pd.read_csv(FOLDER / "data" / "sleepstudy.csv")
    fit = mlsem.lmm(f"Reaction ~ Days + (Days {bar} Subject)", data)
    frame, wanted = fit.VarCorr().frame, pd.DataFrame(R["VarCorr"][name])
    for column in ("grp", "var1", "var2"):
        assert frame[column].fillna("").tolist() == wanted[column].fillna("").tolist()
    np.testing.assert_allclose(frame["vcov"], wanted["vcov"], rtol=1e-4)
    np.testing.assert_allclose(frame["sdcor"], wanted["sdcor"], rtol=1e-3)
    lines = str(fit.VarCorr()).splitlines()
    assert lines[0].split() == ["Groups", "Name", "Variance", "Std.Dev.", "Corr"]
    assert len(lines) == 4


def test_tidy_as_broom_mixed_has_it() -> None:
    _, fit = article()
    frame = fit.tidy(level=0.9)
    assert list(frame) == [
        *("effect", "group", "term", "estimate", "std.error"),
        *("statistic", "df", "p.value", "conf.low", "conf.high"),
    ]
    assert frame["term"].tolist()[4:] == [
        "sd__(Intercept)",
        "sd__x1",
        "cor__(Intercept).x1",
        "sd__Observation",
    ]
    assert frame["group"].tolist()[4:] == ["id", "id", "id", "Residual"]
    np.testing.assert_allclose(frame["estimate"][:4], fit.fixef())
    v, w, c, residual = fit.params.iloc[4:]
    wanted = [np.sqrt(v), np.sqrt(w), c / np.sqrt(v * w), np.sqrt(residual)]
    np.testing.assert_allclose(frame["estimate"][4:], wanted)
    limits = fit.conf_int(0.9)
    np.testing.assert_allclose(frame["conf.low"][[4, 5, 7]] ** 2, limits["lower"].iloc[[4, 5, 7]])
    # the delta method, by differences
    values, step = fit.params.to_numpy(), 1e-5
    moved = [values + sign * step * np.eye(8) for sign in (1, -1)]
    cor = [m[:, 6] / np.sqrt(m[:, 4] * m[:, 5]) for m in moved]
    slope = (cor[0] - cor[1]) / (2 * step)
    assert frame["std.error"][6] == pytest.approx(np.sqrt(slope @ fit.vcov() @ slope), rel=1e-6)
    plain = fit.tidy(scale="vcov")
    assert plain["term"][6] == "cov__(Intercept).x1"
    np.testing.assert_allclose(plain["estimate"], fit.params)
    np.testing.assert_allclose(plain["std.error"], fit.bse)
    with pytest.raises(OptionValueError, match="scale='sd'"):
        fit.tidy(scale="sd")


@pytest.mark.filterwarnings("ignore::mlsem.errors.EstimationWarning")
def test_a_singular_fit() -> None:
    """A variance of zero has a standard deviation of zero and no correlations."""
    data, _ = article()
    fit = mlsem.lmm("y ~ x1 + (x1 | id)", data.assign(id=np.arange(500) % 40))
    assert fit.singular
    rows = fit.tidy().set_index("term")
    zero = [name for name in ("(Intercept)", "x1") if fit.params[f"id.{name}"] < 1e-10]
    for name in zero:
        assert rows.loc[f"sd__{name}", "estimate"] < 1e-5
    if zero:
        assert np.isnan(rows.loc["cor__(Intercept).x1", "estimate"])
    else:
        assert abs(rows.loc["cor__(Intercept).x1", "estimate"]) == pytest.approx(1.0)
    assert "nan" not in (str(fit.summary()) + str(fit.VarCorr())).lower()
    assert np.isfinite(fit.predict(data.assign(id=np.arange(500) % 40), se=True)).all(axis=None)


def test_the_class_stays() -> None:
    data, fit = article()
    for other in (fit.with_se("CR2"), pickle.loads(pickle.dumps(fit)), fit.update(REML=False)):
        assert type(other) is type(fit)
        assert list(other.params.index) == list(fit.params.index)
    assert repr(fit).startswith("<MixedResult: 8 parameters, 500 rows")
    simple = mlsem.lmm("y ~ w1*x1 + (1 | id)", data, REML=False)
    assert mlsem.lr_test(simple, fit.update(REML=False)).df == 2
    draws = fit.bootstrap("parametric", draws=5, seed=1)
    assert draws.draws.shape[1] == 8
    for frame in (fit.vcov(), fit.conf_int(), fit.information(), fit.scores().T):
        assert list(frame.index) == list(fit.params.index)
