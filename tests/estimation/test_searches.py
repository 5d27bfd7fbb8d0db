"""Searches that find a maximum where there is one, and say what there is where there is none."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kinds import make_data

import mlsem
from mlsem.estimation.charts import charts
from mlsem.estimation.problem import restricted

HS = Path(__file__).parents[1] / "reference" / "data" / "hs1939.csv"
THREE = "visual =~ x1 + x2 + x3\n textual =~ x4 + x5 + x6\n speed =~ x7 + x8 + x9"


@pytest.fixture(scope="module")
def school():
    return pd.read_csv(HS)


def quietly(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlsem.fit(*args, **options)


def correlated(count, correlation, rows, seed):
    matrix = np.full((count, count), correlation) + (1 - correlation) * np.eye(count)
    draws = np.random.default_rng(seed).normal(size=(rows, count))
    return draws @ np.linalg.cholesky(matrix).T


def test_start_is_inside_what_is_fixed():
    """Three correlations of .75, one fixed to 0: at the sample values of the others the
    covariance matrix is indefinite."""
    data = pd.DataFrame(correlated(3, 0.75, 200, 1), columns=["a", "b", "c"])
    fit = quietly("a ~~ b\n b ~~ c\n a ~~ 0*c", data)
    assert fit.converged
    a, b = fit.params["a~~b"], fit.params["b~~c"]
    sigma = np.array(
        [[fit.params["a~~a"], a, 0.0], [a, fit.params["b~~b"], b], [0.0, b, fit.params["c~~c"]]]
    )
    sample = np.cov(data.to_numpy().T, bias=True)
    inverse = np.linalg.inv(sigma)
    slope = inverse @ (sample - sigma) @ inverse  # zero where a parameter is free
    slope[0, 2] = slope[2, 0] = 0.0
    assert np.abs(slope).max() < 1e-6


def test_variances_that_lavaan_does_not_add_are_spoken_of():
    waves = mlsem.load_example("growth_wide")
    with pytest.raises(mlsem.EstimationError, match="auto_var=True"):
        mlsem.lavaan("f =~ reading0 + reading1 + reading2", waves)


def test_start_between_is_inside_what_is_fixed():
    ids = np.repeat(np.arange(60), 8)
    between = correlated(3, 0.8, 60, 3)[ids]
    within = np.random.default_rng(4).normal(size=(480, 3))
    data = pd.DataFrame(3 * between + within, columns=["a", "b", "c"]).assign(id=ids)
    free = "level: 1\n a ~~ b + c\n b ~~ c\nlevel: 2\n a ~~ b\n b ~~ c\n a ~~ {}*c"
    fit = quietly(free.format(0), data, cluster="id")
    assert fit.converged
    assert fit.loglik < quietly(free.format("k"), data, cluster="id").loglik


PHANTOM = "x2 ~ a*x1\n x3 ~ b*x1\n x2 ~~ x3\n ph ~~ r*ph\n r == a*b\n "


@pytest.mark.parametrize("phantom", ["ph =~ 0", "ph =~ 0*x1"])
def test_phantom_holds_a_function_of_parameters(school, phantom):
    """lavaan 0.6-14: -883.780875158, r = .1280286 (.03100012) of 'ph =~ 0'."""
    fit = mlsem.fit(PHANTOM + phantom, school)
    assert fit.converged
    assert fit.params["r"] == pytest.approx(0.1280286, abs=1e-6)
    assert fit.bse["r"] == pytest.approx(0.03100012, abs=1e-5)
    if phantom == "ph =~ 0":
        assert fit.loglik == pytest.approx(-883.780875158, abs=1e-6)


def test_phantom_beside_its_indicators_factor(school):
    """lavaan 0.6-14: -1356.97731699, r = .8612577 (.2759276)."""
    model = "v =~ x1 + l2*x2 + l3*x3\n ph =~ 0*x1\n ph ~~ r*ph\n v ~~ 0*ph\n r == l2*l3"
    fit = mlsem.fit(model, school)
    assert fit.loglik == pytest.approx(-1356.97731699, abs=1e-6)
    assert fit.params["r"] == pytest.approx(0.8612577, abs=1e-5)
    assert fit.bse["r"] == pytest.approx(0.2759276, abs=1e-4)


def test_phantom_without_a_constraint_is_named(school):
    with pytest.raises(mlsem.IdentificationError, match="'r'"):
        mlsem.fit("x2 ~ x1\n ph =~ 0\n ph ~~ r*ph", school)


def test_start_where_a_constraint_is_flat(school):
    """r² has no slope at the start r = 0; r = 0 is no maximum."""
    model = "x2 ~ a*x1\n ph =~ 0\n ph ~~ start(0)*ph + r*ph\n a == r^2"
    fit = quietly(model, school)
    assert fit.loglik == pytest.approx(mlsem.fit("x2 ~ x1", school).loglik, abs=1e-6)
    assert fit.params["r"] ** 2 == pytest.approx(fit.params["a"], abs=1e-8)


@pytest.mark.parametrize(
    ("rows", "loglik"), [(slice(None, None, 17), -205.501278), (slice(-18, None), -165.2773237)]
)
def test_fewer_rows_than_parameters(school, rows, loglik):
    """21 parameters, 18 rows; lavaan 0.6-14."""
    fit = quietly(THREE, school.iloc[rows])
    assert len(school.iloc[rows]) == 18
    assert fit.converged
    assert fit.loglik == pytest.approx(loglik, abs=1e-5)
    assert any("only 18 rows" in note for note in fit.notes)


def test_a_factor_scaled_by_its_variance_is_the_same_model():
    """Every factor, with either sign of the variance: there and back the likelihood is the same."""
    model = (
        "level: 1\n fw =~ y1 + y2 + y3\n y4 ~ fw\n"
        "level: 2\n fb =~ y1 + y2 + y3\n gb =~ y4 + z1\n gb ~ fb + w1\n"
    )
    sizes = np.random.default_rng(1).integers(2, 9, size=50)
    fit = quietly(model, make_data(22, tuple(sizes)), cluster="id", se="none")
    problem, rng = fit._estimates.problem, np.random.default_rng(2)
    found = list(charts(fit.table, fit.estimates, restricted(fit.table)))
    assert len(found) == 8
    met = 0
    for chart in found:
        other = problem.with_table(chart.table, chart.params).objective
        params = chart.params * rng.uniform(0.95, 1.05, len(chart.params))
        there, here = other.evaluate(params), problem.objective.evaluate(chart.back(params))
        assert (there is None) == (here is None)
        if there is not None:
            met += 1
            assert here.loglik == pytest.approx(there.loglik, rel=1e-11)
    assert met >= 2  # with the other sign most are outside the parameter space


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("f =~ y1 + 2*y2 + y3\n g =~ 0.5*y4 + v1 + x1", 2),  # two loadings fixed: f keeps its scale
        ("f =~ y1 + a*y2 + a*y3\n g =~ y4 + v1 + x1", 2),  # shared
        ("f =~ y1 + y2 + y3\n g =~ y4 + v1 + x1\n f ~~ 0*g", 4),
        ("f =~ a + b\n g =~ c + d\n h =~ e + i\n j =~ k + l\n f + g + h ~~ j", 5),
    ],
)
def test_which_factors_have_another_scale(text, count):
    table = mlsem.check(text)
    params = np.ones(len(table.names))
    assert len(list(charts(table, params, restricted(table)))) == count


def weak_between(seed):
    """The marker's between part hardly goes with the factor's."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(40), 6)
    w, f = rng.normal(size=40)[ids], rng.normal(size=240)
    fb = 0.15 * rng.normal(size=40)[ids]
    e = rng.normal(size=(3, 240)) * np.array([[0.7], [0.7], [1.0]])
    u = 0.3 * rng.normal(size=(2, 40))[:, ids]
    columns = {"y1": f + e[0] + 0.03 * fb, "y2": 0.8 * f + fb + e[1] + u[0]}
    columns["y3"] = 0.5 * f + 0.25 * w + fb + e[2] + u[1]
    return pd.DataFrame({"id": ids, "w": w} | columns)


