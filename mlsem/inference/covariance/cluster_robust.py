"""Cluster-robust covariances of the CR family, with Satterthwaite degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.arrow import Arrow
from mlsem.core.linalg import along
from mlsem.core.records import Array, Index, frozen
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.covariance.adjust import Adjusted, adjusted
from mlsem.inference.covariance.equations import WhiteClusters, WhiteKinds

ALONE = 1e-8  # share of a contrast in directions of leverage 1 that leaves it without a variance


@dataclass(frozen=True, slots=True, eq=False)
class RobustContrasts:
    """What one pass over the clusters gives.

    Attributes
    ----------
    meat : Arrow
        Σ u_j u_jᵀ, times the small-sample factor of the kind.
    df : (c,)
        Satterthwaite degrees of freedom of each contrast; NaN where it has no variance.
    effective : (c,)
        Effective number of clusters, 1 / Σ h_j², h_j = c̃ᵀY_jc̃ / c̃ᵀYc̃ the share of cluster j in the
        variance of the contrast if the model is right (Y_j = X_j and ΣX_j = I without weights).
    alone : (c, s)
        Share of each contrast in directions that one of the clusters `soloists` alone determines.
    soloists : (s,)
    """

    meat: Arrow
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
    P_jk = δ_jk d_j - F_jᵀ S F_k, where F = pullᵀc, d = cᵀ spread c, h = FᵀSF, S = diag(signs):

        tr P = Σ(d_j - h_j),   tr P² = Σ(d_j² - 2 d_j h_j) + tr S M S M,   M = Σ F_j F_jᵀ
        df = (tr P)² / (tr P² + ½ Σ κ₄(a_jᵀs_j)),   a_j the adjusted contrast

    For normal scores (those of means) κ₄ = 0 and this is Bell & McCaffrey (2002); the scores of
    variances and loadings are quadratic in the data, and vary more than normal ones would.

    Σ F_j F_jᵀ has a block for the own directions of each term; `corner` is that of the shared ones.
    """
    count = len(contrasts)
    assert kind.adjustment is not None
    corner = np.zeros((count, clusters.n_shared, clusters.n_shared))
    trace, squares, fourth, shares = np.zeros((4, count))
    lengths = np.einsum("cn,cn->c", contrasts, contrasts)
    alone: list[Array] = []
    soloists: list[int] = []
    meats: list[Array] = []
    for term in clusters.terms:
        own, size = contrasts[:, term.places], len(term.places)
        signs = term.signs
        width = size if signs is None else len(signs)
        meat, across = np.zeros((size, size)), np.zeros((count, width, width))
        for kinds in term.parts(count):
            found, weights = adjusted(kinds, kind.adjustment), kinds.counts
            pulled = own @ found.pull
            h = np.einsum("kcn,kcn->kc", pulled, pulled if signs is None else pulled * signs)
            d = np.einsum("knc,cn->kc", along(found.spread, own), own)
            trace += weights @ (d - h)
            squares += weights @ (d * (d - 2.0 * h))
            if (weights != 1.0).any():
                pulled *= np.sqrt(weights)[:, None, None]
            across += pulled.transpose(1, 2, 0) @ pulled.transpose(1, 0, 2)
            fourth += weights @ kinds.cumulants(found.turned(own))
            share = np.einsum("knc,cn->kc", along(found.variance, own), own)
            shares += weights @ share**2
            meat += found.scores.T @ found.scores
            _note_soloists(kinds, found, own, lengths, alone, soloists)
        if signs is None:
            corner += taken_out(across, term.own)
        squares += np.einsum("cab,cab->c", across, both_signs(across, signs))
        meats.append(meat * small_sample_factor(clusters, kind))
    squares += np.einsum("cab,cab->c", corner, corner)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = trace**2 / (squares + 0.5 * fourth)
        effective = _variances(clusters, contrasts, lengths) ** 2 / shares
    return RobustContrasts(
        meat=clusters.layout.summed(meats),
        df=frozen(df),
        effective=frozen(effective),
        alone=frozen(np.array(alone).reshape(-1, count).T),
        soloists=frozen(np.array(soloists, dtype=np.intp)),
    )


def both_signs(
    across: Shaped[Array, "*c f f"], signs: Shaped[Array, "f"] | None
) -> Shaped[Array, "*c f f"]:
    """S M S."""
    return across if signs is None else signs[:, None] * across * signs


def _variances(
    clusters: WhiteClusters, contrasts: Shaped[Array, "c n"], lengths: Shaped[Array, "c"]
) -> Shaped[Array, "c"]:
    """c̃ᵀYc̃ of each contrast, its variance if the model is right: |c̃|² without weights."""
    (first, *_) = clusters.terms
    return lengths if first.spread is None else ((contrasts @ first.spread) ** 2).sum(axis=1)


def taken_out(across: Shaped[Array, "*c m m"], own: int) -> Shaped[Array, "*c s s"]:
    """The shared directions' part of sums over a term's clusters, its first `own` directions being
    the term's own; what is left of the sums is that of this term alone."""
    corner = across[..., own:, own:].copy()
    across[..., own:, own:] = 0.0
    return corner


def _note_soloists(
    kinds: WhiteKinds,
    found: Adjusted,
    contrasts: Shaped[Array, "c n"],
    lengths: Shaped[Array, "c"],
    alone: list[Shaped[Array, "c"]],
    soloists: list[int],
) -> None:
    for place in np.flatnonzero(found.alone.any(axis=(1, 2))):
        share = np.einsum("cn,nm,cm->c", contrasts, found.alone[place], contrasts)
        alone.append(share / np.where(lengths > 0, lengths, 1.0))
        (cluster,) = kinds.members[kinds.kind == place]
        soloists.append(int(cluster))


def small_sample_factor(clusters: WhiteClusters, kind: StandardErrors) -> float:
    """That of the kind, p being the fixed effects of a linear mixed model, all free parameters
    elsewhere; 1 where it has none."""
    if kind.factor is None:
        return 1.0
    working = clusters.working
    p = working.n_fixed or clusters.basis.shape[1]
    return kind.factor(working.n_clusters, working.n_rows, p)
