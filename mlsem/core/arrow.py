"""Symmetric matrices of directions of which most move one term of a sum alone.

With the directions of single terms first, those of several (shared ones) last, an information is

    A = [ A_1           F_1 ]         C = [ C_1                 ]
        [      ⋱         ⋮  ]             [        ⋱            ]
        [          A_T  F_T ]             [             C_T     ]
        [ F_1ᵀ … F_Tᵀ    S  ]             [ U_1ᵀ   …    U_Tᵀ  C_S ]

and A = C Cᵀ with C_t C_tᵀ = A_t, U_t = C_t⁻¹ F_t and C_S C_Sᵀ = S - Σ U_tᵀ U_t: the work of as many
small factors as there are terms, and of one of the shared directions. C⁻¹ leaves what belongs to a
term (its scores, the information of its clusters) among the term's directions and the shared ones.
A matrix without such structure is an arrow of one term, which shares nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated as Shaped
from typing import Any

import numpy as np

from mlsem.core.linalg import inverse_root, merged, symmetrised, transposed, unit_diagonal
from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The directions that move one term alone, and their part of the matrix.

    Attributes
    ----------
    own : (a,)
        Which of all directions these are.
    matrix : (a, a)
        A_t.
    side : (a, s)
        F_t.
    """

    own: Shaped[Index, "a"]
    matrix: Shaped[Array, "... a a"]
    side: Shaped[Array, "a s"]


@dataclass(frozen=True, eq=False)
class Arrow:
    """A symmetric matrix of n directions; one of a single term also of many data sets.

    Attributes
    ----------
    blocks : tuple of Block
        One for each term.
    shared : (s,)
        The other directions.
    corner : (s, s)
        S.
    """

    blocks: tuple[Block, ...]
    shared: Shaped[Index, "s"]
    corner: Shaped[Array, "s s"]

    @property
    def whole(self) -> Shaped[Array, "... n n"] | None:
        """The matrix itself, of one term alone."""
        return _whole(self.blocks, self.shared)

    @property
    def size(self) -> int:
        """n."""
        return len(self.shared) + sum(len(block.own) for block in self.blocks)

    @cached_property
    def dense(self) -> Shaped[Array, "... n n"]:
        """The matrix with its zeros."""
        if self.whole is not None:
            return self.whole
        total = np.zeros((self.size, self.size))
        for block in self.blocks:
            total[np.ix_(block.own, block.own)] = block.matrix
            total[np.ix_(block.own, self.shared)] = block.side
            total[np.ix_(self.shared, block.own)] = block.side.T
        total[np.ix_(self.shared, self.shared)] = self.corner
        return total

    def raised(self, by: float) -> Arrow:
        """A + by I."""
        blocks = [Block(each.own, _raised(each.matrix, by), each.side) for each in self.blocks]
        return Arrow(tuple(blocks), self.shared, _raised(self.corner, by))

    @property
    def layout(self) -> Layout:
        return Layout(tuple(block.own for block in self.blocks), self.shared)

    @property
    def definite(self) -> Any:
        """Whether it is positive definite; of many data sets an answer for each."""
        root = self.root()
        if root is None:
            return np.False_
        return np.isfinite(root.blocks[0].matrix).all(axis=(-2, -1))

    def root(self) -> ArrowRoot | None:
        """L = C⁻ᵀ; None (of many: NaN) where the matrix is not positive definite."""
        blocks: list[RootBlock] = []
        corner = self.corner
        for block in self.blocks:
            root = _unit_root(block.matrix)
            if root is None:
                return None
            across = block.side
            if len(self.shared):
                across = root.T @ block.side
                corner = corner - across.T @ across
            blocks.append(RootBlock(block.own, root, across))
        root = _unit_root(corner)
        return None if root is None else ArrowRoot(tuple(blocks), self.shared, root)


def _raised(matrix: Shaped[Array, "... a a"], by: float) -> Shaped[Array, "... a a"]:
    found = matrix.copy()
    merged(found)[..., :: found.shape[-1] + 1] += by
    return found


def _unit_root(matrix: Shaped[Array, "... a a"]) -> Shaped[Array, "... a a"] | None:
    """Upper-triangular L with matrix⁻¹ = L Lᵀ; None (of many: NaN) where it is not positive
    definite."""
    if not matrix.size:
        return matrix
    unit = unit_diagonal(matrix)
    factor = None if unit is None else inverse_root(unit[0])
    return None if unit is None or factor is None else unit[1][..., None] * factor


