"""The engine of missing values: every kind of model, with values missing at both levels, against
the dense multivariate normal of what is observed."""

import numpy as np
import pytest
from dense_slopes import DenseParts, close
from differences import jacobian
from incomplete import pose_incomplete
from kinds import KINDS, UNBALANCED, make_data, point_inside
from slope_kinds import SLOPES, slope_data

from mlsem.core.patterns.carriers import pattern_moments
from mlsem.core.patterns.objective import PatternObjective

WITH_MEANS = {
    name: kind
    for name, kind in KINDS.items()
    if "level:" in kind.text or kind.options.get("meanstructure") or kind.fun == "growth"
}
ALL = WITH_MEANS | {f"{name} (slopes)": kind for name, kind in SLOPES.items()}
every_kind = pytest.mark.parametrize("name", ALL)


@pytest.fixture(scope="module")
def posed():
    """Each kind once."""
    made = {}

    def get(name):
        if name not in made:
            data = slope_data(5, UNBALANCED) if "(slopes)" in name else make_data(5, UNBALANCED)
            made[name] = pose_incomplete(ALL[name], data)
        return made[name]

    return get


@every_kind
def test_loglik(posed, name):
    model = posed(name)
    for seed in range(3):
        params = point_inside(model, seed)
        np.testing.assert_allclose(model.loglik(params), model.dense.loglik(params), rtol=1e-12)


@every_kind
def test_gradient_and_scores(posed, name):
    model = posed(name)
    params = point_inside(model, 1)
    found, wanted = model.scores(params), jacobian(model.dense.logliks, params)
    close(model.gradient(params), wanted.sum(axis=0), 1e-8)
    close(found, wanted, 1e-8)
    close(found.sum(axis=0), model.gradient(params), 1e-12)


@every_kind
def test_information(posed, name):
    model = posed(name)
    params = point_inside(model, 3)
    close(model.observed(params), -jacobian(model.gradient, params), 1e-8)
    expected = model.expected(params)
    close(expected, model.dense.expected(params), 1e-9)
    parts = model.parts(params)
    clusters = np.arange(parts.n_clusters)
    order = np.argsort(model.clusters.moments.labels)
    each = parts.information(clusters)[order]
    close(each, model.dense.informations(params), 1e-9)
    directions = np.random.default_rng(3).normal(size=(4, len(params)))
    wanted = np.einsum("ca,jab,cb->jc", directions, each, directions)
    close(parts.variances(clusters, directions)[order], wanted, 1e-10)


@every_kind
def test_cumulants(posed, name):
    model = posed(name)
    params = point_inside(model, 4)
    parts = model.parts(params)
    clusters = np.arange(parts.n_clusters)
    order = np.argsort(model.clusters.moments.labels)
    directions = np.random.default_rng(4).normal(size=(parts.n_clusters, 2, len(params)))
    dense = DenseParts(model.dense, params)
    found = parts.fourth_cumulants(clusters, directions)
    close(found[order], dense.cumulants(directions[order]), 1e-9)
    found = parts.third_cumulants(clusters, directions)
    close(found[order], third_cumulants(dense, directions[order]), 1e-9)


def third_cumulants(dense, directions):
    """tr V⁻¹V_aV⁻¹V_aV⁻¹V_b + 2 μ_aᵀV⁻¹V_aV⁻¹μ_b + μ_aᵀV⁻¹V_bV⁻¹μ_a, (J, c, n)."""
    found = np.zeros(directions.shape)
    for j, inverse in enumerate(dense.inverses):
        covs, means = inverse @ np.array(dense.covs[j]), np.array(dense.means[j])
        for c, direction in enumerate(directions[j]):
            side, mean = np.tensordot(direction, covs, 1), direction @ means
            found[j, c] = np.einsum("ab,nba->n", side @ side, covs)
            found[j, c] += 2.0 * means @ side @ inverse @ mean
            found[j, c] += covs @ inverse @ mean @ mean
    return found


DRAWN = ("latent at both levels", "level-2 outcome of a latent predictor", "products")


@pytest.mark.parametrize("name", [*DRAWN, "two slopes (slopes)", "latent at both levels (slopes)"])
def test_draws_have_the_scores_variance(posed, name):
    """Over draws from the model cluster scores have mean zero and variance B_j, whatever is
    missing; so means, cross-products and level-2 values are drawn as they should be."""
    model = posed(name)
    params = point_inside(model, 5)
    point = model.evaluate(params)
    information = model.parts(params).information(np.arange(model.clusters.n_clusters)).sum(axis=0)
    sampler = model.clusters.sampler(model.objective.pattern, point)
    rng, total, count = np.random.default_rng(8), [], 200
    for _ in range(count):
        data, _ = pattern_moments(model.objective.pattern, sampler.draw(rng))
        there = PatternObjective(model.objective.pattern, data)
        total.append(there.derivatives(there.evaluate(params), np.eye(len(params))).gradient)
    white = np.linalg.solve(
        np.linalg.cholesky(information + 1e-9 * np.eye(len(params))).T.T, np.array(total).T
    )
    assert np.abs(white.mean(axis=1)).max() < 5.0 / np.sqrt(count)
    spread = white @ white.T / count
    np.testing.assert_allclose(spread, np.eye(len(params)), atol=0.45)
