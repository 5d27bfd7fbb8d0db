"""Posteriors of the level-2 variables of clusters of complete rows, for random intercepts too.

In the coordinates of `likelihood`, T_jᵀ V_j⁻¹ e_j and T_jᵀ V_j⁻¹ T_j of all rows are those of the
d coordinates that (u, z) move.
"""

from __future__ import annotations

from typing import Annotated as Shaped

from mlsem.core.evidence.posterior import Posterior, posterior_of
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.records import Array, ClusterMoments
from mlsem.core.slopes.carriers import slope_moments
from mlsem.core.slopes.likelihood import between_gradient, evaluate


def posterior_at(
    pattern: ModelPattern,
    moments: ClusterMoments,
    params: Shaped[Array, "npar"],
    turn: Shaped[Array, "qr qr"] | None = None,
) -> Posterior | None:
    """The posterior at parameters of the pattern; `turn` K gives the variables K (u, s, z). None
    outside the parameter space."""
    data = slope_moments(pattern, moments)
    point = evaluate(pattern, data, params)
    if point is None:
        return None
    pulled = between_gradient(data, point.weighted[:, None])[:, 0]
    white = point.roots @ data.loadings
    information = white.swapaxes(1, 2) @ white
    return posterior_of(pattern.between, point.between, pulled, information, turn)
