"""The log-likelihood of one model and data set, with its derivatives along any basis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any, Generic, Literal, Self, TypeVar

import numpy as np

from mlsem.core.arrow import Arrow
from mlsem.core.clusters.view import MomentClusters
from mlsem.core.implied.derivatives import (
    Jacobians,
    MomentGradients,
    curvature,
    gradient,
    jacobians,
)
from mlsem.core.implied.means import MeanParts, is_mixed, mean_parts
from mlsem.core.implied.pattern import ModelPattern, Pattern
from mlsem.core.implied.point import M, P
from mlsem.core.linalg import lower_factor, scaled_eigen, unit_diagonal
from mlsem.core.records import Array, Index
from mlsem.core.sample.draws import Sampler

ILL_CONDITIONED = 1e-5  # smallest squared pivot of scaled information that needs no new basis
ROUNDING = 1e-15  # eigenvalues below are indistinguishable from zero
SINGULAR = 1e-5  # smallest eigenvalue, after conditioning, of an identified model

InformationKind = Literal["expected", "observed"]


@dataclass(frozen=True, slots=True, eq=False)
class Derivatives:
    """First derivatives at a point along `basis` (npar, n)."""

    basis: Shaped[Array, "... npar n"]
    gradient: Shaped[Array, "... n"]


A = TypeVar("A")
L = TypeVar("L", bound=Pattern[Any])


@dataclass(frozen=True, slots=True, eq=False)
class ImpliedDerivatives(Derivatives, Generic[A]):
    """With those of the implied moments, `along`, by which clusters have scores."""

    along: A


@dataclass(frozen=True, slots=True, eq=False)
class MomentDerivatives(ImpliedDerivatives[Jacobians]):
    """With the gradients in the implied moments, which the second derivatives need."""

    moments: MomentGradients


D = TypeVar("D", bound=Derivatives)


@dataclass(frozen=True, slots=True, eq=False)
class Conditioned(Generic[D]):
    """Derivatives at a point along a well-conditioned basis, with the expected information.

    Attributes
    ----------
    lost : int
        How many directions of the basis, the first ones, the data say nothing of.
    """

    at: D
    expected: Shaped[Array, "n n"] | Arrow
    lost: int


@dataclass(frozen=True, slots=True, eq=False)
class Objective(ABC, Generic[P, D]):
    """What is maximised, ℓ(θ) of some data, with its derivatives."""

    def of(self, which: Shaped[Index, "r"]) -> Self:
        """Of many data sets that of some."""
        raise NotImplementedError(f"{type(self).__name__} is of one data set.")

    @abstractmethod
    def evaluate(self, params: Shaped[Array, "... npar"]) -> P | None:
        """ℓ at `params`, or None outside the parameter space."""

    @abstractmethod
    def derivatives(self, point: P, basis: Shaped[Array, "... npar n"]) -> D:
        """Along the columns of `basis` (npar, n)."""

    @abstractmethod
    def expected(self, point: P, at: D) -> Shaped[Array, "... n n"]:
        """Expected information (n, n) along the basis."""

    @abstractmethod
    def observed(self, point: P, at: D) -> Shaped[Array, "... n n"]:
        """Observed information (n, n) along the basis, in closed form."""

    def information(
        self, point: P, at: D, kind: InformationKind
    ) -> Shaped[Array, "... n n"] | Arrow:
        """Either, with the structure that it has."""
        return self.expected(point, at) if kind == "expected" else self.observed(point, at)

    def fixed_effects(self) -> MeanParts | None:
        """Which parameters are fixed effects of a linear mixed model of one outcome; None where
        this is no such model."""
        return None

    def conditioned(self, point: P, basis: Shaped[Array, "npar n"]) -> Conditioned[D]:
        """A basis of the same space in which the expected information is near the identity.

        A covariate far from zero makes its slope and the intercept collinear: the information
        then keeps few of its digits. Directions that are combined *before* any cross-product is
        taken lose none. So the information is taken once more along the new basis; eigenvalues
        that are still small there are those of a singular information. A basis that is good
        enough is kept.
        """
        at = self.derivatives(point, basis)
        expected = self.expected(point, at)
        if well_conditioned(expected):
            return Conditioned(at, expected, 0)
        values, vectors, scale = scaled_eigen(expected)
        spread = np.sqrt(np.maximum(values, ROUNDING * values[-1]))
        at = self.derivatives(point, basis @ (scale[:, None] * vectors / spread))
        values, vectors = np.linalg.eigh(self.expected(point, at))
        at = self.derivatives(point, at.basis @ vectors)
        return Conditioned(at, self.expected(point, at), int((values < SINGULAR).sum()))


@dataclass(frozen=True, slots=True, eq=False)
class MomentObjective(Objective[M, MomentDerivatives], Generic[M, L]):
    """An objective with the derivatives of a Gaussian likelihood: of mean μ(φ) and covariance
    V(φ) it has

        expected  A_ab = ½ tr V⁻¹V_a V⁻¹V_b + μ_aᵀ V⁻¹ μ_b
        observed  I_ab = -½ tr V⁻¹V_a V⁻¹V_b + δ_aᵀ V⁻¹ δ_b - Σ_m (∂ℓ/∂m) ∂²m/∂φ_a∂φ_b

    with δ_a = μ_a + V_a V⁻¹(y - μ) and m the implied moments of a pattern.
    """

    pattern: L

    @abstractmethod
    def moment_gradients(self, point: M) -> MomentGradients:
        """∂ℓ/∂m."""

    @abstractmethod
    def covariance_part(self, point: M, along: Jacobians) -> Shaped[Array, "... n n"]:
        """½ tr V⁻¹V_a V⁻¹V_b."""

    @abstractmethod
    def expected_mean_part(self, point: M, along: Jacobians) -> Shaped[Array, "... n n"]:
        """μ_aᵀ V⁻¹ μ_b."""

    @abstractmethod
    def observed_mean_part(self, point: M, along: Jacobians) -> Shaped[Array, "... n n"]:
        """δ_aᵀ V⁻¹ δ_b."""

    def fixed_effects(self) -> MeanParts | None:
        pattern = self.pattern
        if isinstance(pattern, ModelPattern) and is_mixed(pattern):
            return mean_parts(pattern)
        return None

    def edge(self, point: M) -> tuple[str, float] | None:
        """Which clusters have the implied covariance nearest to a singular one, and its smallest
        eigenvalue in units of no clustering; None where that is not known."""
        return None

    def sampler(self, clusters: MomentClusters[M], point: M) -> Sampler[Any]:
        """Prepare draws from the model at a point; `clusters` are those of the objective's data,
        whose covariates stay as they are. See `MomentClusters.sampler`."""
        pattern = self.pattern
        assert isinstance(pattern, ModelPattern)  # outcomes are stored by name
        return clusters.sampler(pattern, point)

    def derivatives(self, point: M, basis: Shaped[Array, "... npar n"]) -> MomentDerivatives:
        along = jacobians(self.pattern, point.levels, basis)
        moments = self.moment_gradients(point)
        return MomentDerivatives(basis, gradient(moments, along), along, moments)

    def expected(self, point: M, at: MomentDerivatives) -> Shaped[Array, "... n n"]:
        return self.covariance_part(point, at.along) + self.expected_mean_part(point, at.along)

    def observed(self, point: M, at: MomentDerivatives) -> Shaped[Array, "... n n"]:
        return (
            self.observed_mean_part(point, at.along)
            - self.covariance_part(point, at.along)
            - curvature(self.pattern, point.levels, at.moments, at.basis)
        )


def well_conditioned(information: Shaped[Array, "... n n"] | Arrow) -> Any:
    """Whether a basis needs no conditioning for this (observed or expected) information; of many
    an answer for each."""
    if isinstance(information, Arrow):
        root = information.root()
        return root is not None and bool((root.pivots(information) > ILL_CONDITIONED).all())
    unit = unit_diagonal(information)
    factor = None if unit is None else lower_factor(unit[0])
    if factor is None:
        return False
    return (np.diagonal(factor, axis1=-2, axis2=-1) ** 2 > ILL_CONDITIONED).all(axis=-1)
