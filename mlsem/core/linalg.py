"""Small dense linear algebra: scaled solves, null spaces, sums over shapes."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated as Shaped

import numpy as np
from scipy.linalg.lapack import dposv, dpotrf, dpotrs, dtrtri, dtrtrs

from mlsem.core.records import Array, Index

LOG_2PI = float(np.log(2 * np.pi))
CHUNK = 2_000_000  # numbers in one block of a temporary array, to bound memory
CACHE = 2**17  # the same in a walk over clusters: a few such arrays stay in a processor's cache
FEW = 32  # rows of a map up to which one operation for all rows is quicker
SPARSE = 250_000  # numbers of a matrix from which on its zeros are worth a look


PIVOT = 10.0 * float(np.finfo(float).eps)  # times the size: pivots that are rounding errors


def per_block(width: int) -> int:
    """How many items of `width` numbers make a block."""
    return max(1, CHUNK // max(1, width))


def blocks(count: int, width: int) -> Iterator[slice]:
    """Items 0 … count - 1 of `width` numbers in runs of bounded memory."""
    return _runs(count, per_block(width))


def walk(count: int, width: int) -> Iterator[slice]:
    """The same of many clusters, in runs that a processor's cache holds."""
    return _runs(count, max(1, CACHE // max(1, width)))


def _runs(count: int, step: int) -> Iterator[slice]:
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def along(
    stack: Shaped[Array, "k m n"], directions: Shaped[Array, "c n"]
) -> Shaped[Array, "k m c"]:
    """X a of each matrix and direction, by one product of matrices for the whole stack."""
    kinds, rows, columns = stack.shape
    return (stack.reshape(kinds * rows, columns) @ directions.T).reshape(kinds, rows, -1)


def products(left: Shaped[Array, "a b k"], right: Shaped[Array, "b c k"]) -> Shaped[Array, "a c k"]:
    """X_j Y_j of each of many small matrices, which are along the last axis."""
    return np.einsum("abk,bck->ack", left, right)


def cholesky(matrix: Shaped[Array, "*s p p"]) -> Shaped[Array, "*s p p"] | None:
    """Lower Cholesky factor (of each in a stack), or None if one is not positive definite."""
    try:
        factor: Array = np.linalg.cholesky(matrix)  # type: ignore[assignment]
        return factor
    except np.linalg.LinAlgError:
        return None


def is_determined(factor: Shaped[Array, "*s p p"], diagonal: Shaped[Array, "*s p"]) -> bool:
    """Whether the pivots of a Cholesky factor (or of each in a stack) are more than rounding errors
    of the matrix's diagonal: else it may be that of a matrix that is not positive definite."""
    pivots = np.diagonal(factor, axis1=-2, axis2=-1) ** 2
    return bool((pivots > PIVOT * pivots.shape[-1] * diagonal).all())


def log_determinant(factor: Shaped[Array, "*s p p"]) -> Shaped[Array, "*s"]:
    """log|L Lᵀ| of each lower-triangular factor in a stack."""
    return 2.0 * np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)


def lower_factor(matrix: Shaped[Array, "p p"]) -> Shaped[Array, "p p"] | None:
    """Lower Cholesky factor of one matrix, or None if it is not positive definite."""
    if not len(matrix):
        return matrix
    factor, failed = dpotrf(matrix, lower=1, clean=1)
    return None if failed else factor


def positive_solve(
    matrix: Shaped[Array, "p p"], vector: Shaped[Array, "p"]
) -> Shaped[Array, "p"] | None:
    """matrix⁻¹ vector, or None if the matrix is not positive definite."""
    if not len(matrix):
        return vector
    _, solution, failed = dposv(matrix, vector, lower=1)
    return None if failed else solution


def solved(factor: Shaped[Array, "p p"], matrix: Shaped[Array, "p *m"]) -> Shaped[Array, "p *m"]:
    """(L Lᵀ)⁻¹ matrix, by the lower Cholesky factor L."""
    if not len(factor):
        return matrix
    solution, _ = dpotrs(factor, matrix, lower=1)
    return solution


def add_identity(stack: Shaped[Array, "S p p"]) -> Shaped[Array, "S p p"]:
    """I + X_s of each matrix in a stack, in place."""
    size = stack.shape[-1]
    stack.reshape(len(stack), size * size)[:, :: size + 1] += 1.0
    return stack


def positive_inverse(matrix: Shaped[Array, "p p"]) -> tuple[Shaped[Array, "p p"], float] | None:
    """Inverse and log-determinant of one symmetric matrix; None if not positive definite."""
    if not len(matrix):
        return matrix, 0.0
    root = inverse_root(matrix)
    return None if root is None else (root @ root.T, -2.0 * float(np.log(root.diagonal()).sum()))


def definite_inverse(matrix: Shaped[Array, "p p"]) -> tuple[Shaped[Array, "p p"], float] | None:
    """As `positive_inverse`; None also where only rounding makes the matrix positive definite."""
    found = positive_inverse(matrix)
    if found is None or not len(matrix):
        return found
    # the last pivots of all orders: 1 / (M⁻¹)_kk
    left = 1.0 / found[0].diagonal()
    return found if bool((left > PIVOT * len(matrix) * matrix.diagonal()).all()) else None


def inverse_root(matrix: Shaped[Array, "p p"]) -> Shaped[Array, "p p"] | None:
    """Upper-triangular L with matrix⁻¹ = L Lᵀ; None if not positive definite."""
    factor = lower_factor(matrix)
    if factor is None or not len(matrix):
        return factor
    inverse, failed = dtrtri(factor, lower=1)
    return None if failed else inverse.T


def inverse_roots(stack: Shaped[Array, "d d J"]) -> Shaped[Array, "d d J"] | None:
    """Lower-triangular R with matrix⁻¹ = Rᵀ R of each matrix, (d, d, J), matrices last; None if
    one is not positive definite.

    Of a matrix bordered by v and c, with R of the rest: l = R v, ρ² = c - lᵀl, and the new row of
    R is (-lᵀR, 1) / ρ. One operation serves all matrices, which pays where d is small.
    """
    found = np.zeros_like(stack)
    if not stack[0, 0].min() > 0:
        return None
    found[0, 0] = 1.0 / np.sqrt(stack[0, 0])
    for k in range(1, len(stack)):
        before = found[:k, :k]
        along = np.einsum("abj,bj->aj", before, stack[k, :k])
        pivot = stack[k, k] - np.einsum("aj,aj->j", along, along)
        if not pivot.min() > 0:
            return None
        found[k, k] = 1.0 / np.sqrt(pivot)
        found[k, :k] = -found[k, k] * np.einsum("aj,abj->bj", along, before)
    return found


def flatten(stack: Shaped[Array, "S ..."]) -> Shaped[Array, "S m"]:
    """Each array of a stack as one row."""
    return stack.reshape(len(stack), prod(stack.shape[1:]))


def flatten_last(stack: Shaped[Array, "j n ..."]) -> Shaped[Array, "j n m"]:
    """All that is beyond the first two axes as one."""
    return stack.reshape(*stack.shape[:2], prod(stack.shape[2:]))


def apply_maps(
    maps: Shaped[Array, "S p d"], shape_of: Shaped[Index, "J"], rows: Shaped[Array, "J d"]
) -> Shaped[Array, "J p"]:
    """maps[shape_of[j]] @ rows[j] for every cluster."""
    if len(maps) == 1:
        return rows @ maps[0].T
    if FEW * len(maps) > len(rows):
        return np.einsum("jpd,jd->jp", maps[shape_of], rows)
    order = np.argsort(shape_of, kind="stable")
    found = np.empty((len(rows), maps.shape[1]))
    for those, matrix in zip(np.split(order, _ends(shape_of, len(maps))), maps, strict=True):
        found[those] = rows[those] @ matrix.T
    return found


def _ends(codes: Shaped[Index, "J"], count: int) -> Shaped[Index, "m"]:
    """Where the runs of sorted codes 0 … count - 1 end, but the last."""
    return np.cumsum(np.bincount(codes, minlength=count))[:-1]


def positions_in_runs(lengths: Shaped[Index, "k"]) -> Shaped[Index, "m"]:
    """0 … n - 1 of each run, one run after the other."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum()), dtype=np.intp) - np.repeat(starts, lengths)


def weighted_sum(weights: Shaped[Array, "S"], stack: Shaped[Array, "S *x"]) -> Shaped[Array, "*x"]:
    """Σ_s w_s X_s."""
    return (weights @ flatten(stack)).reshape(stack.shape[1:])


def combinations(
    weights: Shaped[Array, "c S"], stack: Shaped[Array, "S *x"]
) -> Shaped[Array, "c *x"]:
    """Σ_s w_s X_s for each row w of `weights` (c, S), (c, …)."""
    return (weights @ flatten(stack)).reshape(len(weights), *stack.shape[1:])


def inner(left: Shaped[Array, "*x"], right: Shaped[Array, "*x"]) -> float:
    """Σ of elementwise products: tr(left rightᵀ)."""
    return float(np.vdot(left, right))


def symmetrised(matrix: Shaped[Array, "*s p p"]) -> Shaped[Array, "*s p p"]:
    return 0.5 * (matrix + matrix.swapaxes(-1, -2))


def least_squares(
    design: Shaped[Array, "m n"], outcome: Shaped[Array, "m *x"]
) -> Shaped[Array, "n *x"]:
    """The shortest b of those with the least |design b - outcome|; NaN where a number is not
    finite, of which LAPACK would print a line."""
    if not (np.isfinite(design).all() and np.isfinite(outcome).all()):
        return np.full((design.shape[1], *outcome.shape[1:]), np.nan)
    return np.asarray(np.linalg.lstsq(design, outcome, rcond=None)[0], dtype=np.float64)


def null_space(matrix: Shaped[Array, "m n"], tol: float = 1e-10) -> Shaped[Array, "n k"]:
    """Orthonormal columns that span {x : matrix @ x = 0}; rows are scaled to length 1 first."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    _, values, right = np.linalg.svd(matrix / np.where(norms > 0, norms, 1.0))
    rank = int((values > tol).sum())
    return right[rank:].T


def unit_diagonal(
    information: Shaped[Array, "n n"],
) -> tuple[Shaped[Array, "n n"], Shaped[Array, "n"]] | None:
    """D^{-½} M D^{-½} and the scale D^{-½}, D = diag M; None if D is not positive."""
    diagonal = np.diagonal(information)
    if not diagonal.min(initial=1.0) > 0:
        return None
    scale = 1.0 / np.sqrt(diagonal)
    return information * scale[:, None] * scale, scale


def whitened_by(
    information: Shaped[Array, "b b"], vectors: Shaped[Array, "b *m"]
) -> Shaped[Array, "b *m"] | None:
    """L⁻¹ v of vectors, with L Lᵀ the information but for its scale; None where it is not positive
    definite. Squares of lengths are vᵀ I⁻¹ v."""
    unit = unit_diagonal(information)
    factor = None if unit is None else lower_factor(unit[0])
    if unit is None or factor is None:
        return None
    return dtrtrs(factor, (unit[1] * vectors.T).T, lower=1)[0]


def product(left: Shaped[Array, "m n"], right: Shaped[Array, "n k"]) -> Shaped[Array, "m k"]:
    """left @ right, quick where `left` is large and nearly all zero, as what belongs to one of many
    terms is."""
    if left.size < SPARSE or np.count_nonzero(left) > 0.1 * left.size:
        return left @ right
    from scipy.sparse import csr_array  # for many groups alone

    return np.asarray(csr_array(left) @ right)


def scaled_eigen(
    information: Shaped[Array, "n n"],
) -> tuple[Shaped[Array, "n"], Shaped[Array, "n n"], Shaped[Array, "n"]]:
    """Eigenvalues (ascending), eigenvectors and scale of D^{-½} M D^{-½}, D = diag M."""
    diagonal = np.diagonal(information)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(information * scale[:, None] * scale)
    return values, vectors, scale


def sandwich_traces(
    weights: Shaped[Array, "S"],
    stack: Shaped[Array, "S i j"],
    left: Shaped[Array, "n j j"],
    right: Shaped[Array, "m i i"],
) -> Shaped[Array, "n m"]:
    """Σ_s w_s tr(X_s A_a X_sᵀ B_b) for all pairs (a, b).

    Parameters
    ----------
    weights : (S,)
    stack : (S, i, j)
        X_s.
    left : (n, j, j)
        A_a.
    right : (m, i, i)
        B_b, symmetric.

    Returns
    -------
    (n, m)

    Notes
    -----
    The sum over shapes is taken once, of the products X_s ⊗ X_s, so that its cost does not grow
    with the number of parameters; for few shapes of many variables each shape on its own is less
    work.
    """
    rows, columns = stack.shape[1:]
    once = rows**2 * columns**2 * (len(stack) + len(left))
    each = len(stack) * len(left) * rows * columns * (rows + columns)
    if each < once:
        total = np.zeros((len(left), len(right)))
        for weight, matrix in zip(weights, stack, strict=True):
            total += weight * flatten(matrix @ left @ matrix.T) @ flatten(right).T
        return total
    flat = flatten(stack)
    products = (flat * weights[:, None]).T @ flat
    # products[(i j), (k l)] = Σ_s w X_ij X_kl; the trace is Σ X_ij A_jl X_kl B_ki
    products = products.reshape(rows, columns, rows, columns).transpose(1, 3, 2, 0)
    return flatten(left) @ products.reshape(columns**2, rows**2) @ flatten(right).T
