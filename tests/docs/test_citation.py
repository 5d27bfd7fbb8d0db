"""What others cite has the version that there is."""

from __future__ import annotations

import re

import pytest
from pages import ROOT

import mlsem


@pytest.mark.parametrize("file", ["CITATION.cff", "docs/citing.md"])
def test_the_version_is_this_one(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert re.findall(r"version(?::| = )\s*\{?([\d.]+)", text) in (
        [mlsem.__version__],
        ["1.2.0", mlsem.__version__],  # of the format, then of mlsem
    )


def test_what_the_format_requires_is_there() -> None:
    """https://citation-file-format.github.io, 1.2.0: four keys, and an author."""
    lines = (ROOT / "CITATION.cff").read_text("utf-8").splitlines()
    keys = {line.partition(":")[0] for line in lines if re.match(r"[a-z-]+:", line)}
    assert {"cff-version", "message", "title", "authors"} <= keys
    assert "\t" not in "".join(lines)
    author = lines[lines.index("authors:") + 1]
    assert re.match(r"  - name: \S", author)
