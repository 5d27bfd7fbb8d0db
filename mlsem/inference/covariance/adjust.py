"""Adjusted cluster scores.

In units in which the expected information is the identity, cluster j has score s_j and
leverage X_j (ΣX_j = I, eigenvalues in [0, 1]). At the estimates its score has lost what the
cluster itself had in them, s_j - X_j Σ s_k; the adjustments give it back:

    CR0  u_j = s_j        CR2  u_j = (I - X_j)^{-½} s_j        CR3  u_j = (I - X_j)⁻¹ s_j

(Bell & McCaffrey, 2002; Pustejovsky & Tipton, 2018, eq. 8 to 11, for linear models.) For the
fixed effects of a linear mixed model of one outcome CR2 is the adjustment of residuals
(Pustejovsky & Tipton, eq. 10), with the working covariance Φ = D'D, H = Φ - X M Xᵀ:

    u_j = X_jᵀ Φ_j⁻¹ D'(D H_j D')^{-½} D e_j.

Clusters that count w_j times (sampling weights) have scores of covariance Y_j = w_j X_j, if the
model is right, and ΣY_j = Y = R Rᵀ; at the estimates

    Cov(ŝ_j, ŝ_k) = δ_jk Y_j - X_j Y_k - Y_j X_k + X_j Y X_k,     V_j = Cov(ŝ_j, ŝ_j),
    CR2  u_j = (V_j Y_j⁻¹)^{-½} s_j on the range of Y_j,

whose V is unbiased for the means of a model, as without weights, where Y_j = X_j and V_j Y_j⁻¹ is
I - X_j. CR3, a step without the cluster, takes derivatives alone and is the same.

Where a cluster alone determines a direction (leverage 1) it has nothing left there, and u_j is
without that direction. Where all leverages are small, as those of many clusters, powers of I - X
are a few terms of the binomial series, which a stack of matrices has sooner than eigenvalues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.linalg import along, solved_lower
from mlsem.core.records import Array
from mlsem.estimation.standard_errors import BIAS_REDUCED, Adjustment
from mlsem.inference.covariance.equations import WhiteKinds

LEVERAGE_ONE = 1e-9  # leverages closer to 1 are 1
SMALL = 0.02  # leverages up to which ten terms of the series are exact
RANGE = 1e-11  # eigenvalues of a covariance, relative to its largest, that are zero
EXACT = 2.0**-55  # relative size of the first term that is left out


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
        Q with u = Q s (of the fixed effects of a mixed model under CR2: what it is in the score
        form).
    spread : (k, n, n)
        Working covariance of u, were the parameters known.
    pull : (k, n, f)
        F with Cov(û_j, û_k) = δ_jk spread_j - F_j diag(signs) F_kᵀ. Without weights it is
        -∂E(u)/∂φ, what an error in the parameters does to u, and the signs are 1.
    alone : (k, n, n)
        Projection on the directions of leverage 1.
    """

    scores: Shaped[Array, "g n"]
    leverage: Shaped[Array, "k n n"]
    variance: Shaped[Array, "k n n"]
    adjustment: Shaped[Array, "k n n"]
    spread: Shaped[Array, "k n n"]
    pull: Shaped[Array, "k n f"]
    alone: Shaped[Array, "k n n"]

    def turned(self, contrasts: Shaped[Array, "c n"]) -> Shaped[Array, "k c n"]:
        """Qᵀ c, what contrasts take of s."""
        if self.variance is self.leverage:  # symmetric, and many
            return along(self.adjustment, contrasts).swapaxes(1, 2)
        return contrasts @ self.adjustment


def adjusted(kinds: WhiteKinds, how: Adjustment) -> Adjusted:
    """Adjust the scores of the clusters of these kinds."""
    if kinds.term.spread is not None:
        return _adjusted_weighted(kinds, how, kinds.term.spread)
    leverage = kinds.leverage
    largest = float(np.sqrt(np.einsum("kab,kab->k", leverage, leverage).max(initial=0.0)))
    if largest < SMALL:
        adjustment = _series(leverage, how.power, largest)
        alone = np.broadcast_to(np.float64(0.0), leverage.shape)
    else:
        adjustment, alone = _by_eigenvalues(leverage, how.power)
    pull = adjustment @ leverage
    found = Adjusted(
        scores=_applied(adjustment, kinds),
        leverage=leverage,
        variance=leverage,
        adjustment=adjustment,
        spread=pull @ adjustment,
        pull=pull,
        alone=alone,
    )
    mixed = kinds.mixed
    if how.residuals and mixed is not None:
        _adjust_residuals(mixed, kinds.term.root, found)
    return found


