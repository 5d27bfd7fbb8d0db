"""Random-effect covariances kept positive semidefinite: derivatives, inner and boundary optima."""

import numpy as np
import pytest
from differences import jacobian
from kinds import Kind, point_inside, pose
from scipy.optimize import minimize
from slope_kinds import SLOPES, slope_data
from test_reml import maximized, restricted
from test_slopes import close

from mlsem.core.factored import Factors, factored, random_effect_factors
from mlsem.core.pattern import level_moments

ONE = Kind('level: 1\n y1 ~ rv("s")*x1 + x2\nlevel: 2\n y1 ~ w1\n s ~ w1\n y1 ~~ s')
TWO = SLOPES["two slopes"]
APART = SLOPES["uncorrelated"]
SIZES = (3,) * 40
UNEQUAL = tuple(np.random.default_rng(1).integers(1, 16, size=80))


FORMS = ["ML", "REML", "REML of a mixed model"]


def posed(kind, data, form):
    """The factored objective, its free directions and a start."""
    problem = pose(kind, data).fit.problem
    objective, free = problem.objective, np.eye(len(problem.guess))
    if form != "ML":
        objective, _, free = restricted(problem, mixed=form != "REML")
    factors = random_effect_factors(objective.pattern)
    found = factored(objective, factors)
    return found, free, found.evaluate(factors.factored(problem.guess))


def singular(objective, params):
    sigma2 = level_moments(objective.pattern.within, params).sigma[0, 0]
    return objective.factors.singular(params, sigma2)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [ONE, TWO, APART])
def test_derivatives(kind, form):
    model = pose(kind, slope_data(3, UNEQUAL))
    objective, free, _ = posed(kind, slope_data(3, UNEQUAL), form)
    start = objective.factors.factored(point_inside(model, 2))
    point = objective.evaluate(start)
    at = objective.derivatives(point, free)

    def inner(step):
        return objective.evaluate(start + free @ step)

    def slopes(step):
        return objective.derivatives(inner(step), free).gradient

    here = np.zeros(free.shape[1])
    close(at.gradient, jacobian(lambda step: inner(step).loglik, here), 1e-8)
    close(objective.observed(point, at), -jacobian(slopes, here), 1e-8)
    turned = objective.factors.jacobian(point.params)
    close(turned, jacobian(objective.factors.params, point.params), 1e-9)
    plain = objective.objective.derivatives(point.point, turned @ free)
    close(objective.expected(point, at), objective.objective.expected(point.point, plain), 1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", [1, 2, 5])
def test_an_inner_optimum_is_the_free_one(seed, form):
    data = slope_data(seed, UNEQUAL, spread=1.0)
    objective, free, start = posed(ONE, data, form)
    found = maximized(objective, start, free)
    plain = maximized(objective.objective, start.point, free)
    assert found.converged
    assert plain.converged
    assert not singular(objective, plain.params)
    np.testing.assert_allclose(found.point.point.params, plain.params, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("seed", "sizes"), [(3, UNEQUAL), (4, SIZES), (6, SIZES), (10, SIZES)])
def test_a_boundary_optimum(seed, sizes, form):
    """Where the free optimum is indefinite, or none: the best of many by another optimiser."""
    data = slope_data(seed, sizes, spread=0.5 if seed % 3 else 0.0)
    objective, free, start = posed(ONE, data, form)
    found = maximized(objective, start, free)
    assert found.converged
    assert found.n_iterations < 20
    assert singular(objective, found.point.point.params)

    def deviance(step):
        point = objective.evaluate(start.params + free @ step)
        if point is None:
            return 1e10, np.zeros_like(step)
        return -point.loglik, -objective.derivatives(point, free).gradient

    rng = np.random.default_rng(0)
    tries = [
        minimize(deviance, 0.3 * rng.normal(size=free.shape[1]), jac=True, method="BFGS")
        for _ in range(4)
    ]
    best = -min(each.fun for each in tries)
    np.testing.assert_allclose(found.point.loglik, best, atol=1e-6)


def test_which_matrices_are_factored():
    def blocks(kind):
        return [
            len(block)
            for block in random_effect_factors(
                pose(kind, slope_data(1, UNEQUAL)).fit.problem.objective.pattern
            ).blocks
        ]

    assert blocks(ONE) == [2]
    assert blocks(TWO) == [3]
    assert blocks(APART) == [1, 1]
    fixed = 'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~~ 0*s\n s ~~ 0*s\n y1 ~ w1'
    assert blocks(Kind(fixed)) == [1]


def test_there_and_back():
    factors = Factors((np.array([[1, 2], [2, 4]]), np.array([[0]])))
    params = np.array([0.5, 2.0, -0.3, 7.0, 1.0])
    close(factors.params(factors.factored(params)), params, 1e-14)
    assert factors.inside(params)
    improper = np.array([0.5, 2.0, -1.6, 7.0, 1.0])
    assert not factors.inside(improper)
    assert factors.inside(factors.params(factors.factored(improper)))
    negative = factors.factored(np.array([-0.5, 2.0, -0.3, 7.0, 1.0]))
    assert 1e-3 < negative[0] < 0.5  # at 0 itself the likelihood would have no slope
