"""Third and fourth cumulants of each cluster's scores with missing values.

Of a direction a with changes S = Σ_W,a and B = Σ_B,a, with X = W S of each row, U = W Z ⊕ I the
rows' loadings on (u, z) and H_k = Σ_r Zᵀ X^k W Z,

    V⁻¹T = U N,    V⁻¹ V_a = X + U Yᵀ,    G_k = Yᵀ X^k U,
    N = [[N_u, -N_u A], [-Aᵀ F, Σ_zz⁻¹ + Aᵀ F A]],   N_u = L⁺ᵀ P⁻¹ Lᵀ,
    G_k = [-K; -Aᵀ N_uᵀ][H_{k+1}, 0] + N B (H_k ⊕ δ_{k0} I),

    tr (V⁻¹V_a)⁴ = Σ_r tr X⁴ + 4 tr G_3 + 4 tr G_2 G_0 + 2 tr G_1² + 4 tr G_1 G_0² + tr G_0⁴
    κ₄ = 3 tr (V⁻¹V_a)⁴ + 12 dᵀ V⁻¹ d,    d = V_a w,   w = V⁻¹ μ_a.

κ₃(a, a, b) = tr M V_b + wᵀ V_b w + 2 dᵀ V⁻¹ μ_b with M = V⁻¹V_aV⁻¹V_aV⁻¹; the same matrices give
the blocks of M that V_b meets (`_blocks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.derivatives import Jacobians
from mlsem.core.linalg import flatten, flatten_last
from mlsem.core.patterns.carriers import CellRows, PatternMoments
from mlsem.core.patterns.likelihood import (
    PatternPoint,
    between_information,
    effect_maps,
)
from mlsem.core.patterns.scores import carrier_products, placed
from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class Some:
    """Some clusters at a point, and their cells.

    Attributes
    ----------
    clusters : (j,)
    cells : (k,)
        One cluster's after the other's.
    starts : (j,)
        Where each cluster's begin.
    """

    point: PatternPoint
    data: PatternMoments
    rows: CellRows
    clusters: Shaped[Index, "j"]
    cells: Shaped[Index, "k"]
    starts: Shaped[Index, "j"]

    @property
    def owner(self) -> Shaped[Index, "k"]:
        """The cluster of each cell, a position in `clusters`."""
        lengths = np.diff(self.starts, append=len(self.cells))
        return np.repeat(np.arange(len(self.clusters)), lengths)

    @property
    def precision(self) -> Shaped[Array, "k p p"]:
        return self.point.precision[self.rows.pattern_of[self.cells]]

    @property
    def products(self) -> Shaped[Array, "k m m"]:
        """Σ_r x_r x_rᵀ of each cell."""
        return carrier_products(self.data, self.rows, self.cells)

    def summed(self, values: Shaped[Array, "k *s"]) -> Shaped[Array, "j *s"]:
        return np.add.reduceat(values, self.starts, axis=0)

    def corners(self, matrices: Shaped[Array, "k c p p"]) -> Shaped[Array, "j c q q"]:
        """Σ_r Zᵀ M Z of each cluster."""
        effects = self.data.effects
        every = np.arange(len(effects.responses))
        block = effects.at(every, effects.at(every, matrices, axis=-2))
        if effects.n_carriers == 1:
            return self.summed(self.products[:, None] * block)
        scale = self.products[:, effects.carriers[:, None], effects.carriers]
        return self.summed(scale[:, None] * block)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """V_a of each cluster along c directions.

    Attributes
    ----------
    sigma, between : (j, c, p, p), (j, c, q + r, q + r)
        S and B.
    mean, above : (j, c, p, D), (j, c, q + r, D)
        ∂_aΠ of both levels.
    """

    sigma: Shaped[Array, "j c p p"]
    between: Shaped[Array, "j c qr qr"]
    mean: Shaped[Array, "j c p D"]
    above: Shaped[Array, "j c qr D"]


def _changes(along: Jacobians, directions: Shaped[Array, "j c n"]) -> _Change:
    return _Change(
        *(
            (directions @ flatten(each)).reshape(*directions.shape[:2], *each.shape[1:])
            for each in (along[0].sigma, along[1].sigma, along[0].mean, along[1].mean)
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Low:
    """The matrices N, K̃ (with V⁻¹ = W + U K̃ Uᵀ) and H_k ⊕ δ_{k0} I, G_k."""

    n: Shaped[Array, "j i qr qr"]
    inner: Shaped[Array, "j i qr qr"]
    h: tuple[Shaped[Array, "j c qr qr"], ...]
    g: tuple[Shaped[Array, "j c qr qr"], ...]


def _low_rank(some: Some, change: _Change, sides: Shaped[Array, "k c p p"], order: int) -> _Low:
    point, data, clusters = some.point, some.data, some.clusters
    q = point.split
    shrink = effect_maps(point, data, clusters)  # N_u [I, -A]
    size = shrink.shape[2]
    n = np.zeros((len(clusters), 1, size, size))
    n[:, 0] = between_information(point, data, clusters)
    n[:, 0, :q] = shrink
    inner = n.copy()
    inner[:, 0, :q, :q] = -point.posterior[clusters]
    inner[:, 0, q:, :q] = shrink[:, :, q:].swapaxes(1, 2)
    h: list[Shaped[Array, "j c qr qr"]] = []
    power = np.broadcast_to(some.precision[:, None], sides.shape)
    for k in range(order + 1):
        full = np.zeros((*sides.shape[1:2], size, size))
        full = np.broadcast_to(full, (len(clusters), *full.shape)).copy()
        full[:, :, :q, :q] = some.corners(power)
        if k == 0:
            full[:, :, q:, q:] = np.eye(size - q)
        h.append(full)
        power = sides @ power
    known = np.zeros_like(inner)
    known[..., :q] = inner[..., :q]
    moved = n @ change.between
    g = tuple(known @ h[k + 1] + moved @ h[k] for k in range(order))
    return _Low(n, inner, tuple(h), g)


def _trace(left: Shaped[Array, "j c m m"], right: Shaped[Array, "j c m m"]) -> Shaped[Array, "j c"]:
    return np.einsum("jcab,jcba->jc", left, right)


def fourth(
    some: Some, along: Jacobians, directions: Shaped[Array, "j c n"]
) -> Shaped[Array, "j c"]:
    """κ₄ of aᵀs_j for directions a of each cluster."""
    change = _changes(along, directions)
    sides = some.precision[:, None] @ change.sigma[some.owner]
    squares = sides @ sides
    rows = np.einsum("kcab,kcba->kc", squares, squares)
    total = some.summed(some.rows.sizes[some.cells, None] * rows)
    g = _low_rank(some, change, sides, 4).g
    square = g[0] @ g[0]
    total += 4.0 * np.einsum("jcaa->jc", g[3]) + 4.0 * _trace(g[2], g[0])
    total += 2.0 * _trace(g[1], g[1]) + 4.0 * _trace(g[1], square) + _trace(square, square)
    mean = _means(some, change)
    pushed = _push(some, change, mean)
    return 3.0 * total + 12.0 * _form(some, pushed)


def third(
    some: Some, along: Jacobians, directions: Shaped[Array, "j c n"]
) -> Shaped[Array, "j c n"]:
    """κ₃(aᵀs_j, aᵀs_j, s_j) for directions a of each cluster."""
    change = _changes(along, directions)
    inner, outer = _blocks(some, change)
    mean = _solved(some, _means(some, change))
    inner += _outer(some, mean, mean)
    outer += mean.above[..., :, None] * mean.above[..., None, :]
    twice = _solved(some, _push(some, change, _means(some, change)))
    maps = _outer_with_rows(some, twice)
    above = twice.above[..., :, None] * some.data.rows[some.clusters][:, None, None]
    total = _meet(inner, along[0].sigma) + _meet(outer, along[1].sigma)
    return total + 2.0 * (_meet(maps, along[0].mean) + _meet(above, along[1].mean))


def _meet(
    stack: Shaped[Array, "j c a b"], changes: Shaped[Array, "n a b"]
) -> Shaped[Array, "j c n"]:
    return flatten_last(stack) @ flatten(changes).T


def _blocks(
    some: Some, change: _Change
) -> tuple[Shaped[Array, "j c p p"], Shaped[Array, "j c qr qr"]]:
    """Σ_r M_rr and Tᵀ M T.

    With Θ = K̃ H_1 K̃ + N B Nᵀ: M_rr = X² W + Σ_ik X^i W Z Θ_ik Zᵀ W X^kᵀ, Θ_20 = Θ_11 = K̃,
    Θ_10 = Θ, Θ_00 = G_1 K̃ + G_0 Θ; and Tᵀ M T = Nᵀ H_2 N + Ω B H_1 N + (Nᵀ H_1 + Ω B H_0) G_0 N.
    """
    q, size = some.point.split, some.precision.shape[-1]
    precision, owner, products = some.precision[:, None], some.owner, some.products
    sides = precision @ change.sigma[owner]
    low = _low_rank(some, change, sides, 2)
    turned = low.n.swapaxes(2, 3)
    theta = low.inner @ low.h[1] @ low.inner + low.n @ change.between @ turned
    corner = low.g[1] @ low.inner + low.g[0] @ theta

    def between_rows(matrices: Shaped[Array, "j i qr qr"]) -> Shaped[Array, "k c p p"]:
        own = np.broadcast_to(matrices, (*change.between.shape[:2], *matrices.shape[2:]))
        spread = placed(some.data.effects, products, own[owner][..., :q, :q], size)
        return precision @ spread @ precision

    once = between_rows(low.inner)
    twice = sides @ sides
    moved = twice @ once + sides @ between_rows(theta)
    total = some.rows.sizes[some.cells, None, None, None] * (twice @ precision)
    total = total + moved + moved.swapaxes(2, 3) + sides @ once @ sides.swapaxes(2, 3)
    total = total + between_rows(corner)
    omega = between_information(some.point, some.data, some.clusters)[:, None]
    pulled = omega @ change.between
    outer = turned @ low.h[2] @ low.n + pulled @ low.h[1] @ low.n
    outer = outer + (turned @ low.h[1] + pulled @ low.h[0]) @ low.g[0] @ low.n
    return some.summed(total), outer


# --- vectors of a cluster: rows that the random effects move, the others, and level 2 -------------


@dataclass(frozen=True, slots=True, eq=False)
class _Vectors:
    """c vectors of each cluster.

    Attributes
    ----------
    rows : (k, d, c, p)
        In the coordinates of each cell.
    others : (k, c, p, V)
        As maps of the deviations that are the other coordinates.
    above : (j, c, q + r)
        What is added by way of (u, z).
    """

    rows: Shaped[Array, "k d c p"]
    others: Shaped[Array, "k c p V"]
    above: Shaped[Array, "j c qr"]


def _means(some: Some, change: _Change) -> _Vectors:
    """μ_a."""
    rows, own = some.rows, change.mean[some.owner]
    coordinates = rows.coordinates[some.cells]
    inner = slice(1, 1 + rows.rest.shape[1])
    return _Vectors(
        np.einsum("kde,kcpe->kdcp", coordinates, own, optimize=True),
        own[..., inner],
        np.einsum("je,jcqe->jcq", some.data.rows[some.clusters], change.above),
    )


def _lifted(some: Some, values: Shaped[Array, "j c q"], size: int) -> Shaped[Array, "k d c p"]:
    """Z u."""
    effects, owner = some.data.effects, some.owner
    carried = some.data.carried[some.rows.rows[some.cells]]
    total = np.zeros((*carried.shape[:2], values.shape[1], size))
    for s in range(effects.n_carriers):
        own = effects.of(s)
        effects.add(own, total, carried[:, :, s, None, None] * values[owner][:, None][..., own])
    return total


def _weighed(
    some: Some, vectors: _Vectors
) -> tuple[Shaped[Array, "k d c p"], Shaped[Array, "j c q"], Shaped[Array, "j c r"]]:
    """E, P^{-½} a and ζ of the likelihood's equations."""
    point, data, clusters = some.point, some.data, some.clusters
    q, effects = point.split, data.effects
    pulled = vectors.rows @ some.precision[:, None]
    carried = data.carried[some.rows.rows[some.cells]]
    gathered = effects.at(np.arange(q), pulled)
    sums = np.einsum("kdq,kdcq->kcq", carried[..., effects.carriers], gathered)
    beta = some.summed(sums) @ point.back[clusters].swapaxes(1, 2)
    rows = vectors.rows - _lifted(some, beta @ point.back[clusters], pulled.shape[-1])
    known = data.level2_observed[data.level2_of[clusters]]
    own = vectors.above[..., q:] * known[:, None]
    moved = vectors.above[..., :q] - own @ point.regression[data.level2_of[clusters]].swapaxes(1, 2)
    white = (beta + moved @ point.root[clusters]) @ point.white[clusters].swapaxes(1, 2)
    return rows, white, own


