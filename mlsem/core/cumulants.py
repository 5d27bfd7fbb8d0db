"""Third and fourth cumulants of each cluster's scores under the fitted model.

A score is ½ (zᵀA_a z - tr A_a) + m_aᵀ z of standard normal z, so that

    κ₃(s_a, s_a, s_b) = tr A_a² A_b + 2 m_aᵀ A_a m_b + m_aᵀ A_b m_a
    κ₄(s_a) = 3 tr A_a⁴ + 12 |A_a m_a|².

By the pieces of `cluster_information` (Ω, Ω̄, Δ and m = M h of direction a, cross-products S):

    κ₃ = (n - 1) tr Ω_a²Ω_b + tr Ω̄_a²Ω̄_b + 2 m_aᵀΩ̄_a m_b + m_aᵀΩ̄_b m_a
         + 2 tr Ω_a Δ_a S Δ_bᵀ + tr Ω_b Δ_a S Δ_aᵀ
    κ₄ = 3 [(n - 1) tr Ω_a⁴ + tr Ω̄_a⁴] + 12 [tr Ω_a Δ_a S Δ_aᵀ Ω_a + |Ω̄_a m_a|²].
"""

from __future__ import annotations

import numpy as np

from mlsem.core.cluster_information import ClusterDerivatives, cluster_means
from mlsem.core.linalg import flatten
from mlsem.core.records import Array, Index


def fourth_cumulants(derivatives: ClusterDerivatives, clusters: Index, directions: Array) -> Array:
    """κ₄ of aᵀ s_j for directions a of each of these clusters, (j, c, n) -> (j, c)."""
    omega = _combined(directions, derivatives.deviations)
    omega_bar = _combined_means(derivatives, clusters, directions)
    less = derivatives.moments.counts[clusters, None] - 1.0
    total = 3.0 * (less * _squares(omega @ omega) + _squares(omega_bar @ omega_bar))
    used = _used(derivatives)
    if len(used):
        paths = omega @ _combined(directions, derivatives.slopes[:, :, used])
        cross = _cross(derivatives, clusters, used)
        total += 12.0 * np.einsum("jcpv,jcpv->jc", paths @ cross[:, None], paths)
    means = directions @ cluster_means(derivatives, clusters)
    return total + 12.0 * _squares(omega_bar @ means[..., None])


def third_cumulants(derivatives: ClusterDerivatives, clusters: Index, directions: Array) -> Array:
    """κ₃(aᵀs_j, aᵀs_j, s_j) for directions a of each of these clusters, (j, c, n) -> (j, c, n)."""
    shapes, deviations = derivatives.shape_of[clusters], flatten(derivatives.deviations)
    shape_maps = derivatives.mean.reshape(*derivatives.mean.shape[:2], -1)[shapes]
    omega = _combined(directions, derivatives.deviations)
    omega_bar = _combined_means(derivatives, clusters, directions)
    all_means = cluster_means(derivatives, clusters)
    means = directions @ all_means
    less = derivatives.moments.counts[clusters, None, None] - 1.0
    total = less * (_flat(omega @ omega) @ deviations.T)
    squares = omega_bar @ omega_bar + means[..., :, None] * means[..., None, :]
    total += _flat(squares) @ shape_maps.swapaxes(1, 2)
    total += 2.0 * (omega_bar @ means[..., None])[..., 0] @ all_means.swapaxes(1, 2)
    used = _used(derivatives)
    if len(used):
        slopes = derivatives.slopes[:, :, used]
        paths = _combined(directions, slopes)
        across = paths @ _cross(derivatives, clusters, used)[:, None]
        total += 2.0 * _flat(omega @ across) @ flatten(slopes).T
        total += _flat(across @ paths.swapaxes(2, 3)) @ deviations.T
    return total


def _used(derivatives: ClusterDerivatives) -> Index:
    """Stored columns that have a slope in some direction."""
    return np.flatnonzero(derivatives.slopes.any(axis=(0, 1)))


def _cross(derivatives: ClusterDerivatives, clusters: Index, used: Index) -> Array:
    """S_j among the used columns, (j, u, u)."""
    return derivatives.moments.within[clusters[:, None, None], used[:, None], used]


def _combined(directions: Array, arrays: Array) -> Array:
    """Σ_k a_k X_k, (j, c, n) and (n, …) -> (j, c, …)."""
    found = directions @ flatten(arrays)
    return found.reshape(*directions.shape[:2], *arrays.shape[1:])


def _combined_means(derivatives: ClusterDerivatives, clusters: Index, directions: Array) -> Array:
    """Ω̄_a, (j, c, p + r, p + r)."""
    mean = derivatives.mean
    found = directions @ mean.reshape(*mean.shape[:2], -1)[derivatives.shape_of[clusters]]
    return found.reshape(*directions.shape[:2], *mean.shape[2:])


def _flat(stack: Array) -> Array:
    """(j, c, …) -> (j, c, m)."""
    return stack.reshape(*stack.shape[:2], -1)


def _squares(stack: Array) -> Array:
    return np.einsum("jcab,jcab->jc", stack, stack)
