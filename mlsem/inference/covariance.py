"""Covariance matrices of the estimates: model-based and cluster-robust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlsem.core.linalg import positive_inverse, symmetrized, unit_diagonal
from mlsem.core.records import Array, frozen
from mlsem.inference.adjust import ClusterKind
from mlsem.inference.cr import RobustContrasts, robust_contrasts
from mlsem.inference.equations import EstimatingEquations, WhiteClusters, whitened
from mlsem.inference.intervals import delta_se

Kind = Literal["standard", "MLR", "none"] | ClusterKind


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Where the degrees of freedom of a cluster-robust covariance come from."""

    clusters: WhiteClusters
    kind: ClusterKind

    def contrasts(self, gradients: Array) -> RobustContrasts:
        """Of contrasts cᵀθ, gradients (c, npar)."""
        return robust_contrasts(self.clusters, self.kind, self.clusters.contrasts(gradients))


@dataclass(frozen=True, slots=True, eq=False)
class Covariance:
    """A covariance matrix of the estimates with its reference distribution.

    Attributes
    ----------
    matrix : (npar, npar)
    df : (npar,)
        Degrees of freedom of each parameter's t reference; inf for z.
    kind : str
    form : str
        How it was had, in words.
    reference : Reference or None
        For the degrees of freedom of contrasts; None for the kinds that have none.
    robust : RobustContrasts or None
        Of the parameters one by one.
    """

    matrix: Array
    df: Array
    kind: Kind
    form: str
    reference: Reference | None = None
    robust: RobustContrasts | None = None

    @property
    def se(self) -> Array:
        """Standard errors: 0 where constraints leave a parameter no freedom, NaN where the
        variance does not exist."""
        variances = np.diagonal(self.matrix)
        return np.sqrt(np.where(variances >= 0, variances, np.nan))

    def of_functions(self, gradients: Array) -> tuple[Array, Array]:
        """Standard errors and degrees of freedom of functions of θ with these gradients
        (c, npar), by the delta method; NaN where one uses a parameter without a variance."""
        used = np.flatnonzero(gradients.any(axis=0))
        se = delta_se(gradients[:, used], self.matrix[np.ix_(used, used)])
        if self.reference is None or not len(gradients):
            return se, np.full(len(gradients), np.inf)
        return se, self.reference.contrasts(gradients).df


def bread(equations: EstimatingEquations) -> Array | None:
    """I⁻¹ along φ; None where the information is not positive definite (no maximum there)."""
    unit = unit_diagonal(equations.information)
    found = None if unit is None else positive_inverse(unit[0])
    if unit is None or found is None:
        return None
    return unit[1][:, None] * found[0] * unit[1]


def meat(scores: Array) -> Array:
    """Σ_j s_j s_jᵀ."""
    return scores.T @ scores


def covariance(
    equations: EstimatingEquations, kind: Kind, form: str, factor: float = 1.0
) -> Covariance:
    """`standard`: I⁻¹. `MLR`: factor · I⁻¹ (Σ s_j s_jᵀ) I⁻¹ (Huber, 1967; White, 1982; for
    clusters Liang & Zeger, 1986, eq. 8).

    All NaN where the information is not positive definite.
    """
    inverse = bread(equations)
    if inverse is None:
        return no_covariance(equations.params, kind, form)
    if kind == "MLR":
        assert equations.scores is not None
        half = equations.scores @ inverse
        inverse = factor * (half.T @ half)
    matrix = equations.basis @ inverse @ equations.basis.T
    return Covariance(frozen(symmetrized(matrix)), _no_limit(equations.params), kind, form)


def robust_covariance(
    equations: EstimatingEquations, kind: ClusterKind, form: str, *, z: bool = False
) -> Covariance:
    """A⁻¹ (Σ u_j u_jᵀ) A⁻¹ with adjusted scores u, A the expected information, and Satterthwaite
    degrees of freedom of each parameter (infinite with `z`).

    NaN for parameters that a single cluster determines; all NaN where A is not positive definite.
    """
    clusters = whitened(equations)
    if clusters is None:
        return no_covariance(equations.params, kind, form)
    found = robust_contrasts(clusters, kind, clusters.basis)
    matrix = symmetrized(clusters.basis @ found.meat @ clusters.basis.T)
    matrix[found.undetermined] = np.nan
    matrix[:, found.undetermined] = np.nan
    df = np.where(found.undetermined, np.nan, np.inf if z else found.df)
    reference = None if z else Reference(clusters, kind)
    return Covariance(frozen(matrix), frozen(df), kind, form, reference, found)


def no_covariance(params: Array, kind: Kind, form: str = "") -> Covariance:
    """All NaN: asked for none, or there is none."""
    empty = np.full((len(params), len(params)), np.nan)
    return Covariance(frozen(empty), _no_limit(params), kind, form)


def _no_limit(params: Array) -> Array:
    """Degrees of freedom of z tests."""
    return frozen(np.full(len(params), np.inf))
