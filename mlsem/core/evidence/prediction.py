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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsem.core.blocks import blocks
from mlsem.core.evidence.posterior import Posterior
from mlsem.core.implied.means import reached
from mlsem.core.implied.pattern import LevelPattern, Pattern
from mlsem.core.records import Array, Index, frozen

SINGULAR = 1e-10  # eigenvalues of a correlation matrix that are zero
EXACT = 1e-6  # how near A Λ is to the identity where Λ determines the latent variables


@dataclass(frozen=True, slots=True, eq=False)
class Evidence(ABC):
    """What the data say of the observed variables of i units.

    Attributes
    ----------
    pulled : (i, m)
        ρ; zero for what a unit has not observed, as are its rows and columns of Ω.
    observed : (P, m) bool
        What is observed in each of P patterns.
    pattern_of : (i,)
    """

    pulled: Shaped[Array, "i m"]
    observed: Shaped[NDArray[np.bool_], "P m"]
    pattern_of: Shaped[Index, "i"]

    @abstractmethod
    def spread(self, maps: Shaped[Array, "l m"]) -> Shaped[Array, "i l"]:
        """diag(B Ω Bᵀ) of maps B (l, m), (i, l)."""

    @abstractmethod
    def information(self, part: slice) -> Shaped[Array, "i m m"]:
        """Ω of some units, (i, m, m)."""

    @abstractmethod
    def only(self, units: Shaped[Index, "j"]) -> Evidence:
        """Of some units."""

    def groups(self) -> Iterator[tuple[int, Shaped[Index, "j"]]]:
        """Each pattern that occurs, with its units."""
        order = np.argsort(self.pattern_of, kind="stable")
        bounds = np.searchsorted(self.pattern_of[order], np.arange(len(self.observed) + 1))
        for k in range(len(self.observed)):
            if bounds[k] < bounds[k + 1]:
                yield k, order[bounds[k] : bounds[k + 1]]

    def distances(self) -> Shaped[Array, "i"]:
        """ρᵀ Ω⁻¹ ρ of what is observed, (i,)."""
        found = np.empty(len(self.pulled))
        for part in blocks(len(found), self.pulled.shape[1] ** 2):
            pulled, information = self.pulled[part], self.information(part).copy()
            np.einsum("nmm->nm", information)[...] += ~self.observed[self.pattern_of[part]]
            solved = np.linalg.solve(information, pulled[..., None])[..., 0]
            found[part] = np.einsum("nm,nm->n", pulled, solved)
        return found

    def counts(self) -> Shaped[Array, "i"]:
        """How many variables of each unit are observed, (i,)."""
        return self.observed.sum(axis=1).astype(np.float64)[self.pattern_of]


@dataclass(frozen=True, slots=True, eq=False)
class ClusterEvidence(Evidence):
    """Of clusters, with Ω_j (i, m, m)."""

    omega: Shaped[Array, "i m m"]

    def spread(self, maps: Shaped[Array, "l m"]) -> Shaped[Array, "i l"]:
        return np.einsum("ka,jab,kb->jk", maps, self.omega, maps, optimize=True)

    def information(self, part: slice) -> Shaped[Array, "i m m"]:
        return self.omega[part]

    def only(self, units: Shaped[Index, "j"]) -> ClusterEvidence:
        return replace(
            self,
            pulled=self.pulled[units],
            pattern_of=self.pattern_of[units],
            omega=self.omega[units],
        )


def cluster_evidence(posterior: Posterior) -> ClusterEvidence:
    """What the data say of (u, z). A cluster has no evidence on a z that is missing, nor on a
    random effect that none of its rows is moved by."""
    omega = posterior.information
    observed, codes = np.unique(np.einsum("jmm->jm", omega) > 0.0, axis=0, return_inverse=True)
    return ClusterEvidence(posterior.pulled, observed, codes.reshape(-1), omega)


@dataclass(frozen=True, slots=True, eq=False)
class RowEvidence(Evidence):
    """Of rows given their clusters.

    Attributes
    ----------
    precision : (P, m, m)
        W of what is observed in each pattern.
    posterior : (J, q, q)
        P_j.
    codes : (i,)
        The cluster of each row.
    acting : (m, q)
        1 where a random effect acts on an outcome.
    carriers : (i, q)
        Times what.
    """

    precision: Shaped[Array, "P m m"]
    posterior: Shaped[Array, "J q q"]
    codes: Shaped[Index, "i"]
    acting: Shaped[Array, "m q"]
    carriers: Shaped[Array, "i q"]

    def spread(self, maps: Shaped[Array, "l m"]) -> Shaped[Array, "i l"]:
        found = np.empty((len(self.codes), len(maps)))
        for k, units in self.groups():
            weighted = maps @ self.precision[k]
            own = np.einsum("kp,kp->k", weighted, maps)
            for part in blocks(len(units), max(1, self.carriers.shape[1]) * (2 * len(maps) + 1)):
                rows = units[part]
                moved = (weighted @ self.acting) * self.carriers[rows, None]
                found[rows] = own - np.einsum(
                    "nka,nab,nkb->nk", moved, self.posterior[self.codes[rows]], moved, optimize=True
                )
        return found

    def information(self, part: slice) -> Shaped[Array, "i m m"]:
        precision = self.precision[self.pattern_of[part]]
        moved = (precision @ self.acting) * self.carriers[part, None]
        return precision - moved @ self.posterior[self.codes[part]] @ moved.swapaxes(1, 2)

    def only(self, units: Shaped[Index, "j"]) -> RowEvidence:
        return replace(
            self,
            pulled=self.pulled[units],
            pattern_of=self.pattern_of[units],
            codes=self.codes[units],
            carriers=self.carriers[units],
        )


