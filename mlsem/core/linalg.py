"""Small dense linear algebra: scaled solves, null spaces, sums over shapes.

What takes `...` serves one data set and many: axes before those that are named count data sets.
Of one data set a function returns None where a matrix is not positive definite; of many it returns
NaN for those data sets, and the rest go on.
"""

from __future__ import annotations

from math import prod
from typing import Annotated as Shaped
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv, dpotrf, dpotrs, dtrtri, dtrtrs

from mlsem.core.records import Array, Index, Numbers

LOG_2PI = float(np.log(2 * np.pi))
FEW = 32  # rows of a map up to which one operation for all rows is quicker
SPARSE = 250_000  # numbers of a matrix from which on its zeros are worth a look
PIVOT = 10.0 * float(np.finfo(float).eps)  # times the size: pivots that are rounding errors


def transposed(matrix: Shaped[Array, "... m n"]) -> Shaped[Array, "... n m"]:
    """Mᵀ."""
    return matrix.swapaxes(-1, -2)


def along(
    stack: Shaped[Array, "... k m n"], directions: Shaped[Array, "... c n"]
) -> Shaped[Array, "... k m c"]:
    """X a of each matrix and direction, by one product of matrices for the whole stack."""
    *lead, kinds, rows, columns = stack.shape
    flat = stack.reshape(*lead, kinds * rows, columns) @ transposed(directions)
    return flat.reshape(*lead, kinds, rows, directions.shape[-2])


def products(
    left: Shaped[Array, "... a b k"], right: Shaped[Array, "... b c k"]
) -> Shaped[Array, "... a c k"]:
    """X_j Y_j of each of many small matrices, which are along the last axis."""
    return np.einsum("...abk,...bck->...ack", left, right)


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
    return bool(_determined(factor, diagonal).all())


def _determined(
    factor: Shaped[Array, "*s p p"], diagonal: Shaped[Array, "*s p"]
) -> Shaped[NDArray[np.bool_], "*s p"]:
    pivots = np.diagonal(factor, axis1=-2, axis2=-1) ** 2
    return np.greater(pivots, PIVOT * pivots.shape[-1] * diagonal)


def log_determinant(factor: Shaped[Array, "*s p p"]) -> Shaped[Array, "*s"]:
    """log|L Lᵀ| of each lower-triangular factor in a stack."""
    return 2.0 * np.log(np.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1)


def lower_factor(matrix: Shaped[Array, "... p p"]) -> Shaped[Array, "... p p"] | None:
    """Lower Cholesky factor of one matrix, or None if it is not positive definite; of many NaN."""
    if not matrix.size:
        return matrix
    if matrix.ndim > 2:
        return factors_of_many(matrix)
    factor, failed = dpotrf(matrix, lower=1, clean=1)
    return None if failed else factor


def factors_of_many(stack: Shaped[Array, "*s p p"]) -> Shaped[Array, "*s p p"]:
    """Lower Cholesky factors, NaN where a matrix is not positive definite."""
    whole = cholesky(stack)
    if whole is not None:
        return whole
    single = stack.reshape(prod(stack.shape[:-2]), *stack.shape[-2:])
    found = [_or_nan(cholesky(each), each) for each in single]
    return np.array(found).reshape(stack.shape)


def _or_nan(found: Shaped[Array, "p q"] | None, like: Shaped[Array, "p q"]) -> Shaped[Array, "p q"]:
    return np.full(like.shape, np.nan) if found is None else found


def shape_factors(stack: Shaped[Array, "... S p p"]) -> Shaped[Array, "... S p p"] | None:
    """Lower Cholesky factors of the matrices of a data set; None (of many: NaN) where one of them
    is not positive definite, or only by rounding errors."""
    if stack.ndim > 3:
        factor = factors_of_many(stack)
        determined = _determined(factor, np.diagonal(stack, axis1=-2, axis2=-1))
        factor[~determined.all(axis=(-2, -1))] = np.nan
        return factor
    whole = cholesky(stack)
    if whole is None or not is_determined(whole, np.diagonal(stack, axis1=1, axis2=2)):
        return None
    return whole


def inverses(matrix: Shaped[Array, "... p p"]) -> Shaped[Array, "... p p"] | None:
    """M⁻¹; None (of many: NaN) where it is singular."""
    try:
        return np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    except np.linalg.LinAlgError:
        if matrix.ndim == 2:
            return None
    return np.array([_or_nan(inverses(each), each) for each in matrix])


def positive_solve(
    matrix: Shaped[Array, "... p p"], vector: Shaped[Array, "... p"]
) -> Shaped[Array, "... p"] | None:
    """matrix⁻¹ vector, or None (of many: NaN) if the matrix is not positive definite."""
    if not matrix.size:
        return vector
    if matrix.ndim > 2:
        return solved(factors_of_many(matrix), vector[..., None])[..., 0]
    _, solution, failed = dposv(matrix, vector, lower=1)
    return None if failed else solution


