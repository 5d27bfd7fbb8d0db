"""Every block of the README and of every page runs, in order, and prints what the page says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import ROOT, agrees, blocks, folder, outputs, pages

RUN = ("```python", "{code-cell}", "```sh")
WITH_CODE = [page for page in pages() if any(mark in page.read_text("utf-8") for mark in RUN)]
COMMAND = "python tests/support/pages.py"


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", WITH_CODE, ids=_name)
def test_the_page_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    with folder(tmp_path):
        for block, printed, said in outputs(page):
            assert said is None or agrees(said.text, printed), (
                f"{_name(page)}, block at line {block.line}, prints something else: if that is "
                f"right, run `{COMMAND} {_name(page)}`.\n{printed}"
            )


def test_blocks_are_found() -> None:
    text = (
        "```python\na = 1\n```\n\n```text\nx\n```\n\n::::{tab-set}\n:::{tab-item} R\n```r\nlm()\n```\n"
        ":::\n::::\n\n```{code-cell}\n:tags: [raises-exception]\n1 / 0\n```\n"
    )
    found = blocks(text)
    assert [block.language for block in found] == ["python", "text", "r", "{code-cell}"]
    assert [block.line for block in found] == [1, 5, 11, 17]
    assert found[-1].code == "1 / 0\n"
    assert found[-1].raises
    begin, end = found[1].span
    assert text[begin:end] == "x\n"


def test_what_is_printed_is_compared() -> None:
    assert agrees("ended after 3 iterations\na …\nc\n", "ended after 12 iterations\na 1\nb\nc  \n\n")
    assert not agrees("a … c", "a b d")
    assert not agrees("1.23", "1.24")


def test_languages_of_blocks_are_those_that_are_run_or_shown() -> None:
    """A block that should not run says so by its language."""
    shown = {"text", "r", "toml", "{code-block}", "mplus", "bibtex", ""}
    odd = [
        f"{_name(page)}, line {block.line}: {block.language}"
        for page in pages()
        for block in blocks(page.read_text("utf-8"))
        if block.language not in {"python", "sh", "{code-cell}", *shown}
    ]
    assert odd == []
