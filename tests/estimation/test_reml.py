"""Restricted likelihood against dense matrices, and lme4's fits of mixed models."""

import numpy as np
import pytest
from dense_reml import LME4, MIXED, DenseReml, check_derivatives, maximised, posed, restricted
from dense_slopes import close
from kinds import UNBALANCED, Kind, point_inside, pose
from slope_kinds import SLOPES, slope_data

from mlsem.core.restricted.arranged import components
from mlsem.core.slopes.carriers import slope_moments

OTHERS = {
    "several outcomes": SLOPES["several outcomes"],
    "level-2 outcome": Kind('level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~~ z1 + s\n z1 ~ w1'),
}


CASES = [(name, True) for name in MIXED] + [(name, False) for name in MIXED | OTHERS]


@pytest.mark.parametrize(("name", "mixed"), CASES)
def test_against_dense_matrices(name, mixed):
    model = pose((MIXED | OTHERS)[name], slope_data(5, UNBALANCED))
    objective, fixed, others = restricted(model.fit._estimates.problem, mixed=mixed)
    dense = DenseReml(model.dense, np.flatnonzero(fixed.any(axis=1)))
    params = point_inside(model, 1)
    point = objective.evaluate(params)
    np.testing.assert_allclose(point.loglik, dense.loglik(params), rtol=1e-11)
    close(point.params, dense.parts(params)[-1], 1e-10)
    close(
        objective.expected(point, objective.derivatives(point, others)),
        dense.expected(params, others),
        1e-9,
    )
    check_derivatives(objective, params, others, dense.loglik, 1e-9)


@pytest.mark.parametrize("name", MIXED)
def test_both_forms_go_where_the_other_goes(name):
    """Outside the parameter space, and from points whose fixed effects are absurd."""
    model = pose(MIXED[name], slope_data(5, UNBALANCED))
    problem = model.fit._estimates.problem
    (quick, fixed, _), (general, *_) = (restricted(problem, mixed=mixed) for mixed in (True, False))
    forms = (quick, general)
    params = point_inside(model, 2)
    far = params + 1e3 * fixed.sum(axis=1)
    first, second = (form.evaluate(far) for form in forms)
    np.testing.assert_allclose(first.loglik, second.loglik, rtol=1e-12)
    close(first.params, second.params, 1e-9)
    close(first.root @ first.root.T, second.root @ second.root.T, 1e-9)
    variances = [k for k, n in enumerate(problem.table.names) if n.partition("~~")[1]]
    outside = params.copy()
    outside[variances] = -10.0
    assert [form.evaluate(outside) for form in forms] == [None, None]


def test_only_linear_mixed_models_of_one_outcome_have_components():
    for kind in OTHERS.values():
        problem = pose(kind, slope_data(5, UNBALANCED)).fit._estimates.problem
        pattern = problem.objective.pattern
        data = slope_moments(pattern, problem.moments)
        assert components(pattern, data, np.eye(pattern.n_params), problem.guess) is None


# --- lme4 -----------------------------------------------------------------------------------------


def models(*, reml):
    return [name for name, case in LME4.items() if case["REML"] == reml]


@pytest.mark.parametrize("name", models(reml=True))
def test_lme4_reml(name):
    """ℓ_R at lme4's estimates; fixed effects and their standard errors there and at our optimum."""
    case = LME4[name]
    fit, params, fixed = posed(case)
    objective, means, others = restricted(fit._estimates.problem)
    point = objective.evaluate(params)
    np.testing.assert_allclose(point.loglik, case["logLik"], atol=1e-8)
    optimum = maximised(objective, objective.evaluate(fit._estimates.optimum.params), others)
    assert optimum.converged
    assert optimum.n_iterations < 12
    assert optimum.point.loglik >= case["logLik"] - 1e-9
    for at in (point, optimum.point):
        direction = means @ at.root
        se = np.sqrt(np.einsum("ik,ik->i", direction, direction))[fixed]
        np.testing.assert_allclose(se, case["se_model"], rtol=1e-5)
        assert (np.abs(at.params[fixed] - case["fixef"]) < 1e-5 * se).all()
    np.testing.assert_allclose(optimum.params, params, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", models(reml=False))
def test_lme4_ml(name):
    case = LME4[name]
    fit, params, fixed = posed(case)
    np.testing.assert_allclose(
        fit._estimates.problem.objective.evaluate(params).loglik, case["logLik"]
    )
    np.testing.assert_allclose(fit.loglik, case["logLik"], atol=1e-8)
    np.testing.assert_allclose(
        fit._estimates.optimum.params[fixed], case["fixef"], rtol=1e-5, atol=1e-6
    )
