"""What was computed from the same arguments before: kept up to a number of bytes, for all together.

Models are fitted to many data sets, so what follows from a text alone is computed once. Texts can
be of any length and number, hence the bound.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from itertools import count
from sys import getsizeof
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")
ENTRIES, BYTES = 2048, 64 * 2**20


@dataclass(slots=True, eq=False)
class _Entry:
    value: Any
    size: int
    used: int


class Cache:
    """Values by key; the longest unused go when there are too many or they are too large.

    Parameters
    ----------
    entries, size : int
        The most values, and the most bytes of keys and values together. A value that alone takes
        more than a quarter of the bytes is not kept.

    Notes
    -----
    Threads may share it. A hit takes no lock: it notes only when it was.
    """

    def __init__(self, entries: int = ENTRIES, size: int = BYTES) -> None:
        self.most_entries, self.most_bytes = entries, size
        self.bytes = 0
        self._entries: dict[Any, _Entry] = {}
        self._clock = count()
        self._renew_lock()
        if hasattr(os, "register_at_fork"):  # a fork may find it locked by a thread that is gone
            os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def remember(self, function: F) -> F:
        """The function of hashable arguments, given by position, computed once for each."""
        get, clock = self._entries.get, self._clock

        @wraps(function)
        def remembered(*args: Any) -> Any:
            key = (function, *args)
            entry = get(key)
            if entry is None:
                value = function(*args)
                self._keep(key, value)
                return value
            entry.used = next(clock)
            return entry.value

        return cast("F", remembered)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.bytes = 0

    def _keep(self, key: tuple[Any, ...], value: Any) -> None:
        size = footprint((*key[1:], value))
        if size > self.most_bytes // 4:
            return
        with self._lock:
            if key not in self._entries:
                self._entries[key] = _Entry(value, size, next(self._clock))
                self.bytes += size
            if len(self._entries) > self.most_entries or self.bytes > self.most_bytes:
                self._make_room()

    def _make_room(self) -> None:
        """To three quarters, so that it is seldom done."""
        for key in sorted(self._entries, key=lambda key: self._entries[key].used):
            few = 4 * len(self._entries) <= 3 * self.most_entries
            if few and 4 * self.bytes <= 3 * self.most_bytes:
                break
            self.bytes -= self._entries.pop(key).size


def footprint(value: Any) -> int:
    """Bytes of a value and of what it holds, in containers, dataclasses and what has `nbytes`."""
    if isinstance(value, str):
        return getsizeof(value)
    if isinstance(value, (tuple, list, frozenset)):
        return getsizeof(value) + sum(map(footprint, value))
    own = getsizeof(value)
    held = getattr(value, "nbytes", None)  # an array's, also where its numbers are another's
    if held is not None:
        return own + int(held)
    if is_dataclass(value) and not isinstance(value, type):
        return own + sum(footprint(getattr(value, field.name)) for field in fields(value))
    return own


CACHE = Cache()
remember = CACHE.remember
