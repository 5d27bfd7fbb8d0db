"""Cluster moments against plain pandas, and what they must not depend on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hand_tables import make_table
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsem.data.moments.aggregate import read_moments
from mlsem.errors import DataError

TABLE = make_table(("y", "x1 w1:x1"), ("y", "w1"), ["w1:x1"])


def make_data(clusters=12, rows=120, seed=1, even=False):
    rng = np.random.default_rng(seed)
    if even:
        school = np.repeat(np.arange(clusters), rows // clusters)
    else:
        more = rng.integers(0, clusters, rows - 2 * clusters)
        school = np.sort(np.concatenate([np.tile(np.arange(clusters), 2), more]))
    return pd.DataFrame(
        {
            "school": school,
            "y": rng.normal(size=rows) + rng.normal(size=clusters)[school],
            "x1": rng.normal(1.5, 2.0, size=rows),
            "w1": rng.normal(size=clusters)[school],
            "text": "unused",
        }
    )


def by_pandas(data, columns, varying, cluster="school"):
    """Counts, raw means and centred cross-products per cluster, in order of appearance."""
    groups = data.groupby(cluster, sort=False, observed=True)
    means = groups[columns].mean()
    cross = np.array(
        [
            (part[columns[:varying]] - part[columns[:varying]].mean()).T
            @ (part[columns[:varying]] - part[columns[:varying]].mean())
            for _, part in groups
        ]
    )
    return groups.size().to_numpy(), means, cross


def assert_equals_pandas(record, data, cluster="school"):
    moments = record.moments
    full = data.assign(**{"w1:x1": data["w1"] * data["x1"]})
    counts, means, cross = by_pandas(full, list(moments.columns), moments.varying, cluster)
    np.testing.assert_array_equal(moments.rows, counts)
    assert list(moments.labels) == list(means.index)
    np.testing.assert_allclose(moments.means + moments.shift, means.to_numpy(), atol=1e-12)
    np.testing.assert_allclose(moments.within, cross, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize("chunk_rows", [None, 7, 31])
def test_equals_pandas(even, chunk_rows):
    data = make_data(even=even)
    record = read_moments(TABLE, data, cluster="school", chunk_rows=chunk_rows)
    assert record.moments.columns == ("y", "x1", "w1:x1", "w1")
    assert record.moments.varying == 3
    assert_equals_pandas(record, data)


@pytest.mark.parametrize("even", [True, False])
def test_many_columns(even):
    data = make_data(even=even)
    rng = np.random.default_rng(2)
    names = [f"v{i}" for i in range(7)]
    data[names] = rng.normal(size=(len(data), 7))
    table = make_table((" ".join(names), ""), (" ".join(names), "w1"))
    moments = read_moments(table, data, cluster="school").moments
    _, means, cross = by_pandas(data, [*names, "w1"], 7)
    np.testing.assert_allclose(moments.within, cross, atol=1e-12)
    np.testing.assert_allclose(moments.means + moments.shift, means, atol=1e-12)


def test_shift_is_the_mean_of_rows_and_of_clusters_for_level_two():
    data = make_data()
    moments = read_moments(TABLE, data, cluster="school").moments
    w1 = data.groupby("school")["w1"].first().mean()
    expected = [data["y"].mean(), data["x1"].mean(), (data["w1"] * data["x1"]).mean(), w1]
    np.testing.assert_allclose(moments.shift, expected, rtol=1e-12)
    np.testing.assert_allclose(moments.rows @ moments.means[:, :3], 0.0, atol=1e-11)
    np.testing.assert_allclose(moments.means[:, 3].sum(), 0.0, atol=1e-12)


def test_maps_are_the_shift_in_the_ordinary_case():
    record = read_moments(TABLE, make_data(), cluster="school")
    for place, name in enumerate(record.moments.columns):
        assert record.maps[name].constant == record.moments.shift[place]
        np.testing.assert_array_equal(record.maps[name].coefs, np.eye(4)[place])


def test_everything_is_read_only():
    record = read_moments(TABLE, make_data(), cluster="school")
    moments = record.moments
    arrays = [moments.shift, moments.rows, moments.means, moments.within, moments.labels]
    assert not any(array.flags.writeable for array in [*arrays, record.maps["y"].coefs])


def test_row_order_does_not_matter():
    data = make_data()
    mixed = data.sample(frac=1.0, random_state=3)
    a = read_moments(TABLE, data, cluster="school").moments
    record = read_moments(TABLE, mixed, cluster="school")
    assert_equals_pandas(record, mixed)
    order = np.argsort(record.moments.labels)
    np.testing.assert_array_equal(record.moments.rows[order], a.rows)
    np.testing.assert_allclose(record.moments.within[order], a.within, atol=1e-12)


@pytest.mark.parametrize(
    "relabel",
    [
        lambda s: s.astype(str),
        lambda s: "school " + s.astype(str).astype(object),
        lambda s: s.astype("category"),
        lambda s: pd.Categorical("s" + s.astype(str)),
        lambda s: s.astype("Int32"),
        lambda s: s.astype("int64[pyarrow]"),
        lambda s: s / 7.0,
        lambda s: -s,
        lambda s: (s * 7919) % 101,
        lambda s: pd.Timestamp("2020-01-01") + pd.to_timedelta(s, unit="D"),
        lambda s: [f"a{v}" if v % 2 else v for v in s],
        lambda s: [(v, "x") for v in s],
    ],
)
@pytest.mark.parametrize("mixed", [True, False])
def test_kinds_of_ids(relabel, mixed):
    data = make_data()
    if mixed:
        data = data.sample(frac=1.0, random_state=3)
    a = read_moments(TABLE, data, cluster="school").moments
    b = read_moments(TABLE, data.assign(school=relabel(data["school"])), cluster="school").moments
    np.testing.assert_array_equal(a.rows, b.rows)
    np.testing.assert_array_equal(a.within, b.within)
    np.testing.assert_array_equal(a.means, b.means)
    assert len(set(b.labels.tolist())) == len(a.labels)


def test_boolean_ids():
    data = make_data(clusters=2)
    table = make_table(("y", "x1"), ("y", ""))
    data["school"] = data["school"].astype(bool)
    assert read_moments(table, data, cluster="school").moments.labels.tolist() == [False, True]


@settings(max_examples=60, deadline=None)
@given(
    ids=st.lists(st.integers(-3, 9), min_size=8, max_size=60),
    kind=st.sampled_from(["int64", "float64", "object", "str", "category", "Int64", "uint8"]),
    chunk_rows=st.integers(1, 70),
    missing=st.sets(st.integers(0, 7)),
)
def test_random_ids(ids, kind, chunk_rows, missing):
    rng = np.random.default_rng(len(ids))
    ids = [*ids, 0, 0, 1, 1]
    data = pd.DataFrame({"x": rng.normal(size=len(ids)), "y": rng.normal(size=len(ids))})
    data.iloc[list(missing), 0] = np.nan
    id_values = np.array(ids) + (3 if kind == "uint8" else 0)
    data["school"] = pd.Series(id_values).astype(kind)
    table = make_table(("y", "x"), ("y", ""))
    record = read_moments(table, data, cluster="school", chunk_rows=chunk_rows)
    moments = record.moments
    counts, means, cross = by_pandas(data.dropna(subset=["x"]), ["y", "x"], 2)
    order = [moments.labels.tolist().index(label) for label in means.index]
    np.testing.assert_array_equal(moments.rows[order], counts)
    np.testing.assert_allclose((moments.means + moments.shift)[order], means, atol=1e-12)
    np.testing.assert_allclose(moments.within[order], cross, atol=1e-12)
    assert record.n_rows_dropped == len(missing)


def test_the_frame_is_unchanged():
    data = make_data().sample(frac=1.0, random_state=5)
    data.loc[data.index[3], "y"] = np.nan
    before = data.copy(deep=True)
    read_moments(TABLE, data, cluster="school", center={"x1": "cluster", "w1": "grand"})
    pd.testing.assert_frame_equal(data, before)
    data["y"] = data["y"] + 1  # still writable


def test_large_cluster_is_cut():
    rng = np.random.default_rng(4)
    data = make_data(clusters=2, rows=1000)
    data = pd.concat([data, make_data(clusters=9, rows=30).assign(school=lambda d: d.school + 2)])
    data["w1"] = rng.normal(size=11)[data["school"]]
    whole = read_moments(TABLE, data, cluster="school", center={"x1": "cluster"}).moments
    parts = read_moments(
        TABLE, data, cluster="school", center={"x1": "cluster"}, chunk_rows=64
    ).moments
    np.testing.assert_allclose(parts.within, whole.within, atol=1e-11)
    np.testing.assert_allclose(parts.means, whole.means, atol=1e-13)
    np.testing.assert_allclose(parts.shift, whole.shift, atol=1e-13)


def test_without_clusters_each_row_is_one():
    data = make_data()
    data.loc[4, "x1"] = np.nan
    table = make_table(("y", "x1 w1 w1:x1"), products=["w1:x1"])
    record = read_moments(table, data)
    moments = record.moments
    assert record.robust.name is None
    assert moments.varying == 4
    assert moments.within.shape == (119, 4, 4)
    assert moments.within.strides == (0, 0, 0)
    assert not moments.within.any()
    assert moments.labels.tolist() == [i for i in range(120) if i != 4]
    full = data.assign(**{"w1:x1": data["w1"] * data["x1"]})[list(moments.columns)].dropna()
    np.testing.assert_allclose(moments.means + moments.shift, full, atol=1e-13)
    np.testing.assert_allclose(moments.shift, full.mean(), atol=1e-13)


def test_one_level_with_clusters_takes_any_column():
    data = make_data()
    table = make_table(("y", "x1 w1"))
    moments = read_moments(table, data, cluster="school").moments
    assert moments.varying == 3
    _, means, cross = by_pandas(data, ["y", "x1", "w1"], 3)
    np.testing.assert_allclose(moments.within, cross, atol=1e-12)
    np.testing.assert_allclose(moments.means + moments.shift, means, atol=1e-12)
    alone = read_moments(table, data.assign(school=range(120)), cluster="school").moments
    assert alone.within.strides == (0, 0, 0)


def test_index_of_any_kind():
    data = make_data()
    expected = read_moments(TABLE, data, cluster="school").moments
    for index in ([0] * 120, pd.MultiIndex.from_product([range(12), range(10)]), list("ab") * 60):
        found = read_moments(TABLE, data.set_axis(index), cluster="school").moments
        np.testing.assert_array_equal(found.within, expected.within)


@pytest.mark.parametrize("kind", ["Int64", "Float64", "int8", "float32", "double[pyarrow]"])
def test_numeric_kinds(kind):
    data = make_data()
    data["x1"] = data["x1"].round()
    a = read_moments(TABLE, data, cluster="school").moments
    b = read_moments(TABLE, data.assign(x1=data["x1"].astype(kind)), cluster="school").moments
    np.testing.assert_allclose(a.within, b.within, atol=1e-12)
    np.testing.assert_allclose(a.means, b.means, atol=1e-12)


@pytest.mark.parametrize("kind", ["bool", "boolean", "bool[pyarrow]", "uint8", "object"])
def test_true_and_false(kind):
    data = make_data()
    positive = data["x1"] > 1.5
    a = read_moments(TABLE, data.assign(x1=positive.astype(float)), cluster="school").moments
    b = read_moments(TABLE, data.assign(x1=positive.astype(kind)), cluster="school").moments
    np.testing.assert_allclose(a.within, b.within, atol=1e-12)


def test_columns_in_one_block():
    data = make_data()
    block = pd.DataFrame(data[["y", "x1", "w1"]].to_numpy(), columns=["y", "x1", "w1"])
    block["school"] = data["school"]
    assert_equals_pandas(read_moments(TABLE, block, cluster="school"), block)


@pytest.mark.parametrize("size", [1e6, 1e8])
def test_a_far_mean_costs_no_digits(size):
    data = make_data(rows=600)
    data["x1"] = np.round(data["x1"] * 1024) / 1024
    data["y"] = np.round(data["y"] * 1024) / 1024
    table = make_table(("y", "x1"), ("y", "w1"))
    a = read_moments(table, data, cluster="school").moments
    b = read_moments(table, data.assign(x1=data.x1 + size), cluster="school").moments
    np.testing.assert_allclose(b.within, a.within, rtol=1e-12, atol=1e-11)
    gap = b.shift[1] - size - a.shift[1]
    np.testing.assert_allclose(b.means[:, 1] + gap, a.means[:, 1], atol=1e-13)
    assert abs(gap) < 4e-16 * size


@pytest.mark.parametrize("even", [True, False])
def test_far_cluster_means_cost_no_digits(even):
    data = make_data(rows=600, even=even)
    data["x1"] = np.round(data["x1"] * 1024) / 1024
    far = np.random.default_rng(0).integers(-(10**6), 10**6, 12)
    table = make_table(("y", "x1"), ("y", "w1"))
    a = read_moments(table, data, cluster="school").moments
    moved = data.assign(x1=data.x1 + far[data.school])
    b = read_moments(table, moved, cluster="school").moments
    np.testing.assert_allclose(b.within, a.within, rtol=1e-10, atol=1e-9)


def test_missing_rows_are_left_out_and_told():
    data = make_data()
    data.loc[[3, 5, 9], "y"] = np.nan
    data.loc[[5, 11], "w1"] = np.nan
    record = read_moments(TABLE, data, cluster="school")
    assert (record.n_rows_total, record.n_rows_dropped, record.n_rows) == (120, 4, 116)
    assert record.notes == ("4 of 120 rows (3.3%) left out for missing values: 'y' (3), 'w1' (2).",)
    assert_equals_pandas(record, data.dropna())


def test_a_cluster_without_complete_rows_is_gone():
    data = make_data()
    data.loc[data.school == 3, "x1"] = np.nan
    record = read_moments(TABLE, data.sample(frac=1, random_state=1), cluster="school")
    assert record.moments.n_clusters == 11
    assert 3 not in record.moments.labels


def test_center_before_products():
    data = make_data()
    data["w1"] += 5
    record = read_moments(TABLE, data, cluster="school", center={"x1": "cluster", "w1": "grand"})
    grand = data.groupby("school")["w1"].first().mean()
    by_hand = data.assign(
        x1=data["x1"] - data.groupby("school")["x1"].transform("mean"), w1=data["w1"] - grand
    )
    assert_equals_pandas(record, by_hand)
    (x1, how_x1, value), (w1, how_w1, taken) = record.centered
    assert (x1, how_x1, w1, how_w1) == ("x1", "cluster", "w1", "grand")
    assert np.isnan(value)
    assert taken == pytest.approx(grand)


def test_center_at_the_grand_mean_of_the_rows_used():
    data = make_data()
    data.loc[:9, "y"] = np.nan
    record = read_moments(TABLE, data, cluster="school", center={"x1": "grand"})
    used = data.dropna()
    assert record.centered[0][2] == pytest.approx(used["x1"].mean(), rel=1e-13)
    assert_equals_pandas(record, used.assign(x1=used["x1"] - used["x1"].mean()))


def test_center_without_clusters():
    table = make_table(("y", "x1"))
    record = read_moments(table, make_data(), center={"x1": "grand"})
    assert record.maps["x1"].constant == pytest.approx(0.0, abs=1e-14)


def test_few_clusters_are_noted():
    table = make_table(("y", "x1"), ("y", "w1"), between_free=13)
    record = read_moments(table, make_data(), cluster="school")
    assert "level 2 has 13 free parameters but there are only 12 clusters" in record.notes[0]


def test_between_values_that_differ_by_rounding():
    data = make_data()
    data["w1"] *= 1 + 1e-14 * np.random.default_rng(0).normal(size=120)
    moments = read_moments(TABLE, data, cluster="school", chunk_rows=16).moments
    means = data.groupby("school")["w1"].mean()
    np.testing.assert_allclose(moments.means[:, 3] + moments.shift[3], means, rtol=1e-13)


def test_other_tables_are_refused_with_advice():
    class Polars:
        def to_pandas(self):
            return make_data()

    with pytest.raises(DataError, match=r"Polars; pass data\.to_pandas\(\)"):
        read_moments(TABLE, Polars(), cluster="school")
