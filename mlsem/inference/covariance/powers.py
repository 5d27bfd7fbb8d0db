"""Powers of what leverages leave, (I - X)^{-power}, of a stack of clusters.

Directions of leverage 1 have nothing left, and are left out. Where all leverages are small, as
those of many clusters, powers of I - X are a few terms of the binomial series, which a stack of
matrices has sooner than eigenvalues.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import products, transposed
from mlsem.core.records import Array, Index

LEVERAGE_ONE = 1e-9  # leverages closer to 1 are 1
SMALL = 0.02  # leverages up to which ten terms of the series are exact
EXACT = 2.0**-55  # relative size of the first term that is left out


def bound_of(leverage: Shaped[Array, "... k n n"]) -> float:
    """A bound of all |X|."""
    return float(np.sqrt(np.einsum("...ab,...ab->...", leverage, leverage).max(initial=0.0)))


def are_small(leverage: Shaped[Array, "... k n n"], bound: float) -> bool:
    """Whether a series has powers of I - X sooner. How many terms it takes is said by the largest
    leverage: of many data sets each is to have what it has without the others."""
    return leverage.ndim == 3 and bound < SMALL


def powers(
    leverage: Shaped[Array, "... k n n"], power: float
) -> tuple[Shaped[Array, "... k n n"], Shaped[Array, "... k n n"]]:
    """(I - X)^{-power} without the directions of leverage 1, and the projection on these."""
    bound = bound_of(leverage)
    if are_small(leverage, bound):
        return _series(leverage, power, bound), zeros(leverage.shape)
    values, vectors = np.linalg.eigh(leverage)
    gone = values > 1.0 - LEVERAGE_ONE
    left = np.where(gone, 1.0, 1.0 - values)
    factors = np.where(gone, 0.0, left**-power)
    return spectral(vectors, factors), spectral(vectors, gone.astype(float))


def zeros(shape: tuple[int, ...]) -> Shaped[Array, "*s"]:
    """Zeros that take no memory."""
    return np.broadcast_to(np.float64(0.0), shape)


def _series(leverage: Shaped[Array, "k n n"], power: float, bound: float) -> Shaped[Array, "k n n"]:
    """(I - X)^{-power} = Σ_i (power)_i / i! · Xⁱ, by Horner's rule."""
    terms = [1.0]
    while terms[-1] * bound ** (len(terms) - 1) > EXACT:
        terms.append(terms[-1] * (power + len(terms) - 1) / len(terms))
    diagonal = np.arange(leverage.shape[-1])
    total = terms[-1] * leverage
    for term in reversed(terms[1:-1]):
        total[:, diagonal, diagonal] += term
        total = leverage @ total
    total[:, diagonal, diagonal] += 1.0
    return total


def spectral(
    vectors: Shaped[Array, "... k n n"], values: Shaped[Array, "... k n"]
) -> Shaped[Array, "... k n n"]:
    """Q diag(values) Qᵀ of each."""
    return (vectors * values[..., None, :]) @ transposed(vectors)


def lost_in(
    leverage: Shaped[Array, "... g d d"], design: Shaped[Array, "... d p g"], bound: float
) -> tuple[Shaped[Index, "... g"], Shaped[Array, "... g p p"]]:
    """How many directions of each cluster have leverage 1, and the projection on these: YᵀY and
    Y Yᵀ have the same leverages."""
    clusters, p = leverage.shape[:-2], design.shape[-2]
    if bound < 1.0 - LEVERAGE_ONE:
        return np.zeros(clusters, dtype=np.intp), zeros((*clusters, p, p))
    values, vectors = np.linalg.eigh(leverage)
    gone = values > 1.0 - LEVERAGE_ONE
    own = np.einsum("...gde,...dpg->...gep", vectors * gone[..., None, :], design)
    return gone.sum(axis=-1), transposed(own) @ own


def near_root(
    weights: Shaped[Array, "d g"], leverage: Shaped[Array, "d d g"], bound: float
) -> Shaped[Array, "d d g"]:
    """Z = (Λ² - Λ N Λ)^{-½} of small N, from Λ⁻¹ by steps Δ with ΛΔ + ΔΛ = I - Z (Λ² - Λ N Λ) Z,
    each of which leaves at most |N| of the error."""
    every = np.arange(len(weights))
    square = -weights[:, None] * leverage * weights
    square[every, every] += weights**2
    found = np.zeros(square.shape)
    found[every, every] = 1.0 / weights
    pace = 1.0 / (weights[:, None] + weights)
    error = bound
    while error > EXACT:
        left = -products(products(found, square), found)
        left[every, every] += 1.0
        found += pace * left
        error *= bound
    return found


def inverse_root(
    weights: Shaped[Array, "... g d"],
    leverage: Shaped[Array, "... g d d"],
    lost: Shaped[Index, "... g"],
) -> Shaped[Array, "... g d d"]:
    """The same of any N, without as many directions as are lost: those of the least eigenvalues."""
    every = np.arange(weights.shape[-1])
    square = -weights[..., None] * leverage * weights[..., None, :]
    square[..., every, every] += weights**2
    values, vectors = np.linalg.eigh(square)
    gone = every < lost[..., None]
    return spectral(vectors, np.where(gone, 0.0, np.where(gone, 1.0, values) ** -0.5))
