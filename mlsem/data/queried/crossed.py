"""Linear combinations among columns of which only sums are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.linalg import least_squares
from mlsem.data.design.columns import DEPENDENT, INTERCEPT

if TYPE_CHECKING:
    from mlsem.core.records import Array
    from mlsem.data.moments.monomials import MonomialMoments

PLAINLY = 1e-5
"""What is left of a column, as a share of its length, from which cross-products suffice to say that
it is no combination of others."""

Combination = Mapping[str, float]
Rest = Callable[[str, Combination], float]
"""The sum over the rows of (x − Σ_k b_k x_k)², of a column x and the b_k."""


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """Columns and the intercept by their sums over N rows.

    Attributes
    ----------
    names : tuple of str
        The intercept, then the columns.
    rows : int
    mean : (C,)
    cross : (C, C)
        Cross-products about the means.
    """

    names: tuple[str, ...]
    rows: int
    mean: Array
    cross: Array

    @classmethod
    def of(cls, moments: MonomialMoments) -> Crossed:
        """Of moments that have each column as a monomial of one factor, in the same order."""
        origin = moments.origin if moments.origin.ndim == 1 else moments.origin[moments.cluster_of]
        first = moments.origin if moments.origin.ndim == 1 else moments.origin[0]
        away = (origin - first) + moments.scale * moments.means
        n = moments.rows.astype(np.float64)
        middle = n @ away / n.sum()
        away = away - middle
        inside = moments.within.sum(axis=0) * np.outer(moments.scale, moments.scale)
        cross = np.zeros((len(middle) + 1,) * 2)
        cross[1:, 1:] = inside + (n[:, None] * away).T @ away
        mean = np.concatenate(([1.0], first + middle))
        return cls((INTERCEPT, *moments.names), int(n.sum()), mean, cross)

    def sd(self, name: str) -> float:
        place = self.names.index(name)
        return float(np.sqrt(max(self.cross[place, place], 0.0) / self.rows))

    def left(self, name: str, others: Sequence[str], rest: Rest) -> tuple[float, Combination]:
        """What is left of a column beside its nearest combination of others, as a share of its
        length, and the combination; by `rest` where cross-products have too few digits."""
        whole = self.cross + self.rows * np.outer(self.mean, self.mean)
        centred = INTERCEPT in others
        place, at = self.names.index(name), [self.names.index(n) for n in others if n != INTERCEPT]
        products = self.cross if centred else whole
        length = float(np.sqrt(max(whole[place, place], 0.0)))
        if length == 0.0:
            return 0.0, dict.fromkeys(others, 0.0)
        coefs = _solved(products[np.ix_(at, at)], products[at, place])
        square = products[place, place] - products[place, at] @ coefs
        found = {self.names[k]: float(coef) for k, coef in zip(at, coefs, strict=True)}
        if centred:
            found[INTERCEPT] = float(self.mean[place] - self.mean[at] @ coefs)
        if square < (PLAINLY * length) ** 2:
            square = rest(name, found)
        return float(np.sqrt(max(square, 0.0))) / length, {n: found[n] for n in others}

    def dependent(self, names: Sequence[str], rest: Rest) -> dict[str, Combination]:
        """Columns that are linear combinations of those before them, as R and lme4 find them
        (`columns.dependent`), and the combinations."""
        kept: list[str] = []
        spare: dict[str, Combination] = {}
        for name in names:
            share, combination = self.left(name, kept, rest)
            if share < DEPENDENT:
                spare[name] = combination
            else:
                kept.append(name)
        return {name: dict.fromkeys(kept, 0.0) | dict(each) for name, each in spare.items()}


def _solved(products: Array, wanted: Array) -> Array:
    """The shortest b with A b = c, of columns in their own units."""
    if not len(wanted):
        return np.zeros(0)
    scale = np.sqrt(np.maximum(np.diag(products), 0.0))
    scale = np.where(scale > 0.0, scale, 1.0)
    return least_squares(products / scale[:, None] / scale, wanted / scale) / scale
