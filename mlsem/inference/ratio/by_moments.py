"""A simple model as a point of a full one that has other parameters for the same moments.

Where loadings and intercepts are equal in all groups, latent means are free that a model without
these equalities fixes: the one is a special case of the other though it has a parameter more. With
β_s the moments that the simple model implies and β(θ) those of the full one, of all groups,

    θ ← θ + Δ⁺ (β_s - β(θ)),     Δ = ∂β/∂θ along what keeps the full model's equalities,

from the full model's estimates ends where β(θ) = β_s, if there is such a point. A direction v of
the simple model is there the direction Δ⁺ Δ_s v of the full one (Bentler & Satorra, 2010).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.arrow import layout
from mlsem.core.linalg import least_squares
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index
from mlsem.errors import InferenceError
from mlsem.estimation.as_moments import as_moments
from mlsem.inference.covariance.score import orthonormal
from mlsem.inference.ratio.same_data import grouped_pairs
from mlsem.model.expressions import compiled_pairs, equality_space

if TYPE_CHECKING:
    from mlsem.estimation.estimates import Estimates

STEPS, HALVINGS = 50, 12
CLOSE = 1e-10  # what is left of β, in units of its size
WITHIN = 1e-6  # part of a direction that the full model may lack


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """β of one group and what moves it.

    Attributes
    ----------
    values : (b,)
    along : (b, k)
        ∂β along some directions.
    columns : (k,)
        Which these are.
    """

    values: Shaped[Array, "b"]
    along: Shaped[Array, "b k"]
    columns: Shaped[Index, "k"]

    @property
    def scale(self) -> Shaped[Array, "b 1"]:
        """Units in which β is compared."""
        return 1.0 / (1.0 + np.abs(self.values[:, None]))


@quiet
def point_of(
    simple: Estimates, full: Estimates
) -> tuple[Shaped[Array, "npar"], Shaped[Array, "npar m"]] | None:
    """The full model's parameters at the simple model's estimates, and Δ⁺ Δ_s for each of the
    simple model's parameters; None where there is no such point, or a model has random slopes."""
    if simple.table.slopes or full.table.slopes:
        return None
    try:
        target = [
            _Part(
                *as_moments(group.estimates, own.estimates.table, own.estimates.params), own.places
            )
            for own, group in grouped_pairs(simple, full)
        ]
        params = _reached(full, target)
        return None if params is None else _turned(full, params, target, len(simple.params))
    except InferenceError:
        return None


def _parts(full: Estimates, params: Shaped[Array, "npar"]) -> list[_Part]:
    """Of the full model at these parameters, along its parameters."""
    found: list[_Part] = []
    for group in full.groups:
        own = group.estimates
        found.append(_Part(*as_moments(own, own.table, params[group.places]), group.places))
    return found


def _keeping(part: _Part, basis: Shaped[Array, "npar n"]) -> _Part:
    """Along directions of the parameters."""
    mine = basis[part.columns]
    columns = np.flatnonzero(mine.any(axis=0))
    return _Part(part.values, part.along @ mine[:, columns], columns)


def _reached(full: Estimates, target: list[_Part]) -> Shaped[Array, "npar"] | None:
    """Where the full model has β_s."""
    params, parts = full.params.copy(), _parts(full, full.params)
    for _ in range(STEPS):
        rest = _rest(parts, target)
        if max(np.abs(each).max(initial=0.0) for each in rest) < CLOSE:
            return params
        basis = equality_space(compiled_pairs(full.table), params)
        designs = [_scaled(_keeping(part, basis), goal) for part, goal in _pairs(parts, target)]
        step = basis @ _solved(designs, rest, basis.shape[1])[:, 0]
        nearer = _nearer(full, params, step, target, _size(rest))
        if nearer is None:
            return None
        params, parts = nearer
    return None


def _pairs(parts: list[_Part], target: list[_Part]) -> Iterator[tuple[_Part, _Part]]:
    return zip(parts, target, strict=True)


def _rest(parts: list[_Part], target: list[_Part]) -> list[Shaped[Array, "_ 1"]]:
    """What is left of β_s - β, in units of β_s."""
    return [
        (goal.values - part.values)[:, None] * goal.scale for part, goal in _pairs(parts, target)
    ]


def _size(rest: list[Shaped[Array, "_ 1"]]) -> float:
    return float(sum((each**2).sum() for each in rest))


def _scaled(part: _Part, goal: _Part) -> _Part:
    return replace(part, along=part.along * goal.scale)


def _nearer(
    full: Estimates,
    params: Shaped[Array, "npar"],
    step: Shaped[Array, "npar"],
    target: list[_Part],
    size: float,
) -> tuple[Shaped[Array, "npar"], list[_Part]] | None:
    """Along the step as far as it leads nearer; None where it does not."""
    for k in range(HALVINGS):
        there = params + 0.5**k * step
        with suppress(InferenceError):
            parts = _parts(full, there)
            if _size(_rest(parts, target)) < size:
                return there, parts
    return None


def _turned(
    full: Estimates, params: Shaped[Array, "npar"], target: list[_Part], count: int
) -> tuple[Shaped[Array, "npar"], Shaped[Array, "npar m"]] | None:
    """The point with Δ⁺ Δ_s; None where the full model lacks a direction of the simple one."""
    basis = equality_space(compiled_pairs(full.table), params)
    parts = _parts(full, params)
    designs = [_scaled(_keeping(part, basis), goal) for part, goal in _pairs(parts, target)]
    right: list[Array] = []
    for goal in target:
        placed = np.zeros((len(goal.values), count))
        placed[:, goal.columns] = goal.along * goal.scale
        right.append(placed)
    turn = _solved(designs, right, basis.shape[1])
    for design, moved in zip(designs, right, strict=True):
        lacking = np.abs(moved - design.along @ turn[design.columns]).max(initial=0.0)
        if lacking > WITHIN * np.abs(moved).max(initial=0.0):
            return None
    return params, basis @ turn


def _solved(
    designs: list[_Part], right: list[Shaped[Array, "_ x"]], count: int
) -> Shaped[Array, "n x"]:
    """Least squares over all groups: first along the directions of several groups, beside what each
    group's own can do, then along its own."""
    where = layout([design.columns for design in designs], count)
    owned: list[tuple[Array, Array]] = []
    rest: list[tuple[Array, Array]] = []
    for k, (design, goal) in enumerate(zip(designs, right, strict=True)):
        mine = np.isin(design.columns, where.own[k])
        own, across = design.along[:, mine], np.zeros((len(goal), len(where.shared)))
        across[:, np.searchsorted(where.shared, design.columns[~mine])] = design.along[:, ~mine]
        basis = orthonormal(own)
        owned.append((own, across))
        rest.append((across - basis @ (basis.T @ across), goal - basis @ (basis.T @ goal)))
    total = np.zeros((count, right[0].shape[1]))
    design, goal = (np.concatenate(each) for each in zip(*rest, strict=True))
    total[where.shared] = shared = least_squares(design, goal)
    for k, ((own, across), goal) in enumerate(zip(owned, right, strict=True)):
        total[where.own[k]] = least_squares(own, goal - across @ shared)
    return total
