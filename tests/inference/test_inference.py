"""Covariances of the estimates, constraints, starting values, and the record of a fit."""

import copy
import pickle

import numpy as np
import pytest
from differences import hessian, jacobian
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import KINDS, UNBALANCED, draw_params, make_data

import mlsem

MODEL = """
level: 1
  fw =~ y1 + b*y2 + a*y3
  fw ~ p*x1 + q*x2
level: 2
  fb =~ y1 + y2 + y3
  fb ~ w1
"""
INDIRECT = """
level: 1
  y2 ~ a*y1
  y3 ~ b*y2 + c*y1
level: 2
  y2 ~ y1 + w1
  y3 ~ y2
ind := a*b
share := ind/(ind + c)
odd := exp(-a)*sqrt(abs(b)) - log(2 + c^2)/3
"""


@pytest.fixture(scope="module")
def data():
    sizes = np.random.default_rng(1).integers(1, 12, size=50)
    return make_data(21, tuple(sizes))


def fit(model, data, **options):
    return mlsem.fit(model, data, cluster="id", **options)


def constrained(*constraints):
    return MODEL + "\n".join(constraints)


def assert_same(found, wanted, tol=1e-6, but=()):
    names = [name for name in wanted.params.index if name not in but]
    assert ((found.params - wanted.params)[names].abs() / wanted.bse[names]).max() < tol
    np.testing.assert_allclose(found.bse[names], wanted.bse[names], rtol=tol)


# --- covariances ----------------------------------------------------------------------------------


def test_scores_sum_to_zero_at_the_optimum(data):
    found = fit(MODEL, data)
    total = found.scores().sum()
    assert (total.abs() * found.bse).max() < 1e-7
    assert found.scores().shape == (found.n_clusters, len(found.params))
    assert set(found.scores().index) == set(data["id"])


def test_first_order_information(data):
    found = fit(MODEL, data)
    scores = found.scores().to_numpy()
    np.testing.assert_allclose(found.information("first_order"), scores.T @ scores, rtol=1e-12)


@pytest.mark.parametrize("information", ["observed", "expected"])
def test_sandwich(data, information):
    found = fit(MODEL, data, estimator="MLR", information=information)
    bread = np.linalg.inv(found.information(information))
    scores = found.scores().to_numpy()
    wanted = bread @ scores.T @ scores @ bread
    se = np.sqrt(np.diag(wanted))
    np.testing.assert_allclose(
        found.vcov() / np.outer(se, se), wanted / np.outer(se, se), atol=1e-9
    )
    assert found.vcov().index.tolist() == found.params.index.tolist()
    standard = found.with_se("standard").vcov()
    np.testing.assert_allclose(standard / np.outer(se, se), bread / np.outer(se, se), atol=1e-9)


def test_sandwich_of_clusters_in_a_single_level_model(data):
    found = mlsem.fit("y1 ~ x1 + w1\n y2 ~ y1", data, cluster="id")
    bread = np.linalg.inv(found.information("observed"))
    scores = found.scores().to_numpy()
    clusters = data["id"].nunique()
    wanted = clusters / (clusters - 1) * bread @ scores.T @ scores @ bread
    np.testing.assert_allclose(found.vcov(), wanted, rtol=1e-7, atol=1e-12)
    rows = mlsem.fit("y1 ~ x1 + w1\n y2 ~ y1", data, estimator="MLR")
    summed = rows.scores().groupby(data["id"].to_numpy()).sum().sort_index()
    np.testing.assert_allclose(found.scores().sort_index(), summed, atol=1e-6)


def test_with_se(data):
    """Nothing is fitted again, and it does not matter how the fit was called."""
    robust, plain = fit(MODEL, data, estimator="MLR"), fit(MODEL, data)
    np.testing.assert_array_equal(robust.params, plain.params)
    np.testing.assert_allclose(robust.with_se("standard").vcov(), plain.vcov(), rtol=1e-12)
    np.testing.assert_allclose(plain.with_se("MLR").vcov(), robust.vcov(), rtol=1e-12)
    assert plain.with_se("none").bse.isna().all()
    assert plain.se_kind == "standard"


def test_delta_method(data):
    found = fit(INDIRECT, data, estimator="MLR")
    names = found.params.index.get_indexer(["a", "b", "c"])

    def defined(values):
        a, b, c = values
        ind = a * b
        odd = np.exp(-a) * np.sqrt(abs(b)) - np.log(2 + c**2) / 3
        return np.array([ind, ind / (ind + c), odd])

    here = found.params.to_numpy()[names]
    slopes = jacobian(defined, here)
    wanted = np.sqrt(np.diag(slopes @ found.vcov().to_numpy()[np.ix_(names, names)] @ slopes.T))
    table = found.parameter_estimates().query("op == ':='")
    np.testing.assert_allclose(table["est"], defined(here), rtol=1e-12)
    np.testing.assert_allclose(table["se"], wanted, rtol=1e-8)


