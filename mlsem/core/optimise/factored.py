"""Covariance matrices kept positive semidefinite: Σ = B Λ Λᵀ Bᵀ, cells of Λ in place of Σ's.

A linear mixed model is fitted over positive semidefinite covariances of its random effects, as
lme4 does; the optimum may lie on the boundary, where Σ has a rank r below its size k. The matrices
of rank r are a face: B turned so that its first columns span Σ, the last k - r columns of Λ are
zero, and the other cells are ordinary parameters, with ordinary curvature. Let θ(x) be the
parameters that x, which has cells of Λ in place of those of Σ, stands for, and J = ∂θ/∂x:

    ∂ℓ/∂x = Jᵀ ∂ℓ/∂θ,    expected Jᵀ A J,    observed Jᵀ I J - Σ_k ∂ℓ/∂θ_k ∂²θ_k/∂x∂xᵀ.

With dℓ = ½ tr(S dΣ), a maximum on a face is one over all positive semidefinite matrices if

    vᵀ S v ≤ 0    for all v with Σ v = 0:

otherwise ℓ rises with a matrix c v vᵀ added. (Vandenberghe & Boyd 1996, SIAM Review 38, 49.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from mlsem.base.caching import remember
from mlsem.core.implied.means import reached
from mlsem.core.implied.pattern import ModelPattern, PatternMatrix
from mlsem.core.implied.point import P
from mlsem.core.linalg import inverse_root, null_space, symmetrised
from mlsem.core.optimise.objective import D, Objective
from mlsem.core.records import Array, Index, frozen

ZERO = 1e-4  # a diagonal cell of Λ below this is zero: it is in residual standard deviations


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One positive semidefinite matrix, Σ = B Λ Λᵀ Bᵀ with Λ lower triangular.

    Attributes
    ----------
    cells : (k, k)
        The parameters in Σ, by cell; symmetric, each parameter in one cell and its mirror image.
        In x the lower ones have Λ.
    effects : (k,)
        Whose covariances they are, among the random effects.
    unit : (k, k)
        B where nothing is known of Σ. In coordinates B⁻¹u all effects move the rows of a cluster
        alike and by one residual standard deviation, whatever the units and origins of their
        carriers; Σ* = B⁻¹ Σ B⁻ᵀ.
    turn : (k, k)
        B.
    rank : int
        Columns of Λ that are not zero.
    pin : (k,) or None
        b of a variance bᵀ Σ* b that is held: it is the square of Λ's first cell.
    """

    cells: Shaped[Index, "k k"]
    effects: Shaped[Index, "k"]
    unit: Shaped[Array, "k k"]
    turn: Shaped[Array, "k k"]
    rank: int
    pin: Shaped[Array, "k"] | None = None

    def held(self, x: Shaped[Array, "npar"]) -> Shaped[Index, "m"]:
        """Parameters of the cells of Λ that do not move: columns of zeros, and what is pinned."""
        rows, cols = np.tril_indices(len(self.cells))
        fixed = cols >= self.rank
        if self.pin is not None:
            zero = x[self.cells[0, 0]] == 0.0
            fixed |= (cols == 0) & (zero | (rows == 0))
        return self.cells[rows, cols][fixed]

    def matrix(self, x: Shaped[Array, "npar"]) -> Shaped[Array, "k k"]:
        """Σ(x)."""
        half = self.turn @ np.tril(x[self.cells])
        return half @ half.T

    def standard(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "k k"]:
        """Σ*."""
        inverse: Array = np.asarray(np.linalg.inv(self.unit), dtype=np.float64)
        return symmetrised(inverse @ params[self.cells] @ inverse.T)

    def values(self, params: Shaped[Array, "npar"]) -> Shaped[Array, "k"]:
        """Eigenvalues of Σ*, ascending."""
        return np.asarray(np.linalg.eigvalsh(self.standard(params)), dtype=np.float64)

    def facing(
        self, params: Shaped[Array, "npar"], least: float
    ) -> tuple[Block, Shaped[Array, "k k"]]:
        """The block whose first columns span the eigenvectors of Σ* with values above `least`,
        and its Λ (k, k) at the nearest matrix that has no others."""
        matrix = self.standard(params)
        if self.pin is None:
            vectors, root, rank = _principal(matrix, least)
            return replace(self, turn=self.unit @ vectors, rank=rank), np.diag(root)
        # Σ* with b first, and of the rest what b does not explain
        first = np.linalg.qr(np.column_stack((self.pin, np.eye(len(matrix)))))[0]
        matrix = first.T @ matrix @ first
        own, lower = max(float(matrix[0, 0]), 0.0), np.zeros_like(matrix)
        column = matrix[1:, 0] / np.sqrt(own) if own > 0.0 else np.zeros(len(matrix) - 1)
        vectors, root, rank = _principal(matrix[1:, 1:] - np.outer(column, column), least)
        lower[0, 0], lower[1:, 0] = np.sqrt(own), vectors.T @ column
        lower[1:, 1:] = np.diag(root)
        first[:, 1:] = first[:, 1:] @ vectors
        return replace(self, turn=self.unit @ first, rank=1 + rank), lower

    def slopes(self, gradient: Shaped[Array, "npar"]) -> Shaped[Array, "k k"]:
        """Bᵀ S B of the gradient of θ, with dℓ = ½ tr(S dΣ)."""
        twice = gradient[self.cells] * (1.0 + np.eye(len(self.cells)))
        return self.turn.T @ twice @ self.turn

    def rising(
        self, x: Shaped[Array, "npar"], gradient: Shaped[Array, "npar"]
    ) -> tuple[float, Shaped[Array, "k"]]:
        """The slope of ℓ along the steepest v vᵀ that a singular Σ has no part in, and v."""
        size = len(self.cells)
        if self.rank == size:
            return 0.0, np.zeros(size)
        columns = np.tril(x[self.cells])[:, : self.rank]
        if self.pin is not None:
            columns[:, 0] = np.eye(size)[0]
        apart = null_space(columns.T) if self.rank else np.eye(size)
        values, vectors = np.linalg.eigh(apart.T @ self.slopes(gradient) @ apart)
        return 0.5 * float(values[-1]), self.turn @ apart @ vectors[:, -1]

    def pinned(self, way: Shaped[Array, "k"]) -> Block:
        """With the variance wayᵀ Σ way held."""
        return replace(self, pin=self.unit.T @ way)


