"""Merging moments equals reading at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hand_tables import make_table

import mlsem
from mlsem.core.sample.moments import merge, pooled
from mlsem.data.moments.aggregate import read_moments
from mlsem.data.moments.groups import read_groups
from mlsem.errors import DataError

TABLE = make_table(("y", "x1"), ("y", "w1"))


def make_data(rows=300, clusters=15, seed=1, far=1e3):
    rng = np.random.default_rng(seed)
    school = rng.integers(0, clusters, rows)
    return pd.DataFrame(
        {
            "school": school,
            "y": rng.normal(size=rows) + far,
            "x1": rng.normal(size=rows) - far,
            "w1": rng.normal(size=clusters)[school],
        }
    )


def read(data, table=TABLE):
    return read_moments(table, data, cluster="school").moments


def assert_same(a, b):
    order = [a.labels.tolist().index(label) for label in b.labels.tolist()]
    assert len(a.labels) == len(b.labels)
    np.testing.assert_array_equal(a.rows[order], b.rows)
    np.testing.assert_allclose(a.means[order] + a.shift, b.means + b.shift, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(a.within[order], b.within, rtol=1e-10, atol=1e-10)


def parts():
    data = make_data()
    return data, [read(data.iloc[:70]), read(data.iloc[70:150]), read(data.iloc[150:])]


def test_merge_equals_one_pass():
    data, (a, b, c) = parts()
    assert_same(merge(merge(a, b), c), read(data))


def test_merge_is_associative():
    _, (a, b, c) = parts()
    left, right = merge(merge(a, b), c), merge(a, merge(b, c))
    np.testing.assert_array_equal(left.labels, right.labels)
    np.testing.assert_array_equal(left.shift, right.shift)
    assert_same(left, right)


def test_merge_keeps_order_and_shift_of_the_first():
    _, (a, b, _) = parts()
    merged = merge(a, b)
    np.testing.assert_array_equal(merged.labels[: a.n_clusters], a.labels)
    np.testing.assert_array_equal(merged.shift, a.shift)
    assert not merged.means.flags.writeable


def test_merge_of_disjoint_clusters():
    data = make_data()
    left = data["school"] < 7
    assert_same(merge(read(data[left]), read(data[~left])), read(data))


def test_labels_of_different_kinds_stay_themselves():
    data = make_data()
    a = read(data)
    b = read(data.assign(school="s" + data["school"].astype(str)))
    merged = merge(a, b)
    assert merged.labels[0] == a.labels[0]
    assert merged.labels[-1] == b.labels[-1]
    assert merged.n_clusters == 30


def test_rows_without_clusters_are_not_matched():
    data = make_data()
    table = make_table(("y", "x1 w1"))
    a = read_moments(table, data.iloc[:100]).moments
    b = read_moments(table, data.iloc[100:]).moments
    merged = merge(a, b, match=False)
    assert merged.n_clusters == 300
    assert merged.within.strides == (0, 0, 0)
    whole = read_moments(table, data).moments
    np.testing.assert_allclose(pooled(merged).within, pooled(whole).within, rtol=1e-11)


def test_a_label_that_the_second_has_twice():
    data = make_data()
    left, right = data[data["school"] < 7], data[data["school"] >= 7]
    twice = merge(read(right.iloc[:60]), read(right.iloc[60:]), match=False)
    assert twice.n_clusters == 16
    assert_same(merge(read(left), twice), read(data))


def test_merge_of_clusters_far_apart():
    data = make_data(far=0.0)
    data["x1"] += 1e6 * data["school"]
    a, b = read(data.iloc[:150]), read(data.iloc[150:])
    whole = read(data)
    merged = merge(a, b)
    order = [merged.labels.tolist().index(label) for label in whole.labels.tolist()]
    np.testing.assert_allclose(merged.within[order], whole.within, atol=1e-7)


def test_other_columns_are_refused():
    data = make_data()
    other = read(data.rename(columns={"x1": "x2"}), make_table(("y", "x2"), ("y", "w1")))
    with pytest.raises(DataError, match="different columns"):
        merge(read(data), other)


def test_groups_merged_are_the_whole():
    data = make_data()
    data["g"] = data["school"] % 3
    model = "level: 1\ny ~ x1\nlevel: 2\ny ~ w1"
    table = mlsem.check(model, data, "school", group="g")
    a, b, c = (own.moments for own in read_groups(table, data, group="g", cluster="school").groups)
    whole = read(data, mlsem.check(model, data, "school"))
    assert_same(merge(merge(a, b), c), whole)


def test_pooled_equals_numpy():
    data = make_data()
    one = pooled(read(data))
    columns = data[["y", "x1", "w1"]]
    assert (one.n_clusters, one.n_rows, one.varying) == (1, 300, 3)
    np.testing.assert_allclose(one.means[0] + one.shift, columns.mean(), rtol=1e-13)
    np.testing.assert_allclose(one.within[0] / 299, columns.cov(), rtol=1e-11)
    alone = pooled(read_moments(make_table(("y", "x1 w1")), data).moments)
    np.testing.assert_allclose(alone.within, one.within, rtol=1e-11, atol=1e-11)
