"""Classes are shown with their properties, as far as their docstring does not list them."""

from __future__ import annotations

import inspect
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

BY_TASK = ("FitResult", "MixedResult")  # they have pages of their own


def add_properties(
    app: Sphinx, what: str, name: str, shown: Any, options: Any, lines: list[str]
) -> None:
    """Append a table of them to the docstring of a class."""
    if what != "class" or shown.__name__ in BY_TASK:
        return
    found = dict(_properties(shown))
    if found:
        lines += ["", ".. rubric:: Properties", "", ".. list-table::", "   :width: 100%"]
        lines += ["   :widths: 25 75", ""]
        for own, said in found.items():
            lines += [f"   * - ``{own}``", f"     - {said}"]
        lines.append("")


def _properties(cls: type) -> Any:
    listed = inspect.getdoc(cls) or ""
    for name in sorted(dir(cls)):
        each = inspect.getattr_static(cls, name)
        if not isinstance(each, property | cached_property) or name.startswith("_"):
            continue
        if not re.search(rf"^{name} : ", listed, re.M):
            yield name, " ".join((inspect.getdoc(each) or "").partition("\n\n")[0].split())


def setup(app: Sphinx) -> dict[str, Any]:
    # After numpydoc, whose sections these are none of.
    app.connect("autodoc-process-docstring", add_properties, priority=900)
    return {"version": "1", "parallel_read_safe": True}
