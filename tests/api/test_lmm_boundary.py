"""Linear mixed models at and near the boundary of their random effects, against lme4."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import EstimationWarning, IdentificationError
from mlsem.estimation.profile import variance_profile
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.inference.profile.run import variance_search
from mlsem.inference.profile.search import Search

DATA = Path(__file__).parents[1] / "reference" / "data"

pytestmark = pytest.mark.filterwarnings(
    "ignore:the estimated covariance matrix:mlsem.EstimationWarning",
    "ignore::mlsem.InferenceWarning",
)

# --- searches that end ----------------------------------------------------------------------------


def no_slope_variance(order, columns, least, intercept, slope, sd):
    """12 clusters of 20 whose slopes do not vary; draws in this order."""
    rng, drawn = np.random.default_rng(14), {}
    for what in order:
        if what == "x":
            drawn[what] = rng.uniform(least, 1, 240)
        else:
            drawn[what] = (
                rng.normal(size=(12, columns))[:, 0] if what == "u" else rng.normal(size=240)
            )
    ids = np.repeat(np.arange(12), 20)
    y = intercept + slope * drawn["x"] + sd * drawn["u"][ids] + drawn["e"]
    return pd.DataFrame({"g": ids, "x": drawn["x"], "y": y})


# logLik by ML and REML of lme4 (bobyqa, rhoend = 1e-10)
ENDED = {
    ("xue", 2, 0, 0.0, 0.0, 1.0): (-347.11976011052, -348.33890987231),
    ("xue", 2, 0, 1.0, 2.0, 0.7): (-343.06612006562, -344.62567648996),
    ("xeu", 1, 0, 0.0, 0.0, 1.0): (-350.21391479133, -351.07471114739),
    ("xeu", 1, 0, 1.0, 2.0, 0.8): (-347.75868168687, -348.82389415769),
    ("uex", 1, 0, 0.0, 0.5, 0.5): (-343.56131303567, -344.65567958641),
    ("eux", 1, -1, 1.0, 0.3, 0.7): (-349.75921871143, -351.58016010128),
}


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("case", ENDED, ids=str)
def test_singular_slopes_end(case, reml):
    fit = mlsem.lmm("y ~ x + (x|g)", no_slope_variance(*case), REML=reml)
    assert fit.converged
    assert fit.singular
    assert fit.loglik == pytest.approx(ENDED[case][reml], abs=2e-9)


# the highest of 30 starts of lme4; its own default start ends up to .71 lower
TWO_MAXIMA = {
    ("first", False): -33.525070391,
    ("first", True): -34.1214296945,
    ("second", False): -32.7734802509,
    ("second", True): -33.4277548382,
}


@pytest.mark.parametrize(("name", "reml"), TWO_MAXIMA)
def test_the_higher_of_two_maxima(name, reml):
    data = pd.read_csv(DATA / "two_maxima.csv")
    fit = mlsem.lmm("y ~ x + z + (x + z | g)", data[data["data"] == name], REML=reml)
    assert fit.converged
    assert fit.loglik == pytest.approx(TWO_MAXIMA[name, reml], abs=1e-8)


def test_six_covarying_effects_of_rank_less_than_six():
    rng, ids = np.random.default_rng(0), np.repeat(np.arange(12), 12)
    f, x = np.tile(list("abc"), 48), rng.normal(size=144)
    u = rng.normal(size=(2, 12))
    y = 1 + (f == "b") * 0.5 + 0.3 * x + u[0][ids] + 0.3 * u[1][ids] * x + rng.normal(size=144)
    data = pd.DataFrame({"id": ids, "f": f, "x1": x, "y": y})
    fit = mlsem.lmm("y ~ f*x1 + (f*x1 | id)", data, REML=False)
    assert fit.converged
    assert fit.singular
    assert fit.loglik > -224.907305361 + 1e-4  # where lme4 stops
    assert fit.loglik == pytest.approx(-224.906837282, abs=1e-7)


# --- what the rows determine ----------------------------------------------------------------------


def two_rows(seed, clusters=30):
    """Times 0 and 1 of each cluster."""
    rng, ids = np.random.default_rng(seed), np.repeat(np.arange(clusters), 2)
    time = np.tile([0.0, 1.0], clusters)
    u = rng.normal(size=(2, clusters))[:, ids]
    y = 1 + 0.5 * time + u[0] + 0.5 * u[1] * time + rng.normal(size=len(ids))
    return pd.DataFrame({"g": ids, "t": time, "x": rng.normal(size=len(ids)), "y": y})


@pytest.mark.parametrize("scale", [1.0, 1e6])
@pytest.mark.parametrize("seed", range(6))
def test_more_random_effects_than_rows(seed, scale):
    """With any residual variance some covariance of intercept and slope gives the same two rows."""
    data = two_rows(seed).assign(t=lambda frame: scale * (5.0 + frame["t"]))
    model = 'level: 1\n y ~ rv("s")*t\nlevel: 2\n y ~~ s'
    for reml in (False, True):
        with pytest.raises(IdentificationError, match=r"more than 2 rows.*'Residual'"):
            mlsem.lmm("y ~ t + (t | g)", data, REML=reml)
        with pytest.raises(IdentificationError, match=r"more than 2 rows.*'y~~y'"):
            mlsem.fit(model, data, cluster="g", estimator="REML" if reml else "ML")


@pytest.mark.parametrize(
    "formula", ["y ~ t + (t || g)", "y ~ x + (x | g)", "y ~ t + (1 | g)", "y ~ x + (0 + x | g)"]
)
def test_two_rows_that_determine_the_model(formula):
    """Uncorrelated effects, or carriers that differ between clusters, leave a residual."""
    fit = mlsem.lmm(formula, two_rows(1))
    assert fit.converged
    assert fit.bse.max() < 1.0


def test_three_rows_and_a_quadratic():
    data = pd.concat([two_rows(2), two_rows(3).iloc[::2].assign(t=2.0)])
    with pytest.raises(IdentificationError, match="more than 3 rows, and each has 3 random"):
        mlsem.lmm("y ~ t + (t + I(t**2) | g)", data)
    with pytest.raises(IdentificationError, match="more than 3 rows, and each has 3 random"):
        mlsem.lmm("y ~ factor(t) + (0 + factor(t) | g)", data)
    assert mlsem.lmm("y ~ t + (t | g)", data).converged


# --- units ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("scale", [1e4, 1e-4, 1e9])
def test_units_change_nothing(scale, reml):
    data = pd.read_csv(DATA / "sleepstudy.csv")
    plain = mlsem.lmm("Reaction ~ Days + (Days | Subject)", data, REML=reml)
    other = data.assign(Days=data["Days"] * scale)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # not singular
        fit = mlsem.lmm("Reaction ~ Days + (Days | Subject)", other, REML=reml)
    assert not fit.singular
    assert fit.loglik == pytest.approx(plain.loglik - reml * np.log(scale), abs=1e-8)
    np.testing.assert_allclose(fit.bse["Days"] * scale, plain.bse["Days"], rtol=1e-8)
    assert fit.covariance.form == plain.covariance.form


@pytest.mark.parametrize("scale", [1e6, 1e-6])
def test_units_change_nothing_on_the_boundary(scale):
    data = no_slope_variance(*next(iter(ENDED)))
    plain = mlsem.lmm("y ~ x + (x|g)", data)
    fit = mlsem.lmm("y ~ x + (x|g)", data.assign(x=data["x"] * scale))
    assert plain.singular
    assert fit.singular
    assert fit.loglik == pytest.approx(plain.loglik - np.log(scale), abs=1e-8)


def test_information_on_the_boundary_is_what_was_asked_for():
    data = no_slope_variance(*next(iter(ENDED)))
    fit = mlsem.lmm("y ~ x + (x|g)", data, REML=False)
    assert fit.covariance.form == "expected"
    assert not any("information" in note for note in fit.notes)
    default = mlsem.lmm("y ~ x + (x|g)", data, REML=False, se="MLR")
    assert default.covariance.form == "expected"
    assert any("take the expected information" in note for note in default.notes)
    asked = mlsem.lmm("y ~ x + (x|g)", data, REML=False, information="observed")
    assert any('"observed" was asked for' in note for note in asked.notes)
    observed = asked.information("observed").to_numpy()
    known = np.linalg.eigvalsh(observed)[0] > 0
    assert known == bool(np.isfinite(asked.bse).all())
    if known:
        assert asked.covariance.form == "observed"
        np.testing.assert_allclose(asked.vcov(), np.linalg.inv(observed), rtol=1e-6, atol=1e-9)


# --- columns that are constant within clusters ----------------------------------------------------


def partially_nested():
    """8 groups of 5 treated, and 40 controls each alone."""
    rng = np.random.default_rng(7)
    group = np.concatenate([np.repeat(np.arange(8), 5), np.arange(8, 48)])
    treat, u = (group < 8).astype(float), rng.normal(size=48) * 0.8
    pre = rng.normal(size=80).round(2)
    y = (2 + 0.7 * treat + 0.5 * pre + treat * u[group] + rng.normal(size=80)).round(2)
    return pd.DataFrame({"grp": group, "treat": treat, "pre": pre, "y": y})


# of lme4: logLik, variance of treat, residual variance, then fixed effects and their errors
NESTED = {
    True: (
        (-112.267583675, 0.28764184, 0.85156551),
        (2.107340956, 0.314847641, 0.414589140),
        (0.14695699, 0.28071736, 0.11943903),
    ),
    False: (
        (-109.494347417, 0.23325843, 0.82828200),
        (2.107384308, 0.314807095, 0.414884551),
        (0.14493027, 0.26614251, 0.11758072),
    ),
}


@pytest.mark.parametrize("reml", [True, False])
def test_a_partially_nested_trial(reml):
    (loglik, treat, residual), effects, errors = NESTED[reml]
    data = partially_nested()
    fit = mlsem.lmm("y ~ treat + pre + (0 + treat | grp)", data, REML=reml)
    assert fit.converged
    assert fit.loglik == pytest.approx(loglik, abs=2e-9)
    assert fit.params["grp.treat"] == pytest.approx(treat, rel=1e-4)
    assert fit.params["Residual"] == pytest.approx(residual, rel=1e-5)
    names = ["(Intercept)", "treat", "pre"]
    np.testing.assert_allclose(fit.params[names], effects, rtol=1e-5)
    np.testing.assert_allclose(fit.bse[names], errors, rtol=1e-5)
    robust = fit.with_se("CR2")
    assert robust.covariance.df[robust.table.names.index("treat")] > 5
    assert (fit.random_effects()["treat"].abs() > 0).sum() == 8
    apart = mlsem.lmm("y ~ treat + pre + (0 + treat || grp)", data, REML=reml)
    assert apart.loglik == pytest.approx(fit.loglik, abs=1e-9)


@pytest.mark.parametrize(("reml", "loglik"), [(True, -836.6066184), (False, -833.7374768)])
def test_a_variance_that_depends_on_the_cluster(reml, loglik):
    """lme4's logLik of a slope of a column of clusters."""
    fit = mlsem.lmm("y ~ x1 + (w1 | id)", pd.read_csv(DATA / "article.csv"), REML=reml)
    assert fit.converged
    assert fit.singular
    assert fit.loglik == pytest.approx(loglik, abs=1e-6)


