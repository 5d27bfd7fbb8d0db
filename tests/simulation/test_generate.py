"""Simulated data have the model's parameters; values, distributions and sizes are as asked for."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

import mlsem
from mlsem.errors import OptionError, OptionValueError, SpecificationError
from mlsem.simulation.draw.generate import data_model, simulate
from mlsem.simulation.draw.rstream import RStream

INTERACTION = """
level: 1
  y ~ start(0.5)*x1 + start(0.25)*w1:x1
  y ~~ start(1)*y
level: 2
  y ~ start(0.25)*w1 + start(-1)*1
  y ~~ start(0.8)*y
"""
SLOPE = """
level: 1
  y ~ rv("s")*x1 + start(0.3)*z
  y ~~ start(1)*y
level: 2
  y ~ start(0.25)*w1
  s ~ start(0.4)*w1 + start(0.7)*1
  y ~~ start(1)*y + start(0.2)*s
  s ~~ start(0.3)*s
"""
FACTORS = """
level: 1
  f =~ y1 + start(0.8)*y2 + start(1.2)*y3
  f ~ start(0.4)*x1 + start(0.3)*w:x1
  f ~~ start(1)*f
  y1 ~~ start(0.5)*y1
  y2 ~~ start(0.5)*y2
  y3 ~~ start(0.5)*y3
level: 2
  g =~ y1 + start(0.7)*y2 + start(0.9)*y3
  g ~ start(0.5)*w
  g ~~ start(0.6)*g
  y1 ~~ start(0.3)*y1
  y2 ~~ start(0.3)*y2
  y3 ~~ start(0.3)*y3
"""
MEDIATION = """
level: 1
  m ~ a*x + start(0.5)*x
  y ~ b*m + start(0.3)*m + start(0.2)*x
  m ~~ start(1)*m
  y ~~ start(1)*y
level: 2
  m ~ start(0.4)*x
  y ~ start(0.5)*m + start(-0.2)*x
  m ~~ start(0.5)*m
  y ~~ start(0.5)*y
