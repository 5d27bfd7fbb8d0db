"""What each cluster with missing values says on its own.

With the terms of `likelihood`, p_c outcomes observed in a cell of n_c rows and r_j at level 2,

    d_j² = e_jᵀ V_j⁻¹ e_j = Σ_c tr W_π R S_c Rᵀ + Σ_r e_rᵀ ω_r - μ_uᵀ ρ_u + (z_j - μ_z)ᵀ ρ_z,
    -2 ℓ_j = df_j log 2π + Σ_c n_c log|Σ_π| + log|P_j| + log|Σ_zz| + d_j²,
    df_j   = Σ_c n_c p_c + r_j.
"""

from __future__ import annotations

from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.blocks import blocks
from mlsem.core.evidence.clusterwise import ClusterFit
from mlsem.core.implied.pattern import Pattern
from mlsem.core.linalg import LOG_2PI, log_determinant
from mlsem.core.patterns.carriers import CellRows, PatternMoments, pattern_moments
from mlsem.core.patterns.likelihood import PatternPoint, evaluate
from mlsem.core.patterns.padded import padded_inverses
from mlsem.core.records import Array, CellMoments, frozen


def cluster_fit(
    pattern: Pattern[Any], moments: CellMoments, params: Shaped[Array, "npar"]
) -> ClusterFit | None:
    """At parameters of the pattern; None outside the parameter space."""
    data, cells = pattern_moments(pattern, moments)
    point = evaluate(pattern, data, params)
    if point is None:
        return None
    q, between = pattern.split, point.between
    zz = padded_inverses(between.sigma[q:, q:], data.level2_observed)
    assert zz is not None  # as it was for the point
    distance = _distances(pattern, data, cells, point)
    df = data.sizes @ data.observed.sum(axis=1) + data.level2_observed.sum(axis=1)[data.level2_of]
    deviance = (
        df * LOG_2PI
        + data.sizes @ point.determinants
        + zz[1][data.level2_of]
        - log_determinant(point.white)
        + distance
    )
    return ClusterFit(frozen(-0.5 * deviance), frozen(distance), frozen(df))


def _distances(
    pattern: Pattern[Any], data: PatternMoments, cells: CellRows, point: PatternPoint
) -> Shaped[Array, "J"]:
    q, between, rho = pattern.split, point.between, point.between_weighted
    residuals = data.coordinates @ point.residuals.T
    own = np.einsum("rp,rp->r", residuals, point.weighted)
    found = np.bincount(data.cluster_of, own, data.n_clusters)
    above = -data.rows @ between.mean.T
    above[:, q:] += data.rows @ pattern.between.responses[q:].T
    found += np.einsum("jm,jm->j", above, rho)
    if cells.rest.any():
        inner = point.residuals[:, 1 : 1 + cells.rest.shape[1]]
        weights = inner.T @ point.precision @ inner
        for part in blocks(len(cells.sizes), inner.shape[1] ** 2):
            spread = np.einsum("kab,kab->k", weights[cells.pattern_of[part]], cells.rest[part])
            found += np.bincount(cells.cluster_of[part], spread, data.n_clusters)
    return found
