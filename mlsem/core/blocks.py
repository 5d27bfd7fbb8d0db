"""Walks over many items in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Index

CHUNK = 2_000_000  # numbers in one block of a temporary array, to bound memory
CACHE = 2**17  # the same in a walk over clusters: a few such arrays stay in a processor's cache


def per_block(width: int) -> int:
    """How many items of `width` numbers make a block."""
    return max(1, CHUNK // max(1, width))


def blocks(count: int, width: int) -> Iterator[slice]:
    """Items 0 … count - 1 of `width` numbers in runs of bounded memory."""
    return _runs(count, per_block(width))


def walk(count: int, width: int) -> Iterator[slice]:
    """The same of many clusters, in runs that a processor's cache holds."""
    return _runs(count, max(1, CACHE // max(1, width)))


def _runs(count: int, step: int) -> Iterator[slice]:
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def positions_in_runs(lengths: Shaped[Index, "k"]) -> Shaped[Index, "m"]:
    """0 … n - 1 of each run, one run after the other."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum()), dtype=np.intp) - np.repeat(starts, lengths)
