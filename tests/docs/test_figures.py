"""The figures of the README are those that its code draws."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from pages import ROOT


def test_figures_are_what_the_code_draws(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "docs" / "make_figures.py"))["main"](tmp_path)
    drawn = sorted(tmp_path.iterdir())
    assert drawn
    for figure in drawn:
        committed = ROOT / "docs" / "_static" / figure.name
        assert _texts(committed) == _texts(figure), "run python docs/make_figures.py"


def _texts(figure: Path) -> list[str]:
    """What is written in it: labels, ticks, values."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", figure.read_text("utf-8"))
