"""Clusters of a linear mixed model of one outcome, each reduced to a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index, frozen

RANK = 1e-10  # squares of scaled columns below are of combinations that are constant


def reduced_rows(
    gram: Shaped[Array, "G p p"], with_residual: Shaped[Array, "G p"]
) -> tuple[Shaped[Array, "G d p"], Shaped[Array, "G d"]]:
    """Few rows R and ê with RᵀR = XᵀX and Rᵀê = Xᵀe: coordinates in the span of X.

    The Cholesky factor of XᵀX in units of its diagonal's root s, pivot by pivot (Higham, 2002,
    section 10.3): row k is what is left of the column that has most left, and ê_k what its
    product with e has left. A cluster whose columns have nothing left gets rows of zeros.
    """
    scale = np.sqrt(np.maximum(np.einsum("gaa->ga", gram), 0.0))
    unit = np.where(scale > 0, scale, 1.0)
    left = gram / (unit[:, :, None] * unit[:, None, :])
    product = with_residual / unit
    every = np.arange(len(gram))
    design: list[Array] = []
    residual: list[Array] = []
    for _ in range(gram.shape[1]):
        own = np.einsum("gaa->ga", left)
        pivot = own.argmax(axis=1)
        square = own[every, pivot]
        there = square > RANK
        if not there.any():
            break
        root = np.where(there, 1.0, 0.0) / np.sqrt(np.where(there, square, 1.0))
        row = left[every, pivot] * root[:, None]
        value = product[every, pivot] * root
        left = left - row[:, :, None] * row[:, None, :]
        left[every, pivot] = left[every, :, pivot] = 0.0
        product = product - row * value[:, None]
        design.append(row * unit)
        residual.append(value)
    if not design:
        return np.zeros((len(gram), 0, gram.shape[1])), np.zeros((len(gram), 0))
    return np.stack(design, axis=1), np.stack(residual, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class MixedClusters:
    """Robust clusters of a linear mixed model, each reduced to d orthonormal coordinates that
    span its fixed effects' columns and are closed under its working covariance.

    Attributes
    ----------
    working : (G, d, d)
        Φ_j, the covariance that the fitted model implies.
    design : (G, d, p)
        X_j.
    residuals : (G, d)
        y - Xβ̂.
    """

    working: Shaped[Array, "G d d"]
    design: Shaped[Array, "G d p"]
    residuals: Shaped[Array, "G d"]


def joined(parts: Sequence[tuple[MixedClusters, Shaped[Index, "g"]]], count: int) -> MixedClusters:
    """Robust clusters of independent parts, with the rows of all parts.

    Parameters
    ----------
    parts : sequence of (MixedClusters, (g,))
        Each with the numbers of its robust clusters in the whole.
    count : int
        G. A cluster with fewer rows than others gets rows without design and residual, of a
        variance that it has anyway.
    """
    ends = np.zeros(count, dtype=np.intp)
    starts: list[Index] = []
    for part, groups in parts:
        starts.append(ends[groups])
        ends[groups] += part.working.shape[1]
    size, fixed = int(ends.max()), parts[0][0].design.shape[2]
    working = np.zeros((count, size, size))
    design, residuals = np.zeros((count, size, fixed)), np.zeros((count, size))
    for (part, groups), start in zip(parts, starts, strict=True):
        depth: int = part.working.shape[1]
        place, rows = groups[:, None], start[:, None] + np.arange(depth)
        working[place[:, :, None], rows[:, :, None], rows[:, None, :]] = part.working
        design[place, rows], residuals[place, rows] = part.design, part.residuals
    own = np.einsum("gaa->ga", working)
    filled = np.arange(size) < ends[:, None]
    np.einsum("gaa->ga", working)[...] = np.where(filled, own, own.max(axis=1, keepdims=True))
    return MixedClusters(frozen(working), frozen(design), frozen(residuals))
