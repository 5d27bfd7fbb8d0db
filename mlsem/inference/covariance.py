"""Covariance matrices of the estimates: model-based and cluster-robust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlsem.core.linalg import cholesky, inverse_from_cholesky
from mlsem.core.records import Array, frozen

Kind = Literal["standard", "MLR", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class EstimatingEquations:
    """What inference needs of a fitted model: the seam between estimation and inference.

    The free directions φ are those that the constraints leave: dθ = basis dφ. Scores and
    information are along φ, where they are well-conditioned.

    Attributes
    ----------
    params : (npar,)
        θ̂.
    basis : (npar, n)
    information : (n, n)
        The bread's inverse: expected or observed information at θ̂.
    scores : (J, n) or None
        One row per cluster; None where the kind of covariance needs none.
    """

    params: Array
    basis: Array
    information: Array
    scores: Array | None = None


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
    """

    matrix: Array
    df: Array
    kind: Kind
    form: str

    @property
    def se(self) -> Array:
        """Standard errors: 0 where constraints leave a parameter no freedom, NaN where the
        variance does not exist."""
        variances = np.diagonal(self.matrix)
        return np.sqrt(np.where(variances >= 0, variances, np.nan))


def bread(equations: EstimatingEquations) -> Array | None:
    """I⁻¹ along φ; None where the information is not positive definite (no maximum there)."""
    diagonal = np.diagonal(equations.information)
    if not (diagonal > 0).all():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    factor = cholesky(equations.information * scale[:, None] * scale)
    if factor is None:
        return None
    return scale[:, None] * inverse_from_cholesky(factor) * scale


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
    size = len(equations.params)
    df = frozen(np.full(size, np.inf))
    inverse = bread(equations)
    if kind == "none" or inverse is None:
        return Covariance(frozen(np.full((size, size), np.nan)), df, kind, form)
    if kind == "MLR":
        assert equations.scores is not None
        half = equations.scores @ inverse
        inverse = factor * (half.T @ half)
    matrix = equations.basis @ inverse @ equations.basis.T
    return Covariance(frozen(0.5 * (matrix + matrix.T)), df, kind, form)
