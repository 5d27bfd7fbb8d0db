"""A function that workers keep, so that it travels to each once and not with every batch.

Executors do not say which worker takes a task. So the function goes with the first batches, as many
as may be under way at a time, and after that its name alone: a worker that does not know the name
answers None, and is sent that batch again with the function.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

Found = TypeVar("Found")

MOST = 2  # functions that a process keeps, which may hold large data; the last ones
_KEPT: dict[str, Callable[[Any], list[Any]]] = {}


class Sending:
    """Sends batches with the function or its name; `submit` is the executor's.

    Parameters
    ----------
    first : int
        Batches that the function goes with.
    """

    def __init__(
        self, submit: Callable[..., Any], function: Callable[[Any], list[Any]], first: int
    ) -> None:
        self.submit, self.function, self.first = submit, function, first
        self.name, self.number = uuid4().hex, count()

    def send(self, batch: Any) -> tuple[Any, Any]:
        """The batch, and what stands for its result."""
        function = self.function if next(self.number) < self.first else None
        return batch, self.submit(done, self.name, function, batch)

    def result(self, sent: tuple[Any, Any]) -> list[Any]:
        batch, future = sent
        found = future.result()
        if found is None:
            found = self.submit(done, self.name, self.function, batch).result()
        return found

    def forget(self) -> None:
        """Where workers are threads of this process, they keep nothing."""
        _KEPT.pop(self.name, None)


def done(
    name: str, function: Callable[[Any], list[Found]] | None, batch: Any
) -> list[Found] | None:
    """A task: the batch's results, or None where no function of that name is kept."""
    known = function or _KEPT.get(name)
    if known is None:
        return None
    _KEPT[name] = known
    for old in list(_KEPT)[:-MOST]:
        _KEPT.pop(old, None)
    return known(batch)
