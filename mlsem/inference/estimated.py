"""What tests, tables and diagnostics need of whatever was fitted."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated as Shaped
from typing import Any, Protocol

from numpy.typing import NDArray

from mlsem.core.records import Array, Index
from mlsem.model.table import ParameterTable


class Estimated(Protocol):
    """Estimates of named parameters.

    `Estimates` of a search is one. What has these and a `Covariance` (a pooled result, a model
    that another likelihood or none was fitted with) is tested and shown by the same code.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Of the free parameters."""
        ...

    @property
    def table(self) -> ParameterTable:
        """The rows that are shown, and what labels and definitions mean."""
        ...

    @property
    def params(self) -> Shaped[Array, "npar"]:
        """Their values."""
        ...

    @property
    def free(self) -> Shaped[Array, "npar n"]:
        """(npar, n): directions in which they may move; constraints that hold do not."""
        ...

    @property
    def converged(self) -> bool:
        """Whether they are what was looked for."""
        ...

    @property
    def cluster_labels(self) -> Shaped[NDArray[Any], "G"]:
        """Ids of the clusters that a robust covariance sums over."""
        ...


class GroupedEstimates(Estimated, Protocol):
    """The same of a structural equation model, whose groups can be looked at one by one."""

    @property
    def groups(self) -> tuple[GroupEstimated, ...]:
        """Those of each group; of one group itself."""
        ...


class GroupEstimated(Protocol):
    """Those of one group, in one data set or pooled over several."""

    @property
    def label(self) -> Hashable:
        """The group's value in the data; None where there is one group."""
        ...

    @property
    def number(self) -> int:
        """From 1."""
        ...

    @property
    def places(self) -> Shaped[Index, "m"]:
        """Where its parameters stand among those of all groups."""
        ...

    @property
    def table(self) -> ParameterTable:
        """Of this group alone."""
        ...

    @property
    def params(self) -> Shaped[Array, "m"]:
        """Its own parameters."""
        ...

    @property
    def each(self) -> tuple[Any, ...]:
        """The `GroupEstimates` of every data set."""
        ...