def _form(some: Some, vectors: _Vectors) -> Shaped[Array, "j c"]:
    """dᵀ V⁻¹ d."""
    rows, white, own = _weighed(some, vectors)
    level2 = some.point.zz_inverse[some.data.level2_of[some.clusters]]
    total = np.einsum("kdcp,kdcp->kc", rows @ some.precision[:, None], rows)
    if vectors.others.size:
        spread = some.precision[:, None] @ vectors.others @ some.rows.rest[some.cells, None]
        total += np.einsum("kcpv,kcpv->kc", spread, vectors.others)
    found = some.summed(total) + np.einsum("jcq,jcq->jc", white, white)
    return found + np.einsum("jcr,jcr->jc", own @ level2, own)


def _solved(some: Some, vectors: _Vectors) -> _Vectors:
    """V⁻¹ d: of the rows, the others, and Tᵀ V⁻¹ d of level 2."""
    point, clusters = some.point, some.clusters
    rows, white, own = _weighed(some, vectors)
    shrunk = white @ point.white[clusters]
    rows = rows + _lifted(some, shrunk @ point.back[clusters], rows.shape[-1])
    pulled = shrunk @ point.root[clusters].swapaxes(1, 2)
    level2 = some.data.level2_of[clusters]
    own = own @ point.zz_inverse[level2] - pulled @ point.regression[level2]
    return _Vectors(
        rows @ some.precision[:, None],
        some.precision[:, None] @ vectors.others,
        np.concatenate((pulled, own), axis=2),
    )


