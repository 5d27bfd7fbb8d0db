"""What the rows of the clusters leave undetermined of a model's covariances, whatever their values.

The covariance of the rows of a cluster is linear in the free variances and covariances φ,

    V_j = Σ_k φ_k V_jk,

and φ is determined by it if no combination of the V_k is zero in all clusters: if the matrix of
½ tr V⁻¹V_a V⁻¹V_b is regular, at one value of V as at any. Where no cluster has more rows than
random effects, the residual variance may be such a combination: with two rows a cluster, at times
0 and 1, an intercept and a slope that covary have any covariance matrix of the two rows already.
"""

from __future__ import annotations

import numpy as np

from mlsem.core.linalg import scaled_eigen
from mlsem.core.optimise.factored import Factors
from mlsem.core.records import Array
from mlsem.core.slopes.objective import SlopeObjective
from mlsem.errors import IdentificationError, listed
from mlsem.estimation.ml import involved
from mlsem.estimation.problem import Problem
from mlsem.estimation.semidefinite import factors_of

NONE = 1e-9  # an eigenvalue that is none of a regular matrix, its diagonal 1


def require_separable(problem: Problem) -> None:
    """Refuse a model whose residual variance cannot be told from its random effects.

    Raises
    ------
    IdentificationError
        Names the parameters that nothing determines.
    """
    inner = problem.inner
    if not isinstance(inner, SlopeObjective):
        return
    responses, rows = inner.pattern.random_effects.responses, int(inner.data.sizes.max())
    if rows > np.bincount(responses).max():
        return
    params = problem.coordinates.to_internal(problem.guess)
    factors = factors_of(problem, params)
    params = params.copy()
    for block in factors.blocks:
        params[block.cells] = block.unit @ block.unit.T
    point = inner.evaluate(params)
    if point is None:
        return
    basis = _covariances(inner, factors)
    at = inner.derivatives(point, basis)
    values, vectors, scale = scaled_eigen(inner.covariance_part(point, at.along))
    lost = values < NONE
    if not lost.any():
        return
    varies = point.between.sigma.diagonal()[: len(responses)] > 0.0
    count = int(np.bincount(responses[varies]).max())
    names = involved(basis @ (scale[:, None] * vectors[:, lost]), problem.table.names)
    raise IdentificationError(
        f"the model is not identified: no cluster has more than {rows} rows, and each has {count} "
        f"random effects, so that the residual variance cannot be told from theirs. The data do "
        f"not determine {listed(names)}. Take a random effect out, or a covariance."
    )


def _covariances(inner: SlopeObjective, factors: Factors) -> Array:
    """Directions of the variances and covariances, (npar, n); those of random effects such that
    units and origins of their carriers do no harm."""
    pattern = inner.pattern
    size = pattern.n_params
    columns: list[Array] = []
    left = set[int]()
    for level in pattern.levels:
        left.update(level.symmetric.params.tolist())
    for block in factors.blocks:
        left.difference_update(block.cells.ravel().tolist())
        for i, j in zip(*np.tril_indices(len(block.cells)), strict=True):
            half = np.outer(block.unit[:, i], block.unit[:, j])
            column = np.zeros(size)
            column[block.cells] = half + half.T
            columns.append(column)
    columns.extend(np.eye(size)[sorted(left)])
    return np.array(columns).T