def _applied(adjustment: Shaped[Array, "k n n"], kinds: WhiteKinds) -> Shaped[Array, "g n"]:
    """The scores of the clusters of these kinds, each adjusted."""
    alike = len(kinds.which) > len(adjustment)
    each = adjustment[kinds.kind] if alike else adjustment
    return (each @ kinds.scores[:, :, None])[:, :, 0]


def _adjusted_weighted(kinds: WhiteKinds, how: Adjustment, root: Shaped[Array, "n n"]) -> Adjusted:
    """Scores of clusters that count differently; Y = R Rᵀ, R the `root`.

    With U = A X and W = A Y_j, A the adjustment, Cov(û_j, û_k) is δ_jk A Y_j Aᵀ - W_j U_kᵀ
    - U_j W_kᵀ + U_j Y U_kᵀ, of which all but the first are -F⁺_j F⁺_kᵀ + F⁻_j F⁻_kᵀ with
    F⁺ = W R⁻ᵀ and F⁻ = U R - W R⁻ᵀ.
    """
    leverage, variance = kinds.leverage, kinds.variance
    adjustment, alone = _by_eigenvalues(leverage, how.power)
    if how is BIAS_REDUCED:
        adjustment = _equalising(leverage, variance, root @ root.T)
    moved, steps = adjustment @ variance, adjustment @ leverage
    ahead = moved @ np.linalg.inv(root).T
    return Adjusted(
        scores=_applied(adjustment, kinds),
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
    return root @ _spectral(vectors, factors) @ back


def _series(
    leverage: Shaped[Array, "k n n"], power: float, largest: float
) -> Shaped[Array, "k n n"]:
    """(I - X)^{-power} = Σ_i (power)_i / i! · Xⁱ, by Horner's rule; `largest` bounds |X|."""
    terms = [1.0]
    while terms[-1] * largest ** (len(terms) - 1) > EXACT:
        terms.append(terms[-1] * (power + len(terms) - 1) / len(terms))
    diagonal = np.arange(leverage.shape[-1])
    total = terms[-1] * leverage
    for term in reversed(terms[1:-1]):
        total[:, diagonal, diagonal] += term
        total = leverage @ total
    total[:, diagonal, diagonal] += 1.0
    return total


def _by_eigenvalues(
    leverage: Shaped[Array, "k n n"], power: float
) -> tuple[Shaped[Array, "k n n"], Shaped[Array, "k n n"]]:
    """(I - X)^{-power} without the directions of leverage 1, and the projection on these."""
    values, vectors = np.linalg.eigh(leverage)
    gone = values > 1.0 - LEVERAGE_ONE
    left = np.where(gone, 1.0, 1.0 - values)
    factors = np.where(gone, 0.0, left**-power)
    return _spectral(vectors, factors), _spectral(vectors, gone.astype(float))


def _spectral(
    vectors: Shaped[Array, "k n n"], values: Shaped[Array, "k n"]
) -> Shaped[Array, "k n n"]:
    """Q diag(values) Qᵀ of each."""
    return (vectors * values[:, None, :]) @ vectors.swapaxes(1, 2)


def _adjust_residuals(mixed: MixedClusters, root: Shaped[Array, "n n"], found: Adjusted) -> None:
    """Put the adjustment of residuals in place of that of the fixed effects' scores."""
    p = mixed.design.shape[2]
    design = along(mixed.design, root[:p, :p].T)
    lower: Array = np.linalg.cholesky(mixed.working)  # type: ignore[assignment]
    upper = lower.swapaxes(1, 2)
    square, turned = upper @ lower, upper @ design  # D D', D X
    values, vectors = np.linalg.eigh(square @ square - turned @ turned.swapaxes(1, 2))
    lost = np.rint(np.einsum("kaa->k", found.alone[:, :p, :p])).astype(int)
    gone = np.arange(values.shape[1]) < lost[:, None]
    factors = np.where(gone, 0.0, np.where(gone, 1.0, values) ** -0.5)
    half = _spectral(vectors, factors) @ solved_lower(lower, design)  # (D H D')^{-½} D'⁻¹ X
    map_ = half.swapaxes(1, 2)
    found.scores[:, :p] = (map_ @ (upper @ mixed.residuals[:, :, None]))[:, :, 0]
    moved = square @ half
    found.spread[:, :p, :p] = moved.swapaxes(1, 2) @ moved
    found.pull[:, :p, :p] = map_ @ turned
