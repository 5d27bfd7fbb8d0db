"""Moments of the saturated model that data have without a search: where it starts, and where a
single level ends.

Those of a level are the covariances of its outcomes given the covariates and the coefficients on
these, from the moments of all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlsem.core.implied.pattern import LevelMoments
from mlsem.core.implied.saturated import Saturated
from mlsem.core.linalg import least_squares, weighted_sum
from mlsem.core.records import Array
from mlsem.core.sample.shapes import ShapeMoments, covariate_sample, level_sample
from mlsem.estimation.problem import Problem
from mlsem.model.pattern import level_names


def sample_moments(problem: Problem, k: int) -> LevelMoments:
    """Of a level's outcomes given its fixed covariates, by EM."""
    table = problem.table
    if k and not table.two_level:
        return _moments(np.zeros((0, 0)), np.zeros((0, problem.sample.within.shape[0])))
    names = level_names(table)[k]
    stack = _rows(problem.maps, names, problem.sample.within.shape[0])
    if not table.two_level:
        mean, spread = covariate_sample(problem.sample, stack, 1)
    else:
        known = level_sample(problem.sample, names, stack, k + 1)
        mean, spread = known.mean, known.covariance
    if k == 0 and table.two_level:  # their means are at level 2
        mean = np.where(np.arange(len(mean)) < len(table.split), 0.0, mean)
    return given_covariates(problem, k, mean, spread)


def single_level_moments(data: ShapeMoments, coordinates: Saturated) -> LevelMoments:
    """Regressions of all outcomes on all covariates, and the residuals' covariance over N."""
    level = coordinates.within
    total = data.within + weighted_sum(data.sizes, data.cross)
    spread = level.covariates @ total @ level.covariates.T
    slopes = least_squares(spread, level.covariates @ total @ level.responses.T).T
    rest = level.responses - slopes @ level.covariates
    return _moments(rest @ total @ rest.T / data.n_rows, slopes @ level.covariates)


def given_covariates(problem: Problem, k: int, mean: Array, spread: Array) -> LevelMoments:
    """Of a level's outcomes given its fixed covariates, from the moments of all."""
    names, maps = level_names(problem.table)[k], problem.maps
    pattern = problem.inner.pattern.levels[k]
    y = [names.index(pattern.names[row]) for row in pattern.observed]
    covariates = problem.table.levels[k].covariates
    x = [names.index(name) for name in covariates]
    slopes = least_squares(spread[np.ix_(x, x)], spread[np.ix_(x, y)]).T
    means = slopes @ _rows(maps, covariates, pattern.responses.shape[1])
    means[:, 0] += mean[y] - slopes @ mean[x]
    return _moments(spread[np.ix_(y, y)] - slopes @ spread[np.ix_(x, y)], means)


def _rows(maps: Mapping[str, Array], names: tuple[str, ...], width: int) -> Array:
    return np.array([maps[name] for name in names]).reshape(len(names), width)


def _moments(sigma: Array, mean: Array) -> LevelMoments:
    sigma = (sigma + sigma.T) / 2.0
    return LevelMoments(np.eye(len(sigma)), sigma, mean, sigma, mean)
