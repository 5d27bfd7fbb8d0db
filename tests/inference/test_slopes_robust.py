"""Cluster-robust covariances of models with random slopes, against clubSandwich and `dense_cr`."""

from dataclasses import replace

import numpy as np
import pytest
from dense_cr import DenseCR
from dense_reml import LME4, posed, restricted
from kinds import Kind, at_point, point_inside, pose
from scipy.linalg import block_diag
from slope_kinds import SLOPES, slope_data

from mlsem.estimation.estimates import Estimates
from mlsem.inference.covariance.of_estimates import covariance_of

KINDS = ("CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3")
RANDOM = [name for name, case in LME4.items() if "(1 |" not in case["formula"]]


def at_parameters(fit, params, *, reml):
    """The fit as if these were its estimates."""
    problem = fit._estimates.problem
    objective = problem.objective
    if reml:
        params = restricted(problem)[0].evaluate(params).params
    point = objective.evaluate(params)
    free = np.eye(len(params))
    return problem, at_point(fit._estimates.optimum, point, free)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RANDOM)
def test_club_sandwich(name, kind):
    """At lme4's estimates, ML or REML."""
    case = LME4[name]
    fit, params, fixed = posed(case)
    problem, optimum = at_parameters(fit, params, reml=case["REML"])
    settings = replace(fit.settings, se=kind)
    found, _ = covariance_of(Estimates(problem, settings, optimum, fit._estimates.record))
    wanted = np.array(case["vcovCR"][kind])
    scale = np.sqrt(np.diagonal(wanted))
    close = found.matrix[np.ix_(fixed, fixed)] / np.outer(scale, scale)
    np.testing.assert_allclose(close, wanted / np.outer(scale, scale), atol=1e-8)
    if kind in case["coef_test"]:
        np.testing.assert_allclose(found.df[fixed], case["coef_test"][kind]["df_Satt"], rtol=1e-6)


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
@pytest.mark.parametrize("coarse", [False, True])
def test_dense(kind, coarse):
    """Two slopes, singletons and constant carriers; robust clusters that are unions too."""
    data = slope_data(4, (6, 1, 5, 3, 2, 7, 4, 4, 2, 1, 5, 6, 3, 4, 2, 5, 6, 3, 1, 4))
    data["school"] = data["id"] // 2
    robust = "school" if coarse else "id"
    kind_of_model = Kind(SLOPES["two slopes"].text, options={"se_cluster": robust})
    model = pose(kind_of_model, data)
    fit, params = model.fit, point_inside(model, 3)
    means = [k for k, name in enumerate(fit._estimates.problem.table.names) if "~~" not in name]
    problem, optimum = at_parameters(fit, params, reml=False)
    # at a random point the observed information need not be positive definite
    settings = replace(fit.settings, se=kind, information="expected")
    found, _ = covariance_of(Estimates(problem, settings, optimum, fit._estimates.record))
    dense = dense_cr(model.dense, data, params, means, robust)
    wanted = dense.cov(kind)
    scale = np.sqrt(np.diagonal(wanted))
    close = found.matrix[np.ix_(means, means)] / np.outer(scale, scale)
    np.testing.assert_allclose(close, wanted / np.outer(scale, scale), atol=1e-8)
    df = [dense.df(kind, c) for c in np.eye(len(means))]
    np.testing.assert_allclose(found.df[means], df, rtol=1e-6)


def dense_cr(dense, data, params, means, robust):
    """The robust clusters with all their rows stacked."""
    here = dense.clusters(params)
    unit = np.eye(len(params))
    moved = [dense.clusters(params + unit[k]) for k in means]
    owner = data.groupby("id")[robust].first().loc[dense.ids].to_numpy()
    designs, covariances, residuals = [], [], []
    for label in np.unique(owner):
        members = np.flatnonzero(owner == label)
        designs.append(
            np.vstack([np.stack([m[j][1] - here[j][1] for m in moved], axis=1) for j in members])
        )
        covariances.append(block_diag(*[here[j][2] for j in members]))
        residuals.append(np.concatenate([here[j][0] - here[j][1] for j in members]))
    return DenseCR(designs, covariances, residuals)
