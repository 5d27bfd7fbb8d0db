"""Adjusted cluster scores.

In units in which the expected information is the identity, cluster j has score s_j and
leverage X_j (ΣX_j = I, eigenvalues in [0, 1]). At the estimates its score has lost what the
cluster itself had in them, s_j - X_j Σ s_k; the adjustments give it back:

    CR0  u_j = s_j        CR2  u_j = (I - X_j)^{-½} s_j        CR3  u_j = (I - X_j)⁻¹ s_j

(Bell & McCaffrey, 2002; Pustejovsky & Tipton, 2018, eq. 8 to 11, for linear models.) For the
fixed effects of a linear mixed model of one outcome CR2 is the adjustment of residuals
(Pustejovsky & Tipton, eq. 10), with the working covariance Φ = D'D, H = Φ - X M Xᵀ:

    u_j = X_jᵀ Φ_j⁻¹ D'(D H_j D')^{-½} D e_j.

A cluster is rows there in which Φ = Λ is diagonal, and with Y = Λ^{-½} X in the units above,

    u_j = Yᵀ Z Λ^{½} e,   Z = (Λ² - Λ Y Yᵀ Λ)^{-½},   spread = (Λ Z Y)ᵀ Λ Z Y,   pull = (Z Y)ᵀ Λ Y;

the adjusted scores of fixed effects are the same with Λ^{-½} e for Λ^{½} e, with I for Λ elsewhere.

Clusters that count w_j times (sampling weights) have scores of covariance Y_j = w_j X_j, if the
model is right, and ΣY_j = Y = R Rᵀ; at the estimates

    Cov(ŝ_j, ŝ_k) = δ_jk Y_j - X_j Y_k - Y_j X_k + X_j Y X_k,     V_j = Cov(ŝ_j, ŝ_j),
    CR2  u_j = (V_j Y_j⁻¹)^{-½} s_j on the range of Y_j,

whose V is unbiased for the means of a model, as without weights, where Y_j = X_j and V_j Y_j⁻¹ is
I - X_j. CR3, a step without the cluster, takes derivatives alone and is the same.

Where a cluster alone determines a direction (leverage 1) it has nothing left there, and u_j is
without that direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.linalg import along, apply_maps, products, transposed
from mlsem.core.records import Array
from mlsem.estimation.standard_errors import (
    BIAS_REDUCED,
    BY_DIRECTION,
    JACKKNIFE,
    Adjustment,
)
from mlsem.inference.covariance.equations import WhiteKinds, WhiteRows
from mlsem.inference.covariance.powers import (
    LEVERAGE_ONE,
    are_small,
    bound_of,
    inverse_root,
    lost_in,
    near_root,
    powers,
    spectral,
    zeros,
)

MOST = 0.75  # of a direction's leverage, that is given back (Fay & Graubard)
RANGE = 1e-11  # eigenvalues of a covariance, relative to its largest, that are zero


@dataclass(frozen=True, slots=True, eq=False)
class Adjusted:
    """Some kinds of clusters, k, and the scores of the clusters of these kinds, g, along the
    directions of their term.

    Attributes
    ----------
    scores : (g, n)
        u.
    leverage : (k, n, n)
        X.
    variance : (k, n, n)
        Working covariance of s, were the parameters known: X without weights.
    adjustment : (k, n, n)
        Q with u = Q s, without weights symmetric (of the fixed effects of a mixed model under CR2:
        what it is in the score form).
    spread : (k, n, n)
        Working covariance of u, were the parameters known.
    pull : (k, n, f)
        F with Cov(û_j, û_k) = δ_jk spread_j - F_j diag(signs) F_kᵀ. Without weights it is
        -∂E(u)/∂φ, what an error in the parameters does to u, and the signs are 1.
    alone : (k, n, n)
        Projection on the directions of leverage 1.
    """

    scores: Shaped[Array, "... g n"]
    leverage: Shaped[Array, "... k n n"]
    variance: Shaped[Array, "... k n n"]
    adjustment: Shaped[Array, "... k n n"]
    spread: Shaped[Array, "... k n n"]
    pull: Shaped[Array, "... k n f"]
    alone: Shaped[Array, "... k n n"]

    def turned(self, contrasts: Shaped[Array, "... c n"]) -> Shaped[Array, "... k c n"]:
        """Qᵀ c, what contrasts take of s."""
        if self.variance is self.leverage:  # symmetric, and many
            return transposed(along(self.adjustment, contrasts))
        return contrasts @ self.adjustment


@dataclass(frozen=True, slots=True, eq=False)
class AdjustedRows:
    """Some clusters as rows: of a linear mixed model, along the directions of fixed effects.

    Attributes
    ----------
    scores : (g, p)
        u.
    design : (d, p, g)
        Y.
    half : (d, p, g)
        Z Y.
    weights : (d, g)
        Λ; 1 for adjusted scores.
    alone : (g, p, p)
        Projection on the directions of leverage 1.
    """

    scores: Shaped[Array, "... g p"]
    design: Shaped[Array, "... d p g"]
    half: Shaped[Array, "... d p g"]
    weights: Shaped[Array, "... d g"]
    alone: Shaped[Array, "... g p p"]

    def put(self, found: Adjusted) -> None:
        """In place of what the fixed effects, the first directions, have in the score form."""
        p = self.design.shape[1]
        moved = self.weights[:, None] * self.half
        found.scores[:, :p] = self.scores
        found.spread[:, :p, :p] = np.einsum("dag,dbg->gab", moved, moved)
        found.pull[:, :p, :p] = np.einsum("dag,dbg->gab", moved, self.design)


@dataclass(frozen=True, slots=True, eq=False)
class Adjustments:
    """What c contrasts have of some kinds of clusters, k, and the adjusted scores of these, g.

    Attributes
    ----------
    scores : (g, n)
        u.
    alone : (k, n, n)
        Projection on the directions of leverage 1.
    pulled : (c, f, k)
        F = pullᵀ c.
    spread : (c, k)
        d = cᵀ spread c.
    share : (c, k)
        cᵀ Y c, of clusters that count alike cᵀ X c.
    fourth : (c, k)
        κ₄ of cᵀu; 0 of fixed effects, whose scores are linear in the data.
    """

    scores: Shaped[Array, "... g n"]
    alone: Shaped[Array, "... k n n"]
    pulled: Shaped[Array, "... c f k"]
    spread: Shaped[Array, "... c k"]
    share: Shaped[Array, "... c k"]
    fourth: Shaped[Array, "... c k"]


def adjustments(
    block: WhiteKinds | WhiteRows, how: Adjustment, contrasts: Shaped[Array, "... c n"]
) -> Adjustments:
    """Adjust the clusters of a block, for some contrasts."""
    if isinstance(block, WhiteRows):
        return _of_rows(adjusted_rows(block.rows, how), contrasts)
    found = adjusted(block, how)
    return Adjustments(
        scores=found.scores,
        alone=found.alone,
        pulled=_last(contrasts[..., None, :, :] @ found.pull),
        spread=np.einsum("...knc,...cn->...ck", along(found.spread, contrasts), contrasts),
        share=np.einsum("...knc,...cn->...ck", along(found.variance, contrasts), contrasts),
        fourth=transposed(block.cumulants(found.turned(contrasts))),
    )


def _last(stack: Shaped[Array, "... k m n"]) -> Shaped[Array, "... m n k"]:
    return stack.swapaxes(-3, -2).swapaxes(-2, -1)


def _of_rows(found: AdjustedRows, contrasts: Shaped[Array, "... c p"]) -> Adjustments:
    contrasts = contrasts[..., None, :, :]
    moved = found.weights[..., None, :] * (contrasts @ found.half)
    shared = contrasts @ found.design
    spread = np.einsum("...dcg,...dcg->...cg", moved, moved)
    return Adjustments(
        scores=found.scores,
        alone=found.alone,
        pulled=np.einsum("...dcg,...dpg->...cpg", moved, found.design),
        spread=spread,
        share=np.einsum("...dcg,...dcg->...cg", shared, shared),
        fourth=zeros(spread.shape),
    )


def adjusted(kinds: WhiteKinds, how: Adjustment) -> Adjusted:
    """Adjust the scores of the clusters of these kinds."""
    if kinds.term.spread is not None:
        return _adjusted_weighted(kinds, how, kinds.term.spread)
    if how is BY_DIRECTION:
        return _adjusted_by_direction(kinds)
    leverage = kinds.leverage
    adjustment, alone = powers(leverage, how.power)
    pull = adjustment @ leverage
    given = kinds.term.residual if how.residuals else None
    if given is not None:  # each cluster is of its own kind
        return Adjusted(
            scores=given.scores[kinds.which],
            leverage=leverage,
            variance=leverage,
            adjustment=adjustment,
            spread=given.spread[kinds.part],
            pull=given.pull[kinds.part],
            alone=alone,
        )
    found = Adjusted(
        scores=apply_maps(adjustment, kinds.kind, kinds.scores),
        leverage=leverage,
        variance=leverage,
        adjustment=adjustment,
        spread=pull @ adjustment,
        pull=pull,
        alone=alone,
    )
    rows = kinds.rows if how.residuals else None
    if rows is not None:
        adjusted_rows(rows, how).put(found)
    return found


def _adjusted_by_direction(kinds: WhiteKinds) -> Adjusted:
    """u_a = s_a (1 - min(¾, (B_j M)_aa))^-½ of each direction a of φ by itself, which depends on
    the parametrisation (Fay & Graubard, 2001, eq. 6); B_j M = L⁻ᵀ X_j Lᵀ."""
    leverage, root = kinds.leverage, kinds.term.root
    back = np.linalg.inv(root)
    own = np.einsum("na,knm,am->ka", back, leverage, root)
    factors = (1.0 - np.minimum(MOST, own)) ** -0.5
    adjustment = np.einsum("an,ka,ma->knm", root, factors, back)
    pull = adjustment @ leverage
    return Adjusted(
        scores=apply_maps(adjustment, kinds.kind, kinds.scores),
        leverage=leverage,
        variance=leverage.copy(),  # another array: the adjustment is not symmetric
        adjustment=adjustment,
        spread=pull @ adjustment.swapaxes(1, 2),
        pull=pull,
        alone=powers(leverage, JACKKNIFE.power)[1],
    )


def _adjusted_weighted(kinds: WhiteKinds, how: Adjustment, root: Shaped[Array, "n n"]) -> Adjusted:
    """Scores of clusters that count differently; Y = R Rᵀ, R the `root`.

    With U = A X and W = A Y_j, A the adjustment, Cov(û_j, û_k) is δ_jk A Y_j Aᵀ - W_j U_kᵀ
    - U_j W_kᵀ + U_j Y U_kᵀ, of which all but the first are -F⁺_j F⁺_kᵀ + F⁻_j F⁻_kᵀ with
    F⁺ = W R⁻ᵀ and F⁻ = U R - W R⁻ᵀ.
    """
    leverage, variance = kinds.leverage, kinds.variance
    adjustment, alone = powers(leverage, how.power)
    if how is BIAS_REDUCED:
        adjustment = _equalising(leverage, variance, root @ root.T)
    moved, steps = adjustment @ variance, adjustment @ leverage
    ahead = moved @ np.linalg.inv(root).T
    return Adjusted(
        scores=apply_maps(adjustment, kinds.kind, kinds.scores),
        leverage=leverage,
        variance=variance,
        adjustment=adjustment,
        spread=moved @ adjustment.swapaxes(1, 2),
        pull=np.concatenate((ahead, steps @ root - ahead), axis=2),
        alone=alone,
    )


def _equalising(
    leverage: Shaped[Array, "k n n"],
    variance: Shaped[Array, "k n n"],
    total: Shaped[Array, "n n"],
) -> Shaped[Array, "k n n"]:
    """(V Y_j⁻¹)^{-½} on the range of Y_j: with Y_j = K Kᵀ it is K (K⁺ V K⁺ᵀ)^{-½} K⁺, and zero
    elsewhere, where there is no score."""
    values, vectors = np.linalg.eigh(variance)
    there = values > RANGE * values.max(axis=1, keepdims=True)
    size = np.sqrt(np.where(there, values, 1.0))
    root = vectors * np.where(there, size, 0.0)[:, None, :]
    back = (vectors * np.where(there, 1.0 / size, 0.0)[:, None, :]).swapaxes(1, 2)
    both = leverage @ variance
    left = variance - both - both.swapaxes(1, 2) + leverage @ total @ leverage
    values, vectors = np.linalg.eigh(back @ left @ back.swapaxes(1, 2))
    kept = values > LEVERAGE_ONE
    factors = np.where(kept, np.where(kept, values, 1.0) ** -0.5, 0.0)
    return root @ spectral(vectors, factors) @ back


def adjusted_rows(rows: MixedClusters, how: Adjustment) -> AdjustedRows:
    """Adjust the residuals of clusters that are white rows, or their scores."""
    design = rows.design
    weights = rows.variances if how.residuals else np.ones_like(rows.variances)
    leverage = np.einsum("...dpg,...epg->...gde", design, design)
    bound = bound_of(leverage)
    lost, alone = lost_in(leverage, design, bound)
    if not how.residuals:
        inverse = _last(powers(leverage, how.power)[0])
    elif are_small(leverage, bound):
        inverse = near_root(weights, _last(leverage), bound)
    else:
        inverse = _last(inverse_root(transposed(weights), leverage, lost))
    half = products(inverse, design)
    scores = np.einsum("...dpg,...dg->...gp", half, weights * rows.residuals)
    return AdjustedRows(scores, design, half, weights, alone)
