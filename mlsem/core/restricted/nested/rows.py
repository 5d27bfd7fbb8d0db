"""Rows in clusters within clusters, reduced to the few coordinates that random effects move.

Of inner cluster j the rows span d directions that the columns Z of all random effects have there,
found by a pivoted Cholesky factor of their cross-products; in these coordinates stand T_j, X_j and
e_j. Of all other rows only cross-products of [X, e] are needed, by outer cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, Index, frozen

COLLINEAR = 1e-13  # pivots of columns, relative, that are none
RANK = 1e-10  # squares of scaled columns below are of combinations that are constant


@dataclass(frozen=True, slots=True, eq=False)
class NestedRows:
    """What a linear mixed model of three levels needs of its data.

    Attributes
    ----------
    lower, upper : (d, q, J), (d, f, J)
        T_j of the inner clusters' effects, and of the outer ones', in coordinates in which the
        columns of effects that covary are orthogonal, so that carriers far from zero do no harm.
    lower_turn, upper_turn : (q, q), (f, f)
        A: the user's effects are A times those of these coordinates.
    columns : (d, p + 1, J)
        X_j C and e_j, e = y - X β_0.
    rest : (p + 1, p + 1, G)
        Cross-products of [X C, e] over the other rows, by outer cluster.
    turn : (p, p)
        C: the design is X C, orthogonal, so that covariates far from zero do no harm.
    origin : (p,)
        β_0.
    sizes : (G,)
        Rows of each outer cluster.
    counts : (G,)
        Inner clusters of each.
    means : (p,)
        Those of the columns of X.
    """

    lower: Shaped[Array, "d q J"]
    upper: Shaped[Array, "d f J"]
    lower_turn: Shaped[Array, "q q"]
    upper_turn: Shaped[Array, "f f"]
    columns: Shaped[Array, "d p1 J"]
    rest: Shaped[Array, "p1 p1 G"]
    turn: Shaped[Array, "p p"]
    origin: Shaped[Array, "p"]
    sizes: Shaped[Array, "G"]
    counts: Shaped[Index, "G"]
    means: Shaped[Array, "p"]

    @property
    def n_rows(self) -> float:
        """N."""
        return float(self.sizes.sum())

    @property
    def n_others(self) -> Shaped[Array, "G"]:
        """Rows of each outer cluster beside the coordinates; a coordinate that a small inner
        cluster does not have counts as one, with nothing in it, and is taken off here."""
        return self.sizes - float(len(self.columns)) * self.counts

    def fixed_variance(self, beta: Shaped[Array, "p"]) -> float:
        """The variance of Xβ over the rows, divided by N - 1."""
        count, along = self.n_rows, np.linalg.solve(self.turn, beta)
        return float(count * (along @ along - (self.means @ beta) ** 2) / (count - 1.0))

    @property
    def owner(self) -> Shaped[Index, "J"]:
        """The outer cluster of each inner one."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def by_outer(self, values: Shaped[Array, "*s J"]) -> Shaped[Array, "*s G"]:
        """Sums over the inner clusters of each outer one."""
        starts = np.cumsum(self.counts) - self.counts
        return np.add.reduceat(values, starts, axis=-1)


