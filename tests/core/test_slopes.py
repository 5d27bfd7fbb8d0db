"""Random slopes: log-likelihood, gradient, scores and information against the dense multivariate
normal of `dense` and its numeric derivatives; and models that are the same model."""

from dataclasses import replace

import numpy as np
import pytest
from dense_slopes import DenseParts, close
from differences import hessian, jacobian
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import KINDS, UNBALANCED, Posed, draw_params, point_inside, pose, with_estimates
from slope_kinds import FIXED_SLOPE, SLOPE_VARIANCE_ZERO, SLOPES, slope_data

from mlsem.core.clusters.cumulants import fourth_cumulants, third_cumulants
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.slopes.carriers import deviation_coordinates, slope_moments
from mlsem.core.slopes.objective import SlopeClusters, SlopeObjective

SIZES = st.lists(st.integers(1, 6), min_size=9, max_size=16).filter(lambda s: sum(s) >= 36)
every_slope = pytest.mark.parametrize("name", SLOPES)


@pytest.fixture(scope="module")
def posed():
    data, made = slope_data(5, UNBALANCED), {}

    def get(name):
        if name not in made:
            made[name] = pose(SLOPES[name], data)
        return made[name]

    return get


@every_slope
def test_loglik(posed, name):
    model = posed(name)
    for seed in range(5):
        params = point_inside(model, seed)
        np.testing.assert_allclose(model.loglik(params), model.dense.loglik(params), rtol=1e-12)


@every_slope
def test_negative_variances(posed, name):
    """What must be positive definite is each cluster's covariance, not the between matrix."""
    model, inside = posed(name), 0
    rng = np.random.default_rng(11)
    for _ in range(60):
        params = draw_params(model.fit.table, rng, negative=True)
        for row in model.fit.table.rows:
            if row.level == 2 and row.op == "~~" and row.lhs == row.rhs and row.free >= 0:
                params[row.free] *= rng.choice([1.0, 0.1, -0.02])
        allowed = model.dense.inside(params)
        assert (model.evaluate(params) is not None) == allowed
        inside += allowed
        if allowed:
            np.testing.assert_allclose(model.loglik(params), model.dense.loglik(params), rtol=1e-11)
    assert inside


@every_slope
def test_derivatives(posed, name):
    model = posed(name)
    params = point_inside(model, 1)
    gradient, scores = model.gradient(params), model.scores(params)
    wanted = jacobian(model.dense.logliks, params)
    close(gradient, wanted.sum(axis=0), 1e-9)
    close(scores, wanted, 1e-9)
    close(scores.sum(axis=0), gradient, 1e-12)
    close(model.observed(params), -jacobian(model.gradient, params), 1e-8)
    close(model.expected(params), model.dense.expected(params), 1e-9)


LARGE = pytest.param("latent at both levels", marks=pytest.mark.slow)  # six seconds


@pytest.mark.parametrize("name", ["one slope", "slope as mediator", LARGE])
def test_observed_information_of_the_dense_likelihood(posed, name):
    model = posed(name)
    params = point_inside(model, 3)
    close(model.observed(params), -hessian(model.dense.loglik, params), 1e-6)


@every_slope
def test_along_a_basis(posed, name):
    model = posed(name)
    params = point_inside(model, 6)
    size = len(params)
    basis = np.random.default_rng(6).normal(size=(size, size - 2))
    _, at = model.derivatives(params, basis)
    close(at.gradient, basis.T @ model.gradient(params), 1e-11)
    close(model.scores(params, basis), model.scores(params) @ basis, 1e-11)
    close(model.observed(params, basis), basis.T @ model.observed(params) @ basis, 1e-11)
    close(model.expected(params, basis), basis.T @ model.expected(params) @ basis, 1e-11)


@every_slope
def test_cluster_parts(posed, name):
    """Each cluster's expected information, and the fourth cumulants of its scores."""
    model = posed(name)
    params = point_inside(model, 4)
    point, at = model.derivatives(params)
    problem = model.fit._estimates.problem
    parts = problem.clusters.parts(point, at.along)
    clusters = np.arange(len(problem.moments.labels))
    dense = DenseParts(model.dense, params)
    order = np.argsort(problem.moments.labels)
    found = parts.information(clusters)
    close(found[order], dense.information(), 1e-9)
    close(found.sum(axis=0), model.expected(params), 1e-12)
    directions = np.random.default_rng(1).normal(size=(len(clusters), 3, len(params)))
    cumulants = fourth_cumulants(parts.white(clusters), directions)
    close(cumulants[order], dense.cumulants(directions[order]), 1e-8)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(name=st.sampled_from(sorted(SLOPES)), seed=st.integers(0, 10_000), sizes=SIZES)
