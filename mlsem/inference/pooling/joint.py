"""Tests of k constraints together: D1 to D4, F tests of several data sets' statistics.

r̄ is the average relative increase in variance of what is tested, t = k (m - 1). Each returns a
`JointTest`; its p value is that of F(k, df_denom).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Literal

import numpy as np

from mlsem.core.records import Array
from mlsem.inference.covariance.statistics import Statistic, scaled_f

JointMethod = Literal["D1", "D2", "D3", "D4"]


@dataclass(frozen=True, slots=True)
class JointTest:
    """An F test of k constraints, and the average relative increase in variance r̄."""

    statistic: Statistic
    riv: float


def d1(
    estimate: Shaped[Array, "q"],
    within: Shaped[Array, "q q"],
    added: Shaped[Array, "q q"],
    m: int,
    complete: float = np.inf,
) -> JointTest:
    """F = dᵀ [(1 + r̄) Ū]⁻¹ d / k, r̄ = (1 + 1/m) tr(B Ū⁻¹) / k, of the tested contrasts d (Li,
    Raghunathan & Rubin, 1991).

    Parameters
    ----------
    estimate : (q,)
        d.
    within, added : (q, q)
        Ū and (1 + 1/m) B of them.
    m : int
        Data sets.
    complete : float
        Denominator degrees of freedom ν of the test in a completed data set; with finite ones
        those of Reiter (2007).
    """
    k = len(estimate)
    riv = float(np.trace(np.linalg.solve(within, added))) / k
    distance = float(estimate @ np.linalg.solve(within, estimate)) / (1.0 + riv)
    return JointTest(scaled_f(distance, k, d1_df(k, m, riv, complete)), riv)


def d1_df(k: int, m: int, riv: float, complete: float) -> float:
    """Those of Li et al. (1991, eq. 1.16 and 1.17) or, with finite ν, of Reiter (2007, eq. 8).

    Reiter's do not exist for t ≤ 4, or where ν (ν + 1) / (ν + 3) ≤ 4 (1 + a): there two moments are
    matched, 1/df = λ² / t + (1 - λ)² / ν with λ = r̄ / (1 + r̄).
    """
    t = k * (m - 1.0)
    if np.isinf(complete):
        if riv <= 0:
            return np.inf
        if t > 4:
            return 4.0 + (t - 4.0) * (1.0 + (1.0 - 2.0 / t) / riv) ** 2
        return t * (1.0 + 1.0 / k) * (1.0 + 1.0 / riv) ** 2 / 2.0
    found = _reiter(t, riv, complete) if t > 4 else None
    if found is not None:
        return found
    share = riv / (1.0 + riv)
    return 1.0 / (share**2 / t + (1.0 - share) ** 2 / complete)


def _reiter(t: float, riv: float, complete: float) -> float | None:
    """None where a term of the expansion has no positive denominator."""
    a = riv * t / (t - 2.0)
    nu = complete * (complete + 1.0) / (complete + 3.0)
    c0, c1, c2 = 1.0 / (t - 4.0), nu - 2.0 * (1.0 + a), nu - 4.0 * (1.0 + a)
    if not c2 > 0:
        return None
    z = (
        1.0 / c2
        + c0 * a**2 * c1 / ((1.0 + a) ** 2 * c2)
        + c0 * (8.0 * a**2 * c1 / ((1.0 + a) * c2**2) + 4.0 * a**2 / ((1.0 + a) * c2))
        + c0 * (4.0 * a**2 / (c2 * c1) + 16.0 * a**2 * c1 / c2**3)
        + c0 * 8.0 * a**2 / c2**2
    )
    return 4.0 + 1.0 / z


def d2(statistics: Shaped[Array, "m"], k: int) -> JointTest:
    """Of one χ²(k) for each data set, d_i: r = (1 + 1/m) Var √d_i, F = (d̄/k - r (m + 1)/(m - 1)) /
    (1 + r), df₂ = k^(-3/m) (m - 1) (1 + 1/r)² (Li, Meng, Raghunathan & Rubin, 1991)."""
    m = len(statistics)
    riv = (1.0 + 1.0 / m) * float(np.var(np.sqrt(statistics), ddof=1))
    value = (float(statistics.mean()) / k - (m + 1.0) / (m - 1.0) * riv) / (1.0 + riv)
    df = np.inf if riv == 0 else k ** (-3.0 / m) * (m - 1.0) * (1.0 + 1.0 / riv) ** 2
    return JointTest(scaled_f(k * max(value, 0.0), k, df), riv)


def d3(mean_lr: float, lr_at_pooled: float, k: int, m: int) -> JointTest:
    """With LR_p, the likelihood ratio at the pooled estimates of both models, averaged over data
    sets: r = (m + 1)/t (mean LR - LR_p), F = LR_p / [k (1 + r)] (Meng & Rubin, 1992)."""
    riv = max(0.0, (m + 1.0) / (k * (m - 1.0)) * (mean_lr - lr_at_pooled))
    distance = max(lr_at_pooled, 0.0) / (1.0 + riv)
    return JointTest(scaled_f(distance, k, d1_df(k, m, riv, np.inf)), riv)


def d4(mean_lr: float, stacked_lr: float, k: int, m: int) -> JointTest:
    """With LR_s, the likelihood ratio of the mean log-likelihood at its own maxima: r = max(0, (m +
    1)/t (mean LR - LR_s)), F = LR_s / [k (1 + r)], df₂ = t (1 + 1/r)² (Chan & Meng, 2022)."""
    t = k * (m - 1.0)
    riv = max(0.0, (m + 1.0) / t * (mean_lr - stacked_lr))
    df = np.inf if riv == 0 else t * (1.0 + 1.0 / riv) ** 2
    return JointTest(scaled_f(max(stacked_lr, 0.0) / (1.0 + riv), k, df), riv)
