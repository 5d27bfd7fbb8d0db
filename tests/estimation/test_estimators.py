"""What `estimator=` does, and random effects on the boundary."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlsem
from mlsem.errors import EstimationWarning, OptionValueError, SpecificationError

DATA = Path(__file__).parents[1] / "reference" / "data"
SLOPE = 'level: 1\n y ~ rv("s")*x1 + w1:x1\nlevel: 2\n y ~ w1\n y ~~ s'


def article():
    return pd.read_csv(DATA / "article_50x10_rep1.csv")


def flat_data(seed):
    """Nothing varies between clusters, which are few and small."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(12), 3)
    x = rng.normal(size=36)
    return pd.DataFrame({"y": 0.5 * x + rng.normal(size=36), "x": x, "id": ids})


# --- REML -------------------------------------------------------------------------------------


def test_the_same_model_in_both_languages():
    data = article()
    ours = mlsem.fit(SLOPE, data, cluster="id", estimator="reml")
    theirs = mlsem.lmm("y ~ w1*x1 + (x1 | id)", data)
    assert ours.loglik == pytest.approx(theirs.loglik, abs=1e-9)
    for name, other in {"s~1.l2": "x1", "y~w1.l2": "w1", "s~~s.l2": "id.x1"}.items():
        assert ours.params[name] == pytest.approx(theirs.params[other], rel=1e-5)
        assert ours.bse[name] == pytest.approx(theirs.bse[other], rel=1e-5)


def test_a_far_covariate_changes_what_it_must():
    data = article()
    here, there = (
        mlsem.lmm("y ~ w1 + x1 + (x1 | id)", data.assign(x1=data["x1"] + c)) for c in (0, 1000)
    )
    assert there.loglik == pytest.approx(here.loglik, abs=1e-7)
    for name in ("w1", "x1", "id.x1", "Residual"):
        assert there.params[name] == pytest.approx(here.params[name], rel=1e-5)
        assert there.bse[name] == pytest.approx(here.bse[name], rel=1e-5)


def test_several_outcomes_are_fitted_together():
    data = article()
    data["y2"] = 0.3 * data["y"] + np.random.default_rng(2).normal(size=len(data))
    model = "level: 1\n y + y2 ~ x1\n y ~~ 0*y2\nlevel: 2\n y + y2 ~ w1\n y ~~ 0*y2"
    both = mlsem.fit(model, data, cluster="id", estimator="REML")
    alone = [mlsem.lmm(f"{y} ~ x1 + w1 + (1 | id)", data) for y in ("y", "y2")]
    assert both.loglik == pytest.approx(sum(each.loglik for each in alone), abs=1e-8)


def test_what_a_reader_sees():
    fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", article())
    text = str(fit.summary())
    assert "by REML\n" in text
    assert re.search(rf"REML criterion +{-2 * fit.loglik:.3f}", text)
    assert re.search(rf"AIC \(restricted\) +{fit.aic:.3f}", text)
    assert "restricted loglik -" in repr(fit)
    assert fit.glance().loc[0, ["estimator", "singular"]].tolist() == ["REML", False]
    assert fit.aic == pytest.approx(-2 * fit.loglik + 2 * 8)
    assert "estricted" not in str(mlsem.lmm("y ~ x1 + (1 | id)", article(), REML=False).summary())


def test_what_is_asked_of_a_fit():
    fit = mlsem.lmm("y ~ w1*x1 + (x1 | id)", article())
    found = fit.bootstrap("pairs", draws=10, seed=1, parameters="x1")
    assert found.se_kind == "CR0"
    exact = fit.cluster_diagnostics(["x1"], exact=[1]).exact
    again = mlsem.lmm("y ~ w1*x1 + (x1 | id)", article().query("id != 1"))
    change = (again.params["x1"] - fit.params["x1"]) / fit.bse["x1"]
    assert exact.loc[1, "x1"] == pytest.approx(change, rel=1e-5)
    assert fit.wald_test("`x1` == 0", vcov="CR2").pvalue < 0.05


def test_scores_and_information_are_those_of_the_likelihood():
    """∂ℓ/∂θ = ½ ∂ log|M|/∂θ where ℓ_R = ℓ - ½ log|M| has its maximum, M = Σ X_jᵀ V_j⁻¹ X_j."""
    data = article().iloc[:-7]
    fit = mlsem.lmm("y ~ x1 + w1 + (1 | id)", data)
    fixed, covariances = ["(Intercept)", "x1", "w1"], ["id.(Intercept)", "Residual"]
    designs = [np.column_stack([np.ones(len(d)), d[["x1", "w1"]]]) for _, d in data.groupby("id")]

    def fixed_information(tau, sigma2):
        return sum(
            X.T @ np.linalg.solve(sigma2 * np.eye(len(X)) + tau * np.ones((len(X),) * 2), X)
            for X in designs
        )

    def half_log_det(variances):
        return 0.5 * np.linalg.slogdet(fixed_information(*variances))[1]

    estimates, steps = fit.params[covariances].to_numpy(), 1e-5 * np.eye(2)
    slopes = [half_log_det(estimates + h) - half_log_det(estimates - h) for h in steps]
    total = fit.scores().sum()
    np.testing.assert_allclose(total[fixed], 0, atol=1e-8)
    np.testing.assert_allclose(total[covariances], np.array(slopes) / 2e-5, rtol=1e-6)
    assert (total[covariances].abs() > 0.1).all()
    information = fit.information("expected")
    expected = fixed_information(*estimates)
    np.testing.assert_allclose(information.loc[fixed, fixed], expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        fit.vcov().loc[fixed, fixed], np.linalg.inv(expected), rtol=1e-8, atol=1e-12
    )
    plain = np.linalg.inv(information.loc[covariances, covariances])
    assert (np.diag(fit.vcov().loc[covariances, covariances]) > np.diag(plain)).all()


