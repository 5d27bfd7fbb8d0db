"""Weights of rows and of clusters, in the moments that every likelihood is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from differences import jacobian
from kinds import KINDS, UNBALANCED, point_inside, pose
from slope_kinds import SLOPES, slope_data

import mlsem
from mlsem.core.clusters.unions import expected_variances
from mlsem.core.sample.moments import merge
from mlsem.core.sample.resampling import resampled
from mlsem.errors import DataError
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.mixed import obstacle, variation
from mlsem.estimation.settings import Settings
from mlsem.inference.covariance.of_estimates import covariance_of

INTERCEPTS = ("several observed", "latent at both levels", "level-2 outcome", "products")
RANDOM_SLOPES = ("one slope", "several outcomes", "level-2 outcome of the slope")
SINGLE = ("single level with means", "single level clusters")
every_kind = pytest.mark.parametrize("name", INTERCEPTS + RANDOM_SLOPES + SINGLE)
DATA = slope_data(5, UNBALANCED)


class At:
    """A problem at some parameters: what its likelihood says there."""

    def __init__(self, problem, params):
        self.problem, self.params = problem, params
        self.objective, unit = problem.objective, np.eye(len(params))
        self.point = self.objective.evaluate(params)
        self.at = self.objective.derivatives(self.point, unit)
        self.loglik, self.gradient = self.point.loglik, self.at.gradient
        self.expected = self.objective.expected(self.point, self.at)
        self.observed = self.objective.observed(self.point, self.at)

    @property
    def scores(self):
        return self.problem.clusters.scores(self.point, self.at.along)

    @property
    def parts(self):
        return self.problem.clusters.parts(self.point, self.at.along)

    @property
    def informations(self):
        return self.parts.information(np.arange(self.parts.n_clusters))


def uncentred(problem):
    """The optimiser's coordinates are the user's, so that clusters see points of `objective`."""
    return replace(
        problem, coordinates=replace(problem.coordinates, internal=problem.coordinates.user)
    )


def posed(name, data=DATA):
    model = pose({**KINDS, **SLOPES}[name], data)
    problem = uncentred(model.fit._estimates.problem)
    return problem.with_moments(problem.moments, problem.guess), point_inside(model, 3)


def with_weights(problem, *, rows=1.0, clusters=1.0):
    """The data with these weights of the rows of each cluster, and of the clusters."""
    moments = problem.moments
    rows = rows * np.ones(moments.n_clusters)
    weighted = replace(
        moments,
        sizes=rows * moments.sizes,
        weights=clusters * moments.weights,
        within=rows[:, None, None] * moments.within,
    )
    return problem.with_moments(weighted, problem.guess)


def close(found, wanted, tol=1e-11):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tol * max(1.0, np.abs(wanted).max()))


def assert_same(found, wanted):
    assert found.loglik == pytest.approx(wanted.loglik, rel=1e-12)
    for part in ("gradient", "expected", "observed"):
        close(getattr(found, part), getattr(wanted, part))


@every_kind
def test_rows_of_weight_two_are_rows_that_are_there_twice(name):
    problem, params = posed(name)
    twice = pd.concat([DATA, DATA], ignore_index=True)
    clustered = problem.table.two_level or "clusters" in name
    if clustered:
        double = posed(name, twice)[0]
        double = problem.with_moments(_as(double.moments, problem.moments), problem.guess)
    else:  # rows are clusters: as many again
        double = problem.with_moments(
            merge(problem.moments, problem.moments, match=False), problem.guess
        )
    found, wanted = At(with_weights(problem, rows=2.0), params), At(double, params)
    assert_same(found, wanted)
    if clustered:
        close(found.scores, wanted.scores)
        close(found.informations, wanted.informations)


def _as(moments, like):
    """The moments with the shift and the order of clusters of others."""
    order = [moments.labels.tolist().index(label) for label in like.labels.tolist()]
    moved = merge(replace(resampled(like, np.arange(0)), labels=like.labels[:0]), moments)
    return replace(resampled(moved, np.array(order)), labels=like.labels)


@every_kind
def test_a_cluster_of_weight_two_is_a_cluster_that_is_there_twice(name):
    problem, params = posed(name)
    count = problem.moments.n_clusters
    weights = np.ones(count)
    weights[[2, 5]] = 2.0, 3.0
    members = np.repeat(np.arange(count), weights.astype(int))
    repeated = problem.with_moments(resampled(problem.moments, members), problem.guess)
    found, wanted = At(with_weights(problem, clusters=weights), params), At(repeated, params)
    assert_same(found, wanted)
    starts = np.searchsorted(members, np.arange(count))
    close(found.scores, np.add.reduceat(wanted.scores, starts))
    close(found.informations, np.add.reduceat(wanted.informations, starts))
    close(found.scores.sum(axis=0), found.gradient)
    close(found.informations.sum(axis=0), found.expected)


@every_kind
def test_derivatives_with_any_weights(name):
    """They are those of the weighted likelihood, by differences."""
    problem, params = posed(name)
    rng = np.random.default_rng(4)
    rows, clusters = rng.uniform(0.6, 2.5, size=(2, problem.moments.n_clusters))
    weighted = with_weights(problem, rows=rows, clusters=clusters)
    here = At(weighted, params)
    close(here.gradient, jacobian(lambda moved: weighted.loglik_at(moved), params), 1e-8)
    close(here.observed, -jacobian(lambda moved: At(weighted, moved).gradient, params), 1e-7)
    close(here.scores.sum(axis=0), here.gradient, 1e-10)
    close(here.informations.sum(axis=0), here.expected, 1e-10)
    assert weighted.moments.n_rows == problem.moments.n_rows


@every_kind
def test_cumulants_of_weighted_scores(name):
    """κ₄(aᵀ w s) = w⁴ κ₄(aᵀ s), and κ₃ likewise."""
    problem, params = posed(name)
    plain = At(problem, params).parts
    double = At(with_weights(problem, clusters=2.0), params).parts
    clusters = np.arange(plain.n_clusters)[:20]
    directions = np.random.default_rng(1).normal(size=(len(clusters), 2, len(params)))
    for which, power in (("fourth_cumulants", 4), ("third_cumulants", 3)):
        wanted = 2.0**power * getattr(plain, which)(clusters, directions)
        close(getattr(double, which)(clusters, directions), wanted)


@every_kind
def test_expected_variances_are_those_of_the_informations(name):
    """aᵀ B_j a of every cluster, from its information."""
    problem, params = posed(name)
    rng = np.random.default_rng(6)
    rows, clusters = rng.uniform(0.6, 2.5, size=(2, problem.moments.n_clusters))
    here = At(with_weights(problem, rows=rows, clusters=clusters), params)
    directions = rng.normal(size=(3, len(params)))
    wanted = np.einsum("ca,jab,cb->jc", directions, here.informations, directions)
    close(expected_variances(here.parts, directions), wanted, 1e-10)


def test_merged_clusters_add_the_weights_of_their_rows():
    problem, params = posed("several observed")
    moments = with_weights(problem, rows=1.5, clusters=0.5).moments
    joined = merge(moments, moments)
    np.testing.assert_array_equal(joined.rows, 2 * moments.rows)
    np.testing.assert_allclose(joined.sizes, 2.0 * moments.sizes)
    np.testing.assert_array_equal(joined.weights, moments.weights)
    there = At(problem.with_moments(joined, problem.guess), params)
    assert_same(there, At(with_weights(problem, rows=3.0, clusters=0.5), params))


# --- what is not defined with weights -------------------------------------------------------------


WEIGHTED = pytest.mark.parametrize("weights", [{"rows": 2.0}, {"clusters": 2.0}], ids=str)


@WEIGHTED
@pytest.mark.parametrize("name", ["several observed", "one slope", "single level with means"])
def test_no_data_are_drawn_from_a_model_of_weighted_data(name, weights):
    problem, params = posed(name)
    point, pattern = problem.objective.evaluate(params), problem.objective.pattern
    problem.clusters.sampler(pattern, point)
    weighted = with_weights(problem, **weights)
    point = weighted.objective.evaluate(params)
    with pytest.raises(DataError, match=r"rows or clusters have weights.*Resample clusters"):
        weighted.clusters.sampler(pattern, point)


@WEIGHTED
@pytest.mark.parametrize("name", ["observed", "one slope", "several observed"])
def test_no_restricted_likelihood_of_weighted_data(name, weights):
    problem, _ = posed(name)
    settings = Settings(estimator="REML")
    with pytest.raises(DataError, match=r"rows or clusters have weights.*Use estimator=\"ML\""):
        optimum_of(with_weights(problem, **weights), settings, None)


@pytest.mark.parametrize("path", ["x1", 'rv("s")*x1'])
def test_robust_errors_of_a_weighted_mixed_model(path):
    """All clusters of weight w: the same estimates and robust errors (but for CR2, which
    adjusts scores here and residuals there)."""
    text, data = f"level: 1\n y ~ {path}\nlevel: 2\n y ~ w1", mlsem.load_example("article")
    plain = mlsem.fit(text, data, "id", tol=1e-9)._estimates
    problem = with_weights(plain.problem, clusters=3.0)
    weighted = replace(plain, problem=problem, optimum=optimum_of(problem, plain.settings, None))
    np.testing.assert_allclose(weighted.params, plain.params, rtol=1e-6, atol=1e-8)
    assert obstacle(problem) == "rows or clusters have weights here"
    with pytest.raises(DataError, match=r"rows or clusters have weights.*se=\"CR2\""):
        variation(weighted)
    for kind in ("MLR", "CR0", "CR3"):
        found, wanted = (covariance_of(each.with_se(kind))[0] for each in (weighted, plain))
        np.testing.assert_allclose(found.se, wanted.se, rtol=1e-5)
        np.testing.assert_allclose(found.df, wanted.df, rtol=1e-5)
