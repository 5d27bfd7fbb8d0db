"""Data of several groups: each as a data set of its own, and what spans groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.core.records import CellMoments, ClusterMoments
from mlsem.data.moments.again import record_of
from mlsem.data.moments.aggregate import read_moments
from mlsem.data.moments.groups import read_groups
from mlsem.data.moments.new_rows import read_new_rows, rows_by_group
from mlsem.data.table.groups import group_labels
from mlsem.errors import DataError, OptionValueError

TWO = "level: 1\ny1 + y2 ~ x\nlevel: 2\ny1 + y2 ~ w"
ONE = "f =~ y1 + y2 + y3"
LABELS = ("a", "b", "c")


def make_data(seed=1, clusters=36, rows=5):
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(clusters), rows)
    effects = rng.normal(size=clusters)[school]
    data = pd.DataFrame(rng.normal(size=(len(school), 4)), columns=["y1", "y2", "y3", "x"])
    data[["y1", "y2", "y3"]] += effects[:, None]
    data["x"] += 3.0
    data["w"] = rng.normal(2.0, 1.0, size=clusters)[school]
    data["school"] = school
    data["district"] = school % 4
    data["country"] = np.array(["b", "c", "a"])[school % 3]
    data.index = 100 + np.arange(len(data))
    return data


def table_of(model, data, cluster=None, **options):
    return mlsem.check(model, data, cluster, group="country", **options)


def read(model, data, cluster=None, table=None, **options):
    table = table_of(model, data, cluster) if table is None else table
    return read_groups(table, data, group="country", cluster=cluster, **options)


def assert_same(moments, other):
    assert type(moments) is type(other)
    for name in type(other).__dataclass_fields__:
        a, b = getattr(moments, name), getattr(other, name)
        if isinstance(b, np.ndarray) and b.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
        else:
            np.testing.assert_array_equal(a, b)


def holes(data, names, share=0.1, seed=5):
    rng = np.random.default_rng(seed)
    gappy = data.copy()
    for name in names:
        gappy.loc[rng.random(len(data)) < share, name] = np.nan
    return gappy


@pytest.mark.parametrize("missing", ["listwise", "fiml"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_group_is_read_as_its_own_data_set(missing, shuffled):
    data = holes(make_data(), ["y1", "w"])
    data = data.sample(frac=1.0, random_state=2) if shuffled else data
    table = table_of(TWO, data, "school")
    record = read(TWO, data, "school", missing=missing)
    assert (record.column, record.labels) == ("country", LABELS)
    for label, own, model in zip(LABELS, record.groups, table.groups, strict=True):
        alone = read_moments(
            model.table, data[data["country"] == label], cluster="school", missing=missing
        )
        assert_same(own.moments, alone.moments)
        assert own.missingness == alone.missingness
        assert own.n_rows == alone.n_rows
    assert record.n_rows == sum(own.n_rows for own in record.groups)
    assert record.moments.n_clusters == record.robust.n_clusters
    np.testing.assert_array_equal(
        record.moments.labels, np.concatenate([own.moments.labels for own in record.groups])
    )


def test_rows_that_are_clusters_keep_their_place_in_the_frame():
    data = make_data()
    record = read(ONE, data)
    for label, own in zip(LABELS, record.groups, strict=True):
        places = np.flatnonzero(data["country"] == label)
        np.testing.assert_array_equal(own.moments.labels, places)
    assert (record.robust.name, record.robust.n_clusters) == (None, len(data))
    gappy = holes(data, ["y1"])
    for missing in ("listwise", "fiml"):
        moments = read(ONE, gappy, missing=missing).groups[1].moments
        places = np.flatnonzero(
            (data["country"] == "b") & (gappy["y1"].notna() | (missing != "listwise"))
        )
        np.testing.assert_array_equal(moments.labels, places)


def test_grand_means_are_those_of_all_groups():
    data = holes(make_data(), ["y1"])
    data["x"] += 10.0 * (data["country"] == "b")
    record = read(TWO, data, "school", center={"x": "grand", "w": "grand"})
    used = data.dropna(subset=["y1"])
    means = {"x": used["x"].mean(), "w": used.groupby("school")["w"].first().mean()}
    assert [(name, how) for name, how, _ in record.centered] == [("x", "grand"), ("w", "grand")]
    for own in record.groups:
        np.testing.assert_allclose([value for _, _, value in own.centered], list(means.values()))
    centred = data.assign(x=data["x"] - means["x"], w=data["w"] - means["w"])
    for own, other in zip(record.groups, read(TWO, centred, "school").groups, strict=True):
        assert_same(own.moments, other.moments)


def test_the_grand_mean_of_a_variable_that_is_of_level_two_in_some_groups():
    within, between = "level: 1\ny1 ~ x\nlevel: 2\ny1 ~~ y1", "level: 1\ny1 ~ y2\nlevel: 2\ny1 ~ x"
    text = f"group: a\n{within}\ngroup: b\n{between}\ngroup: c\n{within}"
    data = make_data()
    own = data["country"] == "b"
    data.loc[own, "x"] = data.loc[own, "w"]
    record = read(text, data, "school", center={"x": "grand"})
    np.testing.assert_allclose(record.centered[0][2], data["x"].mean())
    assert [each.moments.varying for each in record.groups] == [2, 2, 2]
    place = record.groups[1].moments.columns.index("x")
    mean = record.groups[1].moments.shift[place]
    clusters = data[own].groupby("school")["x"].first()
    np.testing.assert_allclose(mean, clusters.mean() - data["x"].mean())


def test_a_product_with_a_grand_mean_far_from_that_of_its_group():
    model = "level: 1\ny1 ~ x + w:x\nlevel: 2\ny1 ~ w"
    data = make_data()
    data["x"] += 1e6 * (data["country"] == "b")
    record = read(model, data, "school", center={"x": "grand"})
    centred = data.assign(x=data["x"] - record.centered[0][2])
    product = (centred["w"] * centred["x"])[centred["country"] == "b"]
    own = record.groups[1]
    whole = own.maps["w:x"]
    moments = own.moments
    inner = whole.coefs[: moments.varying]
    rows = moments.rows
    values = whole.constant + moments.means @ whole.coefs
    np.testing.assert_allclose(rows @ values / rows.sum(), product.mean(), rtol=1e-12)
    within = np.einsum("a,jab,b->j", inner, moments.within, inner)
    school = data["school"][centred["country"] == "b"]
    expected = product.groupby(school).apply(lambda each: ((each - each.mean()) ** 2).sum())
    np.testing.assert_allclose(within, expected, rtol=1e-8)


def test_cluster_means_are_taken_off_group_by_group():
    model = "level: 1\ny1 + y2 ~ x\nlevel: 2\ny1 + y2 ~ w"
    record = read(model, make_data(), "school", center={"x": "cluster"})
    assert record.centered[0][:2] == ("x", "cluster")
    assert np.isnan(record.centered[0][2])
    place = record.groups[0].moments.columns.index("x")
    np.testing.assert_allclose(record.groups[0].moments.means[:, place], 0.0, atol=1e-12)


def test_a_variable_that_only_some_groups_have():
    text = "group: a\nf =~ y1 + y2 + y3\ngroup: b\nf =~ y1 + y2 + x\ngroup: c\nf =~ y1 + y2 + x"
    data = make_data()
    data.loc[data["country"] == "a", "x"] = np.nan
    data.loc[data["country"] == "b", "y3"] = np.inf
    data["y3"] = data["y3"].astype(object)
    data.loc[data["country"] == "c", "y3"] = "not asked"
    record = read(text, data)
    assert [own.moments.columns for own in record.groups] == [
        ("y1", "y2", "y3"),
        ("y1", "y2", "x"),
        ("y1", "y2", "x"),
    ]
    assert record.n_rows == len(data)
    assert record.notes == ()


def test_what_is_wrong_in_some_groups_says_in_which():
    data = make_data()
    constant = data.copy()
    constant.loc[data["country"] == "b", "y2"] = 3.0
    with pytest.raises(DataError, match=r"^group 'b': 'y2' is constant in the 60 rows"):
        read(TWO, constant, "school")
    constant.loc[data["country"] == "c", "y2"] = 3.0
    with pytest.raises(DataError, match=r"^groups 'b', 'c': 'y2' is constant"):
        read(TWO, constant, "school")
    with pytest.raises(DataError, match=r"^'y2' is constant in the 60 rows"):
        read(TWO, data.assign(y2=3.0), "school")
    text = data.assign(y2=data["y2"].astype(object))
    text.loc[104, "y2"] = "oops"
    with pytest.raises(DataError, match=r"^group 'b': column 'y2' .* 'oops' in row 104 "):
        read(TWO, text, "school")
    data.loc[103, "y1"] = np.nan
    with pytest.raises(DataError, match=r"^group 'b': missing values in 'y1' \(1\); row 103 "):
        read(TWO, data, "school", missing="error")


def test_rows_without_a_group_are_left_out_and_said():
    data = make_data()
    data.loc[[101, 107], "country"] = None
    data.loc[120, "y1"] = np.nan
    record = read(TWO, data, "school")
    assert (record.n_rows_total, record.n_rows_dropped) == (180, 3)
    told = "3 of 180 rows (1.7%) left out for missing values: 'country' (2), 'y1' (1)."
    assert told in record.notes
    said = 'Without a group a row has no model; of the others: missing="fiml" uses'
    assert record.lost.startswith(f"{told} {said}")
    full = read(TWO, data, "school", missing="fiml")
    assert "2 of 180 rows left out, in which the group, 'country', is missing." in full.notes
    assert full.n_rows == 178
    kinds = [type(own.moments) for own in full.groups]
    assert sorted(kind.__name__ for kind in kinds) == ["CellMoments", *["ClusterMoments"] * 2]
    assert full.missingness.rows_partly == 1
    assert full.missingness.patterns == 2
    with pytest.raises(DataError, match=r"missing values in 'country' \(2\); rows 101, 107"):
        read(TWO, data, "school", missing="error")
    complete = data.assign(y1=data["y1"].fillna(0.0))
    assert "They have no group" in read(TWO, complete, "school").lost


def test_missing_values_of_all_groups_are_counted_together():
    data = holes(make_data(), ["y1", "x"])
    record = read(TWO, data, "school", missing="fiml")
    own = [each.missingness for each in record.groups]
    assert record.missingness.covariate_rows == data["x"].isna().sum()
    assert record.missingness.rows_partly == sum(each.rows_partly for each in own)
    assert record.n_rows_dropped == data["x"].isna().sum()
    [note] = [note for note in record.notes if "fixed covariate" in note]
    assert note.startswith(f"{data['x'].isna().sum()} of 180 rows left out")
    assert all(isinstance(each.moments, CellMoments) for each in record.groups)


def test_other_groups_are_left_out():
    data = make_data()
    data.loc[data["country"] == "c", "y1"] = np.inf
    table = table_of(TWO, data, "school", group_label=["b", "a"])
    record = read(TWO, data, "school", table=table)
    assert record.labels == ("b", "a")
    assert record.notes == ("60 rows of other groups of 'country' are left out.",)
    assert record.n_rows_total == 120
    assert all(isinstance(each.moments, ClusterMoments) for each in record.groups)


def test_sentinels_are_looked_for_in_all_groups_together():
    data = make_data()
    data.loc[[100, 101, 105, 110], "y1"] = -99.0
    [note] = [note for note in read(TWO, data, "school").notes if "-99" in note]
    assert note.startswith("'y1' is -99 in 4 of 180 rows")


def test_few_clusters_of_a_group_are_noted_for_parameters_of_its_own():
    data = make_data(clusters=12)
    whole, note = read(TWO, data, "school").notes
    assert whole.startswith("level 2 has 21 free parameters but there are only 12 clusters")
    assert note.startswith(
        "groups with more free parameters of their own at level 2 than clusters: "
        "group 'a' (7 parameters, 4 clusters), group 'b'"
    )
    table = table_of(TWO, data, "school")
    first, *others = table.groups
    shared = tuple(replace(each, places=first.places) for each in others)
    same = replace(table, groups=(first, *shared))
    assert not any("of their own" in note for note in read(TWO, data, "school", same).notes)


# --- clusters and groups --------------------------------------------------------------------------


def test_clusters_of_two_levels_belong_to_one_group():
    data = make_data()
    data["id"] = data["school"] // 3
    with pytest.raises(DataError) as caught:
        read(TWO, data, "id")
    said = str(caught.value)
    assert "12 cluster(s) of 'id' have rows in more than one group: id 0 is in the groups" in said
    assert "without group=" in said
    assert 'missing="fiml"' in said
    assert """a column "country_id" of both, 'country' and 'id' joined, and pass clus""" in said
    data["country_id"] = data["country"].astype(str) + "_" + data["id"].astype(str)
    again = read(TWO, data, "country_id")
    assert again.moments.n_clusters == 36


def test_robust_clusters_cut_across_groups():
    data = make_data()
    data["id"] = data["school"] // 3
    record = read(ONE, data, "id")
    assert [own.moments.n_clusters for own in record.groups] == [12, 12, 12]
    assert record.robust.n_clusters == 12
    np.testing.assert_array_equal(record.robust.labels[record.robust.codes], record.moments.labels)
    assert len([note for note in record.notes if "one level" in note]) == 1
    coarse = read(TWO, data, "school", se_cluster="district")
    assert coarse.robust.n_clusters == 4
    districts = data.groupby("school")["district"].first()
    np.testing.assert_array_equal(
        coarse.robust.labels[coarse.robust.codes], districts[coarse.moments.labels]
    )


def test_ids_that_are_no_unicode():
    data = make_data()
    ids = [f"\udc80{each}" for each in data["school"]]
    data["school"] = pd.Series(ids, index=data.index, dtype=object)
    assert read(TWO, data, "school").robust.n_clusters == 36
    assert read(ONE, data, "school").robust.n_clusters == 36


def test_robust_clusters_hold_whole_clusters_of_all_groups():
    data = make_data()
    data["id"] = data["school"] // 3
    with pytest.raises(DataError, match=r"in more than one cluster of\s+se_cluster='country'"):
        read(ONE, data, "id", se_cluster="country")
    by_group = read(TWO, data, "school", se_cluster="country")
    assert by_group.robust.labels.tolist() == ["a", "b", "c"]
    with pytest.raises(DataError, match="all rows are in one cluster of 'k'"):
        read(TWO, data.assign(k=1), "school", se_cluster="k")


def test_one_cluster_in_a_group():
    data = make_data()
    data.loc[data["country"] == "a", "school"] = 999
    with pytest.raises(DataError, match=r"^group 'a': all 60 rows are in one cluster"):
        read(TWO, data.drop(columns="w").assign(w=data["school"] % 5), "school")
    assert read(ONE, data, "school").robust.n_clusters == 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"group": "x"}, "'x' is the grouping column and a variable of the model"),
        ({"group": "school"}, "'school' is the grouping column and the cluster column"),
        ({"group": "land"}, r"group= names 'land', which is not a column"),
        ({"cluster": "scool"}, r"cluster= names 'scool', .* Did you mean 'school'"),
        ({"se_cluster": "distrct"}, r"se_cluster= names 'distrct', .* Did you mean 'district'"),
        ({"center": {"y9": "grand"}}, "center names 'y9'"),
    ],
)
def test_options_are_checked(change, message):
    data = make_data()
    table = table_of(TWO, data, "school")
    how = {"group": "country", "cluster": "school", **change}
    with pytest.raises(DataError, match=message):
        read_groups(table, data, **how)
    with pytest.raises(OptionValueError, match="missing must be"):
        read_groups(table, data, group="country", cluster="school", missing="fmil")


# --- what is done with records --------------------------------------------------------------------


def test_the_order_of_groups_and_rows_changes_nothing():
    data = make_data()
    forth = read(TWO, data, "school")
    mixed = data.sample(frac=1.0, random_state=8)
    table = table_of(TWO, mixed, "school", group_label=["c", "a", "b"])
    back = read(TWO, mixed, "school", table=table)
    for label in LABELS:
        a = forth.groups[forth.labels.index(label)].moments
        b = back.groups[back.labels.index(label)].moments
        order = [b.labels.tolist().index(each) for each in a.labels.tolist()]
        np.testing.assert_allclose(a.within, b.within[order], atol=1e-11)
        np.testing.assert_allclose(a.means + a.shift, b.means[order] + b.shift, atol=1e-12)


def test_records_for_a_further_model():
    data = make_data()
    before = table_of(TWO, data, "school")
    record = read(TWO, data, "school")
    smaller = table_of(TWO.replace("y1 + y2 ~ w", "y1 ~ w"), data, "school")
    again = record_of(smaller, record, before)
    assert again.labels == LABELS
    turned = table_of(TWO, data, "school", group_label=["c", "a", "b"])
    again = record_of(turned, record, before)
    assert again.labels == ("c", "a", "b")
    assert_same(again.groups[0].moments, record.groups[2].moments)
    fresh = read(TWO, data, "school", table=turned)
    np.testing.assert_array_equal(again.moments.labels, fresh.moments.labels)
    np.testing.assert_array_equal(again.robust.codes, fresh.robust.codes)
    fewer = table_of(TWO, data, "school", group_label=["c", "a"])
    with pytest.raises(DataError, match=r"Pass the data for others: fit\.update"):
        record_of(fewer, record, before)
    whole = mlsem.check(TWO, data, "school")
    with pytest.raises(DataError, match="the fit is of one group"):
        record_of(before, read_moments(whole, data, cluster="school"), whole)
    with pytest.raises(DataError, match="the fit is of several groups"):
        record_of(whole, record, before)


def test_clusters_that_cut_across_groups_in_a_further_model():
    data = make_data()
    data["id"] = data["school"] // 3
    one = "y1 + y2 ~ x"
    record = read(one, data, "id")
    model = "level: 1\ny1 + y2 ~ x\nlevel: 2\ny1 ~~ y2"
    with pytest.raises(DataError, match="in more than one group"):
        record_of(table_of(model, data, "id"), record, table_of(one, data, "id"))


def test_new_rows_by_group():
    data = make_data()
    table = table_of(TWO, data, "school")
    record = read(TWO, data, "school", center={"x": "grand"})
    new = data.sample(frac=0.6, random_state=4)
    new.loc[new.index[:3], "country"] = None
    new.loc[new.index[5], "y1"] = np.nan
    parts = rows_by_group(table, record, new)
    values = np.full(len(new), np.nan)
    for part in parts:
        own = table.groups[part.place].table
        rows = read_new_rows(own, record.groups[part.place], part.frame, own.observed, level2=True)
        place = rows.names.index("x")
        values[part.positions] = rows.spread_out(rows.values[:, [place]])[:, 0]
    expected = (new["x"] - data["x"].mean()).to_numpy(copy=True)
    expected[[0, 1, 2, 5]] = np.nan
    np.testing.assert_allclose(values, expected)


def test_new_rows_of_other_groups_and_clusters():
    data = make_data()
    table = table_of(TWO, data, "school")
    record = read(TWO, data, "school")
    new = data.head(30).copy()
    new.loc[104, "country"] = "d"
    with pytest.raises(DataError, match=r"the fit has no group 'd' \(row 104"):
        rows_by_group(table, record, new)
    new.loc[100:104, "country"] = "a"
    with pytest.raises(DataError, match="school 0 is in the group 'a' here and in the group 'b'"):
        rows_by_group(table, record, new)
    new.loc[103, "country"] = "b"
    with pytest.raises(DataError, match="in more than one group"):
        rows_by_group(table, record, new)
    with pytest.raises(DataError, match="the fit's group= names 'country'"):
        rows_by_group(table, record, data.drop(columns="country"))


def test_missing_patterns_by_group():
    data = holes(make_data(), ["y1", "x"])
    data.loc[[101, 107], "country"] = None
    found = mlsem.missing_patterns(data, TWO, "school", group="country")
    record = read(TWO, data, "school", missing="fiml")
    assert sum(own.used.fiml for own in found.values()) == record.n_rows
    assert sum(own.n_complete for own in found.values()) == read(TWO, data, "school").n_rows
    two = mlsem.missing_patterns(data, TWO, "school", group="country", group_label=["a", "b"])
    assert [*two] == ["a", "b"]
    assert two["a"].n_rows == (data["country"] == "a").sum()


def test_many_groups_have_their_labels():
    data = make_data(clusters=120, rows=4)
    data["country"] = data["school"] // 3
    record = read(ONE, data)
    assert record.labels == group_labels(data, "country") == tuple(range(40))
    assert [own.n_rows for own in record.groups] == [12] * 40
