"""Fisher scoring of generalised linear models and of generalised estimating equations.

    β ← β + (Σ_j B_j)⁻¹ Σ_j s_j

(Nelder & Wedderburn, 1972; with a working correlation Liang & Zeger, 1986), and between steps the
moments of the Pearson residuals r, p being counted or not:

    φ̂ = Σ r² / (N - p),   ρ̂ = Σ_{pairs} r r' / φ̂ / (pairs - p)

of all pairs of rows of a cluster (exchangeable), or of those that are one step apart (ar1). ρ is
where ρ̂ of the residuals is ρ; the way there, ρ ← ρ + ω (ρ̂ - ρ), is shortened by the change that the
last one made to ρ̂ - ρ (Irons & Tuck, 1969), without which near a bound it may swing for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.generalized.correlations import (
    Autoregressive,
    Correlation,
    CorrelationName,
    Exchangeable,
    Independence,
)
from mlsem.core.generalized.families import Family, Link
from mlsem.core.generalized.rows import Rows, Standing, cross_products, standing
from mlsem.core.linalg import cholesky, least_squares
from mlsem.core.records import Array, frozen

HALVINGS = 30  # of a step that leads to means that there are not, or to a larger deviance
WORSE = 1e-9  # relative rise of a deviance that is rounding
FAR = 1.0  # standard errors: of longer steps the deviance is looked at, and ρ is not updated yet
UNDECIDED = 5  # unless there were so many
LEAST, MOST = 0.1, 10.0  # ω is between these


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Where the scoring ended.

    Attributes
    ----------
    params : (p,)
    converged : bool
    iterations : int
    correlation : Correlation
    dispersion : float
        φ̂.
    asked : float
        ρ̂, which the correlation has unless it is below its bound.
    rows : Standing
    informations : (J, p, p)
        B_j.
    scores : (J, p)
        s_j.
    deviance : float
    """

    params: Shaped[Array, "p"]
    converged: bool
    iterations: int
    correlation: Correlation
    dispersion: float
    asked: float
    rows: Standing
    informations: Shaped[Array, "J p p"]
    scores: Shaped[Array, "J p"]
    deviance: float


@dataclass(frozen=True, slots=True)
class Working:
    """What a working correlation is estimated by.

    Attributes
    ----------
    name : str
    counts_params : bool
        Whether the denominators are less p.
    """

    name: CorrelationName = "independence"
    counts_params: bool = True


@dataclass(frozen=True, slots=True)
class Sought:
    """On the way to ρ.

    Attributes
    ----------
    correlation : Correlation
    gap : float
        The last ρ̂ - ρ.
    weight : float
        ω.
    """

    correlation: Correlation
    gap: float = np.nan
    weight: float = 1.0

    def towards(self, asked: float, bounds: tuple[float, float], name: CorrelationName) -> Sought:
        """The next one; independence where ρ̂ is outside its bounds."""
        lower, upper = bounds
        if not lower < asked < upper:
            return Sought(Independence())
        rho, gap = self.correlation.rho, asked - self.correlation.rho
        change = self.gap - gap
        weight = self.weight * self.gap / change if abs(change) > 0.0 else 1.0
        weight = min(max(weight, LEAST), MOST) if np.isfinite(weight) else 1.0
        moved = rho + weight * gap
        kind = Exchangeable if name == "exchangeable" else Autoregressive
        return Sought(kind(moved if lower < moved < upper else asked), gap, weight)


@dataclass(frozen=True, slots=True)
class Search:
    """When the scoring ends: where the next step, if steps get shorter as the last one did, is no
    longer than `tol` standard errors; or after so many steps."""

    tol: float = 1e-12
    steps: int = 100


def solve(
    rows: Rows,
    family: Family,
    link: Link,
    working: Working,
    search: Search,
    start: Shaped[Array, "p"] | None = None,
) -> Solution:
    """β̂, ρ̂ and φ̂."""
    deviance = _deviance(rows, family)
    params, there = _first(rows, family, link, start)
    value, size = deviance(there.mean), len(params)
    sought = Sought(Independence())
    asked, converged, iteration, last = 0.0, False, 0, 0.0
    fallen = working.name == "independence"
    for iteration in range(1, search.steps + 1):
        step, length = _step(rows, there, sought.correlation)
        if not np.isfinite(length):
            break
        near = length <= FAR
        params, there, value = _taken(
            rows, family, link, params, step, value, None if near else deviance
        )
        rate = min(1.0, length / last) if last else 1.0
        settled, last = rate * length <= search.tol * max(1.0, np.sqrt(size)), length
        if not fallen and (near or iteration > UNDECIDED):
            asked, bounds = _asked(rows, there.residual, size, working)
            before, sought = sought.correlation.rho, sought.towards(asked, bounds, working.name)
            fallen = sought.correlation.name == "independence"  # for good: ρ̂ may be in there again
            settled &= abs(sought.correlation.rho - before) <= LEAST * search.tol
        if settled:
            converged = True
            break
    correlation = sought.correlation
    scaled = correlation.white(rows, there.scaled)
    return Solution(
        params=frozen(params),
        converged=converged,
        iterations=iteration,
        correlation=correlation,
        dispersion=_dispersion(rows, there.residual, size, working),
        asked=asked,
        rows=there,
        informations=frozen(cross_products(rows, scaled, scaled)),
        scores=frozen(rows.sums(scaled * correlation.white(rows, there.residual)).T),
        deviance=deviance(there.mean),
    )


