"""Where a slope differs from 0: Johnson & Neyman (1936).

Of a slope b₀ + b₁ w with covariance V of (b₀, b₁) the bounds of the regions solve

    (b₀ + b₁ w)² = c² (V₀₀ + 2 V₀₁ w + V₁₁ w²),

a quadratic equation where the critical value c is one number: of z tests, and of simultaneous
ones (Potthoff, 1964, Psychometrika 29, 241-256; Bauer & Curran, 2005, Multivariate Behavioral
Research 40, 373-400). With degrees of freedom that depend on w, as Satterthwaite's, c = c(w): the
bounds are then found by bisection along the half circle w = m + s tan φ, which has all w.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.records import Array

STEPS = 360  # of the half circle
STRAIGHT = 1e-9  # what a slope that is linear in w leaves of its gradient, as a share
NEGATIVE, POSITIVE, UNKNOWN = "negative", "positive", "not told from 0"


@dataclass(frozen=True, slots=True)
class Region:
    """Values of the moderator between which a slope has one sign, or may have either."""

    lower: float
    upper: float
    slope: str


Excess = Callable[[Shaped[Array, "c"]], tuple[Shaped[Array, "c"], Shaped[Array, "c"]]]
"""Of values of the moderator the t statistics, and their critical values."""


def closed_bounds(
    b: Shaped[Array, "2"], v: Shaped[Array, "2 2"], critical: float
) -> tuple[float, ...]:
    """The roots of the quadratic equation, ascending; none where a slope has one sign, or may have
    either, for all w."""
    c2 = critical**2
    a2 = b[1] ** 2 - c2 * v[1, 1]
    a1 = b[0] * b[1] - c2 * v[0, 1]
    a0 = b[0] ** 2 - c2 * v[0, 0]
    inside = a1**2 - a2 * a0
    if a2 == 0.0:
        return () if a1 == 0.0 else (float(-0.5 * a0 / a1),)
    if not inside > 0.0:
        return ()
    # the root that subtracts nothing first, the other by their product a0 / a2
    larger = -(a1 + np.copysign(np.sqrt(inside), a1))
    roots = [larger / a2, a0 / larger] if larger else [0.0, 0.0]
    return tuple(sorted(float(root) for root in roots))


def searched_bounds(excess: Excess, middle: float, scale: float) -> tuple[float, ...]:
    """Where t crosses c or -c, of any slope and critical value."""
    from scipy.optimize import brentq

    def gaps(angles: Shaped[Array, "c"]) -> Shaped[Array, "2 c"]:
        stat, critical = excess(middle + scale * np.tan(angles))
        return np.array([stat - critical, stat + critical])

    angles = (np.arange(STEPS) + 0.5) / STEPS * np.pi - 0.5 * np.pi
    found = []
    for side, values in enumerate(gaps(angles)):
        for (left, right), (before, after) in zip(pairwise(angles), pairwise(values), strict=True):
            if np.isfinite(before) and np.isfinite(after) and (before > 0.0) != (after > 0.0):
                angle: Any = brentq(
                    lambda x, side=side: gaps(np.array([x]))[side, 0], left, right, xtol=1e-14
                )
                found.append(middle + scale * float(np.tan(angle)))
    return tuple(sorted(found))


def regions(bounds: tuple[float, ...], excess: Excess, scale: float) -> tuple[Region, ...]:
    """The regions between the bounds, and beyond the outer ones; neighbours that are alike are
    one."""
    ends = (-np.inf, *bounds, np.inf)
    inner = np.array([_inside(low, high, scale) for low, high in pairwise(ends)])
    stat, critical = excess(inner)
    found: list[Region] = []
    for low, high, t, c in zip(ends[:-1], ends[1:], stat, critical, strict=True):
        known = np.isfinite(t) and abs(t) > c
        sign = (NEGATIVE if t < 0.0 else POSITIVE) if known else UNKNOWN
        if found and found[-1].slope == sign:
            found[-1] = Region(found[-1].lower, float(high), sign)
        else:
            found.append(Region(float(low), float(high), sign))
    return tuple(found)


def _inside(low: float, high: float, scale: float) -> float:
    """A value between two ends."""
    if np.isinf(low) and np.isinf(high):
        return 0.0
    if np.isinf(low):
        return high - scale
    return low + scale if np.isinf(high) else 0.5 * (low + high)


def is_straight(gradients: Shaped[Array, "3 npar"]) -> bool:
    """Whether the slope at three equally distant values of the moderator is linear in it."""
    left = gradients[0] - 2.0 * gradients[1] + gradients[2]
    return bool(np.abs(left).max() <= STRAIGHT * np.abs(gradients).max())
