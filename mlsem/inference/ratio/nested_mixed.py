"""Likelihood-ratio tests of mixed models of three levels, against others or those of two.

The simple model is a point of the full one: its estimates under their names, zero for what it
lacks. There the full model has the same log-likelihood, of the same data. With β̂ of the full model
at that point's variances, ℓ(β) = ℓ(β̂) - ½ (β - β̂)ᵀ (XᵀV⁻¹X) (β - β̂).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import inverse_root
from mlsem.core.records import Array
from mlsem.core.restricted.nested.likelihood import NestedPoint, changes, derivatives_of, evaluate
from mlsem.data.design.columns import INTERCEPT
from mlsem.data.design.variables import RESIDUAL
from mlsem.errors import InferenceError, listed
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.nested import NestedEstimates, variance_keys
from mlsem.inference.ratio.mixtures import Cells, mixture_tail, simulated_tail
from mlsem.inference.ratio.run import LrTest

Key = tuple[object, ...]
"""A parameter by what it is: ("fixed", name), (level, effect, effect), (RESIDUAL,)."""
SAME = 1e-6  # relative difference of log-likelihoods that is none


def nested_likelihood_ratio(
    simple: Estimates | NestedEstimates,
    full: NestedEstimates,
    *,
    boundary: bool,
    draws: int,
    seed: int,
) -> LrTest:
    """What `mlsem.lr_test` returns.

    Raises
    ------
    InferenceError
        The models are not seen to be nested, or are of different data.
    """
    own, other = _keys_of(full), _values(simple, full)
    missing = [key for key in other if key not in own]
    added = [k for k, key in enumerate(own) if key not in other]
    if missing or not added:
        raise InferenceError(
            "the simple model is not nested in the full one: it has "
            + (f"{listed(str(key[-1]) for key in missing)} besides" if missing else "as much")
            + ". Put the simple model first, fitted to the same data."
        )
    if full.restricted and any(own[k][0] == "fixed" for k in added):
        raise InferenceError(
            f"the models differ in their means ({listed(full.names[k] for k in added)}): "
            "restricted likelihoods are then of different contrasts of the data and cannot be "
            "compared. Fit both by ML."
        )
    params = np.linalg.solve(full.to_user, [other.get(key, 0.0) for key in own])
    point = evaluate(full.point.model, params)
    if point is None or not np.isclose(_loglik(point, params), simple.loglik, rtol=SAME):
        raise InferenceError(
            "the simple model is not nested in the full one, or is of other rows: as a point of "
            "the full model its estimates have another log-likelihood. Fit both to the same data."
        )
    statistic = max(2.0 * (full.loglik - simple.loglik), 0.0)
    variances = [k for k in added if len(own[k]) == 3 and own[k][1] == own[k][2]]
    df, names = len(added), tuple(full.names[k] for k in added)
    parts = ((df, 1.0),)
    if boundary and len(variances) == 1:
        parts = ((df - 1, 0.5), (df, 0.5))
    found = LrTest(
        statistic=statistic,
        df=df,
        pvalue=mixture_tail(statistic, parts),
        reference="mixture" if len(parts) > 1 else "chi2",
        parts=parts,
        added=names,
        logliks=(simple.loglik, full.loglik),
        n_params=(len(other), len(own)),
    )
    if not boundary or len(variances) < 2:
        return found
    cells, places = _cells(own, variances, added)
    spread = full.to_user @ _spread(point) @ full.to_user.T
    covariance = spread[np.ix_(places, places)]
    pvalue, error = simulated_tail(statistic, cells, covariance, df - len(places), draws, seed)
    return replace(
        found, pvalue=pvalue, reference="simulated", parts=(), error=error, draws=draws, seed=seed
    )


def _keys_of(fit: NestedEstimates) -> list[Key]:
    fixed: list[Key] = [("fixed", name) for name in fit.data.fixed]
    return [*fixed, *variance_keys(fit.data), (RESIDUAL,)]


def _values(simple: Estimates | NestedEstimates, full: NestedEstimates) -> Mapping[Key, float]:
    """The simple model's estimates by what they are."""
    if isinstance(simple, NestedEstimates):
        if simple.data.groups.names != full.data.groups.names:
            raise InferenceError(
                f"the models have other clusters, {listed(simple.data.groups.names)} and "
                f"{listed(full.data.groups.names)}: they are not nested."
            )
        return dict(zip(_keys_of(simple), simple.params.tolist(), strict=True))
    table, cluster = simple.table, simple.record.cluster
    outer, inner = full.data.groups.names
    if cluster not in (outer, inner) or not table.semidefinite:
        raise InferenceError(
            f"the simple model has clusters of {cluster!r}, and the full one of {inner!r} in "
            f"{outer!r}: it is not nested. Fit both by mlsem.lmm, the simple one with "
            f"'(1 | {outer})' or '(1 | {inner})'."
        )
    level = 3 if cluster == outer else 2
    carriers = {slope.name: slope.carrier for slope in table.slopes}
    found: dict[Key, float] = {}
    for row in table.rows:
        if row.free < 0:
            continue
        value = float(simple.params[row.free])
        if row.op == "~":
            found["fixed", row.rhs] = value
        elif row.op == "~1":
            found["fixed", carriers.get(row.lhs, INTERCEPT)] = value
        elif row.block.is_lowest:
            found[(RESIDUAL,)] = value
        else:
            ends = sorted(carriers.get(name, INTERCEPT) for name in (row.lhs, row.rhs))
            found[(level, *ends)] = value
    return found


def _loglik(point: NestedPoint, params: Shaped[Array, "npar"]) -> float:
    """ℓ at these parameters, fixed effects and all."""
    p = point.model.n_fixed
    away = np.linalg.solve(point.root, params[:p] - point.params[:p])
    return point.loglik if point.model.restricted else point.loglik - 0.5 * float(away @ away)


def _cells(own: list[Key], variances: list[int], added: list[int]) -> tuple[Cells, list[int]]:
    """The cone of the added variances, and the places of its elements among the parameters."""
    effects = [own[k][:2] for k in variances]
    pairs = [
        (k, effects.index((own[k][0], own[k][1])), effects.index((own[k][0], own[k][2])))
        for k in added
        if len(own[k]) == 3
        and k not in variances
        and {(own[k][0], own[k][1]), (own[k][0], own[k][2])} <= set(effects)
    ]
    blocks = np.arange(len(effects))
    for _, one, other in pairs:
        blocks[blocks == blocks[other]] = blocks[one]
    alone = [(k, k) for k in range(len(effects))]
    first, second = np.array(alone + [(one, other) for _, one, other in pairs]).T
    return Cells(first, second, blocks), [*variances, *(k for k, *_ in pairs)]


def _spread(point: NestedPoint) -> Shaped[Array, "npar npar"]:
    """Covariance of the full model's estimates under the simple one, in the parameters of its
    search."""
    p = point.model.n_fixed
    root = inverse_root(derivatives_of(point, changes(point))[1][0])
    if root is None:
        raise InferenceError("the information is singular at the simple model's estimates.")
    found = np.zeros((len(point.params),) * 2)
    found[:p, :p] = point.root @ point.root.T
    found[p:, p:] = root @ root.T
    return found
