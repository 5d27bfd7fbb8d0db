"""Cluster-robust inference, and what else a fit is asked, under sampling weights."""

from __future__ import annotations

import pickle
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reference import FOLDER

import mlsem
from mlsem.errors import DataError, InferenceError, OptionValueError
from mlsem.inference.covariance.adjust import adjusted
from mlsem.inference.covariance.reference import ClusterReference

pytestmark = [
    pytest.mark.filterwarnings("ignore::mlsem.errors.InferenceWarning"),  # few clusters
    pytest.mark.filterwarnings("ignore:negative variance"),
    pytest.mark.filterwarnings("ignore:.*plausible values:mlsem.errors.DataWarning"),
]
FORMULA = "pv1math ~ ses + private + girl + (1 | school)"
BOTH = {"total": "w_stu", "level2": "w_sch"}
CFA = "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1"


@pytest.fixture(scope="module")
def pupils():
    return pd.read_csv(FOLDER / "surveys" / "lsa_pv.csv")


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(FOLDER / "surveys" / "integer_weights.csv")


@pytest.fixture(scope="module")
def mixed(pupils):
    return mlsem.lmm(FORMULA, pupils, REML=False, weights=BOTH, tol=1e-10)


def weighted_cfa(rows, **options):
    return mlsem.fit(CFA, rows, "id", weights={"level2": "f2"}, tol=1e-10, **options)


# --- CR2 ------------------------------------------------------------------------------------------


def dense_parts(fit):
    """B_j (J, p, p) and scores s_j (J, p) of the fixed effects, from dense matrices: with
    V_j = τ 11ᵀ + σ² diag(1/a), w_j X'V⁻¹X and w_j X'V⁻¹r."""
    tau, sigma = fit.params[["school.(Intercept)", "Residual"]]
    data = pd.read_csv(FOLDER / "surveys" / "lsa_pv.csv")
    found = []
    for _, group in data.groupby("school", sort=False):
        w = group.w_sch.iloc[0]
        c = (group.w_stu / w).to_numpy()
        a = c * len(c) / c.sum()
        design = np.column_stack([np.ones(len(c)), group[["ses", "private", "girl"]]])
        inverse = np.linalg.inv(tau + sigma * np.diag(1.0 / a))
        left = group.pv1math - design @ fit.params[:4]
        found.append((w, w * design.T @ inverse @ design, w * design.T @ inverse @ left))
    return (np.array(each) for each in zip(*found, strict=True))


def test_cr2_is_that_of_dense_matrices(mixed):
    """V_j and (V_j Q_j⁻¹)^{-½} by eigenvalues of the whole, df by the whole matrix P."""
    weights, information, scores = dense_parts(mixed)
    bread = np.linalg.inv(information.sum(axis=0))
    variance = weights[:, None, None] * information
    total = variance.sum(axis=0)
    steps = information @ bread
    count = len(scores)
    spread = np.zeros((count, count, 4, 4))
    for j in range(count):
        for k in range(count):
            spread[j, k] = steps[j] @ total @ steps[k].T
            spread[j, k] -= steps[j] @ variance[k] + variance[j] @ steps[k].T
        spread[j, j] += variance[j]
    maps = np.zeros((count, 4, 4))
    for j in range(count):
        values, vectors = np.linalg.eig(spread[j, j] @ np.linalg.pinv(variance[j], rcond=1e-11))
        there = values.real > 1e-9
        factors = np.where(there, np.where(there, values, 1.0) ** -0.5, 0.0)
        maps[j] = (vectors @ np.diag(factors) @ np.linalg.inv(vectors)).real
    moved = np.einsum("jab,jb->ja", maps, scores)
    wanted = np.sqrt(np.diag(bread @ moved.T @ moved @ bread))
    fit = mixed.with_se("CR2")
    np.testing.assert_allclose(fit.bse[:4], wanted, rtol=1e-7)
    along = np.einsum("jba,bc->jca", maps, bread)
    for place in range(4):
        a = along[:, place]
        p = np.einsum("ja,jkab,kb->jk", a, spread, a)
        assert fit.covariance.df[place] == pytest.approx(np.trace(p) ** 2 / (p * p).sum(), rel=1e-6)


@pytest.mark.parametrize("weights", [BOTH, {"level2": "w_sch"}])
def test_cr2_is_unbiased_for_means(pupils, weights):
    """Σ A_j V_j A_jᵀ = Σ Q_j: what the adjusted scores vary by together is what the scores do."""
    fit = mlsem.lmm(FORMULA, pupils, REML=False, weights=weights, se="CR2")
    reference = fit.covariance.reference
    assert isinstance(reference, ClusterReference)
    (term,) = reference.clusters.terms
    assert term.spread is not None
    total = 0.0
    for kinds in term.parts(1):
        found = adjusted(kinds, fit.covariance.kind.adjustment)
        pulled = found.pull * term.signs
        covered = found.spread - pulled @ found.pull.swapaxes(1, 2)
        total = total + np.tensordot(kinds.counts, covered, 1)
    np.testing.assert_allclose(total[:4, :4], (term.spread @ term.spread.T)[:4, :4], atol=1e-8)


