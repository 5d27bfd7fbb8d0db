"""Profile-likelihood intervals of variances, and the third cumulants that they take."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from dense import information
from kinds import KINDS, UNBALANCED, make_data, pose, single
from scipy import integrate, stats

import mlsem
from mlsem.core.clusters.cumulants import third_cumulants
from mlsem.core.intercepts.clusters import cluster_derivatives, cluster_information
from mlsem.inference.covariance.of_estimates import covariance_of
from mlsem.inference.profile.run import variance_places, variance_search
from mlsem.inference.profile.search import Place, Search, critical_value, relative_variances

pytestmark = pytest.mark.filterwarnings(
    "ignore::mlsem.InferenceWarning", "ignore::mlsem.EstimationWarning"
)
RANDOM = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"
FACTOR = KINDS["latent at both levels"].text


@pytest.fixture(scope="module")
def data():
    sizes = np.random.default_rng(1).integers(2, 9, size=24)
    return make_data(21, tuple(sizes)).assign(district=lambda frame: frame["id"] % 9)


@pytest.fixture(scope="module")
def fit(data):
    return mlsem.fit(RANDOM, data, cluster="id", se="CR2")


def limits(found, **options):
    return found.conf_int(ci="profile", **options)


def search_of(found, name, level=0.95):
    """The search for the limits of a variance."""
    cov, _ = covariance_of(found._estimates.with_se("CR2"))
    place, clusters = found.table.names.index(name), cov.reference.clusters
    (r,) = relative_variances(clusters, clusters.influence[[place]])
    return variance_search(found._estimates, cov, place, critical_value(r, level))


# --- third cumulants ------------------------------------------------------------------------------


def third_cumulant(cov, means, covs, direction):
    """κ₃(aᵀs, aᵀs, s) of one cluster: tr A_aA_aA_b + 2 m_aᵀA_a m_b + m_aᵀA_b m_a, A = V⁻¹V_a."""
    inverse = np.linalg.inv(cov)
    mean, side = direction @ means, inverse @ np.tensordot(direction, covs, 1)
    found = np.trace(side @ side @ (inverse @ covs), axis1=1, axis2=2)
    found += 2.0 * means @ inverse @ np.tensordot(direction, covs, 1) @ inverse @ mean
    return found + np.einsum("i,bij,j->b", inverse @ mean, covs, inverse @ mean)


def third_of(posed, params, directions):
    """Ours, clusters in the order of their ids."""
    problem = posed.fit._estimates.problem
    point, at = posed.derivatives(params)
    parts = problem.clusters.parts(point, at.along)
    return third_cumulants(parts.white(np.argsort(problem.moments.labels)), directions)


@pytest.mark.parametrize(
    "name",
    [
        "observed",
        "several observed",
        "latent at both levels",
        "level-2 outcome",
        "1-1-1",
        "labels across levels",
        "products",
        "single level with means",
        "single level clusters",
    ],
)
def test_third_cumulants(name):
    """Of two random directions of each cluster, against V and its derivatives."""
    posed = pose(KINDS[name], make_data(5, UNBALANCED))
    params = posed.fit.estimates
    dense = posed.dense.derivatives(params)
    scale = np.sqrt(np.diag(sum(information(*each) for each in dense)))
    rng = np.random.default_rng(3)
    directions = rng.normal(size=(len(dense), 2, len(params))) / scale
    wanted = np.array(
        [
            [third_cumulant(*each, along) for along in pair]
            for each, pair in zip(dense, directions, strict=True)
        ]
    )
    found = third_of(posed, params, directions)
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=1e-8, atol=1e-9)


def test_third_cumulants_are_minus_the_slopes_of_the_information():
    """Where mean and covariance are linear in parameters of their own, κ₃(a, a, b) = -∂B_aa/∂b for
    directions a of the one or the other kind, and b of covariances."""
    posed = pose(KINDS["several observed"], make_data(5, UNBALANCED))
    problem, params = posed.fit._estimates.problem, posed.fit.estimates
    is_cov = np.array(["~~" in name for name in posed.fit.table.names])
    order = np.argsort(problem.moments.labels)

    def informations(at):
        point, here = posed.derivatives(at)
        derivatives = cluster_derivatives(
            point, problem.moments, problem.shape_of, problem.sizes, here.along
        )
        return cluster_information(derivatives, order)

    random = np.random.default_rng(2).normal(size=(2, len(params)))
    directions = random * np.array([is_cov, ~is_cov])
    found = third_of(posed, params, np.broadcast_to(directions, (len(order), *random.shape)))
    for b in np.flatnonzero(is_cov):
        step = 1e-5 * np.eye(len(params))[b]
        slope = (informations(params + step) - informations(params - step)) / 2e-5
        along = np.einsum("ca,jab,cb->jc", directions, slope, directions)
        np.testing.assert_allclose(found[:, :, b], -along, rtol=1e-6, atol=1e-6)


def test_third_cumulants_of_unions_are_sums(data):
    found = mlsem.fit(RANDOM, data, cluster="id", se="CR2", se_cluster="district")
    alone = mlsem.fit(RANDOM, data, cluster="id", se="CR2")
    clusters = found.covariance.reference.clusters
    n = clusters.basis.shape[1]
    a = np.broadcast_to(np.random.default_rng(4).normal(size=(1, 2, n)), (9, 2, n))
    whole = clusters.working.terms[0].third(np.arange(9), a)
    (each,) = alone.covariance.reference.clusters.working.terms
    parts = each.third(each.kind, np.broadcast_to(a[:1], (24, 2, n)))
    codes = found._estimates.problem.robust.codes
    wanted = [parts[codes == g].sum(axis=0) for g in range(9)]
    np.testing.assert_allclose(whole, wanted, rtol=1e-10, atol=1e-9)


# --- the reference distribution -------------------------------------------------------------------


@pytest.mark.parametrize("r", [0.02, 0.3, 1.5])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_critical_value(r, level):
    """The tail that it leaves, by another quadrature; a little above the normal one."""
    crit = critical_value(r, level)
    spread = np.sqrt(r)

    def part(x):
        return stats.norm.cdf(-crit * np.exp(0.5 * (spread * x - 0.5 * r))) * stats.norm.pdf(x)

    tail, _ = integrate.quad(part, -12, 12)
    assert tail == pytest.approx(0.5 * (1 - level), rel=1e-3)
    if level > 0.9:
        assert crit > stats.norm.ppf(0.5 + 0.5 * level)


def test_critical_value_of_a_known_variance():
    assert critical_value(1e-12, 0.95) == pytest.approx(stats.norm.ppf(0.975), rel=1e-5)


# --- the profile ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "name"), [(RANDOM, "y1~~y1.l2"), (FACTOR, "y2~~y2")])
def test_profile_is_a_fit_with_the_variance_fixed(data, text, name):
    found = mlsem.fit(text, data, cluster="id", se="CR2")
    lower, upper = limits(found, parameters=name).to_numpy()[0]
    search = search_of(found, name)
    value = float(0.3 * lower + 0.7 * upper)
    _, point = search.profile(value, found._estimates.optimum.point)
    variable, level = name.split("~~")[0], 2 if name.endswith(".l2") else 1
    fixed = f" {variable} ~~ {value!r}*{variable}\n"
    within, between = text.split("level: 2")
    model = f"{within}{fixed if level == 1 else ''}\nlevel: 2{between}\n"
    again = mlsem.fit(model + (fixed if level == 2 else ""), data, cluster="id")
    assert point.loglik == pytest.approx(again.loglik, abs=1e-6)


def test_criterion_of_a_random_intercept_model_is_the_restricted_likelihood(data, fit):
    """R(a) - R(b) by -½ log|XᵀV⁻¹X|, from the fits with τ² fixed."""
    search = search_of(fit, "y1~~y1.l2")
    roots, restricted = [], []
    for value in (0.4, 1.2):
        roots.append(search.profile(value, fit._estimates.optimum.point)[0])
        other = mlsem.fit(f"{RANDOM}\n y1 ~~ {value}*y1", data, cluster="id")
        frame = other.information("expected")
        means = [name for name in frame.index if "~~" not in name]
        restricted.append(
            other.loglik - 0.5 * np.linalg.slogdet(frame.loc[means, means].to_numpy())[1]
        )
    V = fit.covariance.matrix
    clusters = fit.covariance.reference.clusters
    k = fit.table.names.index("y1~~y1.l2")
    q = V[k, k] / (clusters.basis[k] @ clusters.influence[k])
    assert q * (roots[0] ** 2 - roots[1] ** 2) == pytest.approx(
        2 * (restricted[1] - restricted[0]), abs=1e-4
    )


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_limits_lie_where_the_criterion_is_critical(data, level):
    found = mlsem.fit(FACTOR, data, cluster="id", se="CR2")
    table, met = limits(found, level=level), 0
    for name in (found.table.names[k] for k in sorted(variance_places(found.table))):
        search = search_of(found, name, level)
        for limit in table.loc[name]:
            if np.isfinite(limit) and limit > 0:
                root, _ = search.profile(limit, found._estimates.optimum.point)
                assert root == pytest.approx(search.crit, rel=3e-3)
                met += 1
    assert met > 10


def test_a_tiny_or_negative_variance_has_the_lower_limit_0():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"id": np.repeat(np.arange(20), 6), "x": rng.normal(size=120)})
    signs = []
    for seed in range(4):
        frame["y"] = np.random.default_rng(seed).normal(size=120)
        found = mlsem.fit("level: 1\n y ~ x\nlevel: 2\n y ~~ y", frame, cluster="id")
        lower, upper = limits(found).loc["y~~y.l2"]
        signs.append(found.params["y~~y.l2"] > 0)
        assert lower == 0.0
        assert 0.0 < upper < 1.0
    assert len(set(signs)) == 2


def test_many_clusters_agree_with_wald():
    frame = make_data(8, (4,) * 500)
    found = mlsem.fit(RANDOM, frame, cluster="id", se="CR2")
    names = ["y1~~y1", "y1~~y1.l2"]
    wald, profile = (found.conf_int(ci=ci, parameters=names) for ci in ("wald", "profile"))
    half = (wald["upper"] - wald["lower"]) / 2
    for side in ("lower", "upper"):
        assert (abs(profile[side] - wald[side]) < 0.12 * half).all()
    length = (profile["upper"] - profile["lower"]) / (wald["upper"] - wald["lower"])
    assert (abs(length - 1) < 0.03).all()


def test_units_and_order_of_rows(data, fit):
    wanted = limits(fit)
    moved = data.sample(frac=1, random_state=1).assign(y1=lambda frame: 1000 * frame["y1"] - 7)
    found = limits(mlsem.fit(RANDOM, moved, cluster="id"))
    variances = ["y1~~y1", "y1~~y1.l2"]
    np.testing.assert_allclose(
        found.loc[variances], 1e6 * wanted.loc[variances].to_numpy(), rtol=1e-4
    )


def test_covariates_far_from_zero(data, fit):
    """They are centred by the optimiser, whose parameters are then others."""
    far = mlsem.fit(RANDOM, data.assign(x1=data["x1"] + 1e4), cluster="id", se="CR2")
    assert not far._estimates.problem.coordinates.same
    variances = ["y1~~y1", "y1~~y1.l2"]
    np.testing.assert_allclose(
        limits(far, parameters=variances), limits(fit, parameters=variances), rtol=1e-4
    )


def test_coarser_clusters(data, fit):
    found = mlsem.fit(RANDOM, data, cluster="id", se="CR2", se_cluster="district")
    table = limits(found)
    assert (table["lower"] < found.params).all()
    assert (found.params < table["upper"]).all()
    assert not np.allclose(table.loc["y1~~y1.l2"], limits(fit).loc["y1~~y1.l2"], rtol=0.01)


def test_equality_constraints(data):
    """Labels and written constraints say the same; a label of variances is profiled."""
    within = "level: 1\n y1 + y2 ~ x1\n y1 ~~ {}*y1\n y2 ~~ {}*y2\nlevel: 2\n y1 ~~ y2"
    label = limits(mlsem.fit(within.format("v", "v"), data, cluster="id"))
    written = limits(mlsem.fit(within.format("v", "u") + "\nu == v", data, cluster="id"))
    np.testing.assert_allclose(written.loc["v"], label.loc["v"], rtol=1e-3)
    np.testing.assert_allclose(written.loc["u"], written.loc["v"], rtol=1e-3)
    np.testing.assert_allclose(written.loc["y1~~y1.l2"], label.loc["y1~~y1.l2"], rtol=1e-3)


def test_a_label_shared_with_a_covariance_is_no_variance(data):
    text = "level: 1\n y1 ~~ v*y1\n y1 ~~ c*y2\nlevel: 2\n y1 ~~ c*y1 + y2"
    found = mlsem.fit(text, data, cluster="id", se="CR2")
    assert "c" not in {found.table.names[k] for k in variance_places(found.table)}


def test_one_level():
    frame = make_data(8, (3,) * 60)
    variances = ["y1~~y1", "y2~~y2"]
    model = single("y1 ~ x1\n y2 ~ y1")
    for options in ({}, {"cluster": "id"}):
        found = mlsem.fit(model.text, frame, **options)
        table = limits(found, parameters=variances)
        assert (table["lower"] > 0).all()
        assert (table["lower"] < found.params[variances]).all()
        assert (found.params[variances] < table["upper"]).all()


# --- the tables -----------------------------------------------------------------------------------


def test_other_parameters_have_the_t_interval_of_cr2(data, fit):
    plain = mlsem.fit(RANDOM, data, cluster="id", estimator="MLR")
    table, wanted = limits(plain), fit.conf_int()
    others = [name for name in wanted.index if "~~" not in name]
    np.testing.assert_allclose(table.loc[others], wanted.loc[others], rtol=1e-9)
    np.testing.assert_allclose(table, limits(fit), rtol=1e-6)
    assert plain.conf_int().equals(plain.conf_int(ci="wald"))


def test_parameters_in_the_order_asked_for(fit):
    found = limits(fit, parameters=["y1~~y1.l2", "y1~x1"])
    assert found.index.tolist() == ["y1~~y1.l2", "y1~x1"]
    pd.testing.assert_frame_equal(found, limits(fit).loc[found.index], rtol=1e-9)
    assert fit.conf_int(parameters="y1~x1").shape == (1, 2)


def test_table_and_summary(fit):
    table, wanted = fit.parameter_estimates(ci="profile"), limits(fit)
    rows = [
        (table["lhs"][k], row.free)
        for k, row in enumerate(fit.table.rows)
        if row.op == "~~" and row.free >= 0
    ]
    assert rows
    for k, row in enumerate(fit.table.rows):
        if row.free >= 0:
            pair = table.loc[k, ["ci_lower", "ci_upper"]].to_numpy(float)
            np.testing.assert_allclose(pair, wanted.iloc[row.free], rtol=1e-9)
    text = str(fit.summary(ci="profile"))
    assert "profile likelihood" in text
    assert "profile likelihood" not in str(fit.summary(level=0.95))


# --- refused --------------------------------------------------------------------------------------


def test_what_cannot_be_profiled(data):
    bounded = mlsem.fit(RANDOM, data, cluster="id", bounds="pos.var")
    with pytest.raises(mlsem.InferenceError, match="the model has bounds"):
        limits(bounded)
    labelled = RANDOM + "\n y1 ~~ t*y1\n"
    labelled = labelled.replace("level: 2", " y1 ~~ s*y1\nlevel: 2")
    for constraint, match in (("s > t", "an inequality"), ("t*s == 0.5", "nonlinear")):
        found = mlsem.fit(labelled + constraint, data, cluster="id")
        with pytest.raises(mlsem.InferenceError, match=match):
            limits(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        short = mlsem.fit(RANDOM, data, cluster="id", max_iter=1)
    with pytest.raises(mlsem.InferenceError, match="did not converge"):
        limits(short)


def test_options(fit):
    with pytest.raises(mlsem.OptionValueError, match="one of 'wald', 'profile'"):
        fit.conf_int(ci="boot")
    with pytest.raises(mlsem.OptionValueError, match="level"):
        limits(fit, level=95)
    with pytest.raises(mlsem.OptionValueError, match="no parameter 'y1~~x'"):
        limits(fit, parameters="y1~~x")


def test_a_variance_without_a_robust_error_says_why():
    """One cluster alone has more than one row."""
    frame = make_data(5, (12, *(1,) * 15))
    found = mlsem.fit("level: 1\n y1 ~~ y1\nlevel: 2\n y1 ~~ y1", frame, cluster="id")
    with pytest.warns(mlsem.InferenceWarning, match="no profile interval of 'y1~~y1'.*leverage 1"):
        table = limits(found)
    assert table.loc[["y1~~y1", "y1~~y1.l2"]].isna().to_numpy().all()


# --- the search, of functions that are known ------------------------------------------------------


def searched(root, centre=1.0, crit=2.0, width=0.4, floor=0.0):
    calls = []

    def profile(value, near):
        calls.append(value)
        found = root(value)
        return None if found is None else (found, value)

    search = Search(profile, Place(centre, 0.0, centre), crit, width, floor)
    return search, calls


def test_search():
    search, calls = searched(lambda c: 5 * abs(np.log(c)) if c > 0 else None)
    assert search.lower() == pytest.approx(np.exp(-0.4), rel=1e-3)
    assert search.upper() == pytest.approx(np.exp(0.4), rel=1e-3)
    assert len(calls) < 10


def test_search_of_a_criterion_that_ends_early():
    """θ_c ends at 1.3 and at 0.7 before R is critical; R levels off; R(0) is not critical."""
    search, _ = searched(lambda c: None if abs(c - 1) > 0.3 else abs(c - 1))
    assert (search.lower(), search.upper()) == (0.0, np.inf)
    search, _ = searched(lambda c: np.tanh(c - 1))
    assert search.upper() == np.inf
    search, _ = searched(lambda c: abs(c - 1))
    assert search.lower() == 0.0


def test_search_looks_again_at_a_value_that_was_too_far_away():
    """From far away another maximum is found: R is too high there."""

    def profile(value, near):
        return (9.0 if abs(value - near) > 1.0 else abs(value - 1.0)), value

    search = Search(profile, Place(1.0, 0.0, 1.0), 2.0, 1.5, 0.0)
    assert search.upper() == pytest.approx(3.0, rel=2e-3)


def test_an_estimate_far_below_0_leaves_0():
    search, _ = searched(lambda c: 4 * abs(c + 1), centre=-1.0)
    assert (search.lower(), search.upper()) == (0.0, 0.0)


def test_z_tests_of_the_fit_leave_t_to_the_intervals(fit):
    np.testing.assert_allclose(limits(fit.with_se("CR2", test="z")), limits(fit))
