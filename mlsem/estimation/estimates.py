"""What a search found, in the user's parameters.

The optimiser works in coordinates of its own (`core.optimise.coordinates`). Everything that comes
after it speaks of the user's parameters θ: their values, and derivatives along directions of θ.
This is the one place that knows both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mlsem.core.arrow import Arrow, dense
from mlsem.core.clusters.unions import ClusterParts, arranged, expected_variances, summed
from mlsem.core.clusters.view import MixedRows, RobustTerm
from mlsem.core.evidence.posterior import Posterior
from mlsem.core.implied.pattern import LevelMoments
from mlsem.core.linalg import least_squares
from mlsem.core.optimise.coordinates import Tangent
from mlsem.core.optimise.objective import InformationKind, well_conditioned
from mlsem.core.optimise.optimum import (
    Boundary,
    Maximum,
    Optimum,
    RestrictedMaximum,
    Stationary,
    Stopped,
)
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index, frozen
from mlsem.core.sample.draws import DataSource
from mlsem.errors import EstimationError
from mlsem.estimation.directions import Directions
from mlsem.estimation.implicit_means import with_means
from mlsem.estimation.posed import Posed
from mlsem.estimation.posterior import posterior_at
from mlsem.estimation.problem import Problem
from mlsem.estimation.replicated import ReplicateEstimates
from mlsem.estimation.settings import Settings
from mlsem.model.expressions import compiled_pairs, equality_space
from mlsem.model.table import ParameterTable

if TYPE_CHECKING:
    from collections.abc import Hashable

B = TypeVar("B", bound=Posed)


@dataclass(frozen=True, slots=True, eq=False)
class GroupEstimates:
    """Those of one group.

    Attributes
    ----------
    label : hashable
        The group's value in the data; None where there is one group.
    number : int
        From 1.
    places : (m,)
        Where its parameters stand among those of all groups.
    estimates : Estimates
        As those of a model of this group alone.
    """

    label: Hashable
    number: int
    places: Index
    estimates: Estimates[Problem]

    @property
    def table(self) -> ParameterTable:
        return self.estimates.table

    @property
    def params(self) -> Array:
        """Its own parameters, (m,)."""
        return self.estimates.params

    @property
    def each(self) -> tuple[GroupEstimates, ...]:
        """Of each data set; there is one."""
        return (self,)


@dataclass(frozen=True, eq=False)
class Estimates(Generic[B]):
    """What a search found: values of the parameters θ, and the likelihood about them.

    Attributes
    ----------
    problem : Posed
        The model met with its data.
    settings : Settings
        Of the search, and of the standard errors that are wanted.
    optimum : Optimum
        Where the search stopped, the optimiser's parameters.
    record : DataRecord or GroupedRecord
        What was read of the user's data; of a refit to drawn data still that of the user's.
    replicates : ReplicateEstimates or None
        The estimates by replicate weights, where there are any.
    """

    problem: B
    settings: Settings
    optimum: Optimum[Any]
    record: Any
    replicates: ReplicateEstimates | None = None

    @property
    def table(self) -> ParameterTable:
        return self.problem.table

    @cached_property
    def groups(self) -> tuple[GroupEstimates, ...]:
        """Those of each group, as of a fit to its data alone; of one group itself."""
        if isinstance(self.problem, Problem):
            own = np.arange(len(self.names))
            return (GroupEstimates(None, 1, own, cast("Estimates[Problem]", self)),)
        return tuple(
            GroupEstimates(
                label=part.label,
                number=part.number,
                places=part.places,
                estimates=Estimates(part.problem, self.settings, self._of_group(k), record),
            )
            for k, (part, record) in enumerate(
                zip(self.problem.groups, self.record.groups, strict=True)
            )
        )

    def _of_group(self, k: int) -> Optimum[Any]:
        """The optimum as the k-th group sees it: a maximum, in its own parameters."""
        optimum, point = self.optimum, self.optimum.point.terms[k]
        there = point, np.eye(len(point.params)), optimum.n_iterations, optimum.distance
        if not optimum.converged:
            return Stopped(*there, cast("Any", optimum.status), optimum.where)
        return Boundary(*there) if optimum.singular else Maximum(*there)

    @property
    def clustered(self) -> bool:
        """Whether the user named clusters."""
        return self.table.multilevel or self.problem.only_robust

    @property
    def names(self) -> tuple[str, ...]:
        """Of the free parameters."""
        return self.problem.table.names

    @property
    def converged(self) -> bool:
        return self.optimum.converged

    @property
    def loglik(self) -> float:
        """What was maximised: ℓ, or ℓ_R of a restricted fit."""
        return self.optimum.loglik

    @property
    def boundary(self) -> bool:
        """Whether the covariances of the random effects, kept semidefinite, are singular."""
        return self.optimum.singular

    @property
    def weighted(self) -> bool:
        """Whether rows or clusters have weights."""
        return self.settings.weights is not None or self.problem.moments.is_weighted

    @property
    def restricted(self) -> bool:
        """Whether they are a maximum of ℓ_R."""
        return isinstance(self.optimum, RestrictedMaximum)

    @property
    def params(self) -> Array:
        """θ, (npar,)."""
        return self._params

    @cached_property
    @quiet
    def _params(self) -> Array:
        return self.problem.coordinates.to_user(self.optimum.params)

    @property
    def implied(self) -> tuple[LevelMoments, ...]:
        """Implied moments of each level; of several groups, of each level of each group."""
        return self.optimum.point.levels

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return self.record.moments.n_rows

    @property
    def cluster_labels(self) -> NDArray[Any]:
        """Ids of the clusters of the robust covariance, (G,)."""
        return self.problem.robust.labels

    @cached_property
    @quiet
    def equal(self) -> Array:
        """(npar, n): directions that keep the equality constraints, to first order; unlike `free`
        also those that bounds and inequalities leave no room for."""
        return equality_space(compiled_pairs(self.table), self.params)

    @property
    def n_equalities(self) -> int:
        """Equality constraints, less those that others imply."""
        return len(self.names) - self.equal.shape[1]

    @property
    def n_params(self) -> int:
        """Free parameters less equality constraints."""
        return len(self.names) - self.n_equalities

    @property
    def n_own_params(self) -> int:
        """The same of the model alone, without those of auxiliary variables."""
        return self.n_params - self.table.n_auxiliary

    @property
    def free(self) -> Array:
        """(npar, n): directions in which θ may move there, all or those that keep the equalities
        and the inequalities that are active."""
        return self.to_user(self.optimum.free)

    @cached_property
    def _tangent(self) -> Tangent:
        """∂θ/∂(the optimiser's parameters)."""
        return self.problem.coordinates.tangent(self.optimum.params)

    def to_user(self, basis: Array) -> Array:
        """Directions of the optimiser's parameters as ones of the user's, (npar, n)."""
        return basis if self.problem.coordinates.same else self._tangent.to_user(basis)

    def _to_internal(self, basis: Array) -> Array:
        """Directions of the user's parameters as ones of the optimiser's."""
        if self.problem.coordinates.same:
            return basis
        return self._tangent.to_internal(basis)

    def with_se(self, name: str, **options: str | None) -> Estimates:
        """The same with other standard errors; see `Settings.with_se`."""
        return self.under(self.settings.with_se(name, **options))

    def under(self, settings: Settings) -> Estimates:
        """The same with the standard errors of other settings, and what is known of them."""
        other, of_settings = replace(self, settings=settings), ("settings", "groups")
        vars(other).update({k: v for k, v in vars(self).items() if k not in of_settings})
        return other

    # --- directions ---------------------------------------------------------------------------

    def along(self, basis: Array) -> Directions:
        """Directions of the user's parameters, the columns of `basis` (npar, n)."""
        at = self.problem.inner.derivatives(self.optimum.point, self._to_internal(basis))
        return Directions(basis, at, np.zeros((len(self.params), 0)))

    def directions(self) -> Directions:
        """Well-conditioned ones that span `free`, less those that the data do not determine."""
        return self._spanning

    @cached_property
    def _spanning(self) -> Directions:
        optimum = self.optimum
        if isinstance(optimum, Stationary) and well_conditioned(optimum.observed):
            return self._directions(optimum.at)
        return self._conditioned([self.optimum.free])

    def directions_apart(self) -> Directions:
        """The same, the fixed effects of a linear mixed model of one outcome first."""
        inner, optimum = self.problem.inner, self.optimum
        effects = None if self.problem.incomplete else inner.fixed_effects()
        split = None if effects is None else effects.apart(optimum.free)
        if split is None or not split[0].shape[1]:
            return self.directions()
        at = inner.derivatives(optimum.point, np.concatenate(split, axis=1))
        if well_conditioned(inner.information(optimum.point, at, "expected")):
            return self._directions(at, fixed=split[0].shape[1])
        return self._conditioned(list(split))

    def _conditioned(self, blocks: list[Array]) -> Directions:
        inner, point = self.problem.inner, self.optimum.point
        conditioned = [inner.conditioned(point, block) for block in blocks]
        determined = [each.at.basis[:, each.lost :] for each in conditioned]
        lost = np.concatenate([each.at.basis[:, : each.lost] for each in conditioned], axis=1)
        at = inner.derivatives(point, np.concatenate(determined, axis=1))
        return self._directions(at, lost, determined[0].shape[1] if len(blocks) > 1 else 0)

    def _directions(self, at: Any, lost: Array | None = None, fixed: int = 0) -> Directions:
        none = np.zeros((len(at.basis), 0))
        lost = none if lost is None else self.to_user(lost)
        return Directions(self.to_user(at.basis), at, lost, fixed)

    # --- what the likelihood says along them ----------------------------------------------------

    def scores(self, directions: Directions) -> Array:
        """∂ℓ_j along each direction of every cluster of the likelihood, (J, n)."""
        return self.problem.clusters.scores(self.optimum.point, directions.at.along)

    def robust_scores(self, directions: Directions) -> Array:
        """The same of the clusters of the robust covariance, (G, n)."""
        scores, robust = self.scores(directions), self.problem.robust
        return scores if robust.same else summed(scores, robust.codes)

    def robust_terms(self, directions: Directions, *, by_term: bool) -> tuple[RobustTerm, ...]:
        """The same clusters by term, or as those of one, also where fixed effects are apart."""
        clusters, codes = self.problem.clusters, self.problem.robust.codes
        there, size = (self.optimum.point, directions.at.along), directions.basis.shape[1]
        if by_term and not directions.fixed:
            return clusters.by_term(*there, size, codes)
        return clusters.together(*there, size, codes)

    def information(self, directions: Directions, kind: InformationKind) -> Array:
        """Expected information of ℓ, or observed information of its Lagrangian, (n, n)."""
        return dense(self.arranged_information(directions, kind))

    def arranged_information(self, directions: Directions, kind: InformationKind) -> Array | Arrow:
        """The same with the structure that terms give it."""
        at, optimum, inner = directions.at, self.optimum, self.problem.inner
        if kind == "expected":
            return inner.information(optimum.point, at, kind)
        if isinstance(optimum, Stationary) and at is optimum.at:
            return optimum.observed
        return optimum.lagrangian(inner.information(optimum.point, at, kind), at.basis)

    def complete_information(self, directions: Directions) -> Array:
        """Expected information that the same rows would have with nothing missing, (n, n).

        Raises
        ------
        EstimationError
            The estimates are outside the parameter space.
        """
        objective = self.problem.if_complete()
        point = objective.evaluate(self.optimum.params)
        if point is None:
            raise EstimationError("the estimates are outside the parameter space.")
        return objective.expected(point, objective.derivatives(point, directions.at.basis))

    def restricted_information(self, directions: Directions) -> Array | None:
        """Observed information of ℓ_R, (n, n); None of a fit by maximum likelihood."""
        optimum = self.optimum
        if not isinstance(optimum, RestrictedMaximum):
            return None
        half = least_squares(optimum.bread, directions.at.basis)
        return half.T @ half

    def restricted_covariance(self) -> tuple[Array, Array]:
        """By the information of ℓ_R: the model's covariance of the estimates (npar, npar), and
        the directions (npar, l) that the data do not determine there."""
        optimum = self.optimum
        assert isinstance(optimum, RestrictedMaximum)
        root = self._tangent.to_user(optimum.root)
        return frozen(root @ root.T), self.to_user(optimum.lost)

    def parts(self, directions: Directions) -> ClusterParts:
        """Each cluster's part in the expected information, and the cumulants of its scores."""
        return self.problem.clusters.parts(self.optimum.point, directions.at.along)

    def robust_variances(self, directions: Directions, along: Array) -> Array:
        """aᵀ Q a of each robust cluster for each row a of `along` (c, n), (G, c). Q = Σ w_j B_j,
        B_j expected, is the covariance of its score if the model is right."""
        moments, robust = self.problem.moments, self.problem.robust
        variances = expected_variances(self.parts(directions), along)
        if moments.is_weighted:
            variances *= moments.weights[:, None]
        return variances if robust.same else summed(variances, robust.codes)

    def mixed_rows(self, directions: Directions) -> MixedRows | None:
        """The robust clusters of a mixed model, each reduced to few rows; None with weights, and
        where the fixed effects are not told apart."""
        if not directions.fixed or self.problem.moments.is_weighted:
            return None
        there = self.optimum.point, directions.at.along
        order, starts = arranged(self.problem.robust.codes)
        return MixedRows(self.problem.clusters, *there, directions.fixed, order, starts)

    # --- what follows from the model ------------------------------------------------------------

    def sampler(self) -> DataSource:
        """Draws from the fitted model, the covariates as they are."""
        problem = self.problem
        return problem.inner.sampler(problem.clusters, self.optimum.point)

    def posterior(self) -> Posterior | None:
        """Of the variables of level 2 in each cluster; None outside the parameter space."""
        problem, coordinates = self.problem, self.problem.coordinates
        turn = coordinates.effects_to_user()
        return posterior_at(coordinates.internal, problem.moments, self.optimum.params, turn)

    def with_means(self) -> Estimates:
        """With the intercepts that a model without a mean structure has implicitly."""
        problem, optimum = with_means(self.problem, self.optimum)
        return self if problem is self.problem else replace(self, problem=problem, optimum=optimum)
