"""Functions of R that look at the whole column: `scale`, `poly`, `bs`, `ns`.

They see every row of the data frame, as in R, where rows with missing values are left out of the
model after its variables are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.data.design.r_values import Refused, flag, learned, number, numbers, vector, whole

if TYPE_CHECKING:
    from mlsem.core.records import Array
    from mlsem.data.design.r_values import Value


@dataclass(frozen=True, slots=True)
class Scaled:
    """(x - centre) / scale, of a matrix column by column."""

    centre: tuple[float, ...]
    scale: tuple[float, ...]

    def __call__(self, x: Value) -> Array:
        values = np.array(numbers(x), dtype=np.float64)
        if values.ndim == 2:
            return (values - np.array(self.centre)) / np.array(self.scale)
        return (values - self.centre[0]) / self.scale[0]


@learned
def center(x: Value) -> Scaled:
    """`x − mean(x)`, the mean of the values that are there."""
    return _scaling(x, True, False)


@learned
def scale(x: Value, center: Value = True, scale: Value = True) -> Scaled:
    """`(x − mean) / sd` of the values that are there, the variance by n − 1; where it is not
    centred, the root mean square by n − 1."""
    return _scaling(x, center, scale)


def _scaling(x: Value, center: Value, scale: Value) -> Scaled:
    values = np.array(numbers(x), dtype=np.float64)
    columns = values.T if values.ndim == 2 else [values]
    pairs = [_scaled(each, center, scale) for each in columns]
    return Scaled(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def _scaled(values: Array, center: Value, scale: Value) -> tuple[float, float]:
    centre = 0.0
    if center is not False:
        centre = float(_present(values).mean()) if center is True else number(center, "center")
    if scale is True:
        present = _present(values) - centre
        return centre, float(np.sqrt((present @ present) / max(1, len(present) - 1)))
    return centre, 1.0 if scale is False else number(scale, "scale")


def _present(values: Array) -> Array:
    present = values[~np.isnan(values)]
    if not len(present):
        raise Refused("every value is missing")
    return present


@dataclass(frozen=True, slots=True)
class Powers:
    """x, x², … up to a degree."""

    degree: int

    def __call__(self, x: Value) -> Array:
        return vector(x)[:, None] ** np.arange(1, self.degree + 1)


@dataclass(frozen=True, slots=True)
class Polynomials:
    """Orthonormal polynomials of a column, by their recurrence
    p₊ = (z p - a p - b p₋) / c with z = (x - mean) / sd.

    Attributes
    ----------
    mean, sd, first : float
        And p₀.
    steps : tuple of (a, b, c)
    """

    mean: float
    sd: float
    first: float
    steps: tuple[tuple[float, float, float], ...]

    def __call__(self, x: Value) -> Array:
        away = (vector(x) - self.mean) / self.sd
        before, now = np.zeros(len(away)), np.full(len(away), self.first)
        columns = []
        for a, b, c in self.steps:
            before, now = now, (away * now - a * now - b * before) / c
            columns.append(now)
        return np.column_stack(columns)


@learned
def poly(x: Value, degree: Value = 1.0, raw: Value = False) -> Powers | Polynomials:
    """Orthogonal polynomials, each of length 1, by their three-term recurrence; or powers of x."""
    values = vector(x)
    if flag(raw, "raw"):
        return Powers(whole(degree, "degree", 1, 100))
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
    away, first = (values - values.mean()) / values.std(), len(values) ** -0.5
    before, now = np.zeros(len(away)), np.full(len(away), first)
    steps = []
    for _ in range(count):
        a, b = float((away * now) @ now), float((away * now) @ before)
        following = away * now - a * now - b * before
        steps.append((a, b, float(np.linalg.norm(following))))
        before, now = now, following / steps[-1][2]
    return Polynomials(float(values.mean()), float(values.std()), first, tuple(steps))


@dataclass(frozen=True, slots=True)
class Splines:
    """B-splines with these knots; beyond the ends the polynomials of the last pieces go on.

    Attributes
    ----------
    breaks : tuple of float
        Inner knots.
    ends : (low, high)
    degree : int
    dropped : int
        First splines that are left out.
    """

    breaks: tuple[float, ...]
    ends: tuple[float, float]
    degree: int
    dropped: int

    def __call__(self, x: Value) -> Array:
        return self.derivative(vector(x), 0)

    def derivative(self, values: Array, order: int) -> Array:
        from scipy.interpolate import BSpline

        low, high = self.ends
        sides = self.degree + 1
        knots = np.concatenate([np.repeat(low, sides), self.breaks, np.repeat(high, sides)])
        count = len(knots) - sides
        basis: Any = BSpline(knots, np.eye(count), self.degree, extrapolate=True)
        columns = np.full((len(values), count), np.nan)
        there = ~np.isnan(values)
        columns[there] = basis(values[there], order)
        return columns[:, self.dropped :]


@dataclass(frozen=True, slots=True)
class NaturalSplines:
    """Cubic splines whose second derivative is 0 at both ends, beyond which they are lines."""

    splines: Splines
    free: tuple[tuple[float, ...], ...]

    def __call__(self, x: Value) -> Array:
        values = vector(x)
        inside = np.clip(values, *self.splines.ends)
        columns, beyond = self.splines.derivative(inside, 0), values - inside
        if (beyond != 0.0).any():
            columns = columns + beyond[:, None] * self.splines.derivative(inside, 1)
        return columns @ np.array(self.free)


@learned
def bs(
    x: Value, df: Value = None, knots: Value = None, degree: Value = 3.0, intercept: Value = False
) -> Splines:
    """B-splines, without the first one unless `intercept`; inner knots at quantiles of the values
    that are there."""
    values = vector(x)
    order = whole(degree, "degree", 1, 20)
    dropped = 1 - flag(intercept, "intercept")
    inner = _inner(values, df, knots, order + 1 - dropped)
    return Splines(tuple(inner.tolist()), _ends(values), order, dropped)


@learned
def ns(x: Value, df: Value = None, knots: Value = None, intercept: Value = False) -> NaturalSplines:
    """Natural cubic splines: B-splines whose second derivative is 0 at both ends."""
    values = vector(x)
    dropped = 1 - flag(intercept, "intercept")
    inner = _inner(values, df, knots, 2 - dropped)
    splines = Splines(tuple(inner.tolist()), _ends(values), 3, dropped)
    curvature = splines.derivative(np.array(splines.ends), 2)
    free = np.linalg.qr(curvature.T, mode="complete")[0][:, 2:]
    return NaturalSplines(splines, tuple(map(tuple, free.tolist())))


def _ends(values: Array) -> tuple[float, float]:
    present = _present(values)
    if present.min() == present.max():
        raise Refused("a constant has no splines")
    return float(present.min()), float(present.max())


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
