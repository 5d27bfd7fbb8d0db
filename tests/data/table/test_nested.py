"""Clusters within clusters, of two columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlsem.data.table.nested import nested, nested_either_way
from mlsem.errors import DataError

ROWS = pd.DataFrame(
    {
        "school": ["b", "a", "b", "a", "b", "c", "a"],
        "class": [2, 1, 1, 2, 2, 1, 1],
        "unique": ["b2", "a1", "b1", "a2", "b2", "c1", "a1"],
    }
)


def _pairs(found) -> list[tuple]:
    """The ids of each row of the frame, by what was grouped."""
    codes = found.lower.codes
    schools, classes = found.labels[found.owner[codes]], found.lower.labels[codes]
    return list(zip(schools.tolist(), classes.tolist(), strict=True))


def test_ids_that_count_anew_are_told_apart() -> None:
    found = nested(ROWS, "school", "class", joined=True)
    assert _pairs(found) == list(zip(ROWS["school"], ROWS["class"], strict=True))
    assert found.labels.tolist() == ["b", "a", "c"]
    assert found.owner.tolist() == [0, 0, 1, 1, 2]
    assert found.starts.tolist() == [0, 2, 4]
    assert found.counts.tolist() == [2, 2, 1]
    assert found.upper.sizes.tolist() == [3, 3, 1]
    assert ROWS["school"].iloc[found.upper.order].tolist() == ["b"] * 3 + ["a"] * 3 + ["c"]


@pytest.mark.parametrize("joined", [True, False])
def test_unique_ids_need_not_be_joined(joined) -> None:
    found = nested(ROWS, "school", "unique", joined=joined)
    assert _pairs(found) == list(zip(ROWS["school"], ROWS["unique"], strict=True))


@pytest.mark.parametrize("columns", [("school", "unique"), ("unique", "school")])
def test_which_column_is_the_outer_one_is_found(columns) -> None:
    assert nested_either_way(ROWS, *columns).names == ("school", "unique")


def test_rows_that_stand_in_order_stay() -> None:
    ordered = ROWS.sort_values(["school", "class"])
    found = nested(ordered, "school", "class", joined=True)
    assert found.lower.order is None
    assert found.lower.sizes.tolist() == [2, 1, 1, 2, 1]


def test_rows_of_an_inner_cluster_in_two_outer_ones() -> None:
    said = (
        "2 of 2 clusters of 'class' have rows in more than one cluster of 'school': class 1 is in "
        r"school 'a' and 'b'\. .*write 'school/class'.* crossed"
    )
    with pytest.raises(DataError, match=said):
        nested(ROWS, "school", "class", joined=False)


def test_the_same_clusters_twice() -> None:
    with pytest.raises(DataError, match="every cluster of 'unique' has one cluster of 'school'"):
        nested(ROWS, "unique", "school", joined=True)


def test_ids_that_are_missing() -> None:
    gap = ROWS.assign(school=ROWS["school"].where(np.arange(7) != 3))
    with pytest.raises(DataError, match="cluster column 'school' has 1 missing id"):
        nested(gap, "school", "class", joined=True)
