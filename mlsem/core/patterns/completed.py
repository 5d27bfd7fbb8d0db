"""Sample moments of data with missing values, as if nothing were missing.

The saturated model of all stored columns is brought near its maximum by steps of EM (Dempster,
Laird & Rubin, 1977). A step is written by the gradient of ℓ, whose pieces are the expected moments:
with G = ∂ℓ/∂Σ and g = ∂ℓ/∂μ over n units, rows or clusters,

    Δ = Σ g / n,    μ ← μ + Δ,    Σ ← Σ + 2 Σ G Σ / n - Δ Δᵀ.

What follows are moments that complete data of the same size would have: starting values and
descriptions of the sample are those of any data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.implied.pattern import Pattern
from mlsem.core.implied.unstructured import Unstructured, unstructured
from mlsem.core.patterns.carriers import pattern_moments
from mlsem.core.patterns.likelihood import PatternPoint
from mlsem.core.patterns.objective import PatternObjective
from mlsem.core.records import Array, CellMoments, Index, frozen
from mlsem.core.sample.moments import combine
from mlsem.core.sample.shapes import ShapeMoments

STEPS = 25
ENOUGH = 2.0  # gain in log-likelihood of a step that is the last: what follows only starts here
LEAST = 0.02  # share of a variance that is between clusters, at the start
INSIDE = 0.95  # what correlations at the start are multiplied with


def pooled_cells(cells: CellMoments) -> CellMoments:
    """All rows as one cluster: every column then varies, level-2 columns too."""
    full = np.concatenate(
        (
            cells.patterns[cells.pattern_of],
            cells.level2_patterns[cells.level2_pattern_of[cells.cluster_of]],
        ),
        axis=1,
    )
    patterns, codes = np.unique(full, axis=0, return_inverse=True)
    codes = codes.reshape(-1)
    width, count = len(cells.columns), len(patterns)
    means = cells.mean_rows[:, 1:]
    within = np.zeros((cells.n_cells, width, width))
    within[:, : cells.varying, : cells.varying] = cells.within
    within *= cells.weights[cells.cluster_of, None, None]
    sizes, means, within = combine(cells.cell_weights, means, within, codes, count)
    return CellMoments(
        columns=cells.columns,
        varying=width,
        shift=cells.shift,
        rows=frozen(np.array([cells.n_rows], dtype=np.int64)),
        sizes=frozen(np.array([cells.row_weights.sum()])),
        weights=frozen(np.ones(1)),
        labels=frozen(np.zeros(1, dtype=np.int64)),
        patterns=frozen(patterns),
        pattern_of=frozen(np.arange(count)),
        cluster_of=frozen(np.zeros(count, dtype=np.intp)),
        cell_rows=frozen(np.bincount(codes, cells.cell_rows, count).astype(np.int64)),
        cell_sizes=frozen(sizes),
        means=frozen(means),
        within=frozen(within),
        level2=frozen(np.zeros((1, 0))),
        level2_patterns=frozen(np.ones((1, 0), dtype=np.bool_)),
        level2_pattern_of=frozen(np.zeros(1, dtype=np.intp)),
    )


def completed(cells: CellMoments, *, two_level: bool) -> Completed:
    """Shape moments of complete data that have the moments of the saturated model.

    Parameters
    ----------
    two_level : bool
        Whether columns have parts between clusters. Without, the cells are those of one cluster.
    """
    pattern = _stored(cells, two_level=two_level)
    data, _ = pattern_moments(pattern, cells)
    objective = PatternObjective(pattern, data)
    rows, clusters = float(data.counts.sum()), float(data.weights.sum())
    point = objective.evaluate(_start(pattern, cells, two_level=two_level))
    for _ in range(STEPS):
        if point is None:
            break
        moved = objective.evaluate(_step(objective, point, rows, clusters))
        if moved is None:
            break
        gain, point = moved.loglik - point.loglik, moved
        if gain < ENOUGH:
            break
    assert point is not None  # variances of what is observed are positive
    return _as_sample(cells, point, rows, clusters, two_level=two_level)


def _stored(cells: CellMoments, *, two_level: bool) -> Pattern[Unstructured]:
    """Every stored column a variable; those that vary within clusters have a part at each level."""
    width = len(cells.columns)
    columns, constant = np.eye(width, width + 1, k=1), np.eye(1, width + 1)
    none = np.arange(0, dtype=np.intp)
    if not two_level:
        within = unstructured(columns, constant, np.arange(width, dtype=np.intp), 0)
        between = unstructured(columns[:0], constant, none, within.n_free)
        return Pattern((within, between), 0, within.n_free)
    within = unstructured(columns[: cells.varying], constant, none, 0)
    between = unstructured(columns, constant, np.arange(width, dtype=np.intp), within.n_free)
    return Pattern((within, between), cells.varying, within.n_free + between.n_free)


def _start(
    pattern: Pattern[Unstructured], cells: CellMoments, *, two_level: bool
) -> Shaped[Array, "b"]:
    """Means and covariances of what is there of each column, and of each pair."""
    mean, inner, outer = available(cells)
    params = np.zeros(pattern.n_params)
    (within, between), varying = pattern.levels, cells.varying
    if two_level:
        within.put(params, inner, mean[:varying])
        between.put(params, outer, mean)
    else:
        outer[:varying, :varying] += inner
        within.put(params, outer, mean)
    return params


def available(
    cells: CellMoments,
) -> tuple[Shaped[Array, "C"], Shaped[Array, "V V"], Shaped[Array, "C C"]]:
    """Of the values that are there of each pair of stored columns: means, and covariances within
    and between clusters by the method of moments, made positive definite."""
    owner, count = cells.cluster_of, cells.n_clusters
    there = cells.patterns[cells.pattern_of]
    weights = cells.cell_weights[:, None] * there
    size, total = (_by_cluster(each, owner, count) for each in (weights, weights * cells.means))
    known = np.concatenate((size > 0, cells.level2_patterns[cells.level2_pattern_of]), axis=1)
    centre = np.concatenate((total / np.where(size > 0, size, 1.0), cells.level2), axis=1)
    clusters = cells.weights[:, None] * known
    mean = (clusters * centre).sum(axis=0) / np.maximum(clusters.sum(axis=0), 1e-300)
    away = there * (cells.means - centre[owner, : cells.varying])
    squares = (weights * away).T @ away
    squares += np.einsum("k,kab->ab", cells.weights[owner], cells.within)
    degrees = weights.T @ there - _degrees_lost(size, cells.weights)
    inner = _covariance(squares / np.maximum(degrees, 1.0), np.zeros(cells.varying))
    apart = known * (centre - mean)
    pairs = clusters.T @ known
    outer = (cells.weights[:, None] * apart).T @ apart / np.maximum(pairs, 1.0)
    noise = (clusters[:, : cells.varying] / np.where(size > 0, size, 1.0)).sum(axis=0)
    noise /= np.maximum(clusters[:, : cells.varying].sum(axis=0), 1.0)
    least = np.maximum(outer.diagonal(), 0.0)
    least[: cells.varying] += inner.diagonal()
    outer[: cells.varying, : cells.varying] -= inner * np.sqrt(np.outer(noise, noise))
    return mean, inner, _covariance(outer, LEAST * least)


def _degrees_lost(size: Shaped[Array, "J V"], weights: Shaped[Array, "J"]) -> Shaped[Array, "V V"]:
    """For the clusters' own means, of each pair."""
    there = (size > 0).astype(np.float64)
    return (weights[:, None] * there).T @ there


