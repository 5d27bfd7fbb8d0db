"""Clusters of a linear mixed model of one outcome, each reduced to a few rows.

Clusters are the last axis of all arrays here, where NumPy's products of few variables run along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index

RANK = 1e-10  # squares of scaled columns below are of combinations that are constant


def reduced_rows(
    gram: Shaped[Array, "... p p g"], with_residual: Shaped[Array, "... p g"]
) -> tuple[Shaped[Array, "... d p g"], Shaped[Array, "... d g"]]:
    """Few rows R and ê with RᵀR = XᵀX and Rᵀê = Xᵀe: coordinates in the span of X.

    The Cholesky factor of XᵀX in units of its diagonal's root s, pivot by pivot (Higham, 2002,
    section 10.3): row k is what is left of the column that has most left, and ê_k what its
    product with e has left. A cluster whose columns have nothing left gets rows of zeros.
    """
    if gram.ndim > 3:
        return _rows_of_many(gram, with_residual)
    every = np.arange(with_residual.shape[1], dtype=np.intp)
    scale = np.sqrt(np.maximum(np.einsum("aag->ag", gram), 0.0))
    unit = np.where(scale > 0, scale, 1.0)
    left = gram / (unit[:, None] * unit)
    product = with_residual / unit
    design: list[Array] = []
    residual: list[Array] = []
    for _ in range(len(gram)):
        own = np.einsum("aag->ag", left)
        pivot = own.argmax(axis=0)
        square = own[pivot, every]
        there = square > RANK
        if not there.any():
            break
        root = np.where(there, 1.0, 0.0) / np.sqrt(np.where(there, square, 1.0))
        row = left[pivot, :, every].T * root
        value = product[pivot, every] * root
        left -= row[:, None] * row
        left[pivot, :, every] = left[:, pivot, every] = 0.0
        product -= row * value
        design.append(row * unit)
        residual.append(value)
    if not design:
        return np.zeros((0, *with_residual.shape)), np.zeros((0, len(every)))
    return np.array(design), np.array(residual)


def _rows_of_many(
    gram: Shaped[Array, "r p p g"], with_residual: Shaped[Array, "r p g"]
) -> tuple[Shaped[Array, "r p p g"], Shaped[Array, "r p g"]]:
    """Of each data set p rows, whatever the others have."""
    count, p, _, g = gram.shape
    along = np.moveaxis(gram, 0, 2).reshape(p, p, count * g)
    design, residual = np.zeros((p, p, count * g)), np.zeros((p, count * g))
    found = reduced_rows(along, with_residual.swapaxes(0, 1).reshape(p, count * g))
    design[: len(found[0])], residual[: len(found[1])] = found
    rows = np.moveaxis(design.reshape(p, p, count, g), 2, 0)
    return np.ascontiguousarray(rows), residual.reshape(p, count, g).swapaxes(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class MixedClusters:
    """Robust clusters of a linear mixed model, each reduced to d orthonormal coordinates that
    span its fixed effects' columns and are eigenvectors of its working covariance.

    Attributes
    ----------
    variances : (d, g)
        The diagonal of Φ_j, the covariance that the fitted model implies.
    design : (d, p, g)
        X_j.
    residuals : (d, g)
        y - Xβ̂.
    """

    variances: Shaped[Array, "... d g"]
    design: Shaped[Array, "... d p g"]
    residuals: Shaped[Array, "... d g"]


def joined(parts: Sequence[tuple[MixedClusters, Shaped[Index, "_"]]], count: int) -> MixedClusters:
    """Robust clusters of independent parts, with the rows of all parts.

    Parameters
    ----------
    parts : sequence of (MixedClusters, (g,))
        Each with the numbers of its robust clusters in the whole.
    count : int
        How many there are in the whole. A cluster with fewer rows than others gets rows without
        design and residual, of a variance that it has anyway.
    """
    ends = np.zeros(count, dtype=np.intp)
    starts: list[Index] = []
    for part, groups in parts:
        starts.append(ends[groups])
        ends[groups] += len(part.variances)
    size, fixed = int(ends.max()), parts[0][0].design.shape[1]
    variances, residuals = np.zeros((2, size, count))
    design = np.zeros((size, fixed, count))
    for (part, groups), start in zip(parts, starts, strict=True):
        rows = start + np.arange(len(part.variances))[:, None]
        variances[rows, groups], residuals[rows, groups] = part.variances, part.residuals
        design[rows, :, groups] = part.design.swapaxes(1, 2)
    filled = np.arange(size)[:, None] < ends
    return MixedClusters(np.where(filled, variances, variances.max(axis=0)), design, residuals)
