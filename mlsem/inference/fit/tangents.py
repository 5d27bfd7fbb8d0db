"""The tangents of a model in the space of its saturated model, group by group.

With A = L Lᵀ the expected information of β, which has a block A_g for each group, the columns of
Lᵀ Δ span what the model can do to first order. Directions that move one group alone have tangents
in its block; of the others (o: own, s: of several groups)

    Q = [diag(Q_g), S],     Q_g of L_gᵀ Δ_go,     S of (I - Q_g Q_gᵀ) L_gᵀ Δ_gs, one upon the other,

is orthonormal, and the work grows as the number of groups. What Q leaves of w, which has the part
w_g in group g, is r - S z with r_g = w_g - Q_g Q_gᵀ w_g, z = Σ_g S_gᵀ r_g; its square is r² - z².
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import whitened_by
from mlsem.core.records import Array, Index
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.saturated import SaturatedModel, SaturatedPoint
from mlsem.inference.covariance.score import orthonormal


@dataclass(frozen=True, slots=True, eq=False)
class GroupTangents:
    """Of one group.

    Attributes
    ----------
    point : SaturatedPoint
        Its saturated model.
    own : (b, m)
        Q_g.
    shared : (b, s)
        S_g.
    """

    point: SaturatedPoint
    own: Shaped[Array, "b m"]
    shared: Shaped[Array, "b s"]

    def beside(self, white: Shaped[Array, "b n"]) -> Shaped[Array, "b n"]:
        """r_g of w_g."""
        return white - self.own @ (self.own.T @ white)


def model_tangents(estimates: Estimates, point: SaturatedModel) -> list[GroupTangents] | None:
    """Of each group; None where A is not positive definite.

    Parameters
    ----------
    point : SaturatedPoint or SaturatedGroups
        At the estimates.
    """
    tangents = point.tangents(estimates.along(estimates.equal))
    movers = _movers([columns for columns, _ in tangents], estimates.equal.shape[1])
    several = np.flatnonzero(movers > 1)
    owned: list[Array] = []
    rest: list[Array] = []
    for group, (columns, delta) in zip(point.groups, tangents, strict=True):
        white = whitened_by(group.expected, group.expected @ delta)
        if white is None:
            return None
        alone = movers[columns] == 1
        basis = orthonormal(white[:, alone])
        shared = np.zeros((len(white), len(several)))
        shared[:, np.searchsorted(several, columns[~alone])] = white[:, ~alone]
        owned.append(basis)
        rest.append(shared - basis @ (basis.T @ shared))
    ends = np.cumsum([len(each) for each in rest])
    parts = np.split(orthonormal(np.concatenate(rest)), ends[:-1]) if len(several) else rest
    return [GroupTangents(*each) for each in zip(point.groups, owned, parts, strict=True)]


def _movers(columns: list[Shaped[Index, "_"]], count: int) -> Shaped[Index, "n"]:
    """How many groups each of the directions moves."""
    found = np.zeros(count, dtype=np.intp)
    for each in columns:
        found[each] += 1
    return found
