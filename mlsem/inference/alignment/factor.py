"""What alignment makes of one factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.alignment import Aligned
from mlsem.core.records import Array
from mlsem.inference.covariance.intervals import Wald


@dataclass(frozen=True, slots=True, eq=False)
class FactorAlignment:
    """One factor.

    Attributes
    ----------
    factor : str
    factor_level : int
    items : tuple of str
    sizes : (G,)
    aligned : Aligned
    tests : Wald
        Of means, variances, loadings and intercepts, groups before items.
    members : (k, G, a) of bool
        Which groups are in the invariant set of each loading, and of each intercept.
    shares : (k, a)
        R² of each loading and intercept.
    gradients, spread : (G, npar), (G, G)
        Of the means, and their covariance matrix.
    """

    factor: str
    factor_level: int
    items: tuple[str, ...]
    sizes: Shaped[Array, "G"]
    aligned: Aligned
    tests: Wald
    members: Shaped[NDArray[np.bool_], "k G a"]
    shares: Shaped[Array, "k a"]
    gradients: Shaped[Array, "G npar"]
    spread: Shaped[Array, "G G"]

    @property
    def has_means(self) -> bool:
        return self.aligned.intercepts is not None

    @property
    def values(self) -> Shaped[Array, "k G a"]:
        """Aligned loadings, and intercepts."""
        kinds = [self.aligned.loadings]
        return np.array(
            kinds if self.aligned.intercepts is None else [*kinds, self.aligned.intercepts]
        )

    @property
    def errors(self) -> Shaped[Array, "k G a"]:
        """Their standard errors."""
        return self.tests.se[2 * len(self.sizes) :].reshape(self.values.shape)

    @property
    def differing(self) -> float:
        """The share of loadings and intercepts outside their invariant set."""
        there = ~np.isnan(self.values)
        return float((there & ~self.members).sum() / there.sum())

    @property
    def tested(self) -> bool:
        """Whether there are standard errors, and so invariant sets."""
        return bool(self.members.any())

    def averages(self) -> Shaped[Array, "k a"]:
        """Of each parameter over its invariant set (all groups where there is none), weighted by
        rows."""
        members = self.members if self.tested else ~np.isnan(self.values)
        weights = members * self.sizes[:, None]
        return (np.nan_to_num(self.values) * weights).sum(axis=1) / np.maximum(
            weights.sum(axis=1), 1.0
        )
