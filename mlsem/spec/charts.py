"""The same model with the scale of a factor set another way, and the way back.

A factor is scaled by a marker, whose loading m is fixed while the factor's variance ψ is free.
Where the marker hardly loads, ψ goes to zero and the other loadings to infinity, and a search runs
along that pole. With ψ fixed at v (of either sign) and the marker's loading λ free the same models
are

    f_user = c f,   c = λ / m :   ψ = v c²,  loadings and paths from f / c,  paths to f,
                                  covariances and the intercept of f × c

The position of ψ among the parameters becomes that of λ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mlsem.core.records import Array, Index
from mlsem.spec.partable import ParameterTable, Row

DISTANT = 1e4  # how far from the marker's scale a solution is still carried back


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """One factor scaled by its variance.

    Attributes
    ----------
    table : ParameterTable
    params : (npar,)
        Where a search starts: the moments are those of the user's parameters if v > 0.
    back : callable
        Parameters of the chart → the user's; None where the marker does not load.
    """

    table: ParameterTable
    params: Array
    back: Callable[[Array], Array | None]


def charts(table: ParameterTable, params: Array, restricted: Index) -> Iterator[Chart]:
    """Charts of every factor that can be scaled either way, around the user's parameters."""
    used = Counter(row.free for row in table.rows if row.free >= 0)
    tied = {free for free, count in used.items() if count > 1} | set(restricted.tolist())
    for level, variables in enumerate(table.levels, start=1):
        rows = [row for row in table.rows if row.level == level]
        for factor in variables.latent:
            found = _scaled(rows, factor, tied)
            if found is not None and params[found[1].free] != 0.0:
                for sign in (1.0, -1.0):
                    yield _chart(table, factor, *found, params, sign)


def _scaled(rows: list[Row], factor: str, tied: set[int]) -> tuple[Row, Row] | None:
    """The marker and the free variance of a factor, if nothing else fixes its scale."""
    own = [row for row in rows if factor in (row.lhs, row.rhs)]
    fixed = [row for row in own if row.free < 0 and row.fixed]
    markers = [row for row in fixed if row.op == "=~" and row.lhs == factor]
    variance = next((row for row in own if row.op == "~~" and row.lhs == row.rhs), None)
    if len(markers) != 1 or len(fixed) != 1 or variance is None or variance.free < 0:
        return None
    return None if any(row.free in tied for row in own) else (markers[0], variance)


def _chart(
    table: ParameterTable, factor: str, marker: Row, variance: Row, params: Array, sign: float
) -> Chart:
    size, loading = abs(float(params[variance.free])), float(marker.fixed or 1.0)
    place = variance.free
    changed = {
        id(marker): replace(marker, free=place, fixed=None),
        id(variance): replace(variance, free=-1, fixed=sign * size),
    }
    powers = _powers(table, factor, variance)

    def back(found: Array) -> Array | None:
        factor_scale = float(found[place]) / loading
        if not 1.0 / DISTANT < abs(factor_scale) < DISTANT:
            return None
        moved = found * factor_scale**powers
        moved[place] = sign * size * factor_scale**2
        return moved

    start = params.copy()
    start[place] = loading
    rows = tuple(changed.get(id(row), row) for row in table.rows)
    return Chart(replace(table, rows=rows), start, back)


def _powers(table: ParameterTable, factor: str, variance: Row) -> Array:
    """With which power of c each parameter goes from the chart to the user's."""
    powers = np.zeros(len(table.names))
    for row in table.rows:
        if row.level != variance.level or row.free < 0 or factor not in (row.lhs, row.rhs):
            continue
        outgoing = (row.op == "=~" and row.lhs == factor) or (row.op == "~" and row.rhs == factor)
        powers[row.free] = -1.0 if outgoing else 1.0
    return powers
