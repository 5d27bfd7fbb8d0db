"""SIGTERM ends a program in order: it is raised, as Ctrl-C is, so that what is under way cleans up.

By itself it ends Python at once, and leaves the processes that do part of the work, and notes that
a file is in use.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def raised_sigterm() -> Iterator[None]:
    """In here SIGTERM raises `Terminated`, unless the program has a handler of its own.

    Only the main thread can be told, so that others change nothing.
    """
    ours = current_thread() is main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    came: list[int] = []

    def told(number: int, _: object) -> None:
        came.append(number)
        raise Terminated

    if ours:
        signal.signal(signal.SIGTERM, told)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if came:  # also where another error came of it
            raise Terminated from None


@contextmanager
def orderly_end() -> Iterator[None]:
    """As `raised_sigterm`; when all is cleaned up, SIGTERM ends the program as ever."""
    try:
        with raised_sigterm():
            yield
    except Terminated:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # else it is somebody else's
            os.kill(os.getpid(), signal.SIGTERM)
        raise
