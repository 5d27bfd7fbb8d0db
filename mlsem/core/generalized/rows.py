"""Rows of a generalised linear model in cluster order, and their sums by cluster.

With Pearson residuals r = (y - μ)/√v, Z = (dμ/dη) X/√v and a working correlation R of the rows of
a cluster, all that scoring needs are rows W Z and W r with WᵀW = R⁻¹:

    exchangeable   (1-ρ)^{-½} (z_i - k z̄),   k = 1 - (1 - ρ)^{½} (1 - ρ + nρ)^{-½}
    ar1            (z_i - ρ^d z_{i-1}) (1 - ρ^{2d})^{-½},   d = t_i - t_{i-1};   z_1 itself

and then B_j = Z_jᵀ R_j⁻¹ Z_j = Σ w_i w_iᵀ, s_j = Σ w_i r_i.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Literal, Protocol

import numpy as np

from mlsem.core.generalized.families import Family, Link
from mlsem.core.records import Array, Index

CorrelationName = Literal["independence", "exchangeable", "ar1"]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows in cluster order.

    Attributes
    ----------
    design : (p, N)
        X, column by column.
    outcome : (N,)
    offset : (N,)
    trials : (N,)
    starts : (J,)
        Where the rows of each cluster begin.
    gaps : (N,) or None
        d, of a row behind another of its cluster.
    """

    design: Shaped[Array, "p N"]
    outcome: Shaped[Array, "N"]
    offset: Shaped[Array, "N"]
    trials: Shaped[Array, "N"]
    starts: Shaped[Index, "J"]
    gaps: Shaped[Array, "N"] | None = None

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.outcome)

    @property
    def sizes(self) -> Shaped[Index, "J"]:
        """n of each cluster."""
        return np.diff(self.starts, append=self.n_rows)

    def sums(self, values: Shaped[Array, "... N"]) -> Shaped[Array, "... J"]:
        """By cluster."""
        return np.add.reduceat(values, self.starts, axis=-1)

    def spread(self, values: Shaped[Array, "... J"]) -> Shaped[Array, "... N"]:
        """Of clusters to their rows."""
        return np.repeat(values, self.sizes, axis=-1)


class Correlation(Protocol):
    """A working correlation."""

    @property
    def name(self) -> CorrelationName: ...

    @property
    def rho(self) -> float: ...

    def white(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        """W z."""
        ...


@dataclass(frozen=True, slots=True)
class Independence:
    """R = I."""

    name: CorrelationName = "independence"
    rho: float = 0.0

    def white(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        return values


@dataclass(frozen=True, slots=True)
class Exchangeable:
    """R = (1-ρ) I + ρ 11ᵀ."""

    rho: float
    name: CorrelationName = "exchangeable"

    def white(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        rho, sizes = self.rho, rows.sizes
        share = (1.0 - np.sqrt((1.0 - rho) / (1.0 - rho + sizes * rho))) / sizes
        return (values - rows.spread(share * rows.sums(values))) / np.sqrt(1.0 - rho)


@dataclass(frozen=True, slots=True)
class Autoregressive:
    """R_kl = ρ^{|t_k - t_l|}."""

    rho: float
    name: CorrelationName = "ar1"

    def white(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        assert rows.gaps is not None
        kept = np.power(self.rho, rows.gaps)
        kept[rows.starts] = 0.0
        before = np.empty_like(values)
        before[..., 0], before[..., 1:] = 0.0, values[..., :-1]
        return (values - kept * before) / np.sqrt(1.0 - kept**2)


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Rows at β: η, μ, and what they are in units of their standard deviation.

    Attributes
    ----------
    eta, mean : (N,)
    scaled : (p, N)
        Z.
    residual : (N,)
        r.
    """

    eta: Shaped[Array, "N"]
    mean: Shaped[Array, "N"]
    scaled: Shaped[Array, "p N"]
    residual: Shaped[Array, "N"]


def standing(
    rows: Rows, family: Family, link: Link, eta: Shaped[Array, "N"], mean: Shaped[Array, "N"]
) -> Standing:
    """Rows with these η and μ."""
    root = np.sqrt(rows.trials / family.variance(mean))
    scaled = rows.design * (root * link.slope(eta))
    return Standing(eta, mean, scaled, root * (rows.outcome - mean))


def cross_products(
    rows: Rows, left: Shaped[Array, "p N"], right: Shaped[Array, "p N"]
) -> Shaped[Array, "J p p"]:
    """Σ l rᵀ of the rows of each cluster, l being r times a number of the row: symmetric."""
    size = len(left)
    total = np.empty((len(rows.starts), size, size))
    for a in range(size):
        for b in range(a + 1):
            total[:, a, b] = total[:, b, a] = rows.sums(left[a] * right[b])
    return total
