"""Predictions of the random effects of both levels, from the notation of `likelihood`.

    v̂_k = Ω U_kᵀV⁻¹e,     Cov(v_k | y) = K
    û_j = Ψ T_jᵀV⁻¹e,     Cov(u_j | y) = Ψ - Ψ T_jᵀV⁻¹T_j Ψ,    Cov(u_j, v_k | y) = -Ψ T_jᵀV⁻¹U_k Ω

given β; with β̂ an effect moves by -M (β̂ - β), M = Ψ T_jᵀV⁻¹X or Ω U_kᵀV⁻¹X.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, frozen
from mlsem.core.restricted.nested.likelihood import NestedPoint


@dataclass(frozen=True, slots=True, eq=False)
class NestedEffects:
    """What the data say of the random effects.

    Attributes
    ----------
    lower, upper : (J, q), (G, f)
        û_j and v̂_k.
    lower_covariance, upper_covariance : (J, q, q), (G, f, f)
    crossed : (J, q, f)
        Cov(u_j, v_k | y), k the outer cluster of j.
    lower_moved, upper_moved : (J, q, p), (G, f, p)
        M of each.
    """

    lower: Shaped[Array, "J q"]
    upper: Shaped[Array, "G f"]
    lower_covariance: Shaped[Array, "J q q"]
    upper_covariance: Shaped[Array, "G f f"]
    crossed: Shaped[Array, "J q f"]
    lower_moved: Shaped[Array, "J q p"]
    upper_moved: Shaped[Array, "G f p"]

    def turned(self, lower: Shaped[Array, "q q"], upper: Shaped[Array, "f f"]) -> NestedEffects:
        """Of effects that are these maps of them."""
        return NestedEffects(
            lower=self.lower @ lower.T,
            upper=self.upper @ upper.T,
            lower_covariance=lower @ self.lower_covariance @ lower.T,
            upper_covariance=upper @ self.upper_covariance @ upper.T,
            crossed=lower @ self.crossed @ upper.T,
            lower_moved=lower @ self.lower_moved,
            upper_moved=upper @ self.upper_moved,
        )


def effects(point: NestedPoint) -> NestedEffects:
    """At a point."""
    psi, omega = point.psi, point.omega
    lower = np.einsum("ab,bcj->jac", psi, point.own)
    upper = np.einsum("ab,bcg->gac", omega, point.outer)
    back = np.linalg.inv(point.root)  # X = ξ root⁻¹
    spread = np.einsum("ab,bcj,cd->jad", psi, point.spread, psi, optimize=True)
    crossed = np.einsum("ab,bcj,cd->jad", psi, point.crossing, omega, optimize=True)
    return NestedEffects(
        lower=frozen(lower[:, :, -1]),
        upper=frozen(upper[:, :, -1]),
        lower_covariance=frozen(psi - spread),
        upper_covariance=frozen(point.inner.transpose(2, 0, 1)),
        crossed=frozen(-crossed),
        lower_moved=frozen(lower[:, :, :-1] @ back),
        upper_moved=frozen(upper[:, :, :-1] @ back),
    )
