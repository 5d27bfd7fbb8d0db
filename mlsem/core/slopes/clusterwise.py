"""What each cluster of complete rows says on its own.

In the coordinates of `likelihood`, with S_j the cross-products of the other coordinates,

    d_j² = tr W R_W S_j R_Wᵀ + ē_jᵀ V̄_j⁻¹ ē_j,
    -2 ℓ_j = (n_j p + r) log 2π + (n_j - d) log|Σ_W| + log|V̄_j| + d_j²,

d_j² the squared Mahalanobis distance of all outcomes of the cluster, χ² with n_j p + r degrees of
freedom in a right model.
"""

from __future__ import annotations

from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.blocks import blocks
from mlsem.core.evidence.clusterwise import ClusterFit
from mlsem.core.implied.pattern import Pattern
from mlsem.core.linalg import LOG_2PI, log_determinant
from mlsem.core.records import Array, ClusterMoments, frozen
from mlsem.core.slopes.carriers import rest_of, slope_moments
from mlsem.core.slopes.likelihood import coordinates_of, evaluate, whiten


def cluster_fit(
    pattern: Pattern[Any], moments: ClusterMoments, params: Shaped[Array, "npar"]
) -> ClusterFit | None:
    """At parameters of the pattern; None outside the parameter space."""
    data = slope_moments(pattern, moments)
    point = evaluate(pattern, data, params)
    if point is None:
        return None
    rows = point.residuals.within[0]
    weight = rows.T @ point.precision @ rows
    inner = weight[moments.varying_entries, moments.varying_entries]
    white = whiten(point.roots, coordinates_of(data, point.residuals))[:, 0]
    distance = np.einsum("jm,jm->j", white, white)
    for part in blocks(moments.n_clusters, inner.size):
        distance[part] += np.einsum("ab,jab->j", inner, rest_of(data, moments, part))
    outcomes, own = len(rows), len(point.between.sigma) - pattern.split
    df = data.sizes * outcomes + own
    deviance = (
        df * LOG_2PI
        + (data.sizes - data.depth) * point.determinant
        - log_determinant(point.roots)
        + distance
    )
    return ClusterFit(frozen(-0.5 * deviance), frozen(distance), frozen(df))
