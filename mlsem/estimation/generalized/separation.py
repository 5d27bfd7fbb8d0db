"""Separation: covariates that tell outcomes apart, so that a coefficient grows without end.

There is no finite maximum where for some direction δ moving η along it brings every row's mean
nearer to its outcome or leaves it (Albert & Anderson, 1984): xᵀδ ≥ 0 where y = 1, ≤ 0 where y = 0
and = 0 elsewhere, not zero in all rows. With the log link of counts that is so of y = 0 alone. The
direction is found by linear programming (Konis, 2007).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlsem.errors import EstimationError, listed

if TYPE_CHECKING:
    from mlsem.core.generalized.families import Family, Link
    from mlsem.core.generalized.rows import Rows
    from mlsem.core.generalized.scoring import Solution
    from mlsem.core.records import Array
    from mlsem.data.design.generalized import GlmData

NEAR = 1e-6  # distance of a mean from its outcome, below which separation is looked for
MOVES = 1e-6  # of a direction, that counts


def separating(rows: Rows, family: Family, link: Link, found: Solution) -> Array | None:
    """δ, (p,), in units of the columns' ranges; None where the estimates are finite."""
    if family.name == "gaussian" or link.name == "identity":
        return None
    mean = found.rows.mean
    ends = _ends(link)
    suspects = np.zeros(rows.n_rows, dtype=bool)
    for end in ends:
        suspects |= (rows.outcome == end) & (np.abs(mean - end) < NEAR)
    if not suspects.any() and np.isfinite(mean).all():
        return None
    return _direction(rows.design, rows.outcome, len(ends) == 2)


def _ends(link: Link) -> tuple[float, ...]:
    """Outcomes that a mean comes near to where η has no end."""
    return (0.0, 1.0) if link.name in ("logit", "probit") else (0.0,)


def refuse_separation(
    data: GlmData, family: Family, link: Link, found: Solution, outcome: str
) -> None:
    """Raise where the data have no finite estimates.

    Raises
    ------
    EstimationError
        Names the covariates, and the cells of a binary one that have one outcome only.
    """
    direction = separating(data.rows, family, link, found)
    if direction is None:
        return
    both = len(_ends(link)) == 2
    moved = np.flatnonzero(np.abs(direction) > MOVES)
    names = [data.names[k] for k in moved if data.names[k] != "(Intercept)"]
    cells = [text for k in moved.tolist() for text in _cells(data, k, outcome, both)]
    said = listed(names) if names else "the intercept"
    why = "; ".join(cells) if cells else f"together they tell rows with {outcome} = 0 apart"
    raise EstimationError(
        f"no finite estimate of {said}: {why} (separation). The likelihood rises without end, and "
        "what programs report is where they gave up. "
        'Compare shares, family="gaussian" (a linear probability model has estimates), or leave '
        "the covariate out or join its categories."
    )


def _direction(design: Array, outcome: Array, both: bool) -> Array | None:
    """δ, or None: of the distinct rows."""
    side = np.where(outcome == 0.0, -1.0, np.where((outcome == 1.0) & both, 1.0, 0.0))
    scale = np.abs(design).max(axis=1)
    distinct = np.unique(np.vstack((side, design / scale[:, None])).T, axis=0)
    signs, columns = distinct[:, 0], distinct[:, 1:]
    free = signs != 0.0
    towards = signs[free, None] * columns[free]
    if not free.any():
        return None
    from scipy.optimize import linprog  # slow to import, and for odd data

    found = linprog(
        -towards.sum(axis=0),
        A_ub=-towards,
        b_ub=np.zeros(len(towards)),
        A_eq=columns[~free] if (~free).any() else None,
        b_eq=np.zeros(int((~free).sum())) if (~free).any() else None,
        bounds=(-1.0, 1.0),
        method="highs",
    )
    if found.status != 0 or found.fun is None or -found.fun <= MOVES:
        return None
    return found.x


def _cells(data: GlmData, column: int, outcome: str, both: bool) -> list[str]:
    """Of a column of two values, what its cells of one outcome are."""
    values, name = data.rows.design[column], data.names[column]
    if not np.isfinite(values).all() or name == "(Intercept)":
        return []
    low, high = values.min(), values.max()
    if low == high or not ((values == low) | (values == high)).all():
        return []
    found = []
    for value in (low, high):
        inside = values == value
        own = data.rows.outcome[inside]
        alike = own.min() == own.max() and own[0] in ((0.0, 1.0) if both else (0.0,))
        if alike:
            found.append(
                f"all {int(inside.sum())} rows with {name} = {value:g} have {outcome} = {own[0]:g}"
            )
    return found
