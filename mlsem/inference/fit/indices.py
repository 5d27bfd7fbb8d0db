"""Indices of fit, from tests of the model and of the baseline model.

With T, df of the model, T_B, df_B of the baseline, c, c_B their scaling factors, N the number of
units, G that of groups and p the number of variables of level 1, covariates included (of several
groups its mean over rows; Steiger, 1990, 1998; Bentler, 1990;
Tucker & Lewis, 1973; Maiti & Mukherjee, 1990; robust versions: Brosseau-Liard & Savalei, 2014;
Savalei, 2018):

    RMSEA = √(G max(T - df, 0) / (N df))      scaled: c df for df;  robust: T - c df, over N df
    CFI   = 1 - max(T - df, 0) / max(T - df, T_B - df_B, 0)
    TLI   = 1 - (T - df) df_B / [(T_B - df_B) df]
            scaled: T/c, T_B/c_B;  robust: T - c df for T - df, likewise of the baseline
    GFI   = N p / (N p + 2 (T - df))          robust: T - c df

Limits of the RMSEA are those of the noncentrality λ at which T is a quantile of χ²_df(λ).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlsem.inference.fit.chisquare import ChiSquare
from mlsem.inference.fit.noncentral import lower_tail, noncentrality_at, upper_tail

CI_LEVEL, CLOSE, NOT_CLOSE = 0.90, 0.05, 0.08


@dataclass(frozen=True, slots=True)
class Excess:
    """A test as an index sees it.

    Attributes
    ----------
    statistic : float
    excess : float
        What it has above its expectation for a right model.
    df : int
    """

    statistic: float
    excess: float
    df: int


def usual(test: ChiSquare) -> Excess:
    """T, T - df."""
    return Excess(test.statistic, test.statistic - test.df, test.df)


def scaled(test: ChiSquare) -> Excess:
    """T / c, T / c - df."""
    return Excess(test.scaled, test.scaled - test.df, test.df)


def robust(test: ChiSquare) -> Excess:
    """T, T - c df."""
    expected = test.scaling * test.df if test.df else 0.0
    return Excess(test.statistic, test.statistic - expected, test.df)


def comparative(model: Excess, base: Excess) -> dict[str, float]:
    """Indices that compare a model with the baseline."""
    own, worst = model.excess, base.excess
    largest = max(own, worst, 0.0)
    return {
        "cfi": 1.0 - max(own, 0.0) / largest if largest > 0 else 1.0,
        "tli": 1.0 - own * base.df / (worst * model.df) if model.df and worst else 1.0,
        "rni": 1.0 - own / worst if worst else np.nan,
    }


def normed(model: Excess, base: Excess) -> dict[str, float]:
    """Indices without a robust version (Bentler & Bonett, 1980; Bollen, 1986, 1989)."""
    t, df, tb, dfb = model.statistic, model.df, base.statistic, base.df
    return {
        "rfi": 1.0 - (t / df) / (tb / dfb) if df > 0 and tb > 0 else 1.0,
        "nfi": 1.0 - t / tb if tb > 0 else np.nan,
        "pnfi": df / dfb * (1.0 - t / tb) if tb > 0 and dfb > 0 else np.nan,
        "ifi": (tb - t) / (tb - df) if tb != df else np.nan,
    }


@dataclass(frozen=True, slots=True)
class Rmsea:
    """Root mean square error of approximation, 90 % limits, and p values of the hypotheses that
    it is at most .05 and at least .08."""

    value: float
    lower: float
    upper: float
    close: float
    not_close: float


NO_RMSEA = Rmsea(np.nan, np.nan, np.nan, np.nan, np.nan)


def rmsea(test: ChiSquare, units: float, groups: int, kind: str = "usual") -> Rmsea:
    """Of a model of so many groups, by kind "usual", "scaled" or "robust"; 0 for a model without
    degrees of freedom."""
    if not test.df:
        return Rmsea(0.0, 0.0, 0.0, np.nan, np.nan)
    statistic, df, factor = test.statistic, float(test.df), 1.0
    if kind == "scaled":
        df = test.scaling * test.df
    elif kind == "robust":
        statistic, factor = test.scaled, test.scaling
    if not np.isfinite(statistic) or not np.isfinite(df):
        return NO_RMSEA
    scale = units * df / (factor * groups)  # of λ / ε²
    tail = 0.5 * (1.0 - CI_LEVEL)
    lower, upper = (
        np.sqrt(noncentrality_at(statistic, df, below, max(units, 4.0 * statistic)) / scale)
        for below in (1.0 - tail, tail)
    )
    return Rmsea(
        float(np.sqrt(max(statistic - df, 0.0) / scale)),
        float(lower),
        float(upper),
        upper_tail(statistic, df, scale * CLOSE**2),
        lower_tail(statistic, df, scale * NOT_CLOSE**2),
    )


def gfi(excess: float, units: float, variables: float) -> float:
    """Population GFI (Maiti & Mukherjee, 1990; Steiger, 1989)."""
    size = units * variables
    return min(1.0, size / (size + 2.0 * excess))


def gfi_of_rmsea(value: float, df: int, variables: float, groups: int) -> float:
    """The same of a limit of the RMSEA: p / (p + 2 df ε² / G)."""
    return variables / (variables + 2.0 * df * value**2 / groups)