def test_a_variance_for_each_arm():
    """With dummies of both arms each has a variance of its own; their covariance has no data."""
    data = partially_nested()
    data = data.assign(grp=np.where(data["treat"] == 1.0, data["grp"], 8 + data.index % 8))
    data = data.assign(control=1.0 - data["treat"])
    text = "y ~ treat + pre + (0 + treat | grp) + (0 + control | grp)"
    fit = mlsem.lmm(text, data)
    assert fit.converged
    assert {"grp.treat", "grp.control"} <= set(fit.params.index)
    with pytest.raises(IdentificationError, match="do not determine"):
        mlsem.lmm("y ~ treat + pre + (treat | grp)", data)


# --- profiles within the bound --------------------------------------------------------------------

CARS = pd.DataFrame(
    {
        "mpg": [
            21.0, 21.0, 22.8, 21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4, 17.3, 15.2,
            10.4, 10.4, 14.7, 32.4, 30.4, 33.9, 21.5, 15.5, 15.2, 13.3, 19.2, 27.3, 26.0, 30.4,
            15.8, 19.7, 15.0, 21.4,
        ],
        "wt": [
            2.62, 2.875, 2.32, 3.215, 3.44, 3.46, 3.57, 3.19, 3.15, 3.44, 3.44, 4.07, 3.73, 3.78,
            5.25, 5.424, 5.345, 2.2, 1.615, 1.835, 2.465, 3.52, 3.435, 3.84, 3.845, 1.935, 2.14,
            1.513, 3.17, 2.77, 3.57, 2.78,
        ],
        "cyl": [int(each) for each in "66468684466888888444488884448684"],
    }
)  # fmt: skip
PROFILE = {3.5: -77.184517394, 4.5: -75.837773778, 7.0: -76.000662251, 9.0: -77.144846894}


