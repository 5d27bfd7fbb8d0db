"""Rows in whatever holds them give the same fit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.data.frames.thin import engine_errors
from mlsem.errors import DataError

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")
pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore:The 'future.infer_string' option"),  # of Ibis
    pytest.mark.filterwarnings("ignore:Dask support is moving"),  # of narwhals
]

MODEL = "level: 1\n y ~ x + w:x\n level: 2\n y ~ w"
HOW: dict[str, Any] = {"cluster": "school", "center": {"x": "grand"}}


def rows(clusters: int = 25) -> pd.DataFrame:
    """Unsorted, with text for ids and a covariate far from zero."""
    rng = np.random.default_rng(3)
    of = np.repeat(np.arange(clusters), rng.integers(2, 9, clusters))
    w, u = rng.normal(size=(2, clusters))
    x, e = rng.normal(size=(2, len(of)))
    y = 0.4 * x + (0.3 * w + u)[of] + 0.2 * x * w[of] + e
    frame = pd.DataFrame({"school": of, "y": y, "x": x + 1e8, "w": w[of], "unused": "a"})
    frame["school"] = "s" + frame["school"].astype(str)
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)


def _nullable(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.convert_dtypes()


def _categorical(frame: pd.DataFrame) -> Any:
    return pl.from_pandas(frame).with_columns(pl.col("school").cast(pl.Categorical))


def _dataset(frame: pd.DataFrame) -> Any:
    from pyarrow import dataset

    return dataset.dataset(pa.Table.from_pandas(frame))


def _dask(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("dask.dataframe").from_pandas(frame, npartitions=10, sort=False)


def _ibis(frame: pd.DataFrame) -> Any:
    return pytest.importorskip("ibis").memtable(frame)


KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas, nullable": _nullable,
    "pandas, Arrow": lambda d: pa.Table.from_pandas(d).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_pandas,
    "polars, categories": _categorical,
    "polars, lazy": lambda d: pl.from_pandas(d).lazy(),
    "Arrow table": pa.Table.from_pandas,
    "Arrow dataset": _dataset,
    "DuckDB": duckdb.from_df,
    "Ibis": _ibis,
    "Dask": _dask,
}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return rows()


@pytest.fixture(scope="module")
def expected(frame: pd.DataFrame) -> mlsem.FitResult:
    return mlsem.fit(MODEL, frame, **HOW)


def assert_same(fit: mlsem.FitResult, expected: mlsem.FitResult) -> None:
    """Estimates, CR2 and MLR errors and degrees of freedom."""
    for kind in ("CR2", "MLR"):
        one, other = (
            each.with_se(kind).parameter_estimates()[["est", "se", "df"]].to_numpy(float)
            for each in (fit, expected)
        )
        known = np.isfinite(other)  # the df of z tests are infinite
        away = (one[known] - other[known]) / np.maximum(np.abs(other[known]), 1e-3)
        assert np.abs(away).max() < 1e-10
        np.testing.assert_array_equal(one[~known], other[~known])


@pytest.mark.parametrize("kind", KINDS)
def test_fit(kind: str, frame: pd.DataFrame, expected: mlsem.FitResult) -> None:
    assert_same(mlsem.fit(MODEL, KINDS[kind](frame), **HOW), expected)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".arrow"])
def test_files(suffix: str, frame: pd.DataFrame, expected: mlsem.FitResult, tmp_path: Path) -> None:
    for number, part in enumerate(np.array_split(np.arange(len(frame)), 3)):
        file = tmp_path / f"part{number}{suffix}"
        table = pl.from_pandas(frame.iloc[part])
        if suffix == ".parquet":
            table.write_parquet(file)
        elif suffix == ".csv":
            table.write_csv(file)
        else:
            table.write_ipc(file)
    assert_same(mlsem.fit(MODEL, str(tmp_path / f"*{suffix}"), **HOW), expected)
    assert_same(mlsem.fit(MODEL, sorted(tmp_path.glob("*")), **HOW), expected)


@pytest.mark.parametrize("kind", ["polars", "polars, lazy", "DuckDB", "Arrow table"])
def test_other_functions(kind: str, frame: pd.DataFrame) -> None:
    """What takes rows takes any, and gives rows back as the same kind."""
    data = KINDS[kind](frame)
    near = frame.assign(x=frame["x"] - 1e8)
    close = KINDS[kind](near)
    formula = "y ~ x * w + (1 | school)"
    ours, theirs = mlsem.lmm(formula, close), mlsem.lmm(formula, near)
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-12)
    means = mlsem.cluster_means(data, "y", "school")
    assert type(means) is type(data)
    fit = mlsem.fit(MODEL, near, cluster="school")
    predicted = fit.predict(close)
    assert type(predicted) is type(data)
    again = fit.update(data=close)
    np.testing.assert_allclose(again.params, fit.params, rtol=1e-9)
    assert len(mlsem.check(MODEL, close, "school").rows) == len(fit.table.rows)
    moments = mlsem.moments(MODEL, close, cluster="school")
    np.testing.assert_allclose(mlsem.fit(MODEL, moments).params, fit.params, rtol=1e-9)
    patterns = mlsem.missing_patterns(close, MODEL, "school")
    assert str(patterns) == str(mlsem.missing_patterns(near, MODEL, "school"))


@pytest.mark.parametrize("kind", ["polars", "polars, lazy", "DuckDB"])
def test_bad_data(kind: str, frame: pd.DataFrame) -> None:
    make = KINDS[kind]
    with pytest.raises(mlsem.MlsemError, match=r"'unuse' is not a column .* 'unused'"):
        mlsem.fit("level: 1\n y ~ unuse\n level: 2\n y ~ w", make(frame), cluster="school")
    with pytest.raises(mlsem.DataError, match="column 'unused' is not numeric"):
        mlsem.fit("level: 1\n y ~ unused\n level: 2\n y ~ w", make(frame), cluster="school")
    with pytest.raises(mlsem.DataError, match="no rows"):
        mlsem.fit(MODEL, make(frame.iloc[:0]), cluster="school")


def test_only_the_columns_of_the_model_are_touched(
    frame: pd.DataFrame, expected: mlsem.FitResult
) -> None:
    """Others may be of types that nothing can be done with."""
    wide = pl.from_pandas(frame).with_columns(
        *(pl.lit([k]).alias(f"v{k}") for k in range(1000)), pl.lit(b"0").alias("x w")
    )
    assert_same(mlsem.fit(MODEL, wide, **HOW), expected)


def test_pandas_needs_no_other_library() -> None:
    code = (
        "import sys, mlsem; mlsem.fit('y ~ x1', mlsem.load_example('article')); "
        "print([m for m in ('narwhals', 'polars', 'duckdb', 'dask', 'pyarrow.dataset') "
        "if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"


def test_passes_over_the_rows_have_a_bar(
    frame: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    query = pl.from_pandas(frame).lazy()
    mlsem.fit(MODEL, query, **HOW, progress=True)
    assert "passes over the rows" in capsys.readouterr().err
    mlsem.fit(MODEL, query, **HOW, progress=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["polars", "polars, lazy", "DuckDB", "Arrow table"])
def test_whole_ids_keep_all_digits(kind: str) -> None:
    """Neighbours beyond 2**53 are different clusters, also in a column with nulls elsewhere."""
    frame = rows().assign(x=lambda d: d["x"] - 1e8)
    ids = pd.factorize(frame["school"])[0] + 2**60
    expected = mlsem.fit(MODEL, frame, cluster="school")
    fit = mlsem.fit(MODEL, KINDS[kind](frame.assign(school=ids)), cluster="school")
    assert fit.n_clusters == expected.n_clusters
    assert_same(fit, expected)


@pytest.mark.parametrize("kind", ["polars", "Arrow table", "pandas, nullable"])
@pytest.mark.parametrize("missing", ["listwise", "fiml"])
def test_missing_values(kind: str, missing: Any) -> None:
    """Whole numbers with nulls are the numbers with NaN that they are in pandas."""
    frame = rows().assign(x=lambda d: np.rint(10 * (d["x"] - 1e8)))
    frame.loc[::7, "x"] = np.nan
    frame.loc[3::11, "y"] = np.nan
    expected = mlsem.fit(MODEL, frame, cluster="school", missing=missing)
    if kind != "pandas, nullable":
        frame = frame.astype({"x": "Int64"})
    fit = mlsem.fit(MODEL, KINDS[kind](frame), cluster="school", missing=missing)
    assert_same(fit, expected)
    assert fit.n_obs == expected.n_obs


@pytest.mark.parametrize("kind", ["polars", "polars, lazy", "Arrow table"])
def test_rows_of_a_mixed_model_come_back(kind: str, frame: pd.DataFrame) -> None:
    """Of the data of the fit, too, which it looks at where its user has them."""
    data = KINDS[kind](frame)
    fit = mlsem.lmm("y ~ w + (1 | school)", data)
    column = type(data) if kind == "polars, lazy" else type(data["y"])
    assert type(fit.predict()) is type(fit.predict(data)) is type(data)
    assert type(fit.fitted()) is type(fit.residuals(data=data)) is column
    assert type(fit.simulate(2, seed=1)) is type(data)


def test_arguments_of_methods(frame: pd.DataFrame) -> None:
    data = pl.from_pandas(frame.assign(x=frame["x"] - 1e8))
    fit = mlsem.fit(MODEL, data, cluster="school")
    slopes = fit.simple_slopes("x", "w", data=data)
    assert str(slopes) == str(fit.simple_slopes("x", "w", data=data.to_pandas()))
    assert len(fit.plot_residuals(data).axes) == len(fit.plot_residuals(data.to_pandas()).axes)


def test_rows_without_an_index_are_named_by_position(frame: pd.DataFrame) -> None:
    wrong = frame.assign(y=frame["y"].where(~frame.index.isin([3, 17]), np.inf))
    with pytest.raises(mlsem.DataError, match=r"rows 3, 17 \(positions\)"):
        mlsem.fit(MODEL, pl.from_pandas(wrong), cluster="school")
    with pytest.raises(mlsem.DataError, match="2 columns named 'x'"):
        mlsem.sem("y ~ x", pa.table([pa.array([1.0, 2.0])] * 3, names=["y", "x", "x"]))
    with pytest.raises(mlsem.DataError, match=r"data must be a data frame .* polars"):
        mlsem.sem("y ~ x", pl.Series("y", [1.0]))


def test_what_duckdb_makes_of_ctrl_c_is_no_error_of_the_data() -> None:
    with pytest.raises(KeyboardInterrupt), engine_errors("duckdb"):
        raise RuntimeError("Query interrupted")
    with pytest.raises(DataError, match="duckdb: Query failed"), engine_errors("duckdb"):
        raise RuntimeError("Query failed")


def test_whole_numbers_of_sixteen_bytes(frame: pd.DataFrame) -> None:
    """Arrow has none, pandas neither."""
    counts = frame.assign(x=np.arange(len(frame)) % 7)
    data = pl.from_pandas(counts).with_columns(pl.col("x").cast(pl.Int128))
    for each in (data, data.lazy()):
        assert_same(
            mlsem.fit(MODEL, each, cluster="school"), mlsem.fit(MODEL, counts, cluster="school")
        )


def test_queries_whose_rows_are_gone(frame: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    pl.from_pandas(frame).write_parquet(file)
    lazy, engine = pl.scan_parquet(file), duckdb.connect()
    relation = engine.read_parquet(str(file))
    engine.close()
    file.unlink()
    for data, said in ((lazy, "polars: .*rows.parquet"), (relation, "duckdb: .*closed")):
        with pytest.raises(mlsem.DataError, match=f"^the data cannot be read by {said}"):
            mlsem.fit(MODEL, data, **HOW)
