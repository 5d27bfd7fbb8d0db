"""Chi-square and mixtures of them: reference distributions of likelihood-ratio tests.

Where the simple model puts variances at the end of their range, the statistic is distributed as

    min_{b in 0} |z - b|² - min_{b in K} |z - b|²,    z ~ N(0, V), in the metric V⁻¹

with K the tangent cone of the full model's parameters and V the covariance of their estimates
under the simple model (Chernoff, 1954; Self & Liang, 1987; Shapiro, 1988). For one variance, K is
a half-space whatever covariances come with it, and the distribution ½ χ²_{q-1} + ½ χ²_q (Stram &
Lee, 1994). For several, K holds the positive semidefinite matrices, and the projection is found
for draws of z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from scipy.special import chdtrc

from mlsem.core.records import Array, Index

STEPS = 2000
SETTLED = 1e-7  # largest change of a projection, in standard errors, that ends the search


def chi_square_tail(value: float | Shaped[Array, "*s"], df: int) -> Shaped[Array, "*s"]:
    """P(χ²_df ≥ value); χ²_0 is 0."""
    at = np.maximum(np.asarray(value, dtype=np.float64), 0.0)
    if df == 0:
        return np.where(at > 0.0, 0.0, 1.0)
    return np.asarray(chdtrc(df, at), dtype=np.float64)


def mixture_tail(value: float, parts: tuple[tuple[int, float], ...]) -> float:
    """P ≥ value of a mixture of χ²_df with weights (df, weight)."""
    return float(sum(weight * chi_square_tail(value, df) for df, weight in parts))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Where the elements of a cone of block-diagonal semidefinite matrices stand.

    Attributes
    ----------
    rows, cols : (c,)
        Of each element in the r × r matrix.
    blocks : (r,)
        The block of each row.
    """

    rows: Shaped[Index, "c"]
    cols: Shaped[Index, "c"]
    blocks: Shaped[Index, "r"]


def simulated_tail(
    value: float, cells: Cells, covariance: Shaped[Array, "c c"], others: int, draws: int, seed: int
) -> tuple[float, float]:
    """P(statistic ≥ value) by simulation, and its Monte Carlo standard error.

    Parameters
    ----------
    value : float
    cells : Cells
        The added variances and their covariances with each other.
    covariance : (c, c)
        V of these elements, all other parameters of the full model estimated as well.
    others : int
        Added parameters that are free on both sides: they add a χ² of so many degrees of freedom,
        independent of the rest.
    draws, seed : int
    """
    generator = np.random.default_rng(seed)
    factor = np.linalg.cholesky(covariance)
    z = generator.standard_normal((draws, len(covariance))) @ factor.T
    distances = cone_statistics(z, cells, covariance)
    if others:
        tails = chi_square_tail(value - distances, others)
    else:
        tails = (distances >= value).astype(np.float64)
    return float(tails.mean()), float(tails.std() / np.sqrt(draws))


def cone_statistics(
    z: Shaped[Array, "n c"], cells: Cells, covariance: Shaped[Array, "c c"]
) -> Shaped[Array, "n"]:
    """|P z|² of the projections P z on the cone, in the metric V⁻¹; z (n, c) -> (n,).

    By accelerated projected gradients (Beck & Teboulle, 2009) on matrices whose rows are scaled to
    variances of standard error 1; a scaling of rows and columns keeps the cone.
    """
    size = len(cells.blocks)
    diagonal = cells.rows == cells.cols
    spread = np.ones(size)
    spread[cells.rows[diagonal]] = np.diagonal(covariance)[diagonal] ** -0.25
    unit = spread[cells.rows] * spread[cells.cols]
    doubled = np.where(diagonal, 1.0, np.sqrt(2.0))  # the Frobenius metric of matrices
    unit = unit * doubled
    metric = np.linalg.inv(unit[:, None] * covariance * unit)
    metric = 0.5 * (metric + metric.T)
    scaled = z * unit
    found = _nearest(scaled, metric, cells, doubled)
    left = scaled - found
    whole = np.einsum("ni,ij,nj->n", scaled, metric, scaled)
    return np.maximum(whole - np.einsum("ni,ij,nj->n", left, metric, left), 0.0)


def _nearest(
    z: Shaped[Array, "n c"], metric: Shaped[Array, "c c"], cells: Cells, doubled: Shaped[Array, "c"]
) -> Shaped[Array, "n c"]:
    """Projections in the metric; a draw's momentum starts anew where it leads uphill
    (O'Donoghue & Candès, 2015)."""
    step = 1.0 / np.linalg.eigvalsh(metric)[-1]
    found = _projected(z, cells, doubled)
    active = np.arange(len(z))
    now = ahead = found
    momentum = np.ones(len(z))
    for _ in range(STEPS):
        moved = _projected(ahead - step * (ahead - z[active]) @ metric, cells, doubled)
        change = moved - now
        uphill = np.einsum("ni,ni->n", ahead - moved, change) > 0.0
        later = np.where(uphill, 1.0, 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)))
        push = np.where(uphill, 0.0, (momentum - 1.0) / later)
        ahead = moved + push[:, None] * change
        found[active] = moved
        going = np.abs(change).max(axis=1) > SETTLED
        active, now, ahead, momentum = active[going], moved[going], ahead[going], later[going]
        if not len(active):
            break
    return found


def _projected(
    values: Shaped[Array, "n c"], cells: Cells, doubled: Shaped[Array, "c"]
) -> Shaped[Array, "n c"]:
    """The nearest positive semidefinite blocks."""
    if (cells.rows == cells.cols).all():
        return np.maximum(values, 0.0)
    size = len(cells.blocks)
    matrix = np.zeros((len(values), size, size))
    matrix[:, cells.rows, cells.cols] = values / doubled
    matrix[:, cells.cols, cells.rows] = values / doubled
    for block in np.unique(cells.blocks):
        rows = np.flatnonzero(cells.blocks == block)
        part = matrix[:, rows[:, None], rows]
        roots, vectors = np.linalg.eigh(part)
        kept = np.maximum(roots, 0.0)[:, None, :]
        matrix[:, rows[:, None], rows] = (vectors * kept) @ vectors.swapaxes(1, 2)
    return matrix[:, cells.rows, cells.cols] * doubled
