"""Robust covariances of many clusters: in blocks of any length, by series as by eigenvalues, and
with fixed effects and variances apart as together."""

import numpy as np
import pytest

import mlsem
from benchmarks.cases import RANDOM_INTERCEPT, random_intercept
from mlsem.estimation.standard_errors import KINDS
from mlsem.inference.covariance import powers, working
from mlsem.inference.covariance.cluster_robust import robust_contrasts
from mlsem.inference.covariance.of_estimates import covariance_of

SLOPES = "level: 1\n y ~ w1:x1\n s | y ~ x1\nlevel: 2\n y ~ w1\n y ~~ s\n"
FACTOR = "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1\n"


@pytest.fixture(scope="module")
def fits():
    """Of clusters that are of their own kinds, some of them in unions, and of few kinds."""
    few, schools = random_intercept(60, 4), random_intercept(60, 4)
    schools["district"] = schools["id"] % 23
    demo = mlsem.load_example("demo_twolevel")
    alike = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3\n"
    return {
        "intercepts": mlsem.fit(RANDOM_INTERCEPT, few, cluster="id", se="none"),
        "unions": mlsem.fit(
            RANDOM_INTERCEPT, schools, cluster="id", se_cluster="district", se="none"
        ),
        "slopes": mlsem.lmm("y ~ x1 * w1 + (x1 | id)", few, se="none"),
        "factor": mlsem.fit(FACTOR, demo, cluster="cluster", se="none"),
        "alike": mlsem.fit(alike, demo, cluster="cluster", se="none"),
    }


def compare(found, wanted, tol):
    scale = wanted.se
    matrix = (found.matrix - wanted.matrix) / np.outer(scale, scale)
    np.testing.assert_allclose(matrix, 0.0, atol=tol)
    np.testing.assert_allclose(found.df, wanted.df, rtol=tol)
    np.testing.assert_allclose(found.robust.effective, wanted.robust.effective, rtol=tol)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, "CR2") for name in ("intercepts", "unions", "slopes", "factor", "alike")]
    + [("intercepts", "CR3")],
)
def test_blocks_of_any_length(fits, name, kind, monkeypatch):
    """One cluster at a time, seven, and all of them."""
    estimates = fits[name]._estimates.with_se(kind)
    whole = covariance_of(estimates)[0]
    size = len(whole.se)
    blocks = []
    for numbers in (1, 7 * size**2):
        monkeypatch.setattr("mlsem.core.blocks.CACHE", numbers)
        monkeypatch.setattr("mlsem.core.clusters.unions.CACHE", numbers)
        monkeypatch.setattr(working, "KEPT", 0)
        found = covariance_of(estimates)[0]
        compare(found, whole, 1e-12)
        blocks.append(len(list(found.reference.clusters.parts())))
    assert blocks[0] > blocks[1] > 0  # the constant is what they are made by


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
@pytest.mark.parametrize("name", ["unions", "slopes"])
def test_fixed_effects_and_variances_apart(fits, name, kind):
    """A contrast that has some of both makes them one."""
    covariance = covariance_of(fits[name]._estimates.with_se(kind))[0]
    clusters, contrasts = covariance.reference.clusters, covariance.reference.clusters.influence
    (term,) = clusters.terms
    assert len(term.apart(contrasts)) == 2
    joint = np.concatenate((contrasts, contrasts.sum(axis=0, keepdims=True)))
    assert term.apart(joint) == (term,)
    apart, together = (robust_contrasts(clusters, KINDS[kind], each) for each in (contrasts, joint))
    np.testing.assert_allclose(together.df[:-1], apart.df, rtol=1e-10)
    np.testing.assert_allclose(together.effective[:-1], apart.effective, rtol=1e-10)
    np.testing.assert_allclose(together.meat.dense, apart.meat.dense, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_series_are_eigenvalues(kind, monkeypatch):
    estimates = mlsem.fit(
        RANDOM_INTERCEPT, random_intercept(1500, 4), cluster="id", se="none"
    )._estimates.with_se(kind)
    whole = covariance_of(estimates)[0]
    clusters = whole.reference.clusters
    assert max(each.leverage.max() for each in clusters.parts()) < powers.SMALL
    monkeypatch.setattr(powers, "SMALL", 0.0)
    compare(covariance_of(estimates)[0], whole, 1e-12)


def test_near_root():
    """Of variances that are very different."""
    rng = np.random.default_rng(5)
    weights = 10.0 ** rng.uniform(-3, 3, size=(3, 50))
    rows = rng.normal(size=(3, 4, 50))
    leverage = np.einsum("dpg,epg->deg", rows, rows)
    leverage *= 0.019 / np.sqrt((leverage**2).sum(axis=(0, 1)))
    found = powers.near_root(weights, leverage, 0.02).transpose(2, 0, 1)
    square = np.eye(3) - leverage.transpose(2, 0, 1)
    square = weights.T[:, :, None] * square * weights.T[:, None]
    np.testing.assert_allclose(found @ square @ found, np.eye(3) * np.ones((50, 1, 1)), atol=1e-14)
