"""The noncentral χ² distribution: a Poisson(λ/2) mixture of χ² with df + 2k degrees of freedom.

Summed as it stands, so that small tails keep their digits.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np
from scipy.special import chdtr, chdtrc, gammaln

from mlsem.core.records import Array

SPREAD = 12.0  # standard deviations of the Poisson weights that are summed
LEAST = 40  # terms at each side


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
    above `most`."""
    from scipy.optimize import brentq

    def above(value: float) -> float:
        return lower_tail(statistic, df, value) - below

    if not statistic > 0 or above(0.0) <= 0.0:
        return 0.0
    return float(brentq(above, 0.0, most, xtol=1e-10)) if above(most) < 0.0 else np.nan


def _mixture(noncentrality: float) -> tuple[Shaped[Array, "m"], Shaped[Array, "m"]]:
    """k and Poisson weights, as far as they count."""
    mean = 0.5 * noncentrality
    if mean == 0.0:
        return np.zeros(1), np.ones(1)
    reach = SPREAD * np.sqrt(mean) + LEAST
    terms = np.arange(max(0.0, np.floor(mean - reach)), np.ceil(mean + reach) + 1.0)
    return terms, np.exp(terms * np.log(mean) - mean - gammaln(terms + 1.0))