def test_a_marker_that_hardly_loads_between():
    """The maximum that `std_lv=True` finds is found with a marker, too, if there is no higher one
    at a negative factor variance."""
    model = "level: 1\n fw =~ y1 + y2\n y3 ~ fw\nlevel: 2\n fb =~ y1 + y2\n y3 ~ fb + w"
    both = 0
    for seed in range(4):
        data = weak_between(seed)
        marker = quietly(model, data, cluster="id", se="none")
        standard = quietly(model, data, cluster="id", se="none", std_lv=True)
        if standard.converged:
            assert marker.converged
            assert marker.loglik > standard.loglik - 1e-6
            both += marker.loglik == pytest.approx(standard.loglik, abs=1e-6)
    assert both >= 2


# --- searches without an end ---------------------------------------------------------------------


def test_unbounded_likelihood_names_the_clusters():
    """A between model of more variances than the one large cluster can hold."""
    rng = np.random.default_rng(5)
    sizes = np.array([2] * 30 + [25])
    ids = np.repeat(np.arange(len(sizes)), sizes)
    y = rng.normal(size=(len(ids), 4))
    data = pd.DataFrame(y, columns=["y1", "y2", "y3", "y4"]).assign(id=ids)
    data.loc[data.id == 30, ["y1", "y2", "y3", "y4"]] -= (
        data[data.id == 30][["y1", "y2", "y3", "y4"]].mean() - data[["y1", "y2", "y3", "y4"]].mean()
    )
    model = "level: 1\n y1 ~~ y2 + y3 + y4\n y2 ~~ y3 + y4\n y3 ~~ y4\nlevel: 2\n"
    model += "y1 ~~ y2 + y3 + y4\n y2 ~~ y3 + y4\n y3 ~~ y4\n"
    with pytest.warns(mlsem.ConvergenceWarning, match="the cluster of 25 rows") as caught:
        fit = mlsem.fit(model, data, cluster="id", se="none")
    assert fit._estimates.optimum.status == "unbounded"
    assert fit.n_iterations <= 200
    assert "bounds=" in str(caught[0].message)


