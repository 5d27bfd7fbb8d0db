"""Clusters whose parts in the information are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class KnownParts:
    """`ClusterParts` of scores that are linear in the data, so that they have no cumulants.

    Attributes
    ----------
    each : (J, n, n)
        B_j.
    """

    each: Shaped[Array, "J n n"]

    @property
    def n_directions(self) -> int:
        return self.each.shape[1]

    @property
    def n_clusters(self) -> int:
        return len(self.each)

    @property
    def width(self) -> int:
        return self.each.shape[1]

    @property
    def alike(self) -> None:
        """Each is its own kind."""
        return None

    def only(self, directions: Shaped[Index, "k"]) -> KnownParts:
        return KnownParts(self.each[:, directions[:, None], directions])

    def information(self, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n n"]:
        return self.each[clusters]

    def variances(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "c n"]
    ) -> Shaped[Array, "j c"]:
        return np.einsum("cn,jnm,cm->jc", directions, self.each[clusters], directions)

    def fourth_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c"]:
        return np.zeros(directions.shape[:2])

    def third_cumulants(
        self, clusters: Shaped[Index, "j"], directions: Shaped[Array, "j c n"]
    ) -> Shaped[Array, "j c n"]:
        return np.zeros(directions.shape)
