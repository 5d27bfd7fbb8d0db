"""What standardized parameters and shares of variance are made of: variances of the variables of
each level at given parameters, and their derivatives.

Fixed covariates have the variances of the sample (over rows at level 1, over clusters at level 2),
their parts at both levels those of the saturated model: constants. An outcome with random slopes
has its mean variance over the rows of level 1: each slope counts with its mean over clusters and
with its variance, apart from what a cluster's covariates are like (`core.implied.total`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlsem.core.implied.pattern import LevelPattern
from mlsem.core.implied.total import (
    LevelTotal,
    VaryingPaths,
    covariance_gradients,
    level_total,
    mean_gradients,
    varying_gradients,
)
from mlsem.core.records import Array, Index
from mlsem.core.sample.shapes import covariate_sample
from mlsem.estimation.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class LevelScales:
    """Variances of one level's variables: v, then the fixed covariates.

    Attributes
    ----------
    names : tuple of str
    total, residual : (m,)
        C_kk, Ψ_kk; of covariates, and of their parts, both are the whole variance.
    total_gradients, residual_gradients : (m, npar)
    """

    names: tuple[str, ...]
    total: Array
    total_gradients: Array
    residual: Array
    residual_gradients: Array


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """Of a model at given parameters.

    Attributes
    ----------
    levels : tuple of LevelScales
    slopes : dict
        Place of each varying path among the slopes, by (outcome, covariate).
    slope_means, slope_gradients : (q,), (q, npar)
        γ, the means of the varying paths, and ∂γ/∂θ.
    """

    levels: tuple[LevelScales, ...]
    slopes: dict[tuple[str, str], int]
    slope_means: Array
    slope_gradients: Array


def scales_at(problem: Problem, params: Array) -> Scales:
    """Of all levels at the user's parameters (npar,), inside the parameter space."""
    slopes, count = problem.table.slopes, len(params)
    second = _total(problem, params, 2) if problem.table.multilevel else None
    varying, changes = None, (np.zeros((0, count)), np.zeros((0, 0, count)))
    if slopes and second is not None:
        varying, changes = _varying(problem, second, count)
    first, added = _total(problem, params, 1, varying), 0.0
    if varying is not None:
        added = varying_gradients(first, varying, *changes)
    levels = [_level_scales(problem, params, 1, first, added)]
    if second is not None:
        levels.append(_level_scales(problem, params, 2, second))
    if problem.table.three_level:
        levels.append(_level_scales(problem, params, 3, _total(problem, params, 3)))
    return Scales(
        levels=tuple(levels),
        slopes={(slope.outcome, slope.carrier): k for k, slope in enumerate(slopes)},
        slope_means=np.zeros(0) if varying is None else varying.means,
        slope_gradients=changes[0],
    )


def _pattern(problem: Problem, level: int) -> LevelPattern:
    return problem.pattern.levels[level - 1]


def _total(
    problem: Problem, params: Array, level: int, varying: VaryingPaths | None = None
) -> LevelTotal:
    pattern = _pattern(problem, level)
    moments = pattern.moments(params)
    assert moments is not None
    sample = covariate_sample(problem.sample, pattern.covariates, level)
    return level_total(pattern, moments, params, *sample, varying)


def _varying(
    problem: Problem, second: LevelTotal, count: int
) -> tuple[VaryingPaths, tuple[Array, Array]]:
    """The random slopes as varying paths of level 1, and their ∂γ/∂θ (q, npar), ∂T/∂θ."""
    table, within, between = problem.table, problem.pattern.within, problem.pattern.between
    constants = within.exogenous.constants.shape[1] - len(table.levels[0].covariates)
    place = [between.names.index(slope.name) for slope in table.slopes]
    own: Index = np.array(place, dtype=np.intp)
    column = [constants + table.levels[0].covariates.index(each.carrier) for each in table.slopes]
    found = VaryingPaths(
        outcomes=np.array([within.names.index(each.outcome) for each in table.slopes]),
        columns=np.array(column, dtype=np.intp),
        means=second.mean[own],
        spread=second.covariance[np.ix_(own, own)],
    )
    q = len(own)
    cells = covariance_gradients(between, second, np.repeat(own, q), np.tile(own, q), count)
    return found, (mean_gradients(between, second, own, count), cells.reshape(q, q, count))


def _level_scales(
    problem: Problem, params: Array, level: int, total: LevelTotal, added: Array | float = 0.0
) -> LevelScales:
    """`added` to the gradients of C_kk."""
    variables, pattern = problem.table.levels[level - 1], _pattern(problem, level)
    size, width, count = len(pattern.names), len(variables.covariates), len(params)
    every, constants = np.arange(size), len(total.spread) - width
    own = np.diagonal(total.covariance)
    gradients = covariance_gradients(pattern, total, every, every, count) + added
    rest, rest_gradients = _residual(pattern, params)
    parts = [pattern.names.index(name) for name in variables.parts]
    rest[parts], rest_gradients[parts] = own[parts], gradients[parts]
    fixed, none = np.diagonal(total.spread)[constants:], np.zeros((width, count))
    return LevelScales(
        names=pattern.names + variables.covariates,
        total=np.concatenate((own, fixed)),
        total_gradients=np.concatenate((gradients, none)),
        residual=np.concatenate((rest, fixed)),
        residual_gradients=np.concatenate((rest_gradients, none)),
    )


def _residual(pattern: LevelPattern, params: Array) -> tuple[Array, Array]:
    """Ψ_kk (nv,) and their gradients (nv, npar)."""
    symmetric = pattern.symmetric
    values = np.diagonal(symmetric.symmetric_at(params)).copy()
    gradients = np.zeros((len(values), len(params)))
    own = symmetric.rows == symmetric.cols
    gradients[symmetric.rows[own], symmetric.params[own]] = 1.0
    return values, gradients
