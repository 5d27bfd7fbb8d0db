"""Models that no data determine name their parameters; models near them are fitted."""

import re
import warnings

import numpy as np
import pytest
from kinds import make_data

import mlsem

TWO = "level: 1\n y1 ~~ y1\nlevel: 2\n "


@pytest.fixture(scope="module")
def data():
    sizes = np.random.default_rng(1).integers(1, 12, size=60)
    return make_data(22, tuple(sizes))


UNIDENTIFIED = {
    "two indicators, single level": ("f =~ NA*y1 + y2\n f ~~ 1*f", False, {"f=~y1", "f=~y2"}),
    "two indicators, marker": ("f =~ y1 + y2", False, {"f=~y2", "f~~f"}),
    "no scale": ("f =~ NA*y1 + y2 + y3\n f ~~ NA*f", False, {"f=~y1", "f=~y2", "f~~f"}),
    "no scale within": (
        "level: 1\n f =~ NA*y1 + y2 + y3\n f ~~ NA*f\nlevel: 2\n y1 ~~ y1\n y2 ~~ y2\n y3 ~~ y3",
        True,
        {"f=~y1", "f~~f"},
    ),
    "no scale between": (
        "level: 1\n y1 ~~ y2 + y3\n y2 ~~ y3\nlevel: 2\n f =~ NA*y1 + y2 + y3\n f ~~ NA*f",
        True,
        {"f=~y1.l2", "f~~f.l2"},
    ),
    "two indicators between": (
        "level: 1\n y1 ~~ y2\nlevel: 2\n f =~ y1 + y2",
        True,
        {"f=~y2.l2", "f~~f.l2"},
    ),
    "rotation": (
        "f =~ NA*y1 + y2 + y3 + y4\n g =~ NA*y1 + y2 + y3 + y4\n f ~~ 1*f\n g ~~ 1*g\n f ~~ 0*g",
        False,
        {"f=~y1", "g=~y1"},
    ),
    "covariance beside a path": ("y1 ~ y2\n y2 ~ x1\n y1 ~~ y2\n y1 ~ x1", False, {"y1~y2"}),
    "feedback without instruments": ("y1 ~ y2 + x1\n y2 ~ y1 + x1", False, {"y1~y2", "y2~y1"}),
    "mean twice": (
        "f =~ y1 + y2 + y3\n f ~ 1\n y1 ~ 1\n y2 ~ 1\n y3 ~ 1",
        False,
        {"f~1", "y1~1"},
    ),
    "level-2 mean twice": (
        "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ 1",
        True,
        {"fb~1.l2", "y1~1.l2"},
    ),
    "second order of two": (
        "f =~ y1 + y2\n h =~ y3 + y4\n g =~ f + h",
        False,
        {"g=~h", "g~~g"},
    ),
    "level-2 outcome and its factor": (
        "level: 1\n y1 ~~ y1\nlevel: 2\n f =~ z1 + y1",
        True,
        {"f=~y1.l2", "f~~f.l2"},
    ),
}


@pytest.mark.parametrize(
    ("text", "levels", "names"), UNIDENTIFIED.values(), ids=UNIDENTIFIED.keys()
)
def test_unidentified(data, text, levels, names):
    with pytest.raises(mlsem.IdentificationError, match="not identified") as caught:
        mlsem.fit(text, data, cluster="id" if levels else None)
    assert names <= set(re.findall("'([^']+)'", str(caught.value)))


def test_only_the_parameters_involved_are_named(data):
    model = (
        "level: 1\n f =~ y1 + y2 + y3\n y4 ~ x1\n"
        "level: 2\n y1 ~~ y1\n y2 ~~ y2\n y3 ~~ y3\n g =~ y4 + z1\n g ~ w1"
    )
    with pytest.raises(mlsem.IdentificationError) as caught:
        mlsem.fit(model.replace("\n g ~ w1", ""), data, cluster="id")
    message = str(caught.value)
    assert "g=~z1.l2" in message
    for name in ("f=~", "y1~~y1", "y4~x1", "f~~f"):
        assert name not in message


@pytest.mark.parametrize(
    "constraint",
    ["r + q == 1", "q == exp(r)", "q < 5"],
)
def test_unidentified_under_constraints(data, constraint):
    """A constraint on other parameters does not help."""
    model = f"f =~ NA*y1 + y2 + y3\n f ~~ NA*f\n y4 ~ p*f + q*x1 + r*w1\n {constraint}"
    with pytest.raises(mlsem.IdentificationError, match=r"f=~y1.*f~~f"):
        mlsem.fit(model, data)


