"""Bounds that the data give (bounded estimation).

No part of a variance is larger than the whole: with V the variance of a variable at its level,

    residual variance   0 ≤ θ ≤ V,   of a marker at most 0.9 V (its reliability is at least 0.1)
    factor variance     0.1 V_m / λ_m² ≤ ψ ≤ V_m / λ_m²,   m its marker; residual: from 0.005
    loading, path       |λ| ≤ sqrt(V / ψ_min)
    covariance          |θ_ij| ≤ sqrt(θ_ii,max θ_jj,max)

(De Jonckere & Rosseel, 2022, Structural Equation Modeling 29:412-427). "wide" moves residual
variances' bounds out by 5 % (below) and 20 % (above) of their range, the upper ones of factor
variances by 30 %, those of loadings by 10 % on either side. A predictor that
is not observed (a factor, a part between clusters) is bounded as a factor, and its paths as
loadings. Between clusters V is the variance of the cluster means, ψ_min
is 0.1 of their between part, covariances are those of between parts, and residual variances of
between parts stay at 0 or above: soon below, the covariance matrix of the largest clusters is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, sqrt

import numpy as np

from mlsem.core.records import Array
from mlsem.core.sample.shapes import ShapeMoments, level_sample
from mlsem.model.table import ParameterTable, Row, TableBlock

RELIABILITY = 0.1  # least share of a marker's variance that is its factor's
RESIDUAL = 0.005  # least share of a factor's variance that its predictors leave
LEAST_BETWEEN = 0.1  # of the variance of cluster means that counts as between variance at least


@dataclass(frozen=True, slots=True)
class Widening:
    """Shares of its range by which each kind's lower and upper bounds move out."""

    residual: tuple[float, float]
    factor: tuple[float, float]
    loading: tuple[float, float]
    covariance: tuple[float, float]


