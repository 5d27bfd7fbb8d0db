"""Names of R's variables as Python has them."""

from __future__ import annotations

import builtins
import keyword
import re
from unicodedata import normalize

TAKEN = {"mlsem", "pd", "np", "frame"}
"""Modules, and what a data frame is called in a function of it."""


class Names:
    """R's names ↔ Python's, one to one."""

    def __init__(self) -> None:
        self._python: dict[str, str] = {}
        self._used: set[str] = set(TAKEN)

    def python(self, name: str) -> str:
        """``my.model`` is ``my_model``; Python's own words and what would be twice are told
        apart."""
        if name not in self._python:
            self._python[name] = self._new(name)
        return self._python[name]

    def fresh(self, name: str) -> str:
        """A name that no variable has."""
        made = self._free(_identifier(name))
        self._used.add(made)
        return made

    def _new(self, name: str) -> str:
        made = self._free(_identifier(name))
        self._used.add(made)
        return made

    def _free(self, name: str) -> str:
        if keyword.iskeyword(name) or hasattr(builtins, name):
            name += "_"
        made, number = name, 2
        while made in self._used:
            made, number = f"{name}_{number}", number + 1
        return made


def _identifier(name: str) -> str:
    made = re.sub(r"\W", "_", normalize("NFKC", name)).strip("_") or "x"
    made = normalize("NFKC", made)
    if not made.isidentifier():
        made = re.sub(r"\W", "_", f"x_{made}")
    return made if made.isidentifier() else "x"
