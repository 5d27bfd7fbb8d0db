"""Against semopy itself: the same estimates, and our fits in its models."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import (
    InterfaceError,
    OptionValueError,
    SpecificationError,
    SpecificationWarning,
)
from mlsem.interop.semopy import from_semopy, to_semopy

with warnings.catch_warnings():
    # statsmodels and sympy, which it imports, are free to deprecate.
    warnings.simplefilter("ignore", DeprecationWarning)
    semopy = pytest.importorskip("semopy")
threadpoolctl = pytest.importorskip("threadpoolctl")  # a dependency of its dependencies

DATA = Path(__file__).parents[1] / "reference" / "data"
TIGHT = {"ftol": 1e-12}

SCHOOL = """
    visual =~ x1 + x2 + x3
    textual =~ x4 + x5 + x6
    speed =~ x7 + x8 + x9
"""
MODELS = {
    "factors": SCHOOL,
    "growing": "f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\ng ~ f + x7\nx8 ~ g + x9",
    "labels": "f =~ x1 + a*x2 + a*x3\nf ~ b*x7 + b*x8\nx9 ~ f",
    "first labelled": "f =~ a*x1 + x2 + x3",
    "other fixed": "f =~ x1 + 0.5*x2 + x3 + x4",
    "fixed path": "x1 ~ 0.3*x2 + x3\nx4 ~ x1 + x2",
    "outcomes apart": "x1, x2 ~ x3 + x4",
    "outcomes covary": "x1, x2 ~ x3 + x4\nx1 ~~ x2",
    "covariates written": "x1 ~ x2 + x3\nx2 ~~ x3",
    "residuals": "f =~ x1 + x2 + x3 + x7\nx8 ~ x9\nx1 ~~ x8\nx2 ~~ x3",
    "orthogonal": "f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\nf ~~ 0*g",
    "equality": "x1 ~ a*x2 + b*x3\nCONSTRAINT(a = 2*b)",
    "curved": "x1 ~ a*x2 + b*x3\nCONSTRAINT(exp(a) = 1 + b)",
    "inequality": "x1 ~ a*x2 + b*x3\nCONSTRAINT(a < 0.1)",
    "bound": "x1 ~ a*x2 + b*x3\nBOUND(-1, 0.1) a\nSTART(0.05) a",
    "forced": "x1 ~ x2 + x3\nFORCE(endo) x4",
    "idle": "x2 ~ x1\nx3 ~ x2 + x4\nx3 ~ 0*x3\nx2 ~~ x3\nx1 ~~ x1\nx4 ~~ x4\nx1 ~~ x4",
    "second order": SCHOOL + "\nall =~ visual + textual + speed",
}
CONSTRAINED = ("equality", "curved", "inequality", "bound")


@pytest.fixture(scope="module")
def school() -> pd.DataFrame:
    return pd.read_csv(DATA / "hs1939.csv")


@pytest.fixture(scope="module")
def demo() -> pd.DataFrame:
    return pd.read_csv(DATA / "demo.csv")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """No log of semopy's; one thread, without which its small matrices wait for each other."""
    logging.disable(logging.WARNING)
    with threadpoolctl.threadpool_limits(1):
        yield
    logging.disable(logging.NOTSET)


def _estimates(inspection: pd.DataFrame) -> dict[tuple[str, ...], float]:
    """semopy's table by (op, pair); it writes loadings as regressions."""
    found = {}
    for lhs, op, rhs, value in inspection[["lval", "op", "rval", "Estimate"]].itertuples(
        index=False
    ):
        pair = tuple(sorted((lhs, rhs))) if op == "~~" else (lhs, rhs)
        found[op, *pair] = float(value)
    return found


def _ours(fit: mlsem.FitResult, level: int = 1) -> dict[tuple[str, ...], float]:
    found = {}
    table = fit.parameter_estimates()
    for row in table[table["level"] == level].itertuples():
        lhs, rhs = str(row.lhs), str(row.rhs)
        if row.op == "=~":
            found["~", rhs, lhs] = row.est
        elif row.op == "~":
            found["~", lhs, rhs] = row.est
        elif row.op == "~~":
            found["~~", *sorted((lhs, rhs))] = row.est
        else:
            found["~", lhs, "1"] = row.est
    return found


