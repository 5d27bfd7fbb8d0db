"""Statements that are added to a model of several groups."""

import pytest

from mlsem.errors import SpecificationError
from mlsem.model.defaults import specify
from mlsem.model.fragments import extended_text, fragments
from mlsem.syntax.parse import parse

AROUND = (
    "group: b\nlevel: 1\n y ~ x\n z ~ x\nlevel: 2\n y ~ w\n"
    "group: a\nlevel: 1\n y ~ x\n z ~ x\nlevel: 2\n y ~ w\n"
)
INSIDE = "level: 1\ngroup: b\n y ~ x\n z ~ x\ngroup: a\n y ~ x\n z ~ x\nlevel: 2\n y ~ w\n"
ONE_LEVEL = "group: b\n y ~ x\ngroup: a\n y ~ x\n"
FOR_ALL = "y ~ x\n"


def rows(text):
    """The table, and the rows that the text writes: group, level, what."""
    table = specify(parse(text), groups=("a", "b"))
    return table, {(r.group, r.level, r.lhs, r.op, r.rhs) for r in table.rows if r.user}


@pytest.mark.parametrize(
    ("model", "added", "expected"),
    [
        (AROUND, "+ z ~~ y", {(1, 1, "y", "~~", "z"), (2, 1, "y", "~~", "z")}),
        (AROUND, "+ group: a\n level: 2\n y ~ v", {(2, 2, "y", "~", "v")}),
        (AROUND, "+ level: 2\n y ~ v", {(1, 2, "y", "~", "v"), (2, 2, "y", "~", "v")}),
        (INSIDE, "+ level: 1\n y ~ v", {(1, 1, "y", "~", "v"), (2, 1, "y", "~", "v")}),
        (INSIDE, "+ level: 1\n group: b\n y ~ v", {(1, 1, "y", "~", "v")}),
        (INSIDE, "+ group: a\n z ~ v", {(2, 1, "z", "~", "v")}),
        (ONE_LEVEL, "+ y ~ v\n + group: 'a'\n y ~ u", {(1, 1, "y", "~", "v"), (2, 1, "y", "~", "v"),
                                                      (2, 1, "y", "~", "u")}),
        (FOR_ALL, "+ y ~ c(NA, 0)*v", {(1, 1, "y", "~", "v"), (2, 1, "y", "~", "v")}),
    ],
)  # fmt: skip
def test_statements_go_to_their_groups(model, added, expected):
    table, before = rows(model)
    _, after = rows(extended_text(model, added, table))
    assert after - before == expected


def test_definitions_and_constraints_are_added_once():
    model = "group: b\n y ~ p*x\ngroup: a\n y ~ q*x"
    table, _ = rows(model)
    longer, _ = rows(extended_text(model, "+ d := p - q\n + p > q", table))
    assert [each.name for each in longer.definitions] == ["d"]
    assert len(longer.constraints) == 1


@pytest.mark.parametrize(
    ("model", "groups", "added", "message"),
    [
        (FOR_ALL, ("a", "b"), "+ group: b\n y ~ v", r"written for all.*'c\(NA, 0\)\*x'"),
        (FOR_ALL, ("a", "b"), "+ group: c\n y ~ v", "none of the groups, which are 'a', 'b'"),
        (FOR_ALL, (), "+ group: a\n y ~ v", "the model is of one group"),
    ],
)
def test_refusals(model, groups, added, message):
    with pytest.raises(SpecificationError, match=message):
        extended_text(model, added, specify(parse(model), groups=groups))


def test_fragments_know_their_groups():
    table, _ = rows(AROUND)
    text = "y ~~ z\ngroup: a\nlevel: 1\ny ~~ z\nlevel: 2\n y ~ v\ngroup: b\n y ~ v"
    assert [(each.group, each.level) for each in fragments(text, table)] == [
        (None, None),
        (2, 1),
        (2, 2),
        (1, None),
    ]
