"""Predictions of `lmm` for rows that it has not seen: the terms of the formula are made again."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import DataError, MlsemError
from mlsem.results.mixed.result import MixedResult

REFERENCE: Any = json.loads(
    (Path(__file__).parents[1] / "reference" / "formulas_new.json").read_text()
)
DATA, NEW = pd.DataFrame(REFERENCE["data"]), pd.DataFrame(REFERENCE["new"])
NEVER_SEEN = NEW.assign(school=NEW["school"] + 1000)


def _predicted(fit: MixedResult, data: pd.DataFrame) -> np.ndarray:
    return fit.predict(data, new_levels="population").iloc[:, 0].to_numpy()


@pytest.mark.filterwarnings("ignore::mlsem.errors.MlsemWarning")
@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["formula"])
def test_as_lme4_predicts(case: dict[str, Any]) -> None:
    fit = pickle.loads(pickle.dumps(mlsem.lmm(case["formula"], DATA)))
    np.testing.assert_allclose(_predicted(fit, NEW), case["seen"], rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(_predicted(fit, NEVER_SEEN), case["fixed"], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize(
    "term",
    [
        "I(x - mean(x))",
        "I((z - min(z)) / sd(z))",
        "poly(scale(x), 2)",
        "ordered(g)",
        "interaction(t, b)",
        "I(as.numeric(factor(t)) + x)",
        "ifelse(x > median(x), 'much', 'little')",
        "scale(poly(z, 2))",
        "factor(g, levels = c(3, 1, 2), labels = c('c', 'a', 'b'))",
        "t / x",
        "pmax(z, 0) + droplevels(factor(b))",
    ],
)
def test_a_row_does_not_depend_on_the_others(term: str) -> None:
    """Each of the fit's rows alone is predicted as among all of them, which the fit knows."""
    fit = mlsem.lmm(f"y ~ {term} + (1 | school)", DATA, REML=False)
    whole = _predicted(fit, DATA)
    for k in (0, 17, 119):
        np.testing.assert_allclose(_predicted(fit, DATA.iloc[[k]]), whole[[k]], atol=1e-10)
    shuffled = DATA.sample(frac=1.0, random_state=1).drop(columns="y")
    found = fit.predict(shuffled).iloc[:, 0]
    np.testing.assert_allclose(found.loc[DATA.index], whole, atol=1e-10)
    # at the maximum residuals of the conditional means add up to nothing
    assert (DATA["y"] - whole).sum() == pytest.approx(0.0, abs=1e-4)


def test_a_categorical_column_in_another_order() -> None:
    first, second = ["low", "mid", "top"], ["top", "low", "mid"]
    data = DATA.assign(t=pd.Categorical(DATA["t"], first))
    fit = mlsem.lmm("y ~ t * x + (1 | school)", data)
    other = NEW.assign(t=pd.Categorical(NEW["t"], second))
    np.testing.assert_array_equal(_predicted(fit, other), _predicted(fit, NEW))


@pytest.mark.parametrize("term", ["t", "factor(t)", "C(t, contr.sum)", "relevel(factor(t), 'mid')"])
def test_a_new_level_is_refused(term: str) -> None:
    fit = mlsem.lmm(f"y ~ {term} + (1 | school)", DATA)
    new = NEW.assign(t=["top", "best", "low", "low", "mid"])
    with pytest.raises(MlsemError, match=r"no level 'best'.*leave these rows out"):
        fit.predict(new)


def test_missing_values_are_missing() -> None:
    fit = mlsem.lmm("y ~ log(x) + t + poly(z, 2) + (1 | school)", DATA)
    expected = _predicted(fit, NEW)
    new = NEW.assign(x=[-1.0, *NEW["x"][1:]], z=[*NEW["z"][:4], np.nan])
    new["t"] = ["top", None, "top", "low", "mid"]
    with np.errstate(all="raise"):
        found = _predicted(fit, new)
    assert np.isnan(found).tolist() == [True, True, False, False, True]
    np.testing.assert_allclose(found[2:4], expected[2:4])


def test_a_column_that_is_not_there() -> None:
    fit = mlsem.lmm("y ~ log(x) + (1 | school)", DATA)
    with pytest.raises(DataError, match="'x'"):
        fit.predict(NEW.drop(columns="x"))


def test_other_types_are_refused() -> None:
    fit = mlsem.lmm("y ~ x + t + (1 | school)", DATA)
    with pytest.raises(DataError, match="'t' is numbers here, but was text"):
        fit.predict(NEW.assign(t=1.0))
    with pytest.raises(DataError, match="'x' is text here, but was numbers"):
        fit.predict(NEW.assign(x=list("abcde")))


def test_a_level_of_rows_that_were_left_out_is_unknown() -> None:
    kinds = ["top" if k == 5 else ("low", "mid")[k % 2] for k in range(len(DATA))]
    data = DATA.assign(t=kinds, y=DATA["y"].where(DATA.index != 5))
    fit = mlsem.lmm("y ~ t + (1 | school)", data, missing="listwise")
    with pytest.raises(DataError, match="no level 'top'"):
        fit.predict(NEW)


def test_columns_of_a_terms_name_do_not_count() -> None:
    """A column that happens to be named as one of the design is not taken for it."""
    fit = mlsem.lmm("y ~ t + (1 | school)", DATA)
    np.testing.assert_array_equal(_predicted(fit, NEW.assign(tmid=9.0)), _predicted(fit, NEW))


def test_outcomes_that_are_computed() -> None:
    """What looks at the outcome of the rows has it computed as in the fit."""
    fit = mlsem.lmm("log(y + 20) ~ x + t + (1 | school)", DATA)
    plain = mlsem.lmm("v ~ x + t + (1 | school)", DATA.assign(v=np.log(DATA["y"] + 20.0)))
    new = DATA.iloc[:12]
    found = fit.row_residuals(new)
    expected = plain.row_residuals(new.assign(v=np.log(new["y"] + 20.0)))
    assert len(found) == 12
    np.testing.assert_allclose(
        found.select_dtypes("number"), expected.select_dtypes("number"), atol=1e-8
    )
