"""The code that errors about data show mends them, in the library whose frame was given."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem

pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),  # of Ibis
    pytest.mark.filterwarnings("ignore:Dask support is moving"),  # of narwhals
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
]
MODEL = "level: 1\n y ~ x\nlevel: 2\n y ~~ y"


def rows() -> pd.DataFrame:
    """Sound ones, and columns with what is wrong."""
    rng = np.random.default_rng(1)
    of = np.repeat(np.arange(12), 4)
    frame = pd.DataFrame({"id": of, "y": rng.normal(size=48) + of % 3, "x": rng.normal(size=48)})
    frame["x"] = frame["x"].round(3)
    frame["text"] = frame["x"].astype(str)
    frame["odd"] = frame["text"].where(frame.index > 0, "n/k")
    frame["comma"] = frame["text"].str.replace(".", ",")
    frame["sort"] = np.array(["a", "b", "c"])[np.arange(48) % 3]
    frame["day"] = pd.Timestamp("2020-03-01") + pd.to_timedelta(np.arange(48) % 5, "D")
    frame["gone"] = ("s" + frame["id"].astype(str)).where(frame.index > 1)
    frame["blank"] = frame["gone"].fillna(" ")
    frame["town"], frame["school"] = of // 4, of % 4
    return frame


def _spark(frame: pd.DataFrame) -> Any:
    sql = pytest.importorskip("pyspark.sql")
    build = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    return build.getOrCreate().createDataFrame(frame.astype(object).where(frame.notna(), None))


def _of(package: str, make: str) -> Callable[[pd.DataFrame], Any]:
    def found(frame: pd.DataFrame) -> Any:
        module: Any = pytest.importorskip(package)
        for each in make.split("."):
            module = getattr(module, each)
        return module(frame)

    return found


def _dask(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("dask.dataframe").from_pandas(frame, npartitions=3, sort=False)


Make = Callable[[pd.DataFrame], Any]
LIBRARIES: dict[str, tuple[Make, Callable[[Any, str, Any], Any], bool]] = {
    "pandas": (lambda d: d, lambda d, n, v: d.assign(**{n: v}), False),
    "polars": (_of("polars", "from_pandas"), lambda d, n, v: d.with_columns(v.alias(n)), False),
    "polars, lazy": (
        lambda d: _of("polars", "from_pandas")(d).lazy(),
        lambda d, n, v: d.with_columns(v.alias(n)),
        False,
    ),
    "pyarrow": (_of("pyarrow", "Table.from_pandas"), lambda d, n, v: d.append_column(n, v), False),
    "duckdb": (_of("duckdb", "from_df"), lambda d, n, v: d.project(f"*, {v} AS {n}"), False),
    "ibis": (_of("ibis", "memtable"), lambda d, n, v: d.mutate(v.name(n)), True),
    "dask": (_dask, lambda d, n, v: d.assign(**{n: v}), True),
    "pyspark": (_spark, lambda d, n, v: d.withColumn(n, v), True),
}
"""How a frame becomes one of the library, how a column is put into it, whether that is slow."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(k, marks=[pytest.mark.slow] * v[2]) for k, v in LIBRARIES.items()],
)
def given(request: pytest.FixtureRequest) -> tuple[str, Any]:
    if request.param == "pyspark":
        import os

        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["PYTHONPATH"] = str(Path(mlsem.__file__).parents[1])
    return request.param, LIBRARIES[request.param][0](rows())


def said(data: Any, model: str = MODEL, **how: Any) -> str:
    with pytest.raises(mlsem.MlsemError) as caught:
        mlsem.fit(model, data, **({"cluster": "id"} | how))
    return str(caught.value)


def run(code: str, data: Any) -> Any:
    """What an expression gives; of a statement, the data after it."""
    import importlib

    names: dict[str, Any] = {"data": data}
    for each in re.findall(r"\b(pandas|polars|pyarrow|pyspark|dask)\b", code):
        names[each] = importlib.import_module(each)
        for inner in {
            "pyarrow": ["compute"],
            "pyspark": ["sql.functions"],
            "dask": ["dataframe"],
        }.get(each, []):
            importlib.import_module(f"{each}.{inner}")
    if re.match(r"data(\[[^]]*\])? = ", code):
        exec(code, names)
        return names["data"]
    return eval(code, names)


