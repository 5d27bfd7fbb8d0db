"""Standard errors of residual moments.

With β̂ the parameters of the saturated model, Γ their covariance, A their expected information at
β(θ̂), Δ = ∂β/∂θ and K = (Δᵀ A Δ)⁻¹ Δᵀ A, to first order β̂ - β(θ̂) = (I - Δ K)(β̂ - β), so that

    Cov(β̂ - β(θ̂)) = (I - Δ K) Γ (I - Δ K)ᵀ

(as Hausman, 1978, and Ogasawara, 2001, for a single level). Γ = A⁻¹ of a model's standard errors,
H⁻¹ (Σ_j s_j s_jᵀ) H⁻¹ of the saturated model with robust ones. A moment, or correlation, is a
function m(β): its residual m(β̂) - m(β(θ̂)) has the variance ∇mᵀ Cov ∇m.

A variance whose outcome has a free residual variance is reproduced to first order nearly whatever
the data: its residual is of second order, many times the error that this formula gives (simulated
z of true models have a standard deviation of 1.1 to 5.2 there, of covariances 0.95 to 1.11). Such
residuals have no standard error here (NaN).

Code: with A = L Lᵀ, γ = Lᵀ β has the tangents Lᵀ Δ, of which Q is an orthonormal basis
(`tangents`). A root has its rows group by group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import inverse_root, unit_diagonal, whitened_by
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.joint import JointMoments, joint_moments
from mlsem.estimation.saturated import SaturatedModel, SaturatedPoint, at_estimates
from mlsem.inference.fit.tangents import GroupTangents, model_tangents

STEP = 6e-6  # of numerical derivatives
NONE = 0.1  # of the standard error of a moment: residuals that vary less than that to first order


Roots = tuple[Shaped[Array, "b l"], Shaped[Array, "b k"]]
"""R with R Rᵀ the covariance of β̂ - β(θ̂), and that of β̂, of one group."""


@quiet
def saturated_root(
    point: SaturatedPoint, *, robust: bool, factor: float = 1.0
) -> Shaped[Array, "b l"]:
    """R (b, l) with R Rᵀ the covariance of β̂ of a group; NaN where there is none.

    Parameters
    ----------
    robust : bool
        Whether it is a sandwich of the clusters' scores, times `factor`.
    """
    information = point.information if robust else point.expected
    unit = unit_diagonal(information)
    root = None if unit is None else inverse_root(unit[0])
    if unit is None or root is None:
        return np.full((point.n_params, 1), np.nan)
    half = unit[1][:, None] * root
    if not robust:
        return half
    return np.sqrt(factor) * half @ (half.T @ point.scores.T)


@quiet
def residual_roots(
    estimates: Estimates,
    saturated: SaturatedModel,
    *,
    robust: bool,
    factor: float = 1.0,
    wanted: Sequence[int] | None = None,
) -> list[Roots]:
    """Of the groups of these numbers, or of all."""
    chosen = range(len(saturated.groups)) if wanted is None else [number - 1 for number in wanted]
    at = at_estimates(estimates)
    source = saturated if robust else at
    full = [saturated_root(each, robust=robust, factor=factor) for each in source.groups]
    groups = model_tangents(estimates, at)
    if groups is None:
        return [(np.full_like(full[k], np.nan), full[k]) for k in chosen]
    columns = at.robust_places if robust else _one_after_the_other(full)
    left = _residual(groups, full, columns, chosen)
    return [(own, full[k]) for own, k in zip(left, chosen, strict=True)]


def _one_after_the_other(
    roots: list[Shaped[Array, "_ _"]],
) -> tuple[Shaped[Index, "_"], ...]:
    """Places of the columns of groups that have nothing in common."""
    ends = np.cumsum([root.shape[1] for root in roots])
    return tuple(np.split(np.arange(ends[-1]), ends[:-1]))


def _residual(
    groups: list[GroupTangents],
    full: list[Shaped[Array, "_ _"]],
    columns: tuple[Shaped[Index, "_"], ...],
    chosen: Sequence[int],
) -> list[Shaped[Array, "_ _"]]:
    """(I - Q Qᵀ) of the roots of β̂, of which each group has these columns; rows of the groups
    that are chosen."""
    rest: list[Shaped[Array, "_ _"]] = []
    shared = groups[0].shared.shape[1]
    in_common = np.zeros((shared, 1 + max(int(each.max()) for each in columns)))
    for group, root, own in zip(groups, full, columns, strict=True):
        white = whitened_by(group.point.expected, group.point.expected @ root)
        if white is None or not np.isfinite(white).all():
            return [np.full_like(full[k], np.nan) for k in chosen]
        rest.append(group.beside(white))
        in_common[:, own] += group.shared.T @ rest[-1]
    found: list[Shaped[Array, "_ _"]] = []
    for group, left, own in ((groups[k], rest[k], columns[k]) for k in chosen):
        if shared:
            whole = -group.shared @ in_common
            whole[:, own] += left
            left = whole
        back = whitened_by(group.point.expected, np.eye(group.point.n_params))
        assert back is not None
        found.append(back.T @ left)
    return found


@quiet
def residual_errors(
    saturated: SaturatedPoint,
    roots: Roots,
    level: int,
    function: Callable[[JointMoments], Shaped[Array, "m"]],
) -> Shaped[Array, "m"]:
    """Standard errors of the residuals of functions (m,) of a level's moments; NaN of those that
    the model leaves free or fixes."""
    gradient = gradient_of(saturated, level, function)
    own, full = (np.sqrt(((gradient @ root) ** 2).sum(axis=1)) for root in roots)
    return np.where(own > NONE * full, own, np.nan)


def gradient_of(
    saturated: SaturatedPoint, level: int, function: Callable[[JointMoments], Shaped[Array, "m"]]
) -> Shaped[Array, "m b"]:
    """∇m at β̂, (m, b), by central differences."""
    columns: list[Shaped[Array, "_ _"]] = []
    problem = saturated.problem
    for k, value in enumerate(saturated.params):
        step = STEP * max(1e-3, abs(value))
        sides = []
        for sign in (1.0, -1.0):
            params = saturated.params.copy()
            params[k] += sign * step
            moments = saturated.moments_at(params)[level - 1]
            joint = joint_moments(problem, level, moments)
            sides.append(function(joint.without(problem.table.auxiliary)))
        columns.append((sides[0] - sides[1]) / (2.0 * step))
    return np.array(columns).T
