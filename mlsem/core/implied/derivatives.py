"""Derivatives of the levels' implied moments, and the chain rule from moments to parameters."""

from __future__ import annotations

from typing import Annotated as Shaped
from typing import Any, TypeAlias

import numpy as np

from mlsem.core.implied.pattern import LevelGradient, LevelJacobian, LevelMoments, Pattern
from mlsem.core.linalg import applied, combinations, merged, symmetrised
from mlsem.core.records import Array, Index

# By level, as `Pattern.levels`: the derivatives along the same n directions, and ∂ℓ/∂m.
Jacobians: TypeAlias = tuple[LevelJacobian, ...]
MomentGradients: TypeAlias = tuple[LevelGradient, ...]


def some(along: Jacobians, which: slice | Shaped[Index, "k"]) -> Jacobians:
    """Some of the directions."""
    return tuple(
        LevelJacobian(each.sigma[..., which, :, :], each.mean[..., which, :, :]) for each in along
    )


def combined(along: Jacobians, directions: Shaped[Array, "c n"]) -> Jacobians:
    """Along Σ_k a_k φ_k for each row a of `directions` (c, n)."""
    return tuple(
        LevelJacobian(combinations(directions, each.sigma), combinations(directions, each.mean))
        for each in along
    )


def jacobians(
    pattern: Pattern[Any], moments: tuple[LevelMoments, ...], basis: Shaped[Array, "... npar n"]
) -> Jacobians:
    """Derivatives of the implied moments along the columns of `basis` (npar, n)."""
    pairs = zip(pattern.levels, moments, strict=True)
    return tuple([level.jacobian(there, basis) for level, there in pairs])


def gradient(slopes: MomentGradients, along: Jacobians) -> Shaped[Array, "... n"]:
    """∂ℓ/∂φ = Σ over levels of (∂ℓ/∂m) ∂m/∂φ, (n,)."""
    total = np.zeros(along[0].sigma.shape[:-2])
    for slope, jacobian in zip(slopes, along, strict=True):
        total += applied(merged(jacobian.sigma), merged(slope.sigma))
        total += applied(merged(jacobian.mean), merged(slope.mean))
    return total


def curvature(
    pattern: Pattern[Any],
    moments: tuple[LevelMoments, ...],
    slopes: MomentGradients,
    basis: Shaped[Array, "... npar n"],
) -> Shaped[Array, "... n n"]:
    """Σ_m (∂ℓ/∂m) ∂²m/∂φ∂φᵀ, (n, n), over the implied moments of all levels."""
    total = np.zeros((*moments[0].sigma.shape[:-2], basis.shape[-1], basis.shape[-1]))
    for level, there, slope in zip(pattern.levels, moments, slopes, strict=True):
        total += level.curvature(there, slope, basis)
    return symmetrised(total)
