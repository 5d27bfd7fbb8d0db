"""The covariance of all parameters of several groups, as functions of one group's see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index

if TYPE_CHECKING:
    from mlsem.estimation.estimates import GroupEstimates
    from mlsem.inference.covariance.matrix import Covariance


class DeltaMethod(Protocol):
    """What standard errors of functions of the parameters come from."""

    def of_functions(
        self, gradients: Shaped[Array, "c npar"]
    ) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
        """Standard errors and degrees of freedom of functions with these gradients."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class GroupCovariance:
    """Functions of a group's own parameters, tested with the covariance of all: clusters and
    degrees of freedom are those of the whole.

    Attributes
    ----------
    whole : Covariance
    places : (m,)
        Where the group's parameters stand among all.
    """

    whole: Covariance
    places: Shaped[Index, "m"]

    def of_functions(
        self, gradients: Shaped[Array, "c m"]
    ) -> tuple[Shaped[Array, "c"], Shaped[Array, "c"]]:
        """As `Covariance.of_functions`, with gradients along the group's parameters."""
        return self.whole.of_functions(placed(gradients, self.places, len(self.whole.matrix)))


def placed(
    gradients: Shaped[Array, "c m"], places: Shaped[Index, "m"], count: int
) -> Shaped[Array, "c npar"]:
    """Gradients along a group's parameters as ones along all, (c, npar)."""
    found = np.zeros((len(gradients), count))
    found[:, places] = gradients
    return found


def covariance_of_group(covariance: Covariance, group: GroupEstimates) -> DeltaMethod:
    """The covariance itself where there is one group."""
    one = group.label is None and len(group.places) == len(covariance.matrix)
    return covariance if one else GroupCovariance(covariance, group.places)
