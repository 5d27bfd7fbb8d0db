"""The likelihood of three-level mixed models against n × n matrices."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from dense_nested_mixed import DenseNested

from mlsem.core.linalg import least_squares
from mlsem.core.restricted.nested.clusters import NestedMixedRows, nested_parts, scores
from mlsem.core.restricted.nested.effects import effects
from mlsem.core.restricted.nested.likelihood import NestedModel, NestedObjective, changes
from mlsem.core.restricted.nested.rows import nested_rows
from tests.support.differences import jacobian

# random slopes of the classes, of the schools
SLOPES = [(False, False), (True, False), (False, True), (True, True)]
EITHER = [(slopes, restricted) for slopes in SLOPES for restricted in (False, True)]


@cache
def _case(slopes, restricted):
    """Classes of one row, and schools of one class, are among them."""
    draw = np.random.default_rng(4)
    counts = np.array([3, 1, 4, 2, 1, 3])
    sizes = draw.integers(1, 6, counts.sum())
    classes = np.repeat(np.arange(len(sizes)), sizes)
    schools = np.repeat(np.arange(len(counts)), counts)[classes]
    x, z = draw.normal(size=len(classes)) + 3.0, draw.normal(size=len(counts))[schools]
    design = np.column_stack((np.ones(len(x)), x, z))
    outcome = draw.normal(size=len(x)) + 0.8 * draw.normal(size=len(sizes))[classes] + z
    lower, upper = (np.arange(1 + slope) for slope in slopes)
    carriers = design[:, : 1 + max(slopes)]
    rows = nested_rows(outcome, design, carriers, [lower], [upper], sizes, counts)
    dense = DenseNested(
        outcome,
        design,
        carriers[:, lower] @ rows.lower_turn,
        carriers[:, upper] @ rows.upper_turn,
        classes,
        schools,
        restricted,
    )
    found = {"lower": [], "upper": []}
    for which, a, b in dense.cells:
        for name, own in found.items():
            own.append(np.zeros((getattr(dense, name).shape[1],) * 2))
            if name == which:
                own[-1][a, b] = own[-1][b, a] = 1.0
    cells = {k: np.array([*own, np.zeros_like(own[0])]) for k, own in found.items()}
    phi = [0.5, *([0.1, 0.3] if slopes[0] else []), 0.4, *([-0.1, 0.2] if slopes[1] else []), 1.2]
    return NestedObjective(NestedModel(rows, **cells, restricted=restricted)), dense, np.array(phi)


def _point(objective, phi):
    return objective.evaluate(np.append(np.zeros(3), phi))


def _derivatives(objective, phi):
    point = _point(objective, phi)
    return objective.derivatives(point, np.eye(len(point.params)))


@pytest.mark.parametrize(("slopes", "restricted"), EITHER)
def test_likelihood_and_fixed_effects(slopes, restricted) -> None:
    objective, dense, phi = _case(slopes, restricted)
    point = _point(objective, phi)
    beta, bread = dense.fixed(phi)
    assert point.loglik == pytest.approx(dense.loglik(phi), rel=1e-13)
    np.testing.assert_allclose(point.params, [*beta, *phi], rtol=1e-12)
    np.testing.assert_allclose(point.root @ point.root.T, bread, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("slopes", "restricted"), EITHER)
def test_derivatives(slopes, restricted) -> None:
    objective, dense, phi = _case(slopes, restricted)
    at = _derivatives(objective, phi)
    np.testing.assert_allclose(at.slopes, jacobian(dense.loglik, phi), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(at.expected, dense.expected(phi), rtol=1e-12, atol=1e-12)
    differences = -jacobian(lambda each: _derivatives(objective, each).slopes, phi)
    np.testing.assert_allclose(at.observed, differences, rtol=1e-8, atol=1e-8)


def test_a_covariance_that_is_not_positive_definite_is_outside() -> None:
    objective, _, phi = _case((True, True), True)
    assert _point(objective, np.where(np.arange(len(phi)) == 3, -0.9, phi)) is None
    assert _point(objective, np.where(np.arange(len(phi)) == 0, -2.0, phi)) is None
    assert _point(objective, np.append(phi[:-1], -1.0)) is None


def test_a_variance_of_zero_is_an_ordinary_point() -> None:
    objective, dense, phi = _case((False, True), True)
    none = np.array([0.0, 0.3, 0.0, 0.0, 1.2])
    assert len(none) == len(phi)
    assert _point(objective, none).loglik == pytest.approx(dense.loglik(none), rel=1e-13)


@pytest.mark.parametrize("slopes", SLOPES)
def test_predictions(slopes) -> None:
    objective, dense, phi = _case(slopes, True)
    point = _point(objective, phi)
    found = effects(point)
    inverse = np.linalg.inv(dense.covariance(phi))
    number = {"lower": dense.classes.max() + 1, "upper": dense.schools.max() + 1}
    columns, priors = {}, {}
    for which, ids, psi in (
        ("lower", dense.classes, point.psi),
        ("upper", dense.schools, point.omega),
    ):
        own = np.zeros((len(ids), number[which], len(psi)))
        own[np.arange(len(ids)), ids] = getattr(dense, which)
        columns[which], priors[which] = (
            own.reshape(len(ids), -1),
            np.kron(np.eye(number[which]), psi),
        )
        pulled = priors[which] @ columns[which].T @ inverse
        spread = priors[which] - pulled @ columns[which] @ priors[which]
        blocks = spread.reshape(number[which], len(psi), number[which], len(psi))
        every = np.arange(number[which])
        shape = (number[which], len(psi))
        expected = {
            "": (pulled @ dense.residuals(phi)).reshape(shape),
            "_covariance": blocks[every, :, every],
            "_moved": (pulled @ dense.design).reshape(*shape, -1),
        }
        for kind, value in expected.items():
            got = getattr(found, which + kind)
            np.testing.assert_allclose(got, value, rtol=1e-10, atol=1e-12)
    both = -priors["lower"] @ columns["lower"].T @ inverse @ columns["upper"] @ priors["upper"]
    both = both.reshape(number["lower"], len(point.psi), number["upper"], len(point.omega))
    owner = objective.model.rows.owner
    expected = both[np.arange(number["lower"]), :, owner]
    np.testing.assert_allclose(found.crossed, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("slopes", SLOPES)
def test_scores_and_information_of_schools(slopes) -> None:
    objective, dense, phi = _case(slopes, False)
    point = _point(objective, phi)
    moved = changes(point)
    parts = nested_parts(point, moved, np.ones(3 + len(phi)))
    along = np.random.default_rng(1).normal(size=(2, 3 + len(phi)))
    everyone = np.arange(parts.n_clusters)
    fourth = parts.fourth_cumulants(everyone, np.repeat(along[None], len(everyone), axis=0))
    third = parts.third_cumulants(everyone, np.repeat(along[None], len(everyone), axis=0))
    e = dense.residuals(phi)
    for k in everyone:
        here = np.flatnonzero(dense.schools == k)
        V, *each = (m[np.ix_(here, here)] for m in (dense.covariance(phi), *dense.changes()))
        X = dense.design[here] @ point.root
        weighted = np.linalg.solve(V, np.column_stack((X, e[here])))
        share = [np.linalg.solve(V, one) for one in each]
        expected = [0.5 * (weighted[:, -1] @ one @ weighted[:, -1]) for one in each]
        expected = np.array(expected) - [0.5 * np.trace(one) for one in share]
        np.testing.assert_allclose(
            scores(point, moved)[k], [*(X.T @ weighted[:, -1]), *expected], rtol=1e-10, atol=1e-11
        )
        information = [[0.5 * np.trace(a @ b) for b in share] for a in share]
        np.testing.assert_allclose(parts.each[k, 3:, 3:], information, rtol=1e-10)
        np.testing.assert_allclose(parts.each[k, :3, :3], X.T @ weighted[:, :-1], rtol=1e-10)
        assert not parts.each[k, :3, 3:].any()
        for c in range(2):
            total = sum(a * one for a, one in zip(along[c, 3:], share, strict=True))
            square = total @ total
            assert fourth[k, c] == pytest.approx(3.0 * np.trace(square @ square), rel=1e-9)
            cubes = [np.trace(square @ one) for one in share]
            np.testing.assert_allclose(third[k, c, 3:], cubes, rtol=1e-9)


@pytest.mark.parametrize("slopes", SLOPES)
def test_rows_of_schools_keep_what_their_weighted_products_are(slopes) -> None:
    objective, _, phi = _case(slopes, True)
    point = _point(objective, phi)
    whole = NestedMixedRows(point).of(slice(1, 5))
    weighted = whole.design / whole.variances[:, None]
    for k in range(4):
        X = whole.design[:, :, k]
        np.testing.assert_allclose(
            weighted[:, :, k].T @ X, point.products[:-1, :-1, 1 + k], rtol=1e-9, atol=1e-11
        )
        pulled = weighted[:, :, k].T @ whole.residuals[:, k]
        np.testing.assert_allclose(pulled, point.products[:-1, -1, 1 + k], rtol=1e-9, atol=1e-11)


def test_rows_in_units_far_from_one() -> None:
    """A covariate far from zero costs no digits of the others."""
    objective, dense, phi = _case((False, False), True)
    far = dense.design.copy()
    far[:, 1] += 1e6
    sizes, counts = np.bincount(dense.classes), objective.model.rows.counts
    none = np.arange(1)
    rows = nested_rows(dense.outcome, far, far[:, :1], [none], [none], sizes, counts)
    moved = NestedObjective(NestedModel(rows, objective.model.lower, objective.model.upper, True))
    found, plain = _point(moved, phi), _point(objective, phi)
    assert found.loglik == pytest.approx(plain.loglik, rel=1e-10)
    assert found.params[1] == pytest.approx(plain.params[1], rel=1e-8)


def test_origin_is_least_squares() -> None:
    objective, dense, _ = _case((False, False), True)
    expected = least_squares(dense.design, dense.outcome)
    np.testing.assert_allclose(objective.model.rows.origin, expected, rtol=1e-10)