def profile_of(fit, name, crit=1.96):
    cov, _ = covariance_of(fit._estimates.with_se("CR2"))
    place, clusters = fit.table.names.index(name), cov.reference.clusters
    profile = variance_profile(
        fit._estimates, clusters.model_covariance(np.array([place]))[:, 0], place
    )
    return profile, variance_search(fit._estimates, cov, place, crit)


def test_the_profile_of_a_residual_variance_stays_within_the_bound():
    """Against -2 log L minimised in R at the same residual variances, and lme4's interval."""
    fit = mlsem.lmm("mpg ~ wt + (1 + wt | cyl)", CARS, REML=False)
    assert fit.singular
    profile, search = profile_of(fit, "Residual")
    for value, loglik in PROFILE.items():
        point = profile.at(value, fit._estimates.optimum.point)
        assert point.loglik == pytest.approx(loglik, abs=1e-6)
        psi = point.between.sigma
        assert np.linalg.eigvalsh(psi)[0] > -1e-8 * np.trace(psi)

    def root(value, near):
        point = profile.at(value, near)
        return np.sqrt(2.0 * max(fit.loglik - point.loglik, 0.0)), point

    lme4 = Search(root, search.centre, 1.959964, search.width, 0.0)
    assert lme4.lower() == pytest.approx(3.37484, rel=3e-3)
    assert lme4.upper() == pytest.approx(9.53220, rel=3e-3)


