"""The reference has every public name, and the validation page every file of references."""

from __future__ import annotations

import dataclasses
import re
import sys

from pages import ROOT

import mlsem
from tests.test_public_api import described

sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
from properties import add_properties
from references import references

REFERENCE = ROOT / "docs" / "reference"
LISTED = re.compile(r"^   (?:mlsem\.)?([\w.]+)$", re.M)


def _listed() -> set[str]:
    """Names in the autosummaries, from `mlsem` on or by their last part."""
    names = {
        name for page in REFERENCE.glob("*.rst") for name in LISTED.findall(page.read_text("utf-8"))
    }
    return names | {name.rpartition(".")[2] for name in names if not name.startswith("FitResult.")}


def test_every_public_function_and_class_is_in_the_reference() -> None:
    blocks = [block.splitlines() for block in described().split("\n\n")]
    names = {_name(line) for line in blocks[0][1:] if re.match(r"  \S", line) and line[2] != ")"}
    names |= {block[0] for block in blocks[1:]}
    assert sorted(names - _listed()) == []


def test_what_can_be_asked_of_a_fit_is_listed_by_task() -> None:
    """Each method and property; fields stand in the docstring of the class."""
    fields = {each.name for each in dataclasses.fields(mlsem.FitResult)}
    public = {name for name in dir(mlsem.FitResult) if not name.startswith("_")} - fields
    listed = {name.partition(".")[2] for name in _listed() if name.startswith("FitResult.")}
    assert sorted(public - listed) == [], "put it in its place in docs/reference/fit_result.rst"
    assert sorted(listed - public) == []


def test_what_can_be_asked_of_a_mixed_model_is_listed_by_task() -> None:
    """What it has besides, or answers in its own way."""
    own = {name for name in vars(mlsem.MixedResult) if not name.startswith("_")}
    page = (REFERENCE / "mixed_result.rst").read_text("utf-8")
    listed = {name.partition(".")[2] for name in LISTED.findall(page) if "." in name}
    assert sorted(own) == sorted(listed), "put it in its place in docs/reference/mixed_result.rst"


def test_fields_of_a_fit_are_described() -> None:
    fields = [each.name for each in dataclasses.fields(mlsem.FitResult) if each.name[0] != "_"]
    text = mlsem.FitResult.__doc__ or ""
    assert [
        name for name in fields if not re.search(rf"^    ([\w, ]+, )?{name}\b.* : ", text, re.M)
    ] == []


def test_pages_of_results_list_the_properties_that_their_docstrings_do_not() -> None:
    lines: list[str] = []
    add_properties(None, "class", "mlsem.WaldTest", mlsem.WaldTest, None, lines)  # type: ignore[arg-type]
    assert lines[-3] == "   * - ``frame``"
    before = list(lines)
    add_properties(None, "class", "mlsem.FitResult", mlsem.FitResult, None, lines)  # type: ignore[arg-type]
    assert lines == before, "it has a page by task"


def test_files_of_reference_values_are_described_and_read() -> None:
    """The table of the validation page is made of these."""
    found = references()
    assert [each.file for each in found if not each.what or not each.tests] == []
    assert min(each.cases for each in found) >= 2
    assert sum(each.numbers for each in found) > 50_000


def _name(line: str) -> str:
    return re.sub(r"^  (class )?(\w+).*", r"\2", line)