def _saturated(data: pd.DataFrame, names: tuple[str, ...]) -> float:
    """Largest log-likelihood of any covariance matrix of these columns."""
    cov = np.atleast_2d(data[list(names)].cov(ddof=0)) if names else np.eye(0)
    inside = len(names) * (np.log(2 * np.pi) + 1) + np.linalg.slogdet(cov)[1]
    return -len(data) / 2 * inside


def _discrepancy(fit: mlsem.FitResult, data: pd.DataFrame) -> float:
    """semopy's objective at our estimates, of our log-likelihood."""
    level = fit.table.levels[0]
    best = _saturated(data, level.modelled + level.covariates) - _saturated(data, level.covariates)
    return 2 / len(data) * (best - fit.loglik)


@pytest.mark.parametrize("name", MODELS)
def test_single_level_ml_is_semopys(name: str, school: pd.DataFrame) -> None:
    model = semopy.Model(MODELS[name])
    found = model.fit(school, obj="MLW", options=TIGHT)
    fit = mlsem.fit(from_semopy(MODELS[name]), school)
    ours, theirs = _ours(fit), _estimates(model.inspect(information=None))
    theirs.pop(("~", "x3", "x3"), None)
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs, rel=2e-4, abs=2e-4)
    # Not worse than semopy, and close to it.
    assert _discrepancy(fit, school) == pytest.approx(found.fun, abs=1e-6)
    assert _discrepancy(fit, school) <= found.fun + 1e-10


def test_options_of_the_object_count(school: pd.DataFrame) -> None:
    text = "f =~ x1 + x2 + x3\ng =~ x4 + x5 + x6\nx7, x8 ~ f"
    for options in ({"mimic_lavaan": True}, {"cov_diag": True}, {}):
        model = semopy.Model(text, **options)
        found = model.fit(school, obj="MLW", options=TIGHT)
        fit = mlsem.fit(from_semopy(model), school)
        assert len(fit.params) == len(model.param_vals)
        assert _discrepancy(fit, school) == pytest.approx(found.fun, abs=1e-6)


@pytest.mark.parametrize("intercepts", [True, False])
def test_models_with_means(intercepts: bool, school: pd.DataFrame) -> None:
    text = "f =~ x1 + x2 + x3\nf ~ x7 + x8\nx4 ~ f + x9"
    model = semopy.ModelMeans(text, intercepts=intercepts)
    model.fit(school, options={"ftol": 1e-12})
    fit = mlsem.fit(from_semopy(model), school)
    ours, theirs = _ours(fit), _estimates(model.inspect(information=None))
    assert {key: ours[key] for key in theirs} == pytest.approx(theirs, rel=2e-3, abs=2e-3)


def test_objects_that_are_not_taken_over() -> None:
    with pytest.raises(SpecificationError, match="ModelEffects"):
        from_semopy(semopy.ModelEffects("y ~ x"))
    with pytest.raises(SpecificationError, match="baseline"):
        from_semopy(semopy.Model("y ~ x", baseline=True))
    with pytest.raises(SpecificationError, match="ModelMeans"):
        from_semopy(semopy.Model("y ~ 1 + x"))


# --- to_semopy -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_fit_and_back(name: str, school: pd.DataFrame) -> None:
    fit = mlsem.fit(from_semopy(MODELS[name]), school)
    model = to_semopy(fit)
    theirs, ours = _estimates(model.inspect(information=None)), _ours(fit)
    assert {key: value for key, value in theirs.items() if key in ours} == pytest.approx(
        {key: ours[key] for key in theirs if key in ours}, abs=1e-12
    )
    assert model.last_result.fun == pytest.approx(_discrepancy(fit, school), abs=1e-10)
    assert model.n_samples == len(school)
    if _discrepancy(fit, school) > 1e-8:  # semopy calls a discrepancy of 0 infinite
        model.fit(options=TIGHT)
        assert model.last_result.fun == pytest.approx(_discrepancy(fit, school), abs=1e-7)
    if name not in CONSTRAINED:  # the text alone does not hold constraints
        again = mlsem.fit(from_semopy(model.description), school)
        assert again.loglik == pytest.approx(fit.loglik, abs=1e-6)


TWO_LEVEL = """
    level: 1
      fw =~ y1 + y2 + y3
      fw ~ x1 + x2 + w1:x1
    level: 2
      fb =~ y1 + y2 + y3
      fb ~ w1 + w2
"""