@pytest.mark.parametrize("kind", ["MLR", "CR0", "CR1", "CR2", "CR3"])
def test_the_unit_of_the_clusters_weights_does_not_count(pupils, kind):
    fits = [
        mlsem.lmm(
            FORMULA,
            pupils.assign(w_stu=unit * pupils.w_stu, w_sch=unit * pupils.w_sch),
            REML=False,
            weights=BOTH,
            se=kind,
            tol=1e-10,
        )
        for unit in (1.0, 1e-3)
    ]
    for name in ("params", "bse"):
        one, other = (getattr(fit, name) for fit in fits)
        np.testing.assert_allclose(other, one, rtol=1e-8)
    np.testing.assert_allclose(fits[1].covariance.df, fits[0].covariance.df, rtol=1e-6)


@pytest.mark.parametrize("kind", ["MLR", "CR1", "CR2", "CR3"])
@pytest.mark.parametrize("model", [CFA, "y1 ~ x1 + w1"])
def test_equal_weights_are_none(rows, model, kind):
    """Of all clusters: the estimates, robust errors and degrees of freedom of today."""
    frame = rows.assign(three=3.0)
    weights = {"level2": "three"} if model == CFA else "three"
    how = {"se": kind, "tol": 1e-10, "meanstructure": True}
    found = mlsem.fit(model, frame, "id", weights=weights, **how)
    wanted = mlsem.fit(model, frame, "id", **how)
    np.testing.assert_array_less((found.params - wanted.params).abs() / wanted.bse, 1e-8)
    np.testing.assert_allclose(found.bse, wanted.bse, rtol=1e-7)
    np.testing.assert_allclose(found.covariance.df, wanted.covariance.df, rtol=1e-7)
    # one scaled by its weight; the other by nothing
    assert found.loglik == pytest.approx(3.0 * wanted.loglik, rel=1e-11)


def test_scaling_does_not_matter_under_the_cluster_scalings(pupils):
    """c_ij times a constant of the cluster changes nothing under "cluster" and "ecluster"."""
    unit = 1.0 + pupils.school % 3
    for scaling in ("cluster", "ecluster"):
        one, other = (
            mlsem.lmm(
                FORMULA,
                frame,
                REML=False,
                weights={"level1": "w_stu", "level2": "w_sch"},
                weight_scaling=scaling,
                tol=1e-10,
            )
            for frame in (pupils, pupils.assign(w_stu=pupils.w_stu * unit))
        )
        np.testing.assert_allclose(other.params, one.params, rtol=1e-9)
        np.testing.assert_allclose(other.bse, one.bse, rtol=1e-9)


def test_joint_tests(mixed):
    """HTZ of one contrast is the t test; of several it has degrees of freedom."""
    fit = mixed.with_se("CR2")
    alone = fit.wald_test("`ses`", test="HTZ")
    assert alone.statistic == pytest.approx(fit.tvalues["ses"] ** 2, rel=1e-10)
    assert alone.df_denom == pytest.approx(fit.covariance.df[1], rel=1e-8)
    both = fit.wald_test("`ses`; `girl`", test="HTZ")
    assert 1.0 < both.df_denom < fit.covariance.df[[1, 3]].max()


