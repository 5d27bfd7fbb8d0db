"""Standard errors compared: the table, the reference band, the verdict, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import mlsem

MODEL = "level: 1\n y ~ x1 + w1:x1\nlevel: 2\n y ~ w1"


@pytest.fixture(scope="module")
def fit():
    return mlsem.fit(MODEL, mlsem.load_example("article"), cluster="id")


@pytest.fixture(scope="module")
def compared(fit):
    return fit.compare_se(draws=200, seed=1, progress=False)


def rows(varying, seed):
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(40), 10)
    u, s = rng.normal(size=(2, 40))[:, ids]
    x1, e = rng.normal(size=(2, len(ids)))
    data = mlsem.load_example("article").iloc[: len(ids)].assign(id=ids, x1=x1)
    return data.assign(y=0.5 * x1 + u + np.sqrt(varying) * s * x1 + e)


def test_table_holds_the_standard_errors_of_each_kind(fit, compared):
    for kind in ("standard", "MLR", "CR2"):
        expected = fit.with_se(kind).bse[compared.table.index]
        np.testing.assert_allclose(compared.table[f"se_{kind}"], expected, rtol=1e-12)
    ratio = compared.table["se_CR2"] / compared.table["se_standard"]
    np.testing.assert_allclose(compared.table["ratio"], ratio, rtol=1e-12)


def test_omitted_slope_is_seen(compared):
    """The example has a random slope of x1."""
    assert "y~x1" in compared.varying
    assert "y~w1.l2" not in compared.varying
    assert compared.table.loc["y~x1", "pvalue"] < 0.02
    assert "y~x1" in str(compared)
    assert "look as if they varied" in str(compared)


def test_a_ratio_below_the_band_is_said_to_mean_the_opposite():
    """Residuals shrink away from the mean of x1: the model's error of its slope is too large."""
    rng = np.random.default_rng(4)
    data = rows(0.0, 3)
    x1 = data["x1"].to_numpy()
    u = rng.normal(size=40)[data["id"].to_numpy()]
    data = data.assign(y=0.5 * x1 + u + rng.normal(size=len(x1)) / (0.3 + x1**2))
    fit = mlsem.fit("level: 1\n y ~ x1\nlevel: 2\n y ~~ y", data, cluster="id")
    found = fit.compare_se(draws=100, seed=1)
    assert found.table.loc["y~x1", "ratio"] < found.table.loc["y~x1", "lower"]
    assert (found.varying, found.steadier) == ((), ("y~x1",))
    assert "y~x1: the CR2 standard error is smaller than expected by chance" in found.verdict[1]
    assert "not a random slope but the opposite" in " ".join(str(found).split())


def test_band_is_that_of_the_ratio_where_no_slope_varies():
    """5 to 95 % of the ratios of data sets like these lie in it, within Monte Carlo error."""
    model, outside = "level: 1\n y ~ x1\nlevel: 2\n y ~~ y", 0
    band = mlsem.fit(model, rows(0.0, 0), cluster="id").compare_se(draws=300, seed=2)
    lower, upper = band.table.loc["y~x1", ["lower", "upper"]]
    for seed in range(1, 101):
        fit = mlsem.fit(model, rows(0.0, seed), cluster="id")
        ratio = fit.with_se("CR2").bse["y~x1"] / fit.bse["y~x1"]
        outside += not lower <= ratio <= upper
    assert 3 <= outside <= 19  # 10 expected; 3 standard errors


def test_band_does_not_depend_on_the_processes(fit, compared):
    again = fit.compare_se(draws=200, seed=1, n_jobs=2, progress=False)
    assert again.table.equals(compared.table)


def test_seed_is_named_and_repeats(fit):
    first = fit.compare_se(draws=20)
    assert fit.compare_se(draws=20, seed=first.band.seed).table.equals(first.table)


def test_without_draws_there_is_no_band(fit):
    found = fit.compare_se(["standard", "CR3"], draws=0)
    assert list(found.table.columns) == ["est", "se_standard", "se_CR3", "ratio"]
    assert found.varying == ()
    assert "it is unknown" in found.verdict[0]


def test_two_level_factor_model_and_chosen_parameters():
    data = mlsem.load_example("article")
    rng = np.random.default_rng(5)
    data = data.assign(**{f"y{k}": data["y"] + rng.normal(size=len(data)) for k in range(3)})
    model = "level: 1\n f =~ y0 + y1 + y2\n f ~ x1\nlevel: 2\n g =~ y0 + y1 + y2"
    fit = mlsem.fit(model, data, cluster="id")
    found = fit.compare_se(draws=40, seed=3, parameters=["f~x1", "f=~y1"])
    assert list(found.table.index) == ["f~x1", "f=~y1"]
    assert found.varying == ("f~x1",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["CR2"]}, "at least two kinds"),
        ({"kinds": ["standard", "CR9"]}, "CR9"),
        ({"draws": 3}, "draws=3"),
        ({"level": 90}, "between 0 and 1"),
        ({"seed": -1}, "seed=-1"),
        ({"parameters": "y~x2"}, "y~x1"),
        ({"n_jobs": 0}, "n_jobs=0"),
    ],
)
def test_wrong_options_are_refused(fit, options, message):
    with pytest.raises(mlsem.OptionValueError, match=message):
        fit.compare_se(**options)


def test_restricted_fits_have_no_mlr():
    fit = mlsem.lmm("y ~ w1*x1 + (1 | id)", mlsem.load_example("article"))
    found = fit.compare_se(draws=40, seed=1, parameters="x1")
    assert found.kinds == ("standard", "CR2")
    assert found.varying == ("x1",)
