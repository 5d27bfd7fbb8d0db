"""The same model met with data sets that were drawn: by clusters, or from the fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

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
    estimates: Estimates, drawn: Sequence[Drawn], settings: Settings, start: Array
) -> list[Estimates | None]:
    """Estimate the same model from other data sets, together where that can be.

    One start and no further ones: an optimum that lies far from the start is no replicate of it.

    Parameters
    ----------
    estimates : Estimates
        Of the model.
    drawn : sequence of (moments, robust clusters)
    settings : Settings
        Of the searches, and of the standard errors that are wanted.
    start : (npar,)
        Starting values.

    Returns
    -------
    list of Estimates or None
        A failure is a value: estimates that did not converge, or None if there are none (the
        start lies outside the parameter space, or the data do not determine some parameter).
    """
    posed = {k: _posed(estimates, each, start) for k, each in enumerate(drawn)}
    there = {k: problem for k, problem in posed.items() if problem is not None}
    limited = settings.limited(ITERATIONS)
    with np.errstate(all="ignore"):  # a step too far is refused, whatever it overflows
        known = maxima_of(there, limited, start)
        optima = {k: known.get(k) or _alone(each, limited, start) for k, each in there.items()}
    return [_estimates(estimates, posed[k], settings, optima.get(k)) for k in posed]


def refit(
    estimates: Estimates,
    moments: ClusterMoments | CellMoments | GroupedMoments,
    settings: Settings,
    start: Array,
    robust: RobustClusters | None = None,
) -> Estimates | None:
    """`refits` to one data set."""
    return refits(estimates, [(moments, robust)], settings, start)[0]


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
