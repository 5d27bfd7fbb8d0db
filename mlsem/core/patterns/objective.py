"""The objective of a model with missing values, and its clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import ClusterParts
from mlsem.core.clusters.view import MomentClusters
from mlsem.core.implied.derivatives import Jacobians, MomentGradients, some
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.optimise.objective import L, MomentObjective
from mlsem.core.patterns import information
from mlsem.core.patterns.carriers import CellRows, PatternMoments
from mlsem.core.patterns.clusters import PatternParts
from mlsem.core.patterns.draws import pattern_sampler
from mlsem.core.patterns.likelihood import (
    PatternPoint,
    evaluate,
    moment_gradients,
    single_level_point,
)
from mlsem.core.patterns.reduced import mixed_clusters
from mlsem.core.patterns.scores import cluster_scores
from mlsem.core.records import Array, CellMoments, Index
from mlsem.core.sample.draws import Sampler


@dataclass(frozen=True, slots=True, eq=False)
class PatternObjective(MomentObjective[PatternPoint, L]):
    """ℓ(θ) of rows with missing values, for a pattern and the data as it sees them."""

    data: PatternMoments

    def evaluate(self, params: Shaped[Array, "npar"]) -> PatternPoint | None:
        return evaluate(self.pattern, self.data, params)

    def moment_gradients(self, point: PatternPoint) -> MomentGradients:
        return moment_gradients(point, self.data)

    def covariance_part(self, point: PatternPoint, along: Jacobians) -> Shaped[Array, "n n"]:
        return information.covariance_part(point, self.data, along)

    def expected_mean_part(self, point: PatternPoint, along: Jacobians) -> Shaped[Array, "n n"]:
        return information.expected_mean_part(point, self.data, along)

    def observed_mean_part(self, point: PatternPoint, along: Jacobians) -> Shaped[Array, "n n"]:
        return information.observed_mean_part(point, self.data, along)

    def edge(self, point: PatternPoint) -> tuple[str, float] | None:
        """The smallest eigenvalue of P_j, and the rows of that cluster."""
        if not point.split:
            return None
        largest = np.linalg.norm(point.white, ord=2, axis=(1, 2))
        k = int(np.argmax(largest))
        rows = int(self.data.sizes[[k]].sum())
        return f"a cluster of {rows} rows", float(largest[k]) ** -2.0


@dataclass(frozen=True, slots=True, eq=False)
class PatternClusters(MomentClusters[PatternPoint]):
    """Clusters of cells, and what the pooled sums do not keep of them."""

    moments: CellMoments
    data: PatternMoments
    cells: CellRows

    @property
    def n_clusters(self) -> int:
        return self.data.n_clusters

    def scores(self, point: PatternPoint, along: Jacobians) -> Shaped[Array, "J n"]:
        return cluster_scores(point, self.data, self.cells, along)

    def parts(self, point: PatternPoint, along: Jacobians) -> ClusterParts:
        return PatternParts(point, self.data, self.cells, along)

    def mixed(
        self,
        point: PatternPoint,
        along: Jacobians,
        fixed: int,
        clusters: slice | Shaped[Index, "j"],
        robust: Shaped[Index, "j"],
    ) -> MixedClusters:
        """Of a model whose rows fall into classes. Nothing is missing in a mixed model: a row
        without its one outcome says nothing."""
        effects, every = some(along, slice(fixed)), np.arange(self.n_clusters)
        return mixed_clusters(point, self.data, self.cells, effects, every[clusters], robust)

    def sampler(self, pattern: ModelPattern, point: PatternPoint) -> Sampler[Any]:
        return pattern_sampler(pattern, point, self.moments, self.data, self.cells)


@dataclass(frozen=True, slots=True, eq=False)
class SingleLevelPatternClusters(MomentClusters[PatternPoint]):
    """Sets of rows that play no part in the likelihood, which is that of one cluster of all."""

    groups: PatternClusters

    @property
    def n_clusters(self) -> int:
        return self.groups.n_clusters

    def scores(self, point: PatternPoint, along: Jacobians) -> Shaped[Array, "J n"]:
        return self.groups.scores(self._seen(point), along)

    def parts(self, point: PatternPoint, along: Jacobians) -> ClusterParts:
        return self.groups.parts(self._seen(point), along)

    def mixed(
        self,
        point: PatternPoint,
        along: Jacobians,
        fixed: int,
        clusters: slice | Shaped[Index, "j"],
        robust: Shaped[Index, "j"],
    ) -> MixedClusters:
        return self.groups.mixed(self._seen(point), along, fixed, clusters, robust)

    def sampler(self, pattern: ModelPattern, point: PatternPoint) -> Sampler[Any]:
        return self.groups.sampler(pattern, self._seen(point))

    def _seen(self, point: PatternPoint) -> PatternPoint:
        return single_level_point(point, self.groups.data)
