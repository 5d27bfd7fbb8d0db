"""Predictions of latent variables from what the data say of the observed ones, and their errors.

With v the variables of a level, t the observed rows among them, and of each unit (a cluster, or a
row given its cluster) ρ = Ω^{½} N(0, I) with Cov(v, ρ) = C Ω, C = Cov(v, t): a linear prediction
B ρ of v - E(v) has the mean squared error

    Cov(v - Bρ) = Cov(v) - C Ω Cᵀ + (B - C) Ω (B - C)ᵀ,

the least, the posterior covariance, at B = C (regression; Thomson, 1934). A cluster has
ρ_j = T_jᵀ V̄_j⁻¹ ē_j and Ω_j = T_jᵀ V̄_j⁻¹ T_j (`posterior`); a row of it, with u the random
effects, P_j their posterior covariance and e_ij its residual,

    ρ_ij = W (e_ij - Z_ij û_j),     Ω_ij = W - W Z_ij P_j Z_ijᵀ W,     W = Σ_W⁻¹.

ρ_ij is the row's part of V_j⁻¹(y_j - μ_j) and Ω_ij its block of V_j⁻¹. So ρ_ijᵀ Ω_ij⁻¹ ρ_ij is the
squared Mahalanobis distance of the row from what the other rows of its cluster say of it.

Bartlett's (1937) scores take the latent variables η as given: with t = Λ η + ε,
A = (Λᵀ S⁻ Λ)⁻ Λᵀ S⁻ and S = Cov ε + Λ U Λᵀ (Rao, 1973, section 4i), which does not depend on U and
exists with residual variances of zero, they are A t̂ with t̂ = Σ ρ, hence B = A Σ. Of level 1 t̂ is
y_ij - û_j less its mean, of level 2 (û_j, z_j), as in lavaan.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.implied.means import reached
from mlsem.core.implied.pattern import LevelPattern, Pattern
from mlsem.core.linalg import blocks
from mlsem.core.records import Array, Index, frozen

SINGULAR = 1e-10  # eigenvalues of a correlation matrix that are zero
EXACT = 1e-6  # how near A Λ is to the identity where Λ determines the latent variables


@dataclass(frozen=True, slots=True, eq=False)
class Evidence(ABC):
    """What the data say of the m observed variables of i units.

    Attributes
    ----------
    pulled : (i, m)
        ρ.
    """

    pulled: Shaped[Array, "i m"]

    @abstractmethod
    def spread(self, maps: Shaped[Array, "l m"]) -> Shaped[Array, "i l"]:
        """diag(B Ω Bᵀ) of maps B (l, m), (i, l)."""

    @abstractmethod
    def information(self, part: slice) -> Shaped[Array, "i m m"]:
        """Ω of some units, (i, m, m)."""

    def distances(self) -> Shaped[Array, "i"]:
        """ρᵀ Ω⁻¹ ρ, (i,)."""
        found = np.empty(len(self.pulled))
        for part in blocks(len(found), self.pulled.shape[1] ** 2):
            pulled = self.pulled[part]
            solved = np.linalg.solve(self.information(part), pulled[..., None])[..., 0]
            found[part] = np.einsum("nm,nm->n", pulled, solved)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class ClusterEvidence(Evidence):
    """Of clusters, with Ω_j (i, m, m)."""

    omega: Shaped[Array, "i m m"]

    def spread(self, maps: Shaped[Array, "l m"]) -> Shaped[Array, "i l"]:
        return np.einsum("ka,jab,kb->jk", maps, self.omega, maps, optimize=True)

    def information(self, part: slice) -> Shaped[Array, "i m m"]:
        return self.omega[part]


@dataclass(frozen=True, slots=True, eq=False)
class RowEvidence(Evidence):
    """Of rows given their clusters.

    Attributes
    ----------
    precision : (m, m)
        W.
    posterior : (J, q, q)
        P_j.
    codes : (i,)
        The cluster of each row.
    responses : (q,)
        The outcome that each random effect acts on.
    carriers : (i, q)
        Times what.
    """

    precision: Shaped[Array, "m m"]
    posterior: Shaped[Array, "J q q"]
    codes: Shaped[Index, "i"]
    responses: Shaped[Index, "q"]
    carriers: Shaped[Array, "i q"]

    def spread(self, maps: Shaped[Array, "l m"]) -> Shaped[Array, "i l"]:
        found = np.empty((len(self.codes), len(maps)))
        weighted = maps @ self.precision
        own = np.einsum("kp,kp->k", weighted, maps)
        for part in blocks(len(found), max(1, self.carriers.shape[1]) * (2 * len(maps) + 1)):
            moved = weighted[:, self.responses] * self.carriers[part, None]
            found[part] = own - np.einsum(
                "nka,nab,nkb->nk", moved, self.posterior[self.codes[part]], moved, optimize=True
            )
        return found

    def information(self, part: slice) -> Shaped[Array, "i m m"]:
        moved = self.precision[:, self.responses] * self.carriers[part, None]
        return self.precision - moved @ self.posterior[self.codes[part]] @ moved.swapaxes(1, 2)


def row_evidence(
    pattern: Pattern[Any],
    params: Shaped[Array, "npar"],
    rows: Shaped[Array, "i D"],
    codes: Shaped[Index, "i"],
    effects: tuple[Shaped[Array, "J q"], Shaped[Array, "J q q"]],
) -> RowEvidence | None:
    """Of data rows h; None where Σ_W is singular.

    Parameters
    ----------
    rows : (i, D)
    effects : (J, q) and (J, q, q)
        û_j, its mean included, and P_j.
    """
    within = pattern.within.moments(params)
    assert within is not None
    try:
        precision = np.asarray(np.linalg.inv(within.sigma), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    carriers = pattern.random_effects
    residuals = rows @ (pattern.within.responses - within.mean).T
    moved = rows @ carriers.maps.T
    for a, response in enumerate(carriers.responses):
        residuals[:, response] -= moved[:, a] * effects[0][codes, a]
    return RowEvidence(
        frozen(residuals @ precision), precision, effects[1], codes, carriers.responses, moved
    )


# --- predictions ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class LatentMaps:
    """Of l variables of a level: Cov(v) (l, l), C = Cov(v, t) (l, m), and B (l, m), with NaN in
    rows of those that the method does not determine."""

    prior: Shaped[Array, "l l"]
    covariance: Shaped[Array, "l m"]
    maps: Shaped[Array, "l m"]

    def predictions(self, evidence: Evidence) -> Shaped[Array, "i l"]:
        """B ρ, less what the model expects, (i, l)."""
        return evidence.pulled @ self.maps.T

    def errors(self, evidence: Evidence) -> Shaped[Array, "i l"]:
        """Standard errors of prediction, (i, l)."""
        variance = np.diagonal(self.prior) - evidence.spread(self.covariance)
        away = self.maps - self.covariance
        if away.any():
            variance = variance + evidence.spread(away)
        return np.sqrt(np.where(variance > 0, variance, np.where(np.isnan(variance), np.nan, 0.0)))


def regression_maps(
    level: LevelPattern, params: Shaped[Array, "npar"], chosen: Shaped[Index, "l"]
) -> LatentMaps:
    """The posterior mean."""
    moments = level.moments(params)
    assert moments is not None
    covariance = moments.covariance[chosen[:, None], level.observed]
    return LatentMaps(moments.covariance[chosen[:, None], chosen], covariance, covariance)


def bartlett_maps(
    level: LevelPattern, params: Shaped[Array, "npar"], chosen: Shaped[Index, "l"]
) -> LatentMaps:
    """Bartlett's scores of latent variables; see the module's docstring."""
    found = regression_maps(level, params, chosen)
    loadings, rest, given = _measurement(level, params)
    moments = level.moments(params)
    assert moments is not None
    scale = np.diagonal(moments.covariance)[given]
    spread = rest + (loadings * np.where(scale > 0, scale, 1.0)) @ loadings.T
    inverse = _pseudo_inverse(spread)
    maps = _pseudo_inverse(loadings.T @ inverse @ loadings) @ loadings.T @ inverse
    apart = np.abs(maps @ loadings - np.eye(len(given))).max(axis=1) > EXACT
    maps = np.where(apart[:, None], np.nan, maps @ moments.sigma)
    place = {k: row for row, k in enumerate(given.tolist())}
    return LatentMaps(found.prior, found.covariance, maps[[place[k] for k in chosen.tolist()]])


def _measurement(
    level: LevelPattern, params: Shaped[Array, "npar"]
) -> tuple[Shaped[Array, "m e"], Shaped[Array, "m m"], Shaped[Index, "e"]]:
    """Λ (m, e), Cov ε (m, m) of the observed rows given e variables, and their positions: all
    latent ones, and the observed ones that no latent variable moves."""
    paths, size = level.directed.support(), len(level.names)
    seen, latent = np.zeros((2, size), dtype=np.bool_)
    seen[level.observed] = True
    latent = ~seen
    moved = seen & reached(paths, latent)
    given, own = np.flatnonzero(~moved), np.flatnonzero(moved)
    directed, symmetric = level.directed.at(params), level.symmetric.symmetric_at(params)
    total = np.linalg.inv(np.eye(len(own)) - directed[np.ix_(own, own)])
    loadings, rest = np.zeros((size, len(given))), np.zeros((size, size))
    loadings[given, np.arange(len(given))] = 1.0
    loadings[own] = total @ directed[np.ix_(own, given)]
    rest[np.ix_(own, own)] = total @ symmetric[np.ix_(own, own)] @ total.T
    observed = level.observed
    return loadings[observed], rest[observed[:, None], observed], given


def _pseudo_inverse(matrix: Shaped[Array, "m m"]) -> Shaped[Array, "m m"]:
    """Of a symmetric matrix, its scale taken out first."""
    diagonal = np.abs(np.diagonal(matrix))
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    unit = matrix * scale[:, None] * scale
    inverse = np.linalg.pinv((unit + unit.T) / 2.0, rcond=SINGULAR, hermitian=True)
    return np.asarray(inverse * scale[:, None] * scale, dtype=np.float64)


def expected(
    level: LevelPattern,
    params: Shaped[Array, "npar"],
    rows: Shaped[Array, "i D"],
    chosen: Shaped[Index, "l"],
) -> Shaped[Array, "i l"]:
    """E(v) given the covariates, (i, l)."""
    moments = level.moments(params)
    assert moments is not None
    return rows @ (moments.coefficients[chosen] @ level.covariates).T
