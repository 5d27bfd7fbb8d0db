"""Cluster-robust covariances of the CR family, with Satterthwaite degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.arrow import Arrow
from mlsem.core.records import Array, Index, frozen
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.covariance.adjust import Adjustments, adjustments
from mlsem.inference.covariance.equations import WhiteClusters, WhiteKinds, WhiteRows

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
        Effective number of clusters, 1 / Σ h_j², h_j = c̃ᵀX_jc̃ / c̃ᵀc̃ the share of cluster j in the
        variance of the contrast if the model is right.
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
    P_jk = δ_jk d_j - F_jᵀF_k, where F = pullᵀc, d = cᵀ spread c, h = |F|²:

        tr P = Σ(d_j - h_j),   tr P² = Σ(d_j² - 2 d_j h_j) + |Σ F_j F_jᵀ|²
        df = (tr P)² / (tr P² + ½ Σ κ₄(a_jᵀs_j)),   a_j the adjusted contrast

    For normal scores (those of means) κ₄ = 0 and this is Bell & McCaffrey (2002); the scores of
    variances and loadings are quadratic in the data, and vary more than normal ones would.

    Σ F_j F_jᵀ has a block for the own directions of each term; `corner` is that of the shared ones.
    """
    count = len(contrasts)
    assert kind.adjustment is not None
    corner = np.zeros((count, clusters.n_shared, clusters.n_shared))
    trace, squares, fourth, shares = np.zeros((4, count))
    sums = _Sums(trace, squares, fourth, shares, {})
    lengths = np.einsum("cn,cn->c", contrasts, contrasts)
    meats: list[Array] = []
    for term in clusters.terms:
        scores = np.empty_like(term.scores)
        first = 0
        for part in term.apart(contrasts[:, term.places]):
            size = len(part.places)
            own, columns = contrasts[:, part.places], slice(first, first + size)
            first += size
            across = np.zeros((count, size, size))
            for block in part.parts(count):
                seen = adjustments(block, kind.adjustment, own)
                scores[block.which, columns] = seen.scores
                sums.add(seen, block.counts, across)
                sums.note(seen, block, own, lengths)
            corner += taken_out(across, part.own)
            sums.squares += np.einsum("cab,cab->c", across, across)
        meats.append(small_sample_factor(clusters, kind) * (scores.T @ scores))
    sums.squares += np.einsum("cab,cab->c", corner, corner)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = sums.trace**2 / (sums.squares + 0.5 * sums.fourth)
        effective = lengths**2 / sums.shares
    return RobustContrasts(
        meat=clusters.layout.summed(meats),
        df=frozen(df),
        effective=frozen(effective),
        alone=frozen(np.array(list(sums.alone.values())).reshape(-1, count).T),
        soloists=frozen(np.array(list(sums.alone), dtype=np.intp)),
    )


@dataclass(slots=True, eq=False)
class _Sums:
    """Sums over clusters of what each contrast has of them: d - h, d (d - 2h), κ₄ and the square of
    cᵀXc, (c,) each; and the share of it that single clusters alone determine."""

    trace: Shaped[Array, "c"]
    squares: Shaped[Array, "c"]
    fourth: Shaped[Array, "c"]
    shares: Shaped[Array, "c"]
    alone: dict[int, Shaped[Array, "c"]]

    def add(
        self, seen: Adjustments, counts: Shaped[Array, "k"], across: Shaped[Array, "c n n"]
    ) -> None:
        """As many clusters of each kind; Σ F Fᵀ to `across`."""
        d, pulled = seen.spread, seen.pulled
        h = np.einsum("cnk,cnk->ck", pulled, pulled)
        self.trace += (d - h) @ counts
        self.squares += (d * (d - 2.0 * h)) @ counts
        self.fourth += seen.fourth @ counts
        self.shares += seen.share**2 @ counts
        across += (pulled * counts) @ pulled.swapaxes(1, 2)

    def note(
        self,
        seen: Adjustments,
        block: WhiteKinds | WhiteRows,
        contrasts: Shaped[Array, "c n"],
        lengths: Shaped[Array, "c"],
    ) -> None:
        """What single clusters of the block alone determine."""
        for place in np.flatnonzero(np.einsum("kaa->k", seen.alone) > 0.5):
            share = np.einsum("cn,nm,cm->c", contrasts, seen.alone[place], contrasts)
            (cluster,) = block.members[block.kind == place].tolist()
            share = share / np.where(lengths > 0, lengths, 1.0)
            self.alone[cluster] = self.alone.get(cluster, 0.0) + share


def taken_out(across: Shaped[Array, "*c m m"], own: int) -> Shaped[Array, "*c s s"]:
    """The shared directions' part of sums over a term's clusters, its first `own` directions being
    the term's own; what is left of the sums is that of this term alone."""
    corner = across[..., own:, own:].copy()
    across[..., own:, own:] = 0.0
    return corner


def small_sample_factor(clusters: WhiteClusters, kind: StandardErrors) -> float:
    """That of the kind, p being the fixed effects of a linear mixed model, all free parameters
    elsewhere; 1 where it has none."""
    if kind.factor is None:
        return 1.0
    working = clusters.working
    p = clusters.basis.shape[1] if working.mixed is None else working.mixed.rows.fixed
    return kind.factor(working.n_clusters, working.n_rows, p)
