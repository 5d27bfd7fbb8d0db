"""Cluster-robust covariances of the CR family, with Satterthwaite degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.arrow import Arrow
from mlsem.core.linalg import in_use, transposed
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
        Effective number of clusters, 1 / Σ h_j², h_j = c̃ᵀY_jc̃ / c̃ᵀYc̃ the share of cluster j in the
        variance of the contrast if the model is right (Y_j = X_j and Y = I without weights).
    alone : (c, s)
        Share of each contrast in directions that one of the clusters `soloists` alone determines.
    soloists : (s,)
    """

    meat: Arrow
    df: Shaped[Array, "... c"]
    effective: Shaped[Array, "... c"]
    alone: Shaped[Array, "... c s"]
    soloists: Shaped[Index, "s"]

    @property
    def undetermined(self) -> Shaped[NDArray[np.bool_], "... c"]:
        """Contrasts that have no cluster-robust variance."""
        return self.alone.sum(axis=-1) > ALONE


def robust_contrasts(
    clusters: WhiteClusters, kind: StandardErrors, contrasts: Shaped[Array, "... c n"]
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
    *lead, count, _ = contrasts.shape
    assert kind.adjustment is not None
    corner = np.zeros((*lead, count, clusters.n_shared, clusters.n_shared))
    trace, squares, fourth, shares = np.zeros((4, *lead, count))
    sums = _Sums(trace, squares, fourth, shares, {})
    lengths = np.einsum("...cn,...cn->...c", contrasts, contrasts)
    meats: list[Array] = []
    for term in clusters.terms:
        scores = np.empty_like(term.scores)
        first = 0
        for part in term.apart(contrasts.take(term.places, -1)):
            size, signs = len(part.places), part.signs
            own, columns = contrasts.take(part.places, -1), slice(first, first + size)
            first += size
            width = size if signs is None else len(signs)
            across = np.zeros((*lead, count, width, width))
            for block in part.parts(count):
                seen = adjustments(block, kind.adjustment, own)
                scores[..., block.which, columns] = seen.scores
                sums.add(seen, block.counts, across, signs)
                sums.note(seen, block, own, lengths)
            if signs is None:
                corner += taken_out(across, part.own)
            sums.squares += np.einsum("...ab,...ab->...", across, both_signs(across, signs))
        meats.append(small_sample_factor(clusters, kind) * (transposed(scores) @ scores))
    sums.squares += np.einsum("...ab,...ab->...", corner, corner)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = sums.trace**2 / (sums.squares + 0.5 * sums.fourth)
        effective = _variances(clusters, contrasts, lengths) ** 2 / sums.shares
    alone = np.array(list(sums.alone.values())).reshape(-1, *lengths.shape)
    return RobustContrasts(
        meat=clusters.layout.summed(meats),
        df=frozen(df),
        effective=frozen(effective),
        alone=frozen(np.moveaxis(alone, 0, -1)),
        soloists=frozen(np.array(list(sums.alone), dtype=np.intp)),
    )


@dataclass(slots=True, eq=False)
class _Sums:
    """Sums over clusters of what each contrast has of them: d - h, d (d - 2h), κ₄ and the square of
    cᵀYc, (c,) each; and the share of it that single clusters alone determine."""

    trace: Shaped[Array, "... c"]
    squares: Shaped[Array, "... c"]
    fourth: Shaped[Array, "... c"]
    shares: Shaped[Array, "... c"]
    alone: dict[int, Shaped[Array, "... c"]]

    def add(
        self,
        seen: Adjustments,
        counts: Shaped[Array, "k"],
        across: Shaped[Array, "... c f f"],
        signs: Shaped[Array, "f"] | None,
    ) -> None:
        """As many clusters of each kind; Σ F Fᵀ to `across`."""
        d, pulled = seen.spread, seen.pulled
        signed = pulled if signs is None else pulled * signs[:, None]
        h = np.einsum("...cnk,...cnk->...ck", pulled, signed)
        self.trace += (d - h) @ counts
        self.squares += (d * (d - 2.0 * h)) @ counts
        self.fourth += seen.fourth @ counts
        self.shares += seen.share**2 @ counts
        across += (pulled * counts) @ transposed(pulled)

    def note(
        self,
        seen: Adjustments,
        block: WhiteKinds | WhiteRows,
        contrasts: Shaped[Array, "... c n"],
        lengths: Shaped[Array, "... c"],
    ) -> None:
        """What single clusters of the block alone determine."""
        for place in in_use(np.einsum("...kaa->...k", seen.alone) > 0.5):
            alone = seen.alone[..., place, :, :]
            share = np.einsum("...cn,...nm,...cm->...c", contrasts, alone, contrasts)
            (cluster,) = block.members[block.kind == place].tolist()
            share = share / np.where(lengths > 0, lengths, 1.0)
            self.alone[cluster] = self.alone.get(cluster, 0.0) + share


def both_signs(
    across: Shaped[Array, "*c f f"], signs: Shaped[Array, "f"] | None
) -> Shaped[Array, "*c f f"]:
    """S M S."""
    return across if signs is None else signs[:, None] * across * signs


def _variances(
    clusters: WhiteClusters, contrasts: Shaped[Array, "... c n"], lengths: Shaped[Array, "... c"]
) -> Shaped[Array, "... c"]:
    """c̃ᵀYc̃ of each contrast, its variance if the model is right: |c̃|² without weights."""
    (first, *_) = clusters.terms
    return lengths if first.spread is None else ((contrasts @ first.spread) ** 2).sum(axis=1)


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
    p = working.n_fixed or clusters.basis.shape[1]
    return kind.factor(working.n_clusters, working.n_rows, p)
