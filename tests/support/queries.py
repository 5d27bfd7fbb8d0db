"""Queries of engines, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import pytest

from mlsem.data.engine import query
from mlsem.data.engine.read import monomials_of_lazy
from mlsem.data.frames.records import Lazy
from mlsem.data.moments.aggregate import DataRecord
from mlsem.data.moments.monomial_record import record_of
from mlsem.model.table import ParameterTable

MOST = 300
"""Rows of a table that is collected."""


def read_lazy(
    table: ParameterTable,
    frame: Any,
    *,
    cluster: str,
    center: Mapping[str, str] | None = None,
    missing: str = "listwise",
    se_cluster: str | None = None,
) -> DataRecord:
    """What a model needs of the rows of a query, as `read_moments` has it of a pandas frame."""
    how: dict[str, Any] = {"cluster": cluster, "missing": missing, "se_cluster": se_cluster}
    return record_of(table, monomials_of_lazy(table, frame, **how), center=center, **how)


# --- engines --------------------------------------------------------------------------------------


def _polars(frame: pd.DataFrame) -> Any:
    pl = pytest.importorskip("polars")
    ordered = {  # polars' own categories have no order
        name: pl.Enum(series.cat.categories.tolist())
        for name, series in frame.select_dtypes("category").items()
    }
    return pl.from_pandas(frame).lazy().cast(ordered)


def _duckdb(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("duckdb").from_df(frame)


def _ibis(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("ibis").memtable(frame)


def _dask(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("dask.dataframe").from_pandas(frame, npartitions=10, sort=False)


ENGINES: dict[str, tuple[Callable[[pd.DataFrame], Any], bool]] = {
    "polars": (_polars, False),
    "duckdb": (_duckdb, False),
    "ibis": (_ibis, True),  # speaks to DuckDB here
    "dask": (_dask, True),
}
"""How a frame becomes a query of each, and whether that is slow."""


def only_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on it is an error if rows of a query come to this process: tables that it collects
    have as many rows as the tests have clusters, groups and patterns, not more."""
    collect = query.rows_of_query

    def few(*args: Any, **how: Any) -> Any:
        found = collect(*args, **how)
        assert len(found) < MOST, f"{len(found)} rows of a query came here"
        return found

    def none(*args: Any) -> Any:
        raise AssertionError("the rows of a query came here")

    monkeypatch.setattr(query, "rows_of_query", few)
    monkeypatch.setattr(Lazy, "pandas", none)
