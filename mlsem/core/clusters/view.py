"""The clusters whose scores a robust covariance sums: what each engine says of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any, Generic, TypeVar

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import ClusterParts
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.implied.point import M, P
from mlsem.core.records import Array, Index
from mlsem.core.sample.draws import Sampler

A = TypeVar("A")


@dataclass(frozen=True, slots=True, eq=False)
class ClusterView(ABC, Generic[P, A]):
    """The clusters whose scores a robust covariance sums, as they see a point. `along` is what
    the objective's derivatives say of the implied moments (`ImpliedDerivatives`)."""

    @property
    @abstractmethod
    def n_clusters(self) -> int:
        """J."""

    @abstractmethod
    def scores(self, point: P, along: A) -> Shaped[Array, "J n"]:
        """∂ℓ_j/∂φ of every cluster."""

    @abstractmethod
    def parts(self, point: P, along: A) -> ClusterParts:
        """Their parts in the expected information, and the cumulants of their scores."""

    @abstractmethod
    def mixed(self, point: P, along: A, fixed: int, robust: Shaped[Index, "J"]) -> MixedClusters:
        """Of a linear mixed model of one outcome: each robust cluster reduced to few rows.

        Parameters
        ----------
        fixed : int
            p: how many of the directions, the first ones, are those of the fixed effects.
        robust : (J,)
            The robust cluster of each cluster, 0 … G - 1.
        """


@dataclass(frozen=True, slots=True, eq=False)
class MomentClusters(ClusterView[M, Jacobians]):
    """The clusters of one pattern."""

    @abstractmethod
    def sampler(self, pattern: ModelPattern, point: M) -> Sampler[Any]:
        """Prepare draws from the model at a point, the covariates as they are.

        Parameters
        ----------
        pattern : ModelPattern
            The point's.

        Raises
        ------
        DataError
            The data are weighted.
        InferenceError
            The covariance that is implied for some cluster is not positive definite.
        """
