"""The objective of a model with random slopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import ClusterParts
from mlsem.core.clusters.view import MomentClusters
from mlsem.core.implied.derivatives import Jacobians, MomentGradients, some
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.optimise.objective import L, MomentObjective
from mlsem.core.records import Array, ClusterMoments, Index
from mlsem.core.sample.draws import Sampler
from mlsem.core.slopes import information
from mlsem.core.slopes.carriers import SlopeMoments
from mlsem.core.slopes.clusters import SlopeDerivatives
from mlsem.core.slopes.draws import slope_sampler
from mlsem.core.slopes.likelihood import SlopePoint, evaluate, moment_gradients
from mlsem.core.slopes.reduced import mixed_clusters
from mlsem.core.slopes.scores import cluster_scores


@dataclass(frozen=True, slots=True, eq=False)
class SlopeObjective(MomentObjective[SlopePoint, L]):
    """ℓ(θ) for a pattern and its clusters, arranged by the pattern's carriers."""

    data: SlopeMoments

    def evaluate(self, params: Shaped[Array, "npar"]) -> SlopePoint | None:
        return evaluate(self.pattern, self.data, params)

    def moment_gradients(self, point: SlopePoint) -> MomentGradients:
        return moment_gradients(point, self.data)

    def covariance_part(self, point: SlopePoint, along: Jacobians) -> Shaped[Array, "n n"]:
        return information.covariance_part(point, self.data, along)

    def expected_mean_part(self, point: SlopePoint, along: Jacobians) -> Shaped[Array, "n n"]:
        return information.expected_mean_part(point, self.data, along)

    def observed_mean_part(self, point: SlopePoint, along: Jacobians) -> Shaped[Array, "n n"]:
        return information.observed_mean_part(point, self.data, along)


@dataclass(frozen=True, slots=True, eq=False)
class SlopeClusters(MomentClusters[SlopePoint]):
    """Clusters arranged by their carriers, and their moments."""

    moments: ClusterMoments
    data: SlopeMoments

    @property
    def n_clusters(self) -> int:
        return self.data.n_clusters

    def scores(self, point: SlopePoint, along: Jacobians) -> Shaped[Array, "J n"]:
        return cluster_scores(point, self.data, self.moments, along)

    def parts(self, point: SlopePoint, along: Jacobians) -> ClusterParts:
        return SlopeDerivatives(point, self.moments, self.data, along)

    def mixed(
        self,
        point: SlopePoint,
        along: Jacobians,
        fixed: int,
        clusters: slice | Shaped[Index, "j"],
        robust: Shaped[Index, "j"],
    ) -> MixedClusters:
        effects = some(along, slice(fixed))
        return mixed_clusters(point, self.data, self.moments, effects, clusters, robust)

    def sampler(self, pattern: ModelPattern, point: SlopePoint) -> Sampler[Any]:
        return slope_sampler(pattern, point, self.moments, self.data)