def test_groups_are_as_apart(rows):
    frame = rows.assign(half=rows.id % 2)
    model = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"
    how = {"weights": {"level1": "f1", "level2": "f2"}, "tol": 1e-10}
    for kind in ("MLR", "CR2"):
        both = mlsem.fit(model, frame, "id", group="half", se=kind, **how)
        for half in (0, 1):
            alone = mlsem.fit(model, frame[frame.half == half], "id", se=kind, **how)
            k = slice(half * len(alone.params), (half + 1) * len(alone.params))
            np.testing.assert_allclose(both.params[k], alone.params, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(both.bse[k], alone.bse, rtol=1e-7)
            np.testing.assert_allclose(both.covariance.df[k], alone.covariance.df, rtol=1e-6)


# --- what goes with weights, and what does not ----------------------------------------------------


def test_the_default_is_robust_and_the_header_says_what_was_done(mixed):
    assert mixed.se_kind == "MLR"
    text = str(mixed.summary())
    for line in (
        "Sampling weights",
        "total w_stu, level 2 w_sch",
        "Weight scaling",
        "Effective number of observations",
        "Effective number of clusters",
    ):
        assert line in text
    data = pd.read_csv(FOLDER / "surveys" / "lsa_pv.csv")
    schools = data.groupby("school").w_sch.first()
    done = mixed._record.weighted
    for found, weights in ((done.rows, data.w_stu), (done.clusters, schools)):
        assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert np.isnan(mixed.aic)
    assert np.isnan(mixed.bic)
    assert any("no AIC and BIC" in note for note in mixed.notes)
    again = pickle.loads(pickle.dumps(mixed))
    np.testing.assert_array_equal(again.bse, mixed.bse)


def test_what_weights_do_not_go_with(pupils, rows):
    with pytest.raises(OptionValueError, match=r"restricted likelihood.*REML=False"):
        mlsem.lmm(FORMULA, pupils, weights=BOTH)
    with pytest.raises(OptionValueError, match=r"no covariance of its estimates"):
        mlsem.lmm(FORMULA, pupils, REML=False, weights=BOTH, se="standard")
    fit = weighted_cfa(rows)
    with pytest.raises(OptionValueError, match=r"no covariance of its estimates"):
        fit.with_se("standard")
    with pytest.raises(InferenceError, match=r"no profile intervals with weights"):
        fit.conf_int(ci="profile")
    with pytest.raises(DataError, match=r"no data of weighted ones can be drawn"):
        fit.bootstrap("parametric", draws=39)
    strata = weighted_cfa(rows.assign(zone=rows.id % 4), strata="zone")
    with pytest.raises(InferenceError, match=r"these are from strata"):
        strata.bootstrap("pairs", draws=39)
    with pytest.raises(InferenceError, match=r"these are from strata: fit without strata="):
        strata.cluster_diagnostics()


def replicated(rows):
    """The clusters as often as they count, with ids of their own."""
    copies = [
        rows[rows.f2 > copy].assign(copy=lambda part, copy=copy: part.id * 10 + copy)
        for copy in range(int(rows.f2.max()))
    ]
    return pd.concat(copies, ignore_index=True)


ASKED = {
    "standardized": lambda fit: fit.standardized().est_std,
    "icc": lambda fit: fit.icc().icc,
    "r_squared": lambda fit: fit.r_squared().frame.select_dtypes("number").to_numpy().ravel(),
    "residuals": lambda fit: fit.residuals(level=1).cov.to_numpy().ravel(),
    "errors of residuals": lambda fit: fit.residuals(level=1).cov_se.to_numpy().ravel(),
    "reliability": lambda fit: fit.reliability().frame.select_dtypes("number").to_numpy().ravel(),
    "modification indices": lambda fit: (
        fit.modification_indices().sort_values(["lhs", "op", "rhs", "level"]).mi
    ),
    "bootstrap": lambda fit: fit.bootstrap("wild", draws=99, seed=1).draws.ravel(),
}


@pytest.fixture(scope="module")
def twins(rows):
    again = mlsem.fit(CFA, replicated(rows), "copy", se_cluster="id", estimator="MLR", tol=1e-10)
    return weighted_cfa(rows), again


@pytest.mark.parametrize("asked", ASKED)
def test_results_are_those_of_clusters_that_are_there_as_often(twins, asked):
    found, wanted = (np.asarray(ASKED[asked](fit), dtype=float) for fit in twins)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)
    assert np.isfinite(found).any()


UNIT = ("logl", "unrestricted.logl")  # and scaling factors: they have the unit of the weights


def test_measures_of_fit_do_not_depend_on_the_weights_unit(rows, twins):
    """They are those of clusters that are there as often, or NaN."""
    found, wanted = (fit.fit_measures() for fit in twins)
    assert not np.isnan(found["chisq.scaled"])
    for name in ("chisq", "pvalue", "rmsea", "rmsea.robust", "cfi", "aic", "gfi"):
        assert np.isnan(found[name])
    known = found.dropna().drop(["ntotal", "rmsea.scaled"])
    np.testing.assert_allclose(known, wanted[known.index], rtol=1e-6, atol=1e-8)
    other = weighted_cfa(rows.assign(f2=7.0 * rows.f2)).fit_measures()
    free = [name for name in known.index if name not in UNIT and "factor" not in name]
    np.testing.assert_allclose(other[free], found[free], rtol=1e-6, atol=1e-8)
    assert not np.isclose(other["logl"], found["logl"])


def test_typical_values_are_weighted(rows):
    model = "level: 1\n y1 ~ x1 + w1:x1\nlevel: 2\n y1 ~ w1"
    found = mlsem.fit(model, rows, "id", weights={"level2": "f2"}).simple_slopes("x1", "w1")
    clusters = rows.groupby("id")[["w1", "f2"]].first()
    mean = np.average(clusters.w1, weights=clusters.f2)
    assert mean == pytest.approx(sorted(found.frame.w1)[1], rel=1e-8)


