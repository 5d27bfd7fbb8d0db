"""CR2 of a generalised linear model's residuals (Pustejovsky & Tipton, 2018, eq. 10).

With X = (dμ/dη) X, e = y - μ, working covariances Φ (diag(v) of independent rows) and
H = Φ - X M Xᵀ in a cluster, A = Φ^{½} (Φ^{½} H Φ^{½})^{-½} Φ^{½} has A H A = Φ, and what stands in
place of scores is

    u = XᵀΦ⁻¹ A e,   L = XᵀΦ⁻¹ A X,   Cov(û_j, û_k) = δ_jk (B_j + L_j M L_jᵀ) - L_j M L_kᵀ

A^{-½} = 2/π ∫ (t² + A)⁻¹ dt by the trapezoidal rule in the elliptic variable u, t = √lo sn u / cn u
(Hale, Higham & Trefethen, 2008, method 3), so that

    A = Σ_k c_k (t_k² Φ⁻¹ + H)⁻¹,   (K⁻¹ - X M Xᵀ)⁻¹ = K + K X (M⁻¹ - XᵀKX)⁻¹ XᵀK

with K = (t_k² Φ⁻¹ + Φ)⁻¹, of which `correlations` makes K X: sums over rows, no matrix of a
cluster's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, pi
from typing import Annotated as Shaped

import numpy as np
from scipy.special import ellipj, ellipkm1

from mlsem.core.generalized.correlations import Correlation
from mlsem.core.generalized.rows import Rows, cross_products
from mlsem.core.records import Array

DIGITS = 37.0  # -log of the error of the rule
LEVERAGE_ONE = 1e-9  # leverages closer to 1 are 1


@dataclass(frozen=True, slots=True, eq=False)
class ResidualForm:
    """In place of scores.

    Attributes
    ----------
    scores : (J, p)
        u.
    pull : (J, p, p)
        L.
    spread : (J, p, p)
        B + L M Lᵀ, less what leverage 1 takes.
    """

    scores: Shaped[Array, "J p"]
    pull: Shaped[Array, "J p p"]
    spread: Shaped[Array, "J p p"]

    def along(self, root: Shaped[Array, "p p"]) -> ResidualForm:
        """Of the directions that are the columns of a matrix."""
        pull, spread = (root.T @ each @ root for each in (self.pull, self.spread))
        return ResidualForm(self.scores @ root, pull, spread)


def residual_form(
    rows: Rows,
    correlation: Correlation,
    moved: Shaped[Array, "p N"],
    variance: Shaped[Array, "N"],
    residual: Shaped[Array, "N"],
) -> ResidualForm:
    """Of all clusters.

    Parameters
    ----------
    moved : (p, N)
        X.
    variance : (N,)
        v.
    residual : (N,)
        e.
    """
    deviation = np.sqrt(variance)

    def inverse(values: Shaped[Array, "p N"]) -> Shaped[Array, "p N"]:
        """Φ⁻¹ z."""
        return correlation.inverse(rows, values / deviation) / deviation

    within = inverse(moved)
    each = cross_products(rows, within, moved)
    total: Array = each.sum(axis=0)
    root: Array = np.linalg.inv(np.linalg.cholesky(total)).T  # type: ignore[assignment]
    leverage, directions = np.linalg.eigh(root.T @ each @ root)
    alone = leverage > 1.0 - LEVERAGE_ONE
    least, most = correlation.bounds(rows)
    low = (least * float(variance.min())) ** 2 * (1.0 - float(leverage[~alone].max(initial=0.0)))
    nodes, weights = _rule(low, (most * float(variance.max())) ** 2)
    scores: Array = np.zeros(each.shape[:2])
    pull: Array = np.zeros(each.shape)
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        over = correlation.damped(rows, deviation, node, moved)
        twice = inverse(over)
        plain = cross_products(rows, over, moved)
        scaled = cross_products(rows, twice, moved)
        left = total - plain
        back = np.linalg.solve(
            left, np.concatenate((plain, rows.sums(over * residual).T[:, :, None]), axis=2)
        )
        pull += weight * (scaled + scaled @ back[:, :, :-1])
        scores += weight * (rows.sums(twice * residual).T + (scaled @ back[:, :, -1:])[:, :, 0])
    spread = each.copy()
    if alone.any():  # A without n = Φ⁻¹ X M^{½} q, along which H is 0 and the rule gave it Σ c/t²
        plain_scores = rows.sums(within * residual).T
        squares = cross_products(rows, within, within)
        cubes = cross_products(rows, inverse(within), within)
        share = float((weights / nodes**2).sum())
        for j in np.flatnonzero(alone.any(axis=1)).tolist():
            gone = root @ directions[j][:, alone[j]]
            over = squares[j] @ gone
            first: Array = over @ np.linalg.inv(gone.T @ cubes[j] @ gone)  # type: ignore[assignment]
            scores[j] -= share * first @ (gone.T @ plain_scores[j])
            pull[j] -= share * first @ (gone.T @ each[j])
            spread[j] -= first @ over.T
    half = pull @ root
    return ResidualForm(scores, pull, spread + half @ half.swapaxes(1, 2))


def _rule(low: float, high: float) -> tuple[Shaped[Array, "k"], Shaped[Array, "k"]]:
    """Nodes t and weights c of A^{-½} ≈ Σ c (t² + A)⁻¹ for eigenvalues between these."""
    high = max(high, low * (1.0 + 1e-6))
    count = ceil(DIGITS * (log(high / low) + 3.0) / (2.0 * pi**2)) + 2
    period = float(ellipkm1(low / high))
    u = (np.arange(count) + 0.5) * period / count
    sine, cosine, delta, _ = ellipj(u, 1.0 - low / high)
    nodes = np.sqrt(low) * sine / cosine
    return nodes, 2.0 / pi * period / count * np.sqrt(low) * delta / cosine**2
