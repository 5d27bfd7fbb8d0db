"""`glm` and `gee` of rows that other libraries and files hold."""

from __future__ import annotations

import pandas as pd
import pytest

import mlsem
from tests.results.generalized.cases import data

SEEN = ["school", "trt", "x", "y"]


def _polars(rows: pd.DataFrame, folder):
    return pytest.importorskip("polars").from_pandas(rows)


def _lazy(rows: pd.DataFrame, folder):
    return _polars(rows, folder).lazy()


def _pyarrow(rows: pd.DataFrame, folder):
    return pytest.importorskip("pyarrow").Table.from_pandas(rows)


def _duckdb(rows: pd.DataFrame, folder):
    return pytest.importorskip("duckdb").from_df(rows)


def _file(rows: pd.DataFrame, folder):
    pytest.importorskip("pyarrow")
    rows.to_parquet(folder / "trial.parquet")
    return str(folder / "trial.parquet")


@pytest.mark.parametrize("kind", [_polars, _lazy, _pyarrow, _duckdb, _file])
def test_the_columns_of_the_formula_are_read(kind, tmp_path):
    rows = data("trial")
    given = kind(rows, tmp_path)
    fit = mlsem.gee("y ~ trt + x", given, cluster="school")
    wanted = mlsem.gee("y ~ trt + x", rows, cluster="school")
    assert fit.bse.to_numpy() == pytest.approx(wanted.bse.to_numpy(), rel=1e-12)
    assert sorted(fit._estimates.data.frame.columns) == SEEN
    found = fit.effects("trt", given, by="female").frame
    assert (
        found["estimate"].tolist()
        == fit.effects("trt", rows, by="female").frame["estimate"].tolist()
    )
    wider = fit.update("+ w", data=given)
    assert list(wider.params.index) == ["(Intercept)", "trt", "x", "w"]


def test_predictions_are_of_the_kind_of_the_rows():
    pl = pytest.importorskip("polars")
    rows = data("trial")
    fit = mlsem.glm("y ~ trt + x", rows, cluster="school")
    found = fit.predict(pl.from_pandas(rows))
    assert isinstance(found, pl.DataFrame)
    assert found["predicted"].to_list() == pytest.approx(fit.predict()["predicted"].tolist())
