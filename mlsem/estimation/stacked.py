"""One model met with several data sets together: every parameter is the same in all of them.

It is the model of several groups whose parameters are all shared, ℓ(θ) = Σ_i ℓ_i(θ), so that
clusters of one data set stay apart from those of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlsem.core.records import Array
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.groups import GroupedProblem, summed
from mlsem.estimation.posed import PosedGroup
from mlsem.model.table import GroupTable


def stacked_loglik(fits: Sequence[Estimates], start: Array) -> float | None:
    """max Σ_i ℓ_i(θ) / m over one θ for all data sets, searched from `start` (npar,); None where
    the search does not reach it.

    Parameters
    ----------
    fits : sequence of Estimates
        Of one model by maximum likelihood, each of its own data.
    """
    first = fits[0]
    problem = _stacked(fits)
    settings = replace(first.settings, starts=0, seed=None)
    optimum = optimum_of(problem, settings, start)
    return optimum.loglik / len(fits) if optimum.converged else None


def _stacked(fits: Sequence[Estimates]) -> GroupedProblem:
    """The groups of all data sets as those of one."""
    parts: list[PosedGroup] = []
    for fit in fits:
        for group in fit.problem.groups:
            own = group.problem
            problem = own.with_table(own.table, own.guess, np.arange(len(own.table.names)))
            number = len(parts) + 1
            parts.append(PosedGroup(number, number, group.places, problem))
    groups = tuple(
        GroupTable(part.label, part.problem.table, tuple(part.places.tolist())) for part in parts
    )
    first = fits[0].problem
    return GroupedProblem(
        table=replace(first.table, groups=groups),
        guess=first.guess,
        robust=first.robust,
        **summed(parts),
    )