@pytest.mark.parametrize("reml", [False, True])
def test_profile_intervals_of_boundary_fits_are_finite(reml):
    fit = mlsem.lmm("mpg ~ wt + (1 + wt | cyl)", CARS, REML=reml)
    found = fit.conf_int(ci="profile", parameters="Residual")
    lower, upper = found.loc["Residual"]
    assert 1.0 < lower < fit.params["Residual"] < upper < 60.0


def far(distance):
    """A carrier whose mean is so many standard deviations from zero."""
    rng = np.random.default_rng(3)
    ids, x = np.repeat(np.arange(10), 8), rng.normal(size=80)
    u = rng.normal(size=(2, 10))[:, ids]
    y = x * (0.5 + 0.6 * u[0]) + u[1] + rng.normal(size=80)
    x = (x - x.mean()) / x.std()
    return pd.DataFrame({"g": ids, "x1": x + distance, "y": y})


@pytest.mark.parametrize("estimator", ["ML", "REML"])
def test_a_carrier_far_from_zero_does_not_move_profile_intervals(estimator):
    """The variance of the intercept at zero is the user's, whatever the optimiser takes."""
    model = 'level: 1\n y ~ rv("s")*x1\nlevel: 2\n y ~~ s'
    fits = [mlsem.fit(model, far(d), cluster="g", estimator=estimator) for d in (9.9, 10.1)]
    assert [fit._estimates.problem.coordinates.same for fit in fits] == [True, False]
    near, beyond = (fit.conf_int(ci="profile") for fit in fits)
    name, both = "y~~y.l2", zip((near, beyond), fits, strict=True)
    ratios = [(ci.loc[name] / fit.params[name]).to_numpy() for ci, fit in both]
    np.testing.assert_allclose(ratios[1], ratios[0], rtol=0.01)
    for other in ("y~~y", "s~~s.l2"):
        np.testing.assert_allclose(beyond.loc[other], near.loc[other], rtol=0.005)


