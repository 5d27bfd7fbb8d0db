"""The objective of three levels, and the units whose scores a robust covariance sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import ClusterParts
from mlsem.core.clusters.view import MomentClusters
from mlsem.core.implied.derivatives import Jacobians, MomentGradients
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.nested import information
from mlsem.core.nested.clusters import UnitDerivatives, unit_scores
from mlsem.core.nested.draws import nested_sampler
from mlsem.core.nested.likelihood import NestedPoint, evaluate, moment_gradients
from mlsem.core.nested.sample import NestedSample
from mlsem.core.nested.white import white_derivatives
from mlsem.core.optimise.objective import L, MomentObjective
from mlsem.core.records import Array, Index
from mlsem.core.sample.draws import Sampler


@dataclass(frozen=True, slots=True, eq=False)
class NestedObjective(MomentObjective[NestedPoint, L]):
    """ℓ(θ) for a pattern of three levels and the clusters of the data, in their units."""

    data: NestedSample

    def evaluate(self, params: Shaped[Array, "... npar"]) -> NestedPoint | None:
        return evaluate(self.pattern, self.data, params)

    def moment_gradients(self, point: NestedPoint) -> MomentGradients:
        return moment_gradients(point, self.pattern, self.data)

    def covariance_part(self, point: NestedPoint, along: Jacobians) -> Shaped[Array, "... n n"]:
        return information.covariance_part(point, self.data, along)

    def expected_mean_part(self, point: NestedPoint, along: Jacobians) -> Shaped[Array, "... n n"]:
        return information.expected_mean_part(point, self.data, along)

    def observed_mean_part(self, point: NestedPoint, along: Jacobians) -> Shaped[Array, "... n n"]:
        return information.observed_mean_part(point, self.data, along)


@dataclass(frozen=True, slots=True, eq=False)
class NestedUnits(MomentClusters[NestedPoint]):
    """Units of level 3."""

    data: NestedSample

    @property
    def n_clusters(self) -> int:
        return self.data.n_units

    def scores(self, point: NestedPoint, along: Jacobians) -> Shaped[Array, "J n"]:
        return unit_scores(point, self.data, along)

    def parts(self, point: NestedPoint, along: Jacobians) -> ClusterParts:
        return UnitDerivatives(point, self.data, white_derivatives(point, self.data, along))

    def mixed(
        self,
        point: NestedPoint,
        along: Jacobians,
        fixed: int,
        clusters: slice | Shaped[Index, "j"],
        robust: Shaped[Index, "j"],
    ) -> MixedClusters:
        raise NotImplementedError("three levels are no mixed model here")

    def sampler(self, pattern: ModelPattern, point: NestedPoint) -> Sampler[Any]:
        return nested_sampler(pattern, point, self.data)
