"""Random-effect covariances kept positive semidefinite: derivatives, inner and boundary optima."""

import numpy as np
import pytest
from dense_reml import maximised, restricted
from dense_slopes import close
from differences import jacobian
from kinds import Kind, point_inside, pose
from scipy.optimize import minimize
from slope_kinds import SLOPES, slope_data

from mlsem.core.optimise.factored import Factors, block_of, factored, random_effect_factors
from mlsem.estimation.faces import bounded
from mlsem.estimation.semidefinite import factors_of
from mlsem.estimation.settings import Settings

ONE = Kind('level: 1\n y1 ~ rv("s")*x1 + x2\nlevel: 2\n y1 ~ w1\n s ~ w1\n y1 ~~ s')
TWO = SLOPES["two slopes"]
APART = SLOPES["uncorrelated"]
SIZES = (3,) * 40
UNEQUAL = tuple(np.random.default_rng(1).integers(1, 16, size=80))


FORMS = ["ML", "REML", "REML of a mixed model"]


def posed(kind, data, form):
    """The factored objective, its free directions and a start."""
    problem = pose(kind, data).fit._estimates.problem
    objective, free = problem.objective, np.eye(len(problem.guess))
    if form != "ML":
        objective, _, free = restricted(problem, mixed=form != "REML")
    factors, start = factors_of(problem, problem.guess).facing(problem.guess)
    found = factored(objective, factors)
    return found, free, found.evaluate(start)


def singular(objective, params):
    return objective.factors.singular(params)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [ONE, TWO, APART])
def test_derivatives(kind, form):
    model = pose(kind, slope_data(3, UNEQUAL))
    objective, free, _ = posed(kind, slope_data(3, UNEQUAL), form)
    _, start = objective.factors.facing(point_inside(model, 2))
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
    found = maximised(objective, start, free)
    plain = maximised(objective.objective, start.point, free)
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
    factors, plain = objective.factors, objective.objective
    found = bounded(plain, iter([factors.params(start.params)]), free, Settings(), factors)
    assert found.converged
    assert found.n_iterations < 40
    assert singular(objective, found.params)

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
    np.testing.assert_allclose(found.loglik, best, atol=1e-6)


def test_which_matrices_are_factored():
    def blocks(kind):
        return [
            block.rank
            for block in random_effect_factors(
                pose(kind, slope_data(1, UNEQUAL)).fit._estimates.problem.objective.pattern
            ).blocks
        ]

    assert blocks(ONE) == [2]
    assert blocks(TWO) == [3]
    assert blocks(APART) == [1, 1]
    fixed = 'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~~ 0*s\n s ~~ 0*s\n y1 ~ w1'
    assert blocks(Kind(fixed)) == [1]


def blocks_of(*cells, metric=None):
    """Blocks of these cells, all moving the rows alike unless a metric says how."""
    sizes = [len(each) for each in cells]
    metrics = metric or [np.eye(size) for size in sizes]
    rows = [np.arange(size) for size in sizes]
    return Factors(tuple(map(block_of, map(np.array, cells), metrics, rows)))


METRIC = np.array([[1.0, 40.0], [40.0, 1700.0]])  # a carrier of mean 40 and standard deviation 10


@pytest.mark.parametrize("metric", [None, [METRIC, np.array([[0.01]])]])
def test_there_and_back(metric):
    factors = blocks_of([[1, 2], [2, 4]], [[0]], metric=metric)
    params = np.array([0.5, 2.0, -0.3, 7.0, 1.0])
    face, x = factors.facing(params)
    close(face.params(x), params, 1e-13)
    assert face.rank == 3
    assert factors.inside(params)
    improper = np.array([0.5, 2.0, -1.6, 7.0, 1.0])
    assert not factors.inside(improper)
    face, x = factors.facing(improper)
    assert face.rank == 2
    nearest = face.params(x)
    assert abs(factors.lowest(nearest)) < 1e-9
    assert factors.singular(nearest)
    face, x = factors.facing(np.array([-0.5, 2.0, -0.3, 7.0, 1.0]))
    assert face.params(x)[0] == 0.0


def test_the_same_in_all_units():
    """Singular is what hardly moves the rows, whatever the unit and the origin of a covariate."""
    params = np.array([1.0, 0.3, 2e-3])
    cells = [[0, 1], [1, 2]]
    plain = blocks_of(cells, metric=[METRIC])
    turn = np.array([[1.0, 7.0], [0.0, 1e-4]])  # (1, x) = (1, 7 + x / 1e4) in other units
    matrix = np.linalg.inv(turn) @ params[np.array(cells)] @ np.linalg.inv(turn).T
    other = blocks_of(cells, metric=[turn.T @ METRIC @ turn])
    moved = np.array([matrix[0, 0], matrix[0, 1], matrix[1, 1]])
    np.testing.assert_allclose(other.lowest(moved), plain.lowest(params), rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [ONE, TWO, APART])
def test_no_further_column_raises_a_maximum(kind, form):
    """On the boundary dℓ = ½ tr(S dΣ) has S Σ = 0, and S has no positive eigenvalue."""
    data = slope_data(4, SIZES, spread=0.0)
    problem = pose(kind, data).fit._estimates.problem
    objective, free, _ = posed(kind, data, form)
    plain = objective.objective
    factors = factors_of(problem, problem.guess)
    found = bounded(plain, iter([problem.guess]), free, Settings(), factors)
    assert found.converged
    assert factors.singular(found.params)
    gradient = plain.derivatives(found.point, np.eye(len(problem.guess))).gradient
    for block in factors.blocks:
        slopes, matrix = block.slopes(gradient), block.standard(found.params)
        size = np.abs(slopes).max()
        assert np.linalg.eigvalsh(slopes)[-1] < 1e-5 * max(size, 1.0)
        assert np.abs(slopes @ matrix).max() < 1e-5 * max(size, 1.0)


def test_a_parameter_that_is_shared_is_not_bounded():
    shared = 'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~~ v*y1\n s ~~ v*s\n y1 ~~ s'
    pattern = pose(Kind(shared), slope_data(1, UNEQUAL)).fit._estimates.problem.objective.pattern
    assert random_effect_factors(pattern).blocks == ()
