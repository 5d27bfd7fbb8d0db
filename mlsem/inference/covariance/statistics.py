"""Joint Wald tests: chi-square, F, and HTZ, that of Pustejovsky & Tipton (2018)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np
from scipy.special import chdtrc, fdtrc

from mlsem.core.linalg import inverse_root, symmetrised, weighted_sum
from mlsem.core.records import Array
from mlsem.errors import InferenceError
from mlsem.estimation.standard_errors import Adjustment
from mlsem.inference.covariance.adjust import Adjusted, adjusted
from mlsem.inference.covariance.cluster_robust import ALONE, both_signs, taken_out
from mlsem.inference.covariance.equations import WhiteClusters, WhiteKinds

DEPENDENT = 1e-6  # part of a unit contrast outside the span of the others that is none
SINGULAR = 1e-10  # eigenvalues of a correlation matrix of contrasts that are zero


@dataclass(frozen=True, slots=True)
class Statistic:
    """A test statistic, its reference distribution and p value.

    Attributes
    ----------
    value : float
    df : int
        q.
    df_denom : float
        Of F; inf for chi-square.
    pvalue : float
    delta, eta : float or None
        Of HTZ: the factor before Q / q, and the degrees of freedom ν of the covariance. Of Kenward
        & Roger's F: the factor λ.
    """

    value: float
    df: int
    df_denom: float
    pvalue: float
    delta: float | None = None
    eta: float | None = None


# --- the statistics -------------------------------------------------------------------------------


def wald_distance(estimate: Shaped[Array, "q"], spread: Shaped[Array, "q q"]) -> float:
    """Q = gᵀ (C V Cᵀ)⁻¹ g of contrasts g (q,) with covariance C V Cᵀ (q, q) (Wald, 1943)."""
    scale = 1.0 / np.sqrt(np.diagonal(spread))
    scaled = scale * estimate
    return float(scaled @ np.linalg.solve(scale[:, None] * spread * scale, scaled))


def chi_square(distance: float, q: int) -> Statistic:
    """Q ~ χ²(q)."""
    return Statistic(distance, q, np.inf, float(chdtrc(q, distance)))


def naive_f(distance: float, q: int, n_clusters: int) -> Statistic:
    """Q / q ~ F(q, J - 1)."""
    return _f(distance / q, q, n_clusters - 1.0)


def hotelling_f(distance: float, q: int, nu: float) -> Statistic:
    """δ Q / q ~ F(q, ν - q + 1), δ = (ν - q + 1) / ν: Hotelling's T² with a Wishart of ν degrees
    of freedom (Pustejovsky & Tipton, 2018, eq. 12).

    Raises
    ------
    InferenceError
        ν - q + 1 is not positive.
    """
    left = nu - q + 1.0
    if not left > 0:
        raise InferenceError(
            f"HTZ does not exist for these {q} constraints: their covariance has {nu:.2f} degrees "
            f"of freedom, and more than {q - 1} are needed. Test fewer of them at a time. "
            '(test="F" and test="chi2" would give a p value, but reject too often.)'
        )
    delta = left / nu
    found = _f(delta * distance / q, q, left)
    return Statistic(found.value, q, left, found.pvalue, delta, nu)


def scaled_f(distance: float, q: int, df_denom: float, scale: float = 1.0) -> Statistic:
    """λ Q / q ~ F(q, ν), λ the `scale`."""
    found = _f(scale * distance / q, q, df_denom)
    return found if scale == 1.0 else replace(found, delta=scale)


def _f(value: float, q: int, df_denom: float) -> Statistic:
    tail = chdtrc(q, q * value) if np.isinf(df_denom) else fdtrc(q, df_denom, value)
    return Statistic(value, q, df_denom, float(tail))


# --- what can be tested ---------------------------------------------------------------------------


def require_testable(
    gradients: Shaped[Array, "q npar"],
    free: Shaped[Array, "npar n"],
    units: Shaped[Array, "npar"],
    names: tuple[str, ...],
) -> None:
    """Refuse constraints that hold in every fit of the model, or follow from each other.

    Parameters
    ----------
    gradients : (q, npar)
    free : (npar, n)
        Directions in which the model lets the parameters move.
    units : (npar,)
        Positive; a step of each parameter that counts as one, such as a standard error.
    names : tuple of str
        The constraints, for messages.

    Raises
    ------
    InferenceError
    """
    contrasts = (gradients * units) @ np.linalg.qr(free / units[:, None])[0]
    lengths = np.linalg.norm(contrasts, axis=1)
    for name, gradient, length in zip(names, gradients, lengths, strict=True):
        if not gradient.any():
            raise InferenceError(
                f"{name!r} does not change with any free parameter at the estimates, so there is "
                "nothing to test. Take it out."
            )
        if length <= DEPENDENT * np.linalg.norm(gradient * units):
            raise InferenceError(
                f"the model's own constraints settle {name!r}: it has the same value in every "
                "fit, so there is nothing to test. Take it out, or free the parameters in the "
                "model."
            )
    unit = contrasts / lengths[:, None]
    for k in range(1, len(unit)):
        values = np.linalg.svd(unit[: k + 1], compute_uv=False)
        if len(values) <= k or values[-1] <= DEPENDENT:
            raise InferenceError(
                f"{names[k]!r} follows from the constraints before it, or contradicts them: "
                "constraints that are tested together are linearly independent. Take it out."
            )


def require_clusters(spread: Shaped[Array, "q q"], n_clusters: int) -> None:
    """Refuse more contrasts than the scores of the clusters give a covariance for.

    Parameters
    ----------
    spread : (q, q)
        C V Cᵀ, V a sandwich.

    Raises
    ------
    InferenceError
        q > J - 1 or rank(C V Cᵀ) < q.
    """
    q = len(spread)
    scale = np.sqrt(np.diagonal(spread))
    scale = np.where(scale > 0, scale, 1.0)
    rank = int((np.linalg.eigvalsh(spread / scale[:, None] / scale) > SINGULAR).sum())
    if q <= n_clusters - 1 and rank == q:
        return
    found = f"covariance of rank {rank}" if rank < q else f"J - 1 = {n_clusters - 1}"
    raise InferenceError(
        f"{q} constraints are too many for the robust covariance of {n_clusters} clusters "
        f"({found}): the joint test does not exist. Test fewer of them at a time, or pass "
        'vcov="standard".'
    )


# --- the degrees of freedom of HTZ ----------------------------------------------------------------


def wishart_df(clusters: WhiteClusters, how: Adjustment, contrasts: Shaped[Array, "q n"]) -> float:
    """ν, for which a Wishart matrix varies as much in total as C V Cᵀ does.

    Parameters
    ----------
    contrasts : (q, n)
        What they take of the scores (`WhiteClusters.contrasts`), of rank q; only their span counts.

    Raises
    ------
    InferenceError
        A contrast has no cluster-robust variance.

    Notes
    -----
    In units in which E(C V Cᵀ) is the identity, entry (s, t) of the estimate is Σ_j y_sj y_tj
    with y_sj = c_sᵀ u_j, and the y have the covariances P_st[j, k] = δ_jk D_st - F_jsᵀ F_kt:
    D_j = C spread Cᵀ, F_j = C pull (with weights the second F times its signs). With
    H_j = F_j F_jᵀ and S_st = Σ_j F_js F_jtᵀ the variances of the entries sum to

        Σ_j [|D_j|² - 2 tr D_j H_j + (tr D_j)² - 2 tr D_j tr H_j]
            + Σ_st [tr S_ts S_ts + tr S_st S_ts] + Σ_st Σ_j κ(y_sj, y_sj, y_tj, y_tj)

    and those of a Wishart to q(q + 1) / ν (Pustejovsky & Tipton, 2018, eq. 13; the fourth
    cumulants κ are ours: 0 for the effects of a linear mixed model, but not for variances and
    loadings, whose scores are quadratic in the data). For q = 1, ν is Satterthwaite's df.
    """
    basis = np.linalg.qr(contrasts.T)[0].T
    root = inverse_root(_expected(clusters, how, basis))
    if root is None:
        raise InferenceError(
            "the covariance of these constraints is singular on average: they are nearly "
            "dependent, or a few clusters determine them. Test fewer of them at a time."
        )
    q = len(contrasts)
    return q * (q + 1) / _total_variance(clusters, how, root.T @ basis)


def _expected(
    clusters: WhiteClusters, how: Adjustment, contrasts: Shaped[Array, "q n"]
) -> Shaped[Array, "q q"]:
    """Ω = Σ_j (D_j - H_j) = E(C V Cᵀ) if the model is true."""
    total = np.zeros((len(contrasts), len(contrasts)))
    for kinds in clusters.parts(len(contrasts)):
        found, own = adjusted(kinds, how), contrasts[:, kinds.places]
        _require_shared(found, own)
        spread, pulled = _covered(found, own)
        total += weighted_sum(kinds.counts, spread - _shared(pulled, kinds.term.signs))
    return symmetrised(total)


def _require_shared(found: Adjusted, contrasts: Shaped[Array, "q n"]) -> None:
    """Refuse a unit contrast with a part that one cluster alone determines."""
    if ((contrasts @ found.alone) * contrasts).sum(axis=(1, 2)).max(initial=0.0) > ALONE:
        raise InferenceError(
            "one of the constraints has no cluster-robust variance: a single cluster determines "
            'part of it (leverage 1). Take it out, or pass vcov="standard".'
        )


def _total_variance(
    clusters: WhiteClusters, how: Adjustment, contrasts: Shaped[Array, "q n"]
) -> float:
    """What the variances of the entries of C V Cᵀ sum to."""
    q, shared_size = len(contrasts), clusters.n_shared
    total, corner = 0.0, np.zeros((q, q, shared_size, shared_size))
    for term in clusters.terms:
        own, signs = contrasts[:, term.places], term.signs
        n = len(term.places) if signs is None else len(signs)
        across = np.zeros((q * n, q * n))
        for kinds in term.parts(q):
            found, weights = adjusted(kinds, how), kinds.counts
            spread, pulled = _covered(found, own)
            shared = _shared(pulled, signs)
            d, h = (np.trace(each, axis1=1, axis2=2) for each in (spread, shared))
            entries = (spread * (spread - 2.0 * shared)).sum(axis=(1, 2)) + d * (d - 2.0 * h)
            total += float(weights @ (entries + _cumulants(kinds, found, own)))
            flat = np.sqrt(weights)[:, None] * pulled.reshape(-1, q * n)
            across += flat.T @ flat
        pairs = across.reshape(q, n, q, n).swapaxes(1, 2)
        if signs is None:
            corner += taken_out(pairs, term.own)
        total += _both_ways(pairs, signs)
    return total + _both_ways(corner)


def _shared(
    pulled: Shaped[Array, "k q f"], signs: Shaped[Array, "f"] | None
) -> Shaped[Array, "k q q"]:
    """H = F S Fᵀ of each."""
    return (pulled if signs is None else pulled * signs) @ pulled.swapaxes(1, 2)


def _both_ways(s: Shaped[Array, "q q m m"], signs: Shaped[Array, "m"] | None = None) -> float:
    """Σ_st [tr S_ts S_ts + tr S_st S_ts] of S_st (q, q, m, m), each times its signs."""
    return float((s * both_signs(s + s.swapaxes(2, 3), signs)).sum())


def _covered(
    found: Adjusted, contrasts: Shaped[Array, "q n"]
) -> tuple[Shaped[Array, "k q q"], Shaped[Array, "k q f"]]:
    """D (k, q, q) and F (k, q, f)."""
    return contrasts @ found.spread @ contrasts.T, contrasts @ found.pull


def _cumulants(
    kinds: WhiteKinds, found: Adjusted, contrasts: Shaped[Array, "q n"]
) -> Shaped[Array, "k"]:
    """Σ_st κ(y_s, y_s, y_t, y_t) of each kind of clusters, (k,).

    By κ₄(y_s + y_t) + κ₄(y_s - y_t) = 2 κ₄(y_s) + 2 κ₄(y_t) + 12 κ(y_s, y_s, y_t, y_t) it is
    (4 - q)/3 Σ_s κ₄(y_s) + ⅙ Σ_{s<t} [κ₄(y_s + y_t) + κ₄(y_s - y_t)].
    """
    q, n = contrasts.shape
    s, t = np.triu_indices(q, 1)
    directions = np.concatenate(
        (contrasts, contrasts[s] + contrasts[t], contrasts[s] - contrasts[t])
    )
    factors = np.where(np.arange(len(directions)) < q, (4.0 - q) / 3.0, 1.0 / 6.0)
    total = np.zeros(len(found.spread))
    for start in range(0, len(directions), n):  # as much memory as the leverages take
        block = slice(start, start + n)
        fourth = kinds.cumulants(directions[block] @ found.adjustment)
        total += fourth @ factors[block]
    return total
