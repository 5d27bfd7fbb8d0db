"""CR0 to CR3 against lme4 with clubSandwich, and HC0 to HC3 against statsmodels.

Random-intercept models and linear ones: end to end, where lme4's estimates are ours (ML); and at
lme4's variance components (REML too), where nothing is left of the difference of two optimisers.
"""

import numpy as np
import pandas as pd
import pytest
from cr_cases import ALONE, CASES, ML, ROUNDED, WHOLE
from cr_checks import WITH_DF, assert_covariances
from dense_cr import KINDS
from kinds import make_data

import mlsem

# How few clusters these data have is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::mlsem.InferenceWarning")


def each(cases):
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


def covariance(fit, names):
    """Of these parameters, with their degrees of freedom."""
    places = fit.params.index.get_indexer(names)
    found = fit.covariance
    return found.matrix[np.ix_(places, places)], found.df[places]


def test_which_cases_there_are():
    """4 + 15 by ML and 6 by REML, one of which has a cluster of leverage 1."""
    assert len(ML) == 19
    assert len(CASES) == 25
    assert ALONE in CASES.keys() - ML.keys()


# --- end to end -----------------------------------------------------------------------------------


@each(ML)
def test_estimates(case):
    """lme4 stops within 5e-8 of the optimum's theta: the fixed effects are off by 3e-8 at most."""
    fit = case.fit
    away = (fit.params[case.names] - case.record["fixef"]).abs() / case.record["se_model"]
    assert away.max() < 1e-7
    variance = f"{case.outcome}~~{case.outcome}"
    assert fit.params[variance] == pytest.approx(case.record["sigma2"], rel=1e-6)
    assert fit.n_obs == case.record["n"]
    assert fit.loglik == pytest.approx(case.record["logLik"], abs=1e-9 * case.record["n"])


def assert_as_theirs(fit, case, tol):
    """Covariances of the fixed effects within `tol` of √(v_ii v_jj), standard errors and degrees of
    freedom within `tol`, relative."""
    for kind in KINDS:
        found = fit.with_se(kind)
        matrix, df = covariance(found, case.names)
        wanted = np.array(case.record["vcovCR"][kind])
        assert_covariances(matrix, wanted, tol)
        np.testing.assert_allclose(found.bse[case.names], np.sqrt(np.diag(wanted)), rtol=tol)
        if kind in WITH_DF:
            theirs = case.record["coef_test"][kind]
            np.testing.assert_allclose(found.bse[case.names], theirs["SE"], rtol=tol)
            np.testing.assert_allclose(df, theirs["df_Satt"], rtol=tol)


@each(ML)
def test_end_to_end(case):
    assert_as_theirs(case.fit, case, 1e-7)


# --- at lme4's variance components ----------------------------------------------------------------


@each(WHOLE)
def test_at_their_estimates(case):
    assert_as_theirs(case.fit_at_theirs, case, ROUNDED.get(case.name, 1e-10))


CONTRASTS = {n: c for n, c in WHOLE.items() if c.record["REML"] or c.record["n"] < 300}


@each(CONTRASTS)
def test_contrasts_at_their_estimates_against_dense_matrices(case):
    """Contrasts are what clubSandwich was not asked for."""
    fit, dense = case.fit_at_theirs, case.dense
    places = fit.params.index.get_indexer(case.names)
    rng = np.random.default_rng(1)
    gradients = np.zeros((2, len(fit.params)))
    gradients[:, places] = rng.normal(size=(2, len(places))) / np.sqrt(np.diag(dense.bread))
    contrasts = gradients[:, places]
    for kind in WITH_DF:
        se, df = fit.with_se(kind).covariance.of_functions(gradients)
        wanted = np.sqrt(np.diag(contrasts @ dense.cov(kind) @ contrasts.T))
        np.testing.assert_allclose(se, wanted, rtol=1e-9)
        np.testing.assert_allclose(df, [dense.df(kind, c) for c in contrasts], rtol=1e-9)


def test_the_rest_of_a_model_with_a_cluster_of_leverage_1():
    """Where clubSandwich's numbers of `w1` and `w1:x1` mean nothing, those of the others do."""
    case = CASES[ALONE]
    fit = case.fit_at_theirs
    for kind in ("CR0", "CR2"):  # clubSandwich gives up on CR3 here
        found, df = covariance(fit.with_se(kind), case.names)
        kept = np.flatnonzero(np.isfinite(df))
        assert [case.record["coef_names"][k] for k in kept] == ["(Intercept)", "x1"]
        wanted = np.array(case.record["vcovCR"][kind])[np.ix_(kept, kept)]
        assert_covariances(found[np.ix_(kept, kept)], wanted, 1e-9)
        theirs = np.array(case.record["coef_test"][kind]["df_Satt"])[kept]
        np.testing.assert_allclose(df[kept], theirs, rtol=1e-9)


# --- rows as clusters -----------------------------------------------------------------------------

HC = {"CR0": "HC0", "CR1p": "HC1", "CR1S": "HC1", "CR2": "HC2", "CR3": "HC3"}


@pytest.mark.parametrize(("kind", "name"), HC.items(), ids=HC.keys())
@pytest.mark.parametrize("how", ["no clusters", "a cluster per row"])
def test_rows_are_clusters(kind, name, how):
    import statsmodels.api as sm

    data = make_data(8, (4, 1, 6, 3, 5, 2, 7, 4)).assign(row=lambda d: d.index[::-1])
    cluster = None if how == "no clusters" else "row"
    X = pd.DataFrame({"1": 1.0, "x1": data.x1, "w1": data.w1, "x1:w1": data.x1 * data.w1})
    wanted = sm.OLS(data.y1, X).fit(cov_type=name)
    fit = mlsem.fit("y1 ~ x1 + w1 + x1:w1", data, cluster, se=kind, meanstructure=True)
    names = [f"y1~{column}" for column in X]
    np.testing.assert_allclose(fit.params[names], wanted.params, rtol=1e-9)
    assert_covariances(covariance(fit, names)[0], wanted.cov_params().to_numpy(), 1e-9)
