"""Measures of fit that lavaan has for models with one level only.

With S, m̄ the sample moments and Σ, μ those of the model, e = m̄ - μ, and p variables:

    RMR   root of the mean of the raw residuals' squares
    SRMR  of Bentler's residuals; CRMR of the differences of correlations, without the diagonal
    GFI   1 - tr{[Σ⁻¹(S - Σ)]²} / tr{(Σ⁻¹S)²}, of a mean structure with 2 eᵀΣ⁻¹e and 2 m̄ᵀΣ⁻¹m̄
          (Jöreskog & Sörbom, 1982), adjusted and parsimonious by the number of moments and df
    CN    χ²_df(1 - α) N / T + 1 (Hoelter, 1983)
    MFI   exp[-½ (T - df) / N] (McDonald, 1989);     ECVI  (T + 2 npar) / N (Browne & Cudeck, 1993)
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np
from scipy.special import chdtri

from mlsem.core.records import Array
from mlsem.inference.fit.models import FitModels
from mlsem.inference.fit.residuals import LevelResiduals, level_residuals, root_mean_square


def single_level_measures(models: FitModels) -> dict[str, float]:
    """By lavaan's names; none of a two-level model."""
    estimates, test = models.estimates, models.test
    if estimates.table.two_level:
        return {}
    residuals = level_residuals(estimates, models.saturated, 1)
    measures = _residual_measures(residuals, means=estimates.table.meanstructure)
    if test.df:
        for alpha in (0.05, 0.01):
            critical = float(chdtri(test.df, alpha))
            ratio = critical * estimates.n_obs / test.statistic if test.statistic else np.inf
            measures[f"cn_{alpha:.2f}".replace("0.", "")] = ratio + 1.0
    measures |= _lisrel(residuals, models)
    measures["mfi"] = float(np.exp(-0.5 * (test.statistic - test.df) / estimates.n_obs))
    measures["ecvi"] = (test.statistic + 2.0 * estimates.n_params) / estimates.n_obs
    return measures


def _residual_measures(residuals: LevelResiduals, *, means: bool) -> dict[str, float]:
    raw, by_bentler, by_bollen = residuals.cov, residuals.bentler, residuals.bollen
    variances = np.diagonal(raw) / np.diagonal(residuals.saturated.cov)
    by_mplus = by_bollen + np.diag(variances)
    kinds = {
        "rmr": (raw, residuals.mean),
        "srmr_bentler": (by_bentler, residuals.standardized_mean),
        "crmr": (by_bollen, residuals.standardized_mean),
        "srmr_mplus": (by_mplus, residuals.standardized_mean),
    }
    measures = {}
    for name, (matrix, mean) in kinds.items():
        own = mean if means else None
        cells = _off_diagonal if name == "crmr" else root_mean_square
        measures[name], measures[f"{name}_nomean"] = cells(matrix, own), cells(matrix)
    return {"srmr": measures["srmr_bentler"]} | measures


def _off_diagonal(
    residuals: Shaped[Array, "v v"], means: Shaped[Array, "v"] | None = None
) -> float:
    cells = residuals[np.tril_indices(len(residuals), -1)]
    if means is not None:
        cells = np.concatenate((cells, means))
    return float(np.sqrt((cells**2).mean())) if len(cells) else 0.0


def _lisrel(residuals: LevelResiduals, models: FitModels) -> dict[str, float]:
    sample, implied = residuals.saturated, residuals.implied
    p, df = len(sample.names), models.test.df
    weight = np.linalg.inv(implied.cov)
    rest, whole = weight @ residuals.cov, weight @ sample.cov
    lost, all_ = float(np.vdot(rest, rest.T)), float(np.vdot(whole, whole.T))
    moments = p * (p + 1) / 2.0
    if models.estimates.table.meanstructure:
        lost += 2.0 * float(residuals.mean @ weight @ residuals.mean)
        all_ += 2.0 * float(sample.mean @ weight @ sample.mean)
        moments += p
    gfi = 1.0 - lost / all_
    return {
        "gfi_lisrel": gfi,
        "agfi_lisrel": 1.0 - moments / df * (1.0 - gfi) if df else 1.0,
        "pgfi": df / moments * gfi,
    }
