"""What the data say of the level-2 variables of each cluster: posterior means and covariances.

With v all variables of level 2, latent and observed, (u, z) the observed rows among them with
the random slopes, T_j how all that is observed of the cluster moves with (u, z), e_j its residual
and V_j its covariance matrix,

    E(v_j | data) - E(v_j) = C ρ_j,            ρ_j = T_jᵀ V_j⁻¹ e_j,    C = Cov(v, (u, z)),
    Cov(v_j | data)        = Cov(v) - C Ω_j Cᵀ,    Ω_j = T_jᵀ V_j⁻¹ T_j,

the best linear unbiased predictor of a mixed model (Henderson, 1975; Laird & Ware, 1982, eq. 3.1)
at the estimates. Nothing of Cov(v) is inverted, so that a variance of zero is no special case. A z
that is missing has zeros in ρ_j and Ω_j.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.pattern import LevelMoments, LevelPattern
from mlsem.core.records import Array, Index, frozen


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
        ρ_j; m observed rows.
    information : (J, m, m)
        Ω_j, the covariance of ρ_j.
    """

    names: tuple[str, ...]
    mean: Shaped[Array, "J n"]
    covariance: Shaped[Array, "J n n"]
    prior: Shaped[Array, "n n"]
    pulled: Shaped[Array, "J m"]
    information: Shaped[Array, "J m m"]


def posterior_of(
    level: LevelPattern,
    moments: LevelMoments,
    pulled: Shaped[Array, "J m"],
    information: Shaped[Array, "J m m"],
    turn: Shaped[Array, "m m"] | None = None,
) -> Posterior:
    """The posterior by ρ_j and Ω_j; `turn` K gives the variables K (u, s, z)."""
    observed = level.observed
    others = np.setdiff1d(np.arange(len(level.names)), observed)
    order: Index = np.concatenate((observed, others)).astype(np.intp)
    positions: list[int] = order.tolist()
    turn = np.eye(len(observed)) if turn is None else turn
    select = np.eye(len(level.names))[order]
    select[: len(observed)] = turn @ select[: len(observed)]
    prior = select @ moments.covariance @ select.T
    across = select @ moments.covariance[:, observed]
    back = np.linalg.inv(turn)
    return Posterior(
        names=tuple(level.names[k] for k in positions),
        mean=frozen(pulled @ across.T),
        covariance=frozen(prior - across @ information @ across.T),
        prior=frozen(prior),
        pulled=frozen(pulled @ back),
        information=frozen(back.T @ information @ back),
    )