def _covariance(matrix: Shaped[Array, "p p"], least: Shaped[Array, "p"]) -> Shaped[Array, "p p"]:
    """The correlations of a matrix that need not be positive definite, brought inside, with
    variances of `least` or more."""
    variances = np.maximum(matrix.diagonal(), least)
    variances = np.where(variances > 0.0, variances, 1.0)
    root = np.sqrt(variances)
    values, vectors = np.linalg.eigh(INSIDE * matrix / np.outer(root, root))
    found = (vectors * np.maximum(values, 0.0)) @ vectors.T
    np.einsum("kk->k", found)[...] = np.maximum(1.0, found.diagonal() + 1.0 - INSIDE)
    return found * np.outer(root, root)


def _by_cluster(
    values: Shaped[Array, "K V"], owner: Shaped[Index, "K"], count: int
) -> Shaped[Array, "J V"]:
    starts = np.searchsorted(owner, np.arange(count))
    return np.add.reduceat(values, starts, axis=0)


def _step(
    objective: PatternObjective[Any], point: PatternPoint, rows: float, clusters: float
) -> Shaped[Array, "b"]:
    """One step of EM."""
    params = np.empty_like(point.params)
    slopes = objective.moment_gradients(point)
    levels = objective.pattern.levels
    units = zip(levels, point.levels, slopes, (rows, clusters), strict=True)
    for level, moments, slope, count in units:
        free, sigma = level.exogenous, moments.sigma
        moved = sigma @ slope.mean[:, 0] / count if len(free.params) else np.zeros(len(sigma))
        change = 2.0 * sigma @ slope.sigma @ sigma / count - np.outer(moved, moved)
        level.put(params, sigma + change, moments.mean[:, 0] + moved)
    return params


