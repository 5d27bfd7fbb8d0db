"""The objective of a model with random slopes."""

from __future__ import annotations

from dataclasses import dataclass

from mlsem.core.intercepts.likelihood import Jacobians, MomentGradients
from mlsem.core.optimise.objective import MomentObjective
from mlsem.core.records import Array
from mlsem.core.slopes import information
from mlsem.core.slopes.carriers import SlopeMoments
from mlsem.core.slopes.likelihood import SlopePoint, evaluate, moment_gradients


@dataclass(frozen=True, slots=True, eq=False)
class SlopeObjective(MomentObjective[SlopePoint]):
    """ℓ(θ) for a pattern and its clusters, arranged by the pattern's carriers."""

    data: SlopeMoments

    def evaluate(self, params: Array) -> SlopePoint | None:
        return evaluate(self.pattern, self.data, params)

    def moment_gradients(self, point: SlopePoint) -> MomentGradients:
        return moment_gradients(point, self.data)

    def covariance_part(self, point: SlopePoint, along: Jacobians) -> Array:
        return information.covariance_part(point, self.data, along)

    def expected_mean_part(self, point: SlopePoint, along: Jacobians) -> Array:
        return information.expected_mean_part(point, self.data, along)

    def observed_mean_part(self, point: SlopePoint, along: Jacobians) -> Array:
        return information.observed_mean_part(point, self.data, along)
