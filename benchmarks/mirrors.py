"""Where a fit goes that does not converge: other starts, the boundary, parameters without bound.

The poles and mirror images are those of `mlsem.estimation.mirror`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

import mlsem
from benchmarks.random_design import Drawn
from mlsem.estimation.mirror import mirror_images

Array = np.ndarray
BOUNDARY = 0.05
"""Smallest eigenvalue of a cluster's covariance, relative to no clustering, that is near 0."""


def fitted(drawn: Drawn, **options: Any) -> mlsem.FitResult:
    """The fit, silently."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlsem.fit(drawn.model, drawn.data, cluster="id", fixed_x=drawn.fixed_x, **options)


@dataclass(frozen=True)
class Maximum:
    """A maximum that another start found."""

    loglik: float
    params: Array
    names: tuple[str, ...]
    how: str

    @property
    def negative(self) -> list[str]:
        return negative_variances(self.names, self.params)


def negative_variances(names: tuple[str, ...], params: Array) -> list[str]:
    found = []
    for name, value in zip(names, params, strict=True):
        lhs, op, rhs = name.partition("~~")
        if op and lhs == rhs.removesuffix(".l2") and value < 0:
            found.append(name)
    return found


def other_maximum(drawn: Drawn, random_starts: int = 10) -> Maximum | None:
    """The best maximum from mirror images of early iterates and from random starts."""
    best: Maximum | None = None
    for how, start in _starts(drawn, random_starts):
        try:
            result = fitted(drawn, start=start, max_iter=60, se="none")
        except Exception:  # outside the parameter space, or what `fit` itself trips over
            continue
        if result.converged and (best is None or result.loglik > best.loglik + 1e-7):
            best = Maximum(result.loglik, result._estimates.optimum.params, result.table.names, how)
    return best


def _starts(drawn: Drawn, random_starts: int) -> list[tuple[str, Array]]:
    starts: list[tuple[str, Array]] = []
    first = None
    for iterations in (1, 6, 20):
        try:
            early = fitted(drawn, max_iter=iterations, se="none")
        except mlsem.MlsemError:
            continue
        first = early._estimates.optimum.params if first is None else first
        starts += [
            ("mirror image", start)
            for start in mirror_images(early.table, early._estimates.optimum.params)
        ]
    if first is not None:
        rng = np.random.default_rng(drawn.number)
        starts += [
            ("random start", first * (1 + 0.5 * rng.uniform(-1, 1, len(first))))
            for _ in range(random_starts)
        ]
    return starts


@dataclass(frozen=True)
class Edge:
    """How near a fit is to the boundary of the parameter space.

    The smallest eigenvalue of I + Σ_u C over cluster sizes, the size where it is, and how many
    clusters have that size.
    """

    eigenvalue: float
    size: int
    clusters: int


def edge(result: mlsem.FitResult) -> Edge:
    point, data = result._estimates.optimum.point, result._estimates.problem.objective.data
    q = result._estimates.problem.objective.pattern.split
    lower = np.linalg.cholesky(point.precision[:q, :q])
    inner = lower.T @ point.effects.sigma_u @ lower
    least = [np.linalg.eigvalsh(np.eye(q) + n * inner)[0] for n in data.sizes]
    at = int(np.argmin(least))
    return Edge(float(least[at]), int(data.sizes[at]), int(data.clusters[at]))


def growing(early: mlsem.FitResult, late: mlsem.FitResult) -> list[str]:
    """Parameters that are the largest and still grow."""
    before, after = np.abs(early._estimates.optimum.params), np.abs(late._estimates.optimum.params)
    grown = np.flatnonzero((after > 1.1 * before) & (after > 10))
    order = grown[np.argsort(-after[grown])][:3]
    return [f"{late.table.names[k]} = {late._estimates.optimum.params[k]:.3g}" for k in order]


def long_search(result: mlsem.FitResult, iterations: int = 2000) -> tuple[float, float]:
    """Log-likelihood and gradient norm (in standard errors) after scipy's BFGS from the end."""
    objective, params = result._estimates.problem.objective, result._estimates.optimum.params
    scale = np.maximum(np.abs(params), 0.1)
    everything = np.eye(len(params))

    def value(phi: Array) -> tuple[float, Array]:
        point = objective.evaluate(phi * scale)
        if point is None:
            return 1e10, np.zeros_like(phi)
        return -point.loglik, -objective.derivatives(point, everything).gradient * scale

    with np.errstate(all="ignore"):
        found = minimize(
            value, params / scale, jac=True, method="BFGS",
            options={"maxiter": iterations, "gtol": 1e-9},
        )  # fmt: skip
    point = objective.evaluate(found.x * scale)
    if point is None:
        return float("nan"), float("nan")
    at = objective.derivatives(point, everything)
    expected = objective.expected(point, at)
    step = np.linalg.lstsq(expected, at.gradient, rcond=1e-12)[0]
    return point.loglik, float(np.sqrt(max(0.0, at.gradient @ step)))
