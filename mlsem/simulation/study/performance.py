"""How well a method does over the replications of a study, with Monte Carlo standard errors.

Over n replications, θ̂ with mean m and standard deviation s, standard errors with mean a and
standard deviation b (Morris, White & Crowther, 2019, table 6; the relative error of standard errors
by the delta method, with s of normal estimates):

    bias             m - θ            s / √n
    SD               s                s / √(2 (n - 1))
    relative bias    a / s - 1        (a / s) √(b² / (n a²) + 1 / (2 (n - 1)))
    coverage, power  p                √(p (1 - p) / n)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlsem.core.records import Array
from mlsem.inference.covariance.intervals import critical_values

Flags = NDArray[np.bool_]


def performance(est: Array, se: Array, df: Array, truth: Array, level: float) -> dict[str, Array]:
    """Measures of each of p parameters.

    Parameters
    ----------
    est, se, df : (n, p)
        Of the replications that converged. NaN where there is none; df inf for z, NaN where there
        is an interval (the normal one) and no test.
    truth : (p,)
        NaN where it is not known.
    level : float
        Of the confidence intervals; tests of 0 have size 1 - level.

    Returns
    -------
    dict of str to (p,)
    """
    n = np.sum(~np.isnan(est), axis=0)
    known = np.sum(~np.isnan(se), axis=0)
    with np.errstate(all="ignore"):
        mean, sd = _moments(est, n)
        mean_se, sd_se = _moments(se, known)
        ratio = mean_se / sd
        width = critical_values(df, level) * se
        covered = _share(np.abs(est - truth) <= width, np.isnan(se) | np.isnan(truth))
        untested = np.isnan(se) | np.isnan(df)
        rejected = _share(np.abs(est) > width, untested)
        relative = sd_se**2 / (known * mean_se**2) + 0.5 / (n - 1.0)
        return {
            "n": n.astype(np.float64),
            "truth": truth,
            "mean": mean,
            "bias": mean - truth,
            "sd": sd,
            "mean_se": mean_se,
            "se_bias": ratio - 1.0,
            "coverage": covered,
            "rejection": rejected,
            "mc_mean": sd / np.sqrt(n),
            "mc_sd": sd / np.sqrt(2.0 * (n - 1.0)),
            "mc_mean_se": sd_se / np.sqrt(known),
            "mc_se_bias": ratio * np.sqrt(relative),
            "mc_coverage": np.sqrt(covered * (1.0 - covered) / known),
            "mc_rejection": np.sqrt(rejected * (1.0 - rejected) / (~untested).sum(axis=0)),
        }


def _moments(values: Array, count: Array) -> tuple[Array, Array]:
    mean = np.where(count > 0, np.nansum(values, axis=0) / count, np.nan)
    squares = np.nansum((values - mean) ** 2, axis=0) / (count - 1.0)
    return mean, np.where(count > 1, np.sqrt(squares), np.nan)


def _share(flags: Flags, unknown: Flags) -> Array:
    return np.where(unknown, 0.0, flags).sum(axis=0) / (~unknown).sum(axis=0)