@dataclass(frozen=True, slots=True, eq=False)
class Completed(ShapeMoments):
    """Complete data that have the moments which EM came to; exact in columns of which nothing is
    missing.

    Attributes
    ----------
    over_rows, over_clusters : (D, D)
        Mean of h hᵀ.
    """

    over_rows: Shaped[Array, "D D"]
    over_clusters: Shaped[Array, "D D"]

    def products(self, level: int) -> Shaped[Array, "D D"]:
        return self.over_rows if level == 1 else self.over_clusters


def _as_sample(
    cells: CellMoments, point: PatternPoint, rows: float, clusters: float, *, two_level: bool
) -> Completed:
    """Of clusters of one size, n = J / Σ 1/n_j."""
    width, within = len(cells.columns), np.zeros((len(cells.columns) + 1,) * 2)
    if two_level:
        size = float(cells.weights.sum() / (cells.weights / cells.sizes).sum())
        inner = slice(1, 1 + cells.varying)
        mean, spread = point.between.mean[:, 0], point.between.sigma.copy()
        spread[: cells.varying, : cells.varying] += point.within.sigma / size
        within[inner, inner] = max(rows - clusters, 1.0) * point.within.sigma
    else:
        size, mean, spread = rows, point.within.mean[:, 0], np.zeros((width, width))
        within[1:, 1:] = rows * point.within.sigma
    cross = np.zeros((width + 1, width + 1))
    row = np.append(1.0, mean)
    cross = np.outer(row, row)
    cross[1:, 1:] += spread
    exact = _products_of_complete(cells)
    return Completed(
        sizes=frozen(np.array([size])),
        clusters=frozen(np.array([clusters])),
        cross=frozen(clusters * cross[None]),
        within=frozen(within),
        over_rows=frozen(_where_known(exact[0], cross + within / (size * clusters))),
        over_clusters=frozen(_where_known(exact[1], cross)),
    )


def _products_of_complete(
    cells: CellMoments,
) -> tuple[Shaped[Array, "D D"], Shaped[Array, "D D"]]:
    """Mean of h hᵀ over rows and over clusters; NaN for columns of which something is missing."""
    complete = np.concatenate(
        ([True], cells.patterns.all(axis=0), cells.level2_patterns.all(axis=0))
    )
    owner, weights = cells.cluster_of, cells.cell_weights
    rows = cells.mean_rows
    over_rows = (weights[:, None] * rows).T @ rows
    inner = cells.varying_entries
    over_rows[inner, inner] += np.einsum("k,kab->ab", cells.weights[owner], cells.within)
    means = _by_cluster(cells.cell_sizes[:, None] * rows, owner, cells.n_clusters)
    means /= cells.sizes[:, None]
    over_clusters = (cells.weights[:, None] * means).T @ means
    unknown = ~(complete[:, None] & complete)
    over_rows[unknown] = over_clusters[unknown] = np.nan
    return over_rows / weights.sum(), over_clusters / cells.weights.sum()


def _where_known(exact: Shaped[Array, "D D"], other: Shaped[Array, "D D"]) -> Shaped[Array, "D D"]:
    return np.where(np.isnan(exact), other, exact)
