"""Covariance matrices kept positive semidefinite: Σ = Λ Λᵀ, the free cells of Λ in place of Σ's.

A linear mixed model is fitted over positive semidefinite covariances of its random effects, as
lme4 does; the optimum may lie on the boundary, where Λ has zeros on its diagonal. With Λ for
parameters the boundary is no edge: along a diagonal cell λ the likelihood is a function of λ², so
that λ = 0 is a maximum with ordinary curvature where σ² = λ² would have to be negative. Let θ(x) be
the parameters that x, which has cells of Λ in place of those of Σ, stands for, and J = ∂θ/∂x:

    ∂ℓ/∂x = Jᵀ ∂ℓ/∂θ,    expected Jᵀ A J,    observed Jᵀ I J - Σ_k ∂ℓ/∂θ_k ∂²θ_k/∂x∂xᵀ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from mlsem.core.means import reached
from mlsem.core.objective import D, Objective, P
from mlsem.core.pattern import ModelPattern
from mlsem.core.records import Array, Index

FLOOR = 1e-3  # smallest eigenvalue of a starting value, as a share of the largest
ZERO = 1e-4  # a diagonal cell of Λ below this many residual standard deviations is zero


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """Which parameters make up covariance matrices that are to be positive semidefinite.

    Attributes
    ----------
    blocks : tuple of (k, k)
        The parameters in each matrix, by cell; symmetric, each parameter in one cell and its
        mirror image.
    """

    blocks: tuple[Index, ...]

    def params(self, x: Array) -> Array:
        """θ(x)."""
        found = x.copy()
        for block in self.blocks:
            lower = np.tril(x[block])
            found[block] = lower @ lower.T
        return found

    def factored(self, params: Array) -> Array:
        """x with θ(x) = params; eigenvalues that are too small, or negative, are raised."""
        found = params.copy()
        for block in self.blocks:
            values, vectors = np.linalg.eigh(params[block])
            raised = np.maximum(values, FLOOR * max(np.abs(values).max(), 1e-300))
            lower = np.linalg.cholesky((vectors * raised) @ vectors.T)
            rows, cols = np.tril_indices(len(block))
            found[block[rows, cols]] = lower[rows, cols]
        return found

    def inside(self, params: Array) -> bool:
        """Whether all matrices are positive semidefinite."""
        return all(np.linalg.eigvalsh(params[block])[0] >= 0 for block in self.blocks)

    def singular(self, params: Array, sigma2: float) -> bool:
        """Whether one of the matrices is singular, in units of the residual variance."""
        return any(np.linalg.eigvalsh(params[block])[0] < ZERO**2 * sigma2 for block in self.blocks)

    def jacobian(self, x: Array) -> Array:
        """∂θ/∂x: a change dΛ of Λ changes Σ by dΛ Λᵀ + Λ dΛᵀ."""
        found = np.eye(len(x))
        for block in self.blocks:
            lower, unit = np.tril(x[block]), np.eye(len(block))
            for i, j in zip(*np.tril_indices(len(block)), strict=True):
                half = np.outer(unit[i], lower[:, j])
                found[block, block[i, j]] = half + half.T
        return found

    def curvature(self, gradient: Array) -> Array:
        """Σ_k g_k ∂²θ_k/∂x∂xᵀ: g is linear in ΛΛᵀ, whose cells in a column of Λ multiply."""
        found = np.zeros((len(gradient), len(gradient)))
        for block in self.blocks:
            slopes = gradient[block] * (1.0 + np.eye(len(block)))  # twice, halved off the diagonal
            for column in range(len(block)):
                cells = block[column:, column]
                found[np.ix_(cells, cells)] = slopes[column:, column:]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class FactoredPoint(Generic[P]):
    """A point of the objective that is factored; `params` are x."""

    params: Array
    point: P

    @property
    def loglik(self) -> float:
        return self.point.loglik


@dataclass(frozen=True, slots=True, eq=False)
class FactoredObjective(Objective[FactoredPoint[P], D]):
    """An objective as a function of x."""

    objective: Objective[P, D]
    factors: Factors

    def evaluate(self, params: Array) -> FactoredPoint[P] | None:
        point = self.objective.evaluate(self.factors.params(params))
        if point is None:
            return None
        x = point.params.copy()
        for block in self.factors.blocks:
            x[block] = params[block]
        return FactoredPoint(x, point)

    def derivatives(self, point: FactoredPoint[P], basis: Array) -> D:
        turned = self.factors.jacobian(point.params) @ basis
        return replace(self.objective.derivatives(point.point, turned), basis=basis)

    def expected(self, point: FactoredPoint[P], at: D) -> Array:
        return self.objective.expected(point.point, self._turned(point, at))

    def observed(self, point: FactoredPoint[P], at: D) -> Array:
        unit = np.eye(len(point.params))
        gradient = self.objective.derivatives(point.point, unit).gradient
        bend = at.basis.T @ self.factors.curvature(gradient) @ at.basis
        return self.objective.observed(point.point, self._turned(point, at)) - bend

    def _turned(self, point: FactoredPoint[P], at: D) -> D:
        return replace(at, basis=self.factors.jacobian(point.params) @ at.basis)


def factored(objective: Objective[P, D], factors: Factors) -> FactoredObjective[P, D]:
    return FactoredObjective(objective.pattern, objective, factors)


def random_effect_factors(pattern: ModelPattern, *, explained: bool = True) -> Factors:
    """The covariance matrices of the random effects: one for each set that free covariances tie
    together. A set with a covariance that is fixed has none, nor has one with fixed variances.

    Parameters
    ----------
    explained : bool
        Whether sets count in which a latent variable leads to an effect. These matrices are of
        residuals, which the effects' own Σ_B = S E Ψ Eᵀ Sᵀ need not have positive semidefinite.
    """
    level, symmetric = pattern.between, pattern.between.symmetric
    effects = level.observed[: pattern.split]
    place = np.full((len(level.names),) * 2, -1, dtype=np.intp)
    place[symmetric.rows, symmetric.cols] = symmetric.params
    place[symmetric.cols, symmetric.rows] = symmetric.params
    cells = place[effects[:, None], effects]
    counted = cells.copy()
    if not explained:
        counted[explained_effects(pattern)] = -1
    if (counted >= 0).all():
        return Factors((counted,) if len(counted) else ())
    tied = np.linalg.matrix_power((cells >= 0) | np.eye(len(effects), dtype=bool), len(effects))
    sets = {tuple(np.flatnonzero(row).tolist()) for row in tied}
    found = [counted[np.ix_(each, each)] for each in sorted(sets)]
    return Factors(tuple(block for block in found if (block >= 0).all()))


def explained_effects(pattern: ModelPattern) -> NDArray[np.bool_]:
    """The random effects that walks from latent variables of level 2 lead to, (q,)."""
    level = pattern.between
    latent = np.ones(len(level.names), dtype=np.bool_)
    latent[level.observed] = False
    return reached(level.directed.support(), latent)[level.observed[: pattern.split]]
