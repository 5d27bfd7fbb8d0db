"""How often a trial finds its effect, by the noncentral t distribution.

power = P(|T| > t),    T ~ t(df, δ/SE),    t the quantile of the level
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import nctdtr, stdtrit

from mlsem.planning.arguments import Design

LEAST_DF = 1.0
MOST = 1_000_000  # clusters, or rows of one: what needs more will not be done


def power_of(trial: Design, effect: float, level: float) -> float:
    """The probability that the test of the effect is significant; 0 where there is none."""
    df = trial.df(effect)
    if df < LEAST_DF:
        return 0.0
    critical, shift = float(stdtrit(df, 0.5 + level / 2)), abs(effect) / trial.se(effect)
    found = 1.0 - nctdtr(df, shift, critical) + nctdtr(df, shift, -critical)
    return float(np.clip(found, 0.0, 1.0)) if np.isfinite(found) else 1.0


def smallest_effect(trial: Design, wanted: float, level: float) -> float:
    """The effect that is found with this power; NaN if none is."""
    from scipy.optimize import brentq

    def short(effect: float) -> float:
        return power_of(trial, effect, level) - wanted

    most = _most_effect(trial)
    if short(most) < 0.0:
        return float("nan")
    return float(brentq(short, 0.0, most, xtol=1e-10))


def _most_effect(trial: Design) -> float:
    if trial.control is not None:
        return 1.0 - trial.control - 1e-9
    most = trial.se(0.0)
    return 1e3 * most * max(1.0, float(stdtrit(max(trial.df(0.0), LEAST_DF), 0.9999)))


def least(reaches: Callable[[int], bool], first: int) -> int | None:
    """The least whole number from `first` that reaches; None where none up to `MOST` does.

    What reaches may be a little uneven (arms are whole numbers): of neighbours the least is taken.
    """
    high = first
    while not reaches(high):
        if high >= MOST:
            return None
        high = min(2 * high, MOST)
    low = max(first, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle + 1, high)
    while high > first and reaches(high - 1):
        high -= 1
    return high
