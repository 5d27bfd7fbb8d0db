"""Means and spreads of the variables of a fit, from its moments alone.

Of a variable y with n_j values in cluster j, n in all, mean ȳ_j and sum of squares S_j about it:

    MSW = Σ_j S_j / (n - J),                  MSB = Σ_j n_j (ȳ_j - ȳ)² / (J - 1),
    n₀ = (n - Σ_j n_j² / n) / (J - 1),        ICC(1) = (MSB - MSW) / (MSB + (n₀ - 1) MSW)

(Fisher, 1925, § 40; of unequal sizes Donner, 1986, International Statistical Review 54, 67-82).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt

import numpy as np

from mlsem.core.patterns.convert import all_there, as_cells
from mlsem.core.records import Array, CellMoments, ClusterMoments, Index
from mlsem.data.moments.aggregate import DataRecord
from mlsem.data.moments.products import ColumnMap


@dataclass(frozen=True, slots=True)
class Described:
    """A variable in the rows that a fit used; of level 2 in its clusters.

    Attributes
    ----------
    name : str
    level : int
        1 where it varies within clusters.
    n, missing : int
        Rows (or clusters) with a value of it, and without.
    mean, sd : float
    sd_within : float
        √MSW; NaN of level 2.
    sd_between : float
        Standard deviation of the clusters' means; NaN of level 2.
    icc : float
        ICC(1) of the analysis of variance; NaN of level 2.
    """

    name: str
    level: int
    n: int
    missing: int
    mean: float
    sd: float
    sd_within: float = nan
    sd_between: float = nan
    icc: float = nan


def describe(record: DataRecord, names: tuple[str, ...], *, clustered: bool) -> list[Described]:
    """Of variables of the record, those of level 1 first; without clusters all are of level 1."""
    moments = record.moments
    cells = as_cells(moments) if isinstance(moments, ClusterMoments) else moments
    found = [_describe(cells, name, record.maps[name], clustered) for name in names]
    return sorted(found, key=lambda each: each.level)


def _describe(cells: CellMoments, name: str, column: ColumnMap, clustered: bool) -> Described:
    inner, outer = column.coefs[: cells.varying], column.coefs[cells.varying :]
    if clustered and not inner.any():
        return _of_clusters(cells, name, column, outer)
    seen = np.concatenate(
        (
            cells.patterns[cells.pattern_of],
            cells.level2_patterns[cells.level2_pattern_of][cells.cluster_of],
        ),
        axis=1,
    )
    there = all_there(column.coefs[None, :], seen)[:, 0]
    rows = np.where(there, cells.cell_rows, 0).astype(np.float64)
    values = column.constant + cells.means @ inner + (cells.level2 @ outer)[cells.cluster_of]
    each = cells.cell_rows / cells.cell_sizes  # rows whose weights sum to their number
    squares = np.where(there, each * np.einsum("a,kab,b->k", inner, cells.within, inner), 0.0)
    whole = cells.cluster_of, cells.n_clusters
    n = _summed(rows, *whole)
    known = n > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        means = _summed(rows * np.where(there, values, 0.0), *whole) / n
    apart = np.where(there, values - means[cells.cluster_of], 0.0)
    inside = _summed(squares + rows * apart**2, *whole)
    return _of_rows(name, n[known], means[known], inside[known], cells.n_rows, clustered=clustered)


def _summed(values: Array, of: Index, count: int) -> Array:
    return np.bincount(of, values, count).astype(np.float64)


def _of_clusters(cells: CellMoments, name: str, column: ColumnMap, outer: Array) -> Described:
    seen = all_there(outer[None, :], cells.level2_patterns[cells.level2_pattern_of])[:, 0]
    values = (column.constant + cells.level2 @ outer)[seen]
    count = len(values)
    mean = float(values.mean()) if count else nan
    sd = float(values.std(ddof=1)) if count > 1 else nan
    return Described(name, 2, count, cells.n_clusters - count, mean, sd)


def _of_rows(
    name: str, n: Array, means: Array, inside: Array, n_rows: int, *, clustered: bool
) -> Described:
    """From the size, mean and sum of squares of each cluster."""
    total, clusters = float(n.sum()), len(n)
    missing = n_rows - int(total)
    if total == 0:
        return Described(name, 1, 0, missing, nan, nan)
    mean = float(n @ means / total)
    between = float(n @ (means - mean) ** 2)
    within = float(inside.sum())
    sd = sqrt((between + within) / (total - 1)) if total > 1 else nan
    if not clustered or clusters < 2 or total <= clusters:
        return Described(name, 1, int(total), missing, mean, sd)
    msw, msb = within / (total - clusters), between / (clusters - 1)
    size = (total - float(n @ n) / total) / (clusters - 1)
    denominator = msb + (size - 1) * msw
    icc = (msb - msw) / denominator if denominator > 0 else nan
    spread = float(means.std(ddof=1))
    return Described(name, 1, int(total), missing, mean, sd, sqrt(msw), spread, icc)
