"""What the information matrices of the model with missing values are made of.

Traces run through the patterns, K and Ω, quadratic forms in V⁻¹ through the coordinates of
`likelihood`; V itself is not formed, nor anything for each direction, pattern and cluster at once.
"""

from __future__ import annotations

from typing import Annotated as Shaped
from typing import TypeAlias

import numpy as np

from mlsem.core.blocks import blocks, per_block
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.linalg import flatten, sandwich_traces, symmetrised
from mlsem.core.patterns.carriers import PatternMoments
from mlsem.core.patterns.likelihood import (
    PatternPoint,
    between_information,
    by_cluster,
    by_pattern,
    effect_maps,
    picked,
)
from mlsem.core.records import Array, Index

Part: TypeAlias = slice | Shaped[Index, "j"]


def covariance_part(
    point: PatternPoint, data: PatternMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j ½ tr V⁻¹V_a V⁻¹V_b, (n, n).

    With D_π = W (Σ_r Z K Zᵀ) W, C^a = Σ_r Zᵀ W Σ_a W Z and X = (I - K C) [I, -A],

        ½ [Σ_π tr Σ_a W Σ_b (n W - 2 D) + Σ_j tr K C^a K C^b
           + Σ_j tr (Xᵀ C^a X) Σ_B,b + Σ_j tr (Xᵀ C^b X) Σ_B,a + Σ_j tr Ω Σ_B,a Ω Σ_B,b].
    """
    within, between = along[0].sigma, along[1].sigma
    inner, outer = moving(within), moving(between)
    traces = np.zeros((len(within), len(within)))
    own = within[inner]
    traces[np.ix_(inner, inner)] = _pattern_traces(point, data, own)
    width = max(1, len(inner)) * point.split**2 + max(1, len(outer)) * point.split**2
    for part in blocks(data.n_clusters, width):
        weights = data.weights[part]
        corners = corner_changes(point, data, own, part)
        shrunk = point.posterior[part, None] @ corners
        turned = (weights[:, None, None, None] * shrunk).swapaxes(2, 3)
        traces[np.ix_(inner, inner)] += by_direction(shrunk) @ by_direction(turned).T
        level2 = level2_changes(point, data, between[outer], part)
        mixed = by_direction(weights[:, None, None, None] * corners) @ by_direction(level2).T
        traces[np.ix_(inner, outer)] += mixed
        traces[np.ix_(outer, inner)] += mixed.T
        omega = between_information(point, data, part)
        traces[np.ix_(outer, outer)] += sandwich_traces(
            weights, omega, between[outer], between[outer]
        )
    return 0.5 * symmetrised(traces)


def moving(changes: Shaped[Array, "n ..."]) -> Shaped[Index, "m"]:
    """The directions in which something changes."""
    return np.flatnonzero(flatten(changes).any(axis=1)) if changes.size else np.arange(0)


def by_direction(stack: Shaped[Array, "j n *a"]) -> Shaped[Array, "n m"]:
    """All of a direction as one row."""
    return flatten(stack.swapaxes(0, 1))


def _pattern_traces(
    point: PatternPoint, data: PatternMoments, sigma: Shaped[Array, "n p p"]
) -> Shaped[Array, "n n"]:
    """Σ_π tr Σ_a W Σ_b (n W - 2 D): the sum over patterns is taken before directions are met."""
    precision, p = point.precision, len(point.residuals)
    absorbed = precision @ by_pattern(data, point.posterior, p) @ precision
    sides = data.counts[:, None, None] * precision - 2.0 * absorbed
    total = flatten(precision).T @ flatten(sides)
    # total[(j k), (l i)] meets Σ_a[i, j] and Σ_b[k, l]
    total = total.reshape(p, p, p, p).transpose(3, 0, 1, 2).reshape(p * p, p * p)
    return flatten(sigma) @ total @ flatten(sigma).T


def corner_changes(
    point: PatternPoint, data: PatternMoments, sigma: Shaped[Array, "n p p"], part: Part
) -> Shaped[Array, "j n q q"]:
    """C^a of some clusters: of the patterns that occur in them."""
    q = point.split
    total = np.empty((len(data.weights[part]), len(sigma), q, q))
    if not q:
        return total
    there = patterns_of(data, part)
    precision = point.precision[there]
    step = per_block(precision.size)
    for first in range(0, len(sigma), step):
        own = slice(first, first + step)
        changes = precision[:, None] @ sigma[own] @ precision[:, None]
        total[:, own] = by_cluster(data, changes, part, there)
    return total


def patterns_of(data: PatternMoments, part: Part) -> slice | Shaped[Index, "i"]:
    """Those that occur in some clusters."""
    found = np.unique(picked(data.sizes, part).indices).astype(np.intp)
    return slice(None) if len(found) == len(data.observed) else found


def level2_changes(
    point: PatternPoint, data: PatternMoments, sigma: Shaped[Array, "n qr qr"], part: Part
) -> Shaped[Array, "j n q q"]:
    """X Σ_B,a Xᵀ of some clusters."""
    maps = effect_maps(point, data, part)
    return maps[:, None] @ sigma @ maps[:, None].swapaxes(2, 3)


# --- quadratic forms in V⁻¹ -----------------------------------------------------------------------


def expected_mean_part(
    point: PatternPoint, data: PatternMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j μ_aᵀ V_j⁻¹ μ_b: of vectors that are the maps ∂_aΠ of the coordinates."""
    within, between = along[0].mean, along[1].mean
    used = np.flatnonzero(within.any(axis=(0, 1)))
    rows = data.coordinates[:, used]
    pooled = data.rest[:, used[:, None], used] + _outer_by_pattern(data, rows, rows)
    total = _pattern_forms(point, within[:, :, used], pooled)
    columns = np.flatnonzero(between.any(axis=(0, 1)))
    maps = between[:, :, columns], data.rows[:, columns]
    return symmetrised(total + _cluster_forms(point, data, within[:, :, used], rows, maps))


def observed_mean_part(
    point: PatternPoint, data: PatternMoments, along: Jacobians
) -> Shaped[Array, "n n"]:
    """Σ_j δ_aᵀ V_j⁻¹ δ_b, δ_a = μ_a + V_a V_j⁻¹ (y_j - μ_j): of vectors that are the maps
    (Σ_a, ∂_aΠ) of (ω_r, H_r), and (Σ_B,a, ∂_aΠ_B) of (ρ_j, h_j) at level 2."""
    within, between = along
    p, d = within.mean.shape[1:]
    used = np.flatnonzero(within.mean.any(axis=(0, 1)))
    rows = np.concatenate((point.weighted, data.coordinates[:, used]), axis=1)
    maps = np.concatenate((within.sigma, within.mean[:, :, used]), axis=2)
    pulled = np.zeros((len(point.precision), p + len(used), d))
    pulled[:, :p] = point.precision @ point.residuals
    pulled[:, p + np.arange(len(used)), used] = 1.0
    pooled = pulled @ data.rest @ pulled.swapaxes(1, 2) + _outer_by_pattern(data, rows, rows)
    total = _pattern_forms(point, maps, pooled)
    columns = np.flatnonzero(between.mean.any(axis=(0, 1)))
    level2 = (
        np.concatenate((between.sigma, between.mean[:, :, columns]), axis=2),
        np.concatenate((point.between_weighted, data.rows[:, columns]), axis=1),
    )
    return symmetrised(total + _cluster_forms(point, data, maps, rows, level2))


def _outer_by_pattern(
    data: PatternMoments, left: Shaped[Array, "R k"], right: Shaped[Array, "R l"]
) -> Shaped[Array, "P k l"]:
    """Σ_r w_r v_r v'_rᵀ of each pattern."""
    total = np.empty((len(data.observed), left.shape[1], right.shape[1]))
    weighted = data.row_weights[:, None] * left
    for k in range(len(total)):
        rows = data.rows_of(k)
        np.matmul(weighted[rows].T, right[rows], out=total[k])
    return total


def _pattern_forms(
    point: PatternPoint, maps: Shaped[Array, "n p k"], pooled: Shaped[Array, "P k k"]
) -> Shaped[Array, "n n"]:
    """Σ_π tr M_aᵀ W M_b X_π."""
    p, k = maps.shape[1:]
    total = flatten(point.precision).T @ flatten(pooled)
    total = total.reshape(p, p, k, k).transpose(0, 2, 1, 3).reshape(p * k, p * k)
    return flatten(maps) @ total @ flatten(maps).T


def _cluster_forms(
    point: PatternPoint,
    data: PatternMoments,
    maps: Shaped[Array, "n p k"],
    rows: Shaped[Array, "R k"],
    level2: tuple[Shaped[Array, "n qr l"], Shaped[Array, "J l"]],
) -> Shaped[Array, "n n"]:
    """What random effects and z add: Σ_j [aᵀ P⁻¹ a - βᵀβ + ζᵀ Σ_zz⁻¹ ζ] of the vectors M v_r at
    level 1 and M' v_j at level 2."""
    n, (p, k), q = len(maps), maps.shape[1:], point.split
    total = np.zeros((n, n))
    for part in blocks(data.n_clusters, n * (q + point.between_weighted.shape[1]) + q * p * k):
        beta, shrunk, own = cluster_vectors(point, data, maps, rows, level2, part)
        weights = data.weights[part, None, None]
        total += by_direction(weights * shrunk) @ by_direction(shrunk).T
        total -= by_direction(weights * beta) @ by_direction(beta).T
        weighed = weights * (own @ point.zz_inverse[data.level2_of[part]])
        total += by_direction(weighed) @ by_direction(own).T
    return total


def cluster_vectors(
    point: PatternPoint,
    data: PatternMoments,
    maps: Shaped[Array, "n p k"],
    rows: Shaped[Array, "R k"],
    level2: tuple[Shaped[Array, "n qr l"], Shaped[Array, "J l"]],
    part: Part,
) -> tuple[Shaped[Array, "j n q"], Shaped[Array, "j n q"], Shaped[Array, "j n r"]]:
    """β, R a and ζ (zero where z is missing) of n vectors in some clusters."""
    q, (above, values) = point.split, level2
    values = values[part]
    shifts = (values @ flatten_maps(above)).reshape(len(values), len(above), above.shape[1])
    own = shifts[:, :, q:]
    beta = pulled_maps(point, data, maps, rows, part) @ point.back[part].swapaxes(1, 2)
    moved = shifts[:, :, :q] - own @ point.regression[data.level2_of[part]].swapaxes(1, 2)
    shrunk = (beta + moved @ point.root[part]) @ point.white[part].swapaxes(1, 2)
    return beta, shrunk, own


def flatten_maps(maps: Shaped[Array, "n p k"]) -> Shaped[Array, "k m"]:
    """Maps (n, p, k) as one (k, n p), which acts on rows from the right."""
    return maps.reshape(maps.shape[0] * maps.shape[1], maps.shape[2]).T


def pulled_maps(
    point: PatternPoint,
    data: PatternMoments,
    maps: Shaped[Array, "n p k"],
    rows: Shaped[Array, "R k"],
    part: Part,
) -> Shaped[Array, "j n q"]:
    """Σ_r Z_rᵀ W M_a v_r of some clusters: the sum over rows of Zᵀ W ⊗ v is taken before the
    directions are met."""
    n, p, k = maps.shape
    effects, count = data.effects, len(data.weights[part])
    total = np.zeros((count, n, point.split))
    for s, members in enumerate(data.members):
        own = effects.of(s)
        sums = np.zeros((count, len(own) * p, k))
        sub = picked(members, part)
        there = np.sort(sub.indices)  # each row is of one cluster
        for chunk in blocks(len(there), max(1, len(own) * p * k)):
            some = there[chunk]
            pulled = effects.at(own, point.precision[data.pattern_of[some]], axis=1)
            outer = pulled.reshape(len(some), -1, 1) * rows[some, None]
            columns = sub if len(some) == sub.shape[1] else sub[:, some]
            sums += (columns @ flatten(outer)).reshape(sums.shape)
        flat = sums.reshape(count * len(own), p * k) @ flatten(maps).T
        total[:, :, own] = flat.reshape(count, len(own), n).swapaxes(1, 2)
    return total
