"""Covariance matrices of the estimates: model-based and cluster-robust."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlsem.core.linalg import positive_inverse, symmetrized, unit_diagonal
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


def no_covariance(params: Array, kind: Kind, form: str = "") -> Covariance:
    """All NaN: asked for none, or there is none."""
    empty = np.full((len(params), len(params)), np.nan)
    return Covariance(frozen(empty), _no_limit(params), kind, form)


def _no_limit(params: Array) -> Array:
    """Degrees of freedom of z tests."""
    return frozen(np.full(len(params), np.inf))