def test_comparisons_of_standard_errors_leave_out_what_there_is_not(rows):
    assert list(weighted_cfa(rows).compare_se().se) == ["MLR", "CR2"]


def test_diagnostics_and_reports_of_weighted_fits(rows, tmp_path):
    fit = weighted_cfa(rows)
    assert fit.cluster_diagnostics().n_clusters == rows.id.nunique()
    fit.report(tmp_path / "report.html", data=rows, sections=("data",))
    assert "Sampling weights" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize("kind", ["CR1", "CR2", "CR3"])
def test_robust_clusters_above_the_models(rows, kind):
    """Regions of schools: equal weights are none; degrees of freedom are below their number."""
    frame = rows.assign(region=rows.id // 3, three=3.0)
    how = {"se_cluster": "region", "se": kind, "tol": 1e-10}
    found = mlsem.fit(CFA, frame, "id", weights={"level2": "three"}, **how)
    wanted = mlsem.fit(CFA, frame, "id", **how)
    np.testing.assert_allclose(found.bse, wanted.bse, rtol=1e-7)
    np.testing.assert_allclose(found.covariance.df, wanted.covariance.df, rtol=1e-6)
    model = "level: 1\n y1 ~ x1\nlevel: 2\n y1 ~ w1"
    uneven = mlsem.fit(model, frame, "id", weights={"level1": "f1", "level2": "f2"}, **how)
    regions = frame.region.nunique()
    assert (uneven.covariance.df < regions).all()
    joint = uneven.wald_test("`y1~x1`; `y1~w1.l2`", test="HTZ")
    assert 1.0 < joint.df_denom < regions


def test_clusters_left_out_are_those_that_weigh_nothing(rows):
    fit = weighted_cfa(rows)
    gone = sorted(rows.id.unique())[3]
    found = fit.cluster_diagnostics(fit.params.index, exact=[gone]).left_out
    other = weighted_cfa(rows.assign(f2=rows.f2.where(rows.id != gone, 0.0)))
    assert other.n_clusters == fit.n_clusters - 1
    np.testing.assert_allclose(found.change[0], other.params - fit.params, atol=1e-6)


def test_pairs_are_clusters_with_their_weights(rows):
    """A draw of clusters by their numbers is the fit to these clusters, each with its weight."""
    fit = weighted_cfa(rows)
    found = fit.bootstrap("pairs", draws=39, seed=4)
    again = weighted_cfa(rows.assign(f2=5.0 * rows.f2)).bootstrap("pairs", draws=39, seed=4)
    np.testing.assert_allclose(again.draws, found.draws, rtol=1e-4, atol=1e-5)
    spread = found.draws.std(axis=0, ddof=1)
    ratio = spread / fit.bse.to_numpy()
    assert 0.4 < np.median(ratio) < 2.5


def test_marginal_means_say_which_mean(pupils, mixed):
    """Covariates at their mean over rows, unweighted; at= says otherwise."""
    frame = pupils.assign(kind=np.where(pupils.private > 0, "private", "public"))
    fit = mlsem.lmm("pv1math ~ ses + kind + (1 | school)", frame, REML=False, weights=BOTH)
    plain = fit.marginal_means("kind")
    assert plain.held.startswith(f"Held: ses at its mean {pupils.ses.mean():.5g}.")
    assert "of the rows, without sampling weights" in " ".join(str(plain).split())
    mean = float(np.average(pupils.ses, weights=pupils.w_stu))
    weighted = fit.marginal_means("kind", at={"ses": mean})
    gap = weighted.frame.estimate - plain.frame.estimate
    np.testing.assert_allclose(gap, fit.params["ses"] * (mean - pupils.ses.mean()), rtol=1e-8)
    assert abs(mean - pupils.ses.mean()) > 0.01


def test_strata_go_with_mlr_alone(pupils):
    for kind in ("CR1", "CR2", "CR3"):
        with pytest.raises(OptionValueError, match=r"strata= goes with se=\"MLR\".*one population"):
            mlsem.lmm(FORMULA, pupils, REML=False, weights=BOTH, strata="zone", se=kind)


@pytest.mark.slow
def test_weighted_intervals_of_few_schools_cover():
    """150 data sets of the study on docs/studies/weighted_coverage.md, of 20 schools."""
    path = Path(__file__).parents[2] / "examples" / "studies" / "weighted_coverage.py"
    script = runpy.run_path(str(path))
    found = np.array(script["run_batch"](script["Cell"](20), range(150)))
    mlr, cr1, cr2, unweighted = 1.0 - found[:, 0].mean(axis=0)
    assert (np.abs(cr2 - 0.945) < 0.055).all()  # 3 Monte Carlo errors
    assert (mlr <= cr1).all()
    assert (cr1 < cr2).all()
    assert unweighted[0] < 0.8  # of the slope