def test_levels_of_a_two_level_fit(demo: pd.DataFrame) -> None:
    fit = mlsem.fit(TWO_LEVEL, demo, cluster="cluster")
    within, between = to_semopy(fit), to_semopy(fit, level=2)
    for model, level in ((within, 1), (between, 2)):
        ours = {
            tuple(part.replace(":", "_") for part in key): value
            for key, value in _ours(fit, level).items()
        }
        theirs = _estimates(model.inspect())
        assert {key: ours[key] for key in theirs} == pytest.approx(theirs, abs=1e-12)
    assert within.n_samples == len(demo) - 200
    names = ["y1", "y2", "y3", "x1", "x2"]
    deviations = demo[names] - demo.groupby("cluster")[names].transform("mean")
    pooled = deviations.T @ deviations / (len(demo) - 200)
    loaded = pd.DataFrame(within.mx_cov, within.vars["observed"], within.vars["observed"]).loc[
        names, names
    ]
    np.testing.assert_allclose(loaded, pooled, rtol=1e-10)
    assert between.n_samples == 200
    implied = fit.implied(2).cov
    order = between.vars["observed"]
    np.testing.assert_allclose(between.mx_cov, implied.loc[order, order], rtol=1e-10)
    assert between.last_result.fun == pytest.approx(0.0, abs=1e-10)
    assert within.fit(options=TIGHT).success


def test_tools_take_the_model(demo: pd.DataFrame, tmp_path: Path) -> None:
    fit = mlsem.fit(TWO_LEVEL, demo, cluster="cluster")
    for level in ("1", 1, 2):
        found: Any = semopy.calc_stats(to_semopy(fit, level))
        assert found["DoF"].iloc[0] > 0
    assert "y1" in to_semopy(fit).inspect(mode="mx")["Lambda"].index
    semopy.report(to_semopy(fit), "within", path=str(tmp_path))
    assert "Estimates of mlsem" in (tmp_path / "within" / "report.html").read_text("utf-8")


def test_covariances_alone(demo: pd.DataFrame) -> None:
    """Variables without arrows, names that semopy cannot read, a covariance beside a path."""
    text = """
        level: 1
          y2 ~ y1
          y1 ~~ y3
          y2 ~~ start(0.1)*y3
        level: 2
          y1 ~~ y2
          y1 ~~ y3
          y2 ~~ y3
    """
    renamed = demo.rename(columns={"y3": ".y"})
    fit = mlsem.fit(text.replace("y3", ".y"), renamed, cluster="cluster")
    for level in (1, 2):
        model = to_semopy(fit, level)
        theirs = _estimates(model.inspect(information=None))
        ours = {
            tuple(part.replace(".", "_") for part in key): value
            for key, value in _ours(fit, level).items()
        }
        theirs = {key: value for key, value in theirs.items() if key in ours}
        assert {key: ours[key] for key in theirs} == pytest.approx(theirs, abs=1e-12)
        assert len(theirs) == 6
        order = model.vars["observed"]
        implied = fit.implied(level).cov.rename(columns={".y": "_y"}, index={".y": "_y"})
        np.testing.assert_allclose(model.calc_sigma()[0], implied.loc[order, order], rtol=1e-9)


def test_what_is_lost_is_said(demo: pd.DataFrame) -> None:
    text = """
        level: 1
          y1 ~ a*x1 + b*x2
        level: 2
          y1 ~ a*w1 + v*w2
        b == 2*v
    """
    fit = mlsem.fit(text, demo, cluster="cluster")
    with pytest.warns(SpecificationWarning, match=r"across levels \('a'\) and constraints"):
        model = to_semopy(fit)
    assert model.constraints == []
    fit = mlsem.fit("f =~ y1 + y2 + y3\ny1 ~ 0*1\nf ~ 1", demo)
    with pytest.warns(SpecificationWarning, match="structured means"):
        to_semopy(fit)


def test_wrong_arguments(school: pd.DataFrame) -> None:
    fit = mlsem.fit("x1 ~ x2", school)
    with pytest.raises(OptionValueError, match="level=2"):
        to_semopy(fit, level=2)
    with pytest.raises(OptionValueError, match="FitResult"):
        to_semopy("y ~ x")  # type: ignore[arg-type]


def test_without_semopy(school: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = mlsem.fit("x1 ~ x2", school)
    monkeypatch.setitem(sys.modules, "semopy", None)
    with pytest.raises(InterfaceError, match=r'pip install "mlsem\[semopy\]"'):
        to_semopy(fit)
