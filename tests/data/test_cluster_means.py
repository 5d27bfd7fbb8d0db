"""Cluster means for users, and the small frame builders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlsem.data.table.frame import cluster_means, column_names, make_frame, make_series
from mlsem.errors import DataError, OptionValueError


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=30), "z": range(30), 5: 1.0})
    frame["school"] = rng.permutation(np.repeat(["a", "b", "c"], 10))
    return frame.set_index(pd.Index(range(100, 130), name="row"))


def test_equals_pandas(data):
    before = data.copy()
    data.loc[101, "x"] = np.nan
    found = cluster_means(data, ["x", "z"], "school")
    expected = data.groupby("school")[["x", "z"]].transform("mean")
    pd.testing.assert_frame_equal(found, expected.add_suffix("_mean"))
    pd.testing.assert_index_equal(found.index, before.index)


def test_one_variable_and_suffix(data):
    found = cluster_means(data, "x", "school", suffix="_b")
    assert list(found.columns) == ["x_b"]
    assert data.assign(**found).shape == (30, 5)


def test_a_cluster_of_missing_values_only(data):
    data.loc[data["school"] == "b", "x"] = np.nan
    found = cluster_means(data, "x", "school")["x_mean"]
    assert found.isna().equals(data["school"] == "b")


def test_nullable_and_duplicate_index(data):
    data = data.astype({"z": "Int64", "school": "category"}).set_axis([0] * 30)
    found = cluster_means(data, "z", "school")
    assert found["z_mean"].dtype == np.float64


def test_errors(data):
    with pytest.raises(DataError, match=r"'X', which is not .* Did you mean 'x'\?"):
        cluster_means(data, "X", "school")
    with pytest.raises(DataError, match=r"'scholl', which is not .* Did you mean 'school'\?"):
        cluster_means(data, "x", "scholl")
    with pytest.raises(DataError, match="already have 'x_mean'; pass another suffix"):
        cluster_means(data.assign(x_mean=0), "x", "school")
    with pytest.raises(DataError, match="'school' is not numeric"):
        cluster_means(data.assign(g=1), "school", "g")
    with pytest.raises(OptionValueError, match="one column"):
        cluster_means(data, "x", ["school"])
    data.loc[103, "school"] = None
    with pytest.raises(DataError, match=r"1 missing id\(s\); row 103"):
        cluster_means(data, "x", "school")


def test_column_names(data):
    assert column_names(data) == ("x", "z", "school")


def test_builders():
    frame = make_frame({"a": [1, 2], "b": np.zeros(2)}, index=["p", "q"])
    assert frame.loc["q", "a"] == 2
    series = make_series(np.arange(2.0), ("y~x", "y~~y"), "est")
    assert series["y~~y"] == 1.0
    assert series.name == "est"
