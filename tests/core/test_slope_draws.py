"""Draws from models with random slopes, as moments: against what the model expects of its scores,
against rows drawn one by one from the dense normal distribution, and against random intercepts."""

from dataclasses import replace

import numpy as np
import pytest
from draw_checks import (
    assert_drawn_as_rows,
    assert_mean,
    assert_only_outcomes_change,
    assert_same_moments,
    drawn_rows,
)
from kinds import UNBALANCED, Kind, draw_params, point_inside, pose
from slope_kinds import FIXED_SLOPE, SLOPE_VARIANCE_ZERO, SLOPES, slope_data

import mlsem
from mlsem.errors import InferenceError
from mlsem.estimation.refit import model_sampler

PRODUCT = Kind(
    'level: 1\n y1 ~ rv("s")*x1 + rv("t")*x1:x2 + x2\n v1 ~ x1\nlevel: 2\n z1 ~ s\n t ~~ s'
)
MODELS = {**SLOPES, "variance zero": SLOPE_VARIANCE_ZERO, "product, level-2 outcome": PRODUCT}
ROW_BY_ROW = ["two slopes", "several outcomes", "latent at both levels", "product, level-2 outcome"]


def frame():
    return slope_data(5, UNBALANCED)


def sampler_at(posed, params):
    problem = posed.fit._estimates.problem
    point = problem.inner.evaluate(problem.coordinates.to_internal(params))
    return problem.clusters.sampler(problem.inner.pattern, point)


def point_of(posed, seed):
    """A point with negative slope variances too, if the seed says so."""
    if seed < 10:
        return point_inside(posed, seed)
    rng, table = np.random.default_rng(seed), posed.fit.table
    for _ in range(500):
        params = draw_params(table, rng)
        for row in table.rows:
            if row.op == "~~" and row.lhs == row.rhs == "s" and row.free >= 0:
                params[row.free] = -0.02
        if posed.dense.inside(params, 0.1):
            return params
    raise AssertionError("no point inside the parameter space")


@pytest.mark.parametrize(
    ("name", "seed"), [*((name, 1) for name in MODELS), ("one slope", 10), ("two slopes", 11)]
)
def test_scores_of_draws(name, seed):
    """At the parameters drawn from: mean 0, covariance the expected information."""
    posed = pose(MODELS[name], frame())
    params = point_of(posed, seed)
    source, rng = sampler_at(posed, params), np.random.default_rng(3)
    basis, scores = np.eye(len(params)), []
    for _ in range(120):
        objective = posed.fit._estimates.problem.with_moments(source.draw(rng), params).objective
        scores.append(objective.derivatives(objective.evaluate(params), basis).gradient)
    lower = np.linalg.cholesky(posed.expected(params))
    unit = np.linalg.solve(lower, np.array(scores).T).T
    assert_mean(unit, 0.0)
    rows, cols = np.triu_indices(len(params))
    assert_mean(unit[:, rows] * unit[:, cols], np.eye(len(params))[rows, cols])


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_draws_are_those_of_rows(name):
    """Clusters of 1 to 6 rows: all means and cross-products, and their covariances."""
    posed = pose(MODELS[name], frame())
    params = point_inside(posed, 4)
    source, rng = sampler_at(posed, params), np.random.default_rng(8)
    draws = [source.draw(rng) for _ in range(800)]
    for cluster in (0, 1, 2, 5, 7, 8, 12):  # x1 is constant in 2, 7 and 12
        rows = drawn_rows(posed, params, cluster, 800, rng)
        assert_drawn_as_rows(source.moments, cluster, draws, rows)


def test_data_have_every_kind_of_cluster():
    posed = pose(SLOPES["two slopes"], frame())
    source = sampler_at(posed, point_inside(posed, 1))
    found = source.carried.found.sum(axis=(1, 2))
    assert set(found) == {0.0, 1.0, 2.0}
    assert (source.moments.rows < 3).any()
    assert source.carried.rest.degrees.min() == 0.0
    sizes = found + source.carried.rest.degrees + source.carried.rest.ranked.sum(axis=(1, 2))
    np.testing.assert_array_equal(sizes, source.moments.rows - 1)