def test_the_profile_of_a_far_intercept_has_its_variance():
    """Both coordinates have the same profile, at the same variance of the user's intercept."""
    fit = mlsem.lmm("y ~ x1 + (x1 | g)", far(12.0), REML=False)
    profile, _ = profile_of(fit, "g.(Intercept)")
    value = 0.6 * fit.params["g.(Intercept)"]
    point = profile.at(value, fit._estimates.optimum.point)
    user = fit._estimates.problem.coordinates.to_user(point.params)
    assert user[fit.table.names.index("g.(Intercept)")] == pytest.approx(value, rel=1e-6)
    plain = fit._estimates.problem.objective.evaluate(user)
    assert plain.loglik == pytest.approx(point.loglik, abs=1e-6)
    gradient = fit._estimates.problem.objective.derivatives(plain, np.eye(len(user))).gradient
    free = np.delete(np.arange(len(user)), fit.table.names.index("g.(Intercept)"))
    information = fit._estimates.problem.objective.expected(
        plain, fit._estimates.problem.objective.derivatives(plain, np.eye(len(user))[:, free])
    )
    assert gradient[free] @ np.linalg.solve(information, gradient[free]) < 1e-4


def test_profiles_of_pinned_variances_on_the_boundary():
    """A variance is held where the others are singular: no other point with it is higher."""
    fit = mlsem.lmm("mpg ~ wt + (1 + wt | cyl)", CARS, REML=False)
    profile, _ = profile_of(fit, "cyl.(Intercept)")
    names = fit.table.names
    block = [names.index(f"cyl.{name}") for name in ("(Intercept)", "wt.(Intercept)", "wt")]
    for value in (10.0, 37.0, 90.0):
        point = profile.at(value, fit._estimates.optimum.point)
        assert point.params[block[0]] == pytest.approx(value, rel=1e-9)
        rng = np.random.default_rng(0)
        for _ in range(50):
            params = point.params * (1.0 + 0.02 * rng.normal(size=len(names)))
            slope = params[block[2]]
            bound = np.sqrt(value * abs(slope))
            params[block] = value, np.clip(params[block[1]], -bound, bound), abs(slope)
            other = fit._estimates.problem.inner.evaluate(params)
            assert other is None or other.loglik <= point.loglik + 1e-7


def test_a_negative_variance_is_the_users():
    """Where the covariate's mean is far the optimiser's intercept is another one."""
    rng, ids = np.random.default_rng(2), np.repeat(np.arange(20), 4)
    x = rng.normal(size=80)
    slopes = 0.5 * rng.normal(size=20)[ids]
    y = 0.5 * x + slopes * x + rng.normal(size=80)
    data = pd.DataFrame({"g": ids, "x": x - x.mean(), "y": y})
    model = 'level: 1\n y ~ rv("s")*x\nlevel: 2\n y ~~ s'
    with pytest.warns(EstimationWarning, match=r"y~~y\.l2 = -0\.0675"):
        mlsem.fit(model, data, cluster="g", se="none")
    for distance in (9.0, 11.0):
        moved = data.assign(x=data["x"] + distance * data["x"].std(ddof=0))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fit = mlsem.fit(model, moved, cluster="g", se="none")
        assert fit.params["y~~y.l2"] > 10


def test_after_reml_the_profile_is_highest_at_the_estimate():
    """ℓ_R is what was maximised: by ML and by REML the same interval, but for V_r and V_m."""
    rng, ids = np.random.default_rng(3), np.repeat(np.arange(10), 8)
    frame = {name: rng.normal(size=10)[ids] for name in ("w1", "w2", "w3")}
    y = rng.normal(size=10)[ids] + rng.normal(size=80)
    data = pd.DataFrame({"g": ids, "y": y} | frame)
    fit = mlsem.lmm("y ~ w1 + w2 + w3 + (1 | g)", data)
    profile, search = profile_of(fit, "g.(Intercept)")
    assert search.centre.value == pytest.approx(fit.params["g.(Intercept)"])
    estimate = fit.params["g.(Intercept)"]
    assert search.profile(estimate, fit._estimates.optimum.point)[0] == pytest.approx(0.0, abs=1e-4)
    points = [profile.at(estimate * by, fit._estimates.optimum.point) for by in (0.9, 1.0, 1.1)]
    below, highest, above = (profile.reml(point) for point in points)
    assert highest > max(below, above)
