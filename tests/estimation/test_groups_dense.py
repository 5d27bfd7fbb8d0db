"""Several groups against dense matrices of each: what is shared, constrained, bounded, far away or
started elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense import Dense
from differences import jacobian
from grouped_kinds import rows
from kinds import saturated_of

import mlsem

pytestmark = pytest.mark.filterwarnings(
    "ignore::mlsem.InferenceWarning", "ignore::mlsem.EstimationWarning"
)

LATENT = """
level: 1
  fw =~ y1 + c(a2, b2)*y2 + c(a3, b3)*y3
  fw ~ c(p, p)*x
  fw ~~ c(v1, v2)*fw
level: 2
  fb =~ y1 + c(k2, k2)*y2 + c(k3, k3)*y3
  y1 ~ c(i1, i1)*1
  fb ~ w
"""
SLOPE = """
level: 1
  y1 ~ rv("s")*x
level: 2
  y1 ~ w + c(m, m)*1
  s ~ c(n1, n2)*1
  y1 ~~ c(t1, t1)*y1 + c(t2, t2)*s
  s ~~ c(t3, t3)*s
"""
PARTS = "level: 1\n y1 ~ c(b, b)*x\n y2 ~ y1\nlevel: 2\n y1 ~ c(d1, d2)*x + w\n y2 ~ c(e, e)*y1"
FAR = "level: 1\n y1 ~ farx\nlevel: 2\n y1 ~ c(q1, q2)*farw + c(i, i)*1\n y1 ~~ c(u1, u2)*y1"
MODELS = {
    "latent, partly shared": (LATENT, {}),
    "linear equality": (LATENT + "\na2 - b2 == 0.1\na3 == b3", {}),
    "inequalities, one active": (LATENT + "\nb2 > a2 + 0.5\nv1 + v2 > 0.1", {}),
    "bounds": (LATENT, {"bounds": "standard"}),
    "random slopes, their covariances shared": (SLOPE, {}),
    "slopes that a constraint ties": (SLOPE + "\nn1 + n2 == 1", {}),
    "parts of covariates": (PARTS, {}),
    "parts of covariates, tied": (PARTS + "\nd2 == 2*d1", {}),
    "far away, the intercept shared": (FAR, {}),
    "far away, tied": (FAR + "\nq1 == q2\nu1 == 2*u2", {}),
    "standardised factors": (LATENT.replace("fw ~~ c(v1, v2)*fw", ""), {"std_lv": True}),
    "one level": ("f =~ y1 + c(a, a)*y2 + c(b, d)*y3\n f ~ x\n y1 ~ c(i, i)*1\nb + d == 1.6", {}),
}


def data():
    return rows(clusters=60)


class Whole:
    """The dense likelihood of all groups."""

    def __init__(self, fit, frame):
        cluster = "id" if fit.table.two_level else None
        self.terms = []
        for group in fit._estimates.groups:
            own = frame[frame["g"] == group.label]
            problem = group.estimates.problem
            self.terms.append(
                (Dense(problem.table, own, cluster, saturated_of(problem)), group.places)
            )

    def loglik(self, params):
        return sum(dense.loglik(params[places]) for dense, places in self.terms)

    def informations(self, params):
        """Of each group, placed into the whole."""
        total = np.zeros((len(params), len(params)))
        for dense, places in self.terms:
            total[np.ix_(places, places)] += dense.expected(params[places])
        return total


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    text, options = MODELS[request.param]
    fit = mlsem.fit(text, data(), "id", group="g", se="standard", tol=1e-10, **options)
    assert fit.converged
    return fit, Whole(fit, data())


def test_likelihood_and_constraints_at_the_maximum(fitted):
    fit, whole = fitted
    params = fit.params.to_numpy()
    assert fit.loglik == pytest.approx(whole.loglik(params), rel=1e-10)
    slopes = [along(whole.loglik, params, step) for step in principal(fit.covariance.matrix).T]
    assert len(slopes) == fit._estimates.free.shape[1]
    np.testing.assert_allclose(slopes, 0.0, atol=2e-5)
    for constraint in fit.table.constraints:
        value = gap(constraint.source, fit.params)
        assert value == pytest.approx(0.0, abs=1e-8) if constraint.equality else value > -1e-8


def principal(matrix):
    """Uncorrelated directions whose squares add up to a covariance matrix."""
    unit = np.sqrt(np.diag(matrix))
    unit = np.where(unit > 0.0, unit, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(unit, unit))
    some = values > 1e-11
    return unit[:, None] * vectors[:, some] * np.sqrt(values[some])


def along(function, point, step, size=0.02):
    """∂f along a step of about a standard error, by five-point differences."""
    weights = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
    return sum(w * function(point + k * size * step) for k, w in weights) / size


def gap(source, values):
    """Left less right of a constraint."""
    for operator in ("==", ">"):
        left, found, right = source.partition(operator)
        if found:
            return eval(left, {}, dict(values)) - eval(right, {}, dict(values))
    raise AssertionError(source)


def test_informations(fitted):
    """The expected one by dense matrices, the observed one by differences of the gradient; where
    nothing curves, the standard errors that they give along what constraints leave free."""
    fit, whole = fitted
    estimates, params = fit._estimates, fit.params.to_numpy()
    objective, unit = estimates.problem.objective, np.diag(fit.bse.clip(lower=1e-6))

    def gradient(params):
        return objective.derivatives(objective.evaluate(params), unit).gradient

    point = objective.evaluate(params)
    at = objective.derivatives(point, unit)
    close(objective.expected(point, at), unit @ whole.informations(params) @ unit, 1e-6)
    wanted = -jacobian(lambda t: gradient(params + unit @ t), np.zeros(len(params)), 1e-2)
    close(objective.observed(point, at), 0.5 * (wanted + wanted.T), 1e-5)
    if np.isnan(fit.bse).any():
        return
    free = estimates.free
    inner = np.linalg.solve(unit, free)
    kind = "observed" if fit.covariance.form == "observed" else "expected"
    matrix = getattr(objective, kind)(point, at)
    spread = free @ np.linalg.inv(inner.T @ matrix @ inner) @ free.T
    np.testing.assert_allclose(fit.bse, np.sqrt(np.diag(spread)), rtol=1e-5, atol=1e-9)


def close(found, wanted, tol):
    """To `tol` of the largest entry."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tol * max(1.0, np.abs(wanted).max()))


