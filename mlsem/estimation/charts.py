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
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from mlsem.core.records import Array, Index
from mlsem.model.table import ParameterTable, Row

DISTANT = 1e4  # how far from the marker's scale a solution is still carried back
MANY = 3  # factors of which all combinations of signs are tried


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """One factor scaled by its variance.

    Attributes
    ----------
    place : int
        The position of ψ among the user's parameters, of λ among the chart's.
    marker : float
        m.
    variance : float
        v.
    powers : (npar,)
        With which power of c each parameter goes from the chart to the user's.
    """

    place: int
    marker: float
    variance: float
    powers: Array

    def back(self, params: Array) -> Array | None:
        """The chart's parameters → the user's; None where the marker does not load."""
        scale = float(params[self.place]) / self.marker
        if not 1.0 / DISTANT < abs(scale) < DISTANT:
            return None
        moved = params * scale**self.powers
        moved[self.place] = self.variance * scale**2
        return moved


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """The model with factors scaled by their variances.

    Attributes
    ----------
    table : ParameterTable
    params : (npar,)
        Where a search starts: the moments are those of the user's parameters if all v > 0.
    factors : tuple of Scaled
    """

    table: ParameterTable
    params: Array
    factors: tuple[Scaled, ...]

    def back(self, params: Array) -> Array | None:
        """The chart's parameters → the user's; None where a marker does not load."""
        moved: Array | None = params
        for each in self.factors:
            moved = None if moved is None else each.back(moved)
        return moved


def charts(table: ParameterTable, params: Array, restricted: Index) -> Iterator[Chart]:
    """Charts of the factors that can be scaled either way, around the user's parameters: of all
    together with every combination of signs; of more than `MANY` with one negative at most."""
    used = Counter(row.free for row in table.rows if row.free >= 0)
    tied = {free for free, count in used.items() if count > 1} | set(restricted.tolist())
    scalable: list[tuple[str, Row, Row]] = []
    for level, variables in enumerate(table.levels, start=1):
        rows = [row for row in table.rows if row.level == level]
        for factor in variables.latent:
            pair = _scaled(rows, factor, tied)
            if pair is not None and params[pair[1].free] != 0.0:
                scalable.append((factor, *pair))
    for signs in _signs(len(scalable)):
        yield _chart(table, scalable, params, signs)


def _signs(count: int) -> Iterator[tuple[float, ...]]:
    if not count:
        return
    if count <= MANY:
        yield from product((1.0, -1.0), repeat=count)
        return
    yield (1.0,) * count
    for k in range(count):
        yield tuple(-1.0 if k == j else 1.0 for j in range(count))


def _scaled(rows: list[Row], factor: str, tied: set[int]) -> tuple[Row, Row] | None:
    """The marker and the free variance of a factor, if nothing else fixes its scale."""
    own = [row for row in rows if factor in (row.lhs, row.rhs)]
    fixed = [row for row in own if row.free < 0 and row.fixed]
    markers = [row for row in fixed if row.op == "=~" and row.lhs == factor]
    variance = next((row for row in own if row.is_variance), None)
    if len(markers) != 1 or len(fixed) != 1 or variance is None or variance.free < 0:
        return None
    return None if any(row.free in tied for row in own) else (markers[0], variance)


def _chart(
    table: ParameterTable,
    scalable: list[tuple[str, Row, Row]],
    params: Array,
    signs: tuple[float, ...],
) -> Chart:
    start, changed, factors = params.copy(), {}, []
    for (factor, marker, variance), sign in zip(scalable, signs, strict=True):
        place, loading = variance.free, float(marker.fixed or 1.0)
        fixed = sign * abs(float(params[place]))
        changed[id(marker)] = replace(marker, free=place, fixed=None)
        changed[id(variance)] = replace(variance, free=-1, fixed=fixed)
        factors.append(Scaled(place, loading, fixed, _powers(table, factor, variance)))
        start[place] = loading
    rows = tuple(changed.get(id(row), row) for row in table.rows)
    return Chart(replace(table, rows=rows), start, tuple(factors))


def _powers(table: ParameterTable, factor: str, variance: Row) -> Array:
    """With which power of c each parameter goes from the chart to the user's."""
    powers = np.zeros(len(table.names))
    for row in table.rows:
        if row.level != variance.level or row.free < 0 or factor not in (row.lhs, row.rhs):
            continue
        outgoing = (row.op == "=~" and row.lhs == factor) or (row.op == "~" and row.rhs == factor)
        powers[row.free] = -1.0 if outgoing else 1.0
    return powers
