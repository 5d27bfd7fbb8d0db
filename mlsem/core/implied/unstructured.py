"""A level without structure: all covariances of the observed variables are parameters, and so are
the coefficients of their regressions on (1, covariates) that are not held at zero.

    Σ = S(θ),    Π = C(θ)

In RAM this would be as many paths as cells of Σ, and the Jacobian along n directions would cost
O(p⁴ n); here cells are parameters, and it costs O(p² n). Σ need not be positive definite:
the cells are Σ's own, not those of a factor of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.pattern import (
    LevelGradient,
    LevelJacobian,
    LevelMoments,
    PatternMatrix,
)
from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class Unstructured:
    """One level: Σ and Π free.

    Attributes
    ----------
    symmetric : PatternMatrix (p, p)
        Σ; the free cells are of the lower triangle and stand for both halves.
    exogenous : PatternMatrix (p, k)
        Π. The first column belongs to the constant.
    responses : (p, D)
        Observed variables as maps of h.
    covariates : (k, D)
        L, likewise.
    """

    symmetric: PatternMatrix
    exogenous: PatternMatrix
    responses: Shaped[Array, "p D"]
    covariates: Shaped[Array, "k D"]

    @property
    def n_free(self) -> int:
        """Parameters of the level."""
        return len(self.symmetric.params) + len(self.exogenous.params)

    def put(
        self, params: Shaped[Array, "npar"], sigma: Shaped[Array, "p p"], mean: Shaped[Array, "p"]
    ) -> None:
        """Write Σ and, where the constant is the one covariate, the free means into `params`."""
        symmetric, exogenous = self.symmetric, self.exogenous
        params[symmetric.params] = sigma[symmetric.rows, symmetric.cols]
        params[exogenous.params] = mean[exogenous.rows]

    def moments(self, params: Shaped[Array, "npar"]) -> LevelMoments:
        sigma = self.symmetric.symmetric_at(params)
        coefficients = self.exogenous.at(params)
        return LevelMoments(
            effects=np.eye(len(sigma)),
            covariance=sigma,
            coefficients=coefficients,
            sigma=sigma,
            mean=coefficients @ self.covariates,
        )

    def jacobian(self, moments: LevelMoments, basis: Shaped[Array, "npar n"]) -> LevelJacobian:
        symmetric, exogenous = self.symmetric, self.exogenous
        sigma = np.zeros((basis.shape[1], *symmetric.constants.shape))
        sigma[:, symmetric.rows, symmetric.cols] = basis[symmetric.params].T
        sigma[:, symmetric.cols, symmetric.rows] = basis[symmetric.params].T
        coefficients = np.zeros((basis.shape[1], *exogenous.constants.shape))
        coefficients[:, exogenous.rows, exogenous.cols] = basis[exogenous.params].T
        return LevelJacobian(sigma, coefficients @ self.covariates)

    def curvature(
        self, moments: LevelMoments, slope: LevelGradient, basis: Shaped[Array, "npar n"]
    ) -> Shaped[Array, "n n"]:
        """Zero: the moments are linear in the parameters."""
        return np.zeros((basis.shape[1], basis.shape[1]))


def unstructured(
    responses: Shaped[Array, "p D"],
    covariates: Shaped[Array, "k D"],
    intercepts: Shaped[Index, "m"],
    first: int,
) -> Unstructured:
    """A level with all covariances free, and the coefficients of all covariates.

    Parameters
    ----------
    responses : (p, D)
    covariates : (k, D)
        The constant first.
    intercepts : (m,)
        The variables whose mean is free at this level; a variable with a part at both levels
        has it at level 2.
    first : int
        Where the parameters of the level begin: covariances, row by row of the lower triangle,
        then coefficients, row by row.
    """
    size, columns = len(responses), len(covariates)
    rows, cols = np.tril_indices(size)
    free = np.ones((size, columns), dtype=np.bool_)
    free[np.setdiff1d(np.arange(size), intercepts), 0] = False
    own, regressors = np.nonzero(free)
    count = first + len(rows)
    return Unstructured(
        symmetric=PatternMatrix(np.zeros((size, size)), rows, cols, np.arange(first, count)),
        exogenous=PatternMatrix(
            np.zeros((size, columns)), own, regressors, np.arange(count, count + len(own))
        ),
        responses=responses,
        covariates=covariates,
    )
