"""What the information matrices of three levels are made of.

With V̄ as in `likelihood` and the derivatives of `white`, C^a = Σ_j Xᵀ Ω̄_a X of a unit and
U = [I; -Aᵀ] R, the covariance part of directions a and b is

    ½ [(N - J) tr Ω_aΩ_b + Σ_j tr Ω̄_aΩ̄_b - 2 Σ_j tr X K Xᵀ Ω̄_aΩ̄_b + Σ_k tr K C^a K C^b
       + Σ_k tr U C^a Uᵀ Σ_C,b + Σ_k tr U C^b Uᵀ Σ_C,a + Σ_k tr Ω³Σ_C,a Ω³Σ_C,b].

The mean part δ_aᵀ V⁻¹ δ_b is made of changes of a cluster's mean and of s: with d_k the change of
the mean of (t, s) and δ_j = (change by levels 1 and 2) + X (d_t - A d_s),

    Σ_j δ_ajᵀδ_bj - Σ_k P_aᵀ K P_b + Σ_k d_asᵀ Σ_ss⁻¹ d_bs + (deviations),    P_a = Σ_j Xᵀ δ_aj.

Expected: δ is the change of the mean. Observed: with V_a V⁻¹ (y - μ) added, which is Ω̄_a x_j at the
lower levels and Σ_C,a ρ³ at level 3.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.blocks import walk
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.linalg import (
    combinations,
    flatten,
    pairings,
    sandwich_traces,
    symmetrised,
    weighted_sum,
)
from mlsem.core.nested.likelihood import NestedPoint
from mlsem.core.nested.sample import NestedSample
from mlsem.core.nested.white import WhiteDerivatives, white_derivatives
from mlsem.core.records import Array, Index


def covariance_part(
    point: NestedPoint, data: NestedSample, along: Jacobians
) -> Shaped[Array, "n n"]:
    """½ tr V⁻¹V_a V⁻¹V_b, (n, n)."""
    white, effects, raised = (
        white_derivatives(point, data, along),
        point.effects,
        point.means.raised,
    )
    traces = (data.n_rows - data.n_clusters) * pairings(white.deviations, white.deviations)
    kept = combinations(data.kinds.T * data.units, effects.posterior)
    left = data.clusters[:, None, None] * np.eye(raised.shape[1])
    left = left - 2.0 * raised @ kept @ raised.swapaxes(1, 2)
    for side, mean in zip(left, white.mean, strict=True):
        traces += pairings(side @ mean, mean)
    carried = combinations(data.kinds, white.carried(raised))
    moved = np.moveaxis(effects.posterior[:, None] @ carried, 1, 0)
    counted = data.units[:, None, None] * moved
    traces += flatten(counted) @ flatten(moved.swapaxes(-1, -2)).T
    upward = effects.upward[:, None]
    mixed = pairings(
        weighted_sum(data.units, upward @ carried @ upward.swapaxes(2, 3)), white.sigma3
    )
    traces += mixed + mixed.T
    traces += sandwich_traces(data.units, effects.level3, white.sigma3, white.sigma3)
    return 0.5 * symmetrised(traces)


def expected_mean_part(
    point: NestedPoint, data: NestedSample, along: Jacobians
) -> Shaped[Array, "n n"]:
    """μ_aᵀ V⁻¹ μ_b."""
    white = white_derivatives(point, data, along)
    return _mean_part(point, data, white, white.slopes, observed=False)


def observed_mean_part(
    point: NestedPoint, data: NestedSample, along: Jacobians
) -> Shaped[Array, "n n"]:
    """δ_aᵀ V⁻¹ δ_b, δ_a = μ_a + V_a V⁻¹ (y - μ)."""
    white = white_derivatives(point, data, along)
    residuals = point.means.root.T @ point.residuals[:, data.moments.varying_entries]
    slopes = white.slopes + white.deviations @ residuals
    return _mean_part(point, data, white, slopes, observed=True)


def _mean_part(
    point: NestedPoint,
    data: NestedSample,
    white: WhiteDerivatives,
    slopes: Shaped[Array, "n p V"],
    *,
    observed: bool,
) -> Shaped[Array, "n n"]:
    effects, count, t = point.effects, len(slopes), len(point.effects.regression)
    total = pairings(slopes @ data.within, slopes)
    change3 = np.moveaxis(white.mean3 @ data.unit_rows.T, -1, 0)
    if observed:
        change3 = change3 + np.moveaxis(white.sigma3 @ point.scores3.T, -1, 0)
    own = change3[:, :, t:]
    total += pairings(np.moveaxis(own @ effects.sigma_ss_inverse, 1, 0), np.moveaxis(own, 1, 0))
    given = change3[:, :, :t] - own @ effects.regression.T
    order, starts = data.arranged
    width = count * point.white.shape[1]
    for part in walk(data.n_units, width * int(np.diff(starts).max())):
        clusters = order[starts[part.start] : starts[part.stop]]
        change = _changes(point, data, white, clusters, given, observed=observed)
        flat = np.moveaxis(change, 1, 0).reshape(count, -1)
        total += flat @ flat.T
        raised = point.means.raised[data.shape_of[clusters]]
        sums = np.add.reduceat(change @ raised, starts[part] - starts[part.start], axis=0)
        pulled = sums @ effects.posterior[data.kind_of[part]]
        total -= pairings(np.moveaxis(pulled, 1, 0), np.moveaxis(sums, 1, 0))
    return symmetrised(total)


def _changes(
    point: NestedPoint,
    data: NestedSample,
    white: WhiteDerivatives,
    clusters: Shaped[Index, "j"],
    given: Shaped[Array, "U n t"],
    *,
    observed: bool,
) -> Shaped[Array, "j n m"]:
    """δ_aj of these clusters; `given` is the change of t given s of each unit."""
    change = white.means_of(data, clusters)
    shapes = data.shape_of[clusters]
    if observed:
        sizes, n, m, _ = white.mean.shape
        for s in range(sizes):
            those = np.flatnonzero(shapes == s)
            moved = point.white[clusters[those]] @ flatten(white.mean[s].reshape(n * m, m)).T
            change[those] += moved.reshape(len(those), n, m)
    raised = point.means.raised[shapes].swapaxes(1, 2)
    return change + given[data.moments.unit_of[clusters]] @ raised
