"""`Variation` of a mixed model of three levels: how the covariance of its fixed effects moves with
the variances that it is taken at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array
from mlsem.core.restricted.nested.likelihood import NestedChanges, NestedPoint, derivatives_of
from mlsem.core.restricted.variation import scaled_root


@dataclass(frozen=True, slots=True, eq=False)
class NestedVariation:
    """At a point; `interior` says whether what is maximised has its maximum there."""

    point: NestedPoint
    found: NestedChanges
    interior: bool

    @property
    def basis(self) -> Shaped[Array, "npar p"]:
        """C, by parameter: the first are the fixed effects."""
        root = self.point.root
        return np.concatenate((root, np.zeros((len(self.point.phi), len(root)))))

    @property
    def changes(self) -> Shaped[Array, "K p p"]:
        return self.found.products[:, :-1, :-1]

    @property
    def squares(self) -> Shaped[Array, "K K p p"]:
        return self.found.squares[:, :, :-1, :-1]

    @property
    def expected_root(self) -> Shaped[Array, "K K"] | None:
        return scaled_root(derivatives_of(self.point, self.found)[1][0])

    @property
    def observed_root(self) -> Shaped[Array, "K K"] | None:
        observed = derivatives_of(self.point, self.found)[1][1]
        root = scaled_root(observed) if self.interior else None
        return self.expected_root if root is None else root
