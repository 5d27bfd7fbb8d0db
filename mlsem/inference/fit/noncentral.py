"""The noncentral χ² distribution: a Poisson(λ/2) mixture of χ² with df + 2k degrees of freedom.

Summed as it stands, so that small tails keep their digits.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np
from scipy.special import chdtr, chdtrc, gammaln, ndtri

from mlsem.core.records import Array

SPREAD = 12.0  # standard deviations of the Poisson weights that are summed
LEAST = 40  # terms at each side
MOST_STEPS, LAST = 50, 1e-8  # of a search for λ: steps, and the relative length of the last one


def upper_tail(statistic: float, df: float, noncentrality: float) -> float:
    """P(χ²_df(λ) > statistic)."""
    terms, weights = _mixture(noncentrality)
    return float(weights @ chdtrc(df + 2.0 * terms, statistic))


def lower_tail(statistic: float, df: float, noncentrality: float) -> float:
    """P(χ²_df(λ) ≤ statistic)."""
    terms, weights = _mixture(noncentrality)
    return float(weights @ chdtr(df + 2.0 * terms, statistic))


def noncentrality_at(statistic: float, df: float, below: float, most: float) -> float:
    """λ with P(χ²_df(λ) ≤ statistic) = below; 0 where that is less at λ = 0, NaN where λ is
    above `most`.

    Newton's method on Φ⁻¹(P), which is nearly a line in √λ, with ∂P/∂λ = ½ [P_df+2 - P_df].
    """
    if not statistic > 0 or lower_tail(statistic, df, 0.0) <= below:
        return 0.0
    wanted = float(ndtri(below))
    value, least = max((np.sqrt(statistic) - wanted) ** 2 - df, 0.0), 0.0
    for _ in range(MOST_STEPS):
        terms, weights = _mixture(value)
        tails = chdtr(df + 2.0 * np.append(terms, terms[-1] + 1.0), statistic)
        away = float(ndtri(weights @ tails[:-1])) - wanted
        if away > 0:
            least = value
        slope = 0.5 * float(weights @ np.diff(tails)) / _density(wanted + away)
        before, value = value, max(value - away / slope, 0.5 * (least + value))
        if not abs(value - before) > LAST * max(value, 1.0):
            break
    return value if value <= most else np.nan


def _density(deviate: float) -> float:
    """φ."""
    return float(np.exp(-0.5 * deviate**2) / np.sqrt(2.0 * np.pi))


def _mixture(noncentrality: float) -> tuple[Shaped[Array, "m"], Shaped[Array, "m"]]:
    """k and Poisson weights, as far as they count."""
    mean = 0.5 * noncentrality
    if mean == 0.0:
        return np.zeros(1), np.ones(1)
    reach = SPREAD * np.sqrt(mean) + LEAST
    terms = np.arange(max(0.0, np.floor(mean - reach)), np.ceil(mean + reach) + 1.0)
    return terms, np.exp(terms * np.log(mean) - mean - gammaln(terms + 1.0))