def solved(factor: Shaped[Array, "... p p"], matrix: Shaped[Array, "..."]) -> Shaped[Array, "..."]:
    """(L Lᵀ)⁻¹ matrix, by the lower Cholesky factor L."""
    if not factor.size:
        return matrix
    if factor.ndim > 2:
        root = np.linalg.inv(factor)
        return root.swapaxes(-1, -2) @ (root @ matrix)
    solution, _ = dpotrs(factor, matrix, lower=1)
    return solution


def add_identity(stack: Shaped[Array, "... p p"]) -> Shaped[Array, "... p p"]:
    """I + X of each matrix in a stack, in place."""
    size = stack.shape[-1]
    stack.reshape(*stack.shape[:-2], size * size)[..., :: size + 1] += 1.0
    return stack


def positive_inverse(matrix: Shaped[Array, "p p"]) -> tuple[Shaped[Array, "p p"], float] | None:
    """Inverse and log-determinant of one symmetric matrix; None if not positive definite."""
    if not len(matrix):
        return matrix, 0.0
    root = inverse_root(matrix)
    return None if root is None else (root @ root.T, -2.0 * float(np.log(root.diagonal()).sum()))


def definite_inverse(
    matrix: Shaped[Array, "... p p"],
) -> tuple[Shaped[Array, "... p p"], Numbers] | None:
    """As `positive_inverse`; None also where only rounding makes the matrix positive definite.
    Of many: NaN there."""
    if matrix.ndim > 2:
        return _definite_inverses(matrix)
    found = positive_inverse(matrix)
    if found is None or not len(matrix):
        return found
    # the last pivots of all orders: 1 / (M⁻¹)_kk
    left = 1.0 / found[0].diagonal()
    return found if bool((left > PIVOT * len(matrix) * matrix.diagonal()).all()) else None


def _definite_inverses(
    stack: Shaped[Array, "*s p p"],
) -> tuple[Shaped[Array, "*s p p"], Shaped[Array, "*s"]]:
    factor = factors_of_many(stack)
    root = np.linalg.inv(factor)
    inverse = root.swapaxes(-1, -2) @ root
    diagonals = (np.diagonal(each, axis1=-2, axis2=-1) for each in (inverse, stack))
    last, whole = diagonals
    lost = ~(1.0 / last > PIVOT * stack.shape[-1] * whole).all(axis=-1)
    inverse[lost] = np.nan
    return inverse, np.where(lost, np.nan, log_determinant(factor))


def inverse_root(matrix: Shaped[Array, "... p p"]) -> Shaped[Array, "... p p"] | None:
    """Upper-triangular L with matrix⁻¹ = L Lᵀ; None (of many: NaN) if not positive definite."""
    factor = lower_factor(matrix)
    if factor is None or not matrix.size:
        return factor
    if matrix.ndim > 2:
        return np.asarray(np.linalg.inv(factor), dtype=np.float64).swapaxes(-1, -2)
    inverse, failed = dtrtri(factor, lower=1)
    return None if failed else inverse.T


def flatten(stack: Shaped[Array, "S ..."]) -> Shaped[Array, "S m"]:
    """Each array of a stack as one row."""
    return stack.reshape(len(stack), prod(stack.shape[1:]))


def merged(stack: Shaped[Array, "... i j"]) -> Shaped[Array, "... ij"]:
    """Each matrix as one row."""
    shape = stack.shape
    return stack.reshape(*shape[:-2], shape[-2] * shape[-1])


def in_use(stack: Shaped[NDArray[Any], "*s n"]) -> Shaped[Index, "m"]:
    """The places on the last axis at which not all is zero."""
    return np.flatnonzero(stack.any(axis=tuple(range(stack.ndim - 1))))


def applied(
    matrix: Shaped[Array, "... m n"], vector: Shaped[Array, "... n"]
) -> Shaped[Array, "... m"]:
    """M v."""
    return matrix @ vector if vector.ndim == 1 else (matrix @ vector[..., None])[..., 0]


def flatten_last(stack: Shaped[Array, "j n ..."]) -> Shaped[Array, "j n m"]:
    """All that is beyond the first two axes as one."""
    return stack.reshape(*stack.shape[:2], prod(stack.shape[2:]))


def apply_maps(
    maps: Shaped[Array, "... S p d"], shape_of: Shaped[Index, "J"], rows: Shaped[Array, "... J d"]
) -> Shaped[Array, "... J p"]:
    """maps[shape_of[j]] @ rows[j] for every cluster."""
    shapes = maps.shape[-3]
    if shapes == 1:
        return rows @ transposed(maps[..., 0, :, :])
    if FEW * shapes > len(shape_of):
        return np.einsum("...jpd,...jd->...jp", maps.take(shape_of, -3), rows)
    order = np.argsort(shape_of, kind="stable")
    found = np.empty((*rows.shape[:-1], maps.shape[-2]))
    for s, those in enumerate(np.split(order, _ends(shape_of, shapes))):
        found[..., those, :] = rows.take(those, -2) @ transposed(maps[..., s, :, :])
    return found


def _ends(codes: Shaped[Index, "J"], count: int) -> Shaped[Index, "m"]:
    """Where the runs of sorted codes 0 … count - 1 end, but the last."""
    return np.cumsum(np.bincount(codes, minlength=count))[:-1]


