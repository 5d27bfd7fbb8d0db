"""Robust covariances of several groups are computed group by group: everything that they give is
what the matrices of all directions give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.core.arrow import dense
from mlsem.estimation.estimates import Estimates
from mlsem.inference.bootstrap import draws as numbers
from mlsem.inference.covariance.of_estimates import covariance_of, doubted
from mlsem.inference.covariance.statistics import wishart_df
from mlsem.inference.diagnosis.influence import cluster_influence
from mlsem.inference.profile.search import relative_variances

pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")

MODEL = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
SATURATED = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n y1 ~~ y2 + y3\n y2 ~~ y3"
CLUSTERS = {"a": 22, "b": 31, "c": 24, "d": 27}
SIZES = (5, 9, 4, 7, 5)


def simulated(clusters):
    """Four groups with other means, of clusters of some sizes."""
    generator = np.random.default_rng(11)
    found, first = [], 0
    for shift, (group, count) in enumerate(clusters.items()):
        ids = np.repeat(np.arange(count), np.resize(SIZES, count))
        between, within = generator.normal(size=count), generator.normal(size=len(ids))
        rows = {"group": np.full(len(ids), group), "id": first + ids}
        for k, loading in enumerate((1.0, 0.8, 1.2), 1):
            own = generator.normal(size=count) + 0.3 * shift * k
            common = loading * (between[ids] + within) + own[ids]
            rows[f"y{k}"] = common + generator.normal(size=len(ids))
        found.append(pd.DataFrame(rows))
        first += count
    return pd.concat(found, ignore_index=True)


def estimates_of(clusters, model=MODEL, **options):
    fit = mlsem.fit(
        model, simulated(clusters), "id", group="group", group_equal="loadings", **options
    )
    return fit._estimates


@pytest.fixture(scope="module")
def four():
    return estimates_of(CLUSTERS, tol=1e-9)


def both(monkeypatch, estimates, kind):
    """The covariance of a kind group by group, and by the matrices of all directions."""
    estimates = estimates.with_se(kind)
    ours = doubted(estimates, covariance_of(estimates)[0])[0]
    arranged = Estimates.arranged_information
    with monkeypatch.context() as patch:
        patch.setattr(Estimates, "arranged_information", lambda *asked: dense(arranged(*asked)))
        wanted = doubted(estimates, covariance_of(estimates)[0])[0]
    return ours, wanted


def close(found, wanted, tol=1e-10):
    scale = np.nanmax(np.abs(wanted), initial=1e-300)
    np.testing.assert_allclose(found, wanted, rtol=tol, atol=tol * scale)


@pytest.mark.parametrize("kind", ["standard", "MLR", "CR0", "CR1S", "CR2", "CR3"])
def test_covariances_and_degrees_of_freedom(monkeypatch, four, kind):
    ours, wanted = both(monkeypatch, four, kind)
    unit = np.sqrt(np.outer(np.diag(wanted.matrix), np.diag(wanted.matrix)))
    assert np.isfinite(unit).all()
    close(ours.matrix / unit, wanted.matrix / unit)
    close(ours.df, wanted.df)
    if kind != "standard":
        close(ours.effective, wanted.effective)
    if ours.reference is not None:
        terms = ours.reference.clusters.terms
        assert [len(term.scores) for term in terms] == list(CLUSTERS.values())
        assert len(wanted.reference.clusters.terms) == 1
        assert all(len(term.places) < 30 for term in terms)


def test_all_that_is_asked_of_clusters(monkeypatch, four):
    ours, wanted = (each.reference.clusters for each in both(monkeypatch, four, "CR2"))
    names = four.names
    gradients = np.zeros((3, len(names)))
    gradients[0, names.index("fw=~y2")] = 1.0
    gradients[1, names.index("fw~~fw.g2")], gradients[1, names.index("fw~~fw.g3")] = 1.0, -1.0
    gradients[2, names.index("y1~1.g4.l2")] = 1.0
    how = four.with_se("CR2").settings.kind(robust=False).adjustment
    mine, its = (each.contrasts(gradients) for each in (ours, wanted))
    close(mine @ mine.T, gradients @ wanted.influence @ wanted.influence.T @ gradients.T)
    for some in ([0], [0, 1], [0, 1, 2]):
        assert wishart_df(ours, how, mine[some]) == pytest.approx(
            wishart_df(wanted, how, its[some]), rel=1e-9
        )
    close(relative_variances(ours, mine), relative_variances(wanted, its), 1e-9)
    left, right = cluster_influence(ours, mine), cluster_influence(wanted, its)
    for name in ("leverage", "share", "change"):
        close(getattr(left, name), getattr(right, name), 1e-9)


def test_bootstraps(monkeypatch, four):
    ours, wanted = (each.reference.clusters for each in both(monkeypatch, four, "CR0"))

    def functions(params):
        return params[:1] * params[3:4], np.eye(len(params))[:1]

    drawn = [
        numbers.wild_draws(each, four.params, functions, "webb", 7, np.random.default_rng(4))
        for each in (ours, wanted)
    ]
    close(drawn[0].values, drawn[1].values, 1e-9)
    close(drawn[0].se, drawn[1].se, 1e-9)
    shares = [numbers.shares(each) for each in (ours, wanted)]
    every = np.arange(sum(CLUSTERS.values()))
    for chosen in (every, every[every >= CLUSTERS["a"]], np.repeat(every[:5], 30)):
        found, expected = (each.determine(chosen) for each in shares)
        assert found == expected == (len(np.unique(chosen)) == len(every))


@pytest.mark.parametrize("kind", ["MLR", "CR2"])
def test_a_group_of_few_clusters(monkeypatch, kind):
    """Fewer than its parameters: what a cluster alone determines has no variance."""
    few = estimates_of({**CLUSTERS, "d": 8}, SATURATED)
    ours, wanted = both(monkeypatch, few, kind)
    assert ours.flat == wanted.flat == (kind == "MLR")
    unit = np.sqrt(np.outer(np.diag(wanted.matrix), np.diag(wanted.matrix)))
    close(ours.matrix / unit, wanted.matrix / unit, 1e-8)


def test_covariates_far_from_zero():
    """Each group has coordinates of its own there, beside slopes that all share."""
    data = simulated(CLUSTERS)
    data["x"] = np.random.default_rng(5).normal(size=len(data)) + 0.2 * data["y2"]
    model = "level: 1\n y1 ~ x\nlevel: 2\n y1 ~~ y1"
    how = {"group": "group", "group_equal": "regressions", "tol": 1e-9}
    near, far = (
        mlsem.fit(model, data.assign(x=data["x"] + shift), "id", **how).with_se("CR2")
        for shift in (0.0, 1e5)
    )
    assert not far._estimates.problem.coordinates.same
    assert far.loglik == pytest.approx(near.loglik, rel=1e-10)
    same = [name for name in near.table.names if "y1~1" not in name]
    assert "y1~x" in same
    assert len(same) == 9
    close(far.bse[same], near.bse[same], 1e-6)
    close(far.params[same], near.params[same], 1e-6)
