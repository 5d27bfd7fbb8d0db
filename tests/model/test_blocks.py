"""Blocks of a table: levels, and room for groups."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest

from mlsem.model.blocks import BlockKey, block_keys, name_suffix
from mlsem.model.defaults import specify
from mlsem.syntax.parse import parse

TEXT = "level: within\n y ~ x\nlevel: school\n y ~ w\n y ~~ v*y"


def test_keys_sort_group_by_group_from_the_rows_up():
    keys = [BlockKey(group, level) for level in (2, 1) for group in (2, 1)]
    assert sorted(keys) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [key for key in keys if key.is_lowest] == [(2, 1), (1, 1)]
    assert block_keys(2) == ((1, 1), (1, 2))


def test_names_above_the_rows_end_in_the_label_of_their_level():
    first, second = block_keys(2)
    assert name_suffix(first, ()) == ""
    assert name_suffix(second, ("within", "school")) == ".lschool"


@pytest.mark.parametrize("text", [TEXT, "y ~ x\n y ~~ v*y"])
def test_blocks_have_all_rows_of_a_table_in_their_order(text):
    table = specify(parse(text))
    assert [block.variables for block in table.blocks] == list(table.levels)
    for block in table.blocks:
        assert block.rows == tuple(table.rows[k] for k in block.places)
        assert {row.block for row in block.rows} == {block.key}
        own = {row.free for row in block.rows if row.free >= 0 and not row.label}
        assert all(table.names[k].endswith(block.suffix) for k in own)
    assert sorted(k for block in table.blocks for k in block.places) == [*range(len(table.rows))]


def test_blocks_follow_the_rows():
    table = specify(parse(TEXT))
    fewer = replace(table, rows=table.rows[1:])
    assert fewer.blocks[0].rows == table.blocks[0].rows[1:]
    for same in (copy.copy(table), pickle.loads(pickle.dumps(table))):
        assert same == table
        assert same.blocks == table.blocks


def test_rows_of_another_group_are_in_no_block_of_the_first():
    table = specify(parse(TEXT))
    moved = (replace(table.rows[0], group=2), *table.rows[1:])
    assert replace(table, rows=moved).blocks[0].places == table.blocks[0].places[1:]
