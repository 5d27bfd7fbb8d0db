"""Numeric derivatives: five-point differences, error O(h⁴)."""

from __future__ import annotations

import numpy as np

WEIGHTS = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))


def jacobian(function, point, step=2e-4):
    """∂f/∂point, (..., n), of a function with values of any shape."""
    identity = np.eye(len(point))
    slopes = [
        sum(w * np.asarray(function(point + k * step * direction)) for k, w in WEIGHTS) / step
        for direction in identity
    ]
    return np.stack(slopes, axis=-1)


def hessian(function, point, step=2e-3):
    """∂²f/∂point², (n, n), of a scalar function."""
    return jacobian(lambda inner: jacobian(function, inner, step), point, step)
