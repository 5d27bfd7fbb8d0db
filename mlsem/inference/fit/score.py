"""The score test of fit: it needs no other estimates than those of the model.

With β the parameters of the saturated model, all at β(θ̂) of the fitted one: s_j = ∂ℓ_j/∂β of each
cluster, A the expected information of β, Δ = ∂β/∂θ along the directions that keep the equality
constraints, and P = A⁻¹ - Δ (Δᵀ A Δ)⁻¹ Δᵀ:

    T = s̄ᵀ P s̄,   s̄ = Σ_j s_j,     c₀ = tr(P Σ_j s_j s_jᵀ) / df,     T / c₀ ~ χ²_df.

This is Rao's (1948) test with the scores' covariance taken from the clusters, as in the generalised
score test of Boos (1992), but for its mean only, so that it exists with fewer clusters than df. T
is what the scores leave of s̄ beside the tangents of the model: it takes in nothing of θ̂, also
where a bound holds parameters and the gradient is not zero there.

Code: with A = L Lᵀ and U = L⁻¹ s, R is the part of U orthogonal to Lᵀ Δ.
T = |Σ_j R_j|² and c₀ = Σ_j |R_j|² / df.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from mlsem.core.linalg import whitened_by
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.saturated import SaturatedPoint, at_estimates

SINGULAR = 1e-8  # of the largest singular value of the tangents, from which on they are none


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTest:
    """A score test.

    Attributes
    ----------
    raw : float
        T.
    scaling : float
        c₀; 1 where the clusters vary as the model says.
    df : int
    """

    raw: float
    scaling: float
    df: int

    @property
    def statistic(self) -> float:
        """T / c₀."""
        return self.raw / self.scaling if self.df else 0.0

    @property
    def pvalue(self) -> float:
        return float(chdtrc(self.df, self.statistic)) if self.df else np.nan


@quiet
def score_test_of_fit(estimates: Estimates) -> ScoreTest | None:
    """Of the model against the saturated one; None where the information is not positive
    definite."""
    point = at_estimates(estimates)
    df = point.n_params - estimates.n_params
    white = whitened_by(point.expected, point.scores.T)
    tangents = _tangents(estimates, point)
    if white is None or tangents is None:
        return None
    return scaled_test(white - tangents @ (tangents.T @ white), df)


def scaled_test(scores: Array, df: int) -> ScoreTest:
    """Of whitened scores (b, G) in the directions that are tested."""
    raw = float((scores.sum(axis=1) ** 2).sum())
    return ScoreTest(raw, float((scores**2).sum()) / df if df else 1.0, df)


def _tangents(estimates: Estimates, point: SaturatedPoint) -> Array | None:
    """An orthonormal basis (b, n) of Lᵀ Δ = L⁻¹ A Δ."""
    delta = point.tangents(estimates.along(estimates.equal))
    white = whitened_by(point.expected, point.expected @ delta)
    return None if white is None else orthonormal(white)


def orthonormal(vectors: Array) -> Array:
    """A basis of the span of vectors (b, n), whatever their lengths."""
    lengths = np.linalg.norm(vectors, axis=0)
    left, values, _ = np.linalg.svd(
        vectors / np.where(lengths > 0, lengths, 1.0), full_matrices=False
    )
    return left[:, values > SINGULAR * values.max(initial=0.0)]
