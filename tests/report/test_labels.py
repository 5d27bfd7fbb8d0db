"""Readable words in place of names."""

from __future__ import annotations

import pytest

from mlsem.errors import OptionValueError
from mlsem.report.labels import Labels, read_labels

WORDS = {"x1": "Reading", "w1": "Size", "y": "Achievement", "sexmale": "boy", "f": "Trust"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("y~x1", "Achievement ~ Reading"),
        ("y~w1:x1", "Achievement ~ Size × Reading"),
        ("y~w1.l2", "Achievement ~ Size (level 2)"),
        ("y~w1.lschool", "Achievement ~ Size (school)"),
        ("y~~y.g2.l2", "Achievement ~~ Achievement (group 2, level 2)"),
        ("y~1", "Achievement ~ 1"),
        ("f=~y2", "Trust =~ y2"),
        ("z~q", "z ~ q"),
        ("w1:x1", "Size × Reading"),
        ("x10", "x10"),
        ("log(x1)", "log(Reading)"),
        ("I(x1^2):w1", "I(Reading^2) × Size"),
        ("sexmale:x1", "boy × Reading"),
        ("id.x1", "id: Reading"),
        ("id.x1.(Intercept)", "id: Reading, (Intercept)"),
        ("(Intercept)", "(Intercept)"),
        ("Residual", "Residual"),
        ("x.1", "x.1"),
    ],
)
def test_names_become_words(name, shown):
    assert Labels(WORDS).parameter(name) == shown


def test_a_label_of_the_whole_goes_first():
    words = Labels({"y~x1": "effect of reading", "w1:x1": "moderation", "x1": "Reading"})
    assert words.all(["y~x1", "y~w1:x1", "y~x1.l2"]) == [
        "effect of reading",
        "y ~ moderation",
        "y ~ Reading (level 2)",
    ]


def test_without_labels_names_stay_as_they_are():
    assert Labels().all(["y~x1", "y~1.l2"]) == ["y~x1", "y~1.l2"]


def test_two_that_would_be_called_the_same_keep_their_names():
    assert Labels({"a": "same", "b": "same"}).all(["y~a", "y~b", "y~c"]) == ["y~a", "y~b", "y ~ c"]


@pytest.mark.parametrize("labels", ["x1", ["x1"], {"x1": 3}, {1: "one"}])
def test_what_is_no_mapping_of_texts_is_refused(labels):
    with pytest.raises(OptionValueError, match="readable words by the names of variables"):
        read_labels(labels)
