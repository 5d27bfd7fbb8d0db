"""Difference tests by scores of the full model at the simple model's estimates.

The directions that the full model adds are taken beside those of the simple one
(`estimation.efficient`); R_j are their whitened scores by cluster, in the metric of an information
of the full model at the simple model's estimates.

    score:                   T / c₀ of `inference.covariance.score`, by the expected information
    satorra.bentler.2010:    LR / c,  c = Σ_j |R_j|² / df,  by the observed information

The second is (p₁ c₁₀ - p₀ c₀) / df of Satorra & Bentler (2010), c₁₀ that of the full model at the
simple model's estimates, written as the sum of squares that it is: it is never negative.
"""

from __future__ import annotations

from mlsem.errors import InferenceError
from mlsem.estimation.efficient import EfficientScores, at_params, efficient_scores
from mlsem.estimation.settings import InformationKind
from mlsem.inference.covariance.score import ScoreTest, complement, score_test
from mlsem.inference.ratio.boundary import Step
from mlsem.model.expressions import compiled_pairs, equality_space


def added_scores(step: Step, df: int, kind: InformationKind) -> EfficientScores:
    """Of what the full model adds, at the simple model's estimates."""
    simple, full, embedding = step.simple, step.full, step.embedding
    free = equality_space(compiled_pairs(full.table), embedding.params)
    added = complement(free, embedding.carried(simple.equal))
    if added.shape[1] != df:
        raise InferenceError(
            f"the full model has {df} more parameters, but {added.shape[1]} more directions at the "
            "simple model's estimates: the distribution of the test is not known."
        )
    at = at_params(full, full.problem, embedding.params)
    return efficient_scores(at, embedding.carried(simple.directions().basis), added, kind)


def difference_score(step: Step, df: int, kind: InformationKind) -> ScoreTest:
    """The score test of what the full model adds.

    Raises
    ------
    InferenceError
        The information is not positive definite there.
    """
    found = added_scores(step, df, kind)
    test = score_test(found.scores, found.information)
    if test is None:
        raise InferenceError(
            f"the {kind} information of the full model at the simple model's estimates is not "
            "positive definite: "
            + (
                'the simple model is too far from the data for this test. Use method="score".'
                if kind == "observed"
                else "the data do not determine what the full model adds. Use fit.wald_test."
            )
        )
    return test