def weighted_sum(weights: Shaped[Array, "S"], stack: Shaped[Array, "S *x"]) -> Shaped[Array, "*x"]:
    """Σ_s w_s X_s."""
    return (weights @ flatten(stack)).reshape(stack.shape[1:])


def weighted_matrices(
    weights: Shaped[Array, "... S"], stack: Shaped[Array, "... S i j"]
) -> Shaped[Array, "... i j"]:
    """Σ_s w_s X_s of matrices."""
    flat = merged(stack)
    total = weights @ flat if flat.ndim == 2 else (weights[..., None, :] @ flat)[..., 0, :]
    return total.reshape(*total.shape[:-1], *stack.shape[-2:])


def combinations(
    weights: Shaped[Array, "c S"], stack: Shaped[Array, "S *x"]
) -> Shaped[Array, "c *x"]:
    """Σ_s w_s X_s for each row w of `weights` (c, S), (c, …)."""
    return (weights @ flatten(stack)).reshape(len(weights), *stack.shape[1:])


def scaled(factor: Numbers, matrix: Shaped[Array, "... i j"]) -> Shaped[Array, "... i j"]:
    """The matrix of each data set times its factor."""
    return np.asarray(factor)[..., None, None] * matrix


def inner(left: Shaped[Array, "... i j"], right: Shaped[Array, "... i j"]) -> Numbers:
    """Σ of elementwise products: tr(left rightᵀ)."""
    if left.ndim == 2:
        return float(np.vdot(left, right))
    return np.einsum("...ij,...ij->...", left, right)


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
    information: Shaped[Array, "... n n"],
) -> tuple[Shaped[Array, "... n n"], Shaped[Array, "... n"]] | None:
    """D^{-½} M D^{-½} and the scale D^{-½}, D = diag M; None (of many: NaN) unless D > 0."""
    diagonal = np.diagonal(information, axis1=-2, axis2=-1)
    if information.ndim > 2:
        diagonal = np.where(diagonal > 0, diagonal, np.nan)
    elif not diagonal.min(initial=1.0) > 0:
        return None
    scale = 1.0 / np.sqrt(diagonal)
    return information * scale[..., None] * scale[..., None, :], scale


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


def finite_or_zero(stack: Shaped[Array, "... m n"]) -> Shaped[Array, "... m n"]:
    """The matrices, zero in place of those that are not finite."""
    return np.where(np.isfinite(stack).all(axis=(-2, -1), keepdims=True), stack, 0.0)


def scaled_eigen(
    information: Shaped[Array, "... n n"],
) -> tuple[Shaped[Array, "... n"], Shaped[Array, "... n n"], Shaped[Array, "... n"]]:
    """Eigenvalues (ascending), eigenvectors and scale of D^{-½} M D^{-½}, D = diag M."""
    diagonal = np.diagonal(information, axis1=-2, axis2=-1)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(information * scale[..., None] * scale[..., None, :])
    return values, vectors, scale


def pairings(
    left: Shaped[Array, "... n i j"], right: Shaped[Array, "... m i j"]
) -> Shaped[Array, "... n m"]:
    """tr(A_a B_bᵀ) of all pairs (a, b)."""
    return merged(left) @ merged(right).swapaxes(-1, -2)


def sandwich_traces(
    weights: Shaped[Array, "... S"],
    stack: Shaped[Array, "... S i j"],
    left: Shaped[Array, "... n j j"],
    right: Shaped[Array, "... m i i"],
) -> Shaped[Array, "... n m"]:
    """Σ_s w_s tr(X_s A_a X_sᵀ B_b) for all pairs (a, b), (n, m); B_b are symmetric.

    The sum over shapes is taken once, of the products X_s ⊗ X_s, so that its cost does not grow
    with the number of parameters; for few shapes of many variables each shape on its own is less
    work.

    Parameters
    ----------
    weights, stack, left, right : (S,), (S, i, j), (n, j, j), (m, i, i)
        w_s, X_s, A_a and B_b.
    """
    shapes, rows, columns = stack.shape[-3:]
    count = left.shape[-3]
    once = rows**2 * columns**2 * (shapes + count)
    each = shapes * count * rows * columns * (rows + columns)
    if each < once:
        total = np.zeros((*left.shape[:-2], right.shape[-3]))
        for s in range(shapes):
            matrix = stack[..., s, None, :, :]
            traces = pairings(matrix @ left @ matrix.swapaxes(-1, -2), right)
            total += weights[..., s, None, None] * traces
        return total
    flat = merged(stack)
    products = (flat * weights[..., None]).swapaxes(-1, -2) @ flat
    # products[(i j), (k l)] = Σ_s w X_ij X_kl; the trace is Σ X_ij A_jl X_kl B_ki
    lead = products.shape[:-2]
    split = products.reshape(*lead, rows, columns, rows, columns)
    k = len(lead)
    turned = split.transpose(*range(k), k + 1, k + 3, k + 2, k)
    weighted = merged(left) @ turned.reshape(*lead, columns**2, rows**2)
    return weighted @ merged(right).swapaxes(-1, -2)
