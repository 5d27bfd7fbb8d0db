"""What implies the moments of a level: `Implied`. Here the RAM pattern (McArdle & McDonald, 1984).

With every variable of a level, latent or observed, in one vector v,

    v = B v + Γ x + ζ,   Cov ζ = Ψ,   x = (1, covariates),

and S selecting the observed rows, E = (I - B)⁻¹:

    Π = S E Γ,     Σ = S E Ψ Eᵀ Sᵀ.

The intercepts α are the column of Γ that belongs to the constant. Covariates are linear in the
stored data row h = (1, stored columns): x = L h, so that a mean is the map Π L acting on h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated as Shaped
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlsem.core.linalg import inverses, merged
from mlsem.core.records import Array, Index


@dataclass(frozen=True, eq=False)
class PatternMatrix:
    """A matrix as constants and the positions of free parameters in it."""

    constants: Shaped[Array, "i j"]
    rows: Shaped[Index, "m"]
    cols: Shaped[Index, "m"]
    params: Shaped[Index, "m"]

    def at(self, params: Shaped[Array, "... npar"]) -> Shaped[Array, "... i j"]:
        matrix = self.constants.copy()
        if params.ndim > 1:
            matrix = np.tile(matrix, (*params.shape[:-1], 1, 1))
        merged(matrix).T[self._cells] = params.T[self.params]
        return matrix

    def symmetric_at(self, params: Shaped[Array, "... npar"]) -> Shaped[Array, "... i i"]:
        """As `at`; the free cells are of the lower triangle and stand for both halves."""
        matrix = self.at(params)
        merged(matrix).T[self._mirrored] = params.T[self.params]
        return matrix

    @cached_property
    def _cells(self) -> Shaped[Index, "m"]:
        """The free cells, counted row by row."""
        return self.rows * self.constants.shape[1] + self.cols

    @cached_property
    def _mirrored(self) -> Shaped[Index, "m"]:
        """Those of the other half."""
        return self.cols * self.constants.shape[1] + self.rows

    def support(self) -> Shaped[NDArray[np.bool_], "i j"]:
        """The cells that are not zero whatever the parameters."""
        found = self.constants != 0
        found[self.rows, self.cols] = True
        return found


@dataclass(frozen=True, slots=True, eq=False)
class FreeCells:
    """Rows and parameters of the free cells that move Σ (directed, symmetric) and the mean
    (directed, exogenous); `half` is ½ for cells on Ψ's diagonal; `covariate_rows` are the maps
    of the exogenous cells' covariates."""

    covariance_params: Shaped[Index, "c"]
    covariance_rows: Shaped[Index, "c"]
    mean_params: Shaped[Index, "m"]
    mean_rows: Shaped[Index, "m"]
    other_params: Shaped[Index, "o"]
    half: Shaped[Array, "s"]
    covariate_rows: Shaped[Array, "... e D"]


class Implied(Protocol):
    """What implies a level's covariance Σ (p, p) and mean as a map ΠL (p, D) of the data row h,
    and how they move with the parameters."""

    @property
    def responses(self) -> Shaped[Array, "p D"]:
        """Observed variables as maps of h."""
        ...

    def moments(self, params: Shaped[Array, "... npar"]) -> LevelMoments | None:
        """At these parameters; None (of many data sets: NaN) where they imply none."""
        ...

    def jacobian(self, moments: LevelMoments, basis: Shaped[Array, "... npar n"]) -> LevelJacobian:
        """Derivatives along the columns of `basis` (npar, n), that of each data set or of all."""
        ...

    def curvature(
        self, moments: LevelMoments, slope: LevelGradient, basis: Shaped[Array, "... npar n"]
    ) -> Shaped[Array, "... n n"]:
        """Σ_m (∂ℓ/∂m) ∂²m/∂φ∂φᵀ (n, n) over the implied moments m; `slope` is ∂ℓ/∂m."""
        ...


