"""The grouping column: its labels and their order, and what is no grouping."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlsem.data.table.groups import (
    appearing,
    group_labels,
    group_rows,
    known_groups,
    text_labels,
)
from mlsem.errors import DataError, OptionValueError

TEXT = np.array(list("bbaacbca"), dtype=object)


def frame(values):
    return pd.DataFrame({"g": values, "y": np.arange(float(len(values)))})


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (TEXT, ("a", "b", "c")),
        (pd.array(TEXT, dtype="string"), ("a", "b", "c")),
        (pd.Categorical(TEXT, categories=["c", "unused", "b", "a"]), ("c", "b", "a")),
        (pd.Categorical([10, 2, 2, 10], categories=[10, 2]), (10, 2)),
        (np.array([10, 2, 9, 2, 10], dtype=np.int8), (2, 9, 10)),
        ([10.0, 2.0, np.nan, 2.0], (2, 10)),
        (pd.array([3, 1, None, 1], dtype="Int64"), (1, 3)),
        ([True, False, True], (False, True)),
        (pd.array([True, None, False, True], dtype="boolean"), (False, True)),
        ([0.5, -0.5, 0.5], (-0.5, 0.5)),
        (np.array(["x", 2, 10, "a", 2, "x"], dtype=object), (2, 10, "a", "x")),
        (["b", " ", "a", "", None, "b"], ("a", "b")),
    ],
)
def test_labels_are_pythons_and_in_order(values, labels):
    found = group_labels(frame(values), "g")
    assert found == labels
    assert [type(each) for each in found] == [type(each) for each in labels]


def test_dates_are_groups():
    dates = pd.to_datetime(["2021-01-01", "2020-01-01", "2020-01-01"])
    assert group_labels(frame(dates), "g") == (
        pd.Timestamp("2020-01-01"),
        pd.Timestamp("2021-01-01"),
    )
    assert len(group_labels(frame(dates.to_period("Y")), "g")) == 2


def test_chosen_groups_keep_their_order_and_kind():
    data = frame([1, 2, 2, 3])
    assert group_labels(data, "g", [3, np.int64(1)]) == (3, 1)
    assert type(group_labels(data, "g", np.array([3.0, 1.0]))[0]) is int


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["a", "B"], r"names 'B': 'g' has 'a', 'b', 'c'\. Did you mean 'b'\?"),
        (["a", "a"], "names 'a' twice"),
        (["a"], "names 1 group, and several groups are at least two"),
        ("a", "at least two"),
        ([], "names 0 groups"),
        ([["a"], "b"], "names"),
    ],
)
def test_group_label_names_what_there_is(chosen, message):
    with pytest.raises(OptionValueError, match=message):
        group_labels(frame(TEXT), "g", chosen)


def test_group_label_of_another_type():
    with pytest.raises(OptionValueError, match=r"'1' here is text"):
        group_labels(frame([1, 2, 2]), "g", ["1", "2"])
    with pytest.raises(OptionValueError, match="1 here is of type int"):
        group_labels(frame(["1", "2", "2"]), "g", [1, 2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "a"], "there is one group: 'g' is 'a' in every row"),
        ([None, np.nan], "missing in every row"),
        (np.linspace(0, 1, 7).repeat(1), "another value in each of the 7 rows .* continuous"),
        (np.linspace(0, 1, 40).repeat(2), "has 40 values and looks like a continuous variable"),
        (np.arange(1001).repeat(2), "has 1001 values and looks like a continuous variable"),
        ([f"p{k}" for k in range(9)], "looks like the ids of units"),
    ],
)
def test_what_is_no_grouping(values, message):
    with pytest.raises(DataError, match=message):
        group_labels(frame(values), "g")


def test_a_thousand_groups_may_be_chosen_of_more():
    data = frame(np.arange(1500).repeat(2))
    assert group_labels(data, "g", range(1000)) == tuple(range(1000))
    with pytest.raises(DataError, match="1001 values"):
        group_labels(data, "g", range(1001))


def test_the_column_is_there_once():
    data = frame(TEXT)
    with pytest.raises(DataError, match=r"group= names 'gg', .* Did you mean 'g'\?"):
        group_labels(data, "gg")
    with pytest.raises(DataError, match="2 columns named 'g'"):
        group_labels(pd.concat([data, data[["g"]]], axis=1), "g")
    with pytest.raises(OptionValueError, match="group must be the name of one column"):
        group_labels(data, 3)


def test_several_columns_become_one():
    data = frame(["a", "b", None, "b"]).assign(sex=["m", "m", "f", "f"])
    with pytest.raises(OptionValueError, match=r'and pass group="g_sex"') as caught:
        group_labels(data, ["g", "sex"])
    said = str(caught.value)
    exec(said[said.index('data["g_sex"]') : said.index(", and pass")], {"data": data})
    assert group_labels(data.assign(k=data["g_sex"]), "k", ["b_f", "a_m"]) == ("b_f", "a_m")
    assert data["g_sex"].isna().tolist() == [False, False, True, False]


def test_groups_of_a_text_alone():
    assert text_labels((), [2, 1]) == (2, 1)
    with pytest.raises(OptionValueError, match="twice"):
        text_labels((), ["a", "a"])


def test_rows_of_each_group():
    data = frame(["b", None, "a", "c", "b"])
    rows = group_rows(data, "g", ("b", "a"))
    assert rows.positions(0).tolist() == [0, 4]
    assert rows.positions(1).tolist() == [2]
    assert (rows.n_missing, rows.others) == (1, 1)
    assert [part["y"].tolist() for part in rows.frames(data, ["y"])] == [[0.0, 4.0], [2.0]]
    assert appearing(data, "g", ("a", "b")) == ("b", "a")
    assert group_rows(frame(["b", "b", "a"]), "g", ("b", "a")).order is None
    with pytest.raises(DataError, match=r"no row is of group 'B': .* Did you mean 'b'\?"):
        group_rows(data, "g", ("a", "B"))


def test_rows_of_a_fits_groups():
    data = frame(["b", None, "b", "b"])
    [(place, rows)] = known_groups(data, "g", ("a", "b"))
    assert (place, rows.tolist()) == (1, [0, 2, 3])
    with pytest.raises(DataError, match=r"the fit has no group 'c' \(row 3 .*\): 'g' has 'a', 'b'"):
        known_groups(frame(["b", "a", "a", "c"]), "g", ("a", "b"))
    with pytest.raises(DataError, match="missing in every row"):
        known_groups(frame([None, None]), "g", ("a", "b"))
