"""Blocks of groups and elements of `c(…)`: which formulas and modifiers each group has."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd
import pytest

from mlsem.errors import SpecificationError
from mlsem.syntax.groups import by_group, numbered, order_note, shared_label_notes
from mlsem.syntax.nodes import Modifiers
from mlsem.syntax.parse import parse


def shown(text, groups=("a", "b")):
    """By group: by level, what the formulas say."""
    syntax = parse(text)
    labels = numbered(syntax, groups)
    return {
        label: {
            block.level: [
                f"{f.lhs.name}{f.op}{f.rhs.name if f.rhs else ''}" for f in block.formulas
            ]
            for block in model.blocks
        }
        for label, model in zip(labels, by_group(syntax, labels), strict=True)
    }


BLOCKS = {
    # the outer header may be either; the inner one is said again after it
    "group: a\nlevel: 1\n y~x\nlevel: 2\n y~w\ngroup: b\nlevel: 1\n y~z\nlevel: 2\n y~v": {
        "a": {"1": ["y~x"], "2": ["y~w"]},
        "b": {"1": ["y~z"], "2": ["y~v"]},
    },
    "level: 1\ngroup: a\n y~x\ngroup: b\n y~z\nlevel: 2\ngroup: a\n y~w\ngroup: b\n y~v": {
        "a": {"1": ["y~x"], "2": ["y~w"]},
        "b": {"1": ["y~z"], "2": ["y~v"]},
    },
    # outside of every group header: of all groups
    "level: 1\ngroup: a\n y~x\ngroup: b\n y~z\nlevel: 2\n y~w": {
        "a": {"1": ["y~x"], "2": ["y~w"]},
        "b": {"1": ["y~z"], "2": ["y~w"]},
    },
    "level: 1\n y~x\ngroup: b\n y~z\nlevel: 2\n y~w": {
        "b": {"1": ["y~x", "y~z"], "2": ["y~w"]},
        "a": {"1": ["y~x"], "2": ["y~w"]},
    },
    "y~x": {"a": {None: ["y~x"]}, "b": {None: ["y~x"]}},
    # headers may come again, and definitions stand anywhere
    "group: a\n y~x\ngroup: b\n y~p*z\nd := p\nGroup: a\n v~x": {
        "a": {None: ["y~x", "v~x"]},
        "b": {None: ["y~z"]},
    },
    # levels in another order in one of the groups are the same levels
    "group: a\nlevel: 1\n y~x\nlevel: 2\n y~w\ngroup: b\nlevel: 2\n y~v\nlevel: 1\n y~z": {
        "a": {"1": ["y~x"], "2": ["y~w"]},
        "b": {"1": ["y~z"], "2": ["y~v"]},
    },
}


@pytest.mark.parametrize("text", BLOCKS)
def test_blocks(text):
    assert shown(text) == BLOCKS[text]
    assert list(shown(text)) == list(BLOCKS[text])


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("a", "a"),
        ('"a b"', "a b"),
        ("1", 1),
        ("1", 1.0),
        ("1.0", 1),
        ('"1.0"', 1),
        ("1", "1"),
        ("1.0", "1.0"),
        ("-1", -1),
        ("-1.5", -1.5),
        ("1.50", 1.5),
        ("TRUE", True),
        ("true", True),
        ("True", True),
        ("TRUE", "TRUE"),
        ("Größe", "Größe"),
        ('"2026-01-31"', pd.Timestamp("2026-01-31")),
        ('"2026-01-31"', datetime(2026, 1, 31)),
        ('"2026-01-31"', date(2026, 1, 31)),
        ('"2026-01-31T10:00:00"', datetime(2026, 1, 31, 10)),
        ('"2026-01-31 10:00:00"', datetime(2026, 1, 31, 10)),
    ],
)
def test_names_of_blocks_are_labels_of_the_data(written, label):
    syntax = parse(f"group: {written}\n y ~ x\ngroup: other\n y ~ z")
    assert numbered(syntax, ("other", label)) == (label, "other")
    assert type(numbered(syntax, ("other", label))[0]) is type(label)


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("a", "A"),
        ("1", True),
        ("TRUE", 1),
        ("1", "one"),
        ('"2026-01-31"', datetime(2026, 1, 31, 1)),
    ],
)
def test_other_names_are_no_labels(written, label):
    syntax = parse(f"group: {written}\n y ~ x\ngroup: other\n y ~ z")
    with pytest.raises(SpecificationError, match="is none of the groups, which are"):
        numbered(syntax, ("other", label))


def test_an_exact_name_goes_first():
    syntax = parse("group: 1\n y ~ x\ngroup: 2\n y ~ x")
    assert numbered(syntax, (2, "1")) == ("1", 2)


def elements(text, count=2):
    """The modifiers of the first formula by group."""
    labels = tuple("abcdefgh"[:count])
    models = by_group(parse(text), labels)
    return [model.blocks[0].formulas[0].modifiers for model in models]


def said(modifiers):
    names = ("fixed", "free", "label", "start", "lower", "upper", "slope", "equal")
    return {n: v for n in names if (v := getattr(modifiers, n)) is not None and v is not False}


MODIFIERS = {
    "c(a, b)": [{"label": "a"}, {"label": "b"}],
    "c(a, a)": [{"label": "a"}, {"label": "a"}],
    'c("a", "b")': [{"label": "a"}, {"label": "b"}],
    "label(c(a, NA))": [{"label": "a"}, {}],
    "c(a, NA)": [{"label": "a"}, {}],  # a label for one; the default for the other
    "c(NA, 1)": [{"free": True}, {"fixed": 1.0}],
    "c(NA, NA)": [{"free": True}, {"free": True}],
    "c(1, 1/4)": [{"fixed": 1.0}, {"fixed": 0.25}],
    "c(-1, a)": [{"fixed": -1.0}, {"label": "a"}],
    "list(1, 2)": [{"fixed": 1.0}, {"fixed": 2.0}],
    "fixed(c(NA, 2))": [{"free": True}, {"fixed": 2.0}],
    "start(c(1, NA))": [{"start": 1.0}, {}],
    "lower(c(0, -Inf))": [{"lower": 0.0}, {"lower": -float("inf")}],
    "upper(c(NA, 1))": [{}, {"upper": 1.0}],
    'equal(c("a", "y~z.g2"))': [{"label": "a"}, {"equal": "y~z.g2"}],
    'rv(c("s", "t"))': [{"slope": "s"}, {"slope": "t"}],
    'rv(c("s", NA))': [{"slope": "s"}, {}],
    "c(a, b)*start(0.5)": [{"label": "a", "start": 0.5}, {"label": "b", "start": 0.5}],
    "start(0.5)*c(a, b)": [{"label": "a", "start": 0.5}, {"label": "b", "start": 0.5}],
    "c(a, NA)*c(NA, 2)": [{"label": "a", "free": True}, {"fixed": 2.0}],
    "c(a, b)*c(a, b)": [{"label": "a"}, {"label": "b"}],
    "c(c(1, 2))": [{"fixed": 1.0}, {"fixed": 2.0}],
    "a": [{"label": "a"}, {"label": "a"}],
    "c(0.5)": [{"fixed": 0.5}, {"fixed": 0.5}],
}


@pytest.mark.parametrize("written", MODIFIERS)
def test_elements_of_groups(written):
    assert [said(each) for each in elements(f"y ~ {written}*x")] == MODIFIERS[written]
    assert all(each.groups == () for each in elements(f"y ~ {written}*x"))


def test_starting_values_before_a_question_mark():
    assert [each.start for each in elements("y ~ c(1, 2)?x")] == [1.0, 2.0]


def test_what_holds_in_every_group_is_said_of_all():
    (formula,) = parse("y ~ c(a, b)*start(0.5)*x").blocks[0].formulas
    assert formula.modifiers.start == 0.5
    assert formula.modifiers.label is None
    assert [each.label for each in formula.modifiers.each] == ["a", "b"]
    assert Modifiers().each == (Modifiers(),)


def test_labels_of_all_groups_have_their_remarks():
    assert len(parse("y ~ c(x, b)*z + x").remarks) == 1
    assert parse("y ~ c(x, b)*z + x\nd := x").remarks == ()


def test_notes():
    syntax = parse("y ~ a*x + c(b, d)*z + e*w")
    (note,) = shared_label_notes(syntax)
    assert note.startswith("'a', 'e' label parameters of all groups, which share them")
    (note,) = shared_label_notes(parse('f =~ y1 + y2 + equal("f=~y2.l2")*y3'))
    assert "'f=~y2.l2' and 'f=~y2.g2.l2'" in note
    assert order_note(syntax, ("a", "b"), ("a", "b")) == ""
    assert "'b', 'a'" in order_note(syntax, ("a", "b"), ("b", "a"))
    assert order_note(parse("y ~ c(b, b)*x"), ("a", "b"), ("b", "a")) == ""
    assert order_note(parse("group: a\n y ~ a*x\ngroup: b\n y ~ x"), ("a", "b"), ("b", "a")) == ""
    assert shared_label_notes(parse("group: a\n y ~ a*x\ngroup: b\n y ~ x")) == []
