"""Links inside the README and the pages lead somewhere, and the site's own references too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import ROOT, pages

LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
DOC = re.compile(r"\{doc\}`(?:[^`<]*<)?([^`<>]+)>?`")
ENTRY = re.compile(r"^(?:[^<\n]+ <)?([\w./-]+)>?$", re.M)
TOCTREE = re.compile(r"^```\{toctree\}\n((?::[^\n]*\n)*)(.*?)^```", re.M | re.S)
FENCED = re.compile(r"^(`{3,})(?!\{).*?^\1", re.M | re.S)
OTHERS = [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
ALL = [*pages(), *OTHERS, ROOT / "examples" / "README.md", ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCED.sub("", page.read_text("utf-8"))
    dead = [target for target in LINK.findall(text) if not _leads(page, target)]
    dead += [name for name in DOC.findall(text) if not _is_page(page.parent / name)]
    assert dead == []


PATH = re.compile(r"`((?:mlsem|tests|examples|benchmarks|docs|grammar)/[\w/]+\.\w+)")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_are_named_exist(page: Path) -> None:
    named = PATH.findall(FENCED.sub("", page.read_text("utf-8")))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_is_in_a_table_of_contents() -> None:
    listed = {ROOT / "docs" / "index.md"}
    for page in [*(ROOT / "docs").rglob("*.md")]:
        for options, entries in TOCTREE.findall(page.read_text("utf-8")):
            if ":glob:" in options:
                listed |= set(page.parent.glob("*.md"))
            names = ENTRY.findall(entries)
            assert [name for name in names if not _is_page(page.parent / name)] == []
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    docs = {page for page in pages() if page != ROOT / "README.md"}
    assert sorted(str(page) for page in docs - listed) == []


def test_the_index_of_tasks_names_each() -> None:
    folder = ROOT / "docs" / "how_to"
    named = set(DOC.findall((folder / "index.md").read_text("utf-8")))
    assert {page.stem for page in folder.glob("*.md")} - {"index"} == named


def _leads(page: Path, target: str) -> bool:
    if re.match(r"https?://|mailto:", target):
        return True
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists():
        return False
    return not anchor or file.suffix != ".md" or anchor in _anchors(file.read_text("utf-8"))


def _is_page(path: Path) -> bool:
    return any(path.with_name(f"{path.name}{end}").exists() for end in (".md", ".rst"))


def _anchors(text: str) -> set[str]:
    """Of headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}
