"""Batches sent to workers a few at a time, their results in the order of the batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

Found = TypeVar("Found")

AHEAD = 2  # batches that are sent for each worker, so that none is idle


def _forgotten(sent: object) -> None:
    """What is sent is given up when nothing refers to it."""


def in_order(
    batches: Iterable[Any],
    *,
    workers: Callable[[], int],
    send: Callable[[Any], Any],
    result: Callable[[Any], list[Found]],
    drop: Callable[[Any], object] = _forgotten,
) -> Iterator[list[Found]]:
    """The results of each batch.

    Parameters
    ----------
    batches : iterable
        Is read as far as the workers need it.
    workers : callable
        How many there are now.
    send, result : callable
        A batch to what stands for its result, and that to the result, which is waited for.
    drop : callable, optional
        Gives up what nobody waits for any longer; by default that is only forgotten.
    """
    under_way: deque[Any] = deque()

    def first() -> list[Found]:
        found = result(under_way[0])  # under way until it is there
        under_way.popleft()
        return found

    try:
        for batch in batches:
            if len(under_way) >= AHEAD * workers():
                yield first()
            under_way.append(send(batch))
        while under_way:
            yield first()
    finally:
        for each in under_way:
            drop(each)
        under_way.clear()


def applied(function: Callable[[Any], list[Found]], batch: Any) -> list[Found]:
    """A task, where the function is sent once and by itself."""
    return function(batch)