@dataclass(frozen=True, slots=True, eq=False)
class RootBlock:
    """C_t⁻ᵀ (a, a) and U_t (a, s) of the directions `own` (a,)."""

    own: Shaped[Index, "a"]
    matrix: Shaped[Array, "... a a"]
    across: Shaped[Array, "a s"]


@dataclass(frozen=True, slots=True, eq=False)
class ArrowRoot:
    """L with A⁻¹ = L Lᵀ, Lᵀ A L = I.

    Attributes
    ----------
    blocks : tuple of RootBlock
    shared : (s,)
    corner : (s, s)
        C_S⁻ᵀ.
    """

    blocks: tuple[RootBlock, ...]
    shared: Shaped[Index, "s"]
    corner: Shaped[Array, "s s"]

    @property
    def whole(self) -> Shaped[Array, "... n n"] | None:
        """L itself, of one term alone."""
        return _whole(self.blocks, self.shared)

    def pivots(self, arrow: Arrow) -> Shaped[Array, "n"]:
        """The diagonal of C, squared, in units of that of A, whose root this is: what the
        directions before leave of each, those of the terms first."""
        roots = [block.matrix for block in self.blocks]
        sizes = [block.matrix for block in arrow.blocks]
        left, size = (
            np.concatenate([np.diagonal(each) for each in matrices])
            for matrices in ((*roots, self.corner), (*sizes, arrow.corner))
        )
        return 1.0 / (left**2 * size)

    def whitened(self, vectors: Shaped[Array, "*s"]) -> Shaped[Array, "*t"]:
        """Lᵀ v of a vector (n,), or of the columns of a matrix (n, m)."""
        whole = self.whole
        if whole is not None:
            return transposed(whole) @ vectors
        total = np.empty_like(vectors)
        rest = vectors[self.shared]
        for block in self.blocks:
            total[block.own] = part = block.matrix.T @ vectors[block.own]
            rest = rest - block.across.T @ part
        total[self.shared] = self.corner.T @ rest
        return total

    def back(self, white: Shaped[Array, "*s"]) -> Shaped[Array, "*t"]:
        """L y."""
        whole = self.whole
        if whole is not None:
            return whole @ white
        total = np.empty_like(white)
        total[self.shared] = rest = self.corner @ white[self.shared]
        for block in self.blocks:
            total[block.own] = block.matrix @ (white[block.own] - block.across @ rest)
        return total

    def solved(self, vectors: Shaped[Array, "*s"]) -> Shaped[Array, "*t"]:
        """A⁻¹ v."""
        return self.back(self.whitened(vectors))

    def of_term(self, term: int) -> Shaped[Array, "... m m"]:
        """L along `Layout.places`: the directions of a term have L among themselves."""
        block, a = self.blocks[term], len(self.blocks[term].own)
        if not len(self.shared):
            return block.matrix
        total = np.zeros((a + len(self.shared),) * 2)
        total[:a, :a], total[a:, a:] = block.matrix, self.corner
        total[:a, a:] = -block.matrix @ block.across @ self.corner
        return total

    def congruent(self, arrow: Arrow) -> Arrow:
        """Lᵀ H L of another matrix with these blocks."""
        whole = self.whole
        if whole is not None:
            return arrow_of(transposed(whole) @ arrow.blocks[0].matrix @ whole)
        corner = arrow.corner.copy()
        blocks: list[Block] = []
        for mine, its in zip(self.blocks, arrow.blocks, strict=True):
            matrix = mine.matrix.T @ its.matrix @ mine.matrix
            side = mine.matrix.T @ its.side
            left = side - matrix @ mine.across
            corner -= mine.across.T @ left + side.T @ mine.across
            blocks.append(Block(mine.own, matrix, left @ self.corner))
        return Arrow(tuple(blocks), self.shared, self.corner.T @ corner @ self.corner)

    def sandwich(
        self, basis: Shaped[Array, "... npar n"], white: Arrow | None = None
    ) -> Shaped[Array, "... npar npar"]:
        """B L M Lᵀ Bᵀ of a matrix M with these blocks, or of the identity, symmetric to the last
        digit: X Eᵀ + E Xᵀ of all rows through the shared directions, E = B L there, and a block of
        the rows that a term's own directions move."""
        whole = self.whole
        if whole is not None:
            along = basis @ whole
            half = along if white is None else along @ white.blocks[0].matrix
            return symmetrised(half @ transposed(along))
        across, through = basis[:, self.shared], np.zeros((len(basis), len(self.shared)))
        blocks: list[tuple[Index, Array]] = []
        for k, block in enumerate(self.blocks):
            mine = basis[:, block.own]
            rows = np.flatnonzero(mine.any(axis=1))
            along = mine[rows] @ block.matrix
            across[rows] -= along @ block.across
            if white is not None:
                through[rows] += along @ white.blocks[k].side
            half = along if white is None else along @ white.blocks[k].matrix
            blocks.append((rows, symmetrised(half @ along.T)))
        across = across @ self.corner
        through += 0.5 * (across if white is None else across @ white.corner)
        total = through @ across.T
        total += total.T
        for rows, matrix in blocks:
            total[np.ix_(rows, rows)] += matrix
        return total