def _principal(
    matrix: Shaped[Array, "k k"], least: float
) -> tuple[Shaped[Array, "k k"], Shaped[Array, "k"], int]:
    """Eigenvectors, the largest values first, roots of the values that exceed `least`, how many."""
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = values > least
    return vectors, np.sqrt(np.where(kept, values, 0.0)), int(kept.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """The covariance matrices that are to be positive semidefinite."""

    blocks: tuple[Block, ...]

    def params(self, x: Shaped[Array, "npar"]) -> Shaped[Array, "npar"]:
        """θ(x)."""
        found = x.copy()
        for block in self.blocks:
            found[block.cells] = block.matrix(x)
        return found

    def facing(
        self, params: Shaped[Array, "npar"], least: float = ZERO**2
    ) -> tuple[Factors, Shaped[Array, "npar"]]:
        """The face of the matrices nearest to those of `params`: their eigenvectors come first,
        and columns of values up to `least` are zero. With it the x of that point."""
        found = params.copy()
        blocks: list[Block] = []
        for block in self.blocks:
            faced, lower = block.facing(params, least)
            rows, cols = np.tril_indices(len(lower))
            found[block.cells[rows, cols]] = lower[rows, cols]
            blocks.append(faced)
        return Factors(tuple(blocks)), found

    @property
    def rank(self) -> int:
        return sum(block.rank for block in self.blocks)

    def along(
        self, x: Shaped[Array, "npar"], free: Shaped[Array, "npar n"]
    ) -> Shaped[Array, "npar m"]:
        """Those of the free directions, each of one parameter, that stay on the face."""
        held = [block.held(x) for block in self.blocks]
        return free[:, ~free[np.concatenate(held)].any(axis=0)] if held else free

    def lowest(self, params: Shaped[Array, "npar"]) -> float:
        """The smallest eigenvalue of the matrices Σ*."""
        return min((float(block.values(params)[0]) for block in self.blocks), default=np.inf)

    def inside(self, params: Shaped[Array, "npar"]) -> bool:
        """Whether all matrices are positive semidefinite."""
        return self.lowest(params) >= 0.0

    def singular(self, params: Shaped[Array, "npar"]) -> bool:
        """Whether one of the matrices is singular."""
        return self.lowest(params) < ZERO**2

    def jacobian(self, x: Shaped[Array, "npar"]) -> Shaped[Array, "npar npar"]:
        """∂θ/∂x: a change dΛ of Λ changes Σ by B (dΛ Λᵀ + Λ dΛᵀ) Bᵀ."""
        found = np.eye(len(x))
        for block in self.blocks:
            lower, cells, turn = block.turn @ np.tril(x[block.cells]), block.cells, block.turn
            for i, j in zip(*np.tril_indices(len(cells)), strict=True):
                half = np.outer(turn[:, i], lower[:, j])
                found[cells, cells[i, j]] = half + half.T
        return found

    def curvature(self, gradient: Shaped[Array, "npar"]) -> Shaped[Array, "npar npar"]:
        """Σ_k g_k ∂²θ_k/∂x∂xᵀ: g is linear in ΛΛᵀ, whose cells in a column of Λ multiply."""
        found = np.zeros((len(gradient), len(gradient)))
        for block in self.blocks:
            slopes = block.slopes(gradient)
            for column in range(len(slopes)):
                cells = block.cells[column:, column]
                found[np.ix_(cells, cells)] = slopes[column:, column:]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class FactoredPoint(Generic[P]):
    """A point of the objective that is factored; `params` are x."""

    params: Shaped[Array, "npar"]
    point: P

    @property
    def loglik(self) -> float:
        return self.point.loglik


@dataclass(frozen=True, slots=True, eq=False)
class FactoredObjective(Objective[FactoredPoint[P], D]):
    """An objective as a function of x."""

    objective: Objective[P, D]
    factors: Factors

    def evaluate(self, params: Shaped[Array, "npar"]) -> FactoredPoint[P] | None:
        point = self.objective.evaluate(self.factors.params(params))
        if point is None:
            return None
        x = point.params.copy()
        for block in self.factors.blocks:
            x[block.cells] = params[block.cells]
        return FactoredPoint(x, point)

    def derivatives(self, point: FactoredPoint[P], basis: Shaped[Array, "npar n"]) -> D:
        turned = self.factors.jacobian(point.params) @ basis
        return replace(self.objective.derivatives(point.point, turned), basis=basis)

    def expected(self, point: FactoredPoint[P], at: D) -> Shaped[Array, "n n"]:
        return self.objective.expected(point.point, self._turned(point, at))

    def observed(self, point: FactoredPoint[P], at: D) -> Shaped[Array, "n n"]:
        unit = np.eye(len(point.params))
        gradient = self.objective.derivatives(point.point, unit).gradient
        bend = at.basis.T @ self.factors.curvature(gradient) @ at.basis
        return self.objective.observed(point.point, self._turned(point, at)) - bend

    def _turned(self, point: FactoredPoint[P], at: D) -> D:
        return replace(at, basis=self.factors.jacobian(point.params) @ at.basis)


def factored(objective: Objective[P, D], factors: Factors) -> FactoredObjective[P, D]:
    return FactoredObjective(objective, factors)


def random_effect_factors(
    pattern: ModelPattern, metric: Shaped[Array, "q q"] | None = None, *, explained: bool = True
) -> Factors:
    """The covariance matrices of the random effects: one for each set that free covariances tie
    together. A set with a covariance that is fixed or shared has none, nor has one with fixed
    variances.

    Parameters
    ----------
    metric : (q, q), optional
        How the random effects move the rows: mean cross-products of their carriers, in units of
        the outcomes' residual standard deviations.
    explained : bool
        Whether sets count in which a latent variable leads to an effect. These matrices are of
        residuals, which the effects' own Σ_B = S E Ψ Eᵀ Sᵀ need not have positive semidefinite.
    """
    level, observed = pattern.between, tuple(pattern.between.observed.tolist())
    sets = _sets(level.symmetric, level.directed, observed, pattern.split, explained)
    metric = np.eye(pattern.split) if metric is None else metric
    return Factors(
        tuple([block_of(cells, metric[each[:, None], each], each) for cells, each in sets])
    )


@remember
def _sets(
    symmetric: PatternMatrix,
    directed: PatternMatrix,
    observed: tuple[int, ...],
    split: int,
    explained: bool,
) -> tuple[tuple[Shaped[Index, "_ _"], Shaped[Index, "_"]], ...]:
    """The parameters of each matrix, and its effects, by what a table says of them."""
    effects = np.array(observed[:split], dtype=np.intp)
    place = np.full(symmetric.constants.shape, -1, dtype=np.intp)
    place[symmetric.rows, symmetric.cols] = symmetric.params
    place[symmetric.cols, symmetric.rows] = symmetric.params
    cells = place[effects[:, None], effects]
    counted = cells.copy()
    if not explained:
        counted[_explained(directed, observed, split)] = -1
    if (counted >= 0).all():
        sets = [tuple(range(split))] if split else []
    else:
        tied = np.linalg.matrix_power((cells >= 0) | np.eye(split, dtype=bool), split)
        sets = sorted({tuple(np.flatnonzero(row).tolist()) for row in tied})
    found = [(frozen(counted[np.ix_(each, each)]), frozen(np.array(each))) for each in sets]
    return tuple([each for each in found if _apart(each[0])])


def _apart(cells: Shaped[Index, "k k"]) -> bool:
    """Whether each cell has a parameter of its own."""
    apart = set(cells.ravel().tolist())
    return min(apart, default=0) >= 0 and len(apart) == len(cells) * (len(cells) + 1) // 2


def block_of(
    cells: Shaped[Index, "k k"], metric: Shaped[Array, "k k"], effects: Shaped[Index, "k"]
) -> Block:
    """A block of these cells, of full rank."""
    unit = inverse_root(metric)
    if unit is None:  # collinear carriers
        unit = np.diag(1.0 / np.sqrt(np.where(metric.diagonal() > 0, metric.diagonal(), 1.0)))
    return Block(cells, effects, unit, unit, len(cells))


def explained_effects(pattern: ModelPattern) -> Shaped[NDArray[np.bool_], "q"]:
    """The random effects that walks from latent variables of level 2 lead to."""
    level = pattern.between
    return _explained(level.directed, tuple(level.observed.tolist()), pattern.split)


@remember
def _explained(
    directed: PatternMatrix, observed: tuple[int, ...], split: int
) -> Shaped[NDArray[np.bool_], "q"]:
    latent = np.ones(len(directed.constants), dtype=np.bool_)
    latent[list(observed)] = False
    return frozen(reached(directed.support(), latent)[list(observed[:split])])
