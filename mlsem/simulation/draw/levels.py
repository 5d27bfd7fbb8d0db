"""The structural equations of a level, solved for its variables.

    v = B v + Γ x + ν + ζ,     Cov ζ = Ψ,     v = (I - B)⁻¹ (Γ x + ν + ζ).

v are the variables that the level draws, x its inputs: covariates and products, whose values come
from elsewhere. At level 1 random slopes add s_j x to the disturbances; an omitted slope of a
variable that is itself in v makes B one of the cluster, B_j.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlsem.core.implied.pattern import LevelPattern
from mlsem.core.records import Array, Index, frozen
from mlsem.core.sample.draws import semidefinite_factor
from mlsem.errors import SpecificationError, listed
from mlsem.model.blocks import BlockKey
from mlsem.simulation.draw.numbers import Distribution, Stream, normals

LOST = 1e-8  # share of a variance by which a factor of a covariance matrix may miss it


@dataclass(frozen=True, slots=True, eq=False)
class Equations:
    """The equations of a level.

    Attributes
    ----------
    names : tuple of str
        The nv variables that the level draws.
    paths : (nv, nv)
        B.
    factor : (nv, nv)
        L, Ψ = L Lᵀ.
    intercepts : (nv,)
    inputs : tuple of str
        The k inputs.
    loads : (nv, k)
        Γ.
    normal : tuple of bool
        Variables whose disturbances are normal whatever those of the others are: observed
        covariates that have a distribution in the model.
    """

    names: tuple[str, ...]
    paths: Array
    factor: Array
    intercepts: Array
    inputs: tuple[str, ...]
    loads: Array
    normal: tuple[bool, ...]

    def disturbances(self, stream: Stream, rows: int, drawn: Distribution) -> Array:
        """ζ, (rows, nv)."""
        size = len(self.names)
        standard = np.empty((rows, size))
        others = [k for k in range(size) if not self.normal[k]]
        covariates = [k for k in range(size) if self.normal[k]]
        standard[:, others] = drawn(stream, rows, len(others))
        standard[:, covariates] = normals(stream, rows, len(covariates))
        return standard @ self.factor.T

    def solved(
        self,
        disturbances: Array,
        inputs: Mapping[str, Array],
        varying: Sequence[tuple[int, int, Array]] = (),
        codes: Index | None = None,
    ) -> Array:
        """v, (n, nv).

        Parameters
        ----------
        disturbances : (n, nv)
        inputs : mapping of name to (n,)
        varying : sequence of (outcome, predictor, (J,))
            What each cluster's B has in addition.
        codes : (n,)
            Clusters of the rows, for `varying`.
        """
        total = disturbances + self.intercepts
        if self.inputs:
            total += np.column_stack([inputs[name] for name in self.inputs]) @ self.loads.T
        left = np.eye(len(self.names)) - self.paths
        if not varying:
            return total if not self.paths.any() else total @ np.asarray(np.linalg.inv(left)).T
        assert codes is not None
        clusters = len(varying[0][2])
        each = np.repeat(left[None], clusters, axis=0)
        for outcome, predictor, effects in varying:
            each[:, outcome, predictor] -= effects
        return np.einsum("npq,nq->np", np.linalg.inv(each)[codes], total)


def equations(
    pattern: LevelPattern,
    params: Array,
    covariates: tuple[str, ...],
    products: Collection[str],
    exogenous: Collection[str],
    level: int,
) -> Equations:
    """The equations of a level's pattern; products that it models are inputs here.

    Raises
    ------
    SpecificationError
        An equation explains a product; the values make no covariance matrix, or no system.
    """
    directed = pattern.directed.at(params)
    own = [k for k, name in enumerate(pattern.names) if name not in products]
    formed = [k for k, name in enumerate(pattern.names) if name in products]
    if directed[formed].any():
        names = listed(pattern.names[k] for k in formed if directed[k].any())
        raise SpecificationError(
            f"no data can be simulated: the model explains {names}, a product of other variables, "
            "whose values follow from theirs. Make it a column of its own name."
        )
    names = tuple(pattern.names[k] for k in own)
    gamma = pattern.exogenous.at(params)[own]
    means = gamma.shape[1] - len(covariates)
    paths = directed[np.ix_(own, own)]
    if np.linalg.matrix_rank(np.eye(len(own)) - paths) < len(own):
        raise SpecificationError(
            f"no data can be simulated: the paths among {listed(names)} of level {level} have no "
            "solution at these values (a loop that never settles)."
        )
    psi = pattern.symmetric.symmetric_at(params)[np.ix_(own, own)]
    return Equations(
        names=names,
        paths=frozen(paths),
        factor=frozen(covariance_factor(psi, names, level)),
        intercepts=frozen(gamma[:, 0].copy() if means else np.zeros(len(own))),
        inputs=covariates + tuple(pattern.names[k] for k in formed),
        loads=frozen(np.concatenate((gamma[:, means:], directed[np.ix_(own, formed)]), axis=1)),
        normal=tuple(name in exogenous for name in names),
    )


def covariance_factor(matrix: Array, names: tuple[str, ...], level: int) -> Array:
    """Lower L with L Lᵀ = matrix, which may be singular.

    Raises
    ------
    SpecificationError
        The matrix is not positive semidefinite.
    """
    if not len(matrix):
        return matrix
    upper, _ = semidefinite_factor(matrix[None], np.array([len(matrix)]))
    missed = np.abs(upper[0].T @ upper[0] - matrix)
    diagonal = np.diagonal(matrix)
    if (diagonal < 0).any() or (missed > LOST * np.abs(diagonal).max()).any():
        raise SpecificationError(
            f"the values do not make a covariance matrix of {listed(names)} at level {level}: a "
            "variance is negative, or a correlation beyond 1."
        )
    return upper[0].T


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """Fixed covariates of a level: jointly normal.

    Attributes
    ----------
    names : tuple of str
    mean : (k,)
    factor : (k, k)
        Lower, of their covariance matrix.
    """

    names: tuple[str, ...]
    mean: Array
    factor: Array

    def draw(self, stream: Stream, rows: int) -> dict[str, Array]:
        values = self.mean + normals(stream, rows, len(self.names)) @ self.factor.T
        return dict(zip(self.names, values.T, strict=True))


def covariates_of(
    names: tuple[str, ...], moments: Mapping[tuple[BlockKey, str, str], float], key: BlockKey
) -> Covariates:
    """Covariates of a block with the given moments: standard normal where none are."""
    mean = np.array([moments.get((key, name, "1"), 0.0) for name in names])
    matrix = [[moments.get((key, a, b), float(a == b)) for b in names] for a in names]
    factor = covariance_factor(np.array(matrix).reshape(len(names), len(names)), names, key.level)
    return Covariates(names, frozen(mean), frozen(factor))