def code_in(pattern: str, message: str) -> str:
    found = re.search(pattern, message, re.S)
    assert found is not None, message
    return found[1]


def assert_same(data: Any, frame: pd.DataFrame, model: str = MODEL, **how: Any) -> None:
    ours, theirs = (mlsem.fit(model, each, **({"cluster": "id"} | how)) for each in (data, frame))
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-6, atol=1e-9)
    assert (ours.n_obs, ours.n_clusters) == (theirs.n_obs, theirs.n_clusters)


@pytest.mark.parametrize(
    ("column", "pattern"),
    [
        ("text", r"stored as text: use (.*)\.$"),
        ("odd", r"make them missing with (.*)\.$"),
        ("comma", r"with decimal commas (?:use |.*? = )(.*)\.$"),
        ("day", r"with a unit, e\.g\. (.*)\.$"),
    ],
)
def test_columns_that_are_no_numbers(given: tuple[str, Any], column: str, pattern: str) -> None:
    kind, data = given
    message = said(data, MODEL.replace("x", column))
    if (kind, column) in {("pyarrow", "odd"), ("pyarrow", "day"), ("ibis", "day")}:
        assert re.search(r"make them missing\.$|the days since the first of them\.$", message)
        return
    code = code_in(pattern, message)
    value = code if kind == "duckdb" else run(code, data)
    frame = rows()
    frame["z"] = frame["x"].where(frame.index > 0) if column == "odd" else frame["x"]
    if column == "day":  # counted from another day, which the intercept takes
        frame["z"] = (frame["day"] - frame["day"].min()).dt.days
        if kind in ("duckdb", "pyspark"):
            frame["z"] += (frame["day"].min() - pd.Timestamp("2000-01-01")).days
    how = {"missing": "listwise"} if column == "odd" else {}
    assert_same(LIBRARIES[kind][1](data, "z", value), frame, MODEL.replace("x", "z"), **how)


def test_rows_of_queries_have_no_numbers(given: tuple[str, Any]) -> None:
    kind, data = given
    message = said(data, MODEL.replace("x", "odd"))
    place = {"pandas": "in row 0 (index", "polars": "in row 0 (pos", "pyarrow": "in row 0 (pos"}
    assert place.get(kind, "in 1 of 48 rows") in message


def test_categories(given: tuple[str, Any]) -> None:
    kind, data = given
    message = said(data, MODEL.replace("x", "sort"))
    assert "sort_b + sort_c in place of sort" in message
    if kind == "duckdb":
        assert "0/1 columns of them, sort_b of 'b' and so on" in message
        return
    data = rows().copy() if kind == "pandas" else data
    found = run(code_in(r"columns of them, (.*?)(?: and so on)?, and write", message), data)
    frame = rows().assign(sort_b=lambda d: (d["sort"] == "b").astype(float))
    assert_same(found, frame, MODEL.replace("x", "sort_b"))


@pytest.mark.parametrize("column", ["gone", "blank"])
def test_ids_that_are_missing(given: tuple[str, Any], column: str) -> None:
    kind, data = given
    frame = rows()
    for how in ({"cluster": column}, {"se_cluster": column}):
        message = said(data, **how)
        if (kind, column) == ("pyarrow", "blank"):
            assert message.endswith("their cluster or drop them.")
            continue
        assert_same(run(code_in(r"e\.g\. (.*)\.$", message), data), frame[frame.index > 1], **how)


def test_ids_that_recur(given: tuple[str, Any]) -> None:
    kind, data = given
    data = rows().copy() if kind == "pandas" else data
    message = said(data, cluster=["town", "school"])
    found = run(code_in(r"one id before, (.*), and name", message), data)
    assert_same(found, rows().assign(town_school=rows()["id"]), cluster="town_school")
    message = said(data, group=["town", "school"])
    found = run(code_in(r"one column of them, (.*), and pass", message), data)
    assert mlsem.cluster_means(found, "y", "town_school") is not None
