"""Estimates of a mixed model in the rows and columns of R's broom.mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.design.variables import RESIDUAL
from mlsem.inference.covariance.intervals import wald
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.estimated import Estimated
from mlsem.results.mixed.parts import MixedParts

Scale = Literal["sdcor", "vcov"]
Pair = tuple[MixedParts, int, int]
"""A level, and two of its effects."""
BOUND = 1e-8  # from 1, a correlation of a singular fit
OBSERVATION = "Observation"  # what broom.mixed calls the term of the residual


@quiet
def tidy_columns(
    fit: Estimated,
    levels: Sequence[MixedParts],
    covariance: Covariance,
    level: float,
    scale: Scale,
) -> dict[str, Any]:
    """Fixed effects in the order of the formula, then the parameters of the random ones.

    Standard deviations have √ of the limits of their variances (0 where one is negative),
    correlations ρ tanh of the limits of artanh ρ; standard errors are those of the delta method.
    """
    names, fixed = fit.table.names, levels[0].fixed
    count = len(fixed)
    tests = wald(fit.params, covariance.se, covariance.df, level)
    pairs = [_pair(k, levels, names) for k in range(count, len(names))]
    columns: dict[str, Any] = {
        "effect": ["fixed"] * count + ["ran_pars"] * len(pairs),
        "group": [None] * count + [pair[0].group if pair else RESIDUAL for pair in pairs],
        "term": [*fixed, *_terms(pairs, levels[0].classes, scale)],
    }
    found = np.array([tests.est, tests.se, tests.lower, tests.upper])
    stat, df, pvalue = (np.array(each) for each in (tests.stat, tests.df, tests.pvalue))
    if scale == "sdcor":  # z tests would be of variances
        stat[count:], df[count:], pvalue[count:] = np.nan, np.nan, np.nan
    for k, pair in enumerate(pairs if scale == "sdcor" else (), start=count):
        if pair is None or pair[1] == pair[2]:
            found[:, k] = _deviation(found[:, k])
        else:
            found[:, k] = _correlation(pair, names, covariance, level)
    return columns | {
        "estimate": found[0],
        "std.error": found[1],
        "statistic": stat,
        "df": df,
        "p.value": pvalue,
        "conf.low": found[2],
        "conf.high": found[3],
    }


def _pair(place: int, levels: Sequence[MixedParts], names: tuple[str, ...]) -> Pair | None:
    """The effects whose (co)variance a parameter is; None of the residual."""
    for parts in levels:
        for b in range(len(parts.effects)):
            for a in range(b + 1):
                if parts.covariance_place(names, a, b) == place:
                    return parts, a, b
    return None


def _terms(pairs: list[Pair | None], classes: tuple[str, ...], scale: Scale) -> list[str]:
    """Those of the random effects, then of the residuals: of several classes
    ``sd__Observation.a``."""
    single = "sd" if scale == "sdcor" else "var"
    own = [f".{label}" for label in classes] or [""]
    found = [_term(pair, scale) for pair in pairs if pair is not None]
    return found + [f"{single}__{OBSERVATION}{label}" for label in own]


def _term(pair: Pair, scale: Scale) -> str:
    """``sd__(Intercept)``, ``cor__(Intercept).x1``."""
    single, double = ("sd", "cor") if scale == "sdcor" else ("var", "cov")
    parts, *both = pair
    first, second = (parts.effects[k] for k in both)
    return f"{single}__{first}" if first == second else f"{double}__{first}.{second}"


def _deviation(variance: Array) -> Array:
    """√v of an estimate v with its standard error and limits, (4,)."""
    est, se, lower, upper = variance
    sd = np.sqrt(max(est, 0.0))
    error = se / (2.0 * sd) if sd > 0.0 else np.nan
    return np.array([sd, error, np.sqrt(max(lower, 0.0)), np.sqrt(max(upper, 0.0))])


def _correlation(pair: Pair, names: tuple[str, ...], covariance: Covariance, level: float) -> Array:
    """ρ = c / √(v w) with its standard error and limits, (4,)."""
    parts, a, b = pair
    v, w, c = parts.psi[a, a], parts.psi[b, b], parts.psi[a, b]
    if not (v > 0.0 and w > 0.0):
        return np.full(4, np.nan)
    rho = c / np.sqrt(v * w)
    gradient = np.zeros((1, len(names)))
    slopes = {(a, b): 1.0 / np.sqrt(v * w), (a, a): -rho / (2.0 * v)}
    for places, slope in (slopes | {(b, b): -rho / (2.0 * w)}).items():
        gradient[0, parts.covariance_place(names, *places)] = slope
    se = float(covariance.of_functions(gradient)[0][0])
    inner = np.array([np.arctanh(rho) if abs(rho) < 1.0 - BOUND else np.nan])
    limits = wald(inner, np.array([se / (1.0 - rho**2)]), np.array([np.inf]), level)
    return np.array([rho, se, np.tanh(limits.lower[0]), np.tanh(limits.upper[0])])
