"""`equal()` takes the name of another parameter, as in lavaan."""

import pytest

from mlsem.errors import SpecificationError
from mlsem.model.defaults import specify
from mlsem.syntax.parse import parse

TWO = "level: 1\nfw =~ y1 + y2 + {a}y3\nlevel: 2\nfb =~ y1 + y2 + {b}y3"


def shared(text):
    """Names of the rows that share the position of a row with the same label."""
    table = specify(parse(text))
    places = [row.free for row in table.rows if row.free >= 0]
    return table, {row.rhs for row in table.rows if places.count(row.free) > 1}


@pytest.mark.parametrize("name", ["f=~y2", "f =~ y2"])
def test_a_loading_named_before_and_after(name):
    for text in (f'f =~ y1 + y2 + equal("{name}")*y3', 'f =~ y1 + equal("f=~y3")*y2 + y3'):
        table, rows = shared(text)
        assert rows == {"y2", "y3"}
        assert table.names[0] == ("f=~y2" if name in text else "f=~y3")


def test_levels_are_named_by_their_suffix():
    for a, b in (('equal("fb=~y2.l2")*', ""), ("", 'equal("fw=~y2")*'), ('equal("fb=~y2")*', "")):
        table, rows = shared(TWO.format(a=a, b=b))
        assert rows == {"y2", "y3"}
        assert len(table.names) == len(specify(parse(TWO.format(a="", b=""))).names) - 1


def test_labels_fixed_values_and_chains():
    table, _ = shared('f =~ y1 + a*y2 + equal("f=~y2")*y3')
    assert table.names[0] == "a"
    table, _ = shared('f =~ y1 + y2 + equal("f=~y1")*y3')
    assert [row.fixed for row in table.rows[:3]] == [1.0, None, 1.0]
    _, rows = shared('f =~ y1 + y2 + equal("f=~y2")*y3 + equal("f=~y3")*y4')
    assert rows == {"y2", "y3", "y4"}
    _, rows = shared('y ~~ y + z\nx ~~ equal("z~~y")*w')
    assert rows == {"z", "w"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("f=~y9", r"'f=~y9', which the model does not write.*Did you mean 'f=~y"),
        ("y1~~y1", "write that formula too"),
        ("f=~y3", "equal to itself"),
    ],
)
def test_names_that_are_none(name, message):
    with pytest.raises(SpecificationError, match=message) as caught:
        specify(parse(f'f =~ y1 + y2 + equal("{name}")*y3'))
    assert "^" in str(caught.value)


def test_level_labels_that_are_numbers_are_plain():
    table = specify(parse("level: 1.0\ny ~ x\nlevel: 2.0\ny ~ w"))
    assert table.level_labels == ("1", "2")
    assert "y~w.l2" in table.names
