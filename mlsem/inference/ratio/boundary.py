"""The step from a model to one that adds variances: what is at its boundary there, and how."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import scaled_eigen
from mlsem.core.records import Array
from mlsem.errors import InferenceError, listed
from mlsem.inference.ratio.mixtures import Cells
from mlsem.inference.ratio.nested import Embedding
from mlsem.model.expressions import compiled_pairs, equality_space
from mlsem.model.table import Row

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates

FLAT = 1e-6  # smallest eigenvalue of a covariance matrix, scaled, that is none of a boundary
NEGATIVE = -1e-8  # the same, that is more than a rounding error


@dataclass(frozen=True, eq=False)
class Step:
    """Two nested fits, the simple one as a point of the full one."""

    simple: Estimates
    full: Estimates
    embedding: Embedding

    @cached_property
    def variances(self) -> tuple[Row, ...]:
        """Added variances, zero in the simple model."""
        at = self.embedding.params
        return tuple(row for row in self._added if row.is_variance and at[row.free] == 0.0)

    @property
    def involved(self) -> tuple[str, ...]:
        """Their variables, and those with which these get a covariance."""
        paired = [name for row in self._pairs for name in (row.lhs, row.rhs)]
        return tuple(dict.fromkeys((*self._names, *paired)))

    @property
    def _names(self) -> list[str]:
        return [row.lhs for row in self.variances]

    @cached_property
    def _added(self) -> tuple[Row, ...]:
        return tuple(row for row in self.full.table.rows if row.free in self.embedding.added)

    @property
    def _pairs(self) -> list[Row]:
        """Added covariances of the added variances' variables."""
        names = self._names
        pairs = [row for row in self._added if row.op == "~~" and row.lhs != row.rhs]
        return [row for row in pairs if row.lhs in names or row.rhs in names]

    def require_regular(self) -> None:
        """Refuse effects of variables that have no variance in the simple model."""
        for row in self._added:
            source = row.lhs if row.op == "=~" else row.rhs if row.op == "~" else ""
            if source in self._names:
                raise InferenceError(
                    f"{self.full.table.names[row.free]} is an effect of {source!r}, which has no "
                    "variance in the simple model: it is not determined there, and the "
                    "distribution of the test is not known."
                )

    def is_proper(self) -> bool:
        """Whether the full model's estimates are a covariance matrix of the involved."""
        return _smallest(self.full, self.involved) >= NEGATIVE

    def notes(self) -> tuple[str, ...]:
        """What the simple model has at the boundary itself."""
        own = tuple(name for name in self.involved if name not in self._names)
        if not own or not self.simple.table.two_level or _smallest(self.simple, own) > FLAT:
            return ()
        return (
            f"the variances of {listed(own)} are at the boundary in the simple model as well: the "
            "p value is approximate.",
        )

    def cells(self) -> tuple[Cells, list[int]]:
        """The cone of the added variances, and the places of its elements among the parameters.

        Raises
        ------
        InferenceError
            It is not one of blocks that covary among themselves.
        """
        names = self._names
        pairs = [row for row in self._pairs if row.lhs in names and row.rhs in names]
        blocks = np.arange(len(names))
        for row in pairs:
            first, second = blocks[names.index(row.lhs)], blocks[names.index(row.rhs)]
            blocks[blocks == second] = first
        sizes = np.bincount(blocks)
        if int((sizes * (sizes - 1) // 2).sum()) != len(pairs):
            raise InferenceError(
                f"some of the added {listed(names)} covary and some do not: the distribution of "
                "the test is known where all of a group covary. Add them one after the other."
            )
        rows = (*self.variances, *pairs)
        places = [row.free for row in rows]
        if len(set(places)) < len(places):
            raise InferenceError(
                f"some of the added variances of {listed(names)} are set equal: the distribution "
                "of the test is not known."
            )
        first = np.array([names.index(row.lhs) for row in rows])
        second = np.array([names.index(row.rhs) for row in rows])
        return Cells(first, second, blocks), places

    def spread(self) -> Shaped[Array, "npar npar"]:
        """Covariance of the full model's estimates under the simple one: the inverse of the
        expected information there."""
        table, params = self.full.table, self.embedding.params
        basis = equality_space(compiled_pairs(table), params)
        information = self.full.problem.expected_information(params, basis)
        values, vectors, scale = scaled_eigen(information)
        if not values[0] > 0:
            raise InferenceError("the information is singular at the simple model's estimates.")
        half = basis @ (scale[:, None] * vectors / np.sqrt(values))
        return half @ half.T


def _smallest(fit: Estimates, names: tuple[str, ...]) -> float:
    """Smallest eigenvalue of their (residual) covariances, scaled to variances of 1."""
    pattern = fit.problem.pattern
    level = pattern.between if set(names) <= set(pattern.between.names) else pattern.within
    rows = [level.names.index(name) for name in names if name in level.names]
    if not rows:
        return 1.0
    psi = level.symmetric.symmetric_at(fit.params)[np.ix_(rows, rows)]
    lowest = float(np.diagonal(psi).min())
    return float(scaled_eigen(psi)[0][0]) if lowest > 0 else min(lowest, 0.0)
