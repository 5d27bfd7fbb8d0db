"""Direct, indirect and total effects: against `:=`, against algebra, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from differences import jacobian
from reference import FOLDER

import mlsem
from mlsem.inference.effects.run import _effects

MODEL = """
level: 1
  m ~ a1*x
  y ~ b1*m + c1*x
level: 2
  m ~ a2*x + w
  y ~ b2*m + c2*x
i1 := a1*b1
t1 := a1*b1 + c1
i2 := a2*b2
di := a2*b2 - a1*b1
dt := a2*b2 + c2 - a1*b1 - c1
"""
OPTIONS = {"cluster": "id", "fixed_x": False}


@pytest.fixture(scope="module")
def data():
    return pd.read_csv(FOLDER / "data/mediation.csv")


@pytest.fixture(scope="module", params=["standard", "CR2"])
def fit(data, request):
    return mlsem.fit(MODEL, data, se=request.param, **OPTIONS)


def rows(effects):
    table = effects.frame
    return {(row.level, row.effect): row for row in table.itertuples(index=False)}


def test_effects_are_the_defined_parameters(fit):
    found = rows(fit.effects("y", "x"))
    defined = fit.parameter_estimates().query("op == ':='").set_index("lhs")
    pairs = {
        "i1": (1, "indirect"),
        "t1": (1, "total"),
        "i2": (2, "x -> m -> y"),
        "di": (0, "indirect, difference"),
        "dt": (0, "total, difference"),
    }
    for name, key in pairs.items():
        for column in ("est", "se", "df", "pvalue", "ci_lower", "ci_upper"):
            ours, theirs = getattr(found[key], column), defined.loc[name, column]
            assert ours == pytest.approx(theirs, rel=1e-9), (name, column)
    path = fit.parameter_estimates().query("label == 'c1'").iloc[0]
    assert found[1, "direct"].se == pytest.approx(path["se"])


def test_gradients_are_finite_differences(data):
    """Through loadings and a cycle too."""
    text = "level: 1\n f =~ y + x\n m ~ f\nlevel: 2\n y ~ m + w\n m ~ x"
    fit = mlsem.fit(text, data, cluster="id", se="none")
    for outcome, predictor in (("m", "f"), ("y", "x"), ("y", "w")):
        for each in _effects(fit._estimates, outcome, predictor)[1]:
            numbers = jacobian(lambda p, e=each: e.values(p[None]), fit.estimates)
            assert each.gradient(fit.estimates) == pytest.approx(numbers[0], abs=1e-6)


def test_monte_carlo_limits_are_those_of_the_product(data):
    fit = mlsem.fit(MODEL, data, se="standard", **OPTIONS)
    first, again = (fit.effects("y", "x", ci="monte carlo", seed=3) for _ in range(2))
    assert first.frame.equals(again.frame)
    rng = np.random.default_rng(8)
    drawn = rng.multivariate_normal(fit.estimates, fit.vcov().to_numpy(), 200_000)
    names = list(fit.params.index)
    product = drawn[:, names.index("a1")] * drawn[:, names.index("b1")]
    limits = np.quantile(product, [0.025, 0.975])
    row = rows(first)[1, "indirect"]
    assert [row.ci_lower, row.ci_upper] == pytest.approx(limits, abs=0.03 * np.ptp(limits))


def test_bootstrap_limits_are_percentiles(data):
    fit = mlsem.fit(MODEL, data, se="standard", **OPTIONS)
    row = rows(fit.effects("y", "x", ci="bootstrap", draws=60, seed=2, confidence=0.8))
    boot = fit.bootstrap("pairs", draws=60, seed=2, parameters=["i1"])
    limits = boot.conf_int(0.8, "percentile").loc["i1"]
    found = row[1, "indirect"]
    assert [found.ci_lower, found.ci_upper] == pytest.approx(limits.to_list(), rel=0.05)


def test_it_prints(fit):
    text = str(fit.effects("y", "x"))
    assert text.startswith("Effects of x on y:")
    assert "x -> m -> y" in text
    assert "95 % intervals" in text


def test_refusals(fit):
    with pytest.raises(mlsem.OptionValueError, match="no variable of the model"):
        fit.effects("y", "xx")
    with pytest.raises(mlsem.OptionValueError, match="same variable"):
        fit.effects("y", "y")
    with pytest.raises(mlsem.InferenceError, match="no path leads"):
        fit.effects("x", "y")
    with pytest.raises(mlsem.OptionValueError, match="ci="):
        fit.effects("y", "x", ci="profile")
