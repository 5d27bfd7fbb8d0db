"""What each cluster says on its own: its log-likelihood and how far it is from what is expected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

from mlsem.core.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class ClusterFit:
    """Of J clusters: ℓ_j, d_j² and its degrees of freedom, (J,) each.

    d_j² is the squared Mahalanobis distance of all that is observed of the cluster, χ² with as
    many degrees of freedom as there are values in a right model.
    """

    loglik: Shaped[Array, "J"]
    distance: Shaped[Array, "J"]
    df: Shaped[Array, "J"]