ind := a*b
"""
PRODUCT_OF_AN_OUTCOME = """
y ~ start(0.5)*m + start(0.2)*m:x + start(0.3)*x + start(1)*1
m ~ start(0.3)*x + start(0.5)*1
m ~~ start(1)*m
y ~~ start(2)*y
"""


def assert_recovered(model, n_clusters, cluster_size, params=None, cluster="id", **kwargs):
    """All estimates from a large sample lie within 3.5 standard errors of the values."""
    found = data_model(model, n_clusters, cluster_size, params, **kwargs)
    fit = mlsem.fit(model, found.draw(1), cluster=cluster, estimator="MLR")
    assert fit.converged
    known = [name for name in fit.params.index if name in found.truth]
    assert len(known) >= len(fit.params) - 1
    truth = np.array([found.truth[name] for name in known])
    assert (np.abs(fit.params[known] - truth) < 3.5 * fit.bse[known]).all()
    return found


def test_a_cross_level_interaction():
    assert_recovered(INTERACTION, 1500, 10)


def test_random_slopes():
    assert_recovered(SLOPE, 800, 10)


@pytest.mark.filterwarnings("ignore::mlsem.EstimationWarning")
def test_factors_that_are_not_normal():
    assert_recovered(FACTORS, 1500, 8, residuals="chi2_3", random_effects="t5")


def test_split_covariates_and_defined_parameters():
    found = assert_recovered(MEDIATION, 1500, 8, {"x~~x.l2": 0.5, "x~1.l2": 2.0})
    assert found.truth["ind"] == pytest.approx(0.15)
    assert found.truth["a"] == found.truth["m~x"] == 0.5


def test_a_product_of_what_the_model_explains():
    assert_recovered(PRODUCT_OF_AN_OUTCOME, 20_000, None, cluster=None)


def test_moments_of_covariates():
    params = {"x1~~x2": 0.6, "x1~~x1": 2.0, "x2~1": 3.0}
    model = "y ~ 1*x1 + 1*x2\ny ~~ 1*y"
    data = simulate(model, 20_000, params=params, seed=1)
    assert list(data.columns) == ["y", "x1", "x2"]
    np.testing.assert_allclose(data[["x1", "x2"]].cov(), [[2.0, 0.6], [0.6, 1.0]], atol=0.06)
    np.testing.assert_allclose(data.mean(), [3.0, 0.0, 3.0], atol=0.06)


def test_level_2_variables_are_constant_within_clusters():
    data = simulate(SLOPE, 30, 5, seed=1)
    assert list(data.columns) == ["id", "y", "x1", "z", "w1"]
    assert (data.groupby("id")["w1"].nunique() == 1).all()
    assert data["id"].tolist() == np.repeat(np.arange(1, 31), 5).tolist()


def test_omitted_slopes():
    model = "level: 1\n y ~ 0.5*x1\n y ~~ 1*y\nlevel: 2\n y ~~ 1*y"
    data = simulate(model, 2000, 10, seed=1, omitted_slopes={"y~x1": 0.3})
    slopes = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~~ y\n s ~~ s'
    fit = mlsem.fit(slopes, data, cluster="id")
    assert fit.params["s~~s.l2"] == pytest.approx(0.3, abs=0.04)
    assert fit.params["s~1.l2"] == pytest.approx(0.5, abs=0.04)


def test_an_omitted_slope_of_an_outcome_goes_on():
    """y = u m + ..., m = x + ...: the slope of y on x varies with u too."""
    model = "level: 1\n m ~ 1*x\n m ~~ 0*m\n y ~ 0*m\n y ~~ 0*y\nlevel: 2\n y ~~ 0*y\n m ~~ 0*m"
    data = simulate(model, 40, 6, seed=2, omitted_slopes={"y~m": 1.0})
    ratio = (data["y"] / data["x"]).groupby(data["id"])
    assert (ratio.std() < 1e-10).all()
    assert ratio.mean().std() > 0.5


def test_omitted_intercepts_of_a_single_level_model():
    data = simulate("y ~ 0.5*x\ny ~~ 1*y", 2000, 5, seed=1, omitted_slopes={"y~1": 2.0})
    assert data["y"].var() == pytest.approx(0.25 + 1 + 2, rel=0.06)


def test_heteroscedastic_residuals():
    model = "level: 1\n y ~ 0*x\n y ~~ 4*y\nlevel: 2\n y ~ 0*w\n y ~~ 0*y"
    data = simulate(model, 2000, 10, seed=1, heteroscedastic={"y": "w"})
    assert data["y"].var() == pytest.approx(4.0, rel=0.05)
    slope = np.polyfit(data["w"], np.log(data["y"] ** 2), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.06)
    given = simulate(model, 2000, 10, seed=1, heteroscedastic={"y": lambda seen: 0.0 * seen["x"]})
    assert (given["y"] == 0).all()


@pytest.mark.parametrize(
    ("kind", "frozen"),
    [("t5", stats.t(5)), ("chi2", stats.chi2(1)), ("chi2_3", stats.chi2(3)), ("t4", stats.t(4))],
)
def test_distributions(kind, frozen):
    drawn = simulate("y ~ 0*x\ny ~~ 1*y", 4000, seed=3, residuals=kind)["y"]
    mean, sd = frozen.mean(), frozen.std()
    assert stats.kstest(mean + sd * drawn, frozen.cdf).pvalue > 0.001


def test_distributions_share_their_normal_numbers():
    plain = simulate("y ~ 0*x\ny ~~ 1*y", 300, seed=3)
    skewed = simulate("y ~ 0*x\ny ~~ 1*y", 300, seed=3, residuals="chi2")
    assert (plain["x"] == skewed["x"]).all()
    assert (plain["y"].rank() == skewed["y"].rank()).all()


def test_a_function_as_distribution():
    def uniform(rng, shape):
        return np.sqrt(12.0) * (rng.uniform(size=shape) - 0.5)

    data = simulate("y ~ 0*x\ny ~~ 4*y", 500, seed=1, residuals=uniform)
    assert data["y"].abs().max() < 2 * np.sqrt(3)


@pytest.mark.parametrize(
    ("size", "least", "most"),
    [
        (4, 4, 4),
        (range(1, 41), 1, 40),
        (lambda rng, n: rng.integers(2, 6, n), 2, 5),
        (stats.poisson(1.0), 1, 8),
    ],
)
def test_cluster_sizes(size, least, most):
    sizes = simulate(INTERACTION, 40, size, seed=1).groupby("id").size()
    assert len(sizes) == 40
    assert least <= sizes.min() <= sizes.max() <= most


def test_seeds():
    first = simulate(INTERACTION, 5, 4, seed=1)
    assert first.equals(simulate(INTERACTION, 5, 4, seed=1))
    assert not first.equals(simulate(INTERACTION, 5, 4, seed=2))
    stream = np.random.default_rng(1)
    assert first.equals(simulate(INTERACTION, 5, 4, seed=stream))
    assert not first.equals(simulate(INTERACTION, 5, 4, seed=stream))


def test_numbers_of_r_come_in_the_order_that_is_documented():
    data = simulate(INTERACTION, 5, 4, seed=1, rng="R")
    stream = RStream(1)
    w1, u, x1, e = stream.normal(5), stream.normal(5), stream.normal(20), stream.normal(20)
    w1, u = np.repeat(w1, 4), np.repeat(np.sqrt(0.8) * u, 4)
    np.testing.assert_allclose(data["x1"], x1)
    np.testing.assert_allclose(
        data["y"], -1 + 0.25 * w1 + 0.5 * x1 + 0.25 * w1 * x1 + u + e, atol=1e-12
    )


def test_a_fit_has_values():
    model = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"
    fit = mlsem.fit(model, mlsem.load_example("article"), cluster="id")
    found = data_model(model, 50, 10, fit)
    assert {name: found.truth[name] for name in fit.params.index} == dict(fit.params)


def test_values_that_are_missing_are_named():
    with pytest.raises(SpecificationError, match=re.escape("'y~x1', 'y~w1:x1', 'y~~y', 'y~w1.l2'")):
        simulate("level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1", 10, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"params": {"y~x2": 1.0}}, "no parameter 'y~x2'. Did you mean"),
        ({"params": {"y~x1": "a"}}, "is not a number"),
        ({"params": {"y~1": 1.0}}, "is fixed to 0 by the model"),
        ({"params": [1.0]}, "params is a list"),
        ({"cluster_size": None}, "needs cluster_size="),
        ({"cluster_size": 0}, "whole numbers from 1"),
        ({"cluster_size": [3, 4]}, "2 values for 10 clusters"),
        ({"cluster_size": "many"}, "it takes a number of rows"),
        ({"n_clusters": 0}, "n_clusters=0"),
        ({"seed": "x"}, "seed='x'"),
        ({"rng": "S"}, 'it takes "numpy" or "R"'),
        ({"rng": "R", "seed": 1, "cluster_size": stats.poisson(5)}, "do not draw from R's stream"),
        ({"residuals": "t2"}, "residuals='t2'"),
        ({"residuals": lambda rng, shape: rng.normal(size=3)}, "gave an array of shape"),
        ({"omitted_slopes": {"y~x9": 1.0}}, "'y~x9' is not of the form"),
        ({"omitted_slopes": {"y~x1": -1.0}}, "cannot be the variance"),
        ({"heteroscedastic": {"z": "x1"}}, "'z' has no residuals"),
        ({"heteroscedastic": {"y": "z"}}, "'z' is not one of the covariates"),
        ({"rng": "R", "seed": np.random.default_rng(1)}, "a generator of NumPy"),
        ({"omitted_slopes": 0.2}, "omitted_slopes=0.2: it takes a mapping"),
        ({"omitted_slopes": {1: 0.2}}, "1 is not of the form"),
        ({"heteroscedastic": "x1"}, "heteroscedastic='x1': it takes a mapping"),
        ({"heteroscedastic": {"y": lambda x1: 1 + x1}}, "raised TypeError: unsupported operand"),
        ({"heteroscedastic": {"y": lambda a, b: a}}, "It is passed one mapping, of the covariates"),
        ({"heteroscedastic": {"y": lambda seen: seen["x9"]}}, "raised KeyError: 'x9'"),
        ({"heteroscedastic": {"y": 3}}, "it takes a covariate, or a function"),
        ({"cluster": "y"}, "is a variable of the model"),
    ],
)
def test_refusals(change, message):
    arguments = {"n_clusters": 10, "cluster_size": 5} | change
    with pytest.raises(OptionValueError, match=re.escape(message)):
        simulate(INTERACTION, **arguments)


def test_slips_of_arguments():
    with pytest.raises(OptionError, match=r"'nclusters'\. Did you mean 'n_clusters'"):
        simulate(INTERACTION, nclusters=10, cluster_size=5)
    with pytest.raises(OptionError, match="Did you mean 'omitted_slopes'"):
        simulate(INTERACTION, 10, 5, omited_slopes={})
    with pytest.raises(
        OptionValueError, match=r"model is a int; .* simulate\(model, n_clusters, clu"
    ):
        simulate(30, {"y~x1": 1.0}, 10)
    assert len(simulate(INTERACTION, 10, 5, fixed_x=True)) == 50


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("y ~ 1*x\ny ~~ -1*y", "do not make a covariance matrix of 'y'"),
        ("a ~~ 1*a\nb ~~ 1*b\na ~~ 2*b\na ~ 1*x\nb ~ 1*x", "do not make a covariance matrix"),
        ("y ~ 1*m\nm ~ 1*y\ny ~~ 1*y\nm ~~ 1*m", "have no solution"),
        ("y ~ 1*x\nx ~ 1*y:z\ny ~~ 1*y\nx ~~ 1*x", "among the causes of one of its own"),
    ],
)
def test_impossible_models(model, message):
    with pytest.raises(SpecificationError, match=message):
        simulate(model, 10)
