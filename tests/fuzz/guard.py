"""One call under observation: what it may do, and what it may not.

It may return, or raise a kind of `MlsemError` that can be shown. It may warn with a kind of
`MlsemWarning`. It may not raise anything else, let another package's warning out, or change what
belongs to the whole process.
"""

from __future__ import annotations

import decimal
import locale
import os
import random
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlsem.errors import MlsemError, MlsemWarning


@dataclass
class Findings:
    """What was seen so far.

    Attributes
    ----------
    calls : Counter
        How often a call returned, and how often it refused with an error of ours.
    wrong : dict of str to str
        Each kind of what should not be: its place, and the first example.
    """

    calls: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        self.calls[kind.partition(":")[0]] += 1
        self.wrong.setdefault(kind, example)

    def attempt(self, example: str, call: Callable[[], Any]) -> Any:
        """The call's result; None if it raised."""
        before = state()
        result = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            filters = list(warnings.filters)
            try:
                result = call()
                self.calls["returned"] += 1
            except MlsemError as error:
                self.calls["refused"] += 1
                self._shown(error, example)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                self.add(f"foreign: {type(error).__name__} in {_place(error)}", example)
            if warnings.filters != filters:
                self.add("state: warnings.filters", example)
        for each in caught:
            if not issubclass(each.category, MlsemWarning):
                text = str(each.message).splitlines()[0]
                where = f"{os.path.basename(each.filename)}:{each.lineno}"
                self.add(f"warning: {each.category.__name__} {text} ({where})", example)
        now = state()
        for name in before:
            if now[name] != before[name]:
                self.add(f"state: {name}", example)
        return result

    def _shown(self, error: MlsemError, example: str) -> None:
        text = str(error)
        if not text.strip():
            self.add("foreign: an error without words", example)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.add(f"foreign: the text of a {type(error).__name__} is no UTF-8", example)

    def report(self) -> str:
        total = sum(self.calls[kind] for kind in ("returned", "refused", "foreign"))
        lines = [f"{total} calls: " + ", ".join(f"{n} {kind}" for kind, n in self.calls.items())]
        lines += [f"  {kind}\n      e.g. {example}" for kind, example in self.wrong.items()]
        return "\n".join(lines)


def state() -> dict[str, Any]:
    """What belongs to the process, and is nobody's to change."""
    pyplot = sys.modules.get("matplotlib")
    numbers: Any = np.random.get_state()  # noqa: NPY002
    return {
        "numpy's errors": np.geterr(),
        "numpy's random numbers": (numbers[1].tobytes(), numbers[2:]),
        "numpy's printing": repr(np.get_printoptions()),
        "Python's random numbers": random.getstate(),
        "locale": locale.setlocale(locale.LC_ALL),
        "decimal": repr(decimal.getcontext()),
        "recursion": sys.getrecursionlimit(),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "matplotlib": None if pyplot is None else list(dict.items(pyplot.rcParams)),
        "backend": None if pyplot is None else pyplot.rcParams._get("backend"),
    }


def _place(error: BaseException) -> str:
    """The last line of mlsem's that was running."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}mlsem{os.sep}" in frame.filename]
    if not ours:
        return "the caller"
    file = ours[-1].filename.rpartition(f"mlsem{os.sep}")[2]
    return f"{file}:{ours[-1].lineno} ({str(error)[:80]!r})"
