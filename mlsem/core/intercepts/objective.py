"""The objective and the clusters of a model whose random effects, if any, are intercepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import ClusterParts
from mlsem.core.clusters.view import MomentClusters
from mlsem.core.implied.derivatives import Jacobians, MomentGradients, some
from mlsem.core.implied.pattern import ModelPattern, of_many
from mlsem.core.intercepts import information
from mlsem.core.intercepts.clusters import cluster_derivatives
from mlsem.core.intercepts.draws import intercept_sampler
from mlsem.core.intercepts.likelihood import Evaluation, evaluate, moment_gradients
from mlsem.core.intercepts.reduced import mixed_clusters
from mlsem.core.intercepts.scores import cluster_scores
from mlsem.core.linalg import lower_factor
from mlsem.core.optimise.objective import L, MomentObjective
from mlsem.core.records import Array, ClusterMoments, Index
from mlsem.core.sample.draws import Sampler
from mlsem.core.sample.shapes import ShapeMoments, stacked


@dataclass(frozen=True, slots=True, eq=False)
class InterceptObjective(MomentObjective[Evaluation, L]):
    """ℓ(θ) for a pattern and the data's shape moments."""

    data: ShapeMoments

    def evaluate(self, params: Shaped[Array, "... npar"]) -> Evaluation | None:
        return evaluate(self.pattern, self.data, params)

    def of(self, which: Shaped[Index, "r"]) -> InterceptObjective[L]:
        return replace(self, pattern=self.pattern.of(which), data=self.data[which])

    def moment_gradients(self, point: Evaluation) -> MomentGradients:
        return moment_gradients(point, self.data)

    def covariance_part(self, point: Evaluation, along: Jacobians) -> Shaped[Array, "... n n"]:
        return information.covariance_part(point, self.data, along)

    def expected_mean_part(self, point: Evaluation, along: Jacobians) -> Shaped[Array, "... n n"]:
        return information.expected_mean_part(point, self.data, along)

    def observed_mean_part(self, point: Evaluation, along: Jacobians) -> Shaped[Array, "... n n"]:
        return information.observed_mean_part(point, self.data, along)

    def edge(self, point: Evaluation) -> tuple[str, float] | None:
        """1 + n e at the largest clusters (`optimise.runaway`)."""
        split = point.effects.sigma_u.shape[-1]
        lower = lower_factor(point.precision[:split, :split])
        if not split or lower is None:
            return None
        least = float(np.linalg.eigvalsh(lower.T @ point.effects.sigma_u @ lower)[0])
        k = int(np.argmax(self.data.sizes))
        size, count = int(self.data.sizes[k]), int(self.data.clusters[k])
        named = f"the cluster of {size} rows"
        where = named if count == 1 else f"the {count} clusters of {size} rows"
        return where, 1.0 + float(self.data.sizes[k]) * least


@dataclass(frozen=True, slots=True, eq=False)
class InterceptClusters(MomentClusters[Evaluation]):
    """Clusters that share matrix work with those of their size."""

    moments: ClusterMoments
    shape_of: Shaped[Index, "J"]
    sizes: Shaped[Array, "S"]

    @property
    def n_clusters(self) -> int:
        return self.moments.n_clusters

    def scores(self, point: Evaluation, along: Jacobians) -> Shaped[Array, "... J n"]:
        return cluster_scores(point, self.moments, self.shape_of, self.sizes, along)

    def parts(self, point: Evaluation, along: Jacobians) -> ClusterParts:
        return cluster_derivatives(point, self.moments, self.shape_of, self.sizes, along)

    def mixed(
        self,
        point: Evaluation,
        along: Jacobians,
        fixed: int,
        clusters: slice | Shaped[Index, "j"],
        robust: Shaped[Index, "j"],
    ) -> MixedClusters:
        effects = some(along, slice(fixed))
        shapes = self.shape_of[clusters], self.sizes
        return mixed_clusters(point, self.moments, *shapes, effects, clusters, robust)

    def sampler(self, pattern: ModelPattern, point: Evaluation) -> Sampler[Any]:
        return intercept_sampler(pattern, point, self.moments, self.shape_of, self.sizes)


def objective_of_many(objectives: Sequence[InterceptObjective[Any]]) -> InterceptObjective[Any]:
    """That of many data sets whose clusters have the same sizes, and whose patterns differ in
    means alone."""
    pattern = of_many([each.pattern for each in objectives])
    return InterceptObjective(pattern, stacked([each.data for each in objectives]))


def clusters_of_many(views: Sequence[InterceptClusters]) -> InterceptClusters:
    """The clusters of many data sets, which have the same sizes and weights one by one."""
    first = views[0]
    means = np.array([each.moments.means for each in views])
    within = np.array([each.moments.within for each in views])
    return replace(first, moments=replace(first.moments, means=means, within=within))


@dataclass(frozen=True, slots=True, eq=False)
class SingleLevelClusters(MomentClusters[Evaluation]):
    """Sets of rows that play no part in the likelihood, which is that of one cluster of all."""

    groups: InterceptClusters

    @property
    def n_clusters(self) -> int:
        return self.groups.n_clusters

    def scores(self, point: Evaluation, along: Jacobians) -> Shaped[Array, "J n"]:
        return self.groups.scores(self._seen(point), along)

    def parts(self, point: Evaluation, along: Jacobians) -> ClusterParts:
        return self.groups.parts(self._seen(point), along)

    def mixed(
        self,
        point: Evaluation,
        along: Jacobians,
        fixed: int,
        clusters: slice | Shaped[Index, "j"],
        robust: Shaped[Index, "j"],
    ) -> MixedClusters:
        return self.groups.mixed(self._seen(point), along, fixed, clusters, robust)

    def sampler(self, pattern: ModelPattern, point: Evaluation) -> Sampler[Any]:
        return self.groups.sampler(pattern, point)

    def _seen(self, point: Evaluation) -> Evaluation:
        return single_level_point(point, self.groups.sizes)


def single_level_point(point: Evaluation, sizes: Shaped[Array, "S"]) -> Evaluation:
    """A single-level model's point as clusters of these sizes see it.

    Its likelihood is that of one cluster of all rows; there are no random effects, so that a
    group of n rows has V̄⁻¹ = n W and no posterior variance.
    """
    precision = sizes[:, None, None] * point.precision
    empty = np.zeros((len(sizes), 0, 0))
    residuals = replace(
        point.residuals,
        weighted=precision @ point.residuals.mean,
        between=np.zeros((len(sizes), 0, point.residuals.mean.shape[1])),
    )
    effects = replace(
        point.effects, information=empty, absorbed=empty, log_determinants=np.zeros(len(sizes))
    )
    return replace(point, mean_precision=precision, effects=effects, residuals=residuals)
