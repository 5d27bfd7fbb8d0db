"""The log-likelihood of one model and data set, with its derivatives along any basis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlsem.core import information
from mlsem.core.likelihood import (
    Evaluation,
    Jacobians,
    MomentGradients,
    evaluate,
    gradient,
    jacobians,
    moment_gradients,
)
from mlsem.core.linalg import lower_factor, scaled_eigen, unit_diagonal
from mlsem.core.pattern import ModelPattern
from mlsem.core.records import Array, ShapeMoments

ILL_CONDITIONED = 1e-5  # smallest squared pivot of scaled information that needs no new basis
ROUNDING = 1e-15  # eigenvalues below are indistinguishable from zero
SINGULAR = 1e-5  # smallest eigenvalue, after conditioning, of an identified model


@dataclass(frozen=True, slots=True, eq=False)
class Derivatives:
    """First derivatives at a point along `basis` (npar, n), and what the second ones need."""

    basis: Array
    along: Jacobians
    moments: MomentGradients
    gradient: Array


@dataclass(frozen=True, slots=True, eq=False)
class Conditioned:
    """Derivatives at a point along a well-conditioned basis, with the expected information.

    Attributes
    ----------
    lost : int
        How many directions of the basis, the first ones, the data say nothing of.
    """

    at: Derivatives
    expected: Array
    lost: int


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """ℓ(θ) for a pattern and the data's shape moments."""

    pattern: ModelPattern
    data: ShapeMoments

    def evaluate(self, params: Array) -> Evaluation | None:
        """ℓ at `params`, or None outside the parameter space."""
        return evaluate(self.pattern, self.data, params)

    def derivatives(self, point: Evaluation, basis: Array) -> Derivatives:
        along = jacobians(self.pattern, point, basis)
        moments = moment_gradients(point, self.data)
        return Derivatives(basis, along, moments, gradient(moments, along))

    def expected(self, point: Evaluation, at: Derivatives) -> Array:
        """Expected information (n, n) along the basis."""
        return information.expected_information(point, self.data, at.along)

    def observed(self, point: Evaluation, at: Derivatives) -> Array:
        """Observed information (n, n) along the basis."""
        return information.observed_information(
            self.pattern, point, self.data, at.along, at.moments, at.basis
        )

    def single_level_point(self, point: Evaluation, sizes: Array) -> Evaluation:
        """A single-level model's point as clusters of these sizes see it.

        Its likelihood is that of one cluster of all rows; there are no random effects, so that a
        group of n rows has V̄⁻¹ = n W and no posterior variance.
        """
        precision = sizes[:, None, None] * point.precision
        empty = np.zeros((len(sizes), 0, 0))
        residuals = replace(
            point.residuals,
            weighted=precision @ point.residuals.mean,
            between=np.zeros((len(sizes), 0, point.residuals.mean.shape[1])),
        )
        effects = replace(point.effects, information=empty, absorbed=empty)
        return replace(point, mean_precision=precision, effects=effects, residuals=residuals)

    def conditioned(self, point: Evaluation, basis: Array) -> Conditioned:
        """A basis of the same space in which the expected information is near the identity.

        A covariate far from zero makes its slope and the intercept collinear: the information
        then keeps few of its digits. Directions that are combined *before* any cross-product is
        taken lose none. So the information is taken once more along the new basis; eigenvalues
        that are still small there are those of a singular information. A basis that is good
        enough is kept.
        """
        at = self.derivatives(point, basis)
        expected = self.expected(point, at)
        if well_conditioned(expected):
            return Conditioned(at, expected, 0)
        values, vectors, scale = scaled_eigen(expected)
        spread = np.sqrt(np.maximum(values, ROUNDING * values[-1]))
        at = self.derivatives(point, basis @ (scale[:, None] * vectors / spread))
        values, vectors = np.linalg.eigh(self.expected(point, at))
        at = self.derivatives(point, at.basis @ vectors)
        return Conditioned(at, self.expected(point, at), int((values < SINGULAR).sum()))


def well_conditioned(information: Array) -> bool:
    """Whether a basis needs no conditioning for this (observed or expected) information."""
    unit = unit_diagonal(information)
    factor = None if unit is None else lower_factor(unit[0])
    return factor is not None and bool((np.diagonal(factor) ** 2 > ILL_CONDITIONED).all())