def test_intervals_and_tests_are_those_of_the_normal(data):
    found = fit(MODEL, data)
    low, high = (found.conf_int(0.9)[side] for side in ("lower", "upper"))
    np.testing.assert_allclose((high - low) / 2, 1.6448536269514722 * found.bse, rtol=1e-12)
    np.testing.assert_allclose((high + low) / 2, found.params, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.tvalues, found.params / found.bse, rtol=1e-12)


# --- constraints ----------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["ML", "MLR"])
def test_shared_label_or_equality(data, estimator):
    shared = fit(MODEL.replace("q*x2", "p*x2"), data, estimator=estimator)
    equal = fit(constrained("p == q"), data, estimator=estimator)
    nonlinear = fit(constrained("exp(p) == exp(q)"), data, estimator=estimator)
    for other in (equal, nonlinear):
        assert other.loglik == pytest.approx(shared.loglik, abs=1e-8)
        assert other.params["q"] == pytest.approx(other.params["p"], abs=1e-10)
        assert_same(other, shared)
        assert other.bse["q"] == pytest.approx(other.bse["p"], rel=1e-8)
        assert other.n_params == shared.n_params
        assert other.aic == pytest.approx(shared.aic, abs=1e-7)


@pytest.mark.parametrize("estimator", ["ML", "MLR"])
def test_linear_constraints(data, estimator):
    """Through the nonlinear road as well; twice the same is once."""
    plain = fit(constrained("p == 2*q - 0.1"), data, estimator=estimator)
    again = fit(constrained("p == 2*q - 0.1", "2*p + 0.2 == 4*q"), data, estimator=estimator)
    bent = fit(constrained("(p - 2*q + 0.1)*exp(a) == 0"), data, estimator=estimator)
    assert plain.params["p"] == pytest.approx(2 * plain.params["q"] - 0.1, abs=1e-12)
    for other in (again, bent):
        assert other.loglik == pytest.approx(plain.loglik, abs=1e-8)
        assert_same(other, plain)
        assert other.n_params == plain.n_params


def test_nonlinear_constraint_is_a_reparameterised_model(data):
    """ℓ(…, b, b²): its gradient is zero there, its curvature gives the standard errors."""
    found = fit(constrained("a == b^2"), data)
    names = found.params.index
    b, a = names.get_loc("b"), names.get_loc("a")
    free = [k for k in range(len(names)) if k != a]

    def full(values):
        params = np.empty(len(names))
        params[free] = values
        params[a] = params[b] ** 2
        return params

    objective = found._estimates.problem.objective
    here = found.params.to_numpy()[free]
    assert found.params["a"] == pytest.approx(found.params["b"] ** 2, abs=1e-10)
    slopes = jacobian(lambda values: objective.evaluate(full(values)).loglik, here)
    assert np.abs(slopes * found.bse.to_numpy()[free]).max() < 1e-6
    information = -hessian(lambda values: objective.evaluate(full(values)).loglik, here)
    wanted = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(found.bse.to_numpy()[free], wanted, rtol=1e-5)
    assert found.bse["a"] == pytest.approx(2 * found.params["b"] * found.bse["b"], rel=1e-8)


@pytest.mark.parametrize("text", ["p < 5", "p > -5", "a > 0.1*b", "a*b < 100", "exp(a) > 0.01"])
def test_inactive_inequality(data, text):
    plain, bounded = fit(MODEL, data), fit(constrained(text), data)
    assert_same(bounded, plain)
    assert bounded.loglik == pytest.approx(plain.loglik, abs=1e-8)
    assert not bounded._estimates.optimum.active
    assert bounded.n_params == plain.n_params


@pytest.mark.parametrize("how", ["p < -0.3", "p + 0.3 < 0", "exp(p) < exp(-0.3)", "upper"])
def test_active_bound_is_a_fixed_parameter(data, how):
    """Of the parameters that are left, estimates and standard errors."""
    fixed = fit(MODEL.replace("p*x1", "-0.3*x1"), data)
    model = MODEL.replace("p*x1", "upper(-0.3)*p*x1") if how == "upper" else constrained(how)
    bounded = fit(model, data)
    assert fit(MODEL, data).params["p"] > -0.3
    assert bounded.params["p"] == pytest.approx(-0.3, abs=1e-8)
    assert bounded.loglik == pytest.approx(fixed.loglik, abs=1e-7)
    assert_same(bounded, fixed, but=())
    assert bounded.bse["p"] < 1e-6
    assert any("active" in note for note in bounded.notes)