REFUSED = {
    "level: 1\n y ~ a*x1 + b*x2\nlevel: 2\n y ~ w1\n a == b": "no constraints",
    "level: 1\n y ~ x1 + x2\n x2 ~ x1\nlevel: 2\n y ~ w1": "'y~x2' is a path from",
    "level: 1\n y ~ a*x1\n y ~~ a*y\nlevel: 2\n y ~ w1": "a label stands for a mean and",
    "y ~ x1": "is for two-level models",
}


@pytest.mark.parametrize("model", REFUSED)
def test_refused(model):
    data = article()
    data["x2"] = np.random.default_rng(3).normal(size=len(data))
    with pytest.raises(SpecificationError, match=REFUSED[model]):
        mlsem.fit(model, data, cluster="id" if "level" in model else None, estimator="REML")


def test_refused_with_bounds():
    with pytest.raises(SpecificationError, match="no constraints and no bounds"):
        mlsem.fit(SLOPE, article(), cluster="id", estimator="REML", bounds="pos.var")


def test_refused_settings():
    with pytest.raises(OptionValueError, match='"MLR" goes with maximum likelihood'):
        mlsem.lmm("y ~ x1 + (1 | id)", article(), se="MLR")
    with pytest.raises(OptionValueError, match="go with the expected information"):
        mlsem.lmm("y ~ x1 + (1 | id)", article(), information="observed")
    with pytest.raises(OptionValueError, match='"MLR" goes with maximum likelihood'):
        mlsem.lmm("y ~ x1 + (1 | id)", article()).with_se("MLR")


# --- the boundary -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*clusters are few.*:mlsem.InferenceWarning")
@pytest.mark.parametrize(
    "seed", [102, 120, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (104, 121))]
)
def test_random_slopes_without_a_maximum_are_kept_semidefinite(seed):
    """Where negative variances would let the likelihood grow without end."""
    data = flat_data(seed)
    with pytest.warns(EstimationWarning, match="is singular"):
        fit = mlsem.fit('level: 1\n y ~ rv("s")*x\nlevel: 2\n y ~~ s', data, cluster="id")
    with pytest.warns(EstimationWarning, match="is singular"):
        theirs = mlsem.lmm("y ~ x + (x | id)", data, REML=False)
    assert fit.converged
    assert fit.singular
    assert fit.loglik == pytest.approx(theirs.loglik, abs=1e-8)
    assert (fit.bse > 0).all()
    assert fit.params["s~~s.l2"] * fit.params["y~~y.l2"] >= fit.params["s~~y.l2"] ** 2 - 1e-9


def test_a_maximum_at_a_negative_variance_stays():
    """As in lavaan: only mixed models are kept semidefinite if there is a maximum outside."""
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(40), 4)
    data = pd.DataFrame({"x": rng.normal(size=160), "id": ids})
    data["y"] = data["x"] + rng.normal(size=160)
    data["y"] -= 0.9 * data.groupby("id")["y"].transform("mean")
    with pytest.warns(EstimationWarning, match="negative variance"):
        fit = mlsem.fit("level: 1\n y ~ x\nlevel: 2\n y ~~ y", data, cluster="id")
    assert fit.params["y~~y.l2"] < 0
    assert not fit.singular
    with pytest.warns(EstimationWarning, match="is singular"):
        theirs = mlsem.lmm("y ~ x + (1 | id)", data, REML=False)
    assert theirs.params["id.(Intercept)"] == pytest.approx(0, abs=1e-8)
    assert theirs.loglik < fit.loglik


@pytest.mark.filterwarnings("ignore:.*clusters are few.*:mlsem.InferenceWarning")
def test_a_maximum_that_another_start_finds_goes_before_the_boundary():
    rng = np.random.default_rng(153)
    ids = np.repeat(np.arange(12), 4)
    w = np.repeat(rng.normal(size=12), 4)
    x, e = rng.normal(size=(2, 48))
    data = pd.DataFrame({"y": 0.5 * x + 0.3 * w + e, "x": x, "w": w, "id": ids})
    model = 'level: 1\n y ~ rv("s")*x\nlevel: 2\n y ~ s + w'
    with pytest.warns(EstimationWarning, match="negative variance"):
        fit = mlsem.fit(model, data, cluster="id")
    assert fit.converged
    assert not fit.singular
    assert fit.loglik == pytest.approx(-57.09412, abs=1e-4)  # on the boundary: -63.71
