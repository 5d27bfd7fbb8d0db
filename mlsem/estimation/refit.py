"""The same model met with data sets that were drawn: by clusters, or from the fitted model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

import numpy as np

from mlsem.core.blocks import per_block
from mlsem.core.optimise.optimum import Optimum
from mlsem.core.records import (
    Array,
    CellMoments,
    ClusterMoments,
    GroupedMoments,
    RobustClusters,
)
from mlsem.core.sample.draws import DataSource
from mlsem.errors import DataError, EstimationError, IdentificationError, InferenceError, listed
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.posed import Posed
from mlsem.estimation.settings import Settings
from mlsem.estimation.together import maxima_of
from mlsem.model.table import ParameterTable

ITERATIONS = 60  # a refit that needs more runs away: most take 5


Drawn: TypeAlias = tuple[ClusterMoments | CellMoments | GroupedMoments, RobustClusters | None]
"""A data set with the stored columns of the problem's; its robust clusters, or None if they are
those of the problem."""


def refits(
    estimates: Estimates, drawn: Iterable[Drawn], settings: Settings, start: Array
) -> Iterator[Estimates | None]:
    """Estimate the same model from other data sets, as many together as bounded memory holds.

    One start and no further ones: an optimum that lies far from the start is no replicate of it.

    Parameters
    ----------
    estimates : Estimates
        Of the model.
    drawn : iterable of (moments, robust clusters)
    settings : Settings
        Of the searches, and of the standard errors that are wanted.
    start : (npar,)
        Starting values.

    Yields
    ------
    Estimates or None
        A failure is a value: estimates that did not converge, or None if there are none (the
        start lies outside the parameter space, or the data do not determine some parameter).
    """
    left, wave = iter(drawn), per_block(_numbers(estimates.problem.moments))
    while some := list(islice(left, wave)):
        yield from _together(estimates, some, settings, start)


def refit(
    estimates: Estimates,
    moments: ClusterMoments | CellMoments | GroupedMoments,
    settings: Settings,
    start: Array,
    robust: RobustClusters | None = None,
) -> Estimates | None:
    """`refits` to one data set."""
    return next(refits(estimates, [(moments, robust)], settings, start))


def _numbers(moments: ClusterMoments | CellMoments | GroupedMoments) -> int:
    """How many numbers a data set has."""
    if isinstance(moments, GroupedMoments):
        return sum(map(_numbers, moments.groups))
    return moments.means.size + moments.within.size


def _together(
    estimates: Estimates, drawn: Sequence[Drawn], settings: Settings, start: Array
) -> list[Estimates | None]:
    posed = [_posed(estimates, each, start) for each in drawn]
    there = {k: problem for k, problem in enumerate(posed) if problem is not None}
    limited = settings.limited(ITERATIONS)
    with np.errstate(all="ignore"):  # a step too far is refused, whatever it overflows
        known = maxima_of(there, limited, start)
        optima = {k: known.get(k) or _alone(each, limited, start) for k, each in there.items()}
    return [
        _estimates(estimates, problem, settings, optima.get(k)) for k, problem in enumerate(posed)
    ]


def _posed(estimates: Estimates, drawn: Drawn, start: Array) -> Posed | None:
    moments, robust = drawn
    try:
        return estimates.problem.with_moments(moments, start, robust)
    except (EstimationError, IdentificationError, DataError):
        return None


def _alone(problem: Posed, settings: Settings, start: Array) -> Optimum | None:
    try:
        return optimum_of(problem, settings, start)
    except (EstimationError, IdentificationError, DataError):
        return None


def _estimates(
    fitted: Estimates, problem: Posed | None, settings: Settings, optimum: Optimum | None
) -> Estimates | None:
    if problem is None or optimum is None:
        return None
    return Estimates(problem, settings, optimum, fitted.record)


def model_sampler(estimates: Estimates) -> DataSource:
    """Prepare draws from the fitted model, the fixed covariates as they are.

    Raises
    ------
    InferenceError
        A product among the covariates has a factor that the model draws: it would have to be
        formed again of rows, and there are none.
    """
    check_redrawable(estimates.table)
    return estimates.sampler()


def check_redrawable(table: ParameterTable) -> None:
    """Refuse fixed covariates that are products of modelled variables.

    A product that the user made as a column of the data cannot be seen; it would stay as it is.
    """
    modelled = {name for level in table.levels for name in level.modelled}
    for name in (name for level in table.levels for name in level.covariates if ":" in name):
        drawn = [factor for factor in name.split(":") if factor in modelled]
        if drawn:
            raise InferenceError(
                f"no data can be drawn from this model with {name!r} as it is: the model has a "
                f"distribution for {listed(drawn)}, and the product would change with it. "
                "Resample clusters instead."
            )
