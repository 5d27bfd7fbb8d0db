"""Covariances of all variables of a level, latent ones too, with covariates as the sample has them.

With S the covariance of x = (1, covariates) in the sample, whose first row and column are zero,

    C = E Ψ Eᵀ + E Γ S Γᵀ Eᵀ,     P = Cov(x, v) = S Γᵀ Eᵀ,     m = E Γ x̄.

Derivatives, S and x̄ constants:

    ∂C_kl/∂B_ij = E_ki C_jl + E_li C_jk          ∂m_k/∂B_ij = E_ki m_j
    ∂C_kl/∂Ψ_ij = E_ki E_lj + E_kj E_li          (half on the diagonal)
    ∂C_kl/∂Γ_ic = E_ki P_cl + E_li P_ck          ∂m_k/∂Γ_ic = E_ki x̄_c

A path that varies between clusters, of outcome o_a on covariate c_a with mean γ_a and covariances T
of its values, counts with its mean over clusters: γ_a is added to Γ at (o_a, c_a), and
T_ab S_{c_a c_b} to Ψ at (o_a, o_b).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.implied.pattern import LevelMoments, LevelPattern
from mlsem.core.linalg import symmetrised
from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class VaryingPaths:
    """Paths of a level that vary between clusters.

    Attributes
    ----------
    outcomes, columns : (q,)
        o_a among the variables v, c_a among the columns of Γ.
    means : (q,)
        γ_a.
    spread : (q, q)
        T.
    """

    outcomes: Shaped[Index, "q"]
    columns: Shaped[Index, "q"]
    means: Shaped[Array, "q"]
    spread: Shaped[Array, "q q"]


@dataclass(frozen=True, slots=True, eq=False)
class LevelTotal:
    """A level's variables v with covariates as in the sample.

    Attributes
    ----------
    effects : (nv, nv)
        E.
    covariance : (nv, nv)
        C.
    crossed : (k, nv)
        P.
    mean : (nv,)
        m.
    centre : (k,)
        x̄.
    spread : (k, k)
        S.
    """

    effects: Shaped[Array, "nv nv"]
    covariance: Shaped[Array, "nv nv"]
    crossed: Shaped[Array, "k nv"]
    mean: Shaped[Array, "nv"]
    centre: Shaped[Array, "k"]
    spread: Shaped[Array, "k k"]


def level_total(
    pattern: LevelPattern,
    moments: LevelMoments,
    params: Shaped[Array, "npar"],
    centre: Shaped[Array, "k"],
    spread: Shaped[Array, "k k"],
    varying: VaryingPaths | None = None,
) -> LevelTotal:
    """C, P and m at given parameters.

    Parameters
    ----------
    centre, spread : (k,), (k, k)
        x̄, S.
    """
    effects, coefficients = moments.effects, moments.coefficients
    covariance = moments.covariance
    if varying is not None:
        exogenous = pattern.exogenous.at(params)
        np.add.at(exogenous, (varying.outcomes, varying.columns), varying.means)
        coefficients = effects @ exogenous
        sources = effects[:, varying.outcomes]
        moved = varying.spread * spread[np.ix_(varying.columns, varying.columns)]
        covariance = covariance + sources @ moved @ sources.T
    crossed = spread @ coefficients.T
    return LevelTotal(
        effects=effects,
        covariance=symmetrised(covariance + coefficients @ crossed),
        crossed=crossed,
        mean=coefficients @ centre,
        centre=centre,
        spread=spread,
    )


def covariance_gradients(
    pattern: LevelPattern,
    total: LevelTotal,
    rows: Shaped[Index, "m"],
    cols: Shaped[Index, "m"],
    count: int,
) -> Shaped[Array, "m npar"]:
    """∂C_kl/∂θ (m, npar) of the cells (rows, cols), (m,) each, γ and T held."""
    e, c, p = total.effects, total.covariance, total.crossed
    directed, symmetric, exogenous = pattern.directed, pattern.symmetric, pattern.exogenous
    (k, m), found = (rows[:, None], cols[:, None]), np.zeros((len(rows), count))
    i, j = directed.rows, directed.cols
    _add(found, directed.params, e[k, i] * c[j, m] + e[m, i] * c[j, k])
    i, j = symmetric.rows, symmetric.cols
    half = np.where(i == j, 0.5, 1.0)
    _add(found, symmetric.params, half * (e[k, i] * e[m, j] + e[k, j] * e[m, i]))
    i, j = exogenous.rows, exogenous.cols
    _add(found, exogenous.params, e[k, i] * p[j, m] + e[m, i] * p[j, k])
    return found


def mean_gradients(
    pattern: LevelPattern, total: LevelTotal, rows: Shaped[Index, "m"], count: int
) -> Shaped[Array, "m npar"]:
    """∂m_k/∂θ (m, npar) of the variables `rows` (m,)."""
    e, found = total.effects[rows], np.zeros((len(rows), count))
    directed, exogenous = pattern.directed, pattern.exogenous
    _add(found, directed.params, e[:, directed.rows] * total.mean[directed.cols])
    _add(found, exogenous.params, e[:, exogenous.rows] * total.centre[exogenous.cols])
    return found


def varying_gradients(
    total: LevelTotal,
    varying: VaryingPaths,
    means: Shaped[Array, "q npar"],
    spread: Shaped[Array, "q q npar"],
) -> Shaped[Array, "nv npar"]:
    """What the means and covariances of varying paths add to ∂C_kk/∂θ, (nv, npar).

    Parameters
    ----------
    means : (q, npar)
        ∂γ/∂θ.
    spread : (q, q, npar)
        ∂T/∂θ.
    """
    sources = total.effects[:, varying.outcomes]
    inputs = total.spread[np.ix_(varying.columns, varying.columns)]
    through = 2.0 * sources * total.crossed[varying.columns].T
    return through @ means + np.einsum("ka,kb,ab,abt->kt", sources, sources, inputs, spread)


def _add(
    found: Shaped[Array, "m npar"], params: Shaped[Index, "e"], parts: Shaped[Array, "m e"]
) -> None:
    """Add the columns of `parts` to those of their parameters."""
    np.add.at(found.T, params, parts.T)
