"""Searches from random starts, and further starts where a solution is improper."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kinds import KINDS, make_data
from scipy.stats import norm

import mlsem
from mlsem.core.optimise.optimum import RandomStarts
from mlsem.estimation.ml import starting_point
from mlsem.estimation.search import random_params
from mlsem.model.pattern import parameter_bounds

HS = Path(__file__).parents[1] / "reference" / "data" / "hs1939.csv"
THREE = "visual =~ x1 + x2 + x3\n textual =~ x4 + x5 + x6\n speed =~ x7 + x8 + x9"
PIECES = "y ~ a*x\n (a - 1)*(a + 2) == 0"


def quietly(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlsem.fit(*args, **options)


@pytest.fixture(scope="module")
def data():
    return make_data(3, (4, 6, 8) * 14)


@pytest.fixture(scope="module")
def school():
    return pd.read_csv(HS)


@pytest.fixture(scope="module")
def line():
    draws = np.random.default_rng(5).normal(size=(100, 2))
    return pd.DataFrame({"x": draws[:, 0], "y": 0.6 * draws[:, 0] + draws[:, 1]})


def loglik_at(line, slope):
    rest = (line.y - slope * line.x).to_numpy()
    return float(norm(rest.mean(), rest.std()).logpdf(rest).sum())


def test_each_start_ends_at_a_maximum_and_the_highest_counts(line):
    fit = mlsem.fit(PIECES, line, starts=12, seed=3)
    higher, lower = loglik_at(line, 1.0), loglik_at(line, -2.0)
    starts = fit.starts
    assert fit.loglik == pytest.approx(higher, abs=1e-8)
    at_higher = np.isclose(starts.logliks, higher, rtol=0, atol=1e-8)
    at_lower = np.isclose(starts.logliks, lower, rtol=0, atol=1e-8)
    assert (at_higher | at_lower).all()
    assert starts.reached == at_higher.sum()
    assert 0 < at_lower.sum() < 12
    note = f"12 random starts (seed 3): {starts.reached} reached the highest maximum"
    assert note in str(starts)
    assert str(starts) in fit.notes
    assert f"{at_lower.sum()} ended at a lower one ({lower:.3f} at most)" in str(starts)


def test_a_seed_has_its_starts(line):
    first, again = (mlsem.fit(PIECES, line, starts=6, seed=3).starts for _ in range(2))
    np.testing.assert_array_equal(first.logliks, again.logliks)
    more = mlsem.fit(PIECES, line, starts=9, seed=3).starts
    np.testing.assert_array_equal(more.logliks[:6], first.logliks)
    unnamed = quietly(PIECES, line, starts=2).starts  # some seeds have a doubtful maximum
    named = quietly(PIECES, line, starts=2, seed=unnamed.seed).starts
    np.testing.assert_array_equal(named.logliks, unnamed.logliks)
    assert mlsem.fit(PIECES, line).starts is None


def test_a_maximum_that_one_search_reached_is_doubted(line):
    seeds = (seed for seed in range(30) if not _reached(line, seed))
    with pytest.warns(mlsem.EstimationWarning, match="reached by one search of 2 alone"):
        fit = mlsem.fit(PIECES, line, starts=1, seed=next(seeds))
    assert any("reached by one search of 2 alone" in note for note in fit.notes)
    assert "random start" in str(fit.summary())


def _reached(line, seed):
    return quietly(PIECES, line, starts=1, seed=seed).starts.reached


def test_random_starts_go_where_the_usual_search_does_not(school):
    """Within bounds from 16 rows: the usual search ends at a lower maximum."""
    few = school.head(16)
    usual = quietly(THREE, few, bounds="pos.var", se="none")
    fit = quietly(THREE, few, bounds="pos.var", se="none", starts=6, seed=1)
    assert fit.loglik > usual.loglik + 1.0
    assert fit.starts.usual == usual.loglik
    assert fit.loglik == pytest.approx(np.nanmax(fit.starts.logliks), abs=1e-8)
    assert "The usual search ended at" in str(fit.starts)
    again = quietly(THREE, few, bounds="pos.var", se="none", start=fit)
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-8)


def test_where_nothing_is_found():
    starts = RandomStarts(1, np.nan, np.array([np.nan, np.nan]))
    assert np.isnan(starts.best)
    assert (starts.reached, starts.alone) == (0, False)
    assert str(starts) == "2 random starts (seed 1): no search found a maximum."
    found = RandomStarts(1, np.nan, np.array([np.nan, -7.0, -9.0]))
    assert (found.best, found.reached, found.alone) == (-7.0, 1, True)
    assert str(found).endswith(
        "1 reached the highest maximum found, -7.000; 1 ended at a lower one (-9.000 at most); "
        "1 found none. The usual search found none."
    )


SOME = (
    "latent at both levels",
    "labels across levels",
    "split covariate",
    "level-2 outcome of a latent predictor",
    "second order",
    "saturated",
)


@pytest.mark.parametrize("name", SOME)
def test_random_starts_of_every_kind_reach_the_maximum(name, data):
    kind = KINDS[name]
    fit = quietly(kind.text, data, kind.cluster, starts=4, seed=2, se="none", **kind.options)
    usual = quietly(kind.text, data, kind.cluster, se="none", **kind.options)
    assert fit.loglik == pytest.approx(usual.loglik, abs=1e-6)
    assert fit.starts.reached > 0


@pytest.mark.parametrize("estimator", ["ML", "REML"])
def test_random_slopes_and_mixed_models(data, estimator):
    model = 'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~ w1\n s ~ w1\n y1 ~~ s'
    fit = quietly(model, data, "id", estimator=estimator, starts=4, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        formula, reml = "y1 ~ w1*x1 + (x1 | id)", estimator == "REML"
        mixed = mlsem.lmm(formula, data, REML=reml, starts=4, seed=1, se="none")
    assert fit.starts.reached == 4
    assert mixed.starts.reached == 4


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_starts_are_inside_and_meet_what_is_linear(data, shift):
    model = (
        "level: 1\n f =~ y1 + a*y2 + b*y3 + y4\n f ~ x1\nlevel: 2\n f2 =~ y1 + y2 + y3 + y4\n"
        " f2 ~ w1\n y1 ~~ lower(0.02)*y1\n a + b == 1.5"
    )
    problem = quietly(
        model, data.assign(x1=data.x1 + shift), "id", max_iter=1, se="none"
    )._estimates.problem
    first, names = starting_point(problem, None), problem.table.names
    generator = np.random.default_rng(1)
    drawn = np.array([random_params(problem, first, generator) for _ in range(20)])
    at = {name: drawn[:, k] for k, name in enumerate(names)}
    np.testing.assert_allclose(at["a"] + at["b"], 1.5, atol=1e-12)
    lower, upper = parameter_bounds(problem.table)
    assert ((drawn >= lower) & (drawn <= upper)).all()
    logliks = np.array([problem.objective.evaluate(each).loglik for each in drawn])
    best = quietly(model, data.assign(x1=data.x1 + shift), "id", se="none").loglik
    assert ((logliks < best) & (logliks > best - 20 * len(data))).all()
    for name in ("f=~y4", "f2=~y2.l2"):
        assert {*np.sign(at[name])} == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 1}, "seed=1 is of random starts, and there are none"),
        ({"starts": -1}, "starts=-1: it takes a whole number"),
        ({"starts": True}, "starts=True"),
        ({"starts": 2.0}, "starts=2.0"),
        ({"starts": "20"}, "starts='20'"),
        ({"starts": 10**9}, "from 0 to 10000"),
        ({"starts": 2, "seed": -1}, "seed=-1"),
        ({"starts": 2, "seed": 1.5}, "seed=1.5"),
        ({"starts": 2, "start": {"a": 1.0}}, "Leave one of them out"),
    ],
)
def test_what_starts_and_seed_take(line, options, said):
    with pytest.raises(mlsem.OptionValueError, match=said):
        mlsem.fit(PIECES, line, **options)
    groups = line.assign(id=np.arange(len(line)) // 5)
    start = {"start": {"x": 1.0}} if "start" in options else {}
    with pytest.raises(mlsem.OptionValueError, match=said):
        mlsem.lmm("y ~ x + (1 | id)", groups, **options | start)


# --- further starts without asking ----------------------------------------------------------------


def test_few_rows_without_a_maximum_near_the_start(school):
    """A search that runs to infinity at -177.4; lavaan 0.6-14 has -176.90978, a maximum with
    negative variances."""
    fit = quietly(THREE, school.head(16))
    assert fit.converged
    assert fit.loglik == pytest.approx(-176.90978, abs=1e-5)
    assert np.linalg.eigvalsh(fit.information().to_numpy())[0] > 0.01


def test_improper_solution_that_is_not_the_highest():
    """The usual search ends at -226.256, with a negative variance; lavaan 0.6-14 has this one."""
    generator = np.random.default_rng(14)
    f = generator.normal(size=30)
    g = 0.3 * f + generator.normal(size=30)
    columns = [a * f + 0.8 * generator.normal(size=30) for a in (0.3, 0.5, 0.7)]
    columns += [a * g + 0.8 * generator.normal(size=30) for a in (0.3, 0.6, 0.5)]
    data = pd.DataFrame(dict(zip("abcdeh", columns, strict=True)))
    fit = quietly("f =~ a + b + c\n g =~ d + e + h", data)
    assert fit.loglik == pytest.approx(-224.5348714, abs=1e-6)
    assert fit.params["c~~c"] == pytest.approx(-0.452, abs=1e-3)
