"""Levels whose means and covariances are free: derivatives, and the maxima that are known."""

from __future__ import annotations

import numpy as np
import pytest
from differences import jacobian
from kinds import UNBALANCED, make_data
from reference import frame

import mlsem
from mlsem.core.implied.pattern import Pattern
from mlsem.core.implied.unstructured import unstructured
from mlsem.core.intercepts.objective import InterceptObjective
from mlsem.core.optimise.maximise import maximise
from mlsem.core.sample.moments import pooled
from mlsem.core.sample.shapes import level_sample, shape_moments, shapes_of
from mlsem.core.slopes.carriers import slope_moments
from mlsem.core.slopes.objective import SlopeObjective


def maps_of(problem, *names):
    width = len(problem.sample.within)
    return np.array([problem.maps[name] for name in names]).reshape(len(names), width)


def with_constant(maps):
    return np.vstack((np.eye(1, maps.shape[1]), maps))


def two_levels(problem, split, within=(), between=(), only=()):
    """The pattern of `split` variables, those of level 1 `only`, and covariates of each level."""
    names, count = (*split, *only), len(split)
    own = np.arange(count, len(names))
    level1 = unstructured(
        maps_of(problem, *names), with_constant(maps_of(problem, *within)), own, 0
    )
    level2 = unstructured(
        np.zeros_like(maps_of(problem, *split)),
        with_constant(maps_of(problem, *between)),
        np.arange(count),
        level1.n_free,
    )
    return Pattern((level1, level2), count, level1.n_free + level2.n_free)


def started(pattern, data, names):
    """Sample moments, and no effects."""
    params = np.zeros(pattern.n_params)
    for number, level in ((1, pattern.within), (2, pattern.between)):
        maps = pattern.within.responses[: len(level.responses)]
        sample = level_sample(data, names[: len(maps)], maps, number)
        covariance = sample.covariance + 0.1 * np.diag(np.diag(sample.covariance))
        symmetric, exogenous = level.symmetric, level.exogenous
        params[symmetric.params] = covariance[symmetric.rows, symmetric.cols]
        constant = exogenous.cols == 0
        params[exogenous.params[constant]] = sample.mean[exogenous.rows[constant]]
    return params


def maximum(objective, params):
    start, unit = objective.evaluate(params), np.eye(len(params))
    first = objective.conditioned(start, unit)
    found = maximise(objective, start, unit, first, tol=1e-10, max_iter=100)
    assert found.converged
    return found


@pytest.mark.parametrize("covariates", [(), ("x1", "x2")])
def test_one_level_has_the_sample_moments(covariates):
    """Without covariates; with them, the least-squares regressions and their residuals."""
    data = make_data(3, (8,) * 20)
    outcomes = ("y1", "y2", "y3", "v1")
    text = "y1 ~~ y2 + y3 + v1" + "".join(f"\n y1 ~ {name}" for name in covariates)
    problem = mlsem.fit(text, data, meanstructure=True)._estimates.problem
    whole = pooled(problem.moments)
    sample = shape_moments(whole, *shapes_of(whole))
    maps = with_constant(maps_of(problem, *covariates))
    within = unstructured(maps_of(problem, *outcomes), maps, np.arange(4), 0)
    between = unstructured(np.zeros((0, maps.shape[1])), maps[:1], np.arange(0), within.n_free)
    pattern = Pattern((within, between), 0, within.n_free)
    found = maximum(InterceptObjective(pattern, sample), started(pattern, sample, outcomes))
    y = data[list(outcomes)].to_numpy()
    design = np.column_stack((np.ones(len(y)), data[list(covariates)]))
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    left = y - design @ coefficients
    np.testing.assert_allclose(found.point.within.coefficients, coefficients.T, atol=1e-10)
    np.testing.assert_allclose(found.point.within.sigma, left.T @ left / len(y), atol=1e-10)


def test_two_levels_have_the_saturated_moments():
    problem = mlsem.fit(
        "level: 1\n y ~ x + m\nlevel: 2\n y ~ x + w", frame("mediation.csv"), "id"
    )._estimates.problem
    data, wanted = problem.sample, problem.saturated
    pattern = two_levels(problem, ("y", "x"), ("m",), ("w",))
    found = maximum(InterceptObjective(pattern, data), started(pattern, data, ("y", "x")))
    for moments, covariance in zip(
        (found.point.within, found.point.between), wanted.covariances, strict=True
    ):
        slopes = moments.coefficients[:, 1:]
        across = slopes @ covariance[2:, 2:]
        np.testing.assert_allclose(across, covariance[:2, 2:], atol=1e-9)
        total = moments.sigma + across @ slopes.T
        np.testing.assert_allclose(total, covariance[:2, :2], atol=1e-9)


@pytest.fixture(scope="module")
def both():
    """A point of both engines, with a variable of level 1 only and indefinite Σ_B."""
    text = "level: 1\n y1 + y2 + v1 ~ x1\nlevel: 2\n y1 + y2 ~ w1"
    problem = mlsem.fit(text, make_data(6, UNBALANCED), "id", se="none")._estimates.problem
    pattern = two_levels(problem, ("y1", "y2"), ("x1",), ("w1",), ("v1",))
    params = started(pattern, problem.sample, ("y1", "y2", "v1"))
    params += 0.02 * np.random.default_rng(1).normal(size=len(params))
    params[pattern.between.symmetric.params] = -0.02, 0.01, 0.05
    slopes = SlopeObjective(pattern, slope_moments(pattern, problem.moments))
    return InterceptObjective(pattern, problem.sample), slopes, params


def test_derivatives(both):
    objective, slopes, params = both
    unit = np.eye(len(params))

    def at(params, engine=objective):
        point = engine.evaluate(params)
        return point, engine.derivatives(point, unit)

    gradient = jacobian(lambda moved: at(moved)[0].loglik, params)
    np.testing.assert_allclose(at(params)[1].gradient, gradient, atol=1e-7)
    observed = objective.observed(*at(params))
    differences = -jacobian(lambda moved: at(moved)[1].gradient, params)
    np.testing.assert_allclose(observed, differences, atol=1e-6 * np.abs(observed).max())
    there = at(params, slopes)
    assert there[0].loglik == pytest.approx(at(params)[0].loglik, rel=1e-12)
    for which in ("expected", "observed"):
        ours = getattr(objective, which)(*at(params))
        theirs = getattr(slopes, which)(*there)
        np.testing.assert_allclose(ours, theirs, atol=1e-10 * np.abs(ours).max())


def test_moments_and_their_derivatives(both):
    """The Jacobian along any basis, against differences."""
    objective, _, params = both
    level = objective.pattern.within
    basis = np.random.default_rng(2).normal(size=(len(params), 3))
    found = level.jacobian(level.moments(params), basis)

    def moments(step):
        there = level.moments(params + basis @ step)
        return np.concatenate((there.sigma.ravel(), there.mean.ravel()))

    wanted = jacobian(moments, np.zeros(3)).T
    ours = np.concatenate((found.sigma.reshape(3, -1), found.mean.reshape(3, -1)), axis=1)
    np.testing.assert_allclose(ours, wanted, atol=1e-10)
