"""What the data say of directions that a fitted model does not have.

A larger model is met with the same data at parameters at which it is the fitted one. Of its
further directions k and those r of the fitted model, with the scores s_j = ∂ℓ_j of the clusters and
an information A, all there, the efficient scores are what s_jk has beside s_jr:

    s_jk.r = s_jk - A_kr A_rr⁻¹ s_jr,      A_kk.r = A_kk - A_kr A_rr⁻¹ A_rk.

These are scores and information along the directions k - r A_rr⁻¹ A_rk. Where little is left of
A_kk they are computed as such: directions that are combined before any product is taken lose no
digits, and those that the data do not determine are found to be none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mlsem.core.arrow import Arrow, Block, dense
from mlsem.core.linalg import product, unit_diagonal
from mlsem.core.optimise.optimum import Maximum
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index, frozen
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posed import Posed
from mlsem.estimation.settings import InformationKind
from mlsem.model.table import ParameterTable

NEAR = 1e-4  # part of an information that others leave over, below which it is computed anew
KNOWN = 1e-12  # the same, below which it is rounding

_NOT_DEFINITE = "the information at the estimates is not positive definite."


@dataclass(frozen=True, slots=True, eq=False)
class EfficientScores:
    """Of q further directions at the estimates of a model.

    Attributes
    ----------
    directions : (npar, q)
        Of the larger model's parameters, less what they have in common with the fitted model's.
    scores : (G, q)
        s_jk.r of the clusters of a robust covariance.
    information : (q, q)
        A_kk.r.
    whole : (q,)
        The diagonal of A_kk.
    """

    directions: Array
    scores: Array
    information: Array
    whole: Array

    @property
    def total(self) -> Array:
        """Σ_j s_jk.r, (q,)."""
        return self.scores.sum(axis=0)

    @property
    def determined(self) -> NDArray[np.bool_]:
        """Which of them the data tell apart from the fitted model, each alone, (q,) bool."""
        return np.diagonal(self.information) > KNOWN * self.whole

    def chosen(self, which: Index) -> EfficientScores:
        """Some of them."""
        return EfficientScores(
            self.directions[:, which],
            self.scores[:, which],
            self.information[np.ix_(which, which)],
            self.whole[which],
        )

    def turned(self, turn: Array) -> EfficientScores:
        """Along combinations of them, the columns of `turn` (q, m)."""
        information = turn.T @ self.information @ turn
        return EfficientScores(
            self.directions @ turn, self.scores @ turn, information, np.diagonal(information)
        )


def extended(estimates: Estimates, table: ParameterTable, params: Array) -> Estimates:
    """A larger table of the same variables, met with the data of a fit.

    Parameters
    ----------
    params : (npar,)
        Of the table, where it implies what the estimates do.
    """
    return at_params(estimates, estimates.problem.with_table(table, params), params)


def at_params(estimates: Estimates, problem: Posed, params: Array) -> Estimates:
    """Of these parameters of a problem as if they were its estimates; the rest as in a fit."""
    point = problem.inner.evaluate(problem.coordinates.to_internal(params))
    if point is None:
        raise InferenceError("the parameters are outside the parameter space.")
    optimum = Maximum(point, np.eye(len(params)), 0, 0.0)
    return replace(estimates, problem=problem, optimum=optimum)


@quiet
def efficient_scores(
    at: Estimates, own: Array, added: Array, kind: InformationKind = "expected"
) -> EfficientScores:
    """Of the directions `added` (npar, q) beside those of the fitted model, `own` (npar, n).

    Raises
    ------
    InferenceError
        The information of the model's own directions is not positive definite.
    """
    n, both = own.shape[1], at.along(np.concatenate((own, added), axis=1))
    arranged, scores = at.arranged_information(both, kind), at.robust_scores(both)
    whole = dense(arranged)
    if isinstance(arranged, Arrow) and len(arranged.blocks) > 1:
        less = _solved_by_term(arranged, n, whole[:n, n:])
    else:
        less = _solved(whole[:n, :n], whole[:n, n:])
    directions = added - product(own, less)
    information = whole[n:, n:] - product(whole[n:, :n], less)
    scores = scores[:, n:] - product(scores[:, :n], less)
    diagonal = np.diagonal(whole)[n:].copy()
    near = np.flatnonzero(np.diagonal(information) < NEAR * diagonal)
    if len(near):
        along = at.along(directions[:, near])
        scores[:, near] = at.robust_scores(along)
        information[np.ix_(near, near)] = at.information(along, kind)
    return EfficientScores(*map(frozen, (directions, scores, information, diagonal)))


def _solved_by_term(information: Arrow, n: int, right: Array) -> Array:
    """A⁻¹ b of the first n directions, term by term."""
    mine = information.shared < n
    blocks: list[Block] = []
    for block in information.blocks:
        own = block.own < n
        blocks.append(
            Block(block.own[own], block.matrix[np.ix_(own, own)], block.side[own][:, mine])
        )
    corner = information.corner[np.ix_(mine, mine)]
    root = Arrow(tuple(blocks), information.shared[mine], corner).root()
    if root is None:
        raise InferenceError(_NOT_DEFINITE)
    return root.solved(right)


def _solved(information: Array, right: Array) -> Array:
    """A⁻¹ b."""
    if not len(information):
        return right
    unit = unit_diagonal(information)
    if unit is None:
        raise InferenceError(_NOT_DEFINITE)
    matrix, scale = unit
    return scale[:, None] * np.linalg.solve(matrix, scale[:, None] * right)
