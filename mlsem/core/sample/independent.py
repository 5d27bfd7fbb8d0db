"""Maximum-likelihood estimates of variables with a part within and one between clusters, each by
itself: y_ij = μ + u_j + e_ij, Var e = W, Var u = B, without a bound on B.

With d_s = W + n_s B, q_s = Σ_j (ȳ_j - μ)² of the J_s clusters of size n_s, and w = Σ (y_ij - ȳ_j)²:

    ∂ℓ/∂W = ½ [w / W² - (N - J) / W + Σ_s g_s],   ∂ℓ/∂B = ½ Σ_s n_s g_s,
    g_s = n_s q_s / d_s² - J_s / d_s,             μ = Σ_s (n_s / d_s) Σ_j ȳ_j / Σ_s J_s n_s / d_s,
    I_WW = ½ [(N - J) / W² + Σ_s J_s / d_s²],   I_WB = ½ Σ_s J_s n_s / d_s²,
    I_BB = ½ Σ_s J_s n_s² / d_s².

All variables take steps of Fisher scoring together.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array
from mlsem.core.sample.shapes import ShapeMoments

STEPS, TIGHT = 30, 1e-8  # of a search: how many, and the last one's length in standard errors


def independent_moments(
    data: ShapeMoments, maps: Shaped[Array, "p D"]
) -> tuple[Shaped[Array, "p"], Shaped[Array, "p"], Shaped[Array, "p"]]:
    """μ, W and B of variables as maps of h; NaN where no maximum was found."""
    away = maps.copy()
    away[:, 0] = 0.0  # constants may be large
    sizes, clusters = data.sizes[:, None], data.clusters[:, None]
    freedom = float((data.sizes - 1.0) @ data.clusters)
    inner = np.einsum("pd,de,pe->p", away, data.within, away)
    sums = data.cross[:, 0] @ away.T
    squares = np.einsum("pd,sde,pe->sp", away, data.cross, away)
    mean = sums.sum(axis=0) / data.n_clusters
    within = inner / freedom
    spread = squares.sum(axis=0) / data.n_clusters - mean**2
    between = spread - within * float((data.clusters / data.sizes).sum()) / data.n_clusters
    length = np.full_like(within, np.inf)
    for _ in range(STEPS):
        total = within + sizes * between
        mean = (sizes / total * sums).sum(axis=0) / (clusters * sizes / total).sum(axis=0)
        left = squares - 2.0 * mean * sums + clusters * mean**2
        pull = sizes * left / total**2 - clusters / total
        known = clusters / total**2
        slope = inner / within**2 - freedom / within + pull.sum(axis=0), (sizes * pull).sum(axis=0)
        own, both = freedom / within**2 + known.sum(axis=0), (sizes * known).sum(axis=0)
        outer = (sizes**2 * known).sum(axis=0)
        determinant = own * outer - both**2
        step = (
            (outer * slope[0] - both * slope[1]) / determinant,
            (own * slope[1] - both * slope[0]) / determinant,
        )
        length = 0.5 * (slope[0] * step[0] + slope[1] * step[1])
        if not (length > TIGHT**2).any():
            break
        within, between = within + step[0], between + step[1]
    inside = (within > 0) & (within + sizes * between > 0).all(axis=0) & (length <= TIGHT**2)
    lost = np.where(inside, 0.0, np.nan)
    return mean + maps[:, 0] + lost, within + lost, between + lost