@pytest.mark.parametrize("name", ["several outcomes", "product, level-2 outcome"])
def test_only_outcomes_change(name):
    posed = pose(MODELS[name], frame())
    source = sampler_at(posed, point_inside(posed, 4))
    moments, drawn, _ = assert_only_outcomes_change(source)
    np.testing.assert_allclose(drawn.within, drawn.within.swapaxes(1, 2))
    ranks = np.linalg.matrix_rank(drawn.within, tol=1e-9, hermitian=True)
    assert (ranks <= moments.rows - 1).all()


def test_a_slope_without_variance_is_none():
    """The sampler of random intercepts draws from the same distribution."""
    data = frame()
    slopes, fixed = pose(SLOPE_VARIANCE_ZERO, data), pose(FIXED_SLOPE, data)
    params = point_inside(slopes, 1)
    names = {"s~w1.l2": "y1~w1:x1", "s~1.l2": "y1~x1"}
    place = {name: k for k, name in enumerate(fixed.fit.table.names)}
    same = np.empty(len(params))
    for name, value in zip(slopes.fit.table.names, params, strict=True):
        same[place[names.get(name, name)]] = value
    rng, found = np.random.default_rng(2), []
    for posed, point in ((slopes, params), (fixed, same)):
        source = sampler_at(posed, point)
        columns = source.moments.columns
        y1, x1, x2 = (columns.index(name) for name in ("y1", "x1", "x2"))
        draws = [source.draw(rng) for _ in range(800)]
        values = [np.r_[d.means[:, y1], d.within[:, y1, [y1, x1, x2]].ravel()] for d in draws]
        found.append(np.array(values))
    assert_same_moments(*found)


def test_clusters_of_one_row():
    """Nothing within: no cross-products before, none after."""
    posed = pose(MODELS["two slopes"], frame())
    source = sampler_at(posed, point_inside(posed, 1))
    lone = source.moments.rows == 1
    assert lone.any()
    assert not source.draw(np.random.default_rng(1)).within[lone].any()


def test_nothing_is_drawn_from_a_singular_model():
    posed = pose(SLOPES["one slope"], frame())
    params = point_inside(posed, 1)
    problem = posed.fit._estimates.problem
    point = problem.inner.evaluate(problem.coordinates.to_internal(params))
    between = replace(point.between, sigma=-10.0 * np.eye(len(point.between.sigma)))
    with pytest.raises(InferenceError, match="singular"):
        problem.clusters.sampler(
            problem.inner.pattern, replace(point, levels=(point.within, between))
        )


# --- what is made of draws ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fit():
    text = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1\n y ~~ s'
    return mlsem.fit(text, mlsem.load_example("article"), cluster="id")


def test_draws_follow_the_seed(fit):
    source = model_sampler(fit._estimates)
    first, again, other = (source.draw(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.means == again.means).all()
    assert (first.within == again.within).all()
    assert not np.allclose(first.means, other.means)
    assert not np.allclose(first.within, other.within)


def test_draws_do_not_see_where_covariates_are(fit):
    data = mlsem.load_example("article")
    text = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~ w1\n s ~ w1\n y ~~ s'
    far = mlsem.fit(text, data.assign(x1=data["x1"] + 1e4), cluster="id")
    first, second = (model_sampler(f._estimates).draw(np.random.default_rng(1)) for f in (fit, far))
    np.testing.assert_allclose(first.within, second.within, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(first.means, second.means, atol=1e-3)


def test_parametric_bootstrap(fit):
    """The estimates scatter as the model's standard errors say."""
    found = fit.bootstrap("parametric", 100, seed=1)
    assert found.n_failed == 0
    places = [found.parameters.index(name) for name in ("y~w1.l2", "s~w1.l2", "y~~y", "s~~s.l2")]
    away = (found.draws - found.estimate)[:, places] / fit.bse.to_numpy()[places]
    np.testing.assert_allclose(away.mean(axis=0), 0.0, atol=0.4)
    np.testing.assert_allclose(away.std(axis=0), 1.0, atol=0.25)
    few = fit.bootstrap("parametric", 5, seed=1)
    np.testing.assert_array_equal(few.draws, found.draws[:5])


def test_compare_se(fit):
    found = fit.compare_se(draws=30, seed=1, progress=False)
    assert found.band.failed == 0
    assert np.isfinite(found.band.ratios).all()
    assert fit.compare_se(draws=30, seed=1, progress=False).table.equals(found.table)
