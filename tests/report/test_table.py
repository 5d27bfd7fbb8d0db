"""Small plain tables, and the numbers in them."""

from __future__ import annotations

from math import inf, nan

import pytest

from mlsem.base.display import display_width
from mlsem.report.cells import format_number
from mlsem.report.table import render_columns


def test_numbers_right_text_left() -> None:
    text = render_columns({"name": ["a", "longer"], "n": [1, 20], "ratio": [1.5, nan]})
    assert text == "name     n  ratio\na        1  1.500\nlonger  20\n"


def test_rows_can_be_numbered() -> None:
    assert render_columns({"x": [2.0, 3.0]}, digits=1, index=True) == "     x\n1  2.0\n2  3.0\n"


def test_truth_and_nothing() -> None:
    text = render_columns({"free": [True, False], "start": [None, 0.25]})
    assert text.splitlines()[1:] == [" yes", "  no  0.250"]


def test_unicode_columns_align() -> None:
    lines = render_columns({"数": ["成績", "x"], "n": [1, 2]}).splitlines()
    assert len({display_width(line) for line in lines}) == 1


def test_columns_must_be_equally_long() -> None:
    with pytest.raises(ValueError, match="zip"):
        render_columns({"a": [1, 2], "b": [1]})


def test_empty_columns_show_their_names() -> None:
    assert render_columns({"a": [], "b": []}) == "a  b\n"


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.12345, 3, "0.123"),
        (-0.0001, 3, "-0.000"),
        (1234.5678, 3, "1234.568"),
        (12345.678, 3, "12345.68"),
        (1.0e12, 3, "1.0e+12"),
        (-1.0e12, 2, "-1e+12"),
        (nan, 3, ""),
        (None, 3, ""),
        (inf, 3, "Inf"),
        (-inf, 3, "-Inf"),
        (2.5, 0, "2"),
    ],
)
def test_numbers(value: float | None, digits: int, text: str) -> None:
    assert format_number(value, digits) == text