def test_parameter_that_runs_to_infinity_is_named():
    """A between regression on a variable that does not vary between clusters."""
    rng = np.random.default_rng(3)
    ids = np.repeat(np.arange(50), 4)
    y = rng.normal(size=(200, 2))
    y -= pd.DataFrame(y).groupby(ids).transform("mean").to_numpy() * (0.97, 0.0)
    data = pd.DataFrame(y, columns=["y1", "y2"]).assign(id=ids)
    data["y2"] += 0.5 * rng.normal(size=50)[ids]
    model = "level: 1\n y1 ~~ y2\nlevel: 2\n y2 ~ y1\n y1 ~~ lower(0)*y1"
    fit = quietly(model, data, cluster="id", se="none")
    assert not fit.converged or abs(fit.params["y2~y1.l2"]) < 1e3


# --- bounds that the data give -------------------------------------------------------------------

WIDE = {  # lavaan 0.6-14, all 301 rows
    "visual=~x2": (-3.82729809, 3.827298),
    "speed=~x9": (-3.51477173, 3.514772),
    "x1~~x7": (-1.36914909, 1.369149),
    "x1~~x1": (-0.06112664, 1.467039),
    "x2~~x2": (-0.06908919, 1.658141),
    "visual~~visual": (0.13583698, 1.725130),
    "visual~~textual": (-1.72022986, 1.720230),
}
STANDARD = {
    "visual=~x2": (-3.1894151, 3.189415),
    "speed=~x9": (-2.9289764, 2.928976),
    "x1~~x7": (-1.1386757, 1.138676),
    "x1~~x1": (0.0, 1.222533),
    "x2~~x2": (0.0, 1.381784),
    "visual~~visual": (0.1358370, 1.358370),
    "visual~~textual": (-1.3518027, 1.351803),
}


@pytest.mark.parametrize(("kind", "expected"), [("wide", WIDE), ("standard", STANDARD)])
def test_bounds_are_lavaans(school, kind, expected):
    fit = mlsem.fit(THREE + "\n x1 ~~ x7", school, bounds=kind)
    found = {fit.table.names[row.free]: (row.lower, row.upper) for row in fit.table.rows}
    for name, pair in expected.items():
        np.testing.assert_allclose(found[name], pair, rtol=2e-6, atol=1e-9)
    assert fit.loglik == pytest.approx(mlsem.fit(THREE + "\n x1 ~~ x7", school).loglik, abs=1e-8)


def test_bounds_of_fixed_factor_variances(school):
    """lavaan 0.6-14, std.lv = TRUE."""
    fit = mlsem.fit(THREE, school, bounds="wide", std_lv=True)
    found = {fit.table.names[row.free]: (row.lower, row.upper) for row in fit.table.rows}
    np.testing.assert_allclose(found["visual=~x1"], (-1.39858950, 1.398589), rtol=2e-6)
    np.testing.assert_allclose(found["visual~~textual"], (-1.0, 1.0))
    np.testing.assert_allclose(found["x1~~x1"], (-0.06791849, 1.630044), rtol=2e-6)


