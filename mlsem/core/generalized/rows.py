"""Rows of a generalised linear model in cluster order, and their sums by cluster.

With μ and v of the rows, Pearson residuals are r = (y - μ)/√v, and Z = (dμ/dη) X/√v. Sums over the
rows of a cluster are B_j = Z_jᵀ R_j⁻¹ Z_j and s_j = Z_jᵀ R_j⁻¹ r_j (`correlations`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import CACHE, positions_in_runs, walk
from mlsem.core.generalized.families import Family, Link
from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows in cluster order.

    Attributes
    ----------
    design : (p, N)
        X, column by column.
    outcome : (N,)
    offset : (N,)
    trials : (N,)
    starts : (J,)
        Where the rows of each cluster begin.
    gaps : (N,) or None
        d, of a row behind another of its cluster.
    """

    design: Shaped[Array, "p N"]
    outcome: Shaped[Array, "N"]
    offset: Shaped[Array, "N"]
    trials: Shaped[Array, "N"]
    starts: Shaped[Index, "J"]
    gaps: Shaped[Array, "N"] | None = None

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.outcome)

    @property
    def sizes(self) -> Shaped[Index, "J"]:
        """n of each cluster."""
        return np.diff(self.starts, append=self.n_rows)

    def sums(self, values: Shaped[Array, "... N"]) -> Shaped[Array, "... J"]:
        """By cluster."""
        return np.add.reduceat(values, self.starts, axis=-1)

    def parts(self) -> Iterator[tuple[slice, Rows]]:
        """The rows in runs of whole clusters that a processor's cache holds, and where they are."""
        ends = np.append(self.starts, self.n_rows)
        first = 0
        while first < len(self.starts):
            most = ends[first] + max(1, CACHE // (len(self.design) + 4))
            last = max(first + 1, int(np.searchsorted(ends, most, side="right")) - 1)
            own = slice(int(ends[first]), int(ends[last]))
            yield own, self._part(own, self.starts[first:last] - own.start)
            first = last

    def _part(self, own: slice, starts: Shaped[Index, "j"]) -> Rows:
        return Rows(
            self.design[:, own],
            self.outcome[own],
            self.offset[own],
            self.trials[own],
            starts,
            None if self.gaps is None else self.gaps[own],
        )

    def of_clusters(self, clusters: Shaped[Index, "k"]) -> Rows:
        """The rows of these clusters; one that is named twice is two."""
        sizes = self.sizes[clusters]
        places = np.repeat(self.starts[clusters], sizes) + positions_in_runs(sizes)
        return Rows(
            self.design[:, places],
            self.outcome[places],
            self.offset[places],
            self.trials[places],
            np.cumsum(sizes) - sizes,
            None if self.gaps is None else self.gaps[places],
        )

    def spread(self, values: Shaped[Array, "... J"]) -> Shaped[Array, "... N"]:
        """Of clusters to their rows."""
        return np.repeat(values, self.sizes, axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Rows at β: η, μ, and what they are in units of their standard deviation.

    Attributes
    ----------
    eta, mean : (N,)
    scaled : (p, N)
        Z.
    residual : (N,)
        r.
    """

    eta: Shaped[Array, "N"]
    mean: Shaped[Array, "N"]
    scaled: Shaped[Array, "p N"]
    residual: Shaped[Array, "N"]


def standing(
    rows: Rows, family: Family, link: Link, eta: Shaped[Array, "N"], mean: Shaped[Array, "N"]
) -> Standing:
    """Rows with these η and μ."""
    scaled, residual = np.empty_like(rows.design), np.empty_like(eta)
    for own in walk(rows.n_rows, len(scaled) + 4):
        root = np.sqrt(rows.trials[own] / family.variance(mean[own]))
        scaled[:, own] = rows.design[:, own] * (root * link.slope(eta[own]))
        residual[own] = root * (rows.outcome[own] - mean[own])
    return Standing(eta, mean, scaled, residual)


def cross_products(
    rows: Rows, left: Shaped[Array, "p N"], right: Shaped[Array, "p N"]
) -> Shaped[Array, "J p p"]:
    """Σ l rᵀ of the rows of each cluster, l being r times a number of the row: symmetric."""
    size = len(left)
    total = np.empty((len(rows.starts), size, size))
    for a in range(size):
        for b in range(a + 1):
            total[:, a, b] = total[:, b, a] = rows.sums(left[a] * right[b])
    return total
