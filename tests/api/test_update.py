"""`fit.update` and `mlsem.compare`."""

from __future__ import annotations

import gc
import pickle
import warnings
import weakref
from functools import cache

import numpy as np
import pandas as pd
import pytest
from reference import frame

import mlsem
from mlsem.errors import (
    DataError,
    InferenceError,
    ModelSyntaxError,
    OptionError,
    OptionValueError,
    SpecificationError,
)
from mlsem.results.mixed.result import MixedResult

MODEL = (
    "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1 + x2\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1 + w2\n"
)


@cache
def fitted(text=MODEL, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(text, frame("demo.csv"), cluster="cluster", **options)


def silently(function, *arguments):
    """Without the warning of a negative variance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.EstimationWarning)
        return function(*arguments)


def same(one, other):
    assert list(one.params.index) == list(other.params.index)
    np.testing.assert_allclose(one.params, other.params, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-6)
    assert one.loglik == pytest.approx(other.loglik, abs=1e-8)
    assert one.settings == other.settings


@pytest.mark.parametrize(
    ("added", "within", "between"),
    [
        ("+ level: 2\n y1 ~~ y2", "", " y1 ~~ y2\n"),
        ("+ y1 ~ x1\n + y2 ~ w1", " y1 ~ x1\n", " y2 ~ w1\n"),
        ("+ y1 ~ x1 +\n  x2; y2 ~ w1", " y1 ~ x1 + x2\n", " y2 ~ w1\n"),
        ("+ level: within\n y1 ~~ y3  # a remark", " y1 ~~ y3\n", ""),
        ("+ fw ~~ v*fw\n + half := v / 2", " fw ~~ v*fw\n", " half := v / 2\n"),
    ],
)
def test_statements_go_to_their_level(added, within, between):
    text = MODEL.replace("level: 1", "level: within").replace("level: 2", "level: between")
    fit = fitted(text, estimator="MLR")
    head, _, tail = text.partition("level: between")
    whole = f"{head}{within}level: between{tail}{between}"
    found = silently(fit.update, added.replace("level: 2", "level: between"))
    same(found, fitted(whole, estimator="MLR"))


def test_options_stay_where_they_are_not_changed():
    fit = fitted(estimator="MLR", std_lv=True).with_se("CR2")
    same(silently(fit.update, "+ level: 2\n y1 ~~ y2"), fitted(MODEL + " y1 ~~ y2", estimator="MLR",
                                                     std_lv=True, se="CR2"))  # fmt: skip
    same(fit.update(se="MLR", std_lv=False), fitted(se="MLR", estimator="MLR"))
    growth = mlsem.growth("i =~ 1*y1 + 1*y2 + 1*y3", frame("demo.csv"))
    assert "i~1" in growth.update("+ y1 ~~ y2").params.index


def test_fewer_variables_need_no_data():
    text = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"
    same(fitted().update(text), fitted(text))
    again = fitted().update(text).update(MODEL)  # what was read is kept
    same(again, fitted())


def test_new_variables_need_the_data():
    fit, data = fitted(), frame("demo.csv")
    with pytest.raises(DataError, match=r"'y4': a fit keeps moments .* data=…"):
        fit.update("+ y4 ~ x1")
    whole = MODEL.replace("level: 2", "y4 ~ x1\nlevel: 2")
    same(fit.update("+ y4 ~ x1", data=data), fitted(whole))
    with pytest.raises(DataError, match="x1:w1"):
        fit.update("+ level: 1\n fw ~ x1:w1")


def test_the_data_are_not_kept():
    data = frame("demo.csv").copy()
    fit, kept = mlsem.fit(MODEL, data, cluster="cluster"), weakref.ref(data)
    del data
    gc.collect()
    assert kept() is None
    assert pickle.loads(pickle.dumps(fit)).update("+ y3 ~ w1").converged


def test_rows_stay_the_same():
    data = frame("demo.csv").copy()
    data.loc[:99, "x2"] = np.nan
    fit = mlsem.fit(MODEL, data, cluster="cluster", missing="listwise")
    text = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"
    smaller = fit.update(text)
    assert smaller.n_obs == fit.n_obs == len(data) - 100
    assert any("stay out" in note for note in smaller.notes)
    assert fit.update(text, data=data).n_obs == len(data)


@pytest.mark.parametrize("between", ["w1", "w2"])
def test_centering_stays(between):
    """Of factors of products alone, too."""
    data, text = frame("demo.csv").copy(), f"level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ {between}"
    center = {"x1": "cluster", "w1": "grand"}
    fit = mlsem.fit(text, data, cluster="cluster", center=center)
    for found in (fit.update("+ level: 2\n y1 ~~ y1"), fit.update(text, data=data)):
        assert found.params["y1~w1:x1"] == pytest.approx(fit.params["y1~w1:x1"], rel=1e-8)


@pytest.mark.parametrize(
    ("model", "options", "kind", "message"),
    [
        ("+ y1 ~~ y2", {}, SpecificationError, "both levels have 'y1', 'y2'"),
        ("+ q ~ z", {}, SpecificationError, "the model has none of 'q', 'z'"),
        ("+ level: 3\n y1 ~~ y2", {}, SpecificationError, "no level '3'"),
        ("+ fw ~ x1", {}, ModelSyntaxError, "already said"),
        (None, {"cluster": "w1"}, OptionValueError, "pass data"),
        (None, {"missing": "error"}, OptionValueError, "pass data"),
        (None, {"foo": 1}, OptionError, "foo"),
        (None, {"estimator": "WLS"}, OptionValueError, "WLS"),
        (3, {}, OptionValueError, "takes a text"),
    ],
)
def test_what_cannot_be_updated_is_refused(model, options, kind, message):
    with pytest.raises(kind, match=message):
        fitted().update(model, **options)


def test_mixed_models() -> None:
    """By what the fit knows of its rows, another formula by its data frame, while that is there."""
    data = frame("demo.csv")
    text = "y1 ~ x1 + (1 | cluster)"
    fit = mlsem.lmm(text, data, se="CR2")
    ml = mlsem.lmm(text, data, REML=False)
    again = fit.update(REML=False, se="standard")
    pd.testing.assert_series_equal(again.params, ml.params, rtol=1e-8)
    pd.testing.assert_series_equal(again.pvalues, ml.pvalues, rtol=1e-6)
    wanted = mlsem.lmm("y1 ~ x1 + (1 | cluster) + x2", data, se="CR2")
    for changed in (fit.update("+ x2"), fit.update(". ~ . + x2"), fit.update(wanted.model)):
        assert isinstance(changed, MixedResult)
        assert changed.se_kind == "CR2"
        pd.testing.assert_series_equal(changed.params, wanted.params)
    assert "x1" not in fit.update(". ~ . - x1").params
    half = data[: len(data) // 2].copy()
    assert fit.update(data=half).n_obs == len(half)
    alone = pickle.loads(pickle.dumps(fit))
    with pytest.raises(InferenceError, match="pass data="):
        alone.update("+ x2")
    with pytest.raises(OptionValueError, match="REML=True"):
        fit.update(estimator="ML")


# --- compare --------------------------------------------------------------------------------------


def test_models_side_by_side():
    fit = fitted(estimator="MLR")
    larger, other = fit.update("+ y3 ~ w1 + w2"), fit.update("+ y2 ~ w1 + w2")
    found = mlsem.compare([larger, fit, other], names=["y3", "base", "y2"])
    table, tests = found.table, found.differences
    assert list(table.index) == ["y3", "base", "y2"]
    measures = fit.fit_measures()
    assert table.loc["base", "chisq"] == pytest.approx(measures["chisq.scaled"])
    assert table.loc["base", "cfi"] == pytest.approx(measures["cfi.robust"])
    assert table.loc["base", "score_pvalue"] == pytest.approx(measures["pvalue.score"])
    assert table.loc["base", "aic"] == pytest.approx(fit.aic)
    assert table.loc["base", "sabic"] == pytest.approx(measures["bic2"])
    assert tests["simple"].to_list() == ["base", "base"]
    assert tests["full"].to_list() == ["y3", "y2"]
    expected = mlsem.lr_test(fit, larger)
    assert tests["pvalue"][0] == pytest.approx(expected.pvalue)
    text = str(found)
    assert "srmr_within" in text
    assert "Differences" in text
    score = mlsem.compare({"base": fit, "y3": larger}, method="score")
    assert score.differences["method"].to_list() == ["score"]


def test_models_that_are_not_nested_have_no_test():
    fit = fitted()
    found = mlsem.compare([fit.update("+ y3 ~ w1"), fit.update("+ y2 ~ w1")])
    assert found.differences["pvalue"].isna().all()
    assert "neither is a special case" in str(found)


def test_random_slopes_have_information_criteria_alone():
    text = "level: 1\n y1 ~ {}x1\nlevel: 2\n y1 ~ w1"
    simple, full = fitted(text.format("")), fitted(text.format('rv("s")*'))
    found = mlsem.compare([simple, full])
    assert np.isnan(found.table.loc["2", "chisq"])
    assert found.differences["distribution"][0] == "0.5 chi2(0) + 0.5 chi2(1)"
    reml = mlsem.lmm("y1 ~ x1 + (1 | cluster)", frame("demo.csv"))
    assert list(mlsem.compare([reml]).table) == ["npar", "loglik", "aic", "bic", "sabic"]


def test_other_data_are_refused():
    fit = fitted()
    data = frame("demo.csv").copy()
    with pytest.raises(InferenceError, match="'1' and '2': the models were fitted to"):
        mlsem.compare([fit, fit.update(data=data.iloc[:-7])])
    moved = pd.concat([data.iloc[1:], data.iloc[:1]])
    assert mlsem.compare([fit, fit.update(data=moved)]).table["npar"].nunique() == 1
    reml = mlsem.lmm("y1 ~ x1 + (1 | cluster)", data)
    with pytest.raises(InferenceError, match="some by REML"):
        mlsem.compare([reml, mlsem.lmm("y1 ~ x1 + (1 | cluster)", data, REML=False)])


@pytest.mark.parametrize(
    ("fits", "options"),
    [
        ([], {}),
        ([3], {}),
        ("fit", {}),
        (["fit"], {"names": ["a", "b"]}),
        (["fit", "fit"], {"names": ["a", "a"]}),
        ({"a": "fit"}, {"names": ["a"]}),
        (["fit"], {"method": "SB"}),
    ],
)
def test_wrong_arguments_are_refused(fits, options):
    one = fitted()
    if fits == "fit":
        fits = one
    elif isinstance(fits, dict):
        fits = {"a": one}
    else:
        fits = [one if each == "fit" else each for each in fits]
    with pytest.raises(OptionValueError):
        mlsem.compare(fits, **options)