def _push(some: Some, change: _Change, vectors: _Vectors) -> _Vectors:
    """V_a V⁻¹ d."""
    solved, sigma = _solved(some, vectors), change.sigma[some.owner]
    return _Vectors(
        np.einsum("kdcp,kcpq->kdcq", solved.rows, sigma, optimize=True),
        sigma @ solved.others,
        np.einsum("jcab,jcb->jca", change.between, solved.above),
    )


def _outer(some: Some, left: _Vectors, right: _Vectors) -> Shaped[Array, "j c p p"]:
    """Σ_r x_r y_rᵀ over all rows, the others too."""
    total = np.einsum("kdcp,kdcq->kcpq", left.rows, right.rows, optimize=True)
    total += left.others @ some.rows.rest[some.cells, None] @ right.others.swapaxes(2, 3)
    return some.summed(total)


def _outer_with_rows(some: Some, vectors: _Vectors) -> Shaped[Array, "j c p D"]:
    """Σ_r x_r H_rᵀ over all rows, the others too."""
    rows = some.rows
    total = np.einsum("kdcp,kde->kcpe", vectors.rows, rows.coordinates[some.cells], optimize=True)
    inner = slice(1, 1 + rows.rest.shape[1])
    total[..., inner] += vectors.others @ rows.rest[some.cells, None]
    return some.summed(total)
