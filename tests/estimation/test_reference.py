"""Against lavaan: rows are matched by (lhs, op, rhs, level), covariances without direction.

`lavaan.json` is what lavaan 0.7-2 says by itself; its optimiser stops early, so that its estimates
are off by up to sqrt(2 Δℓ) standard errors, Δℓ what the log-likelihood still lacks.
`lavaan_tight.json` are fits of lavaan 0.6-14 that were led to the very optimum (README.md there),
`lavaan_parts.json` those with covariates that have a part at both levels.
"""

import warnings

import numpy as np
import pytest
from reference import frame, load, matched

import mlsem
from mlsem.core.linalg import null_space

PLAIN, TIGHT = load("lavaan.json"), load("lavaan_tight.json") | load("lavaan_parts.json")
CASES = {f"0.7: {name}": case for name, case in PLAIN.items()} | TIGHT
ACTIVE = ("inequality_ml", "positive_variances_ml")  # lavaan's optimum there is not polished
OTHER_MAXIMUM = "demo_two_factor_other_maximum_mlr"

# Where lavaan's standard errors mean something else, and ours have a test of their own:
OTHER_ERRORS = {
    # robust ones of intercepts of variables that are within only (and of their covariates' slopes,
    # where these have a mean): lavaan's cluster scores are not the derivatives of its likelihood
    "within_only_endogenous_mlr": ("x1~1",),
    # lavaan does not condition on the covariates there
    "expected_information_ml": ("y~x1", "y~int", "y~w1.l2", "y~1.l2"),
}


def compared(case):
    return case.name not in (*ACTIVE, OTHER_MAXIMUM, "nonlinear_constraint_ml")


def cases(*, polished=False, leave_out=()):
    found = TIGHT if polished else CASES
    kept = {n: c for n, c in found.items() if compared(c) and c.name not in leave_out}
    return pytest.mark.parametrize("case", kept.values(), ids=kept.keys())


every_case = pytest.mark.parametrize(
    "case", [c for c in CASES.values() if c.name != OTHER_MAXIMUM], ids=lambda case: case.name
)


def stopped_early(case):
    """Standard errors that lavaan can be away from the optimum."""
    lacking = max(case.fit().loglik - case.measures["logl"], 0.0)
    return np.sqrt(2.0 * lacking)


def shift_of_errors(case):
    """What stopping early does to lavaan's standard errors (relative): seen, below a quarter of
    the distance."""
    if case.remaining is not None:
        return 1e-6
    return max(1e-4, 0.25 * stopped_early(case))


@every_case
def test_same_rows_in_the_same_order(case):
    ours = case.fit().parameter_estimates()
    theirs = case.estimates
    columns = ["lhs", "op", "rhs", "level"]
    kept = [table.loc[table["op"] != ":=", columns].values.tolist() for table in (ours, theirs)]
    assert kept[0] == kept[1]
    defined = [table.loc[table["op"] == ":=", "lhs"].tolist() for table in (ours, theirs)]
    assert defined[0] == defined[1]
    if "label" in theirs:
        labels = theirs["label"].replace({np.nan: ""}).tolist()
        assert ours["label"].tolist() == labels


@every_case
def test_names_of_coefficients(case):
    assert case.fit().params.index.tolist() == case.names


@every_case
def test_loglik_at_their_estimates(case):
    """The same function: no constant, no part of it is missing."""
    point = case.fit()._estimates.problem.objective.evaluate(case.params)
    assert point.loglik == pytest.approx(case.measures["logl"], abs=1e-8)


@every_case
def test_never_less_likely_than_theirs(case):
    assert case.fit().loglik >= case.measures["logl"] - 1e-6


@cases()
def test_estimates(case):
    ours, theirs = matched(case)
    free = theirs["se"] > 0
    away = (ours["est"] - theirs["est"])[free].abs() / theirs["se"][free]
    limit = 1e-6 if case.remaining is not None else max(1e-4, 2.0 * stopped_early(case))
    assert away.max() < limit
    fixed = ~free & ours["est"].notna()
    exact = 1e-8 if case.fit().table.has_parts else 1e-12  # moments of the saturated model
    np.testing.assert_allclose(ours["est"][fixed], theirs["est"][fixed], rtol=0, atol=exact)
    np.testing.assert_array_equal(ours["se"][~free], 0.0)
    random = theirs[~free & ours["est"].isna()]  # lavaan prints 0 for a path that varies
    assert len(random) == case.record["model"].count("rv(")
    assert (random["est"] == 0.0).all()