NEAR = {
    "two indicators and a covariate": ("f =~ y1 + y2\n f ~ y3", False),
    "two indicators, equal loadings": ("f =~ 1*y1 + 1*y2", False),
    "two indicators between, equal": ("level: 1\n y1 ~~ y2\nlevel: 2\n f =~ 1*y1 + 1*y2", True),
    "same loadings at both levels": (
        "level: 1\n f =~ y1 + a*y2 + y3\nlevel: 2\n g =~ y1 + a*y2",
        True,
    ),
    "scale by a constraint": ("f =~ a*y1 + b*y2 + c*y3\n f ~~ NA*f\n a + b + c == 3", False),
    "scale by a product": ("f =~ NA*y1 + a*y1 + b*y2 + c*y3\n f ~~ NA*f\n a*b*c == 1", False),
    "feedback with instruments": ("y1 ~ y2 + x1\n y2 ~ y1 + x2", False),
    "three indicators": ("f =~ y1 + y2 + y3", False),
    "single indicator": ("f =~ y1\n f ~ x1", False),
    "covariance beside a path": ("y1 ~ y2\n y2 ~ x1\n y1 ~~ y2", False),
    "latent mean by a marker": ("f =~ y1 + y2 + y3\n f ~ 1\n y1 ~ 0*1", False),
}


@pytest.mark.parametrize(
    ("text", "levels"),
    NEAR.values(),
    ids=NEAR.keys(),
)
def test_near_misses_are_fitted(data, text, levels):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "negative variance", mlsem.EstimationWarning)
        found = mlsem.fit(text, data, cluster="id" if levels else None)
    assert found.converged
    assert (found.bse > 0).all()


def test_scale_by_a_constraint_is_that_of_a_marker(data):
    marker = mlsem.fit("f =~ y1 + y2 + y3", data)
    for text in ("a + b + c == 3", "a*b*c == 1"):
        found = mlsem.fit(f"f =~ NA*y1 + a*y1 + b*y2 + c*y3\n f ~~ NA*f\n {text}", data)
        assert found.loglik == pytest.approx(marker.loglik, abs=1e-8)
        assert found.params["b"] / found.params["a"] == pytest.approx(
            marker.params["f=~y2"], rel=1e-6
        )


# --- the optimiser stops early --------------------------------------------------------------------

MODEL = "level: 1\n fw =~ y1 + y2 + y3\n fw ~ x1\nlevel: 2\n fb =~ y1 + y2 + y3\n fb ~ w1"


def test_too_few_iterations(data):
    with pytest.warns(mlsem.ConvergenceWarning, match=r"max_iter=1 .*raise max_iter") as caught:
        found = mlsem.fit(MODEL, data, cluster="id", estimator="MLR", max_iter=1)
    assert len(caught) == 1
    assert not found.converged
    assert found.n_iterations == 1
    assert found.bse.isna().all()
    assert found.vcov().isna().all(axis=None)
    free = found.parameter_estimates().query("lhs == 'fw' and op == '~'")
    assert free[["se", "stat", "pvalue", "ci_lower"]].isna().all(axis=None)
    assert "NOT converge" in str(found.summary())
    assert np.isfinite(found.params).all()
    assert np.isfinite(found.loglik)


def test_failure_may_raise(data):
    with pytest.raises(mlsem.ConvergenceError, match="max_iter=1"):
        mlsem.fit(MODEL, data, cluster="id", max_iter=1, on_failure="raise")
    assert mlsem.fit(MODEL, data, cluster="id", on_failure="raise").converged


@pytest.mark.parametrize("text", ["p == q^2", "p < -5"])
def test_too_few_iterations_under_constraints(data, text):
    model = MODEL.replace("fw ~ x1", "fw ~ p*x1 + q*x2") + "\n" + text
    with pytest.warns(mlsem.ConvergenceWarning, match="max_iter=1"):
        found = mlsem.fit(model, data, cluster="id", max_iter=1)
    assert not found.converged
    assert found.bse.isna().all()


def test_a_looser_tolerance_takes_no_more_steps(data):
    tight = mlsem.fit(MODEL, data, cluster="id")
    loose = mlsem.fit(MODEL, data, cluster="id", tol=1e-3)
    assert loose.converged
    assert loose.n_iterations <= tight.n_iterations
    assert ((loose.params - tight.params).abs() / tight.bse).max() < 2e-3
