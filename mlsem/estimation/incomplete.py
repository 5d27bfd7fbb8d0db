"""The saturated model of data with missing values, by the search that any model has.

Without missing values its steps fall apart into pairs of variables (`core.sample.saturated`); here
all covariances and means of both levels are parameters of one objective. It starts where EM came
to, is sought without a bound on Σ_B, and among positive semidefinite matrices over their faces
(`faces`) where that is asked for or there is no maximum without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlsem.core.implied.pattern import Pattern
from mlsem.core.implied.unstructured import Unstructured, unstructured
from mlsem.core.optimise.factored import ZERO, Factors, block_of
from mlsem.core.optimise.maximise import maximise
from mlsem.core.optimise.objective import Objective
from mlsem.core.patterns.carriers import pattern_moments
from mlsem.core.patterns.objective import PatternObjective
from mlsem.core.records import Array, CellMoments, Index, frozen
from mlsem.core.sample.saturated import SaturatedMoments
from mlsem.core.sample.shapes import ShapeMoments, level_sample
from mlsem.estimation.faces import bounded
from mlsem.estimation.settings import Settings
from mlsem.model.pattern import level_names
from mlsem.model.table import ParameterTable

FREE_STEPS = 60  # without the bound
TIGHT = 1e-8  # remaining step, in standard errors


@dataclass(frozen=True, slots=True, eq=False)
class Climbed:
    """The maximum of a model without structure.

    Attributes
    ----------
    params : (b,)
    rank : int
        Of Σ_B of the variables with a part at both levels.
    singular : bool
        Whether Σ_B was kept positive semidefinite and is singular.
    """

    params: Array
    rank: int
    singular: bool


def climbed(
    objective: Objective[Any, Any],
    pattern: Pattern[Unstructured],
    start: Array,
    *,
    semidefinite: bool,
) -> Climbed | None:
    """The maximum that a start leads to; None where there is none. `pattern` is the objective's."""
    point = objective.evaluate(start)
    if point is None:
        return None
    everything = np.eye(len(start))
    q, cells = pattern.split, _cells(pattern.between)
    if not semidefinite or not len(cells):
        first = objective.conditioned(point, everything)
        found = maximise(objective, point, everything, first, tol=TIGHT, max_iter=FREE_STEPS)
        return Climbed(found.params, q, singular=False) if found.converged else None
    scale = np.sqrt(np.maximum(np.diagonal(start[cells]), 1e-300))
    scale[:q] = np.sqrt(point.within.sigma.diagonal()[:q])
    effects = np.arange(len(cells))
    factors = Factors((block_of(cells, np.diag(scale**-2.0), effects),))
    settings = Settings(se="none", tol=TIGHT)
    optimum = bounded(objective, iter([start]), everything, settings, factors)
    if not optimum.converged:
        return None
    own = Factors((block_of(cells[:q, :q], np.diag(scale[:q] ** -2.0), effects[:q]),))
    values = own.blocks[0].values(optimum.params) if q else np.ones(0)
    rank = int((values > ZERO**2).sum())
    return Climbed(optimum.params, rank, singular=factors.singular(optimum.params))


def _cells(level: Unstructured) -> Index:
    """The parameters of Σ, by cell."""
    symmetric = level.symmetric
    cells = np.empty(symmetric.constants.shape, dtype=np.intp)
    cells[symmetric.rows, symmetric.cols] = symmetric.params
    cells[symmetric.cols, symmetric.rows] = symmetric.params
    return cells


def joint_moments(
    table: ParameterTable,
    cells: CellMoments,
    sample: ShapeMoments,
    maps: Mapping[str, Array],
    *,
    semidefinite: bool,
) -> SaturatedMoments | None:
    """Moments of the saturated two-level model of a table's variables, covariates too, in the
    order of `level_names`; None where no maximum was found."""
    names, split = level_names(table), len(table.split)
    constant = np.eye(1, len(next(iter(maps.values()))))
    width = constant.shape[1]
    stacks = [np.array([maps[name] for name in own]).reshape(len(own), width) for own in names]
    own = np.arange(split, len(names[0]), dtype=np.intp)
    within = unstructured(stacks[0], constant, own, 0)
    between = unstructured(
        stacks[1],
        constant,
        np.arange(len(names[1]), dtype=np.intp),
        within.n_free,
    )
    pattern = Pattern((within, between), split, within.n_free + between.n_free)
    start = np.empty(pattern.n_params)
    for number, level in enumerate((within, between), start=1):
        known = level_sample(sample, names[number - 1], level.responses, number)
        level.put(start, known.covariance, known.mean)
    objective = PatternObjective(pattern, pattern_moments(pattern, cells)[0])
    found = climbed(objective, pattern, start, semidefinite=semidefinite)
    if found is None:
        return None
    levels = [level.moments(found.params) for level in pattern.levels]
    return SaturatedMoments(
        means=(frozen(levels[0].mean[:, 0]), frozen(levels[1].mean[:, 0])),
        covariances=(frozen(levels[0].sigma), frozen(levels[1].sigma)),
        rank=found.rank,
        singular=found.singular,
    )
