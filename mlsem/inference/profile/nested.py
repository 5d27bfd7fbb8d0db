"""Profile-likelihood intervals of the variances of a mixed model of three levels.

As `run` has them: ℓ_R is maximised over all variances but one, held at a value, and its fall is
measured by the cluster-robust variance of CR2 over the model's. The variance of effect k is
wᵀΨ*w with w the k-th row of the turn A, of the search's Ψ*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlsem.core.optimise.factored import Factors
from mlsem.core.records import Array
from mlsem.core.restricted.nested.likelihood import NestedObjective, NestedPoint
from mlsem.errors import EstimationError, InferenceError
from mlsem.estimation.faces import bounded
from mlsem.estimation.nested import NestedEstimates, estimate_nested, factors_of_levels
from mlsem.estimation.settings import Settings
from mlsem.inference.covariance.nested import nested_covariance
from mlsem.inference.covariance.reference import ClusterReference
from mlsem.inference.profile.run import ProfileIntervals, variance_places
from mlsem.inference.profile.search import Place, Search, critical_value, relative_variances

LOOSE = 1e-4  # remaining step of a constrained fit, in standard errors
PATIENCE = 60  # iterations of a constrained fit


def nested_profile_intervals(
    estimates: NestedEstimates, places: list[int], level: float
) -> ProfileIntervals:
    """Intervals of those of the parameters at `places` that are variances; NaN where one has no
    cluster-robust standard error.

    Raises
    ------
    InferenceError
        The fit did not converge, or there are no CR2 standard errors.
    """
    if not estimates.converged:
        raise InferenceError("the fit did not converge: there is no likelihood to profile.")
    covariance, doubts = nested_covariance(estimates.under(estimates.settings.with_se("CR2")))
    if not isinstance(covariance.reference, ClusterReference):
        raise InferenceError(f"there are no profile intervals: {' '.join(doubts)}")
    restricted = estimates
    if not estimates.restricted:
        restricted = estimate_nested(
            estimates.data, replace(estimates.settings, estimator="REML", se="none")
        )
    variances = variance_places(estimates.table)
    wanted = [k for k in dict.fromkeys(places) if k in variances]
    limits = dict.fromkeys(wanted, (np.nan, np.nan))
    clusters = covariance.reference.clusters
    known = [k for k in wanted if covariance.se[k] > 0.0]
    relative = relative_variances(clusters, clusters.influence[known]) if known else []
    for k, r in zip(known, relative, strict=True):
        model = float(clusters.basis[k] @ clusters.influence[k])
        ratio = float(covariance.matrix[k, k]) / model
        search = _search(restricted, k, model, ratio, critical_value(float(r), level))
        limits[k] = (search.lower(), search.upper())
    return ProfileIntervals(covariance, limits)


def _search(
    restricted: NestedEstimates, place: int, model: float, ratio: float, crit: float
) -> Search[NestedPoint]:
    profile = _Profile.of(restricted, place)

    def root(value: float, near: NestedPoint) -> tuple[float, NestedPoint] | None:
        point = profile.at(value, near)
        if point is None:
            return None
        gap = 2.0 * (restricted.loglik - point.loglik)
        return float(np.sqrt(max(gap, 0.0) / ratio)), point

    centre = Place(float(restricted.params[place]), 0.0, restricted.point)
    return Search(root, centre, crit, float(crit * np.sqrt(ratio * model)), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Profile:
    """ℓ_R with one variance held.

    Attributes
    ----------
    estimates : NestedEstimates
        By REML.
    place : int
        Of the variance among the parameters.
    covariances : tuple of int
        Places of the covariances of its effect.
    factors : Factors
        What the fit keeps positive semidefinite, the variance held.
    """

    estimates: NestedEstimates
    place: int
    covariances: tuple[int, ...]
    factors: Factors

    @classmethod
    def of(cls, estimates: NestedEstimates, place: int) -> _Profile:
        """Prepare the profile of the variance at `place`."""
        data, rows = estimates.data, estimates.point.model.rows
        factors = factors_of_levels(data, estimates.point.model, estimates.point.sigma2)
        turns = [rows.lower_turn] * len(data.lower.blocks) + [rows.upper_turn] * len(
            data.upper.blocks
        )
        blocks, covariances = [], ()
        for block, turn in zip(factors.blocks, turns, strict=True):
            for k in np.flatnonzero(block.cells.diagonal() == place):
                covariances = tuple(np.delete(block.cells[k], k).tolist())
                block = block.pinned(turn[np.ix_(block.effects[[k]], block.effects)][0])
            blocks.append(block)
        return cls(estimates, place, covariances, Factors(tuple(blocks)))

    def at(self, value: float, near: NestedPoint) -> NestedPoint | None:
        """The maximum at this value, from a point near by; None if it is not found."""
        own = self.estimates
        objective, p = NestedObjective(own.point.model), own.point.model.n_fixed
        free = np.eye(len(own.params))[:, p:]
        if not self.covariances and self.place == len(own.params) - 1:
            free = free[:, :-1]
        starts = [self._moved(each.params, value) for each in (near, own.point)]
        settings = Settings(tol=LOOSE, max_iter=PATIENCE)
        try:
            with np.errstate(all="ignore"):
                found = bounded(objective, iter(starts), free, settings, self.factors)
        except (np.linalg.LinAlgError, EstimationError):
            return None
        return found.point if found.converged else None

    def _moved(self, params: Array, value: float) -> Array:
        """With the effect scaled to this variance, its correlations as they are."""
        own = self.estimates.to_user @ params
        before = own[self.place]
        scale = np.sqrt(value / before) if before > 0.0 else 0.0
        own[list(self.covariances)] *= scale
        own[self.place] = value
        return np.linalg.solve(self.estimates.to_user, own)
