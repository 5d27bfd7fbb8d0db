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
from mlsem.model.blocks import BlockKey
from mlsem.model.expressions import compiled_pairs, equality_space
from mlsem.model.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.problem import Problem

Variable = tuple[BlockKey, str]
"""Of a level of a group, and a name."""

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
    def involved(self) -> tuple[Variable, ...]:
        """Their variables, and those with which these get a covariance."""
        paired = [each for row in self._pairs for each in _variables(row)]
        return tuple(dict.fromkeys((*self._own, *paired)))

    @property
    def _own(self) -> list[Variable]:
        return [(row.block, row.lhs) for row in self.variances]

    def named(self, variables: Iterable[Variable]) -> str:
        """In words."""
        groups = self.full.table.groups
        if not groups:
            return listed(name for _, name in variables)
        return ", ".join(
            f"{name!r} of group {groups[block.group - 1].label!r}" for block, name in variables
        )

    @cached_property
    def _added(self) -> tuple[Row, ...]:
        return tuple(row for row in self.full.table.rows if row.free in self.embedding.added)

    @property
    def _pairs(self) -> list[Row]:
        """Added covariances of the added variances' variables."""
        own = set(self._own)
        pairs = [row for row in self._added if row.op == "~~" and row.lhs != row.rhs]
        return [row for row in pairs if not own.isdisjoint(_variables(row))]

    def require_regular(self) -> None:
        """Refuse effects of variables that have no variance in the simple model."""
        for row in self._added:
            source = row.lhs if row.op == "=~" else row.rhs if row.op == "~" else ""
            if (row.block, source) in self._own:
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
        own = tuple(each for each in self.involved if each not in self._own)
        if not own or not self.simple.table.multilevel or _smallest(self.simple, own) > FLAT:
            return ()
        return (
            f"the variances of {self.named(own)} are at the boundary in the simple model as well: "
            "the p value is approximate.",
        )

    def cells(self) -> tuple[Cells, list[int]]:
        """The cone of the added variances, and the places of its elements among the parameters.

        Raises
        ------
        InferenceError
            It is not one of blocks that covary among themselves.
        """
        own = self._own
        pairs = [row for row in self._pairs if set(_variables(row)) <= set(own)]
        ends = [[own.index(each) for each in _variables(row)] for row in pairs]
        blocks = np.arange(len(own))
        for one, other in ends:
            first, second = blocks[one], blocks[other]
            blocks[blocks == second] = first
        sizes = np.bincount(blocks)
        if int((sizes * (sizes - 1) // 2).sum()) != len(pairs):
            raise InferenceError(
                f"some of the added {self.named(own)} covary and some do not: the distribution of "
                "the test is known where all of a group covary. Add them one after the other."
            )
        places = [row.free for row in (*self.variances, *pairs)]
        if len(set(places)) < len(places):
            raise InferenceError(
                f"some of the added variances of {self.named(own)} are set equal: the "
                "distribution of the test is not known."
            )
        alone = [[k, k] for k in range(len(own))]
        first, second = np.array(alone + ends).T
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


def _variables(row: Row) -> tuple[Variable, Variable]:
    return (row.block, row.lhs), (row.block, row.rhs)


def _smallest(fit: Estimates, variables: tuple[Variable, ...]) -> float:
    """Smallest eigenvalue of their (residual) covariances, scaled to variances of 1."""
    found: list[float] = []
    for block in dict.fromkeys(block for block, _ in variables):
        names = [name for own, name in variables if own == block]
        group = fit.groups[block.group - 1]
        found.append(_smallest_of_block(group.estimates, block.level, names))
    return min(found, default=1.0)


def _smallest_of_block(fit: Estimates[Problem], number: int, names: list[str]) -> float:
    level = fit.problem.pattern.levels[number - 1]
    rows = [level.names.index(name) for name in names if name in level.names]
    if not rows:
        return 1.0
    psi = level.symmetric.symmetric_at(fit.params)[np.ix_(rows, rows)]
    lowest = float(np.diagonal(psi).min())
    return float(scaled_eigen(psi)[0][0]) if lowest > 0 else min(lowest, 0.0)
