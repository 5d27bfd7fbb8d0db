"""Blocks: a model is written for each level of each group."""

from __future__ import annotations

from typing import NamedTuple

LOWEST = 1


class BlockKey(NamedTuple):
    """Which part of a model: a level of a group, both numbered from 1.

    Keys sort as lavaan's table has its blocks: group by group, from the rows up.
    """

    group: int
    level: int

    @property
    def is_lowest(self) -> bool:
        """Whether its units are the rows of the data; above, they are clusters."""
        return self.level == LOWEST


FIRST = BlockKey(1, LOWEST)


def block_keys(levels: int, groups: int = 1) -> tuple[BlockKey, ...]:
    """Those of a model, in their order."""
    return tuple(
        BlockKey(group, level)
        for group in range(1, groups + 1)
        for level in range(LOWEST, LOWEST + levels)
    )


def name_suffix(key: BlockKey, labels: tuple[str, ...]) -> str:
    """What names of parameters end in: after the first group its number, above the rows the label
    of their level, `.g2.l2`."""
    group = "" if key.group == 1 else f".g{key.group}"
    return group if key.is_lowest else f"{group}.l{labels[key.level - LOWEST]}"
