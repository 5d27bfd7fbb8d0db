"""Draws from a fitted model and resampled clusters, as moments; refits of both.

Draws are compared with what the model expects of its scores, and with rows drawn one by one from
the dense normal distribution of `dense`. All seeds are fixed: `STEPS` standard errors are far out.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from draw_checks import assert_drawn_as_rows, assert_mean, assert_only_outcomes_change, drawn_rows
from kinds import KINDS, UNBALANCED, Kind, make_data, point_inside, pose

import mlsem
from mlsem.core.sample.draws import semidefinite_factor, wishart
from mlsem.core.sample.moments import is_no_within
from mlsem.core.sample.resampling import resampled, resampled_unions
from mlsem.errors import InferenceError
from mlsem.estimation.refit import model_sampler, refit
from mlsem.estimation.settings import Settings
from mlsem.inference.covariance.of_estimates import covariance_of

MODEL = """
level: 1
  fw =~ y1 + y2 + y3
  fw ~ x1 + w1:x1
level: 2
  fb =~ y1 + y2 + y3
  fb ~ w1
"""
CONSTRAINED = MODEL.replace("level: 2", "y1 ~~ a*y1\n  y2 ~~ b*y2\nlevel: 2") + "a == 2*b*b\n"
THREE_COVARIATES = Kind(
    "level: 1\n y1 + v1 ~ x1 + x2 + w1:x1\n y2 ~ x1\nlevel: 2\n y1 ~ w1\n z1 ~ y1 + w1\n y2 ~ y1"
)
MODELLED_PRODUCT = Kind(
    "level: 1\n y1 ~ x1 + x2 + x1:x2\nlevel: 2\n y1 ~ w1", options={"fixed_x": False}
)
BY_SCORES = [
    "observed",
    "several observed",
    "latent at both levels",
    "labels across levels",
    "level-2 outcomes only",
    "indicators of both levels",
    "2-1-1",
    "modelled covariates",
    "three-way product",
    "within-only endogenous",
    "single level with means",
    "single level clusters",
]
ROW_BY_ROW = {
    "three covariates": THREE_COVARIATES,
    "split covariate": KINDS["split covariate"],
    "single level in clusters": Kind(
        KINDS["single level clusters"].text, options={"se": "MLR", "meanstructure": True}
    ),
}


@pytest.fixture(scope="module")
def data():
    sizes = np.random.default_rng(1).integers(1, 12, size=50)
    return make_data(21, tuple(sizes))


def sampler_at(posed, params):
    problem = posed.fit._estimates.problem
    point = problem.objective.evaluate(params)
    return problem.clusters.sampler(problem.objective.pattern, point)


# --- draws from the model -------------------------------------------------------------------------


def assert_scores(posed, params, count=150):
    """At the parameters drawn from, scores have mean 0 and covariance the expected information."""
    source, rng = sampler_at(posed, params), np.random.default_rng(3)
    scores = np.empty((count, len(params)))
    for k in range(count):
        objective = posed.fit._estimates.problem.with_moments(source.draw(rng), params).objective
        point = objective.evaluate(params)
        scores[k] = objective.derivatives(point, np.eye(len(params))).gradient
    lower = np.linalg.cholesky(posed.expected(params))
    unit = np.linalg.solve(lower, scores.T).T
    assert_mean(unit, 0.0)
    rows, cols = np.triu_indices(len(params))
    assert_mean(unit[:, rows] * unit[:, cols], np.eye(len(params))[rows, cols])


@pytest.mark.parametrize("name", BY_SCORES)
def test_scores_of_draws(name):
    posed = pose(KINDS[name], make_data(5, UNBALANCED))
    assert_scores(posed, point_inside(posed, 1))


def test_scores_of_draws_with_negative_between_variances():
    posed = pose(KINDS["several observed"], make_data(5, UNBALANCED))
    params = point_inside(posed, 2, negative=True)
    between = posed.evaluate(params).between.sigma
    assert np.linalg.eigvalsh(between)[0] < 0
    assert_scores(posed, params)


def test_scores_of_draws_of_a_modelled_product():
    """A product of factors far from zero is made of several stored columns."""
    frame = make_data(5, UNBALANCED)
    posed = pose(MODELLED_PRODUCT, frame.assign(x1=frame["x1"] + 120.0, x2=frame["x2"] - 150.0))
    assert np.count_nonzero(posed.fit._estimates.problem.maps["x1:x2"]) == 4
    assert_scores(posed, point_inside(posed, 1))


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_draws_are_those_of_rows(name):
    """Clusters of 1, 2, 3 and 6 rows: means, variances and covariances of all moments."""
    posed = pose(ROW_BY_ROW[name], make_data(5, UNBALANCED))
    params = point_inside(posed, 4)
    source, rng = sampler_at(posed, params), np.random.default_rng(8)
    draws = [source.draw(rng) for _ in range(1500)]
    for cluster in (0, 1, 2, 5, 12):  # sorted ids, of 1, 4, 2, 6 and 3 rows
        rows = drawn_rows(posed, params, cluster, 1500, rng)
        assert_drawn_as_rows(source.moments, cluster, draws, rows)


def test_only_outcomes_change():
    posed = pose(THREE_COVARIATES, make_data(5, UNBALANCED))
    source = sampler_at(posed, point_inside(posed, 4))
    _, _, inner = assert_only_outcomes_change(source)
    assert len(inner) == 3
    assert source.deviations.degrees.min() == 0.0  # clusters of fewer rows than covariates


def test_draws_follow_the_seed(data):
    found = mlsem.fit(MODEL, data, cluster="id")
    source = model_sampler(found._estimates)
    rngs = (np.random.default_rng(seed) for seed in (1, 1, 2))
    first, again, other = (source.draw(rng) for rng in rngs)
    assert (first.means == again.means).all()
    assert (first.within == again.within).all()
    assert not np.allclose(first.means, other.means)


def test_draws_do_not_see_where_covariates_are(data):
    away = data.assign(x1=data["x1"] + 1e6)
    text = "level: 1\n y1 ~ x1\n y2 ~ x1\nlevel: 2\n y1 + y2 ~ w1"
    near, far = (mlsem.fit(text, frame, cluster="id") for frame in (data, away))
    assert not far._estimates.problem.coordinates.same
    first, second = (
        model_sampler(f._estimates).draw(np.random.default_rng(1)) for f in (near, far)
    )
    np.testing.assert_allclose(first.means, second.means, atol=1e-7)
    np.testing.assert_allclose(first.within, second.within, rtol=1e-6, atol=1e-6)


def test_rows_without_clusters_have_no_cross_products(data):
    for means in (False, True):
        found = mlsem.fit("y1 ~ x1 + x2\n y2 ~ y1", data, meanstructure=means)
        source = model_sampler(found._estimates)
        assert is_no_within(source.draw(np.random.default_rng(1)).within)
        assert is_no_within(resampled(source.moments, np.zeros(7, dtype=np.intp)).within)


@pytest.mark.parametrize(
    ("kind", "product"),
    [
        (Kind("level: 1\n y1 ~ v1 + v1:w1\n v1 ~ x1\nlevel: 2\n y1 ~ w1"), "v1:w1"),
        (Kind("level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ w1\n w1 ~~ w1"), "w1:x1"),
        (Kind("x1 ~ x2\n y1 ~ x1 + x1:x2", cluster=None), "x1:x2"),
    ],
)
def test_products_of_modelled_variables_are_refused(data, kind, product):
    found = pose(kind, data).fit
    with pytest.raises(InferenceError, match=f"'{product}'"):
        model_sampler(found._estimates)


@pytest.mark.parametrize("degrees", [0, 1, 2, 3, 7])
def test_wishart(degrees):
    """E W = df Σ; Cov(W_ij, W_kl) = df (σ_ik σ_jl + σ_il σ_jk)."""
    sigma = np.array([[2.0, 0.7, -0.4], [0.7, 1.0, 0.3], [-0.4, 0.3, 0.5]])
    rng = np.random.default_rng(degrees)
    found = wishart(np.full(20_000, float(degrees)), np.linalg.cholesky(sigma), rng)
    rows, cols = np.triu_indices(3)
    values = found[:, rows, cols]
    assert_mean(values, degrees * sigma[rows, cols])
    cov = sigma[rows[:, None], rows] * sigma[cols[:, None], cols]
    cov += sigma[rows[:, None], cols] * sigma[cols[:, None], rows]
    away = values - degrees * sigma[rows, cols]
    assert_mean((away[:, :, None] * away[:, None, :]).reshape(len(away), -1), degrees * cov.ravel())
    ranks = (np.linalg.eigvalsh(found[:100]) > 1e-9).sum(axis=1)
    assert (ranks == min(degrees, 3)).all()


def test_semidefinite_factor():
    """A product with a level-2 variable, and a variable that is constant but for rounding, add
    nothing to the rank; nor does noise beyond the rank that is possible."""
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 9, size=200)
    scales = np.array([1.0, 1e3, 1e-3, 1.0])
    rows = [rng.normal(size=(n, 4)) * scales + 20.0 * scales for n in counts]
    for x in rows[:100]:
        x[:, 1] = 1e3 * rng.normal() * x[:, 0]
    for x in rows[50:150]:
        x[:, 2] = 0.1
    away = [x - np.full(len(x), 1.0 / len(x)) @ x for x in rows]
    stack = np.array([x.T @ x for x in away])
    assert (stack[50:150, 2, 2] > 0.0).any()
    possible = np.repeat([3, 2, 3, 4], 50)
    factor, ranked = semidefinite_factor(stack, counts - 1)
    assert ranked.sum(axis=1).tolist() == np.minimum(possible, counts - 1).tolist()
    assert (np.any(factor != 0.0, axis=2) == ranked).all()
    found = factor.swapaxes(1, 2) @ factor
    np.testing.assert_allclose(
        found / np.outer(scales, scales), stack / np.outer(scales, scales), atol=1e-9
    )
    noisy = stack + 1e-6 * np.diag(scales**2)
    assert (
        semidefinite_factor(noisy, counts - 1)[1].sum(axis=1) == np.minimum(4, counts - 1)
    ).all()


# --- resampled clusters ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["observed", "level-2 outcome", "products", "single level clusters"]
)
def test_resampled_clusters_add_their_logliks(name):
    """In a single-level model too, if its means are parameters."""
    kind = KINDS[name]
    kind = Kind(kind.text, cluster=kind.cluster, options={"meanstructure": True, **kind.options})
    posed = pose(kind, make_data(5, UNBALANCED))
    problem, params = posed.fit._estimates.problem, point_inside(posed, 1)
    count = len(problem.moments.labels)
    each = posed.dense.logliks(params)[np.searchsorted(posed.dense.ids, problem.moments.labels)]
    rng = np.random.default_rng(1)
    for clusters in (np.arange(count), rng.integers(0, count, count), rng.integers(0, count, 40)):
        moments = resampled(problem.moments, clusters)
        assert moments.labels.tolist() == list(range(len(clusters)))
        found = problem.with_moments(moments, params).objective.evaluate(params).loglik
        np.testing.assert_allclose(found, each[clusters].sum(), rtol=1e-12)


def test_resampled_unions_keep_their_clusters(data):
    text = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"
    options = {"cluster": "id", "se_cluster": "school", "se": "none"}
    data = data.assign(school=data["id"] * 7 % 10)
    found = mlsem.fit(text, data, **options)
    robust = found._estimates.problem.robust
    assert not robust.same
    drawn = np.random.default_rng(1).integers(0, 10, 10)
    moments, unions = resampled_unions(found._estimates.problem.moments, robust, drawn)
    groups = [data[data["school"] == robust.labels[k]] for k in drawn]
    named = [each.assign(school=k, id=each["id"] + 1000 * k) for k, each in enumerate(groups)]
    frame = pd.concat(named, ignore_index=True)
    wanted = mlsem.fit(text, frame, **options)
    settings = Settings(se="MLR")
    again = refit(found._estimates, moments, settings, found.params.to_numpy(), unions)
    np.testing.assert_allclose(again.optimum.params, wanted.params, atol=1e-7)
    both = again, replace(wanted._estimates, settings=settings)
    first, second = (covariance_of(each)[0].se for each in both)
    np.testing.assert_allclose(first, second, rtol=1e-6)


# --- refits ---------------------------------------------------------------------------------------

FITS = {
    "two levels": (MODEL, {"cluster": "id"}),
    "constraints": (CONSTRAINED, {"cluster": "id"}),
    "bounds": (MODEL, {"cluster": "id", "bounds": "pos.var"}),
    "single level": ("f =~ y1 + y2 + y3\n f ~ x1", {}),
    "single level, clusters": ("f =~ y1 + y2 + y3\n f ~ x1", {"cluster": "id"}),
}


@pytest.mark.parametrize("name", FITS)
def test_refit_of_the_same_moments(data, name):
    text, options = FITS[name]
    found = mlsem.fit(text, data, **options)
    problem, wanted = found._estimates.problem, found.params.to_numpy()
    for start in (wanted, problem.guess):
        again = refit(found._estimates, problem.moments, Settings(), start)
        assert again.converged
        assert (np.abs(again.params - wanted) <= 1e-6 * found.bse.to_numpy()).all()
        np.testing.assert_allclose(again.optimum.point.loglik, found.loglik, rtol=1e-12)
        assert again.problem.means == pytest.approx(problem.means)


@pytest.mark.parametrize("name", ["single level", "two levels"])
def test_refit_of_resampled_clusters_is_the_fit_of_their_rows(data, name):
    """Without a mean structure, deviations are from the new means."""
    text, options = FITS[name]
    found = mlsem.fit(text, data, **options)
    moments = found._estimates.problem.moments
    clusters = np.random.default_rng(5).integers(0, moments.n_clusters, moments.n_clusters)
    if options:
        groups = [data[data["id"] == moments.labels[k]] for k in clusters]
        rows = np.concatenate([group.index for group in groups])
        ids = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        frame = data.loc[rows].assign(id=ids)
    else:
        frame = data.iloc[clusters]
    wanted = mlsem.fit(text, frame, **options)
    start, drawn = found.params.to_numpy(), resampled(moments, clusters)
    again = refit(found._estimates, drawn, Settings(), start)
    np.testing.assert_allclose(again.params, wanted.params, atol=1e-6)
    np.testing.assert_allclose(again.optimum.point.loglik, wanted.loglik, rtol=1e-10)
    assert again.problem.means == pytest.approx(wanted._estimates.problem.means)


def test_refits_of_draws_scatter_as_the_standard_errors_say():
    data = mlsem.load_example("article")
    found = mlsem.fit("level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1", data, cluster="id")
    truth, rng = found.params.to_numpy(), np.random.default_rng(4)
    source = model_sampler(found._estimates)
    estimates = []
    for _ in range(300):
        again = refit(found._estimates, source.draw(rng), Settings(), truth)
        assert again.converged
        estimates.append(again.params)
    away = (np.array(estimates) - truth) / found.bse.to_numpy()
    np.testing.assert_allclose(away.mean(axis=0), 0.0, atol=0.25)
    np.testing.assert_allclose(away.std(axis=0), 1.0, atol=0.15)


def test_failure_is_a_value(data):
    found = mlsem.fit(MODEL, data, cluster="id")
    estimates, params = found._estimates, found.params.to_numpy()
    moments, guess = estimates.problem.moments, estimates.problem.guess
    assert refit(estimates, moments, Settings(), -100.0 * params) is None
    same = resampled(moments, np.full(30, 3))
    again = refit(estimates, same, Settings(), params)
    assert again is None or not again.converged
    assert not refit(estimates, moments, Settings(max_iter=1), guess).converged
