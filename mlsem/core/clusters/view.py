"""The clusters whose scores a robust covariance sums: what each engine says of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Generic

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import ClusterParts
from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.implied.point import M
from mlsem.core.records import Array, Index
from mlsem.core.sample.draws import Sampler


@dataclass(frozen=True, slots=True, eq=False)
class ClusterView(ABC, Generic[M]):
    """The clusters whose scores a robust covariance sums, as they see a point; they are drawn."""

    @abstractmethod
    def scores(self, point: M, along: Jacobians) -> Array:
        """∂ℓ_j/∂φ of every cluster, (J, n)."""

    @abstractmethod
    def parts(self, point: M, along: Jacobians) -> ClusterParts:
        """Their parts in the expected information, and the fourth cumulants of their scores."""

    @abstractmethod
    def mixed(self, point: M, along: Jacobians, robust: Index) -> MixedClusters:
        """Of a linear mixed model of one outcome: each robust cluster reduced to few rows.

        Parameters
        ----------
        along : Jacobians
            The p directions of the fixed effects.
        robust : (J,)
            The robust cluster of each cluster, 0 … G - 1.
        """

    @abstractmethod
    def sampler(self, pattern: ModelPattern, point: M) -> Sampler:
        """Prepare draws from the model at a point, the covariates as they are.

        Parameters
        ----------
        pattern : ModelPattern
            The point's.

        Raises
        ------
        InferenceError
            The covariance that is implied for some cluster is not positive definite.
        """
