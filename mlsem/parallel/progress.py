"""Bars that say how far long work is: in a terminal or a notebook, from two seconds on.

A bar that is nested in another, or in another process, is not shown. When the work is done nothing
of it is left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

from mlsem.errors import InterfaceError, OptionValueError

DELAY = 2.0  # seconds of work before a bar appears that nobody asked for
_ASKED: ContextVar[bool | None] = ContextVar("mlsem_progress", default=None)


@contextmanager
def showing(progress: object) -> Iterator[None]:
    """What `progress=` says of all bars in here; None leaves it as it is.

    Raises
    ------
    OptionValueError
        It is none of True, False and None.
    """
    if progress is not None and not isinstance(progress, bool):
        raise OptionValueError(
            f"progress={progress!r}: it takes True, False, or None for a bar where somebody sees "
            "it and the work is long."
        )
    before = _ASKED.get()
    _ASKED.set(before if progress is None else progress)
    try:
        yield
    finally:
        _ASKED.set(before)


@contextmanager
def bar(total: int, label: str, progress: object = None) -> Iterator[Callable[[int], Any]]:
    """Gives the function that moves the bar on; what is nested in it shows none.

    Parameters
    ----------
    total : int
        Steps in all.
    label : str
        Stands beside the bar.
    progress : bool or None
        True: a bar at once. None: after two seconds, where standard error is a terminal or the
        program a notebook. False: none.

    Raises
    ------
    OptionValueError
        As `showing`.
    InterfaceError
        A bar is asked for and tqdm is not installed.
    """
    with showing(progress), lone_bar(total, label) as advance, showing(False):
        yield advance


@contextmanager
def lone_bar(total: int, label: str, progress: object = None) -> Iterator[Callable[[int], Any]]:
    """As `bar`, for generators: these would say to their callers that all is nested in it."""
    with showing(progress):
        wanted = _ASKED.get()
    silent = wanted is False or sys.stderr is None or not (wanted or _seen())
    kind = None if silent else _kind(required=bool(wanted))
    if kind is None:
        yield lambda count: None
        return
    how = {"leave": False, "delay": 0.0 if wanted else DELAY, "miniters": 1, "file": sys.stderr}
    with kind(total=total, desc=label, **how) as shown:
        yield shown.update


def _seen() -> bool:
    """Whether there is somebody who sees a bar."""
    return _in_notebook() or sys.stderr.isatty()


def _in_notebook() -> bool:
    """Whether a kernel runs the program, as of Jupyter."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _kind(*, required: bool) -> Any:
    """tqdm's bar of a notebook that has widgets, else its bar of text; None where there is none."""
    try:
        if _in_notebook() and find_spec("ipywidgets") is not None:
            from tqdm.notebook import tqdm
        else:
            from tqdm import tqdm
    except ImportError:
        if not required:
            return None
        raise InterfaceError(
            "the progress bar needs tqdm: pip install tqdm, or progress=False."
        ) from None
    # without the thread that tqdm starts to look after its bars, which would stay
    return type("Bar", (tqdm,), {"monitor_interval": 0})
