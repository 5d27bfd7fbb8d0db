"""Means of clusters, and how a column varies within and between these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.data.moments.bases import SAME

if TYPE_CHECKING:
    from mlsem.core.records import Array
    from mlsem.data.table.grouping import Grouping


@dataclass(frozen=True, slots=True)
class Spread:
    """How a column varies.

    Attributes
    ----------
    within, between : float
        √ of the components of variance σ² and τ² (of a one-way analysis of variance).
    icc : float
        The share that lies between clusters.
    reliability : float
        Of the means as measures of what clusters are: the mean of τ² / (τ² + σ²/n_j).
    varying : int
        Clusters within which it varies.
    """

    within: float
    between: float
    icc: float
    reliability: float
    varying: int


def by_cluster(grouping: Grouping, values: Array) -> Array:
    """The mean of each cluster, (J,)."""
    starts = np.cumsum(grouping.sizes) - grouping.sizes
    return np.add.reduceat(grouping.rows(values, 0, len(values)), starts) / grouping.sizes


def means_of(grouping: Grouping, values: Array) -> Array:
    """The mean of its cluster, for each row; one number where they differ by rounding."""
    means = by_cluster(grouping, values)
    if np.ptp(means) <= SAME * values.std():
        means = np.full_like(means, values.mean())
    return means[grouping.codes]


def spread_of(grouping: Grouping, values: Array, *, varies: bool) -> Spread:
    """The components of variance, at least 0; of what does not vary within clusters σ² = 0.

    σ² = SS_w / (N - J), τ² = (SS_b / (J - 1) - σ²) / n₀, n₀ = (N - Σn²/N) / (J - 1)
    """
    sizes = grouping.sizes.astype(np.float64)
    count, above = float(sizes.sum()), max(len(sizes) - 1, 1)
    means = by_cluster(grouping, values)
    squares = (values - means[grouping.codes]) ** 2 if varies else np.zeros(len(values))
    rows = float(squares.sum()) / max(count - len(sizes), 1.0)
    usual = (count - float(sizes @ sizes) / count) / above
    own = max((float(sizes @ (means - values.mean()) ** 2) / above - rows) / usual, 0.0)
    known = own + rows > 0.0
    return Spread(
        within=float(np.sqrt(rows)),
        between=float(np.sqrt(own)),
        icc=own / (own + rows) if known else np.nan,
        reliability=float(np.mean(own / (own + rows / sizes))) if known else np.nan,
        varying=int((by_cluster(grouping, squares) > 0.0).sum()) if varies else 0,
    )
