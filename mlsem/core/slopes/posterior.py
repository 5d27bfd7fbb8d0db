"""What the data say of the level-2 variables of each cluster: posterior means and covariances.

With v all variables of level 2, latent and observed, (u, z) the observed rows among them with
the random slopes, and a cluster's coordinates as in `slopes` (residual ē_j, covariance V̄_j, T_j
the map of (u, z) to the coordinates),

    E(v_j | data) - E(v_j) = C T_jᵀ V̄_j⁻¹ ē_j,      C = Cov(v, (u, z)),
    Cov(v_j | data)        = Cov(v) - C T_jᵀ V̄_j⁻¹ T_j Cᵀ,

the best linear unbiased predictor of a mixed model (Henderson, 1975; Laird & Ware, 1982, eq. 3.1)
at the estimates. Nothing of Cov(v) is inverted, so that a variance of zero is no special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.optimise.coordinates import Coordinates
from mlsem.core.records import Array, ClusterMoments, Index, frozen
from mlsem.core.slopes.carriers import slope_moments
from mlsem.core.slopes.likelihood import between_gradient, evaluate


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Of the level-2 variables of each cluster, given the data and the parameters.

    Attributes
    ----------
    names : tuple of str
        Observed rows of level 2 (random intercepts, random slopes, level-2 outcomes), then the
        other variables of the pattern.
    mean : (J, n)
        Less what the model expects of a cluster with its covariates.
    covariance : (J, n, n)
    prior : (n, n)
        Cov(v).
    pulled : (J, m)
        ρ_j, with E(v_j | data) - E(v_j) = C ρ_j; m observed rows.
    information : (J, m, m)
        Ω_j = T_jᵀ V̄_j⁻¹ T_j, the covariance of ρ_j.
    """

    names: tuple[str, ...]
    mean: Shaped[Array, "J n"]
    covariance: Shaped[Array, "J n n"]
    prior: Shaped[Array, "n n"]
    pulled: Shaped[Array, "J m"]
    information: Shaped[Array, "J m m"]


def level2_posterior(
    coordinates: Coordinates, moments: ClusterMoments, params: Shaped[Array, "npar"]
) -> Posterior | None:
    """The posterior at the optimiser's parameters, of the user's variables.

    None outside the parameter space.
    """
    turn = coordinates.effects_to_user()
    return posterior_at(coordinates.internal, moments, params, turn)


def posterior_at(
    pattern: ModelPattern,
    moments: ClusterMoments,
    params: Shaped[Array, "npar"],
    turn: Shaped[Array, "qr qr"] | None = None,
) -> Posterior | None:
    """The posterior at parameters of the pattern; `turn` K gives the variables K (u, s, z)."""
    data = slope_moments(pattern, moments)
    point = evaluate(pattern, data, params)
    if point is None:
        return None
    level, observed = pattern.between, pattern.between.observed
    others = np.setdiff1d(np.arange(len(level.names)), observed)
    order: Index = np.concatenate((observed, others)).astype(np.intp)
    positions: list[int] = order.tolist()
    turn = np.eye(len(observed)) if turn is None else turn
    select = np.eye(len(level.names))[order]
    select[: len(observed)] = turn @ select[: len(observed)]
    prior = select @ point.between.covariance @ select.T
    across = select @ point.between.covariance[:, observed]
    pulled = between_gradient(data, point.weighted[:, None])[:, 0]
    white = point.roots @ data.loadings
    half = white @ across.T
    back = np.linalg.inv(turn)
    white = white @ back
    return Posterior(
        names=tuple(level.names[k] for k in positions),
        mean=frozen(pulled @ across.T),
        covariance=frozen(prior - half.swapaxes(1, 2) @ half),
        prior=frozen(prior),
        pulled=frozen(pulled @ back),
        information=frozen(white.swapaxes(1, 2) @ white),
    )