@cases(polished=True)
def test_remaining_step_explains_the_difference(case):
    ours, theirs = matched(case)
    free = theirs["se"] > 0
    away = (ours["est"] - theirs["est"])[free].abs() / theirs["se"][free]
    assert case.remaining < 1e-6
    assert away.max() < 2 * case.remaining + 1e-8


@cases()
def test_standard_errors(case):
    ours, theirs = matched(case)
    ours = ours[theirs["se"] > 0]
    theirs = theirs[theirs["se"] > 0]
    limit = shift_of_errors(case)
    if case.name == "demo_missing_listwise_mlr":
        limit = 1e-3  # deletion has moved the covariates' means off zero
    left_out = OTHER_ERRORS.get(case.name, ())
    names = {name for name in ours.index if any(_is(name, coef) for coef in left_out)}
    assert len(names) == len(left_out)
    kept = [name not in names for name in ours.index]
    np.testing.assert_allclose(ours["se"][kept], theirs["se"][kept], rtol=limit)


def _is(key, coef):
    lhs, op, rhs, level = key
    suffix = ".l2" if level == 2 else ""
    return coef == (f"{lhs}~1{suffix}" if op == "~1" else f"{lhs}{op}{rhs}{suffix}")


@cases(leave_out=OTHER_ERRORS)
def test_covariance_of_the_estimates(case):
    """In units of the standard errors."""
    ours, theirs = case.fit().vcov().to_numpy(), case.vcov
    se = np.sqrt(np.diag(theirs))
    limit = 5e-3 if case.name == "demo_missing_listwise_mlr" else 3 * shift_of_errors(case)
    np.testing.assert_allclose(ours / np.outer(se, se), theirs / np.outer(se, se), atol=limit)


