"""A carrier in other units is the same model in other parameters, however far from zero it is."""

import warnings

import numpy as np
import pytest
from slope_kinds import SLOPES, slope_data

import mlsem

SIZES = tuple(np.random.default_rng(1).integers(1, 16, size=80))
TEXT = 'level: 1\n y1 ~ rv("s")*x1 + x2\nlevel: 2\n y1 ~ w1\n s ~ w1\n y1 ~~ s'
LEVEL2 = TEXT + "\n z1 ~ w1\n z1 ~~ y1 + s"


@pytest.fixture(scope="module")
def data():
    return slope_data(9, SIZES, spread=1.0)


def fitted(text, data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlsem.sem(text, data, cluster="id", **options)


def expected_params(fit, shift, unit):
    """What the parameters are with x1 → unit x1 + shift: s' = s / unit, u' = u - shift s'."""
    values = dict(fit.params)
    found = {}
    for name, value in values.items():
        power = name.split(".")[0].replace("~~", "~").split("~").count("s")
        found[name] = value / unit**power
    found["y1~1.l2"] -= shift * found["s~1.l2"]
    found["y1~w1.l2"] -= shift * found["s~w1.l2"]
    cov, var = found["s~~y1.l2"], found["s~~s.l2"]
    found["s~~y1.l2"] = cov - shift * var
    found["y1~~y1.l2"] += -2 * shift * cov + shift**2 * var
    if "y1~~z1.l2" in found:
        found["y1~~z1.l2"] -= shift * found["s~~z1.l2"]
    return found


@pytest.mark.parametrize("text", [TEXT, LEVEL2])
@pytest.mark.parametrize(
    ("shift", "unit"), [(5.0, 1.0), (-40.0, 3.0), (2000.0, 0.1), (1e6, 1.0), (-3e5, 1e-3)]
)
@pytest.mark.parametrize("se", ["standard", "MLR", "CR2"])
def test_far_carriers(data, text, shift, unit, se):
    """Estimates, and the standard errors of what does not depend on where zero is."""
    near = fitted(text, data, se=se)
    far = fitted(text, data.assign(x1=unit * data["x1"] + shift), se=se)
    assert far.converged
    np.testing.assert_allclose(far.loglik, near.loglik, rtol=1e-9)
    for name, value in expected_params(near, shift, unit).items():
        np.testing.assert_allclose(far.params[name], value, rtol=1e-5, atol=1e-6)
    for name, power in (("s~1.l2", 1), ("s~w1.l2", 1), ("s~~s.l2", 2), ("y1~x2", 0)):
        np.testing.assert_allclose(far.bse[name] * unit**power, near.bse[name], rtol=1e-6)


@pytest.mark.parametrize("name", ["uncorrelated", "no random intercept"])
def test_what_depends_on_zero_stays_where_it_is(data, name):
    """Without a covariance, or an intercept, another zero is another model."""
    shifted = data.assign(x1=data["x1"] + 100.0)
    coordinates = fitted(
        SLOPES[name].text, shifted, max_iter=1, se="none"
    )._estimates.problem.coordinates
    assert coordinates.internal.carriers is coordinates.user.carriers


def test_there_and_back(data):
    problem = fitted(
        TEXT, data.assign(x1=data["x1"] + 300.0), max_iter=1, se="none"
    )._estimates.problem
    coordinates = problem.coordinates
    assert not coordinates.same
    inner = coordinates.to_internal(problem.guess) * 1.1
    outer = coordinates.to_user(inner)
    np.testing.assert_allclose(coordinates.to_internal(outer), inner, rtol=1e-9)
    loglik = problem.inner.evaluate(inner).loglik
    np.testing.assert_allclose(problem.objective.evaluate(outer).loglik, loglik, rtol=1e-9)
    unit = 1e-6 * np.eye(len(inner))
    slopes = [(coordinates.to_user(inner + d) - coordinates.to_user(inner - d)) for d in unit]
    wanted = np.stack(slopes, axis=1) / 2e-6
    scale = 1.0 + np.abs(wanted).max(axis=1, keepdims=True)
    np.testing.assert_allclose(coordinates.jacobian(inner) / scale, wanted / scale, atol=1e-6)
