"""Several contrasts at once: p values and limits that hold for all of a family together.

Of m contrasts with two-sided p values p: Bonferroni m p; Šidák 1 - (1 - p)^m (Šidák, 1967); Holm
(1979); and of all pairs of k means Tukey's, P(Q > √2 |t|), with Q the range of k standard normal
variables over an independent s, ν s² ~ χ²_ν (Tukey, 1953; with unequal variances Kramer, 1956):

    P(Q ≤ q) = ∫ f_ν(s) W(q s) ds,     W(w) = k ∫ φ(z) [Φ(z) - Φ(z - w)]^(k - 1) dz.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from scipy.special import gammaincc, gammaincinv, gammaln, ndtr

from mlsem.core.records import Array, frozen
from mlsem.inference.covariance.intervals import critical_values, holm

Adjust = Literal["tukey", "holm", "bonferroni", "sidak"]
NODES = 96
NORMAL = 1e7  # degrees of freedom from which s is 1
TAIL = 1e-15


def adjusted(pvalues: Array, stats: Array, df: Array, adjust: Adjust | None, means: int) -> Array:
    """Of one family; where it is of all pairs, those of so many means."""
    there = np.flatnonzero(~np.isnan(pvalues))
    found, p = np.full(len(pvalues), np.nan), pvalues[there]
    match adjust:
        case None:
            found[there] = p
        case "bonferroni":
            found[there] = np.minimum(1.0, len(pvalues) * p)
        case "sidak":
            found[there] = -np.expm1(len(pvalues) * np.log1p(-np.minimum(p, 1.0 - 1e-16)))
        case "holm":
            found[there] = holm(p)
        case "tukey":
            range_ = np.sqrt(2.0) * np.abs(stats[there])
            found[there] = [range_tail(q, means, v) for q, v in zip(range_, df[there], strict=True)]
    return found


def critical(df: Array, level: float, adjust: Adjust | None, family: int, means: int) -> Array:
    """How many standard errors wide each half of an interval is. Holm's limits are Bonferroni's,
    for his procedure has none."""
    alpha, family = 1.0 - level, max(family, 1)
    match adjust:
        case None:
            return _of_each(df, level)
        case "bonferroni" | "holm":
            return _of_each(df, 1.0 - alpha / family)
        case "sidak":
            return _of_each(df, level ** (1.0 / family))
        case "tukey":
            distinct = {v: range_quantile(alpha, means, v) for v in set(df[~np.isnan(df)].tolist())}
            return np.array([distinct.get(v, np.nan) for v in df.tolist()]) / np.sqrt(2.0)


def _of_each(df: Array, level: float) -> Array:
    """Of one interval; NaN where its df are."""
    return np.where(np.isnan(df), np.nan, critical_values(df, level))


# --- the studentized range ------------------------------------------------------------------------


def range_tail(q: float, means: int, df: float) -> float:
    """P(Q > q) of k means and ν degrees of freedom."""
    if df >= NORMAL:
        return float(_beyond(np.array([q]), means)[0])
    low = 0.5 * np.log(max(gammaincinv(0.5 * df, TAIL) * 2.0 / df, 1e-300))
    high = 0.5 * np.log(_largest(df))
    nodes, weights = _gauss()
    x = low + 0.5 * (high - low) * (nodes + 1.0)  # x = log s
    log_density = (
        np.log(2.0) + 0.5 * df * np.log(0.5 * df) - gammaln(0.5 * df)
        + df * x - 0.5 * df * np.exp(2.0 * x)
    )  # fmt: skip
    density = 0.5 * (high - low) * weights * np.exp(log_density)
    return float(np.clip(density @ _beyond(q * np.exp(x), means), 0.0, 1.0))


@cache
def _gauss() -> tuple[Array, Array]:
    """Nodes and weights of Gauss and Legendre, which take longer to find than all else."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return frozen(nodes), frozen(weights)


def _largest(df: float) -> float:
    """s² beyond which there is no more than rounding."""
    square = 1.0
    while gammaincc(0.5 * df, 0.5 * df * square) > TAIL:
        square *= 1.25
    return square


def _beyond(w: Array, means: int) -> Array:
    """1 - W(w) of ranges w (n,) of k standard normal variables."""
    nodes, weights = _gauss()
    z = 8.0 * nodes
    density = 8.0 * weights * np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    within = ndtr(z) - ndtr(z - w[:, None])
    whole = ndtr(z)
    # k ∫ φ Φ^(k-1) = 1, so that the difference is as exact as its terms
    return means * ((whole ** (means - 1) - within ** (means - 1)) @ density)


def range_quantile(alpha: float, means: int, df: float) -> float:
    """q with P(Q > q) = α."""
    from scipy.optimize import brentq  # for few programs

    high = 4.0
    while range_tail(high, means, df) > alpha:
        high *= 2.0
        if high > 1e6:
            return np.inf
    return float(brentq(lambda q: range_tail(q, means, df) - alpha, 0.0, high, xtol=1e-9))