@dataclass(frozen=True, eq=False)
class LevelPattern:
    """One level in RAM: B (`directed`), Ψ (`symmetric`), Γ (`exogenous`), S and L.

    Attributes
    ----------
    names : tuple of str
        The variables of v.
    directed : PatternMatrix (nv, nv)
    symmetric : PatternMatrix (nv, nv)
    exogenous : PatternMatrix (nv, k)
        The first column belongs to the constant if the model has a mean structure.
    observed : (p,) positions in v
    responses : (p, D)
        Observed variable as a map of h: value = responses @ h.
    covariates : (k, D)
        L. It and `responses` have the means that the stored columns are taken from; of many data
        sets with means of their own these are on the axes before.
    """

    names: tuple[str, ...]
    directed: PatternMatrix
    symmetric: PatternMatrix
    exogenous: PatternMatrix
    observed: Shaped[Index, "p"]
    responses: Shaped[Array, "... p D"]
    covariates: Shaped[Array, "... k D"]

    @cached_property
    def cells(self) -> FreeCells:
        """The free cells of the three matrices, arranged for the derivatives."""
        directed, symmetric, exogenous = self.directed, self.symmetric, self.exogenous
        return FreeCells(
            covariance_params=np.concatenate((directed.params, symmetric.params)),
            covariance_rows=np.concatenate((directed.rows, symmetric.rows)),
            mean_params=np.concatenate((directed.params, exogenous.params)),
            mean_rows=np.concatenate((directed.rows, exogenous.rows)),
            other_params=np.concatenate((symmetric.params, exogenous.params)),
            half=np.where(symmetric.rows == symmetric.cols, 0.5, 1.0),
            covariate_rows=self.covariates.take(exogenous.cols, -2),
        )

    def of(self, which: Shaped[Index, "r"]) -> LevelPattern:
        """Of many data sets that of some."""
        if self.responses.ndim == 2:
            return self
        responses, covariates = self.responses[which], self.covariates[which]
        return replace(self, responses=responses, covariates=covariates)

    def moments(self, params: Shaped[Array, "... npar"]) -> LevelMoments | None:
        """Implied moments; None (of many data sets: NaN) where I - B is singular."""
        directed = self.directed.at(params)
        effects: Array | None = np.eye(directed.shape[-1]) - directed
        if directed.any():
            effects = inverses(effects)
        if effects is None:
            return None
        covariance = effects @ self.symmetric.symmetric_at(params) @ effects.swapaxes(-1, -2)
        coefficients = effects @ self.exogenous.at(params)
        observed = self.observed
        return LevelMoments(
            effects=effects,
            covariance=covariance,
            coefficients=coefficients,
            sigma=covariance.take(observed, -2).take(observed, -1),
            mean=coefficients.take(observed, -2) @ self.covariates,
        )

    def jacobian(self, moments: LevelMoments, basis: Shaped[Array, "... npar n"]) -> LevelJacobian:
        """Derivatives of the implied moments along the columns of `basis` (npar, n).

        Of a directed cell (i, j): ∂Σ = Λ_i c_jᵀ + c_j Λ_iᵀ and ∂Π = Λ_i (EΓ)_j, with Λ = S E and
        c = E Ψ Eᵀ Sᵀ; of a symmetric cell: ∂Σ = Λ_i Λ_jᵀ + Λ_j Λ_iᵀ (half on the diagonal); of an
        exogenous cell (i, c): ∂Π = Λ_i e_cᵀ.
        """
        cells, directed, symmetric = self.cells, self.directed, self.symmetric
        loadings = moments.effects.take(self.observed, -2).swapaxes(-1, -2)  # rows Λ_i
        covariance = moments.covariance.take(self.observed, -1)
        halves = cells.half[:, None] * loadings.take(symmetric.cols, -2)
        right = np.concatenate((covariance.take(directed.cols, -2), halves), axis=-2)
        outer = loadings.take(cells.covariance_rows, -2)[..., None] * right[..., None, :]
        paths = moments.coefficients.take(directed.cols, -2) @ self.covariates
        lead, width = paths.shape[:-2], paths.shape[-1]
        change = np.empty((*lead, len(cells.mean_rows), width))
        change[..., : len(directed.cols), :] = paths
        change[..., len(directed.cols) :, :] = cells.covariate_rows
        mean = loadings.take(cells.mean_rows, -2)[..., None] * change[..., None, :]
        count, observed = basis.shape[-1], len(self.observed)
        sigma = basis.take(cells.covariance_params, -2).swapaxes(-1, -2) @ merged(outer)
        sigma = sigma.reshape(*lead, count, observed, observed)
        mean = basis.take(cells.mean_params, -2).swapaxes(-1, -2) @ merged(mean)
        mean = mean.reshape(*lead, count, observed, width)
        return LevelJacobian(sigma + sigma.swapaxes(-1, -2), mean)

    def curvature(
        self, moments: LevelMoments, slope: LevelGradient, basis: Shaped[Array, "... npar n"]
    ) -> Shaped[Array, "... n n"]:
        """Σ_m (∂ℓ/∂m) ∂²m/∂φ∂φᵀ over the implied moments m = (Σ, ΠL).

        With G, Q the `slope` ∂ℓ/∂m spread to all variables, U = Eᵀ G E and
        D = 2 Eᵀ G E Ψ Eᵀ + Eᵀ Q (EΓ)ᵀ:

            ∂²/∂B_ij ∂B_kl = E_li D_kj + D_il E_jk + 2 U_ik C_lj        (C = E Ψ Eᵀ)
            ∂²/∂B_ij ∂Ψ_kl = 2 (U_ik E_jl + U_il E_jk)                  (half on the diagonal)
            ∂²/∂B_ij ∂Γ_kc = (Eᵀ Q)_ic E_jk
        """
        directed, symmetric, exogenous = self.directed, self.symmetric, self.exogenous
        if not len(directed.rows):
            return np.zeros((basis.shape[-1], basis.shape[-1]))
        effects, covariance = moments.effects, moments.covariance
        loadings = effects.take(self.observed, -2)
        up = loadings.swapaxes(-1, -2)
        sources = up @ slope.sigma @ loadings
        gradients = up @ (slope.mean @ self.covariates.swapaxes(-1, -2))
        slopes = 2.0 * up @ (slope.sigma @ covariance.take(self.observed, -2))
        slopes += gradients @ moments.coefficients.swapaxes(-1, -2)
        i, j = directed.rows[:, None], directed.cols[:, None]
        k, m = directed.rows, directed.cols
        paths = effects[..., m, i] * slopes[..., k, j] + slopes[..., i, m] * effects[..., j, k]
        paths += 2.0 * sources[..., i, k] * covariance[..., m, j]
        k, m = symmetric.rows, symmetric.cols
        variances = sources[..., i, k] * effects[..., j, m]
        variances += sources[..., i, m] * effects[..., j, k]
        variances *= 2.0 * self.cells.half
        means = gradients[..., i, exogenous.cols] * effects[..., j, exogenous.rows]
        first, others = basis.take(directed.params, -2), basis.take(self.cells.other_params, -2)
        back = first.swapaxes(-1, -2)
        mixed = back @ np.concatenate((variances, means), axis=-1) @ others
        return back @ paths @ first + mixed + mixed.swapaxes(-1, -2)


