"""A simple model as a point of a full one that has other parameters for the same moments.

Where loadings and intercepts are equal in all groups, latent means are free that a model without
these equalities fixes: the one is a special case of the other though it has a parameter more. With
β_s the moments that the simple model implies and β(θ) those of the full one, of all groups,

    θ ← θ + Δ⁺ (β_s - β(θ)),     Δ = ∂β/∂θ along what keeps the full model's equalities,

from the full model's estimates ends where β(θ) = β_s, if there is such a point. A direction v of
the simple model is there the direction Δ⁺ Δ_s v of the full one (Bentler & Satorra, 2010).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import least_squares
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.errors import InferenceError
from mlsem.estimation.as_moments import as_moments
from mlsem.inference.ratio.same_data import grouped_pairs
from mlsem.model.expressions import compiled_pairs, equality_space

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates

STEPS, CLOSE = 50, 1e-10  # iterations; what is left of β, in units of its size
WITHIN = 1e-6  # part of a direction that the full model may lack


@quiet
def point_of(
    simple: Estimates, full: Estimates
) -> tuple[Shaped[Array, "npar"], Shaped[Array, "npar m"]] | None:
    """The full model's parameters at the simple model's estimates, and Δ⁺ Δ_s for each of the
    simple model's parameters; None where there is no such point, or a model has random slopes."""
    if simple.table.slopes or full.table.slopes:
        return None
    try:
        target, moved = _of_simple(simple, full)
        return _reached(full, target, moved)
    except InferenceError:
        return None


def _of_simple(
    simple: Estimates, full: Estimates
) -> tuple[Shaped[Array, "b"], Shaped[Array, "b m"]]:
    """β_s and Δ_s."""
    found: list[Array] = []
    moved: list[Array] = []
    for own, group in grouped_pairs(simple, full):
        values, along = as_moments(group.estimates, own.estimates.table, own.estimates.params)
        placed = np.zeros((len(values), len(simple.params)))
        placed[:, own.places] = along
        found.append(values)
        moved.append(placed)
    return np.concatenate(found), np.concatenate(moved)


def _of_full(
    full: Estimates, params: Shaped[Array, "npar"]
) -> tuple[Shaped[Array, "b"], Shaped[Array, "b n"]]:
    """β and ∂β/∂θ at these parameters."""
    found: list[Array] = []
    moved: list[Array] = []
    for group in full.groups:
        own = group.estimates
        values, along = as_moments(own, own.table, params[group.places])
        placed = np.zeros((len(values), len(params)))
        placed[:, group.places] = along
        found.append(values)
        moved.append(placed)
    return np.concatenate(found), np.concatenate(moved)


def _reached(
    full: Estimates, target: Shaped[Array, "b"], moved: Shaped[Array, "b m"]
) -> tuple[Shaped[Array, "npar"], Shaped[Array, "npar m"]] | None:
    params, pairs = full.params.copy(), compiled_pairs(full.table)
    scale = 1.0 + np.abs(target)
    values, along = _of_full(full, params)
    for _ in range(STEPS):
        keeping = equality_space(pairs, params)
        rest = (target - values) / scale
        if np.abs(rest).max(initial=0.0) < CLOSE:
            design = along @ keeping / scale[:, None]
            turn = least_squares(design, moved / scale[:, None])
            left = moved / scale[:, None] - design @ turn
            inside = np.abs(left).max(initial=0.0) <= WITHIN * np.abs(moved).max(initial=0.0)
            return (params, keeping @ turn) if inside else None
        step = keeping @ least_squares(along @ keeping / scale[:, None], rest)
        shorter = _shorter(full, params, step, target, rest, scale)
        if shorter is None:
            return None
        params, values, along = shorter
    return None


def _shorter(
    full: Estimates,
    params: Shaped[Array, "npar"],
    step: Shaped[Array, "npar"],
    target: Shaped[Array, "b"],
    rest: Shaped[Array, "b"],
    scale: Shaped[Array, "b"],
) -> tuple[Shaped[Array, "npar"], Shaped[Array, "b"], Shaped[Array, "b n"]] | None:
    """Along the step as far as it leads nearer; None where it does not."""
    for k in range(12):
        there = params + 0.5**k * step
        try:
            values, along = _of_full(full, there)
        except InferenceError:
            continue
        if np.linalg.norm((target - values) / scale) < np.linalg.norm(rest):
            return there, values, along
    return None
