"""Working correlations R of the rows of a cluster, D R D being their covariances Φ.

Scoring needs rows W Z and W r with WᵀW = R⁻¹:

    exchangeable   (1-ρ)^{-½} (z_i - k z̄),   k = 1 - (1 - ρ)^{½} (1 - ρ + nρ)^{-½}
    ar1            (z_i - ρ^d z_{i-1}) (1 - ρ^{2d})^{-½},   d = t_i - t_{i-1};   z_1 itself

and the adjustment of residuals Φ⁻¹ z and (t² Φ⁻¹ + Φ)⁻¹ z = Re (Φ + it)⁻¹ z. Φ is diagonal but for
one direction (exchangeable), or its inverse has three diagonals (ar1), so that no matrix of a
cluster's size is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Literal, Protocol

import numpy as np

from mlsem.core.generalized.rows import Rows
from mlsem.core.records import Array

CorrelationName = Literal["independence", "exchangeable", "ar1"]


class Correlation(Protocol):
    """A working correlation."""

    @property
    def name(self) -> CorrelationName: ...

    @property
    def rho(self) -> float: ...

    def white(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        """W z."""
        ...

    def inverse(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        """R⁻¹ z."""
        ...

    def damped(
        self, rows: Rows, spread: Shaped[Array, "N"], shift: float, values: Shaped[Array, "... N"]
    ) -> Shaped[Array, "... N"]:
        """(t² Φ⁻¹ + Φ)⁻¹ z of standard deviations D and a shift t."""
        ...

    def bounds(self, rows: Rows) -> tuple[float, float]:
        """Between which the eigenvalues of R are."""
        ...


@dataclass(frozen=True, slots=True)
class Independence:
    """R = I."""

    name: CorrelationName = "independence"
    rho: float = 0.0

    def white(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        return values

    def inverse(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        return values

    def damped(
        self, rows: Rows, spread: Shaped[Array, "N"], shift: float, values: Shaped[Array, "... N"]
    ) -> Shaped[Array, "... N"]:
        variance = spread**2
        return values / (shift**2 / variance + variance)

    def bounds(self, rows: Rows) -> tuple[float, float]:
        return 1.0, 1.0


@dataclass(frozen=True, slots=True)
class Exchangeable:
    """R = (1-ρ) I + ρ 11ᵀ."""

    rho: float
    name: CorrelationName = "exchangeable"

    def white(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        rho, sizes = self.rho, rows.sizes
        share = (1.0 - np.sqrt((1.0 - rho) / (1.0 - rho + sizes * rho))) / sizes
        return (values - rows.spread(share * rows.sums(values))) / np.sqrt(1.0 - rho)

    def inverse(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        rho = self.rho
        share = rho / (1.0 - rho + rows.sizes * rho)
        return (values - rows.spread(share * rows.sums(values))) / (1.0 - rho)

    def damped(
        self, rows: Rows, spread: Shaped[Array, "N"], shift: float, values: Shaped[Array, "... N"]
    ) -> Shaped[Array, "... N"]:
        """With d = (1-ρ) D² + it: (Φ + it)⁻¹ = d⁻¹ - d⁻¹D1 (1/ρ + 1ᵀD d⁻¹ D1)⁻¹ 1ᵀD d⁻¹."""
        plain = 1.0 / ((1.0 - self.rho) * spread**2 + 1j * shift)
        real, imaginary = spread * plain.real, spread * plain.imag
        own = 1.0 + self.rho * (rows.sums(spread * real) + 1j * rows.sums(spread * imaginary))
        share = self.rho * (rows.sums(values * real) + 1j * rows.sums(values * imaginary)) / own
        taken = rows.spread(share.real) * real - rows.spread(share.imag) * imaginary
        return values * plain.real - taken

    def bounds(self, rows: Rows) -> tuple[float, float]:
        rho, largest = self.rho, int(rows.sizes.max())
        own, mean = 1.0 - rho, 1.0 - rho + largest * rho
        return min(own, mean), max(own, mean)


@dataclass(frozen=True, slots=True)
class Autoregressive:
    """R_kl = ρ^{|t_k - t_l|}."""

    rho: float
    name: CorrelationName = "ar1"

    def _kept(self, rows: Rows) -> Shaped[Array, "N"]:
        """ρ^d of each row and the one before, 0 of the first row of a cluster."""
        assert rows.gaps is not None
        kept = np.power(self.rho, rows.gaps)
        kept[rows.starts] = 0.0
        return kept

    def white(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        kept = self._kept(rows)
        before = np.empty_like(values)
        before[..., 0], before[..., 1:] = 0.0, values[..., :-1]
        return (values - kept * before) / np.sqrt(1.0 - kept**2)

    def _diagonals(self, rows: Rows) -> tuple[Shaped[Array, "N"], Shaped[Array, "N"]]:
        """Of R⁻¹: the middle one, and that of each row and the one before."""
        kept = self._kept(rows)
        fresh = 1.0 / (1.0 - kept**2)
        beside = -kept * fresh
        middle = fresh.copy()
        middle[:-1] -= (kept * beside)[1:]
        return middle, beside

    def inverse(self, rows: Rows, values: Shaped[Array, "... N"]) -> Shaped[Array, "... N"]:
        middle, beside = self._diagonals(rows)
        found = values * middle
        found[..., 1:] += beside[1:] * values[..., :-1]
        found[..., :-1] += beside[1:] * values[..., 1:]
        return found

    def damped(
        self, rows: Rows, spread: Shaped[Array, "N"], shift: float, values: Shaped[Array, "... N"]
    ) -> Shaped[Array, "... N"]:
        """(Φ + it)⁻¹ z = Φ⁻¹ (1 + it Φ⁻¹)⁻¹ z = (z - w)/(it) with (1 + it Φ⁻¹) w = z."""
        from scipy.linalg import solve_banded  # slow to import, and for this correlation

        middle, beside = self._diagonals(rows)
        bands = np.zeros((3, rows.n_rows), dtype=complex)
        bands[1] = 1.0 + 1j * shift * middle / spread**2
        bands[0, 1:] = bands[2, :-1] = 1j * shift * beside[1:] / (spread[1:] * spread[:-1])
        inner = solve_banded((1, 1), bands, np.atleast_2d(values).T.astype(complex)).T
        return -inner.imag.reshape(values.shape) / shift

    def bounds(self, rows: Rows) -> tuple[float, float]:
        rho = abs(self.rho)
        return (1.0 - rho) / (1.0 + rho), (1.0 + rho) / (1.0 - rho)
