"""Blocks: a model is written for each level of each group."""

from __future__ import annotations

from typing import NamedTuple

LOWEST = 1


class BlockKey(NamedTuple):
    """Which part of a model: a level of a group, both numbered from 1.

    Keys sort as lavaan's table has its blocks: group by group, from the rows up. There is one
    group so far.
    """

    group: int
    level: int

    @property
    def is_lowest(self) -> bool:
        """Whether its units are the rows of the data; above, they are clusters."""
        return self.level == LOWEST


FIRST = BlockKey(1, LOWEST)


def block_keys(levels: int) -> tuple[BlockKey, ...]:
    """Those of a model of one group."""
    return tuple(BlockKey(1, level) for level in range(LOWEST, LOWEST + levels))


def name_suffix(key: BlockKey, labels: tuple[str, ...]) -> str:
    """What names of parameters end in: above the rows the label of their level, `.l2`."""
    return "" if key.is_lowest else f".l{labels[key.level - LOWEST]}"
