"""`level_equal`: loadings that are the same at both levels."""

from __future__ import annotations

import pytest

import mlsem
from mlsem.model.defaults import specify
from mlsem.model.options import model_options
from mlsem.model.table import ParameterTable
from mlsem.syntax.parse import parse

MODEL = "level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n g =~ y1 + y2 + y3"


def _table(text: str, groups: tuple[str, ...] = (), **options: object) -> ParameterTable:
    return specify(parse(text), model_options("sem", **options), groups=groups)


def _loadings(table: ParameterTable) -> list[tuple[int, str, str]]:
    return [(row.free, row.label, row.rhs) for row in table.rows if row.op == "=~"]


def test_free_loadings_share_their_parameter() -> None:
    table = _table(MODEL, level_equal="loadings")
    assert _loadings(table) == [
        (-1, "", "y1"),
        (0, ".p2.", "y2"),
        (1, ".p3.", "y3"),
        (-1, "", "y1"),
        (0, ".p2.", "y2"),
        (1, ".p3.", "y3"),
    ]
    assert table.names[:2] == ("f=~y2", "f=~y3")
    assert sorted({row.free for row in table.rows if row.free >= 0}) == list(
        range(len(table.names))
    )
    assert not any(name.startswith("g=~") for name in table.names)


def test_order_of_indicators_does_not_matter_and_other_factors_stay_as_they_are() -> None:
    text = "level: 1\n f =~ y1 + y2 + y3\n h =~ y4 + y5 + y6\nlevel: 2\n"
    text += " g =~ y1 + y3 + y2\n k =~ y4 + y5"
    table = _table(text, level_equal="loadings")
    by_name = {(r.lhs, r.rhs): r.free for r in table.rows if r.op == "=~"}
    assert by_name["f", "y2"] == by_name["g", "y2"]
    assert by_name["f", "y3"] == by_name["g", "y3"]
    assert by_name["h", "y5"] != by_name["k", "y5"]


def test_groups_one_by_one_and_with_equal_loadings() -> None:
    one = _table(MODEL, ("a", "b"), level_equal="loadings")
    assert len(one.names) == 2 * 13
    places = [r.free for r in one.rows if (r.op, r.rhs) == ("=~", "y2")]
    assert places[0] == places[1] != places[2] == places[3]
    assert "f=~y2.g2" in one.names
    both = _table(MODEL, ("a", "b"), level_equal="loadings", group_equal="loadings")
    assert len({r.free for r in both.rows if (r.op, r.rhs) == ("=~", "y2")}) == 1
    assert len({r.label for r in both.rows if (r.op, r.rhs) == ("=~", "y2")}) == 1
    for group in both.groups:
        assert group.table.names == tuple(both.names[place] for place in group.places)


def test_with_std_lv_the_variance_between_is_free() -> None:
    table = _table(MODEL, level_equal="loadings", std_lv=True)
    free = {(r.lhs, r.level): r.free >= 0 for r in table.rows if r.op == "~~" and r.lhs in "fg"}
    assert free == {("f", 1): False, ("g", 2): True}
    assert len(table.names) == len(_table(MODEL, level_equal="loadings").names)


def test_what_the_user_labelled_stays() -> None:
    text = MODEL.replace("g =~ y1 + y2", "g =~ y1 + b*y2")
    table = _table(text, level_equal="loadings")
    by_name = {(r.lhs, r.rhs): r.free for r in table.rows if r.op == "=~"}
    assert by_name["f", "y2"] != by_name["g", "y2"]
    assert by_name["f", "y3"] == by_name["g", "y3"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("f =~ y1 + y2 + y3", {}, "the model has one"),
        ("level: 1\n f =~ y1 + y2 + y3\nlevel: 2\n g =~ y1 + y2", {}, "no factor of level 2"),
        (MODEL.replace("g =~ y1 + y2", "g =~ NA*y1 + 1*y2"), {}, "'y1' is fixed for one of"),
        (MODEL, {"std_lv": True, "group_equal": ["loadings", "lv.variances"]}, "std_lv=False"),
    ],
)
def test_refusals(text, options, message) -> None:
    groups = ("a", "b") if "group_equal" in options else ()
    with pytest.raises(mlsem.SpecificationError, match=message):
        _table(text, groups, level_equal="loadings", **options)


def test_choices() -> None:
    with pytest.raises(mlsem.OptionValueError, match="'loadings'"):
        model_options("sem", level_equal="loading")
    with pytest.raises(mlsem.OptionError, match="level_equal"):
        mlsem.lmm("y ~ 1 + (1 | id)", None, level_equal="loadings")  # type: ignore[arg-type]
