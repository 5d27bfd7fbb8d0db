"""Log-likelihood, gradient, scores and information of every kind of model, at random points,
against the dense multivariate normal of `dense` and its numeric derivatives."""

import numpy as np
import pytest
from differences import hessian, jacobian
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import KINDS, UNBALANCED, draw_params, make_data, point_inside, pose

SIZES = st.lists(st.integers(1, 6), min_size=9, max_size=16).filter(
    lambda sizes: sum(sizes) >= 36
)  # enough rows for every kind's parameters
every_kind = pytest.mark.parametrize("name", KINDS)
TWO_LEVEL = [name for name, kind in KINDS.items() if "level:" in kind.text]


@pytest.fixture(scope="module")
def posed():
    """Each kind once, on the same data."""
    data = make_data(5, UNBALANCED)
    made = {}

    def get(name):
        if name not in made:
            made[name] = pose(KINDS[name], data)
        return made[name]

    return get


def close(found, wanted, tol):
    """To `tol` of the largest entry."""
    scale = max(1.0, np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tol * scale)


@every_kind
def test_loglik(posed, name):
    model = posed(name)
    for seed in range(5):
        params = point_inside(model, seed)
        np.testing.assert_allclose(model.loglik(params), model.dense.loglik(params), rtol=1e-12)


@pytest.mark.parametrize("name", TWO_LEVEL)
def test_loglik_with_negative_between_variances(posed, name):
    """What must be positive definite is each cluster's covariance, not the between matrix."""
    model = posed(name)
    rng = np.random.default_rng(11)
    for _ in range(40):
        params = draw_params(model.fit.table, rng, negative=True)
        inside = model.dense.inside(params)
        assert (model.evaluate(params) is not None) == inside
        if inside:
            np.testing.assert_allclose(model.loglik(params), model.dense.loglik(params), rtol=1e-11)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(name=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 10_000), sizes=SIZES)
def test_loglik_of_any_sizes(name, seed, sizes):
    model = pose(KINDS[name], make_data(seed, tuple(sizes)))
    params = point_inside(model, seed)
    np.testing.assert_allclose(model.loglik(params), model.dense.loglik(params), rtol=1e-11)


@every_kind
def test_gradient_and_scores(posed, name):
    model = posed(name)
    params = point_inside(model, 2)
    found, wanted = model.scores(params), jacobian(model.dense.logliks, params)
    close(model.gradient(params), wanted.sum(axis=0), 1e-9)
    close(found, wanted, 1e-9)
    close(found.sum(axis=0), model.gradient(params), 1e-12)


@every_kind
def test_observed_information(posed, name):
    model = posed(name)
    for seed in (3, 4):
        params = point_inside(model, seed, negative=seed == 4 and model.fit.table.two_level)
        found = model.observed(params)
        close(found, -jacobian(model.gradient, params), 1e-8)
        np.testing.assert_array_equal(found, found.T)


SLOW = [
    pytest.param(name, marks=pytest.mark.slow)  # dense derivatives take five seconds
    for name in ("latent at both levels", "2-1-1")
]


@pytest.mark.parametrize("name", ["products", "feedback", *SLOW])
def test_observed_information_of_the_dense_likelihood(posed, name):
    """Second differences lose half of the digits."""
    model = posed(name)
    params = point_inside(model, 3)
    close(model.observed(params), -hessian(model.dense.loglik, params), 1e-6)


@every_kind
def test_expected_information(posed, name):
    model = posed(name)
    params = point_inside(model, 5)
    found = model.expected(params)
    close(found, model.dense.expected(params), 1e-10)
    assert np.linalg.eigvalsh(found)[0] > -1e-10 * np.abs(found).max()


@every_kind
def test_along_a_basis(posed, name):
    """Derivatives along directions are those along the parameters, combined."""
    model = posed(name)
    params = point_inside(model, 6)
    size = len(params)
    basis = np.random.default_rng(6).normal(size=(size, max(1, size - 2)))
    _, at = model.derivatives(params, basis)
    close(at.gradient, basis.T @ model.gradient(params), 1e-11)
    close(model.scores(params, basis), model.scores(params) @ basis, 1e-11)
    close(model.observed(params, basis), basis.T @ model.observed(params) @ basis, 1e-11)
    close(model.expected(params, basis), basis.T @ model.expected(params) @ basis, 1e-11)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(name=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 10_000), sizes=SIZES)
def test_derivatives_of_any_sizes(name, seed, sizes):
    model = pose(KINDS[name], make_data(seed, tuple(sizes)))
    params = point_inside(model, seed)
    gradient = model.gradient(params)
    close(gradient, jacobian(model.loglik, params), 1e-8)
    close(model.scores(params).sum(axis=0), gradient, 1e-11)
    close(model.observed(params), -jacobian(model.gradient, params), 1e-8)


@every_kind
def test_implied_moments_are_the_dense_ones(posed, name):
    model = posed(name)
    fit, params = model.fit, model.fit._estimates.optimum.params
    for number, variables in enumerate(fit.table.levels, start=1):
        level = model.dense.level(number, params)
        rows = np.array([cluster[0] for cluster in model.dense.rows_of])
        rows = rows if number == 2 else np.arange(len(model.dense.columns[level.names[0]]))
        x = model.dense._values(variables.covariates, rows)
        spread = x - x.mean(axis=0)
        cov_x = spread.T @ spread / len(x)
        names = list(level.names + level.covariates)
        implied = fit.implied(number)
        across = level.slopes @ cov_x
        wanted = np.block([[level.cov + across @ level.slopes.T, across], [across.T, cov_x]])
        close(implied.cov.loc[names, names], wanted, 1e-12)
        if fit.table.meanstructure:
            mean = level.intercepts + level.slopes @ x.mean(axis=0)
            close(implied.mean[names], np.concatenate((mean, x.mean(axis=0))), 1e-12)
