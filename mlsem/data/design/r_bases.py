"""Functions of R that look at the whole column: `scale`, `poly`, `bs`, `ns`.

They see every row of the data frame, as in R, where rows with missing values are left out of the
model after its variables are computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.design.r_values import Refused, flag, number, numbers, vector, whole

if TYPE_CHECKING:
    from mlsem.core.records import Array
    from mlsem.data.design.r_values import Value


def center(x: Value) -> Array:
    """`x − mean(x)`, the mean of the values that are there."""
    return scale(x, True, False)


def scale(x: Value, center: Value = True, scale: Value = True) -> Array:
    """`(x − mean) / sd` of the values that are there, the variance by n − 1; where it is not
    centred, the root mean square by n − 1."""
    values = np.array(numbers(x), dtype=np.float64)
    if values.ndim == 2:
        return np.column_stack([_scaled(each, center, scale) for each in values.T])
    return _scaled(values, center, scale)


def _scaled(values: Array, center: Value, scale: Value) -> Array:
    if center is not False:
        values = values - (_present(values).mean() if center is True else number(center, "center"))
    if scale is True:
        present = _present(values)
        return values / np.sqrt((present @ present) / max(1, len(present) - 1))
    return values if scale is False else values / number(scale, "scale")


def _present(values: Array) -> Array:
    present = values[~np.isnan(values)]
    if not len(present):
        raise Refused("every value is missing")
    return present


def poly(x: Value, degree: Value = 1.0, raw: Value = False) -> Array:
    """Orthogonal polynomials, each of length 1, by their three-term recurrence; or powers of x."""
    values = vector(x)
    if flag(raw, "raw"):
        powers = np.arange(1, whole(degree, "degree", 1, 100) + 1)
        return values[:, None] ** powers
    if np.isnan(values).any():
        raise Refused(
            "missing values are not allowed in poly(), as in R: drop these rows first, e.g. "
            "data.dropna(subset=[...])"
        )
    unique = len(np.unique(values))
    if unique < 2:
        raise Refused("a constant has no polynomials")
    count = whole(
        degree, "degree (less than the number of different values)", 1, min(unique - 1, 100)
    )
    away = (values - values.mean()) / values.std()
    before, now = np.zeros(len(away)), np.full(len(away), len(away) ** -0.5)
    columns = []
    for _ in range(count):
        following = away * now - ((away * now) @ now) * now - ((away * now) @ before) * before
        before, now = now, following / np.linalg.norm(following)
        columns.append(now)
    return np.column_stack(columns)


def bs(
    x: Value, df: Value = None, knots: Value = None, degree: Value = 3.0, intercept: Value = False
) -> Array:
    """B-splines, without the first one unless `intercept`; inner knots at quantiles of the values
    that are there."""
    values = vector(x)
    order = whole(degree, "degree", 1, 20)
    dropped = 1 - flag(intercept, "intercept")
    inner = _inner(values, df, knots, order + 1 - dropped)
    return _splines(values, inner, order)[:, dropped:]


def ns(x: Value, df: Value = None, knots: Value = None, intercept: Value = False) -> Array:
    """Natural cubic splines: B-splines whose second derivative is 0 at both ends."""
    values = vector(x)
    dropped = 1 - flag(intercept, "intercept")
    inner = _inner(values, df, knots, 2 - dropped)
    ends = _ends(values)
    curvature = _splines(ends, inner, 3, ends, derivative=2)[:, dropped:]
    free = np.linalg.qr(curvature.T, mode="complete")[0][:, 2:]
    return _splines(values, inner, 3)[:, dropped:] @ free


def _ends(values: Array) -> Array:
    present = _present(values)
    if present.min() == present.max():
        raise Refused("a constant has no splines")
    return np.array([present.min(), present.max()])


def _inner(values: Array, df: Value, knots: Value, least: int) -> Array:
    """Inner knots: those given, or as many as the degrees of freedom leave, at quantiles."""
    if knots is not None:
        given = np.atleast_1d(numbers(knots, "knots are numbers"))
        low, high = _ends(values)
        if not ((given > low) & (given < high)).all():
            raise Refused("knots lie between the smallest and the largest value")
        return np.sort(given)
    present = _present(values)
    count = least if df is None else whole(df, "df", least, max(least, min(len(present), 1000)))
    return np.quantile(present, np.linspace(0.0, 1.0, count - least + 2)[1:-1])


def _splines(
    values: Array, inner: Array, degree: int, ends: Array | None = None, derivative: int = 0
) -> Array:
    from scipy.interpolate import BSpline

    low, high = _ends(values) if ends is None else ends
    knots = np.concatenate([np.repeat(low, degree + 1), inner, np.repeat(high, degree + 1)])
    count = len(knots) - degree - 1
    basis: Any = BSpline(knots, np.eye(count), degree, extrapolate=False)
    columns = np.full((len(values), count), np.nan)
    there = ~np.isnan(values)
    columns[there] = basis(values[there], derivative)
    return columns