def test_positive_variances():
    """y4 has next to no between variance; its estimate is negative unless it is bounded."""
    rng = np.random.default_rng(5)
    data = make_data(5, (3,) * 40)
    data["flat"] = rng.normal(size=len(data))
    data["flat"] -= 0.8 * data.groupby("id")["flat"].transform("mean")
    model = "level: 1\n flat ~ x1\nlevel: 2\n flat ~ w1"
    with pytest.warns(mlsem.EstimationWarning, match=r"negative variance.*flat~~flat\.l2"):
        free = fit(model, data)
    bounded = fit(model, data, bounds="pos.var")
    zero = fit(model + "\n flat ~~ 0*flat", data)
    assert free.params["flat~~flat.l2"] < 0
    assert bounded.params["flat~~flat.l2"] == pytest.approx(0, abs=1e-12)
    assert bounded.loglik == pytest.approx(zero.loglik, abs=1e-8)
    assert_same(bounded, zero)
    assert free.loglik > bounded.loglik


# --- starting values ------------------------------------------------------------------------------

EASY = ["observed", "several observed", "saturated", "latent at both levels", "2-1-1", "products"]

negative_allowed = pytest.mark.filterwarnings("ignore:negative variance")


@negative_allowed
@settings(derandomize=True, deadline=None, max_examples=25)
@given(name=st.sampled_from(EASY), seed=st.integers(0, 10_000))
def test_never_ends_below_its_start(name, seed):
    data = make_data(4, UNBALANCED * 3)
    kind = KINDS[name]
    table = mlsem.check(kind.text, data)
    start = draw_params(table, np.random.default_rng(seed))
    try:
        with np.errstate(all="raise"):
            found = fit(kind.text, data, start=start)
    except mlsem.EstimationError as error:
        assert "outside the parameter space" in str(error)  # noqa: PT017
        return
    begin = found._estimates.problem.objective.evaluate(start)
    assert found.loglik >= begin.loglik
    assert found.converged


@negative_allowed
@pytest.mark.parametrize("name", EASY)
def test_same_optimum_from_other_starts(name):
    data = make_data(4, UNBALANCED * 3)
    plain = fit(KINDS[name].text, data)
    start = plain.params + 0.3 * plain.bse * np.random.default_rng(1).normal(size=len(plain.params))
    again = fit(KINDS[name].text, data, start=start)
    assert again.loglik == pytest.approx(plain.loglik, abs=1e-9)
    assert_same(again, plain)


@pytest.mark.parametrize("model", [MODEL, INDIRECT, constrained("p == q")])
def test_start_from_another_fit(data, model):
    found = fit(model, data)
    for start in (found, found.params, found.params.to_dict(), found.params.to_numpy()):
        again = fit(model, data, start=start)
        assert again.n_iterations <= 2
        assert_same(again, found, 1e-7)


def test_start_from_another_fit_under_nonlinear_constraints(data):
    found = fit(constrained("a == b^2"), data)
    again = fit(constrained("a == b^2"), data, start=found)
    assert again.n_iterations <= 3
    assert_same(again, found)


# --- a fit as an object ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "renew",
    [
        pytest.param(lambda x: pickle.loads(pickle.dumps(x)), id="pickle"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
    ],
)
@pytest.mark.parametrize("model", [MODEL, constrained("a == b^2"), INDIRECT])
def test_pickles_and_copies(data, model, renew):
    found = fit(model, data, estimator="MLR")
    other = renew(found)
    np.testing.assert_array_equal(other.params, found.params)
    np.testing.assert_array_equal(other.vcov(), found.vcov())
    np.testing.assert_array_equal(other.scores(), found.scores())
    np.testing.assert_array_equal(other.with_se("standard").bse, found.with_se("standard").bse)
    assert str(other.summary()) == str(found.summary())


def test_nothing_in_a_fit_can_be_changed(data):
    found = fit(MODEL, data)
    before = found.params.copy()
    for frame in (found.vcov(), found.parameter_estimates(), found.scores()):
        frame.iloc[0, -1] = 99.0
    params = found.params
    params.iloc[0] = 99.0
    np.testing.assert_array_equal(found.params, before)
    assert found.vcov().iloc[0, -1] != 99.0
    with pytest.raises(AttributeError):
        found._estimates.optimum = None
