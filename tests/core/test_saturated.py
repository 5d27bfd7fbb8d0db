"""The saturated two-level model, and covariates whose parts have its moments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from kinds import make_data
from reference import frame

import mlsem
from mlsem.core.sample import saturated as core
from mlsem.core.sample.independent import independent_moments
from mlsem.core.sample.shapes import ShapeMoments
from mlsem.errors import DataError, InferenceError, SpecificationError
from mlsem.model.pattern import level_names

CONTEXTUAL = "level: 1\n y ~ x + m\nlevel: 2\n y ~ x + w"
SATURATED = "level: 1\n y ~~ y + x\n x ~~ x\n y + x ~ m\nlevel: 2\n y ~~ y + x\n x ~~ x\n y + x ~ w"
SLOPES = ["y~x", "y~m", "y~x.l2", "y~w.l2"]


@pytest.fixture(scope="module")
def data():
    return frame("mediation.csv")


@pytest.fixture(scope="module")
def fit(data):
    return mlsem.fit(CONTEXTUAL, data, "id")


def shapes(rng, clusters, p, *, null=0):
    """Shape moments of rows of p variables, `null` of them without a between variance."""
    sizes = rng.integers(2, 12, clusters)
    codes = np.repeat(np.arange(clusters), sizes)
    effects = 0.6 * rng.normal(size=(clusters, 1)) + 0.3 * rng.normal(size=(clusters, p))
    effects[:, :null] = 0.0
    rows = effects[codes] + rng.normal(size=(len(codes), p)) @ (np.eye(p) + 0.3)
    means = pd.DataFrame(rows).groupby(codes).mean().to_numpy()
    within = np.zeros((p + 1, p + 1))
    within[1:, 1:] = (rows - means[codes]).T @ (rows - means[codes])
    h = np.column_stack((np.ones(clusters), means))
    distinct = np.unique(sizes)
    return ShapeMoments(
        sizes=distinct.astype(float),
        clusters=np.array([float((sizes == s).sum()) for s in distinct]),
        cross=np.array([h[sizes == s].T @ h[sizes == s] for s in distinct]),
        within=within,
    )


# --- the estimates --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_independent_moments_are_the_saturated_ones_of_each_variable(seed):
    """Also where the variance between clusters is negative, and far from zero."""
    data = shapes(np.random.default_rng(seed), 40, 4, null=2)
    maps = np.eye(5)[1:]
    maps[:, 0] = [0.0, 500.0, 0.0, -3.0]
    found = np.array(independent_moments(data, maps))
    if seed == 0:
        assert (found[2] < 0).any()
    none = np.zeros((0, 5))
    for k in range(4):
        one = core.saturated_moments(data, maps[[k]], none, none, semidefinite=False)
        expected = [one.means[1][0], one.covariances[0][0, 0], one.covariances[1][0, 0]]
        np.testing.assert_allclose(found[:, k], expected, rtol=1e-7, atol=1e-8)


def test_moments_are_those_of_the_saturated_model_as_a_model(data, fit):
    free = mlsem.fit(SATURATED, data, "id", fixed_x=False)
    for level in (1, 2):
        implied, names = free.implied(level), list(level_names(fit.table)[level - 1])
        found = fit._estimates.problem.saturated.covariances[level - 1]
        np.testing.assert_allclose(found, implied.cov.loc[names, names], atol=1e-9)
    means = free.implied(1).mean[["y", "x"]] + free.implied(2).mean[["y", "x"]]
    np.testing.assert_allclose(fit._estimates.problem.saturated.means[1][:2], means, atol=1e-9)
    assert fit._estimates.problem.saturated.means[0][:2].tolist() == [0.0, 0.0]


def test_a_saturated_model_has_the_estimates_of_modelled_covariates(data, fit):
    """There nothing is lost by fixing: the same point, fewer parameters."""
    free = mlsem.fit(CONTEXTUAL, data, "id", fixed_x=False)
    np.testing.assert_allclose(fit.params, free.params[fit.params.index], atol=1e-8)
    assert (fit.n_params, free.n_params) == (7, 16)
    rows = data["m"].var(ddof=0), len(data)
    clusters = data.groupby("id")["w"].first().var(ddof=0), data["id"].nunique()
    alone = sum(-0.5 * n * (np.log(2 * np.pi * v) + 1) for v, n in (rows, clusters))
    assert fit.loglik == pytest.approx(free.loglik - alone, abs=1e-8)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("clusters", "p", "null"), [(15, 4, 2), (50, 5, 5), (8, 6, 0)])
def test_the_maximum_over_semidefinite_matrices(seed, clusters, p, null):
    """The Karush-Kuhn-Tucker conditions, and no point nearby that is higher."""
    rng = np.random.default_rng([seed, clusters])
    maps, none = np.eye(p + 1)[1:], np.zeros((0, p + 1))
    arranged = core._arranged(shapes(rng, clusters, p, null=null), (maps, none, none))
    with np.errstate(all="ignore"):
        found, _ = core._maximum(arranged, semidefinite=True)
    within, between = core._gradients(arranged, found)
    inside, edge = found.ratios > 0, found.ratios <= 0
    units = np.sqrt(arranged.clusters.sum())
    assert np.abs(within).max() < 2e-3 * units
    assert np.abs(between[inside]).max(initial=0.0) < 2e-3 * units
    assert np.linalg.eigvalsh(between[np.ix_(edge, edge)]).max(initial=0.0) < 1e-6
    sigma_w = found.basis @ found.basis.T
    for _ in range(20):
        step = 0.02 * rng.normal(size=(2, p, p))
        root = found.basis * np.sqrt(found.ratios) + step[0]
        inner = found.basis + 0.3 * step[1]
        moved = core._point(arranged, inner @ inner.T, root @ root.T)
        assert moved is None or moved.loglik <= found.loglik + 1e-9
    assert np.linalg.eigvalsh(sigma_w)[0] > 0


def test_covariates_far_from_zero(data, fit):
    shift = {"x": 1e6, "m": 1e6, "w": -1e5, "y": 1e4}
    moved = mlsem.fit(CONTEXTUAL, data.assign(**{k: data[k] + c for k, c in shift.items()}), "id")
    assert moved.loglik == pytest.approx(fit.loglik, abs=1e-6)
    np.testing.assert_allclose(moved.params[SLOPES], fit.params[SLOPES], atol=1e-7)
    for kind in ("standard", "MLR", "CR2"):
        here, there = (each.with_se(kind).bse[SLOPES] for each in (fit, moved))
        np.testing.assert_allclose(here, there, rtol=1e-6)


def test_rows_of_the_table(fit):
    table = fit.parameter_estimates().set_index(["lhs", "op", "rhs", "level"])
    row = table.loc["x", "~~", "w", 2]
    assert row["se"] == 0.0
    assert np.isnan(row["stat"])
    assert row["est"] == fit._estimates.problem.saturated.covariances[1][1, 2]
    assert table.loc["x", "~1", "", 1]["est"] == 0.0
    assert "fixed_x=False makes them parameters" in " ".join(fit.notes)


# --- what follows from a fit ----------------------------------------------------------------------


def test_refits_fix_their_own_moments(data, fit):
    """Leaving a cluster out is fitting without its rows."""
    left_out = fit.cluster_diagnostics(exact=[7]).left_out
    again = mlsem.fit(CONTEXTUAL, data[data["id"] != 7], "id")
    names = list(fit.cluster_diagnostics(exact=[7]).parameters)
    np.testing.assert_allclose(left_out.change[0], (again.params - fit.params)[names], atol=1e-7)


def test_data_are_drawn_with_their_covariates(fit):
    found = fit.bootstrap("parametric", draws=60, seed=3)
    assert not found.reasons
    spread = pd.Series(found.draws.std(axis=0), found.parameters)
    np.testing.assert_allclose(spread, fit.bse, rtol=0.35)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("level: 1\n y ~ x + m\nlevel: 2\n y ~ x", "only one model has 'w' at level 2"),
        ("level: 1\n y ~ x\nlevel: 2\n y ~ x + w", "only one model has 'm' at level 1"),
        ("level: 1\n y ~ x + m\nlevel: 2\n y ~ w", "moments of 'x'"),
    ],
)
def test_likelihoods_of_other_covariates_are_not_compared(data, fit, text, told):
    with pytest.raises(InferenceError, match=told):
        mlsem.lr_test(mlsem.fit(text, data, "id"), fit)
    with pytest.raises(InferenceError, match="same fixed_x"):
        mlsem.lr_test(fit, mlsem.fit(CONTEXTUAL, data, "id", fixed_x=False))


def test_likelihood_ratio_of_the_same_covariates(data, fit):
    simple = mlsem.fit("level: 1\n y ~ x + m\nlevel: 2\n y ~ x + 0*w", data, "id")
    free = [mlsem.fit(each, data, "id", fixed_x=False) for each in (simple.model, CONTEXTUAL)]
    assert mlsem.lr_test(simple, fit).statistic == pytest.approx(
        mlsem.lr_test(*free).statistic, abs=0.5
    )


def test_reml_and_random_slopes_are_refused(data):
    with pytest.raises(SpecificationError, match="paths from 'x', whose mean"):
        mlsem.fit(CONTEXTUAL, data, "id", estimator="REML")
    with pytest.raises(SpecificationError, match="'x' has a part at both levels"):
        mlsem.fit('level: 1\n y ~ rv("s")*m + x\nlevel: 2\n y ~ x', data, "id")


def test_a_covariate_without_a_part_between():
    """Cluster means that differ less than rows drawn at random would make them."""
    data = make_data(3, (6,) * 20)
    rng = np.random.default_rng(5)
    noise = pd.Series(rng.normal(size=len(data)))
    means = noise.groupby(data["id"]).transform("mean")
    with pytest.raises(DataError, match=r"'x' is named at both levels, but its variance between"):
        mlsem.fit("level: 1\n y1 ~ x\nlevel: 2\n y1 ~ x", data.assign(x=noise - 0.7 * means), "id")
