"""What exact refits without single clusters found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """Exact refits without one robust cluster each.

    Attributes
    ----------
    clusters : (k,)
        Positions of the clusters.
    change : (k, c)
        θ_(j) - θ̂; NaN where a refit failed.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> fit = mlsem.fit(mlsem.example_model("article"), data, cluster="id")
    >>> found = fit.cluster_diagnostics(exact=[1, 2]).left_out
    >>> found.clusters, found.change.shape, found.failed.size
    (array([0, 1]), (2, 6), 0)
    """

    clusters: Shaped[Index, "k"]
    change: Shaped[Array, "k c"]

    @property
    def failed(self) -> Shaped[Index, "f"]:
        """Clusters without which there was no maximum."""
        return self.clusters[np.isnan(self.change).all(axis=1)]
