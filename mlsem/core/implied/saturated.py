"""The coordinates β of moments without structure, in which a restricted model is a surface.

A model's moments Σ(θ), Π(θ) at each level are a point of the saturated model, whose parameters β
are the free cells of Σ of each level and the coefficients of all outcomes of a level on (1, its
covariates). A variable with parts at several levels has its mean at the highest of them. Where a
fit holds the moments of some variables (parts of fixed covariates), those cells are constants of
both models.

The covariates' maps L have rows that may be nearly collinear, so coefficients are of an
orthonormal basis Q of their row space: what is computed in β does not depend on the basis.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    pattern: Pattern[Unstructured]

    @property
    def n_params(self) -> int:
        """b, the length of β."""
        return self.pattern.n_params

    @property
    def within(self) -> Unstructured:
        """Level 1."""
        return self.pattern.within

    @property
    def between(self) -> Unstructured:
        """Level 2."""
        return self.pattern.between

    def at(self, moments: tuple[LevelMoments, ...]) -> Shaped[Array, "b"]:
        """β (b,) of these moments of each level."""
        return self._cells([(each.sigma[None], each.mean[None]) for each in moments])[0]

    def along(self, jacobians: Jacobians) -> Shaped[Array, "b n"]:
        """Δ = ∂β/∂φ (b, n) along n directions."""
        return self._cells([(each.sigma, each.mean) for each in jacobians]).T

    def _cells(
        self, levels: Sequence[tuple[Shaped[Array, "n _ _"], Shaped[Array, "n _ D"]]]
    ) -> Shaped[Array, "n b"]:
        """(n, b) of Σ (n, p, p) and ΠL (n, p, D) of each level."""
        pattern, cells = self.pattern, np.empty((len(levels[0][0]), self.n_params))
        lower = np.arange(pattern.split), pattern.raised
        maps = [mean.copy() for _, mean in levels]
        for rows, below, above in zip(lower, maps, maps[1:], strict=False):
            above[:, : len(rows), 0] += below[:, rows, 0]
        for level, (sigma, _), mean in zip(pattern.levels, levels, maps, strict=True):
            symmetric, exogenous = level.symmetric, level.exogenous
            cells[:, symmetric.params] = sigma[:, symmetric.rows, symmetric.cols]
            coefficients = mean @ level.covariates.T
            cells[:, exogenous.params] = coefficients[:, exogenous.rows, exogenous.cols]
        return cells


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Observed rows of a level that are not free in its saturated model.

    Attributes
    ----------
    given : (m,)
        Those whose moments are no parameters, those among them that is: covariances with others
        are.
    absent : (o,)
        Those without a part at this level.
    """

    given: Shaped[Index, "m"]
    absent: Shaped[Index, "o"]


def saturate(
    pattern: Pattern[Any],
    covariates: Sequence[Shaped[Array, "_ D"]],
    moments: tuple[LevelMoments, ...],
    held: Sequence[Held],
) -> Saturated:
    """The saturated model of the variables of a pattern without random slopes.

    Parameters
    ----------
    covariates : (k, D) of each level
        L, the constant first if the model has a mean structure.
    moments : LevelMoments of each level
        Of the restricted model; `held` cells keep these values.
    held : Held of each level
    """
    above = (np.arange(pattern.split), pattern.raised)[: len(pattern.levels) - 1]
    elsewhere = (*above, np.zeros(0, dtype=np.intp))
    levels: list[Unstructured] = []
    first = 0
    for each in zip(pattern.levels, covariates, moments, held, elsewhere, strict=True):
        levels.append(_level(*each, first))
        first += levels[-1].n_free
    return Saturated(Pattern(tuple(levels), pattern.split, first, raised=pattern.raised))


def _level(
    level: Implied,
    covariates: Shaped[Array, "k D"],
    moments: LevelMoments,
    held: Held,
    elsewhere: Shaped[Index, "e"],
    first: int,
) -> Unstructured:
    """One level; variables `elsewhere` have their mean at the level above."""
    maps, size = _orthonormal(covariates), len(level.responses)
    known, absent = (np.isin(np.arange(size), rows) for rows in (held.given, held.absent))
    rows, cols = np.tril_indices(size)
    free = ~(known[rows] & known[cols]) & ~(absent[rows] | absent[cols])
    rows, cols = rows[free], cols[free]
    fixed = known | absent
    coefficients = np.repeat(~fixed[:, None], len(maps), axis=1)
    anchored = len(maps) > 0 and bool(maps[0, 0])
    if anchored:
        coefficients[elsewhere, 0] = False
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
