"""Derivatives of both levels' implied moments, and the chain rule from moments to parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.pattern import LevelJacobian, LevelMoments, Pattern
from mlsem.core.linalg import flatten
from mlsem.core.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class MomentGradients:
    """∂ℓ/∂ of both levels' implied moments: Σ (symmetric) and ΠL."""

    sigma_within: Shaped[Array, "p p"]
    mean_within: Shaped[Array, "p D"]
    sigma_between: Shaped[Array, "qr qr"]
    mean_between: Shaped[Array, "qr D"]


@dataclass(frozen=True, slots=True, eq=False)
class Jacobians:
    """Both levels' implied moments along the same n directions."""

    within: LevelJacobian
    between: LevelJacobian


def leading(along: Jacobians, count: int) -> Jacobians:
    """The first of the directions."""
    within, between = (
        LevelJacobian(each.sigma[:count], each.mean[:count])
        for each in (along.within, along.between)
    )
    return Jacobians(within, between)


def jacobians(
    pattern: Pattern, within: LevelMoments, between: LevelMoments, basis: Shaped[Array, "npar n"]
) -> Jacobians:
    """Derivatives of the implied moments along the columns of `basis` (npar, n)."""
    return Jacobians(
        pattern.within.jacobian(within, basis),
        pattern.between.jacobian(between, basis),
    )


def gradient(moments: MomentGradients, along: Jacobians) -> Shaped[Array, "n"]:
    """∂ℓ/∂φ (n,): the moment gradients through the chain rule."""
    pairs = (
        (along.within.sigma, moments.sigma_within),
        (along.within.mean, moments.mean_within),
        (along.between.sigma, moments.sigma_between),
        (along.between.mean, moments.mean_between),
    )
    total = np.zeros(len(along.within.sigma))
    for jacobian, slope in pairs:
        total += flatten(jacobian) @ slope.ravel()
    return total
