"""Cluster-robust covariances of the CR family, with Satterthwaite degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.records import Array, Index, frozen
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.covariance.adjust import Adjusted, adjusted
from mlsem.inference.covariance.equations import WhiteClusters

ALONE = 1e-8  # share of a contrast in directions of leverage 1 that leaves it without a variance


@dataclass(frozen=True, slots=True, eq=False)
class RobustContrasts:
    """What one pass over the clusters gives.

    Attributes
    ----------
    meat : (n, n)
        Σ u_j u_jᵀ, times the small-sample factor of the kind.
    df : (c,)
        Satterthwaite degrees of freedom of each contrast; NaN where it has no variance.
    effective : (c,)
        Effective number of clusters, 1 / Σ h_j², h_j = c̃ᵀX_jc̃ / c̃ᵀc̃ the share of cluster j in the
        variance of the contrast if the model is right.
    alone : (c, s)
        Share of each contrast in directions that one of the clusters `soloists` alone determines.
    soloists : (s,)
    """

    meat: Shaped[Array, "n n"]
    df: Shaped[Array, "c"]
    effective: Shaped[Array, "c"]
    alone: Shaped[Array, "c s"]
    soloists: Shaped[Index, "s"]

    @property
    def undetermined(self) -> Shaped[NDArray[np.bool_], "c"]:
        """Contrasts that have no cluster-robust variance."""
        return self.alone.sum(axis=1) > ALONE


def robust_contrasts(
    clusters: WhiteClusters, kind: StandardErrors, contrasts: Shaped[Array, "c n"]
) -> RobustContrasts:
    """The meat and the degrees of freedom of contrasts cᵀθ.

    Parameters
    ----------
    kind : StandardErrors
        With an adjustment of the scores.
    contrasts : (c, n)
        What they take of the scores: `WhiteClusters.contrasts`.

    Notes
    -----
    The variance estimate Σ(cᵀu_j)² is a quadratic form in the scores with the matrix
    P_jk = δ_jk d_j - F_jᵀF_k, where F = pullᵀc, d = cᵀ spread c, h = |F|²:

        tr P = Σ(d_j - h_j),   tr P² = Σ(d_j² - 2 d_j h_j) + |Σ F_j F_jᵀ|²
        df = (tr P)² / (tr P² + ½ Σ κ₄(a_jᵀs_j)),   a_j the adjusted contrast

    For normal scores (those of means) κ₄ = 0 and this is Bell & McCaffrey (2002); the scores of
    variances and loadings are quadratic in the data, and vary more than normal ones would.
    """
    count, size = contrasts.shape
    assert kind.adjustment is not None
    meat, across = np.zeros((size, size)), np.zeros((count, size, size))
    trace, squares, fourth, shares = np.zeros((4, count))
    lengths = np.einsum("cn,cn->c", contrasts, contrasts)
    alone: list[Array] = []
    soloists: list[int] = []
    for part in clusters.parts():
        found = adjusted(clusters, kind.adjustment, part)
        weights = clusters.counts[part]
        pulled = contrasts @ found.pull
        h = np.einsum("kcn,kcn->kc", pulled, pulled)
        d = np.einsum("kcn,cn->kc", contrasts @ found.spread, contrasts)
        trace += weights @ (d - h)
        squares += weights @ (d * (d - 2.0 * h))
        weighted = np.sqrt(weights)[:, None, None] * pulled
        across += weighted.transpose(1, 2, 0) @ weighted.transpose(1, 0, 2)
        fourth += weights @ clusters.cumulants(part, contrasts @ found.adjustment)
        share = np.einsum("kcn,cn->kc", contrasts @ found.leverage, contrasts)
        shares += weights @ share**2
        meat += found.scores.T @ found.scores
        _note_soloists(clusters, part, found, contrasts, alone, soloists)
    squares += np.einsum("cab,cab->c", across, across)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = trace**2 / (squares + 0.5 * fourth)
        effective = lengths**2 / shares
    return RobustContrasts(
        meat=frozen(meat * small_sample_factor(clusters, kind)),
        df=frozen(df),
        effective=frozen(effective),
        alone=frozen(np.array(alone).reshape(-1, count).T),
        soloists=frozen(np.array(soloists, dtype=np.intp)),
    )


def _note_soloists(
    clusters: WhiteClusters,
    part: slice,
    found: Adjusted,
    contrasts: Shaped[Array, "c n"],
    alone: list[Shaped[Array, "c"]],
    soloists: list[int],
) -> None:
    lengths = np.einsum("cn,cn->c", contrasts, contrasts)
    for place in np.flatnonzero(found.alone.any(axis=(1, 2))):
        share = np.einsum("cn,nm,cm->c", contrasts, found.alone[place], contrasts)
        alone.append(share / np.where(lengths > 0, lengths, 1.0))
        (cluster,) = np.flatnonzero(clusters.working.kind == part.start + place)
        soloists.append(int(cluster))


def small_sample_factor(clusters: WhiteClusters, kind: StandardErrors) -> float:
    """That of the kind, p being the fixed effects of a linear mixed model, all free parameters
    elsewhere; 1 where it has none."""
    if kind.factor is None:
        return 1.0
    working = clusters.working
    p = clusters.basis.shape[1] if working.mixed is None else working.mixed.design.shape[2]
    return kind.factor(working.n_clusters, working.n_rows, p)
