"""Nonlinear constraints: several sides, their domain, and maxima that a substitution gives too."""

import warnings

import numpy as np
import pandas as pd
import pytest
from kinds import make_data
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import norm

import mlsem
from mlsem.estimation.ml import constraint_functions
from mlsem.model.expressions import compile_constraints

MODEL = "y ~ a*x + b*z\n"


def quietly(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlsem.fit(*args, **options)


def regression(slope):
    x, z, e = np.random.default_rng(3).normal(size=(3, 200))
    return pd.DataFrame({"x": x, "z": z, "y": slope * x + 0.2 * z + e})


def profile(data, slope):
    """ℓ at a slope of x, maximised over the others."""
    others = np.column_stack((np.ones(len(data)), data.z))
    left = (data.y - slope * data.x).to_numpy()
    rest = left - others @ np.linalg.lstsq(others, left, rcond=None)[0]
    return float(norm(0.0, rest.std()).logpdf(rest).sum())


@pytest.mark.parametrize("slope", [0.25, -0.25, 0.02, -0.02])
@pytest.mark.parametrize(
    ("constraint", "allowed"),
    [
        ("abs(a) == 0.3", (0.3, -0.3)),
        ("a^2 == 0.09", (0.3, -0.3)),
        ("(a - 1)*(a + 2) == 0", (1.0, -2.0)),
        ("(a - 0.3)*(a + 0.3)*(a - 0.1) == 0", (0.3, -0.3, 0.1)),
        ("1/a^2 == 4", (0.5, -0.5)),
        ("abs(a) > 0.6", (0.6, -0.6)),
        ("a^2*sqrt((a - 2.01)^2 - 1e-8)/(a - 2.01) == -0.16", (0.4, -0.4)),
    ],
)
def test_the_best_side_counts(constraint, allowed, slope):
    data = regression(slope)
    best = max(profile(data, each) for each in allowed)
    for start in ("", *(f"start({0.9 * each})*x + " for each in allowed)):
        fit = quietly(f"y ~ {start}a*x + b*z\n{constraint}", data, se="none")
        assert fit.converged
        assert fit.loglik == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize("slope", [0.25, -0.25])
def test_sides_of_two_constraints(slope):
    data = regression(slope)
    fit = quietly(MODEL + "abs(a) == 0.3\n b^2 == 0.04", data, se="none")
    assert fit.params["a"] == pytest.approx(np.sign(slope) * 0.3, abs=1e-8)
    assert fit.params["b"] == pytest.approx(0.2, abs=1e-8)


def test_a_chosen_start_stays_on_its_side():
    data = regression(0.25)
    fit = quietly(MODEL + "abs(a) == 0.3", data, start={"a": -0.3}, se="none")
    assert fit.params["a"] == pytest.approx(-0.3, abs=1e-8)


@pytest.mark.parametrize(
    ("slope", "start"), [(0.5, ""), (1.4, "start(0.3)*x + "), (1.4, "start(2)*x + ")]
)
def test_start_outside_the_domain_is_moved_inside(slope, start):
    data = regression(slope)
    fit = quietly(f"y ~ {start}a*x + b*z\n sqrt(a - 1) == b", data, se="none")

    def missed(b):
        rest = data.y - (1 + b * b) * data.x - b * data.z
        return -norm(rest.mean(), rest.std(ddof=0)).logpdf(rest).sum()

    found = minimize_scalar(missed, bounds=(0.0, 3.0), method="bounded", options={"xatol": 1e-10})
    assert fit.converged
    assert fit.loglik == pytest.approx(-found.fun, abs=1e-6)


def test_a_constraint_without_a_domain_is_named():
    with pytest.raises(mlsem.EstimationError, match=r"sqrt\(-1-a\^2\)==b has no value"):
        mlsem.fit(MODEL + "sqrt(-1-a^2) == b", regression(0.5))


# --- maxima that a substitution gives too ---------------------------------------------------------

PATHS = "y2 ~ a1*x1 + x2\n y3 ~ a2*x1 + x2\n y1 ~ b1*y2 + b2*y3 + c*x1\n"
FACTORS = (
    "f =~ u1 + l2*u2 + l3*u3 + u4\n g =~ v1 + k2*v2 + k3*v3 + v4\n"
    "f ~~ vf*f\n g ~~ vg*g\n f ~~ r*g\n"
)
LEVELS = (
    "level: 1\n f1 =~ y1 + l2*y2 + l3*y3 + l4*y4\nlevel: 2\n f2 =~ y1 + h2*y2 + h3*y3 + h4*y4\n"
)


@pytest.mark.parametrize(
    ("text", "name", "solved"),
    [
        (PATHS + "a1*b1 == a2*b2", "a1", lambda p: (p["a2"] * p["b2"] / p["b1"],)),
        (PATHS + "a1*a2 == b1*b2", "a1", lambda p: (p["b1"] * p["b2"] / p["a2"],)),
        (PATHS + "a1*b1 + a2*b2 + c == 0", "c",
         lambda p: (-p["a1"] * p["b1"] - p["a2"] * p["b2"],)),
        (PATHS + "exp(a1) == 1 + b1", "b1", lambda p: (np.exp(p["a1"]) - 1,)),
        (FACTORS + "l2*k2 == l3*k3", "l2", lambda p: (p["l3"] * p["k3"] / p["k2"],)),
        (FACTORS + "r^2 == 0.25*vf*vg", "r", lambda p: _both(0.25 * p["vf"] * p["vg"])),
        (FACTORS + "l2^2 + l3^2 == k2^2 + 1", "k2",
         lambda p: _both(p["l2"] ** 2 + p["l3"] ** 2 - 1)),
        (LEVELS + "l2*l3 == h2*h3", "h2", lambda p: (p["l2"] * p["l3"] / p["h3"],)),
        (LEVELS + "h2*h3*h4 == l2*l3*l4", "h4",
         lambda p: (p["l2"] * p["l3"] * p["l4"] / (p["h2"] * p["h3"]),)),
    ],
)  # fmt: skip
def test_nonlinear_equalities_against_their_substitution(text, name, solved):
    data = drawn()
    options = {"cluster": "id"} if "level" in text else {"meanstructure": True}
    fit = quietly(text, data, se="none", **options)
    assert fit.converged
    functions = constraint_functions(fit.table, compile_constraints(fit.table)).equalities
    assert max(abs(each(fit.estimates)[0]) for each in functions) < 1e-8
    assert fit.n_iterations < 60
    names, place = fit.table.names, fit.table.names.index(name)
    rest = np.delete(np.arange(len(names)), place)
    scale = np.maximum(np.abs(fit.estimates[rest]), 0.1)

    def missed(moves, side):
        params = fit.estimates.copy()
        params[rest] += scale * moves
        found = solved(dict(zip(names, params.tolist(), strict=True)))
        params[place] = found[side]
        point = fit._estimates.problem.objective.evaluate(params)
        return 1e10 if point is None else -point.loglik

    sides = len(solved(fit.params))
    generator = np.random.default_rng(1)
    for side in range(sides):
        begin = 0.02 * generator.normal(size=len(rest))
        found = minimize(missed, begin, args=(side,), method="BFGS", options={"maxiter": 60})
        assert -found.fun <= fit.loglik + 1e-6
    here = min(missed(np.zeros(len(rest)), side) for side in range(sides))
    assert -here == pytest.approx(fit.loglik, abs=1e-7)


def drawn():
    generator = np.random.default_rng(7)
    data = make_data(3, (4, 6, 8) * 14)
    f = generator.normal(size=len(data))
    g = 0.5 * f + generator.normal(size=len(data))
    for name, factor in (("u", f), ("v", g)):
        for k, loading in enumerate((1.0, 0.8, 0.7, 0.9), start=1):
            data[f"{name}{k}"] = loading * factor + 0.7 * generator.normal(size=len(data))
    return data


def _both(square):
    root = np.sqrt(max(square, 0.0))
    return root, -root
