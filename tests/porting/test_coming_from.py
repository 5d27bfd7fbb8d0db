"""The tables of the pages "Coming from ..." are those of the library and the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlsem.other_programs.functions import COUNTERPARTS
from tests.porting.pages import FOLDER, TABLES, marked, renewed

PAGES = ("clubsandwich", "lavaan", "lme4", "mplus", "surveys")


@pytest.mark.parametrize("page", marked(), ids=lambda page: page.stem)
def test_tables_are_up_to_date(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == renewed(text), "run `python -m tests.porting.pages`"


def test_every_table_stands_on_a_page() -> None:
    assert {page.stem for page in marked()} >= set(PAGES)
    text = "".join(page.read_text("utf-8") for page in marked())
    assert [name for name in TABLES if f"<!-- {name} -->" not in text] == []


def test_every_name_stands_on_a_page() -> None:
    text = "".join(page.read_text("utf-8") for page in sorted(FOLDER.glob("*.md")))
    names = [name for each in COUNTERPARTS for name in each.names]
    assert [name for name in names if f"`{name}`" not in text] == []