@cases(polished=True)
def test_wald_columns(case):
    ours, theirs = matched(case)
    free = theirs["se"] > 0
    if case.name in (*OTHER_ERRORS, "demo_missing_listwise_mlr"):
        free &= (ours["se"] / theirs["se"] - 1).abs() < 1e-6
    ours, theirs = ours[free], theirs[free]
    assert len(ours)
    np.testing.assert_allclose(ours["stat"], theirs["z"], rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(ours["pvalue"], theirs["pvalue"], rtol=1e-4, atol=1e-14)
    width = theirs["se"].to_numpy()
    for name in ("lower", "upper"):
        away = (ours[f"ci_{name}"] - theirs[f"ci.{name}"]).to_numpy() / width
        assert np.abs(away).max() < 1e-5
    assert np.isinf(ours["df"]).all()


@cases(polished=True)
def test_fixed_rows_have_no_inference(case):
    ours, theirs = matched(case)
    fixed = ours[theirs["se"] == 0]
    assert fixed[["stat", "pvalue", "df"]].isna().all(axis=None)


@every_case
def test_measures(case):
    fit, theirs = case.fit(), case.measures
    limit = max(1e-8, 1.01 * abs(fit.loglik - theirs["logl"]))
    assert (fit.n_params, fit.n_obs) == (theirs["npar"], theirs["ntotal"])
    assert fit.loglik == pytest.approx(theirs["logl"], abs=limit)
    assert fit.aic == pytest.approx(theirs["aic"], abs=2 * limit)
    assert fit.bic == pytest.approx(theirs["bic"], abs=2 * limit)
    if case.record.get("cluster") and "missing" not in (case.record["options"] or {}):
        data = frame(case.record["data"]).dropna(subset=list(fit.table.observed))
        assert fit.n_clusters == data[case.record["cluster"]].nunique()


WITH_IMPLIED = {name: case for name, case in TIGHT.items() if case.record.get("implied")}


@pytest.mark.parametrize("case", WITH_IMPLIED.values(), ids=WITH_IMPLIED.keys())
def test_implied_moments(case):
    implied = case.record["implied"]
    levels = implied.values() if isinstance(implied, dict) else implied
    for number, theirs in enumerate(levels, start=1):
        ours = case.fit().implied(number)
        names = theirs["names"]
        assert sorted(ours.cov.index) == sorted(names)
        np.testing.assert_allclose(ours.cov.loc[names, names], theirs["cov"], atol=1e-6)
        if theirs["mean"]:
            np.testing.assert_allclose(ours.mean[names], theirs["mean"], atol=1e-6)


# --- the cases that need words --------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIVE)
def test_active_bounds(name):
    """Estimates only; without polish, within what the log-likelihood still lacks."""
    case = TIGHT[name]
    ours, theirs = matched(case)
    free = theirs["se"] > 1e-12
    away = (ours["est"] - theirs["est"])[free].abs() / theirs["se"][free]
    assert away.max() < max(1e-4, 2.0 * stopped_early(case))
    np.testing.assert_allclose(ours["est"][~free], theirs["est"][~free], rtol=0, atol=1e-7)


def test_active_bound_of_the_newer_lavaan():
    ours, theirs = matched(PLAIN["inequality_ml"])
    np.testing.assert_allclose(ours["est"], theirs["est"], rtol=0, atol=1e-6)


def test_nonlinear_constraint():
    """lavaan's optimiser leaves the constraint broken by a little, and gains λ · that much;
    its standard errors leave out the constraint's curvature."""
    case = TIGHT["nonlinear_constraint_ml"]
    fit = case.fit()
    values = dict(zip(case.names, case.params, strict=True))
    broken = values["a"] - values["b"] ** 2
    point, params = fit._estimates.optimum.point, fit.params
    at = fit._estimates.problem.objective.derivatives(point, np.eye(len(params)))
    slope = np.zeros(len(params))
    slope[params.index.get_loc("a")], slope[params.index.get_loc("b")] = 1.0, -2.0 * params["b"]
    multiplier = at.gradient @ slope / (slope @ slope)
    assert 0 < case.measures["logl"] - fit.loglik < multiplier * broken
    assert abs(params["a"] - params["b"] ** 2) < 1e-12
    ours, theirs = matched(case)
    free = theirs["se"] > 0
    assert ((ours["est"] - theirs["est"]).abs()[free] / theirs["se"][free]).max() < 1e-3

    free = null_space(slope[None])
    bread = np.linalg.inv(free.T @ fit._estimates.problem.objective.observed(point, at) @ free)
    without_curvature = np.sqrt(np.diag(free @ bread @ free.T))
    np.testing.assert_allclose(without_curvature, np.sqrt(np.diag(case.vcov)), rtol=1e-4)


def test_two_maxima():
    """One factor for what are two: each of lavaan's versions finds another maximum, and each is
    one of ours, reached from near it."""
    lower, higher = TIGHT["demo_two_factor_mlr"], TIGHT[OTHER_MAXIMUM]
    for case in (lower, higher):
        record = case.record
        fit = mlsem.sem(
            record["model"],
            frame(record["data"]),
            record["cluster"],
            estimator="MLR",
            start=dict(zip(case.names, case.params * 1.001, strict=True)),
        )
        assert fit.converged
        assert fit.loglik == pytest.approx(case.measures["logl"], abs=1e-7)
        se = np.sqrt(np.diag(case.vcov))
        assert np.abs((fit.params - case.params) / se).max() < 1e-4
        np.testing.assert_allclose(fit.bse, se, rtol=1e-3)


# --- a model is the same whatever its standard errors ---------------------------------------------

HOLZINGER = PLAIN["hs_single_level_ml"]


@pytest.mark.parametrize("se", ["standard", "MLR", "CR0", "CR1S", "CR2", "CR3", "none"])
def test_parameters_do_not_depend_on_the_kind_of_errors(se):
    """lavaan adds nine intercepts for robust errors; here they are there when they are asked for,
    and the errors of the others are the same with them."""
    data = frame("hs1939.csv")
    cluster = None if se == "standard" else "school"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlsem.InferenceWarning)
        fit = mlsem.cfa(HOLZINGER.record["model"], data, cluster, se=se)
        means = mlsem.cfa(HOLZINGER.record["model"], data, cluster, se=se, meanstructure=True)
    assert (fit.n_params, round(fit.aic, 3), means.n_params) == (21, 7517.490, 30)
    assert fit.bic == pytest.approx(HOLZINGER.measures["bic"], abs=1e-4)
    assert "~1" not in set(fit.parameter_estimates()["op"])
    names = fit.params.index
    np.testing.assert_allclose(fit.bse, means.bse[names], rtol=1e-9)
    both = (each.parameter_estimates().set_index(["lhs", "op", "rhs"]) for each in (fit, means))
    ours, theirs = both
    np.testing.assert_allclose(ours["df"], theirs.loc[ours.index, "df"], rtol=1e-9)
