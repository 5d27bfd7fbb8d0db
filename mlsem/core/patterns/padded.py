"""Algebra of many small matrices of which some rows and columns are not there.

A covariance matrix of what is observed is inverted in its own rows and columns; the inverse has
zeros in the others, so that it takes whole vectors and needs no index.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.linalg import PIVOT, cholesky, log_determinant
from mlsem.core.records import Array

DEPENDENT = 1e-10  # share of a diagonal element that the others do not explain, if it is none


def padded_inverses(
    sigma: Shaped[Array, "p p"], observed: Shaped[NDArray[np.bool_], "P p"]
) -> tuple[Shaped[Array, "P p p"], Shaped[Array, "P"]] | None:
    """Inverses and log-determinants of the observed blocks of one matrix; None where one is not
    positive definite, or is so by rounding alone."""
    size = observed.shape[1]
    both = observed[:, :, None] & observed[:, None, :]
    blocks = np.where(both, sigma, np.eye(size))
    factor = cholesky(blocks)
    if factor is None:
        return None
    inverse = np.asarray(np.linalg.inv(factor), dtype=np.float64)
    inverse *= observed[:, None, :]
    found = inverse.swapaxes(1, 2) @ inverse
    # the last pivots of all orders: 1 / (M⁻¹)_kk
    own = np.einsum("pkk->pk", found)
    left = np.where(observed, own * np.diagonal(sigma), 0.0)
    if not (left * PIVOT * size < 1.0).all():
        return None
    return found, log_determinant(factor)


def semidefinite_roots(
    stack: Shaped[Array, "J q q"],
) -> tuple[Shaped[Array, "J q q"], Shaped[Array, "J q q"]]:
    """L with C = L Lᵀ of positive semidefinite matrices, and L⁺ with L⁺ L the identity on what L
    takes in: for b = L β, β = L⁺ b.

    A row of zeros (a variable that a cluster has not observed) stays one. Where Cholesky's pivots
    are as good as zero, the root is one of eigenvectors.
    """
    diagonal = np.einsum("jqq->jq", stack)
    there = diagonal > 0.0
    scale = np.sqrt(np.where(there, diagonal, 1.0))
    unit = stack / (scale[:, :, None] * scale[:, None, :])
    np.einsum("jqq->jq", unit)[...] = 1.0
    factor = cholesky(unit)
    if factor is None or (np.einsum("jqq->jq", factor) ** 2 < DEPENDENT).any():
        factor, inverse = _eigen_roots(unit)
    else:
        inverse = np.asarray(np.linalg.inv(factor), dtype=np.float64)
    factor = factor * (scale * there)[:, :, None]
    inverse = inverse * (there / scale)[:, None, :]
    return factor, inverse


def _eigen_roots(
    unit: Shaped[Array, "J q q"],
) -> tuple[Shaped[Array, "J q q"], Shaped[Array, "J q q"]]:
    """L = Q Λ^½ and L⁺ = Λ^{-½} Qᵀ over the eigenvalues that are not as good as zero."""
    values, vectors = np.linalg.eigh(unit)
    kept = values > unit.shape[-1] * DEPENDENT
    length = np.sqrt(np.where(kept, values, 1.0))
    factor: Array = vectors * np.where(kept, length, 0.0)[:, None, :]
    inverse: Array = (kept / length)[:, :, None] * vectors.swapaxes(1, 2)
    return factor, inverse
