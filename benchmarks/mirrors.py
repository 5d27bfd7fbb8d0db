"""Where a fit goes that does not converge: other starts, the boundary, parameters without bound.

A small variance ψ that has outgoing paths b makes a pole: the data see ψ and the covariances bψ,
so that as ψ passes 0 at fixed bψ, b passes infinity. If the maximum lies at ψ < 0, an ascent from
ψ > 0 runs along the pole for ever. Its mirror image, −ψ and −b with residual variances that keep
the moments, is a start on the other side. A factor whose marker hardly loads has such a pole too.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

import mlsem
from benchmarks.random_design import Drawn

Array = np.ndarray
BOUNDARY = 0.05
"""Smallest eigenvalue of a cluster's covariance, relative to no clustering, that is near 0."""


def fitted(drawn: Drawn, **options: Any) -> mlsem.FitResult:
    """The fit, silently."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlsem.fit(drawn.model, drawn.data, cluster="id", fixed_x=drawn.fixed_x, **options)


def mirrored(result: mlsem.FitResult) -> list[Array]:
    """Mirror images of the estimates in the poles of each variance with outgoing paths."""
    params, starts = result.optimum.params, []
    for level in {row.level for row in result.table.rows}:
        rows = [row for row in result.table.rows if row.level == level]
        variances = {row.lhs: row for row in rows if row.op == "~~" and row.lhs == row.rhs}
        paths = defaultdict(list)
        for row in rows:
            if row.op in ("=~", "~"):
                cause, effect = (row.lhs, row.rhs) if row.op == "=~" else (row.rhs, row.lhs)
                paths[cause].append((effect, row))
        for name, row in variances.items():
            if paths[name] and row.free >= 0:
                starts.append(_negated(params, row, paths[name], variances))
            if any(path.op == "=~" for _, path in paths[name]):
                starts.append(_turned(params, name, rows))
    return starts


def _negated(params: Array, own: Any, paths: list[Any], variances: dict[str, Any]) -> Array:
    """−ψ and −b; residual variances take up 2 b²ψ."""
    moved = params.copy()
    moved[own.free] = -params[own.free]
    for effect, path in paths:
        slope = params[path.free] if path.free >= 0 else (path.fixed or 0.0)
        if path.free >= 0:
            moved[path.free] = -slope
        rest = variances.get(effect)
        if rest is not None and rest.free >= 0:
            moved[rest.free] += 2 * slope**2 * params[own.free]
    return moved


def _turned(params: Array, factor: str, rows: list[Any]) -> Array:
    """The free loadings, paths and covariances of a factor with the other sign."""
    moved = params.copy()
    for row in rows:
        if row.free >= 0 and factor in (row.lhs, row.rhs) and row.lhs != row.rhs and row.op != "~1":
            moved[row.free] = -params[row.free]
    return moved


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
            best = Maximum(result.loglik, result.optimum.params, result.table.names, how)
    return best


def _starts(drawn: Drawn, random_starts: int) -> list[tuple[str, Array]]:
    starts: list[tuple[str, Array]] = []
    first = None
    for iterations in (1, 6, 20):
        try:
            early = fitted(drawn, max_iter=iterations, se="none")
        except mlsem.MlsemError:
            continue
        first = early.optimum.params if first is None else first
        starts += [("mirror image", start) for start in mirrored(early)]
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
    point, data = result.optimum.point, result.problem.objective.data
    q = result.problem.objective.pattern.split
    lower = np.linalg.cholesky(point.precision[:q, :q])
    inner = lower.T @ point.effects.sigma_u @ lower
    least = [np.linalg.eigvalsh(np.eye(q) + n * inner)[0] for n in data.sizes]
    at = int(np.argmin(least))
    return Edge(float(least[at]), int(data.sizes[at]), int(data.clusters[at]))


def growing(early: mlsem.FitResult, late: mlsem.FitResult) -> list[str]:
    """Parameters that are the largest and still grow."""
    before, after = np.abs(early.optimum.params), np.abs(late.optimum.params)
    grown = np.flatnonzero((after > 1.1 * before) & (after > 10))
    order = grown[np.argsort(-after[grown])][:3]
    return [f"{late.table.names[k]} = {late.optimum.params[k]:.3g}" for k in order]


def long_search(result: mlsem.FitResult, iterations: int = 2000) -> tuple[float, float]:
    """Log-likelihood and gradient norm (in standard errors) after scipy's BFGS from the end."""
    objective, params = result.problem.objective, result.optimum.params
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
