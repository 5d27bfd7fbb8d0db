"""What tests, tables and diagnostics need of whatever was fitted."""

from __future__ import annotations

from typing import Annotated as Shaped
from typing import Any, Protocol

from numpy.typing import NDArray

from mlsem.core.records import Array
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