def test_any_sizes(name, seed, sizes):
    model = pose(SLOPES[name], slope_data(seed, tuple(sizes)))
    params = point_inside(model, seed)
    np.testing.assert_allclose(model.loglik(params), model.dense.loglik(params), rtol=1e-11)
    gradient = model.gradient(params)
    close(gradient, jacobian(model.loglik, params), 1e-8)
    close(model.scores(params).sum(axis=0), gradient, 1e-11)
    close(model.observed(params), -jacobian(model.gradient, params), 1e-8)


def test_a_slope_without_variance_is_a_fixed_slope():
    data = slope_data(3, UNBALANCED)
    free, fixed = pose(SLOPE_VARIANCE_ZERO, data), pose(FIXED_SLOPE, data)
    params = point_inside(fixed, 1)
    renamed = {"s~1.l2": "y1~x1", "s~w1.l2": "y1~w1:x1"}
    names = fixed.fit.table.names
    order = [names.index(renamed.get(name, name)) for name in free.fit.table.names]
    np.testing.assert_allclose(free.loglik(params[order]), fixed.loglik(params), rtol=1e-13)
    close(free.gradient(params[order]), fixed.gradient(params)[order], 1e-12)
    close(free.scores(params[order]), fixed.scores(params)[:, order], 1e-12)
    close(free.observed(params[order]), fixed.observed(params)[np.ix_(order, order)], 1e-12)


def as_slopes(posed: Posed) -> Posed:
    """A random-intercept model taken for one with carriers."""
    fit, problem = posed.fit, posed.fit._estimates.problem
    pattern: ModelPattern = problem.objective.pattern
    pattern = replace(pattern, carriers=pattern.random_effects)
    data = slope_moments(pattern, problem.moments)
    objective = SlopeObjective(pattern, data)
    clusters = SlopeClusters(problem.moments, data)
    problem = replace(problem, objective=objective, inner=objective, clusters=clusters)
    return replace(posed, fit=with_estimates(fit, problem=problem))


@pytest.mark.parametrize("name", [n for n, kind in KINDS.items() if "level:" in kind.text])
def test_random_intercepts_are_slopes_of_the_constant(name):
    """The two forms of the likelihood share no formula but the chain rule."""
    plain = pose(KINDS[name], slope_data(8, UNBALANCED))
    plain = replace(
        plain, fit=with_estimates(plain.fit, problem=uncentred(plain.fit._estimates.problem))
    )
    sloped = as_slopes(plain)
    params = point_inside(plain, 2)
    np.testing.assert_allclose(sloped.loglik(params), plain.loglik(params), rtol=1e-12)
    close(sloped.gradient(params), plain.gradient(params), 1e-11)
    close(sloped.scores(params), plain.scores(params), 1e-11)
    close(sloped.observed(params), plain.observed(params), 1e-11)
    close(sloped.expected(params), plain.expected(params), 1e-11)
    point, at = plain.derivatives(params)
    clusters = np.arange(len(UNBALANCED))
    directions = np.random.default_rng(1).normal(size=(len(clusters), 2, len(params)))
    found = sloped.fit._estimates.problem.clusters.parts(sloped.evaluate(params), at.along)
    wanted = plain.fit._estimates.problem.clusters.parts(point, at.along)
    close(found.information(clusters), wanted.information(clusters), 1e-11)
    for cumulants in (fourth_cumulants, third_cumulants):
        ours = cumulants(found.white(clusters), directions)
        close(ours, cumulants(wanted.white(clusters), directions), 1e-11)


def uncentred(problem):
    return replace(problem, inner=problem.objective)


def test_coordinates_are_those_of_the_rows():
    """Orthonormal, in the carriers' span, and zero where a carrier has no direction of its own."""
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(3, 5, 4))
    rows[1, :, 0] = 1.0
    rows[2, :, 1] = 2.0 - 3.0 * rows[2, :, 0]
    rows -= rows.mean(axis=1, keepdims=True)
    maps = np.eye(4)[:2]
    found = deviation_coordinates(maps, rows.swapaxes(1, 2) @ rows)
    assert (found[1, 0] == 0).all()
    assert (found[2, 1] == 0).all()
    for j, each in enumerate(rows):
        carriers = each @ maps.T
        basis, values, _ = np.linalg.svd(carriers, full_matrices=False)
        basis = basis[:, values > 1e-10]
        close(found[j].T @ found[j], each.T @ basis @ basis.T @ each, 1e-12)
