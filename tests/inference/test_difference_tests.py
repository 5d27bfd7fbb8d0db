"""Difference tests by scores of the full model, and Satorra and Bentler's of 2010."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest
from reference import frame
from scipy.special import chdtrc

import mlsem
from mlsem.errors import InferenceError, OptionValueError
from mlsem.inference.ratio.run import scaling_trace

LOADINGS = (
    "level: 1\n fw =~ y1 + a2*y2 + a3*y3\n fw ~ x1 + x2 + x3\n"
    "level: 2\n fb =~ y1 + {0}2*y2 + {0}3*y3\n fb ~ w1 + w2"
)
METHODS = ("satorra.bentler.2001", "satorra.bentler.2010", "score")


@cache
def fitted(text, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return mlsem.fit(text, frame("demo.csv"), cluster="cluster", **options)


def pair(**options):
    return fitted(LOADINGS.format("a"), **options), fitted(LOADINGS.format("b"), **options)


def test_all_are_the_likelihood_ratio_scaled():
    simple, full = pair(estimator="MLR")
    ratio = mlsem.lr_test(simple, full, method="lr")
    assert ratio.statistic == pytest.approx(2.0 * (full.loglik - simple.loglik))
    for method in METHODS[:2]:
        test = mlsem.lr_test(simple, full, method=method)
        assert test.statistic * test.scaling == pytest.approx(ratio.statistic, rel=1e-10)
        assert test.pvalue == pytest.approx(chdtrc(2, test.statistic), rel=1e-10)
        assert test.method == method
    assert mlsem.lr_test(simple, full).method == METHODS[0]
    score = mlsem.lr_test(simple, full, method="score")
    assert score.statistic * score.scaling == pytest.approx(ratio.statistic, rel=0.1)
    assert "Score test" in str(score)


def test_of_2010_is_the_difference_of_traces_at_the_simple_estimates():
    """(p₁ c₁₀ - p₀ c₀) / df, with the full model's parameters put where the simple model's are."""
    simple, full = pair(estimator="MLR")
    start = simple.params.to_dict()
    start |= {"b2": start["a2"], "b3": start["a3"]}
    stopped = fitted(LOADINGS.format("b"), estimator="MLR")
    params = np.array([start[name] for name in stopped.params.index])
    estimates = stopped._estimates
    problem = estimates.problem
    point = problem.objective.evaluate(params)
    at = problem.objective.derivatives(point, np.eye(len(params)))
    observed = problem.objective.observed(point, at)
    scores = problem.clusters.scores(point, at.along)
    trace = np.trace(np.linalg.solve(observed, scores.T @ scores))
    factor = (trace - scaling_trace(simple._estimates)) / 2
    test = mlsem.lr_test(simple, full, method="satorra.bentler.2010")
    assert test.scaling == pytest.approx(factor, rel=1e-7)
    assert factor > 0


def test_score_needs_no_estimates_of_the_full_model():
    """And is that of the parameters that are added."""
    simple = fitted(LOADINGS.format("b"), estimator="MLR")
    full = simple.update("+ y3 ~ w1 + w2")
    test = mlsem.lr_test(simple, full, method="score")
    added = simple.score_test("y3 ~ w1 + w2", robust=True)
    assert test.statistic == pytest.approx(added.statistic, rel=1e-8)
    assert test.added == ("y3~w1.l2", "y3~w2.l2")


def test_wrong_methods_are_refused():
    simple, full = pair(estimator="MLR")
    with pytest.raises(OptionValueError, match=r"satorra\.bentler\.2010"):
        mlsem.lr_test(simple, full, method="satorra.bentler.2011")
    one, other = (
        mlsem.lmm(f"y1 ~ x1{more} + (1 | cluster)", frame("demo.csv")) for more in ("", " + x2")
    )
    with pytest.raises(OptionValueError, match="maximum likelihood"):
        mlsem.lr_test(one, other, method="score")


def test_no_score_test_at_a_boundary():
    simple = fitted("level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1", estimator="ML")
    full = fitted('level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~ w1\n y1 ~~ s', estimator="ML")
    with pytest.raises(InferenceError, match="corrected for the boundary"):
        mlsem.lr_test(simple, full, method="score")
    test = mlsem.lr_test(simple, full, method="score", boundary=False)
    assert test.df == 2
    assert np.isfinite(test.statistic)
