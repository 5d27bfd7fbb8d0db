"""CR2 of residuals against matrices of a cluster's size, for every working correlation."""

from __future__ import annotations

import numpy as np
import pytest

from mlsem.core.generalized.correlations import Autoregressive, Exchangeable, Independence
from mlsem.core.generalized.residual_form import LEVERAGE_ONE, residual_form
from mlsem.core.generalized.rows import Rows

GAPS = np.array([0, 1, 2, 1, 0, 1, 0, 3, 1, 1, 0, 1, 1, 1, 1], dtype=float)
STARTS = np.array([0, 4, 6, 10])
CORRELATIONS = [
    Independence(),
    Exchangeable(0.4),
    Exchangeable(-0.15),
    Autoregressive(0.7),
    Autoregressive(-0.5),
]


def _rows(design: np.ndarray) -> Rows:
    count = design.shape[1]
    return Rows(design, np.zeros(count), np.zeros(count), np.ones(count), STARTS, GAPS)


def _correlations(kind, own: slice) -> np.ndarray:
    size = own.stop - own.start
    if kind.name == "ar1":
        times = np.cumsum(np.append(0.0, GAPS[own][1:]))
        return kind.rho ** np.abs(times[:, None] - times)
    return (1.0 - kind.rho) * np.eye(size) + kind.rho


def _power(matrix: np.ndarray, power: float, floor: float = 0.0) -> np.ndarray:
    """Of a symmetric matrix; eigenvalues below the floor are left out."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > floor
    return (vectors[:, kept] * values[kept] ** power) @ vectors[:, kept].T


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("kind", CORRELATIONS, ids=lambda kind: f"{kind.name} {kind.rho}")
def test_it_is_that_of_the_definition(kind, alone):
    draw = np.random.default_rng(7)
    moved = draw.normal(size=(3, 15))
    if alone:  # the second cluster alone has what the last column is made of
        moved[2] = 0.0
        moved[2, 4:6] = 1.0, 0.5
    variance, residual = draw.uniform(0.1, 0.9, 15), draw.normal(size=15)
    found = residual_form(_rows(moved), kind, moved, variance, residual)
    parts = [slice(a, b) for a, b in zip(STARTS, [*STARTS[1:], 15], strict=True)]
    covers = [
        _correlations(kind, own) * np.sqrt(np.outer(variance[own], variance[own])) for own in parts
    ]
    inverses = [np.linalg.inv(cover) for cover in covers]
    M = np.linalg.inv(
        sum(moved[:, o] @ i @ moved[:, o].T for o, i in zip(parts, inverses, strict=True))
    )
    for j, (own, cover, inverse) in enumerate(zip(parts, covers, inverses, strict=True)):
        X, e = moved[:, own].T, residual[own]
        half = _power(cover, 0.5)
        inner = half @ (cover - X @ M @ X.T) @ half
        A = half @ _power(inner, -0.5, 1e-3 * LEVERAGE_ONE) @ half
        assert found.scores[j] == pytest.approx(X.T @ inverse @ A @ e, rel=1e-8, abs=1e-9)
        assert found.pull[j] == pytest.approx(X.T @ inverse @ A @ X, rel=1e-8, abs=1e-9)
        # Cov(û_j) = XᵀΦ⁻¹A (Φ - X M Xᵀ) A Φ⁻¹X
        wanted = X.T @ inverse @ A @ (cover - X @ M @ X.T) @ A @ inverse @ X
        own_spread = found.spread[j] - found.pull[j] @ M @ found.pull[j].T
        assert own_spread == pytest.approx(wanted, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("kind", CORRELATIONS, ids=lambda kind: f"{kind.name} {kind.rho}")
def test_correlations_and_their_inverses(kind):
    draw = np.random.default_rng(3)
    rows = _rows(draw.normal(size=(2, 15)))
    values, deviation = draw.normal(size=(2, 15)), draw.uniform(0.4, 2.0, 15)
    white, inverse = kind.white(rows, values), kind.inverse(rows, values)
    damped = kind.damped(rows, deviation, 0.6, values)
    ends = [*STARTS[1:], 15]
    least, most = kind.bounds(rows)
    for a, b in zip(STARTS, ends, strict=True):
        own = slice(a, b)
        R = _correlations(kind, own)
        cover = R * np.outer(deviation[own], deviation[own])
        assert inverse[:, own] == pytest.approx(values[:, own] @ np.linalg.inv(R), abs=1e-12)
        assert white[:, own] @ white[:, own].T == pytest.approx(
            values[:, own] @ np.linalg.inv(R) @ values[:, own].T, abs=1e-12
        )
        wanted = values[:, own] @ np.linalg.inv(0.36 * np.linalg.inv(cover) + cover)
        assert damped[:, own] == pytest.approx(wanted, abs=1e-12)
        eigenvalues = np.linalg.eigvalsh(R)
        assert eigenvalues.min() >= least - 1e-12
        assert eigenvalues.max() <= most + 1e-12
