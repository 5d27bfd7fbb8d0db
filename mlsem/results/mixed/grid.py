"""Averages of a fitted mixed model over its reference grid.

A row of the grid has a value of every column that the fixed effects are made of: each level of a
factor, the mean of a covariate (each value of one that takes two). A marginal mean is the average
lᵀβ̂ of the expectations xᵀβ̂ over the rows that have its levels, a marginal slope that of the
derivatives ∂xᵀβ̂/∂v (Searle, Speed & Milliken, 1980, The American Statistician 34, 216; Lenth, 2016,
Journal of Statistical Software 69, 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from mlsem.core.records import Array
from mlsem.data.design.grid import Level, Predictor, ReferenceGrid
from mlsem.data.design.remade import Recipe
from mlsem.errors import InferenceError, MlsemError, OptionValueError

Weights = Literal["equal", "proportional"]
STEP = 1e-4  # of the range of a covariate, to either side, for its slope
TOLERANCE = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Averages:
    """Linear functions of the fixed effects.

    Attributes
    ----------
    keys : mapping of str to list
        Values of the columns that they are asked by.
    weights : (m, p)
        l of each; NaN where the data do not determine lᵀβ.
    away : (m, s)
        How far each is from what the data determine (see `Recipe.fixed_design`).
    """

    keys: Mapping[str, Sequence[Level]]
    weights: Array
    away: Array


def known(weights: Array, away: Array) -> Array:
    """Weights, NaN where the data do not determine the function."""
    lost: Any = (np.abs(away) > TOLERANCE).any(axis=1)
    return np.where(lost[:, None], np.nan, weights)


def averages(
    recipe: Recipe,
    keys: Sequence[str],
    at: Mapping[str, Sequence[Level]],
    weights: Weights,
    slope: str | None = None,
) -> Averages:
    """By the values of `keys`, the first of which varies fastest; those of `slope`, if it is given,
    else means."""
    grid = recipe.grid
    held = {each.name: list(at.get(each.name, each.values)) for each in grid.predictors}
    wanted = [*_combinations([held[name] for name in keys])]
    rest = [each for each in grid.predictors if each.name not in keys]
    others = [*_combinations([held[each.name] for each in rest])]
    shares = _shares(grid, rest, held, others, weights)
    rows = [(*values, *other) for values in wanted for other in others]
    names = (*keys, *(each.name for each in rest))
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    design, away = _design(recipe, columns) if slope is None else _slopes(recipe, columns, slope)
    shape = len(wanted), len(others), -1
    mean = np.einsum("g,mgp->mp", shares, design.reshape(*shape[:2], design.shape[1]))
    lost = np.einsum("g,mgs->ms", shares, away.reshape(*shape[:2], away.shape[1]))
    shown = {name: [values[k] for values in wanted] for k, name in enumerate(keys)}
    return Averages(shown, mean, lost)


def over_data(found: Sequence[Averages]) -> Averages:
    """The mean over data sets of the same functions.

    Raises
    ------
    InferenceError
        The data sets have not the same levels.
    """
    first = found[0]
    if any(each.keys != first.keys for each in found):
        raise InferenceError(
            "the data sets have not the same levels of what means are asked by: say which in at=, "
            'such as at={"f": ["a", "b"]}.'
        )
    weights, away = (np.mean([getattr(e, n) for e in found], axis=0) for n in ("weights", "away"))
    return Averages(first.keys, weights, away)


def _combinations(values: Sequence[Sequence[Level]]) -> Any:
    """All of them, the first varying fastest."""
    return (tuple(reversed(each)) for each in product(*reversed(values)))


def _design(recipe: Recipe, columns: Mapping[str, Sequence[Level]]) -> tuple[Array, Array]:
    if not columns:  # the intercept alone
        return np.ones((1, len(recipe.fixed))), np.zeros((1, 0))
    try:
        return recipe.fixed_design(recipe.grid.frame(columns))
    except MlsemError as error:  # such as the mean of a column whose values are levels
        said = getattr(error, "message", str(error))
        raise OptionValueError(
            f"the formula cannot be computed where columns are held: {said} Say where in at=, such "
            'as at={"x1": [0, 1]}.'
        ) from error


def _slopes(
    recipe: Recipe, columns: Mapping[str, Sequence[Level]], name: str
) -> tuple[Array, Array]:
    """∂x/∂v by central differences, which are exact for polynomials of degree two."""
    predictor = recipe.grid.predictor(name)
    step = STEP * ((predictor.high - predictor.low) or max(abs(predictor.mean), 1.0))
    sides = []
    for sign in (1.0, -1.0):
        moved: Any = [float(value) + sign * step for value in columns[name]]
        sides.append(_design(recipe, {**columns, name: moved}))
    (above, lost), (below, lost_below) = sides
    return (above - below) / (2.0 * step), (lost - lost_below) / (2.0 * step)


def _shares(
    grid: ReferenceGrid,
    rest: Sequence[Predictor],
    held: Mapping[str, Sequence[Level]],
    others: Sequence[tuple[Level, ...]],
    weights: Weights,
) -> Array:
    """How much each combination of the other columns counts."""
    found = np.ones(len(others))
    factors = [each for each in rest if each.levels and set(held[each.name]) <= set(each.levels)]
    if weights == "proportional" and factors:
        shares = grid.shares([each.name for each in factors])
        order = [k for k, each in enumerate(rest) if each in factors]
        found = np.array([shares.get(tuple(other[k] for k in order), 0.0) for other in others])
    return found / found.sum()
