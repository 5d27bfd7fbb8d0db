"""A model met with its data: what there is of one group and of several alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlsem.core.optimise.objective import Objective
from mlsem.core.optimise.runaway import Watch
from mlsem.core.records import Array, Index, RobustClusters
from mlsem.errors import EstimationError
from mlsem.model.table import ParameterTable

if TYPE_CHECKING:
    from mlsem.estimation.problem import Problem


@dataclass(frozen=True, eq=False)
class Posed(ABC):
    """A model met with its data, of one group or of several.

    Attributes
    ----------
    table : ParameterTable
    objective : Objective
        The log-likelihood of the user's parameters.
    inner : Objective
        The same of the optimiser's parameters.
    coordinates : Coordinates or SumCoordinates
        From the one to the other.
    guess : (npar,)
        Default starting values, the user's parameters.
    clusters : ClusterView
        The clusters of `moments` as they see a point of the objective.
    moments : ClusterMoments, CellMoments or GroupedMoments
        The clusters whose scores a robust covariance sums (rows, without `cluster=`). Cells where
        values are missing.
    robust : RobustClusters
        Of the robust covariance, unions of the clusters of `moments`.
    """

    table: ParameterTable
    objective: Any
    inner: Any
    coordinates: Any
    guess: Array
    clusters: Any
    moments: Any
    robust: RobustClusters

    @property
    @abstractmethod
    def groups(self) -> tuple[PosedGroup, ...]:
        """The model of each group met with its data; of one group itself."""

    @abstractmethod
    def with_table(self, table: ParameterTable, guess: Array) -> Self:
        """The same data met with another table of the same variables; `guess` are its
        parameters."""

    @abstractmethod
    def with_moments(
        self, moments: Any, guess: Array, robust: RobustClusters | None = None
    ) -> Self:
        """The same model met with other moments of the same stored columns.

        Coordinates are kept: what is far from zero is so in all data sets like this one.

        Parameters
        ----------
        moments : ClusterMoments, CellMoments or GroupedMoments
            With the columns and the shift of `moments` here.
        guess : (npar,)
            Starting values, the user's parameters.
        robust : RobustClusters, optional
            Those of here, if the clusters of `moments` are the ones of here.
        """

    @abstractmethod
    def if_complete(self) -> Objective[Any, Any]:
        """The objective of the optimiser's parameters that the same rows would have with nothing
        missing. Only its expected information means anything, which takes sizes and covariates."""

    @abstractmethod
    def watch(self, first: Any) -> Watch:
        """What ends a search from this point that will not end by itself."""

    @abstractmethod
    def at_sample_means(self, params: Array) -> Array:
        """The optimiser's parameters whose intercepts reproduce the sample means as well as they
        can."""

    @property
    def only_robust(self) -> bool:
        """Whether the user named clusters, and the model has one level: they count in robust
        standard errors alone."""
        return self.robust.name is not None and not self.table.multilevel

    @property
    def separate(self) -> bool:
        """Whether there are groups that have nothing in common: each then has its own maximum."""
        return False

    @property
    def incomplete(self) -> bool:
        """Whether values are missing in the rows used."""
        return self.moments.incomplete

    @property
    def shared(self) -> Index:
        """Parameters of several groups."""
        return shared_parameters(self.table)

    def gathered(self, values: Callable[[Problem], Array]) -> Array:
        """One value for each parameter from those of each group; of shared ones the mean over
        groups, weighted by their rows."""
        total, weight = np.zeros((2, len(self.table.names)))
        for group in self.groups:
            rows = group.problem.moments.n_rows
            total[group.places] += rows * values(group.problem)
            weight[group.places] += rows
        return total / weight

    def loglik_at(self, params: Array) -> float | None:
        """ℓ at values of the user's parameters; None outside the parameter space."""
        point = self.objective.evaluate(params)
        return None if point is None else point.loglik

    def expected_information(self, params: Array, basis: Array) -> Array:
        """(n, n), at values of the user's parameters along the columns of `basis` (npar, n)."""
        point = self.objective.evaluate(params)
        if point is None:
            raise EstimationError("these parameters are outside the parameter space.")
        return self.objective.expected(point, self.objective.derivatives(point, basis))


@dataclass(frozen=True, slots=True, eq=False)
class PosedGroup:
    """The model of one group met with its data.

    Attributes
    ----------
    label : hashable
        The group's value in the data; None where there is one group.
    number : int
        From 1.
    places : (m,)
        Where its parameters stand in the whole vector.
    problem : Problem
    """

    label: Hashable
    number: int
    places: Index
    problem: Problem


def shared_parameters(table: ParameterTable) -> Index:
    """Parameters of several groups; none where there is one group."""
    count = np.zeros(len(table.names), dtype=np.intp)
    for group in table.groups:
        count[list(group.places)] += 1
    return np.flatnonzero(count > 1)
