"""Rubin's rules: estimates and covariances of m completed data sets as one.

Of estimates θ_i with covariances U_i, i = 1 … m,

    θ̄ = mean θ_i,    Ū = mean U_i,    B = Σ (θ_i - θ̄)(·)ᵀ / (m - 1),    T = Ū + (1 + 1/m) B

(Rubin, 1987, eq. 3.1.5). Where M values have N data sets each (plausible values, each imputed
several times; Rubin, 2003), B is that of the M means θ̄_k, W = Σ (θ_ki - θ̄_k)(·)ᵀ / (M (N - 1)), and

    T = Ū + (1 + 1/M) B + (1 - 1/N) W.

In both cases T is Ū and some *parts*, each with degrees of freedom of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Literal

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index

PooledDf = Literal["matching", "barnard-rubin", "rubin"]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What the values that were drawn add to the covariance of the estimates.

    Attributes
    ----------
    matrices : (a, npar, npar)
        (1 + 1/m) B; nested, (1 + 1/M) B and (1 - 1/N) W.
    df : (a,)
        m - 1; nested, M - 1 and M (N - 1).
    within, between : (npar, npar)
        Ū, and B.
    """

    matrices: Shaped[Array, "a npar npar"]
    df: Shaped[Array, "a"]
    within: Shaped[Array, "npar npar"]
    between: Shaped[Array, "npar npar"]

    @property
    def total(self) -> Shaped[Array, "npar npar"]:
        """T."""
        return self.within + self.matrices.sum(axis=0)

    def along(self, gradients: Shaped[Array, "c npar"]) -> Variances:
        """Of functions with these gradients, one by one."""
        return Variances(
            np.einsum("cn,cn->c", gradients @ self.within, gradients),
            np.einsum("pcn,cn->pc", gradients @ self.matrices, gradients),
            self.df,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Variances:
    """Variances of c numbers, and the parts of them.

    Attributes
    ----------
    within : (c,)
    added : (a, c)
    added_df : (a,)
    """

    within: Shaped[Array, "c"]
    added: Shaped[Array, "a c"]
    added_df: Shaped[Array, "a"]

    @property
    def total(self) -> Shaped[Array, "c"]:
        return self.within + self.added.sum(axis=0)

    @property
    @quiet
    def riv(self) -> Shaped[Array, "c"]:
        """r = (1 + 1/m) b / ū, the relative increase in variance; NaN where nothing varies."""
        added = self.added.sum(axis=0)
        return np.where(added > 0, added / self.within, np.where(self.within > 0, 0.0, np.nan))

    @quiet
    def df(self, complete: Shaped[Array, "c"], method: PooledDf) -> Shaped[Array, "c"]:
        """Degrees of freedom, ν the `complete` ones that the data sets have without anything drawn.

        With λ_p the share of a part and λ = Σ λ_p: Rubin's (1987) are 1/df = Σ λ_p² / df_p; those
        that match two moments (Lipsitz, Parzen & Zhao, 2002) add (1 - λ)² / ν, and those of Barnard
        & Rubin (1999, eq. 3) (ν + 3) / [(1 - λ) ν (ν + 1)].
        """
        shares = self.added / self.total
        inverse = (shares**2 / self.added_df[:, None]).sum(axis=0)
        rest = 1.0 - shares.sum(axis=0)
        if method == "matching":
            inverse = inverse + rest**2 / complete
        elif method == "barnard-rubin":
            inverse = inverse + (1.0 + 2.0 / (complete + 1.0)) / (rest * complete)
        found = np.where(inverse > 0, 1.0 / inverse, np.inf)
        return np.where(np.isnan(complete), np.nan, found)

    @quiet
    def fmi(self, df: Shaped[Array, "c"]) -> Shaped[Array, "c"]:
        """The fraction of missing information, (r + 2 / (df + 3)) / (1 + r) (Rubin, 1987, eq.
        3.1.10); where there is no test, with Rubin's df."""
        df = np.where(np.isnan(df), self.df(np.full_like(df, np.inf), "rubin"), df)
        riv = self.riv
        return (riv + 2.0 / (df + 3.0)) / (1.0 + riv)


def pooled(
    estimates: Shaped[Array, "m npar"],
    covariances: Shaped[Array, "m npar npar"],
    nests: Sequence[Shaped[Index, "e"]] = (),
) -> Parts:
    """Rubin's rules.

    Parameters
    ----------
    estimates : (m, npar)
    covariances : (m, npar, npar)
    nests : sequence of (e,)
        Nested: which of the m belong together, as many each time.
    """
    added = _deviations(estimates, nests)
    squares = np.array([away.T @ away / df for _, away, df in added])
    factors, df = np.array([factor for factor, _, _ in added]), [df for _, _, df in added]
    matrices = factors[:, None, None] * squares
    return Parts(matrices, np.array(df, dtype=float), covariances.mean(axis=0), squares[0])


def _deviations(
    estimates: Shaped[Array, "m c"], nests: Sequence[Shaped[Index, "e"]]
) -> list[tuple[float, Shaped[Array, "... c"], int]]:
    """How estimates are spread: (1 + 1/m, θ_i - θ̄, m - 1); nested (1 + 1/M, θ̄_k - θ̄, M - 1) and
    (1 - 1/N, θ_ki - θ̄_k, M (N - 1))."""
    if not nests:
        size = len(estimates)
        return [(1.0 + 1.0 / size, estimates - estimates.mean(axis=0), size - 1)]
    outer, inner = len(nests), len(nests[0])
    means = np.array([estimates[nest].mean(axis=0) for nest in nests])
    found = [(1.0 + 1.0 / outer, means - means.mean(axis=0), outer - 1)]
    if inner > 1:
        away = np.concatenate([estimates[nest] for nest in nests]) - means.repeat(inner, axis=0)
        found.append((1.0 - 1.0 / inner, away, outer * (inner - 1)))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class PooledNumbers:
    """Numbers that were pooled one by one: estimate, standard error, degrees of freedom, r and
    FMI, all (c,)."""

    est: Shaped[Array, "c"]
    se: Shaped[Array, "c"]
    df: Shaped[Array, "c"]
    riv: Shaped[Array, "c"]
    fmi: Shaped[Array, "c"]


def pooled_numbers(
    values: Shaped[Array, "m c"],
    se: Shaped[Array, "m c"],
    complete: Shaped[Array, "m c"],
    method: PooledDf,
    nests: Sequence[Shaped[Index, "e"]] = (),
) -> PooledNumbers:
    """Rubin's rules for numbers that each data set has, with standard errors and degrees of
    freedom."""
    added = _deviations(values, nests)
    found = Variances(
        (se**2).mean(axis=0),
        np.array([factor * (away**2).sum(axis=0) / df for factor, away, df in added]),
        np.array([df for _, _, df in added], dtype=float),
    )
    df = found.df(complete.mean(axis=0), method)
    return PooledNumbers(values.mean(axis=0), np.sqrt(found.total), df, found.riv, found.fmi(df))