def test_bounds_hold_where_they_are_active(school):
    fit = quietly(THREE, school.head(18), bounds="standard")
    assert fit.converged
    free = quietly(THREE, school.head(18))
    assert fit.loglik < free.loglik
    for row in fit.table.rows:
        if row.free >= 0:
            assert row.lower <= fit.estimates[row.free] <= row.upper


def test_bounds_scale_with_the_data(school):
    before = quietly(THREE, school.head(18), bounds="wide")
    scaled = school.head(18).assign(**{f"x{k}": 100 * school[f"x{k}"] for k in range(1, 10)})
    after = quietly(THREE, scaled, bounds="wide")
    assert after.loglik == pytest.approx(before.loglik - 18 * 9 * np.log(100), abs=1e-6)


def test_unknown_bounds_list_the_choices(school):
    with pytest.raises(mlsem.OptionValueError, match="wide"):
        mlsem.fit(THREE, school, bounds="wider")


# --- equalities that cannot hold, or hardly say anything -----------------------------------------


@pytest.mark.parametrize("beside", ["v > 0.01", "x1 ~~ lower(0)*x1"])
def test_contradiction_beside_an_inequality(school, beside):
    model = f"x2 ~ a*x1 + x3\n x2 ~~ v*x2\n a == 1\n a == 2\n {beside}"
    with pytest.raises(mlsem.SpecificationError, match="contradict"):
        mlsem.fit(model, school)


def test_tiny_and_huge_equalities_count(school):
    model = "x2 ~ a*x1 + b*x3\n x2 ~~ v*x2\n 1e-16*a == 0\n b*1e300 == 1e300*0.3"
    fit = mlsem.fit(model, school)
    assert fit.params["a"] == pytest.approx(0.0, abs=1e-12)
    assert fit.params["b"] == pytest.approx(0.3, abs=1e-12)


def test_violated_equality_is_not_converged(school):
    """The slope of this one is zero everywhere."""
    model = "x2 ~ start(0.2)*x1 + a*x1\n abs(a - 0.5)/(a - 0.5) == 1"
    fit = quietly(model, school, se="none")
    assert fit._estimates.optimum.status == "infeasible"
    assert fit.params["a"] < 0.5


@pytest.mark.parametrize("bounds", [None, "pos.var", "wide"])
@pytest.mark.parametrize("means", [False, True])
def test_shifted_indicator_takes_no_more_iterations(bounds, means):
    """1e8 leaves half of the digits: at the rounding floor the search ends."""
    generator = np.random.default_rng(3)
    f = generator.normal(size=300)
    columns = {f"y{k}": a * f + 0.7 * generator.normal(size=300) for k, a in enumerate((1, 0.8, 1))}
    data = pd.DataFrame(columns)
    options = {"bounds": bounds, "meanstructure": means}
    plain = mlsem.fit("f =~ y0 + y1 + y2", data, **options)
    fit = mlsem.fit("f =~ y0 + y1 + y2", data.assign(y1=data.y1 + 1e8), **options)
    assert fit.converged
    assert fit.n_iterations <= plain.n_iterations + 4
    assert fit.loglik == pytest.approx(plain.loglik, rel=1e-9)


def test_shifted_indicator_at_an_active_bound():
    """A Heywood case: the bound of a variance is active."""
    generator = np.random.default_rng(4)
    f = generator.normal(size=40)
    loadings, rest = (1, 1.3, 0.7, 0.9), (0.7, 0.05, 0.7, 0.7)
    columns = [a * f + s * generator.normal(size=40) for a, s in zip(loadings, rest, strict=True)]
    data = pd.DataFrame(dict(zip(("y0", "y1", "y2", "y3"), columns, strict=True)))
    options = {"bounds": "pos.var", "meanstructure": True}
    plain = quietly("f =~ y0 + y1 + y2 + y3", data, **options)
    fit = quietly("f =~ y0 + y1 + y2 + y3", data.assign(y1=data.y1 + 1e8), **options)
    assert plain._estimates.optimum.active
    assert fit._estimates.optimum.active == plain._estimates.optimum.active
    assert fit.n_iterations <= 2 * plain.n_iterations
    assert fit.loglik == pytest.approx(plain.loglik, abs=1e-6)
