"""Clusters of a linear mixed model of one outcome, each reduced to a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index, frozen

RANK = 1e-10  # eigenvalues of scaled cross-products below are of combinations that are constant


def reduced_rows(
    gram: Shaped[Array, "G p p"], with_residual: Shaped[Array, "G p"]
) -> tuple[Shaped[Array, "G d p"], Shaped[Array, "G d"]]:
    """Few rows R and ê with RᵀR = XᵀX and Rᵀê = Xᵀe: coordinates in the span of X.

    With XᵀX = s Q Λ Qᵀ s (s its diagonal's root): R = Λ^½ Qᵀ s, ê = Λ^{-½} Qᵀ s⁻¹ Xᵀe.
    """
    scale = np.sqrt(np.maximum(np.einsum("gaa->ga", gram), 0.0))
    unit = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(gram / (unit[:, :, None] * unit[:, None, :]))
    kept = values > RANK * values[:, -1:]
    kept &= values > 0
    size = int(kept.sum(axis=1).max(initial=0))
    first = values.shape[1] - size
    values, vectors, kept = values[:, first:], vectors[:, :, first:], kept[:, first:]
    root = np.sqrt(np.where(kept, values, 0.0))
    inverse = np.where(kept, 1.0, 0.0) / np.where(kept, root, 1.0)
    turned = vectors.swapaxes(1, 2)
    design = root[:, :, None] * turned * unit[:, None, :]
    residual = inverse * (turned @ (with_residual / unit)[:, :, None])[:, :, 0]
    return design, residual


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
