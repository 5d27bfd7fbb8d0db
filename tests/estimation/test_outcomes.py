"""How a search ended is a type, which has what is known there and nothing else."""

import pickle
import warnings

import numpy as np
import pytest

import mlsem
from mlsem.core.optimise.optimum import (
    Boundary,
    Constrained,
    RestrictedMaximum,
    Stationary,
    Stopped,
)

MODEL = "level: 1\n y ~ x1\nlevel: 2\n y ~ w1"


@pytest.fixture(scope="module")
def data():
    return mlsem.load_example("article")


@pytest.fixture(scope="module")
def level(data):
    """Without differences between clusters."""
    rng = np.random.default_rng(3)
    y = data["x1"] + rng.normal(size=len(data))
    means = y.groupby(data["id"]).transform("mean")
    return data.assign(y=y - 0.999 * means)


def ended(model, data, fun=mlsem.fit, **options):
    options = options if fun is mlsem.lmm else {"cluster": "id", **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.MlsemWarning)
        return fun(model, data, **options)._estimates.optimum


def test_inside(data):
    found = ended(MODEL, data)
    assert isinstance(found, Stationary)
    assert found.observed.shape == (found.at.basis.shape[1],) * 2
    assert found.loglik == found.maximum == found.last == found.point.loglik


def test_with_an_active_bound(level):
    found = ended(MODEL, level, bounds="pos.var")
    assert isinstance(found, Constrained)
    assert found.active
    assert found.curvature.shape == (len(found.params),) * 2


@pytest.mark.parametrize("reml", [False, True])
def test_at_the_boundary(level, reml):
    found = ended("y ~ x1 + (1 | id)", level, mlsem.lmm, REML=reml)
    assert isinstance(found, RestrictedMaximum if reml else Boundary)
    assert found.singular
    assert found.converged


def test_of_the_restricted_likelihood(data):
    found = ended("y ~ x1 + (1 | id)", data, mlsem.lmm)
    assert isinstance(found, RestrictedMaximum)
    assert not found.singular
    assert found.loglik != found.point.loglik


@pytest.mark.parametrize("estimator", ["ML", "REML"])
def test_stopped(data, estimator):
    found = ended("y ~ x1 + (x1 | id)", data, mlsem.lmm, max_iter=1, REML=estimator == "REML")
    assert isinstance(found, Stopped)
    assert found.status == found.reason == "max_iter"
    assert np.isnan(found.maximum)
    assert np.isfinite(found.last)
    assert (found.loglik == found.point.loglik) == (estimator == "ML")


def test_a_maximum_that_is_said_to_be_none(data):
    found = ended(MODEL, data).stopped("unbounded", "'y~~y'")
    assert (found.status, found.where, found.converged) == ("unbounded", "'y~~y'", False)
    assert np.isnan(found.last)
    assert pickle.loads(pickle.dumps(found)).status == "unbounded"
