"""Row by row against lavaan's own parameter tables (make_lavaan_tables.R made them)."""

import json
from pathlib import Path

import pytest

from mlsem.model.defaults import specify
from mlsem.model.options import PRESETS, model_options
from mlsem.syntax.parse import parse

CASES = json.loads((Path(__file__).parent / "lavaan_tables.json").read_text("utf-8"))["cases"]


def rows_of(case):
    columns = {
        name: values if isinstance(values, list) else [values]
        for name, values in case["rows"].items()
    }
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def theirs(row):
    fixed = not row["exo"] and row["free"] == 0
    value = row["ustart"] if fixed else None
    kind = "exo" if row["exo"] else "fixed" if fixed else "free"
    return (
        row["lhs"],
        row["op"],
        row["rhs"],
        row["block"],
        bool(row["user"]),
        kind,
        value,
        row["label"],
    )


def ours(row):
    kind = "exo" if row.exo else "free" if row.free >= 0 else "fixed"
    return row.lhs, row.op, row.rhs, row.level, row.user, kind, row.fixed, row.label


def table_of(case):
    options = {name.replace(".", "_"): value for name, value in case["options"].items()}
    return specify(parse(case["model"]), model_options(case["fun"], **options))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["fun"] + ": " + case["model"])
def test_rows_and_their_order(case):
    assert [ours(row) for row in table_of(case).rows] == [theirs(row) for row in rows_of(case)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["fun"] + ": " + case["model"])
def test_names(case):
    names = case["names"] if isinstance(case["names"], list) else [case["names"]]
    assert list(table_of(case).names) == list(dict.fromkeys(names))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["fun"] + ": " + case["model"])
def test_positions(case):
    """Rows that share a position in lavaan's vector after its equalities share it here."""
    table = table_of(case)
    free = [row for row in table.rows if row.free >= 0]
    assert sorted({row.free for row in free}) == list(range(len(table.names)))
    for row in free:
        suffix = f".l{table.level_labels[1]}" if row.level == 2 else ""
        assert table.names[row.free] == (row.label or f"{row.lhs}{row.op}{row.rhs}{suffix}")


def test_presets_are_all_tried():
    assert {case["fun"] for case in CASES} == set(PRESETS)
