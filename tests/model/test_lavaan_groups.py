"""Several groups, row by row against lavaan's parameter tables (make_lavaan_groups.R made them)."""

import json
from pathlib import Path

import pytest

from mlsem.model.defaults import specify
from mlsem.model.options import model_options
from mlsem.syntax.parse import parse

CASES = json.loads((Path(__file__).parent / "lavaan_groups.json").read_text("utf-8"))["cases"]


def titled(case):
    return case["model"].replace("\n", "; ") + f" {case['options']}" * bool(case["options"])


def rows_of(case):
    columns = case["rows"]
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def theirs(row):
    kind = "exo" if row["exo"] else "free" if row["free"] else "fixed"
    value = row["ustart"] if kind == "fixed" else None
    sides = row["lhs"], row["op"], row["rhs"]
    return *sides, row["group"], bool(row["user"]), kind, value, row["label"]


def ours(row):
    kind = "exo" if row.exo else "free" if row.free >= 0 else "fixed"
    return row.lhs, row.op, row.rhs, row.group, row.user, kind, row.fixed, row.label


def table_of(case):
    options = {name.replace(".", "_"): value for name, value in case["options"].items()}
    groups = tuple(case["groups"])
    text = case["model"]
    for number, label in enumerate(groups, start=1):  # lavaan's blocks are by position
        text = text.replace(f"group: {number}\n", f"group: {label}\n")
    return specify(parse(text), model_options(case["fun"], **options), groups=groups)


@pytest.mark.parametrize("case", CASES, ids=titled)
def test_rows_and_their_order(case):
    assert [ours(row) for row in table_of(case).rows] == [theirs(row) for row in rows_of(case)]


@pytest.mark.parametrize("case", CASES, ids=titled)
def test_starting_values(case):
    for row, other in zip(table_of(case).rows, rows_of(case), strict=True):
        if row.free >= 0:
            assert row.start == other["ustart"]


@pytest.mark.parametrize("case", CASES, ids=titled)
def test_names(case):
    """What `group_equal` makes equal is named as in the first group, in lavaan by its number."""
    rows = rows_of(case)
    named = {
        f".p{k}.": "{lhs}{op}{rhs}".format(**row) + f".g{row['group']}" * (row["group"] > 1)
        for k, row in enumerate(rows, start=1)
    }
    names = [named.get(name, name) for name in case["names"]]
    assert list(table_of(case).names) == list(dict.fromkeys(names))
