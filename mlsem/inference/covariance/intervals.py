"""Wald statistics, p values and confidence intervals; the delta method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from mlsem.core.records import Array

ROUNDING = 1e-13  # share of the terms of a variance


@dataclass(frozen=True, slots=True, eq=False)
class Wald:
    """est / se with two-sided p value and interval; NaN where se is 0 or NaN. All (n,).

    No test (NaN) where df is NaN: of the (co)variances beside t tests of fixed effects. Their
    intervals are the normal ones, rough with few clusters.
    """

    est: Shaped[Array, "n"]
    se: Shaped[Array, "n"]
    stat: Shaped[Array, "n"]
    df: Shaped[Array, "n"]
    pvalue: Shaped[Array, "n"]
    lower: Shaped[Array, "n"]
    upper: Shaped[Array, "n"]


def wald(
    est: Shaped[Array, "n"], se: Shaped[Array, "n"], df: Shaped[Array, "n"], level: float
) -> Wald:
    """t (z where df is inf) tests of 0 and two-sided intervals at `level`."""
    known = se > 0
    scale = np.where(known, se, np.nan)
    with np.errstate(invalid="ignore"):
        stat = np.where(np.isnan(df), np.nan, est / scale)
    limited = np.isfinite(df)
    freedom = np.where(limited, df, 1.0)
    tail = np.where(limited, stdtr(freedom, -np.abs(stat)), ndtr(-np.abs(stat)))
    width = critical_values(df, level) * scale
    return Wald(est, se, stat, np.where(known, df, np.nan), 2.0 * tail, est - width, est + width)


def critical_values(df: Shaped[Array, "*s"], level: float) -> Shaped[Array, "*s"]:
    """The quantile of t of two-sided intervals; of the normal distribution where df is infinite or
    NaN."""
    limited = np.isfinite(df)
    quantile = 0.5 + 0.5 * level
    return np.where(limited, stdtrit(np.where(limited, df, 1.0), quantile), float(ndtri(quantile)))


def holm(pvalues: Shaped[Array, "n"]) -> Shaped[Array, "n"]:
    """Adjusted by Holm (1979): the largest (m - rank + 1) p so far, at most 1."""
    order = np.argsort(pvalues)
    factors = np.arange(len(pvalues), 0, -1)
    adjusted = np.empty(len(pvalues))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * pvalues[order]))
    return adjusted


def share_limits(
    share: Shaped[Array, "c"], se: Shaped[Array, "c"], df: Shaped[Array, "c"], level: float
) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
    """Limits of shares of variance R², (n,) each.

    Fisher's z of the correlation R: z = arctanh R, ± q se / [2 R (1 - R²)], with q the quantile of
    t or, where df is infinite or NaN, of the normal distribution. The limits lie between 0, which
    is one where that of z is negative, and 1. They are R² ± q se where R² is no share.
    """
    proper = (share > 0) & (share < 1)
    inner = np.where(proper, share, 0.5)
    root = np.sqrt(inner)
    own = wald(np.arctanh(root), se / (2.0 * root * (1.0 - inner)), df, level)
    plain = wald(share, se, df, level)
    return (
        np.where(proper, np.tanh(np.maximum(own.lower, 0.0)) ** 2, plain.lower),
        np.where(proper, np.tanh(own.upper) ** 2, plain.upper),
    )


def is_constant(
    gradient: Shaped[Array, "c n"], covariance: Shaped[Array, "n n"]
) -> Shaped[NDArray[np.bool_], "c"]:
    """Whether what varies of functions with gradients (m, npar) is rounding, (m,)."""
    size = np.abs(gradient)
    variances = _quadratic(gradient, covariance)
    largest = _quadratic(size, np.abs(covariance))
    return np.abs(variances) <= ROUNDING * largest


def delta_se(
    gradient: Shaped[Array, "c n"], covariance: Shaped[Array, "n n"]
) -> Shaped[Array, "c"]:
    """Standard errors of functions with gradients G: the root of diag G V Gᵀ."""
    variances = _quadratic(gradient, covariance)
    return np.sqrt(np.where(variances >= 0, variances, np.nan))


def _quadratic(
    gradient: Shaped[Array, "c n"], covariance: Shaped[Array, "n n"]
) -> Shaped[Array, "c"]:
    """diag G V Gᵀ."""
    return np.einsum("cn,cn->c", gradient @ covariance, gradient)