def row_evidence(
    pattern: Pattern[Any],
    params: Shaped[Array, "npar"],
    rows: Shaped[Array, "i D"],
    codes: Shaped[Index, "i"],
    effects: tuple[Shaped[Array, "J q"], Shaped[Array, "J q q"]],
    seen: tuple[Shaped[NDArray[np.bool_], "P m"], Shaped[Index, "i"]] | None = None,
) -> RowEvidence | None:
    """Of data rows h; None where Σ_W is singular.

    Parameters
    ----------
    rows : (i, D)
        What is missing may be any number.
    effects : (J, q) and (J, q, q)
        û_j, its mean included, and P_j.
    seen : (P, m) bool and (i,), optional
        Patterns of observed outcomes, and the one of each row. Default: nothing is missing.
    """
    within = pattern.within.moments(params)
    assert within is not None
    observed, pattern_of = seen or (
        np.ones((1, len(within.sigma)), dtype=np.bool_),
        np.zeros(len(rows), dtype=np.intp),
    )
    there = observed[:, :, None] & observed[:, None, :]
    try:
        inverses = np.linalg.inv(np.where(there, within.sigma, np.eye(len(within.sigma))))
    except np.linalg.LinAlgError:
        return None
    precision = np.asarray(np.where(there, inverses, 0.0), dtype=np.float64)
    carriers = pattern.random_effects
    residuals = rows @ (pattern.within.responses - within.mean).T
    moved = rows @ carriers.maps.T
    acting = carriers.acting(residuals.shape[1])
    residuals -= (moved * effects[0][codes]) @ acting.T
    found = RowEvidence(
        residuals, observed, pattern_of, precision, effects[1], codes, acting, moved
    )
    pulled = np.empty_like(residuals)
    for k, units in found.groups():
        pulled[units] = residuals[units] @ precision[k]
    return replace(found, pulled=frozen(pulled))


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


Maps: TypeAlias = Callable[..., LatentMaps]  # of `regression_maps` and `bartlett_maps`


def predicted(
    method: Maps,
    level: LevelPattern,
    params: Shaped[Array, "npar"],
    chosen: Shaped[Index, "l"],
    evidence: Evidence,
) -> tuple[Shaped[Array, "i l"], Shaped[Array, "i l"]]:
    """Predictions of some variables less what the model expects, and their standard errors, by
    what of each unit is observed, (i, l) each."""
    values, errors = np.empty((2, len(evidence.pulled), len(chosen)))
    for k, units in evidence.groups():
        maps, own = method(level, params, chosen, evidence.observed[k]), evidence.only(units)
        values[units], errors[units] = maps.predictions(own), maps.errors(own)
    return values, errors


def regression_maps(
    level: LevelPattern,
    params: Shaped[Array, "npar"],
    chosen: Shaped[Index, "l"],
    observed: Shaped[NDArray[np.bool_], "m"],
) -> LatentMaps:
    """The posterior mean, whatever is observed: ρ is zero for what is not."""
    del observed
    moments = level.moments(params)
    assert moments is not None
    covariance = moments.covariance[chosen[:, None], level.observed]
    return LatentMaps(moments.covariance[chosen[:, None], chosen], covariance, covariance)


def bartlett_maps(
    level: LevelPattern,
    params: Shaped[Array, "npar"],
    chosen: Shaped[Index, "l"],
    observed: Shaped[NDArray[np.bool_], "m"],
) -> LatentMaps:
    """Bartlett's scores of latent variables by the observed ones among t; see the module's
    docstring."""
    found = regression_maps(level, params, chosen, observed)
    loadings, rest, given = _measurement(level, params)
    loadings, rest = loadings[observed], rest[np.ix_(observed, observed)]
    moments = level.moments(params)
    assert moments is not None
    scale = np.diagonal(moments.covariance)[given]
    spread = rest + (loadings * np.where(scale > 0, scale, 1.0)) @ loadings.T
    inverse = _pseudo_inverse(spread)
    maps = _pseudo_inverse(loadings.T @ inverse @ loadings) @ loadings.T @ inverse
    apart = np.abs(maps @ loadings - np.eye(len(given))).max(axis=1) > EXACT
    maps = np.where(apart[:, None], np.nan, maps @ moments.sigma[observed] * observed)
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