def _whole(
    blocks: Sequence[Block | RootBlock], shared: Shaped[Index, "s"]
) -> Shaped[Array, "... n n"] | None:
    return blocks[0].matrix if len(blocks) == 1 and not len(shared) else None


def arrow_of(matrix: Shaped[Array, "... n n"]) -> Arrow:
    """A matrix as one of a single term."""
    size = matrix.shape[-1]
    none = np.zeros((size, 0))
    block = Block(np.arange(size, dtype=np.intp), matrix, none)
    return Arrow((block,), np.zeros(0, dtype=np.intp), none[:0])


def as_arrow(matrix: Shaped[Array, "... n n"] | Arrow) -> Arrow:
    return matrix if isinstance(matrix, Arrow) else arrow_of(matrix)


def dense(matrix: Shaped[Array, "... n n"] | Arrow) -> Shaped[Array, "... n n"]:
    return matrix.dense if isinstance(matrix, Arrow) else matrix


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Which directions move one term alone, term by term, and which move several or none."""

    own: tuple[Shaped[Index, "_"], ...]
    shared: Shaped[Index, "s"]

    def places(self, term: int) -> Shaped[Index, "m"]:
        """The directions of a term: its own, then the shared ones."""
        return np.concatenate((self.own[term], self.shared))

    def placed(self, term: int, columns: Shaped[Index, "k"]) -> Shaped[Index, "k"]:
        """Where the directions that move a term, in ascending order, stand in `Layout.places`."""
        own = self.own[term]
        place = np.searchsorted(own, columns)
        mine = np.isin(columns, own, assume_unique=True)
        return np.where(mine, place, len(own) + np.searchsorted(self.shared, columns))

    def spread(
        self, term: int, columns: Shaped[Index, "k"], matrices: Shaped[Array, "*x k k"]
    ) -> Shaped[Array, "*x m m"]:
        """Matrices along the directions that move a term, along `Layout.places`."""
        if not len(self.shared):
            return matrices
        size = len(self.own[term]) + len(self.shared)
        total = np.zeros((*matrices.shape[:-2], size, size))
        place = self.placed(term, columns)
        total[..., place[:, None], place] = matrices
        return total

    def summed(self, matrices: Sequence[Shaped[Array, "... m m"]]) -> Arrow:
        """Σ_t of a matrix of each term along `Layout.places`."""
        if len(matrices) == 1 and not len(self.shared):
            return arrow_of(matrices[0])
        size = len(self.shared)
        corner = np.zeros((size, size))
        blocks: list[Block] = []
        for own, matrix in zip(self.own, matrices, strict=True):
            a = len(own)
            corner += matrix[a:, a:]
            blocks.append(Block(own, matrix[:a, :a], matrix[:a, a:]))
        return Arrow(tuple(blocks), self.shared, corner)


def layout(columns: Sequence[Shaped[Index, "k"]], size: int) -> Layout:
    """Of terms that these of `size` directions move, each in ascending order."""
    count = np.zeros(size, dtype=np.intp)
    for moved in columns:
        count[moved] += 1
    own = tuple(moved[count[moved] == 1] for moved in columns)
    return Layout(own, np.flatnonzero(count != 1))
