"""What each cluster has in the estimates: its share of the information, and what it moves.

In units in which the expected information A is the identity, cluster j has score s_j and
leverage X_j, ΣX_j = I; a parameter takes c̃ᵀs_j of it (`WhiteClusters.contrasts`).

    share    h_j = c̃ᵀX_jc̃ / c̃ᵀc̃, which sums to 1 over clusters (Σ_j tr X_j = n): of the parameter's
             variance if the model is right
    change   θ_(j) - θ̂ = -c̃ᵀ(I - X_j)⁻¹s_j, one step without the cluster

For the coefficients of a linear model at given variances the step is exact (Preisser & Qaqish,
1996, Biometrika 83, 551-562). The squared changes sum to the variance that CR3 estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from mlsem.core.records import Array, frozen
from mlsem.estimation.standard_errors import JACKKNIFE
from mlsem.inference.covariance.adjust import adjusted
from mlsem.inference.covariance.cluster_robust import ALONE
from mlsem.inference.covariance.equations import WhiteClusters


@dataclass(frozen=True, slots=True, eq=False)
class ClusterInfluence:
    """Of G robust clusters, on c contrasts.

    Attributes
    ----------
    leverage : (G,)
        tr X_j: how many of the n free directions the cluster determines.
    share : (G, c)
        h; NaN where constraints leave a contrast no freedom.
    change : (G, c)
        What leaving the cluster out does to the contrast, in one step; NaN where the cluster
        alone determines part of it (leverage 1), so that nothing would be left.
    alone : (G,) of bool
        Whether the cluster alone determines some direction: the others do not identify the model.
    """

    leverage: Shaped[Array, "G"]
    share: Shaped[Array, "G c"]
    change: Shaped[Array, "G c"]
    alone: Shaped[NDArray[np.bool_], "G"]


def cluster_influence(clusters: WhiteClusters, contrasts: Shaped[Array, "c n"]) -> ClusterInfluence:
    """Shares and changes of contrasts cᵀθ, by what they take of the scores."""
    count, total = len(contrasts), clusters.working.n_clusters
    leverage, alone = np.empty(total), np.zeros(total, dtype=bool)
    share, change = np.empty((2, total, count))
    lengths = np.einsum("cn,cn->c", contrasts, contrasts)
    lengths = np.where(lengths > 0.0, lengths, np.nan)
    for kinds in clusters.parts(count):
        members, kind, own = kinds.members, kinds.kind, contrasts[:, kinds.places]
        found = adjusted(kinds, JACKKNIFE)
        leverage[members] = np.einsum("kaa->k", found.leverage)[kind]
        share[members] = (_quadratic(own, found.leverage) / lengths)[kind]
        gone = (_quadratic(own, found.alone) / lengths)[kind] > ALONE
        alone[members] = np.einsum("kaa->k", found.alone)[kind] > 0.5  # a projection's rank
        change[members] = np.where(gone, np.nan, -found.scores @ own.T)
    return ClusterInfluence(frozen(leverage), frozen(share), frozen(change), frozen(alone))


def _quadratic(
    contrasts: Shaped[Array, "c n"], matrices: Shaped[Array, "k n n"]
) -> Shaped[Array, "k c"]:
    """cᵀXc."""
    return np.einsum("kcn,cn->kc", contrasts @ matrices, contrasts)


def ratio_range(
    df: Shaped[Array, "c"], share: float = 0.95
) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
    """Between which values this share of the ratios of a cluster-robust to the true standard
    error lies where the model is right: roots of the quantiles of χ²/df.

    That is what Satterthwaite's degrees of freedom mean. The model's standard error is an
    estimate too, so the range of the ratio to it is somewhat wider.

    Parameters
    ----------
    df : (c,)
    """
    tail = 0.5 - 0.5 * share
    lower, upper = (np.sqrt(gammaincinv(0.5 * df, p) / (0.5 * df)) for p in (tail, 1.0 - tail))
    return lower, upper


def three_largest(changes: Shaped[Array, "G"], labels: list[str]) -> tuple[tuple[str, float], ...]:
    """Of changes (G,) without each cluster, and whose."""
    size = np.where(np.isnan(changes), -1.0, np.abs(changes))
    places = np.argsort(-size, kind="stable")[:3]
    return tuple((labels[k], float(changes[k])) for k in places if size[k] >= 0.0)
