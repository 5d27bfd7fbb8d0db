"""Quantiles of a sample against those of the normal distribution, with an envelope.

Of n sorted values u_k = Φ(z_k) of a normal sample each is Beta(k, n + 1 - k). An envelope of
quantiles of these at a local level η on each side holds for all k together with probability 1 - α
where η is the α quantile of min_k min(F_k(u_k), 1 - F_k(u_k)) over normal samples (Aldor-Noiman,
Brown, Buja, Rolke & Stine, 2013, American Statistician 67, 249-260): here over drawn ones,
standardized by their own mean and SD as the values are.

Of a large sample some of its order statistics stand for all, drawn by themselves: u_k = G_k / G_n+1
with G_k a sum of k exponential variables (Rényi, 1953).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betainc, betaincinv, ndtr, ndtri

from mlsem.core.records import Array, Index

DRAWS, MOST = 500, 400  # samples for the local level; values that are all looked at
PLACES = 300  # on each side of the median, of larger samples
SHOWN = 4000  # values of a figure; of more the inner ones are thinned


@dataclass(frozen=True, slots=True, eq=False)
class NormalQuantiles:
    """Sorted values and what a normal sample of as many is expected at.

    Attributes
    ----------
    order : (m,)
        Positions of the values in the sample.
    values, expected, lower, upper : (m,)
    """

    order: Index
    values: Array
    expected: Array
    lower: Array
    upper: Array

    @property
    def outside(self) -> Index:
        """Those that the envelope does not hold."""
        return np.flatnonzero((self.values < self.lower) | (self.values > self.upper))


def normal_quantiles(sample: Array, level: float) -> NormalQuantiles:
    """Of a standardized sample without gaps."""
    count = len(sample)
    order = np.argsort(sample, kind="stable")
    shown = _shown(count)
    k = shown + 1.0
    tail = local_level(count, level)
    return NormalQuantiles(
        order=order[shown],
        values=sample[order[shown]],
        expected=np.asarray(ndtri((k - 0.375) / (count + 0.25)), dtype=np.float64),  # Blom (1958)
        lower=np.asarray(ndtri(betaincinv(k, count + 1.0 - k, tail)), dtype=np.float64),
        upper=np.asarray(ndtri(betaincinv(k, count + 1.0 - k, 1.0 - tail)), dtype=np.float64),
    )


def _shown(count: int) -> Index:
    """All places, or the outer ones and some of those between."""
    if count <= SHOWN:
        return np.arange(count)
    ends = SHOWN // 4
    middle = np.linspace(ends, count - ends - 1, SHOWN - 2 * ends).astype(np.intp)
    return np.concatenate((np.arange(ends), middle, np.arange(count - ends, count)))


@lru_cache(maxsize=64)
def local_level(count: int, level: float) -> float:
    """η, by drawn samples that are always the same ones."""
    k = _places(count)
    below = betainc(k, count + 1.0 - k, ndtr(_drawn(k, count)))
    return float(np.quantile(np.minimum(below, 1.0 - below).min(axis=1), 1.0 - level))


def _places(count: int) -> Array:
    """All of a sample of that size, or the outer ones and some of those between."""
    if count <= MOST:
        return np.arange(1.0, count + 1.0)
    outer = np.unique(np.round(np.geomspace(1.0, 0.5 * count, PLACES)))
    return np.unique(np.concatenate((outer, count + 1.0 - outer)))


def _drawn(places: Array, count: int) -> Array:
    """Order statistics at these places of standardized normal samples, (draws, places)."""
    random = np.random.default_rng(1)
    if len(places) == count:
        draws = np.sort(random.standard_normal((DRAWS, count)), axis=1)
    else:
        steps = np.diff(places, prepend=0.0, append=count + 1.0)
        sums = np.cumsum(random.standard_gamma(steps, (DRAWS, len(steps))), axis=1)
        draws = np.asarray(ndtri(sums[:, :-1] / sums[:, -1:]), dtype=np.float64)
    if count < 3:
        return draws
    middles = 0.5 * (places[1:] + places[:-1])
    stands_for = np.diff(middles, prepend=0.5, append=count + 0.5)  # how many of the sample
    draws = draws - (draws @ stands_for / count)[:, None]
    return draws / np.sqrt(draws**2 @ stands_for / (count - 1.0))[:, None]


def standardized(values: Array) -> Array:
    """Less their mean, over their standard deviation."""
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return (values - values.mean()) / (spread if spread > 0.0 else 1.0)


def smooth(x: Array, y: Array, pieces: int = 24) -> list[tuple[float, float]]:
    """Means of y in pieces of x with as many values each, averaged with their neighbours."""
    pieces = min(pieces, len(x) // 15)
    if pieces < 4:
        return []
    order = np.argsort(x, kind="stable")
    xs, ys = (
        np.array([part.mean() for part in np.array_split(values[order], pieces)])
        for values in (x, y)
    )
    padded = np.concatenate((ys[:1], ys, ys[-1:]))
    running = 0.25 * padded[:-2] + 0.5 * ys + 0.25 * padded[2:]
    return list(zip(xs.tolist(), running.tolist(), strict=True))
