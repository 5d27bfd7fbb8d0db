"""Full information maximum likelihood against lavaan 0.7-2 (`reference/fit/fiml.json`), and
against the engines of complete data."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER, frame, indexed

import mlsem
from mlsem.core.patterns.convert import as_cells
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.pose import pose
from mlsem.results.result import assemble

CASES = json.loads((FOLDER / "fit" / "fiml.json").read_text("utf-8"))["cases"]
ESTIMATES, ERRORS, LOGLIK = 1e-4, 5e-4, 2e-5  # of a standard error, relative, absolute
PRINTED = 5e-7  # lavaan's log-likelihoods have as many digits
EARLY = {"z_missing_ml": 4e-3}  # lavaan stops early there
MODELLED = "x_missing_mlx_ml"  # ours has the covariates' likelihood and moments, too


def data_of(rule: str) -> pd.DataFrame:
    """demo_missing.csv with the further values missing that a case says."""
    data = frame("demo_missing.csv").copy()
    row = np.arange(1, len(data) + 1)
    position = pd.factorize(data["cluster"])[0] + 1
    if rule.startswith("w1 NA"):
        data.loc[position % 7 == 3, "w1"] = np.nan
    elif rule.startswith("x1 NA"):
        data.loc[row % 11 == 5, "x1"] = np.nan
    elif rule.startswith("y1..y3 NA"):
        data.loc[row % 50 == 7, ["y1", "y2", "y3"]] = np.nan
    elif rule.startswith("yk NA"):
        for k in (4, 5, 6):
            data.loc[(row * (k + 3)) % 9 == 1, f"y{k}"] = np.nan
    else:
        assert rule == "none"
    return data


@cache
def fitted(name: str) -> mlsem.FitResult:
    case = CASES[name]
    options = {key.replace(".", "_"): value for key, value in dict(case["options"] or {}).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        data = data_of(case["extra_missing"])
        return mlsem.fit(case["model"], data, cluster="cluster", **{"missing": "ml", **options})


@pytest.mark.parametrize("name", CASES)
def test_estimates_and_errors(name):
    table = pd.DataFrame(CASES[name]["table"])
    table["level"] = table["level"] if "level" in table else table["block"]
    theirs, ours = indexed(table), indexed(fitted(name).parameter_estimates())
    theirs = theirs[theirs["se"].astype(float) > 0.0]
    ours = ours.loc[theirs.index]
    away = np.abs(ours["est"] - theirs["est"].astype(float)) / theirs["se"].astype(float)
    # lavaan stops early: by its log-likelihood it is so many standard errors from the maximum
    lacks = 0.0 if name == MODELLED else max(0.0, fitted(name).loglik - CASES[name]["logl"])
    early = 2.0 * np.sqrt(2.0 * (lacks + PRINTED))
    assert away.max() < EARLY.get(name, max(ESTIMATES, early))
    np.testing.assert_allclose(ours["se"], theirs["se"].astype(float), rtol=ERRORS)


@pytest.mark.parametrize("name", [name for name in CASES if name != MODELLED])
def test_loglik_and_rows(name):
    fit, case = fitted(name), CASES[name]
    assert fit.loglik > case["logl"] - LOGLIK
    assert fit.loglik < case["logl"] + (1e-3 if name in EARLY else LOGLIK)
    assert (fit.n_obs, fit.n_clusters) == (case["nobs"], case["nclusters"])


@pytest.mark.parametrize("name", CASES)
def test_measures(name):
    without = {"npar", "fmin", "logl", "unrestricted.logl", "aic", "bic", "bic2"}
    measures = fitted(name).fit_measures()
    for key, value in CASES[name]["fit"].items():
        if key not in without or (name != MODELLED and key != "fmin"):
            assert value is None or abs(measures[key] - value) < 2e-4 * abs(value) + 1e-3, key


COMPLETE = {
    "two levels": (
        "level: 1\n f =~ y1 + y2 + y3\n f ~ x1\nlevel: 2\n g =~ y1 + y2 + y3\n g ~ w1",
        {},
    ),
    "level-2 outcome": ("level: 1\n y1 ~ x1\nlevel: 2\n w1 ~ y1 + w2", {}),
    "random slope": ('level: 1\n y1 ~ rv("s")*x1\n y2 ~ x2\nlevel: 2\n y1 ~~ s + y2', {}),
    "single level": (
        "f =~ y1 + y2 + y3\n f ~ x1",
        {"meanstructure": True, "information": "observed"},
    ),
    "single level, rows": ("y1 ~ y2 + x1\n y2 ~ x1", {"meanstructure": True, "cluster": None}),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_complete_data_give_the_complete_engines_numbers(name):
    """Every cluster is one cell: the engine of patterns meets complete data."""
    text, options = COMPLETE[name]
    data = frame("demo.csv").head(600)
    options = {"cluster": "cluster", "estimator": "MLR"} | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        whole = mlsem.fit(text, data, **options)
        ours = in_cells(whole)
    assert ours.loglik == pytest.approx(whole.loglik, rel=1e-12)
    np.testing.assert_allclose(ours.params, whole.params, rtol=0, atol=1e-7)
    for se in ("standard", "MLR", "CR2"):
        first, second = whole.with_se(se), ours.with_se(se)
        np.testing.assert_allclose(second.bse, first.bse, rtol=1e-6)
        first, second = first.parameter_estimates(), second.parameter_estimates()
        np.testing.assert_allclose(second["df"], first["df"], rtol=1e-6)


def in_cells(fit):
    """The same fit, each cluster a cell in which everything is observed."""
    record = replace(fit._record, moments=as_cells(fit._record.moments))
    problem = pose(fit.table, record)
    optimum = optimum_of(problem, fit.settings, fit.params)
    return assemble(fit.model, Estimates(problem, fit.settings, optimum, record))
