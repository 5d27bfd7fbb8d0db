"""Numbers that may stand for missing values: -9, -99, 999, … far from all other values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mlsem.data.table.columns import Rows

CODES = frozenset(
    sign * code for code in (9, 88, 99, 888, 999, 8888, 9999, 99999) for sign in (-1, 1)
)
LOOKED_AT = 1 << 15
"""Rows of a column among which codes are looked for; those of a longer one are a sample."""
REPEATS = 3
"""Rows with a code from which on it is one."""


def sentinel_notes(*parts: Rows) -> tuple[str, ...]:
    """A caution for each column with a code that is repeated, extreme and isolated: farther from
    the other values than these lie apart, or negative where none of the others is. The rows of
    several groups are looked at together."""
    notes = []
    for name in dict.fromkeys(name for rows in parts for name in rows.values):
        having = [rows for rows in parts if name in rows.values]
        step = -(-sum(len(rows.values[name]) for rows in having) // LOOKED_AT)
        sample = _used(name, having, step)
        for extreme in (sample.min(), sample.max()) if len(sample) else ():
            if float(extreme) in CODES and _is_isolated(sample, float(extreme)):
                notes.append(_caution(name, float(extreme), having))
    return tuple(notes)


def _used(name: str, parts: Sequence[Rows], step: int = 1) -> NDArray:
    """Values of the rows used, every `step` rows, less those that are missing."""
    if len(parts) == 1:
        return _used_of(name, parts[0], step)
    return np.concatenate([_used_of(name, rows, step) for rows in parts])


def _used_of(name: str, rows: Rows, step: int) -> NDArray:
    keep, values = rows.keep, rows.values[name]
    if name in rows.gaps:
        seen = ~rows.gaps[name]
        keep = seen if keep is None else keep & seen
    values = values[::step]
    return values if keep is None else values[keep[::step]]


def _is_isolated(values: NDArray, code: float) -> bool:
    others = values[values != code].astype(np.float64)
    if not len(others):
        return False
    return is_isolated(code, len(values) - len(others), float(others.min()), float(others.max()))


def is_isolated(code: float, times: int, low: float, high: float) -> bool:
    """Whether a code that is there so many times is far from the other values."""
    if times < REPEATS:
        return False
    gap = low - code if code < low else code - high
    return gap > max(high - low, 1.0) or (code < 0.0 <= low and high > low)


def _caution(name: str, code: float, parts: Sequence[Rows]) -> str:
    used = _used(name, parts)
    others = used[used != code]
    count = sum(rows.n_used for rows in parts)
    times = len(used) - len(others)
    return caution(name, code, times, count, float(others.min()), float(others.max()))


def caution(name: str, code: float, times: int, count: int, low: float, high: float) -> str:
    """The note on a code that `times` of `count` rows have, the others from `low` to `high`."""
    return (
        f"{name!r} is {code:g} in {times} of {count} rows, far from its "
        f"other values ({low:.4g} to {high:.4g}). If that stands for a missing value, say so "
        f"before the fit: data.replace({{{name!r}: {{{code:g}: float('nan')}}}})."
    )
