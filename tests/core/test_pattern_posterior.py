"""What clusters with missing values say: posteriors, log-likelihoods and distances, against the
dense multivariate normal of what is observed."""

import numpy as np
import pytest
from dense import gaussian
from incomplete import pose_incomplete
from kinds import KINDS, UNBALANCED, make_data, point_inside
from slope_kinds import SLOPES, slope_data

from mlsem.core.patterns import clusterwise, posterior
from mlsem.core.patterns.convert import as_cells, as_clusters
from mlsem.core.slopes import clusterwise as complete
from mlsem.core.slopes import posterior as complete_posterior

TWO_LEVEL = {name: kind for name, kind in KINDS.items() if "level:" in kind.text}
ALL = TWO_LEVEL | {f"{name} (slopes)": kind for name, kind in SLOPES.items()}
every_kind = pytest.mark.parametrize("name", ALL)


def posed(name):
    data = slope_data(5, UNBALANCED) if "(slopes)" in name else make_data(5, UNBALANCED)
    model = pose_incomplete(ALL[name], data)
    params = point_inside(model, 2)
    return model, params, model.clusters.moments, model.objective.pattern


@every_kind
def test_log_likelihoods_and_distances(name):
    model, params, cells, pattern = posed(name)
    found = clusterwise.cluster_fit(pattern, cells, params)
    order = np.argsort(cells.labels)
    dense = model.dense.clusters(params)
    wanted = [
        (gaussian(y, mean, cov), (y - mean) @ np.linalg.solve(cov, y - mean), len(y))
        for y, mean, cov in dense
    ]
    columns = (found.loglik, found.distance, found.df)
    np.testing.assert_allclose(np.array(columns).T[order], wanted, rtol=1e-9, atol=1e-9)
    assert found.loglik.sum() == pytest.approx(model.loglik(params), rel=1e-12)


@every_kind
def test_posteriors(name):
    """E and Cov of (u, s, z) given what is observed."""
    model, params, cells, pattern = posed(name)
    found = posterior.posterior_at(pattern, cells, params)
    names = model.dense._moving(2)
    own = [found.names.index(each) for each in names]
    prior = model.dense.level(2, params).cov
    np.testing.assert_allclose(found.prior[np.ix_(own, own)], prior, atol=1e-12)
    place = {label: j for j, label in enumerate(cells.labels.tolist())}
    for j, (y, mean, cov) in enumerate(model.dense.clusters(params)):
        values, _, _, moves = model.dense.data[j]
        gain = prior @ np.linalg.solve(cov, moves[~np.isnan(values)]).T
        k = place[model.dense.ids[j]]
        np.testing.assert_allclose(found.mean[k][own], gain @ (y - mean), rtol=1e-9, atol=1e-9)
        wanted = prior - gain @ moves[~np.isnan(values)] @ prior
        np.testing.assert_allclose(
            found.covariance[k][np.ix_(own, own)], wanted, rtol=1e-9, atol=1e-9
        )


@every_kind
def test_complete_cells_are_clusters(name):
    _, params, cells, pattern = posed(name)
    whole = as_clusters(cells)
    again = as_cells(whole)
    for field in ("loglik", "distance", "df"):
        one = getattr(complete.cluster_fit(pattern, whole, params), field)
        other = getattr(clusterwise.cluster_fit(pattern, again, params), field)
        np.testing.assert_allclose(one, other, rtol=1e-9)
    one = complete_posterior.posterior_at(pattern, whole, params)
    other = posterior.posterior_at(pattern, again, params)
    for field in ("mean", "covariance", "pulled", "information"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-8, atol=1e-9)