WIDENINGS = {
    "standard": Widening((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (-0.001, -0.001)),
    "wide": Widening((0.05, 0.2), (0.0, 0.3), (0.1, 0.1), (0.0, 0.0)),
}
Range = tuple[float, float]


def with_bounds(
    table: ParameterTable, data: ShapeMoments, maps: Mapping[str, Array]
) -> ParameterTable:
    """The table with the bounds of `table.bounds`; the user's own stay where both cannot hold.

    Parameters
    ----------
    maps : mapping of name to (D,)
        Each observed variable as a map of the data row h.
    """
    ranges: dict[int, Range] = {}
    for block in table.blocks:
        level = _Level(table, block, data, maps)
        for row in level.rows:
            if row.free >= 0:
                low, high = level.bounds(row)
                before = ranges.get(row.free, (inf, -inf))
                ranges[row.free] = (min(low, before[0]), max(high, before[1]))
    return replace(table, rows=tuple(_within(row, ranges.get(row.free)) for row in table.rows))


def _within(row: Row, bounds: Range | None) -> Row:
    if row.free < 0 or bounds is None:
        return row
    low, high = max(row.lower, bounds[0]), min(row.upper, bounds[1])
    return replace(row, lower=low, upper=high) if low <= high else row


class _Level:
    """Variances of one level's variables, asked by row."""

    def __init__(
        self,
        table: ParameterTable,
        block: TableBlock,
        data: ShapeMoments,
        maps: Mapping[str, Array],
    ) -> None:
        variables = block.variables
        names = variables.modelled
        self.rows = [row for row in block.rows if not row.exo]
        self.widening = WIDENINGS[table.bounds or "standard"]
        self.latent = set(variables.latent)
        self.parts = set(() if block.key.is_lowest else table.split)
        self.unseen = self.latent | set(() if block.key.is_lowest else names)
        self.outcomes = {row.lhs for row in self.rows if row.op == "~"}
        self.outcomes |= {row.rhs for row in self.rows if row.op == "=~"}
        stack = np.array([maps[name] for name in names]).reshape(len(names), len(data.within))
        self.whole, self.least = _variances(table, block, names, stack, data)
        self.sure = {
            name: self.least[name] / whole for name, whole in self.whole.items() if whole > 0
        }
        self.sources = {row.rhs for row in self.rows if row.op == "~"} & self.unseen
        self.fixed = {row.lhs: row.fixed for row in self.rows if row.is_variance}
        self.markers: dict[str, tuple[str, float]] = {}
        for row in self.rows:
            if row.op == "=~" and row.fixed:
                self.markers.setdefault(row.lhs, (row.rhs, row.fixed))
        for name in variables.latent:
            self._factor(name, frozenset())

    def _factor(self, name: str, above: frozenset[str]) -> None:
        """Largest and least variance of a factor, through its marker."""
        if name in self.whole:
            return
        if self.fixed.get(name):
            self.whole[name] = self.least[name] = abs(self.fixed[name] or 1.0)
            return
        marker, loading = self.markers.get(name, ("", 1.0))
        if marker in self.latent and marker not in above:
            self._factor(marker, above | {name})
        if marker in self.whole:
            self.whole[name] = self.whole[marker] / loading**2
            share = 1.0 if marker in self.latent else RELIABILITY
            self.least[name] = share * self.least[marker] / loading**2

    def bounds(self, row: Row) -> Range:
        if row.is_variance:
            return self._variance(row.lhs)
        if row.op == "~~":
            sides = [self._part(name) for name in (row.lhs, row.rhs)]
            limit = sqrt(sides[0] * sides[1]) if min(sides) > 0 else inf
            return _moved(-limit, limit, self.widening.covariance)
        if row.op == "=~":
            return self._path(row.lhs, row.rhs)
        if row.op == "~" and row.rhs in self.least and row.rhs in self.unseen:
            return self._path(row.rhs, row.lhs)
        return -inf, inf

    def _part(self, name: str) -> float:
        """Largest variance that a covariance may come from: between clusters, of what is sure."""
        upper = self._variance(name)[1]
        share = self.sure.get(name, 1.0)
        return share * upper

    def _variance(self, name: str) -> Range:
        if self.fixed.get(name) is not None:
            value = abs(self.fixed[name] or 0.0)
            return value, value
        whole = self.whole.get(name, inf)
        if name in self.latent or name in self.sources:
            least = self.least.get(name, 0.0) * (1.0 if name in self.latent else RELIABILITY)
            if name in self.outcomes and np.isfinite(whole):
                least = RESIDUAL * whole
            return _moved(least, whole, self.widening.factor)
        marks = name in {marker for marker, _ in self.markers.values()}
        upper = (1.0 - RELIABILITY) * whole if marks else whole
        low, high = _moved(0.0, upper, self.widening.residual)
        return (0.0 if name in self.parts else low), high

    def _path(self, source: str, target: str) -> Range:
        """sqrt(V / ψ_min): no path explains more than the whole variance."""
        least = self.least.get(source, 0.0)
        if source not in self.latent:
            least = RELIABILITY * least
        limit = sqrt(self.whole.get(target, inf) / least) if least > 0 else inf
        return _moved(-limit, limit, self.widening.loading)


def _moved(low: float, high: float, by: tuple[float, float]) -> Range:
    if not (np.isfinite(low) and np.isfinite(high)):
        return low, high
    return low - by[0] * (high - low), high + by[1] * (high - low)


def _variances(
    table: ParameterTable,
    block: TableBlock,
    names: tuple[str, ...],
    stack: Array,
    data: ShapeMoments,
) -> tuple[dict[str, float], dict[str, float]]:
    """Variance of each observed variable at a level, and the least part of it that is sure."""
    sample = level_sample(data, names, stack, block.key.level)
    least = np.diagonal(sample.covariance).copy()
    if block.key.is_lowest:
        if not table.two_level:  # as maximum likelihood has it
            least *= 1.0 - 1.0 / data.n_rows
        whole = least
    else:
        row = data.products(2)
        means = row - np.outer(row[0], row[0])
        whole = np.diagonal(stack @ means @ stack.T)
        least = np.maximum(least, LEAST_BETWEEN * whole)
    return (
        dict(zip(names, whole.tolist(), strict=True)),
        dict(zip(names, least.tolist(), strict=True)),
    )