def _deviance(rows: Rows, family: Family) -> Callable[[Shaped[Array, "N"]], float]:
    def deviance(mean: Shaped[Array, "N"]) -> float:
        return float(rows.trials @ family.deviance(rows.outcome, mean))

    return deviance


def _first(
    rows: Rows, family: Family, link: Link, start: Shaped[Array, "p"] | None
) -> tuple[Shaped[Array, "p"], Standing]:
    """By least squares of the link of means near the outcomes; where these coefficients give means
    that there are not, a constant mean."""
    if start is None:
        mean = family.first(rows.outcome, rows.trials)
        if family.name == "gaussian" and link.name == "log":
            mean = np.maximum(mean, 0.1)
        eta = link.forward(mean)
        there = standing(rows, family, link, eta, mean)
        working = there.residual + (eta - rows.offset) * link.slope(eta) * np.sqrt(
            rows.trials / family.variance(mean)
        )
        start = _solved(there.scaled @ there.scaled.T, there.scaled @ working)
    eta = start @ rows.design + rows.offset
    mean = link.mean(eta)
    if not family.allows(mean):
        average = float(rows.trials @ rows.outcome / rows.trials.sum())
        wanted = link.forward(np.full(rows.n_rows, average)) - rows.offset
        start = _solved(rows.design @ rows.design.T, rows.design @ wanted)
        eta = start @ rows.design + rows.offset
        mean = link.mean(eta)
    return start, standing(rows, family, link, eta, mean)


def _solved(information: Shaped[Array, "p p"], score: Shaped[Array, "p"]) -> Shaped[Array, "p"]:
    """In units of the diagonal's root, which forgives columns of any size."""
    scale = np.sqrt(np.diagonal(information))
    scale = np.where(scale > 0.0, scale, 1.0)
    return least_squares(information / scale[:, None] / scale, score / scale) / scale


def _step(
    rows: Rows, there: Standing, correlation: Correlation
) -> tuple[Shaped[Array, "p"], float]:
    """B⁻¹ s and its length in standard errors, √(sᵀ B⁻¹ s); not finite where B is singular."""
    size = len(there.scaled)
    information, score = np.zeros((size, size)), np.zeros(size)
    for own, part in rows.parts():
        scaled = correlation.white(part, there.scaled[:, own])
        information += scaled @ scaled.T
        score += scaled @ correlation.white(part, there.residual[own])
    scale = np.sqrt(np.diagonal(information))
    if not (np.isfinite(score).all() and (scale > 0.0).all()):
        return score, np.inf
    root = cholesky(information / scale[:, None] / scale)
    if root is None:
        return score, np.inf
    step = np.linalg.solve(root.T, np.linalg.solve(root, score / scale)) / scale
    return step, float(np.sqrt(max(step @ score, 0.0)))


def _taken(
    rows: Rows,
    family: Family,
    link: Link,
    params: Shaped[Array, "p"],
    step: Shaped[Array, "p"],
    value: float,
    deviance: Callable[[Shaped[Array, "N"]], float] | None,
) -> tuple[Shaped[Array, "p"], Standing, float]:
    """A step, halved while it leads to means that there are not, or to a much larger deviance, if
    that is looked at (with a working correlation the deviance is not what is made least)."""
    bounded = link.name not in ("logit", "probit")
    for _ in range(HALVINGS):
        eta = (params + step) @ rows.design + rows.offset
        mean = link.mean(eta)
        if not bounded or family.allows(mean):
            found = value if deviance is None else deviance(mean)
            if found <= value + 0.1 * abs(value) + WORSE:
                break
        step = 0.5 * step
    else:
        return params, standing(rows, family, link, *_at(rows, link, params)), value
    return params + step, standing(rows, family, link, eta, mean), found


def _at(
    rows: Rows, link: Link, params: Shaped[Array, "p"]
) -> tuple[Shaped[Array, "N"], Shaped[Array, "N"]]:
    eta = params @ rows.design + rows.offset
    return eta, link.mean(eta)


# --- the moments of the residuals -----------------------------------------------------------------


def _dispersion(rows: Rows, residual: Shaped[Array, "N"], size: int, working: Working) -> float:
    left = rows.n_rows - size * working.counts_params
    return float(residual @ residual) / left if left > 0 else np.nan


def _asked(
    rows: Rows, residual: Shaped[Array, "N"], size: int, working: Working
) -> tuple[float, tuple[float, float]]:
    """ρ̂, NaN of too few pairs, and its bounds."""
    lost = size * working.counts_params
    dispersion = _dispersion(rows, residual, size, working)
    if working.name == "exchangeable":
        sizes = rows.sizes
        products = 0.5 * float((rows.sums(residual) ** 2).sum() - residual @ residual)
        pairs = float((sizes * (sizes - 1)).sum()) / 2.0
        bounds = -1.0 / max(int(sizes.max()) - 1, 1), 1.0
    else:
        assert rows.gaps is not None
        one = rows.gaps == 1.0
        one[rows.starts] = False
        behind = np.flatnonzero(one)
        products = float(residual[behind] @ residual[behind - 1])
        pairs, bounds = float(len(behind)), (-1.0, 1.0)
    if pairs <= lost or not dispersion > 0.0:
        return np.nan, bounds
    return products / dispersion / (pairs - lost), bounds
