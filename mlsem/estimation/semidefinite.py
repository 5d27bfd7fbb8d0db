"""Maxima over positive semidefinite covariances of the random effects, as lme4 fits them.

The search goes over faces (`faces`).

What latent variables leave of random effects that they explain is no covariance matrix of these,
and may have a negative variance; where there is no maximum without a bound, it is bounded as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np

from mlsem.core.implied.point import P
from mlsem.core.optimise.factored import (
    ZERO,
    Block,
    Factors,
    random_effect_factors,
)
from mlsem.core.optimise.objective import D, Objective
from mlsem.core.optimise.optimum import Maximum, Optimum
from mlsem.core.patterns.objective import PatternObjective
from mlsem.core.records import Array
from mlsem.core.slopes.carriers import pooled_products
from mlsem.core.slopes.objective import SlopeObjective
from mlsem.errors import SpecificationError
from mlsem.estimation.faces import bounded, concluded
from mlsem.estimation.posed import Posed
from mlsem.estimation.problem import Problem
from mlsem.estimation.settings import Settings

LOOKS = 2  # maxima of which the higher counts, where there is none without the bound
VARIANCES = (1.0, 0.05)  # Σ* at further starts, in residual variances


@dataclass(frozen=True, slots=True, eq=False)
class Semidefinite(Generic[P, D]):
    """Covariance matrices of the random effects that are positive semidefinite.

    Attributes
    ----------
    problem : Posed
    objective : Objective
        What is maximised: the problem's likelihood, or its restricted one.
    first : (npar,)
        The default start.
    free : (npar, n)
        Directions of one parameter each.
    settings : Settings
    """

    problem: Posed
    objective: Objective[P, D]
    first: Array
    free: Array
    settings: Settings

    def accepted(self, maximum: Maximum[P]) -> Maximum[P] | None:
        lowest = factors_of(self.problem, maximum.params, explained=False).lowest(maximum.params)
        if lowest < 0.0:
            return None
        return maximum.at_boundary() if lowest < ZERO**2 else maximum

    def searched(self, outside: Optimum[P]) -> Optimum[P]:
        """Over faces; what latent variables leave is bounded as well where there is no maximum
        without the bound.

        Raises
        ------
        EstimationError
            No start is inside the parameter space.
        """
        problem, explained = self.problem, not outside.converged
        factors = factors_of(problem, self.first, explained=explained)
        begin = _starts(outside, self.first, factors)
        looks = 1 if outside.converged else LOOKS
        again = bounded(self.objective, begin, self.free, self.settings, factors, looks)
        singular = factors_of(problem, again.params, explained=explained).singular(again.params)
        return concluded(self.objective, self.free, again, singular=singular)


def factors_of(problem: Posed, params: Array, *, explained: bool = True) -> Factors:
    """The covariance matrices of the random effects, in units of the residuals at `params`; those
    of all groups.

    Raises
    ------
    SpecificationError
        Groups have a part of such a matrix in common.
    """
    blocks: dict[tuple[int, ...], Block] = {}
    for group in problem.groups:
        own = _factors_of_one(group.problem, params[group.places], explained=explained)
        for block in own.blocks:
            cells = group.places[block.cells]
            blocks.setdefault(tuple(cells.ravel().tolist()), replace(block, cells=cells))
    taken = [cell for cells in blocks for cell in set(cells)]
    if len(taken) > len(set(taken)):
        raise SpecificationError(
            "groups share some of the variances and covariances of their random effects, not all: "
            "no bound keeps such matrices positive semidefinite. Share all of a matrix or none."
        )
    return Factors(tuple(blocks.values()))


def _factors_of_one(problem: Problem, params: Array, *, explained: bool) -> Factors:
    inner, pattern = problem.inner, problem.inner.pattern
    effects = pattern.random_effects
    if isinstance(inner, SlopeObjective):
        q = len(effects.responses)
        data = inner.data
        metric = pooled_products(data.loadings[..., :q], data.weights) / data.n_rows
    elif isinstance(inner, PatternObjective) and pattern.classes > 1:
        data = inner.data
        carried = data.carried[:, data.effects.carriers]
        metric = pooled_products(carried, data.row_weights) / data.counts.sum()
    else:
        metric = np.eye(len(effects.responses))
    within = pattern.within.moments(params)
    variances = np.ones(0) if within is None else within.sigma.diagonal()
    if len(variances) and variances.min() > 0.0:
        scale = np.sqrt(variances[effects.responses])
        metric = metric / np.outer(scale, scale)
    return random_effect_factors(pattern, metric, explained=explained)


def _starts(outside: Optimum[Any], default: Array, factors: Factors) -> Iterator[Array]:
    """Where searches begin, the likeliest first: the maximum without the bound, the default
    start, and variances of one size."""
    if outside.converged:
        yield outside.params
    yield default
    for variance in VARIANCES:
        params = default.copy()
        for block in factors.blocks:
            params[block.cells] = variance * block.unit @ block.unit.T
        yield params
