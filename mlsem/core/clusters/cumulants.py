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

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.linalg import flatten_last, in_use, merged
from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class WhiteParts:
    """Derivatives of some clusters' moments along n directions, in units in which the moments are
    the identity: of rows that only Σ_W moves, and of m coordinates that all else moves.

    Attributes
    ----------
    deviations : (n, p, p)
        Ω_a.
    degrees : (j,)
        How many rows have it: n_j - 1 where the coordinates are means.
    slopes : (n, p, V)
        Δ_a as maps of these rows.
    cross : (j, V, V)
        S_j, their cross-products.
    mean : (j, n, m, m)
        Ω̄_a.
    means : (j, n, m)
        m_a = M_a h_j.
    """

    deviations: Shaped[Array, "... n p p"]
    degrees: Shaped[Array, "j"]
    slopes: Shaped[Array, "... n p V"]
    cross: Shaped[Array, "... j V V"]
    mean: Shaped[Array, "... j n m m"]
    means: Shaped[Array, "... j n m"]


class Whitened(ABC):
    """Clusters whose moments are brought to the identity, for the cumulants of their scores."""

    __slots__ = ()

    @abstractmethod
    def white(self, clusters: Shaped[Index, "j"]) -> WhiteParts:
        """What the cumulants of these clusters are made of, their weights apart."""

    @abstractmethod
    def weights(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j"]:
        """What their scores are multiplied by."""

    def fourth_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "... j c n"]
    ) -> Shaped[Array, "... j c"]:
        weights = self.weights(clusters)
        return weights[:, None] ** 4 * fourth_cumulants(self.white(clusters), directions)

    def third_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c n"]:
        weights = self.weights(clusters)
        return weights[:, None, None] ** 3 * third_cumulants(self.white(clusters), directions)


def fourth_cumulants(
    parts: WhiteParts, directions: Shaped[Array, "... j c n"]
) -> Shaped[Array, "... j c"]:
    """κ₄ of aᵀ s_j for directions a of each cluster; zero where these move means alone."""
    moves = np.flatnonzero(_moving(parts.deviations) | _moving(parts.mean))
    quadratic = in_use(directions.take(moves, -1).swapaxes(-1, -2))
    if len(quadratic) < directions.shape[-2]:
        total = np.zeros(directions.shape[:-1])
        if len(quadratic):
            total[..., quadratic] = fourth_cumulants(parts, directions.take(quadratic, -2))
        return total
    omega = _combined(directions, parts.deviations[..., None, :, :, :])
    omega_bar = _combined(directions, parts.mean)
    total = 3.0 * (parts.degrees[:, None] * _squares(omega @ omega))
    total += 3.0 * _squares(omega_bar @ omega_bar)
    if parts.slopes.size:
        paths = omega @ _combined(directions, parts.slopes[..., None, :, :, :])
        cross = parts.cross[..., None, :, :]
        total += 12.0 * np.einsum("...pv,...pv->...", paths @ cross, paths)
    means = directions @ parts.means
    return total + 12.0 * _squares(omega_bar @ means[..., None])


def third_cumulants(
    parts: WhiteParts, directions: Shaped[Array, "j c n"]
) -> Shaped[Array, "j c n"]:
    """κ₃(aᵀs_j, aᵀs_j, s_j) for directions a of each cluster."""
    deviations = merged(parts.deviations)
    omega = _combined(directions, parts.deviations[None])
    omega_bar = _combined(directions, parts.mean)
    means = directions @ parts.means
    total = parts.degrees[:, None, None] * (flatten_last(omega @ omega) @ deviations.T)
    squares = omega_bar @ omega_bar + means[..., :, None] * means[..., None, :]
    total += flatten_last(squares) @ flatten_last(parts.mean).swapaxes(1, 2)
    total += 2.0 * (omega_bar @ means[..., None])[..., 0] @ parts.means.swapaxes(1, 2)
    if parts.slopes.size:
        paths = _combined(directions, parts.slopes[None])
        across = paths @ parts.cross[:, None]
        total += 2.0 * flatten_last(omega @ across) @ merged(parts.slopes).T
        total += flatten_last(across @ paths.swapaxes(2, 3)) @ deviations.T
    return total


def _moving(stack: Shaped[Array, "*s n a b"]) -> Shaped[NDArray[np.bool_], "n"]:
    """The directions of which not all is zero."""
    return np.asarray(stack.any(axis=(*range(stack.ndim - 3), -2, -1)))


def _combined(
    directions: Shaped[Array, "... j c n"], arrays: Shaped[Array, "*s n a b"]
) -> Shaped[Array, "... j c a b"]:
    """Σ_k a_k X_k, of matrices X of each cluster or of all."""
    found = directions @ merged(arrays)
    return found.reshape(*directions.shape[:-1], *arrays.shape[-2:])


def _squares(stack: Shaped[Array, "... a b"]) -> Shaped[Array, "..."]:
    return np.einsum("...ab,...ab->...", stack, stack)
