"""Likelihood-ratio tests: distributions at boundaries, nesting, scaled differences."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import nnls
from scipy.stats import chi2

import mlsem
from mlsem.errors import (
    ConvergenceWarning,
    EstimationWarning,
    InferenceError,
    OptionError,
    OptionValueError,
)
from mlsem.inference.ratio.mixtures import Cells, cone_statistics, simulated_tail
from mlsem.inference.ratio.run import scaling_trace

DATA = Path(__file__).parents[1] / "reference" / "data"
SLEEP = pd.read_csv(DATA / "sleepstudy.csv")
ARTICLE = pd.read_csv(DATA / "article_50x10_rep1.csv")


def sleep(random, fixed="Days", data=SLEEP):
    return mlsem.lmm(f"Reaction ~ {fixed} + {random}", data, REML=False)


INTERCEPT = sleep("(1 | Subject)")
SLOPE = sleep("(Days | Subject)")
UNCORRELATED = sleep("(Days || Subject)")


def article(within, between, **options):
    model = f"level: 1\n{within}\nlevel: 2\n{between}"
    return mlsem.fit(model, ARTICLE, cluster="id", **options)


# --- distributions ------------------------------------------------------------------------------


def test_a_slope_with_its_covariance():
    test = mlsem.lr_test(INTERCEPT, SLOPE)
    # lme4: logLik -897.0393 and -875.9697
    assert test.statistic == pytest.approx(42.1393, abs=1e-3)
    assert (test.df, test.reference, test.parts) == (2, "mixture", ((1, 0.5), (2, 0.5)))
    expected = 0.5 * chi2.sf(test.statistic, 1) + 0.5 * chi2.sf(test.statistic, 2)
    assert test.pvalue == pytest.approx(expected, rel=1e-10)
    assert "0.5 chi2(1) + 0.5 chi2(2)" in str(test)
    assert test.frame.loc[0, "df"] == 2
    assert "LrTest" in repr(test)


def test_one_variance_alone():
    test = mlsem.lr_test(INTERCEPT, UNCORRELATED)
    assert test.parts == ((0, 0.5), (1, 0.5))
    assert test.pvalue == pytest.approx(0.5 * chi2.sf(test.statistic, 1), rel=1e-10)
    single = mlsem.fit("Reaction ~ Days", SLEEP, meanstructure=True)
    found = mlsem.lr_test(single, INTERCEPT)
    assert found.parts == ((0, 0.5), (1, 0.5))
    assert found.statistic == pytest.approx(2 * (INTERCEPT.loglik - single.loglik))


def test_no_boundary():
    covariance = mlsem.lr_test(UNCORRELATED, SLOPE)
    assert (covariance.reference, covariance.parts) == ("chi2", ((1, 1.0),))
    assert mlsem.lr_test(INTERCEPT, SLOPE, boundary=False).parts == ((2, 1.0),)
    mean = mlsem.lr_test(sleep("(Days | Subject)", "1"), SLOPE)
    assert mean.parts == ((1, 1.0),)
    assert mean.pvalue == pytest.approx(chi2.sf(mean.statistic, 1), rel=1e-9)


def test_a_slope_and_its_moderator():
    simple = article("y ~ x1", "y ~ w1")
    full = article('y ~ rv("s")*x1', "y ~ w1\ns ~ w1\ny ~~ s")
    test = mlsem.lr_test(simple, full)
    assert (test.df, test.parts) == (3, ((2, 0.5), (3, 0.5)))
    product = article("y ~ x1 + w1:x1", "y ~ w1")
    assert mlsem.lr_test(product, full).parts == ((1, 0.5), (2, 0.5))


def test_several_variances_are_simulated():
    rng = np.random.default_rng(4)
    x2, slope = rng.normal(size=500), rng.normal(size=50)[ARTICLE["id"] - 1]
    data = ARTICLE.assign(x2=x2, y=ARTICLE["y"] + 0.7 * slope * x2)
    simple = mlsem.lmm("y ~ x1 + x2 + (1 | id)", data, REML=False)
    full = mlsem.lmm("y ~ x1 + x2 + (x1 + x2 || id)", data, REML=False)
    test = mlsem.lr_test(simple, full, seed=3)
    assert (test.reference, test.df, test.seed) == ("simulated", 2, 3)
    assert test.pvalue == mlsem.lr_test(simple, full, seed=3).pvalue
    assert test.pvalue < 0.001
    assert "simulated: 10000 draws, seed 3" in str(test)
    whole = mlsem.lmm("y ~ x1 + x2 + (x1 + x2 | id)", data, REML=False)
    assert mlsem.lr_test(simple, whole, draws=500).df == 5
    assert mlsem.lr_test(full, whole).reference == "chi2"


def test_two_independent_variances_by_simulation():
    cells = Cells(np.array([0, 1]), np.array([0, 1]), np.array([0, 1]))
    value = 3.0
    exact = 0.5 * chi2.sf(value, 1) + 0.25 * chi2.sf(value, 2)
    found, error = simulated_tail(value, cells, np.diag([1.0, 4.0]), 0, 40_000, 1)
    assert abs(found - exact) < 4 * error
    exact = 0.25 * chi2.sf(value, 1) + 0.5 * chi2.sf(value, 2) + 0.25 * chi2.sf(value, 3)
    found, error = simulated_tail(value, cells, np.diag([1.0, 4.0]), 1, 40_000, 1)
    assert abs(found - exact) < 4 * error


def test_projections_on_cones():
    rng = np.random.default_rng(1)
    orthant = Cells(np.array([0, 1]), np.array([0, 1]), np.array([0, 1]))
    spread = np.array([[1.0, 0.6], [0.6, 2.0]])
    z = rng.normal(size=(50, 2)) @ np.linalg.cholesky(spread).T
    root = np.linalg.cholesky(np.linalg.inv(spread)).T
    expected = [(root @ x) @ (root @ x) - nnls(root, root @ x)[1] ** 2 for x in z]
    np.testing.assert_allclose(cone_statistics(z, orthant, spread), expected, atol=1e-7)
    matrices = Cells(np.array([0, 1, 1]), np.array([0, 1, 0]), np.array([0, 0]))
    z = rng.normal(size=(50, 3)) * np.sqrt([1.0, 1.0, 0.5])
    values = np.linalg.eigvalsh(z[:, [0, 2, 2, 1]].reshape(-1, 2, 2))
    found = cone_statistics(z, matrices, np.diag([1.0, 1.0, 0.5]))
    np.testing.assert_allclose(found, (np.maximum(values, 0) ** 2).sum(axis=1), atol=1e-7)


@pytest.mark.parametrize("slopes", ["(x1 | id)", "(x1 || id)"])
def test_size_where_the_simple_model_holds(slopes):
    """P values of a mixture are uniform above its mass at zero; rough, for speed."""
    rng = np.random.default_rng(8)
    small = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(60):
            u = rng.normal(size=50)[ARTICLE["id"] - 1]
            data = ARTICLE.assign(y=u + ARTICLE["x1"] + rng.normal(size=500))
            simple = mlsem.lmm("y ~ x1 + (1 | id)", data, REML=False)
            full = mlsem.lmm(f"y ~ x1 + {slopes}", data, REML=False)
            try:
                small.append(mlsem.lr_test(simple, full).pvalue < 0.25)
            except InferenceError:  # the estimates of the full model are improper
                small.append(False)
    assert 0.05 <= np.mean(small) <= 0.42


# --- robust -------------------------------------------------------------------------------------


def test_scaled_difference():
    data = pd.read_csv(DATA / "demo.csv")
    simple = "level: 1\n fw =~ y1 + a*y2 + a*y3\nlevel: 2\n fb =~ y1 + b*y2 + b*y3"
    full = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
    first, second = (
        mlsem.fit(each, data, cluster="cluster", estimator="MLR") for each in (simple, full)
    )
    # lavaan 0.6.14: tr(information.observed⁻¹ information.first.order)
    assert scaling_trace(first._estimates) == pytest.approx(13.7525993, abs=1e-4)
    assert scaling_trace(second._estimates) == pytest.approx(15.8666451, abs=1e-4)
    test = mlsem.lr_test(first, second)
    assert test.reference == "scaled"
    assert test.scaling == pytest.approx((15.8666451 - 13.7525993) / 2, abs=1e-4)
    # lavTestLRT(method = "satorra.bentler.2001"), which takes the saturated model's traces at
    # other estimates: 6.350
    assert test.statistic == pytest.approx(6.350, rel=2e-3)
    with pytest.raises(InferenceError, match="estimators differ, ML and MLR"):
        mlsem.lr_test(mlsem.fit(simple, data, cluster="cluster"), second)


def test_no_scaled_test_at_a_boundary():
    simple = article("y ~ x1", "y ~ w1", estimator="MLR")
    full = article('y ~ rv("s")*x1', "y ~ w1\ny ~~ s", estimator="MLR")
    with pytest.raises(InferenceError, match="no scaled difference test"):
        mlsem.lr_test(simple, full)
    with pytest.raises(InferenceError, match=r"difference is -0\.635"):
        mlsem.lr_test(simple, full, boundary=False)


# --- refusals -----------------------------------------------------------------------------------


def test_not_nested():
    with pytest.raises(InferenceError, match="Put the simple model first"):
        mlsem.lr_test(SLOPE, INTERCEPT)
    other = article("y ~ x1", "y ~ w1 + 0*1")
    without = article("y ~ 1", "y ~ w1")
    both = article('y ~ rv("s")*x1', "y ~ 1\ny ~~ s")
    with pytest.raises(InferenceError, match=r"no free parameter for 'y~w1\.l2'"):
        mlsem.lr_test(without, both)
    with pytest.raises(InferenceError, match="several values"):
        mlsem.lr_test(other, article("y ~ a*x1 + w1:x1", "y ~ a*w1"))
    single = mlsem.fit("Reaction ~ Days", SLEEP)
    with pytest.raises(InferenceError, match="meanstructure=True"):
        mlsem.lr_test(single, INTERCEPT)


def test_other_data():
    fewer = SLEEP[SLEEP["Subject"] != 308]
    with pytest.raises(InferenceError, match="170 and 180 rows"):
        mlsem.lr_test(sleep("(1 | Subject)", data=fewer), SLOPE)
    moved = SLEEP.assign(Reaction=SLEEP["Reaction"] + SLEEP["Days"])
    with pytest.raises(InferenceError, match="different data: the values of 'Reaction' are not"):
        mlsem.lr_test(sleep("(1 | Subject)", data=moved), SLOPE)
    with pytest.raises(InferenceError, match="other outcomes"):
        mlsem.lr_test(article("y ~ x1", "y ~ 1"), SLOPE)


def test_rows_in_another_order_are_the_same_data():
    shuffled = SLEEP.sample(frac=1.0, random_state=1)
    test = mlsem.lr_test(sleep("(1 | Subject)", data=shuffled), SLOPE)
    assert test.statistic == pytest.approx(mlsem.lr_test(INTERCEPT, SLOPE).statistic, abs=1e-6)


@pytest.mark.parametrize(
    ("subjects", "message"),
    [
        (SLEEP["Subject"] % 9, "there are 8 and 18 clusters of 'Subject'"),
        (SLEEP["Subject"] + 1000, "have other ids, such as 1308"),
        (SLEEP["Subject"].where(SLEEP.index != 0, 309), "have other numbers of rows"),
        (np.roll(SLEEP["Subject"], 5), "the same rows are in other clusters of 'Subject'"),
    ],
)
def test_other_clusters(subjects, message):
    other = sleep("(1 | Subject)", data=SLEEP.assign(Subject=subjects))
    with pytest.raises(InferenceError, match=message):
        mlsem.lr_test(other, SLOPE)


@pytest.mark.filterwarnings("ignore::mlsem.EstimationWarning")
def test_another_grouping_factor():
    data = SLEEP.assign(Day=SLEEP["Days"])
    with pytest.raises(InferenceError, match="10 and 18 clusters of 'Day' and 'Subject'"):
        mlsem.lr_test(sleep("(1 | Day)", data=data), sleep("(Days | Subject)", data=data))


def test_what_is_no_test():
    with pytest.raises(OptionError, match=r"got 3 arguments .* Compare two at a time"):
        mlsem.lr_test(INTERCEPT, SLOPE, UNCORRELATED)
    with pytest.raises(OptionValueError, match="boundary='no': it takes True or False"):
        mlsem.lr_test(INTERCEPT, SLOPE, boundary="no")  # type: ignore[arg-type]
    for seed in ("a", -1, True):
        with pytest.raises(OptionValueError, match=r"seed=.*: it takes a whole number from 0"):
            mlsem.lr_test(INTERCEPT, SLOPE, seed=seed)  # type: ignore[arg-type]
    with pytest.raises(OptionValueError, match="simple is a str"):
        mlsem.lr_test("y ~ x", SLOPE)  # type: ignore[arg-type]
    with pytest.raises(OptionValueError, match="draws=0"):
        mlsem.lr_test(INTERCEPT, SLOPE, draws=0)
    with pytest.warns(ConvergenceWarning):
        stopped = mlsem.lmm("Reaction ~ Days + (Days | Subject)", SLEEP, REML=False, max_iter=1)
    with pytest.raises(InferenceError, match="full model did not converge"):
        mlsem.lr_test(INTERCEPT, stopped)


def test_negative_variances():
    rng = np.random.default_rng(2)
    noise = rng.normal(size=500)
    noise = noise - 1.1 * pd.Series(noise).groupby(ARTICLE["id"]).transform("mean").to_numpy()
    data = ARTICLE.assign(y=ARTICLE["x1"] + noise)
    simple = mlsem.fit("y ~ x1", data, meanstructure=True)
    with pytest.warns(EstimationWarning):
        full = mlsem.fit("level: 1\ny ~ x1\nlevel: 2\ny ~~ y", data, cluster="id")
    test = mlsem.lr_test(simple, full)
    assert (test.statistic, test.pvalue) == (0.0, 1.0)
    assert "below zero" in test.notes[0]
