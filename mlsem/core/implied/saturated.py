"""The coordinates β of moments without structure, in which a restricted model is a surface.

A model's moments Σ(θ), Π(θ) at each level are a point of the saturated model, whose parameters β
are the free cells of Σ_W, Σ_B and the coefficients of all outcomes of a level on (1, its
covariates). A variable with a part at both levels has its mean at level 2. Where a fit holds the
moments of some variables (parts of fixed covariates), those cells are constants of both models.

The covariates' maps L have rows that may be nearly collinear, so coefficients are of an
orthonormal basis Q of their row space: what is computed in β does not depend on the basis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.implied.pattern import Implied, LevelMoments, Pattern, PatternMatrix
from mlsem.core.implied.unstructured import Unstructured
from mlsem.core.records import Array, Index, frozen


@dataclass(frozen=True, slots=True, eq=False)
class Saturated:
    """A pattern without structure, and a restricted model's moments as its parameters.

    Attributes
    ----------
    pattern : Pattern
        Of the saturated model.
    within, between : Unstructured
        Its levels.
    """

    pattern: Pattern[Unstructured]
    within: Unstructured
    between: Unstructured

    @property
    def n_params(self) -> int:
        """b, the length of β."""
        return self.pattern.n_params

    def at(self, within: LevelMoments, between: LevelMoments) -> Shaped[Array, "b"]:
        """β (b,) of these moments."""
        return self._cells(
            (within.sigma[None], within.mean[None]), (between.sigma[None], between.mean[None])
        )[0]

    def along(self, jacobians: Jacobians) -> Shaped[Array, "b n"]:
        """Δ = ∂β/∂φ (b, n) along n directions."""
        within, between = jacobians
        return self._cells((within.sigma, within.mean), (between.sigma, between.mean)).T

    def _cells(
        self,
        within: tuple[Shaped[Array, "n p p"], Shaped[Array, "n p D"]],
        between: tuple[Shaped[Array, "n t t"], Shaped[Array, "n t D"]],
    ) -> Shaped[Array, "n b"]:
        """(n, b) of Σ (n, p, p) and ΠL (n, p, D) of both levels."""
        split, cells = self.pattern.split, np.empty((len(within[0]), self.n_params))
        mean = between[1].copy()
        mean[:, :split, 0] += within[1][:, :split, 0]
        for level, sigma, maps in (
            (self.within, *within),
            (self.between, between[0], mean),
        ):
            symmetric, exogenous = level.symmetric, level.exogenous
            cells[:, symmetric.params] = sigma[:, symmetric.rows, symmetric.cols]
            coefficients = maps @ level.covariates.T
            cells[:, exogenous.params] = coefficients[:, exogenous.rows, exogenous.cols]
        return cells


def saturate(
    pattern: Pattern[Any],
    covariates: tuple[Shaped[Array, "k D"], Shaped[Array, "l D"]],
    moments: tuple[LevelMoments, ...],
    held: tuple[Shaped[Index, "m"], Shaped[Index, "o"]],
) -> Saturated:
    """The saturated model of the variables of a pattern without random slopes.

    Parameters
    ----------
    covariates : ((k, D), (k, D))
        L of each level, the constant first if the model has a mean structure.
    moments : LevelMoments of each level
        Of the restricted model; `held` cells keep these values.
    held : (m,) of each level
        The observed rows whose moments are no parameters.
    """
    within = _level(pattern.within, covariates[0], moments[0], held[0], pattern.split, 0)
    between = _level(pattern.between, covariates[1], moments[1], held[1], 0, within.n_free)
    count = within.n_free + between.n_free
    return Saturated(Pattern((within, between), pattern.split, count), within, between)


def _level(
    level: Implied,
    covariates: Shaped[Array, "k D"],
    moments: LevelMoments,
    held: Shaped[Index, "m"],
    elsewhere: int,
    first: int,
) -> Unstructured:
    """One level; the first `elsewhere` variables have their mean at the other one."""
    maps, size = _orthonormal(covariates), len(level.responses)
    known = np.zeros(size, dtype=np.bool_)
    known[held] = True
    rows, cols = np.tril_indices(size)
    free = ~(known[rows] & known[cols])
    rows, cols = rows[free], cols[free]
    coefficients = np.repeat(~known[:, None], len(maps), axis=1)
    anchored = len(maps) > 0 and bool(maps[0, 0])
    if anchored:
        coefficients[:elsewhere, 0] = False
    own, regressors = np.nonzero(coefficients)
    constants = np.where(known & known[:, None], moments.sigma, 0.0)
    means = np.where(known[:, None], moments.mean @ maps.T, 0.0)
    count = first + len(rows)
    return Unstructured(
        symmetric=PatternMatrix(frozen(constants), rows, cols, np.arange(first, count)),
        exogenous=PatternMatrix(frozen(means), own, regressors, np.arange(count, count + len(own))),
        responses=level.responses,
        covariates=maps,
    )


def _orthonormal(covariates: Shaped[Array, "k D"]) -> Shaped[Array, "k D"]:
    """Rows that span those of L (k, D), orthonormal; the constant stays as it is and first."""
    constant = np.eye(1, covariates.shape[1])
    anchored = len(covariates) > 0 and bool((covariates[0] == constant[0]).all())
    rest = covariates[anchored:] * (1.0 - constant)
    basis = np.linalg.qr(rest.T)[0].T if len(rest) else rest
    return np.concatenate((constant[:anchored], basis))
