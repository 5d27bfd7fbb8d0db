"""What the data say of the variables, latent and observed, of clusters and of units of level 3.

With ρ the gradient in the mean of what is observed of a level and Ω its expected information,

    E(v | data) = μ_v + C_vo ρ,    Var(v | data) = C_vv - C_vo Ω C_ov,

C the covariance of the level's variables, o the observed ones. At level 3 these are ρ³ and Ω³ of
`likelihood`; at level 2 the rows (u, z) of L̄ x_j and of L̄ (I - X K Xᵀ) L̄ᵀ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.pattern import LevelMoments, LevelPattern, ModelPattern
from mlsem.core.intercepts.clusters import mean_places
from mlsem.core.linalg import apply_maps
from mlsem.core.nested.likelihood import NestedPoint
from mlsem.core.nested.sample import NestedSample
from mlsem.core.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class NestedPosterior:
    """Of the variables v of a level.

    Attributes
    ----------
    names : tuple of str
    mean, variance : (u, nv)
        Of each cluster, or unit of level 3.
    """

    names: tuple[str, ...]
    mean: Shaped[Array, "u nv"]
    variance: Shaped[Array, "u nv"]


def posterior_of_units(
    pattern: ModelPattern, point: NestedPoint, data: NestedSample
) -> NestedPosterior:
    """Of level 3."""
    information = point.effects.level3[data.kind_of]
    third = pattern.levels[2], point.levels[2]
    return _posterior(*third, data.unit_rows, point.scores3, information)


def posterior_of_clusters(
    pattern: ModelPattern, point: NestedPoint, data: NestedSample
) -> NestedPosterior:
    """Of level 2: the parts that differ within units of level 3."""
    means = point.means
    second, p = point.levels[1], len(point.levels[0].sigma)
    places = mean_places(p, len(second.sigma), pattern.split)
    own = means.factor[:, places]
    scores = apply_maps(own, data.shape_of, point.white)
    kept = point.effects.posterior[data.kind_of[data.moments.unit_of]]
    moved = (own @ means.raised)[data.shape_of]
    information = (own @ own.swapaxes(1, 2))[data.shape_of] - moved @ kept @ moved.swapaxes(1, 2)
    return _posterior(pattern.levels[1], second, data.rows, scores, information)


def _posterior(
    level: LevelPattern,
    moments: LevelMoments,
    rows: Shaped[Array, "u D"],
    scores: Shaped[Array, "u o"],
    information: Shaped[Array, "u o o"],
) -> NestedPosterior:
    across = moments.covariance[:, level.observed]
    expected = rows @ (moments.coefficients @ level.covariates).T
    taken = np.einsum("vo,uop,vp->uv", across, information, across)
    variance = np.diagonal(moments.covariance) - taken
    return NestedPosterior(level.names, expected + scores @ across.T, variance)
