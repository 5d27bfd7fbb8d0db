"""Random effects whose columns are linear combinations of those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.linalg import least_squares
from mlsem.data.moments.bases import SAME
from mlsem.errors import listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsem.data.design.columns import Columns


def without_spanned(
    blocks: list[tuple[str, ...]], spans: Callable[[tuple[str, ...], tuple[str, ...]], bool]
) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Blocks less those that are linear combinations of the columns of another one, as `spans` says
    of its names and those of the block.

    With `A = B C` the covariances `B Σ_B B' + A Σ_A A'` are `B (Σ_B + C Σ_A C') B'`: Σ_A is not
    determined, and the model without it is the same. So is the intercept beside all dummies of f,
    which `(f || id)` means in lme4.
    """
    left, notes = list(blocks), []
    for block in blocks:
        for other in left if len(left) > 1 else ():
            if len(other) > 1 and not set(block) & set(other) and spans(other, block):
                left.remove(block)
                notes.append(
                    f"random part of {listed(block)}: these are linear combinations of "
                    f"{listed(other)}, whose covariances already contain them; not fitted "
                    "separately."
                )
                break
    return left, tuple(notes)


def spans(names: tuple[str, ...], others: tuple[str, ...], columns: Columns) -> bool:
    basis = np.column_stack([columns[name] for name in names])
    wanted = np.column_stack([columns[name] for name in others])
    left = wanted - basis @ least_squares(basis, wanted)
    return bool((np.abs(left).max(axis=0) <= SAME * np.abs(wanted).max(axis=0)).all())
