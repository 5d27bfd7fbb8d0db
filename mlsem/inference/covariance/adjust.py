"""Adjusted cluster scores.

In units in which the expected information is the identity, cluster j has score s_j and
leverage X_j (ΣX_j = I, eigenvalues in [0, 1]). At the estimates its score has lost what the
cluster itself had in them, s_j - X_j Σ s_k; the adjustments give it back:

    CR0  u_j = s_j        CR2  u_j = (I - X_j)^{-½} s_j        CR3  u_j = (I - X_j)⁻¹ s_j

(Bell & McCaffrey, 2002; Pustejovsky & Tipton, 2018, eq. 8 to 11, for linear models.) For the
fixed effects of a linear mixed model of one outcome CR2 is the adjustment of residuals
(Pustejovsky & Tipton, eq. 10), with the working covariance Φ = D'D, H = Φ - X M Xᵀ:

    u_j = X_jᵀ Φ_j⁻¹ D'(D H_j D')^{-½} D e_j.

Where a cluster alone determines a direction (leverage 1) it has nothing left there, and u_j is
without that direction. Where all leverages are small, as those of many clusters, powers of I - X
are a few terms of the binomial series, which a stack of matrices has sooner than eigenvalues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.linalg import along
from mlsem.core.records import Array
from mlsem.estimation.standard_errors import Adjustment
from mlsem.inference.covariance.equations import WhiteKinds

LEVERAGE_ONE = 1e-9  # leverages closer to 1 are 1
SMALL = 0.02  # leverages up to which ten terms of the series are exact
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
    adjustment : (k, n, n)
        Q with u = Q s, symmetric (of the fixed effects of a mixed model under CR2: what it is in
        the score form).
    spread : (k, n, n)
        Working covariance of u, were the parameters known.
    pull : (k, n, n)
        -∂E(u)/∂φ: what an error in the parameters does to u.
    alone : (k, n, n)
        Projection on the directions of leverage 1.
    """

    scores: Shaped[Array, "g n"]
    leverage: Shaped[Array, "k n n"]
    adjustment: Shaped[Array, "k n n"]
    spread: Shaped[Array, "k n n"]
    pull: Shaped[Array, "k n n"]
    alone: Shaped[Array, "k n n"]


def adjusted(kinds: WhiteKinds, how: Adjustment) -> Adjusted:
    """Adjust the scores of the clusters of these kinds."""
    leverage = kinds.leverage
    largest = float(np.sqrt(np.einsum("kab,kab->k", leverage, leverage).max(initial=0.0)))
    if largest < SMALL:
        adjustment = _series(leverage, how.power, largest)
        alone = np.broadcast_to(np.float64(0.0), leverage.shape)
    else:
        adjustment, alone = _by_eigenvalues(leverage, how.power)
    pull = adjustment @ leverage
    alike = len(kinds.which) > len(leverage)
    each = adjustment[kinds.kind] if alike else adjustment
    found = Adjusted(
        scores=(each @ kinds.scores[:, :, None])[:, :, 0],
        leverage=leverage,
        adjustment=adjustment,
        spread=pull @ adjustment,
        pull=pull,
        alone=alone,
    )
    mixed = kinds.mixed
    if how.residuals and mixed is not None:
        _adjust_residuals(mixed, kinds.term.root, found)
    return found


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
    half = _spectral(vectors, factors) @ _solved_lower(lower, design)  # (D H D')^{-½} D'⁻¹ X
    map_ = half.swapaxes(1, 2)
    found.scores[:, :p] = (map_ @ (upper @ mixed.residuals[:, :, None]))[:, :, 0]
    moved = square @ half
    found.spread[:, :p, :p] = moved.swapaxes(1, 2) @ moved
    found.pull[:, :p, :p] = map_ @ turned


def _solved_lower(
    lower: Shaped[Array, "k d d"], rows: Shaped[Array, "k d p"]
) -> Shaped[Array, "k d p"]:
    """L⁻¹ R of each in a stack, row by row: d is small, and the stack long."""
    found = np.empty_like(rows)
    for row in range(lower.shape[1]):
        known = lower[:, row, None, :row] @ found[:, :row]
        found[:, row] = (rows[:, row] - known[:, 0]) / lower[:, row, row, None]
    return found