@dataclass(frozen=True, slots=True, eq=False)
class Carriers:
    """How the q random effects enter the outcomes: y_ij[k_a] contains x_ij[c_a] u_j[a].

    Attributes
    ----------
    responses : (q,)
        k_a, the observed row of level 1 that the effect acts on.
    maps : (q, D)
        The carrier x[c_a] as a map of h: the constant for a random intercept.
    everywhere : bool
        Whether every effect acts on all outcomes, k_a or not: these are one outcome in rows of
        different classes, of which a row has that of its own class.
    """

    responses: Shaped[Index, "q"]
    maps: Shaped[Array, "q D"]
    everywhere: bool = False

    def acting(self, outcomes: int) -> Shaped[Array, "p q"]:
        """Which effects act on which of so many outcomes: 0 or 1."""
        found = np.full((outcomes, len(self.responses)), float(self.everywhere))
        found[self.responses, np.arange(len(self.responses))] = 1.0
        return found

    def added(
        self,
        total: Shaped[Array, "p *s"],
        which: slice | Shaped[Index, "a"],
        values: Shaped[Array, "b *s"],
    ) -> None:
        """Add values (a, …) of some effects to the outcomes (p, …) that they act on."""
        if self.everywhere:
            total += values.sum(axis=0)
        else:
            np.add.at(total, self.responses[which], values)


