"""Derivatives of the implied moments, in units in which these are the identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.intercepts.clusters import joined_means, mean_covariance
from mlsem.core.linalg import apply_maps
from mlsem.core.nested.likelihood import NestedPoint
from mlsem.core.nested.sample import NestedSample
from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class WhiteDerivatives:
    """Along n directions.

    Attributes
    ----------
    deviations : (n, p, p)
        Ω_a = Lᵀ Σ_W,a L.
    slopes : (n, p, V)
        Δ_a, how Lᵀ times the mean of deviations moves, as a map of them.
    mean : (S, n, m, m)
        Ω̄_a = L̄ᵀ V̄_a L̄ of each size.
    maps : (S, n, m, D)
        M_a, how L̄ᵀ times the mean of a cluster's (y, z) moves by levels 1 and 2, as a map of h.
    sigma3 : (n, t + s, t + s)
        Σ_C,a.
    mean3 : (n, t + s, D)
        ∂_a(mean of (t, s)) as a map of h.
    """

    deviations: Shaped[Array, "n p p"]
    slopes: Shaped[Array, "n p V"]
    mean: Shaped[Array, "S n m m"]
    maps: Shaped[Array, "S n m D"]
    sigma3: Shaped[Array, "n ts ts"]
    mean3: Shaped[Array, "n ts D"]

    def carried(self, raised: Shaped[Array, "S m t"]) -> Shaped[Array, "S n t t"]:
        """Xᵀ Ω̄_a X, what a cluster adds to the change of Ω."""
        return raised.swapaxes(1, 2)[:, None] @ self.mean @ raised[:, None]

    def means_of(self, data: NestedSample, clusters: Shaped[Index, "j"]) -> Shaped[Array, "j n m"]:
        """M_a h of these clusters."""
        sizes, n, m, width = self.maps.shape
        flat = self.maps.reshape(sizes, n * m, width)
        found = apply_maps(flat, data.shape_of[clusters], data.rows[clusters])
        return found.reshape(len(clusters), n, m)


def white_derivatives(point: NestedPoint, data: NestedSample, along: Jacobians) -> WhiteDerivatives:
    """Whiten the derivatives `along` n directions."""
    within, middle, top = along
    split = _split(point, middle.sigma.shape[-1])
    root, left = point.means.root, point.means.factor[:, None].swapaxes(-1, -2)
    sizes = data.sizes[:, None, None, None]
    change = mean_covariance(within.sigma / sizes, middle.sigma, split)
    return WhiteDerivatives(
        deviations=root.T @ within.sigma @ root,
        slopes=root.T @ within.mean[:, :, data.moments.varying_entries],
        mean=left @ change @ left.swapaxes(-1, -2),
        maps=left @ joined_means(within.mean, middle.mean, split),
        sigma3=top.sigma,
        mean3=top.mean,
    )


def _split(point: NestedPoint, rows: int) -> int:
    """q: of the rows of level 2 those that are parts of y; m = p + r."""
    p, m = len(point.means.root), point.white.shape[1]
    return rows - (m - p)
