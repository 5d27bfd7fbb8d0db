"""How the covariance of the fixed effects moves with the variances that it is taken at.

With Φ = (Σ_j X_jᵀ V_j⁻¹ X_j)⁻¹ = C Cᵀ, V linear in the variances and covariances φ, and ξ = X C
(see `components`, whose whitened coordinates these are),

    ∂Φ/∂φ_k = C D_k Cᵀ,     D_k = ξᵀ V⁻¹ V_k V⁻¹ ξ
    Q_kl = ξᵀ V⁻¹ V_k V⁻¹ V_l V⁻¹ ξ

are sums over clusters of cross-products of the few rows that the random effects move, and what the
other rows have in them: O(J) whatever the clusters' sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Annotated as Shaped
from typing import Protocol

import numpy as np

from mlsem.core.linalg import flatten, inverse_root, unit_diagonal
from mlsem.core.records import Array, frozen
from mlsem.core.restricted.components import ComponentPoint, Components, Slopes, changes, slopes


class Variation(Protocol):
    """Of a linear mixed model of one outcome at some variances."""

    @property
    def basis(self) -> Shaped[Array, "npar p"]:
        """C, by parameter: Φ = basis basisᵀ."""
        ...

    @property
    def changes(self) -> Shaped[Array, "K p p"]:
        """D_k."""
        ...

    @property
    def squares(self) -> Shaped[Array, "K K p p"]:
        """Q_kl."""
        ...

    @property
    def expected_root(self) -> Shaped[Array, "K K"] | None:
        """R with R Rᵀ the inverse of the expected information of φ; None if singular."""
        ...

    @property
    def observed_root(self) -> Shaped[Array, "K K"] | None:
        """The same of the observed information: -½ of the Hessian of the deviance, in which the
        fixed effects follow φ. Of the expected one on the boundary, where the Hessian is no
        curvature."""
        ...


@dataclass(frozen=True, eq=False)
class ComponentVariation:
    """`Variation` of the components of two levels.

    Attributes
    ----------
    model : Components
    point : ComponentPoint
    basis : (npar, p)
        C, by parameter: Φ = basis basisᵀ.
    restricted : bool
        Whether the variances are estimated by REML; else by maximum likelihood.
    interior : bool
        Whether the criterion has its maximum there, so that its curvature is the observed
        information; on the boundary of the parameter space its gradient is not zero.
    """

    model: Components
    point: ComponentPoint
    basis: Shaped[Array, "npar p"]
    restricted: bool
    interior: bool

    @cached_property
    def changes(self) -> Shaped[Array, "K p p"]:
        """D_k."""
        moved, design = self._moved, self._design
        width, count, rows = moved.shape
        total = design @ moved.reshape(width * count, rows).T
        total = total.reshape(width, width, count).transpose(2, 0, 1)
        return frozen(total + np.einsum("kg,gpq->kpq", self._shares, self._others))

    @cached_property
    def squares(self) -> Shaped[Array, "K K p p"]:
        """Q_kl."""
        width, count, rows = self._moved.shape
        flat = self._moved.reshape(width * count, rows)
        total = (flat @ flat.T).reshape(width, count, width, count).transpose(1, 3, 0, 2)
        shares = self._shares
        return frozen(total + np.einsum("kg,lg,gpq->klpq", shares, shares, self._others))

    @cached_property
    def expected_root(self) -> Shaped[Array, "K K"] | None:
        return scaled_root(self._expected)

    @cached_property
    def observed_root(self) -> Shaped[Array, "K K"] | None:
        root = scaled_root(self._observed) if self.interior else None
        return self.expected_root if root is None else root

    @property
    def _expected(self) -> Shaped[Array, "K K"]:
        return self._slopes.expected if self.restricted else self._slopes.total

    @property
    def _observed(self) -> Shaped[Array, "K K"]:
        found = self._slopes  # expected and observed have ½ tr P V_k P V_l, ML's V⁻¹ for P
        return found.observed + found.expected - self._expected

    @cached_property
    def _slopes(self) -> Slopes:
        return slopes(self.model, self.point)

    @property
    def _shares(self) -> Shaped[Array, "K G"]:
        """V⁻¹ V_k of the other rows of each class."""
        return self.model.residual[1:] / self.point.sigma2

    @property
    def _others(self) -> Shaped[Array, "G p p"]:
        """Cross-products of ξ over the other rows of each class."""
        p = len(self.point.root)
        return self.point.others[:, :p, :p]

    @property
    def _design(self) -> Shaped[Array, "p dJ"]:
        """Whitened ξ."""
        p = len(self.point.root)
        return flatten(self.point.columns[:, :p].swapaxes(0, 1))

    @cached_property
    def _moved(self) -> Shaped[Array, "p K dJ"]:
        """M_k ξ."""
        p, each = len(self.point.root), changes(self.model, self.point)
        moved = np.einsum("abkj,bcj->ckaj", each, self.point.columns[:, :p])
        return moved.reshape(p, each.shape[2], prod(moved.shape[2:]))


def scaled_root(information: Shaped[Array, "K K"]) -> Shaped[Array, "K K"] | None:
    """R with R Rᵀ the inverse; None if it is singular. Variances may be in units that are far
    apart."""
    unit = unit_diagonal(information)
    root = None if unit is None else inverse_root(unit[0])
    return None if unit is None or root is None else unit[1][:, None] * root