LevelT = TypeVar("LevelT", bound=Implied)


@dataclass(frozen=True, slots=True, eq=False)
class Pattern(Generic[LevelT]):
    """What implies the moments of one log-likelihood: its levels, from the rows up.

    Everything that is said by level (moments, their derivatives, the gradients in them) is a
    tuple in this order. All engines but `nested` have two levels, within and between clusters. To
    them a single-level model is one cluster of all rows: nothing varies between clusters, and its
    second level has no variables.

    Attributes
    ----------
    levels : tuple of Implied
    split : int
        How many random effects there are; they come first in the observed rows of `between`.
    n_params : int
    carriers : Carriers or None
        Without, the effects are random intercepts of the variables with a part at each level,
        which come first in the observed rows of `within` too.
    raised : (t,)
        With three levels: the observed rows of the second that have a part at the third, whose
        first rows these parts are.
    """

    levels: tuple[LevelT, ...]
    split: int
    n_params: int
    carriers: Carriers | None = None
    raised: Shaped[Index, "t"] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def of(self, which: Shaped[Index, "r"]) -> Self:
        """Of many data sets that of some."""
        return self

    @property
    def within(self) -> LevelT:
        return self.levels[0]

    @property
    def between(self) -> LevelT:
        return self.levels[1]

    @property
    def classes(self) -> int:
        """Into how many classes the rows fall that have a residual variance each; outcome g of
        level 1 is then the one outcome in rows of class g."""
        carriers = self.carriers
        return len(self.within.responses) if carriers and carriers.everywhere else 1

    @property
    def random_effects(self) -> Carriers:
        """The carriers; of random intercepts where the model has no others."""
        if self.carriers is not None:
            return self.carriers
        constant = np.zeros((self.split, self.within.responses.shape[1]))
        constant[:, 0] = 1.0
        return Carriers(np.arange(self.split), constant)


@dataclass(frozen=True, slots=True, eq=False)
class ModelPattern(Pattern[LevelPattern]):
    """All levels in RAM."""

    def of(self, which: Shaped[Index, "r"]) -> Self:
        return replace(self, levels=tuple([level.of(which) for level in self.levels]))


def of_many(patterns: Sequence[ModelPattern]) -> ModelPattern:
    """The pattern of many data sets that differ in the means of their stored columns alone."""
    first = patterns[0]
    if all(each is first for each in patterns):
        return first
    levels = tuple(
        replace(
            level,
            responses=np.array([each.levels[k].responses for each in patterns]),
            covariates=np.array([each.levels[k].covariates for each in patterns]),
        )
        for k, level in enumerate(first.levels)
    )
    return replace(first, levels=levels)


@dataclass(frozen=True, slots=True, eq=False)
class LevelMoments:
    """A level's matrices and implied moments at given parameters, of one data set or of many.

    Attributes
    ----------
    effects : (nv, nv)
        E = (I - B)⁻¹.
    covariance : (nv, nv)
        E Ψ Eᵀ of all variables.
    coefficients : (nv, k)
        E Γ of all variables.
    sigma : (p, p)
        Σ.
    mean : (p, D)
        Π L.
    """

    effects: Shaped[Array, "... nv nv"]
    covariance: Shaped[Array, "... nv nv"]
    coefficients: Shaped[Array, "... nv k"]
    sigma: Shaped[Array, "... p p"]
    mean: Shaped[Array, "... p D"]


@dataclass(frozen=True, slots=True, eq=False)
class LevelJacobian:
    """∂Σ/∂φ (n, p, p) and ∂(ΠL)/∂φ (n, p, D) along n directions of the parameter space."""

    sigma: Shaped[Array, "... n p p"]
    mean: Shaped[Array, "... n p D"]


@dataclass(frozen=True, slots=True, eq=False)
class LevelGradient:
    """∂ℓ/∂Σ (p, p), symmetric, and ∂ℓ/∂(ΠL) (p, D)."""

    sigma: Shaped[Array, "... p p"]
    mean: Shaped[Array, "... p D"]
