"""Which groups a parameter is approximately invariant in, and how much of it alignment explains
(Asparouhov & Muthén, 2014).

The set of a parameter begins with the largest set of groups that are connected by pairs that do not
differ at .01. Then, one at a time, the group that differs most from the set's mean leaves it, if it
does at .001, and the one outside that differs least joins it, if it does not.

    R²(ν_p) = 1 - Var_g(ν_gp - ν̄_p - α_g λ̄_p) / Var_g(ν_gp)
    R²(λ_p) = 1 - Var_g(λ_gp - √ψ_g λ̄_p) / Var_g(λ_gp)

with ν_gp, λ_gp those of the configural model and ν̄, λ̄ the mean aligned ones: the share of what
differs between groups there that their factor means and variances explain.
"""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from mlsem.core.records import Array

CONNECTED, INVARIANT = 0.01, 0.001  # levels of the tests


def invariant_set(
    values: Shaped[Array, "G"], spread: Shaped[Array, "G G"], sizes: Shaped[Array, "G"]
) -> Shaped[NDArray[np.bool_], "G"]:
    """Of one parameter in all groups; groups without it (NaN) are in no set.

    Parameters
    ----------
    values, spread : (G,), (G, G)
        Aligned estimates and their covariance matrix.
    sizes : (G,)
        Weights of the mean.
    """
    there = ~np.isnan(values)
    members = np.zeros(len(values), dtype=np.bool_)
    if not there.any():
        return members
    members[there] = _settled(values[there], spread[np.ix_(there, there)], sizes[there])
    return members


def _settled(
    values: Shaped[Array, "g"], spread: Shaped[Array, "g g"], sizes: Shaped[Array, "g"]
) -> Shaped[NDArray[np.bool_], "g"]:
    members, seen = _start(values, spread, sizes), set[bytes]()
    while members.tobytes() not in seen:
        seen.add(members.tobytes())
        pvalues = against_mean(values, spread, members * sizes)
        leaving = np.where(members, pvalues, np.inf)
        if leaving.min() < INVARIANT and members.sum() > 1:
            members = members.copy()
            members[int(leaving.argmin())] = False
            continue
        joining = np.where(members, -np.inf, pvalues)
        if joining.max() > INVARIANT:
            members = members.copy()
            members[int(joining.argmax())] = True
    return members


def _start(
    values: Shaped[Array, "g"], spread: Shaped[Array, "g g"], sizes: Shaped[Array, "g"]
) -> Shaped[NDArray[np.bool_], "g"]:
    """The largest connected set; of several the one with most rows."""
    variances = np.diagonal(spread)
    apart = (values[:, None] - values) ** 2
    linked = _tails(apart, variances[:, None] + variances - 2.0 * spread) > CONNECTED
    np.fill_diagonal(linked, True)
    reached = linked
    while not np.array_equal(further := reached @ linked, reached):
        reached = further
    counts = reached.sum(axis=1)
    rows = reached @ sizes
    return reached[np.lexsort((rows, counts))[-1]]


def against_mean(
    values: Shaped[Array, "g"], spread: Shaped[Array, "g g"], weights: Shaped[Array, "g"]
) -> Shaped[Array, "g"]:
    """p values of each group's difference from the weighted mean."""
    share = weights / weights.sum()
    contrasts = np.eye(len(values)) - share
    variances = np.einsum("gi,ij,gj->g", contrasts, spread, contrasts)
    return _tails((contrasts @ values) ** 2, variances)


def _tails(squares: Shaped[Array, "*x"], variances: Shaped[Array, "*x"]) -> Shaped[Array, "*x"]:
    """Two-sided normal p values; 1 where nothing varies and nothing differs."""
    known = variances > 0
    ratio = squares / np.where(known, variances, 1.0)
    return np.where(known, chdtrc(1, ratio), (squares == 0).astype(np.float64))


def explained(
    configural: Shaped[Array, "G a"], part: Shaped[Array, "G"], aligned: Shaped[Array, "G a"]
) -> Shaped[Array, "a"]:
    """R² of each item: of loadings with √ψ and the aligned loadings, of intercepts with α and the
    same. 0 where it would be negative, NaN where nothing differs between groups."""
    mean = np.nanmean(aligned, axis=0)
    left = np.nanvar(configural - part[:, None] * mean, axis=0)
    whole = np.nanvar(configural, axis=0)
    return np.maximum(1.0 - left / np.where(whole > 0, whole, np.nan), 0.0)
