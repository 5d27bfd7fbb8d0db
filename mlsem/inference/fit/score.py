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

from typing import Annotated as Shaped

from mlsem.core.linalg import whitened_by
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.saturated import SaturatedPoint, at_estimates
from mlsem.inference.covariance.score import ScoreTest, orthonormal, scaled_test


@quiet
def score_test_of_fit(estimates: Estimates) -> ScoreTest | None:
    """Of the model against the saturated one; None where the information is not positive
    definite."""
    point = at_estimates(estimates)
    df = point.n_params - estimates.n_params
    white = whitened_by(point.expected, point.scores.T)
    tangents = model_tangents(estimates, point)
    if white is None or tangents is None:
        return None
    return scaled_test(white - tangents @ (tangents.T @ white), df)


def model_tangents(estimates: Estimates, point: SaturatedPoint) -> Shaped[Array, "b m"] | None:
    """An orthonormal basis of Lᵀ Δ = L⁻¹ A Δ; None where A is not positive definite."""
    delta = point.tangents(estimates.along(estimates.equal))
    white = whitened_by(point.expected, point.expected @ delta)
    return None if white is None else orthonormal(white)