def nested_rows(
    outcome: Shaped[Array, "N"],
    design: Shaped[Array, "N p"],
    carriers: Shaped[Array, "N o"],
    lower: Sequence[Shaped[Index, "_"]],
    upper: Sequence[Shaped[Index, "_"]],
    sizes: Shaped[Index, "J"],
    counts: Shaped[Index, "G"],
) -> NestedRows:
    """Reduce rows that stand by inner cluster, inner clusters by outer one.

    Parameters
    ----------
    carriers : (N, o)
        The columns that some random effect has.
    lower, upper : sequence of (k,)
        Which of them the effects of the inner clusters have, and those of the outer ones: of each
        set that covaries.
    sizes : (J,)
        Rows of each inner cluster.
    counts : (G,)
        Inner clusters of each outer one.
    """
    unit, moved = np.linalg.qr(design)
    origin = np.linalg.solve(moved, unit.T @ outcome)
    residual = outcome - unit @ (unit.T @ outcome)
    along = np.asarray(np.linalg.qr(carriers)[0], dtype=np.float64)
    scale, size = np.sqrt(len(outcome)), carriers.shape[1]
    columns = np.column_stack((scale * along, scale * unit, residual))
    starts = np.cumsum(sizes) - sizes
    rows, left = eliminated(_products(columns, starts), size)
    moved_by = [_orthogonal(carriers, along, sets) for sets in (lower, upper)]
    effects = [np.einsum("daj,ab->dbj", rows[:, :size], each) for each, _ in moved_by]
    firsts = np.cumsum(counts) - counts
    return NestedRows(
        lower=frozen(effects[0]),
        upper=frozen(effects[1]),
        lower_turn=frozen(moved_by[0][1]),
        upper_turn=frozen(moved_by[1][1]),
        columns=frozen(np.ascontiguousarray(rows[:, size:])),
        rest=frozen(np.add.reduceat(left, firsts, axis=-1)),
        turn=frozen(scale * np.asarray(np.linalg.inv(moved), dtype=np.float64)),
        origin=frozen(origin),
        sizes=frozen(np.add.reduceat(sizes, firsts).astype(np.float64)),
        counts=frozen(counts),
        means=frozen(design.mean(axis=0)),
    )


def _orthogonal(
    carriers: Shaped[Array, "N o"],
    along: Shaped[Array, "N o"],
    sets: Sequence[Shaped[Index, "_"]],
) -> tuple[Shaped[Array, "o q"], Shaped[Array, "q q"]]:
    """The carriers of sets of effects, made orthogonal set by set, as combinations of orthonormal
    columns `along`; and A. Collinear ones stay as they are."""
    count = sum(map(len, sets))
    found, turn = np.zeros((carriers.shape[1], count)), np.zeros((count, count))
    scale, first = np.sqrt(len(carriers)), 0
    for each in sets:
        own = slice(first, first := first + len(each))
        unit, root = np.linalg.qr(carriers[:, each])
        diagonal = np.abs(root.diagonal())
        if diagonal.min() > COLLINEAR * np.linalg.norm(root, axis=0).max():
            found[:, own] = along.T @ unit
            turn[own, own] = scale * np.linalg.inv(root)
        else:
            found[:, own] = along.T @ carriers[:, each] / scale
            turn[own, own] = np.eye(len(each))
    return found, turn


def _products(columns: Shaped[Array, "N i"], starts: Shaped[Index, "J"]) -> Shaped[Array, "i i J"]:
    """Cross-products of the columns in each cluster."""
    width = columns.shape[1]
    each = np.ascontiguousarray(columns.T)
    found = np.empty((width, width, len(starts)))
    for a in range(width):
        for b in range(a + 1):
            found[a, b] = found[b, a] = np.add.reduceat(each[a] * each[b], starts)
    return found


def eliminated(
    products: Shaped[Array, "i i J"], size: int
) -> tuple[Shaped[Array, "d i J"], Shaped[Array, "m m J"]]:
    """The coordinates of all columns in the span of the first `size`, and the cross-products that
    the other columns have beside it.

    Pivot by pivot (Higham, 2002, section 10.3): a row is what is left of the column that has most
    left. A cluster whose columns have nothing left gets rows of zeros.
    """
    every = np.arange(products.shape[-1], dtype=np.intp)
    left = products.copy()
    whole = np.einsum("aaj->aj", products[:size, :size])
    unit = np.where(whole > 0.0, whole, 1.0)
    rows = np.zeros((size, *products.shape[1:]))
    for k in range(size):
        share = np.einsum("aaj->aj", left[:size, :size]) / unit
        pivot = share.argmax(axis=0)
        there = share[pivot, every] > RANK
        square = np.where(there, left[pivot, pivot, every], 1.0)
        row = left[pivot, :, every].T * (there / np.sqrt(square))
        left -= row[:, None] * row
        left[pivot, :, every] = left[:, pivot, every] = 0.0
        rows[k] = row
    return rows, left[size:, size:]
