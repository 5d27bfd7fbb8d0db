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
T = |Σ_j R_j|² and c₀ = Σ_j |R_j|² / df. Of several groups R_j is r_j - S z_j (`tangents`): the
squares of r, which are sums over groups, less those of z.
"""

from __future__ import annotations

import numpy as np

from mlsem.core.linalg import whitened_by
from mlsem.core.quiet import quiet
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.saturated import at_estimates
from mlsem.inference.covariance.score import ScoreTest
from mlsem.inference.fit.tangents import model_tangents


@quiet
def score_test_of_fit(estimates: Estimates) -> ScoreTest | None:
    """Of the model against the saturated one; None where the information is not positive
    definite."""
    point = at_estimates(estimates)
    df = point.n_params - estimates.n_params
    groups = model_tangents(estimates, point)
    if groups is None:
        return None
    in_common = np.zeros((groups[0].shared.shape[1], estimates.problem.robust.n_clusters))  # z
    raw = total = 0.0
    for group, clusters in zip(groups, point.robust_places, strict=True):
        white = whitened_by(group.point.expected, group.point.scores.T)
        if white is None:
            return None
        rest = group.beside(white)
        in_common[:, clusters] += group.shared.T @ rest
        raw += float((rest.sum(axis=1) ** 2).sum())
        total += float((rest**2).sum())
    raw -= float((in_common.sum(axis=1) ** 2).sum())
    total -= float((in_common**2).sum())
    return ScoreTest(raw, total / df if df else 1.0, df)