def test_starting_values_by_name():
    text, _ = MODELS["latent, partly shared"]
    usual = mlsem.fit(text, data(), "id", group="g", tol=1e-10)
    start = {"a2": 1.4, "b2": 0.5, "k2": 1.3, "y2~~y2.g2": 0.9, "fb~w.g2.l2": -0.2}
    found = mlsem.fit(text, data(), "id", group="g", tol=1e-10, start=start)
    np.testing.assert_allclose((found.params - usual.params) / usual.bse, 0.0, atol=1e-6)
    again = mlsem.fit(text, data(), "id", group="g", tol=1e-10, start=usual, max_iter=3)
    assert again.converged
    written = text.replace("c(a2, b2)*y2", "c(a2, b2)*y2 + start(c(1.4, 0.5))*y2")
    assert mlsem.fit(written, data(), "id", group="g").converged
    with pytest.raises(mlsem.OptionValueError, match=r"y2~~y2\.g2"):
        mlsem.fit(text, data(), "id", group="g", start={"y2~~y2.g3": 1.0})


@pytest.mark.parametrize("bounds", ["pos.var", "standard", "wide"])
def test_bounds_are_those_of_each_group(bounds):
    """Of groups with nothing in common, those of separate fits."""
    text = "level: 1\n fw =~ y1 + y2 + y3\nlevel: 2\n fb =~ y1 + y2 + y3"
    frame = data()
    found = mlsem.fit(text, frame, "id", group="g", bounds=bounds, tol=1e-10)
    for group, (_, part) in zip(found._estimates.groups, frame.groupby("g"), strict=True):
        fit = mlsem.fit(text, part, "id", bounds=bounds, tol=1e-10)
        own = [r for r in found.table.rows if r.group == group.number and r.free >= 0]
        theirs = [row for row in fit.table.rows if row.free >= 0]
        limits = [(row.lower, row.upper) for row in own]
        assert limits == [(row.lower, row.upper) for row in theirs]
        difference = found.estimates[group.places] - fit.estimates
        np.testing.assert_allclose(difference / fit.bse, 0.0, atol=1e-6)


def test_growth_of_groups():
    frame = data()
    model = "i =~ 1*y1 + 1*y2 + 1*y3 + 1*y4\n s =~ 0*y1 + 1*y2 + 2*y3 + 3*y4"
    found = mlsem.growth(model, frame, group="g", tol=1e-10)
    parts = [mlsem.growth(model, part, tol=1e-10) for _, part in frame.groupby("g")]
    wanted = pd.concat([parts[0].params, parts[1].params.rename(lambda name: f"{name}.g2")])
    np.testing.assert_allclose(found.params[wanted.index], wanted, rtol=1e-6, atol=1e-8)
    equal = mlsem.growth(model, frame, group="g", group_equal="means")
    assert {*found.params.index} - {*equal.params.index} == {"i~1.g2", "s~1.g2"}
    assert equal.loglik < found.loglik
