"""Alignment: what it recovers, its derivatives, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from differences import jacobian
from scipy.optimize import minimize

from mlsem.core.alignment import Configural, _criterion, align

# three groups, five items; two parameters of each group are not invariant (of the kind that
# Asparouhov & Muthén, 2014, simulate)
MEANS, VARIANCES = np.array([0.0, 0.3, 1.0]), np.array([1.0, 1.5, 1.2])
SIZES = np.array([100.0, 200.0, 500.0])


def _three(exact: bool = False) -> tuple[Configural, np.ndarray, np.ndarray]:
    loadings, intercepts = np.ones((3, 5)), np.zeros((3, 5))
    if not exact:
        loadings[[0, 1, 2], [2, 4, 3]] = 1.4, 0.5, 0.3
        intercepts[[0, 1, 2], [4, 0, 1]] = 0.5, -0.5, 0.5
    configural = Configural(
        loadings * np.sqrt(VARIANCES)[:, None], intercepts + MEANS[:, None] * loadings, SIZES
    )
    return configural, loadings, intercepts


def _noisy(groups: int, items: int, seed: int = 1) -> Configural:
    generator = np.random.default_rng(seed)
    loadings = np.exp(0.3 * generator.normal(size=(groups, 1))) * (
        0.8 + 0.15 * generator.normal(size=(groups, items))
    )
    intercepts = 0.5 * generator.normal(size=(groups, 1)) * loadings
    intercepts += 0.2 * generator.normal(size=(groups, items))
    return Configural(loadings, intercepts, generator.integers(50, 500, groups).astype(float))


def _all(found) -> np.ndarray:
    parts = [found.means, found.variances, found.loadings.ravel()]
    parts += [] if found.intercepts is None else [found.intercepts.ravel()]
    return np.concatenate(parts)


def test_recovers_what_is_invariant_exactly_whatever_epsilon() -> None:
    configural, loadings, intercepts = _three(exact=True)
    for epsilon in (1.0, 0.01, 1e-4):
        found = align(configural, epsilon=epsilon)
        assert np.allclose(found.means, MEANS, atol=1e-8)
        assert np.allclose(found.variances, VARIANCES, atol=1e-8)
        assert np.allclose(found.loadings, loadings, atol=1e-8)
        assert np.allclose(found.intercepts, intercepts, atol=1e-8)


@pytest.mark.parametrize("identification", ["fixed", "free"])
def test_few_large_differences_are_left_where_they_are(identification) -> None:
    configural, loadings, intercepts = _three()
    found = align(configural, identification=identification, unit="reference", epsilon=1e-6)
    assert np.allclose(found.means, MEANS, atol=2e-3)
    assert np.allclose(found.variances, VARIANCES, atol=5e-3)
    assert np.allclose(found.loadings, loadings, atol=5e-3)
    assert np.allclose(found.intercepts, intercepts, atol=5e-3)
    assert found.agreeing == len(found.reached)


@pytest.mark.parametrize("identification", ["fixed", "free"])
def test_minimum_is_that_of_the_criterion_as_it_is_written(identification) -> None:
    configural = _noisy(4, 5)

    def criterion(x: np.ndarray) -> float:
        tau = np.append(x[:3], -x[:3].sum())
        alpha = np.append(x[3:], []) if identification == "free" else np.append(0.0, x[3:])
        loadings = configural.loadings / np.exp(tau)[:, None]
        intercepts = configural.intercepts - alpha[:, None] * loadings
        total = 0.0
        for g in range(4):
            for h in range(g + 1, 4):
                weight = np.sqrt(configural.sizes[g] * configural.sizes[h])
                for each in (loadings, intercepts):
                    total += weight * (((each[g] - each[h]) ** 2 + 0.01) ** 0.25).sum()
        return total

    found = align(configural, identification=identification, unit="product")
    count = 7 if identification == "free" else 6
    generator = np.random.default_rng(2)
    others = [
        minimize(criterion, 0.3 * generator.normal(size=count), tol=1e-10).fun for _ in range(20)
    ]
    assert found.simplicity == pytest.approx(min(others), rel=1e-7)
    assert np.prod(found.variances) == pytest.approx(1.0)
    tau = 0.5 * np.log(found.variances)
    own = np.concatenate((tau[:3], found.means if identification == "free" else found.means[1:]))
    assert criterion(own) == pytest.approx(found.simplicity)


def test_derivatives_of_the_criterion() -> None:
    configural = _noisy(4, 3)
    hole = configural.loadings.copy()
    hole[1, 2] = np.nan
    criterion = _criterion(replace(configural, loadings=hole), "free", 0, 0.01)
    x = 0.3 * np.random.default_rng(3).normal(size=8)

    def along(z: np.ndarray) -> np.ndarray:
        return x + criterion.basis @ z

    origin = np.zeros(criterion.basis.shape[1])
    gradient, hessian = criterion.derivatives(x)
    assert np.allclose(gradient, jacobian(lambda z: criterion.value(along(z)), origin), atol=1e-9)
    numeric = jacobian(lambda z: criterion.derivatives(along(z))[0], origin)
    assert np.allclose(hessian, numeric, atol=1e-8)


@pytest.mark.parametrize("identification", ["fixed", "free"])
@pytest.mark.parametrize("unit", ["reference", "product"])
@pytest.mark.parametrize("kind", ["both", "loadings alone", "a missing item"])
def test_gradients_of_the_solution(identification, unit, kind) -> None:
    configural = _noisy(3, 4, seed=5)
    loadings, intercepts = configural.loadings.copy(), configural.intercepts
    assert intercepts is not None
    if kind == "a missing item":
        loadings[2, 1] = np.nan
    there = ~np.isnan(loadings)

    def solution(y: np.ndarray):
        own = np.where(there, y[:12].reshape(3, 4), np.nan)
        with_means = None if kind == "loadings alone" else y[12:].reshape(3, 4)
        found = align(
            Configural(own, with_means, configural.sizes),
            identification=identification,
            unit=unit,
            reference=1,
            starts=0,
        )
        return np.nan_to_num(_all(found)), found.gradients

    y = np.nan_to_num(np.concatenate((loadings.ravel(), intercepts.ravel())))
    y = y[:12] if kind == "loadings alone" else y
    gradients = solution(y)[1]
    assert gradients is not None
    ways = np.random.default_rng(4).normal(size=(2, len(y)))
    numeric = jacobian(lambda z: solution(y + z @ ways)[0], np.zeros(2))
    assert np.allclose(gradients @ ways.T, numeric, atol=2e-6)


def test_order_of_groups_and_items_and_the_unit_of_all_items_do_not_matter() -> None:
    configural = _noisy(6, 4)
    found = align(configural, identification="free", unit="product")
    order, items = np.array([3, 1, 5, 0, 2, 4]), np.array([2, 0, 3, 1])
    other = align(
        Configural(
            configural.loadings[order][:, items],
            configural.intercepts[order][:, items],
            configural.sizes[order],
        ),
        identification="free",
        unit="product",
        reference=2,
    )
    assert np.allclose(other.means, found.means[order], atol=1e-7)
    assert np.allclose(other.variances, found.variances[order], atol=1e-7)
    assert np.allclose(other.loadings, found.loadings[order][:, items], atol=1e-7)
    larger = align(
        Configural(10.0 * configural.loadings, 10.0 * configural.intercepts, configural.sizes),
        identification="free",
        unit="product",
        epsilon=1.0,
    )
    assert np.allclose(larger.means, found.means, atol=1e-7)
    assert np.allclose(larger.loadings, 10.0 * found.loadings, atol=1e-6)


def test_items_that_a_group_lacks_have_no_part() -> None:
    configural, _, _ = _three(exact=True)
    loadings = configural.loadings.copy()
    loadings[0, 1] = loadings[2, 4] = np.nan
    found = align(replace(configural, loadings=loadings))
    assert np.allclose(found.means, MEANS, atol=1e-8)
    assert np.allclose(found.variances, VARIANCES, atol=1e-8)
    assert np.array_equal(np.isnan(found.loadings), np.isnan(loadings))
    assert found.gradients is not None
    assert np.isfinite(found.gradients).all()


def test_free_means_of_invariant_loadings_are_not_determined() -> None:
    configural, _, _ = _three(exact=True)
    assert align(configural, identification="free").gradients is None
