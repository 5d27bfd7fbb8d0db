"""MathJax from the package `sphinx-mathjax-offline`: the one file of it that has fonts inside."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FILE = "tex-svg.js"


def setup(app: Sphinx) -> dict[str, Any]:
    """Equations are drawn by a copy beside the pages, so that they need no network."""
    app.config["mathjax_path"] = FILE
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True}


def _copy(app: Sphinx, failed: Exception | None) -> None:
    found = find_spec("sphinx-mathjax-offline")
    if found is None or not found.submodule_search_locations:
        raise ImportError("equations need: pip install sphinx-mathjax-offline")
    if failed is None and app.builder.format == "html":
        source = Path(found.submodule_search_locations[0]) / "static" / "mathjax" / FILE
        shutil.copyfile(source, Path(app.outdir) / "_static" / FILE)
