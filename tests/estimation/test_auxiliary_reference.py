"""Auxiliary variables against semTools (`reference/fit/auxiliary.json`): single level, covariates
modelled, as it has them."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER, frame, indexed

import mlsem

CASES = json.loads((FOLDER / "fit" / "auxiliary.json").read_text("utf-8"))["cases"]
ERRORS, STATISTICS = 2e-5, 1e-6  # estimates in standard errors, as lavaan stops; relative
SAME = (
    "chisq",
    "df",
    "pvalue",
    "baseline.chisq",
    "baseline.df",
    "cfi",
    "tli",
    "rmsea",
    "aic",
    "bic",
)
SCALED = ("chisq.scaled", "cfi.scaled", "rmsea.scaled", "scaling.factor.h0", "scaling.factor.h1")


def data() -> pd.DataFrame:
    found = frame("hs1939.csv").copy()
    row = np.arange(1, len(found) + 1)
    found.loc[found["x7"] < 3.7, "x5"] = np.nan
    found.loc[row % 4 == 1, "x2"] = np.nan
    found.loc[found["x9"] > 6.2, "x6"] = np.nan
    found.loc[row % 9 == 4, "x7"] = np.nan
    return found


@cache
def fitted(name: str) -> mlsem.FitResult:
    case = CASES[name]
    options = dict(case["options"] or {})
    return mlsem.fit(
        case["model"], data(), missing="fiml.x", auxiliary=case["auxiliary"], **options
    )


@pytest.mark.parametrize("name", CASES)
def test_estimates_and_errors(name):
    theirs = indexed(pd.DataFrame(CASES[name]["table"]).assign(level=1)).astype(
        {"est": float, "se": float}
    )
    ours = indexed(fitted(name).parameter_estimates(auxiliary=True)).loc[theirs.index]
    assert len(ours) == len(theirs)
    free = theirs["se"] > 0.0
    away = (ours["est"] - theirs["est"])[free] / theirs["se"][free]
    assert away.abs().max() < ERRORS
    assert ours["se"][free].to_numpy() == pytest.approx(theirs["se"][free], rel=ERRORS)


@pytest.mark.parametrize("name", CASES)
def test_fit(name):
    fit, case = fitted(name), CASES[name]
    assert fit.loglik == pytest.approx(case["logl"], abs=1e-7)
    assert fit.n_params + fit.table.n_auxiliary == case["npar"]
    ours = fit.fit_measures()
    for measure in SAME + SCALED:
        if measure in case["fit"]:
            value = case["fit"][measure]
            tolerance = 1e-5 if measure in SCALED else STATISTICS
            assert ours[measure] == pytest.approx(value, rel=tolerance), measure
    assert "chisq.scaled" not in ours or "chisq.scaled" in case["fit"]


@pytest.mark.parametrize("auxiliary", [None, ["x7", "x9"]])
def test_scores_of_the_saturated_model_sum_to_its_gradient(auxiliary):
    fit = mlsem.fit(CASES["factors_ml"]["model"], data(), missing="fiml", auxiliary=auxiliary)
    point = fit._models.saturated
    scale = np.abs(point.scores).sum(axis=0)
    assert (np.abs(point.scores.sum(axis=0) - point.gradient) < 1e-10 * scale).all()
    assert np.abs(point.gradient).max() < 1e-4 * scale.min()
