"""Bars that say how far long work is: in a terminal or a notebook, from two seconds on.

A bar that is nested in another, or in another process, is not shown. When the work is done nothing
of it is left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape
from time import monotonic
from typing import Any

from mlsem.errors import InterfaceError, OptionValueError

DELAY = 2.0  # seconds of work before a bar appears that nobody asked for
PAUSE = 0.1  # seconds between changes of a bar
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
        made = _made(total, label, _ASKED.get())
    if made is None:
        yield lambda count: None
        return
    with made as shown:
        yield shown.update


def _made(total: int, label: str, wanted: bool | None) -> Any:
    """The bar; None where nobody wants or sees one."""
    delay = 0.0 if wanted else DELAY
    if wanted is False:
        return None
    if _in_notebook():
        return _NotebookBar(total, label, delay)
    if sys.stderr is None or not (wanted or sys.stderr.isatty()):
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        if not wanted:
            return None
        raise InterfaceError(
            "the progress bar needs tqdm: pip install tqdm, or progress=False."
        ) from None
    # without the thread that tqdm starts to look after its bars, which would stay
    kind = type("Bar", (tqdm,), {"monitor_interval": 0})
    how = {"leave": False, "delay": delay, "miniters": 1, "file": sys.stderr}
    return kind(total=total, desc=label, **how)


def _in_notebook() -> bool:
    """Whether a kernel runs the program, as of Jupyter."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


class _NotebookBar:
    """A bar below a cell; in the end an output without content, for none can be taken away."""

    def __init__(self, total: int, label: str, delay: float) -> None:
        self.total, self.label, self.done = total, label, 0
        self.begun = monotonic()
        self.next = self.begun + delay
        self.handle: Any = None

    def __enter__(self) -> _NotebookBar:
        self.update(0)
        return self

    def __exit__(self, *_: object) -> None:
        if self.handle is not None:
            self.handle.update({"text/html": "", "text/plain": ""}, raw=True)

    def update(self, count: int) -> None:
        self.done += count
        now = monotonic()
        if now < self.next:
            return
        self.next = now + PAUSE
        content = {"text/html": self._html(now - self.begun), "text/plain": self._text()}
        if self.handle is None:
            from IPython.display import display

            self.handle = display(content, raw=True, display_id=True)
        else:
            self.handle.update(content, raw=True)

    def _text(self) -> str:
        return f"{self.label}: {self.done} of {self.total}"

    def _html(self, seconds: float) -> str:
        label = escape(self.label)
        return (
            f'<div>{label} <progress aria-label="{label}" max="{self.total}" value="{self.done}">'
            f"</progress> {self.done} of {self.total}, {seconds:.0f} s</div>"
        )
