"""The same model met with data sets that were drawn: by clusters, or from the fitted model."""

from __future__ import annotations

import numpy as np

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
from mlsem.estimation.settings import Settings
from mlsem.model.table import ParameterTable

ITERATIONS = 60  # a refit that needs more runs away: most take 5


def refit(
    estimates: Estimates,
    moments: ClusterMoments | CellMoments | GroupedMoments,
    settings: Settings,
    start: Array,
    robust: RobustClusters | None = None,
) -> Estimates | None:
    """Estimate the same model from other moments.

    One start and no further ones: an optimum that lies far from the start is no replicate of it.

    Parameters
    ----------
    estimates : Estimates
        Of the model.
    moments : ClusterMoments, CellMoments or GroupedMoments
        With the stored columns of the problem's.
    settings : Settings
        Of the search, and of the standard errors that are wanted.
    start : (npar,)
        Starting values.
    robust : RobustClusters, optional
        The problem's, if the clusters of `moments` are the problem's.

    Returns
    -------
    Estimates or None
        A failure is a value: estimates that did not converge, or None if there are none (the
        start lies outside the parameter space, or the data do not determine some parameter).
    """
    try:
        posed = estimates.problem.with_moments(moments, start, robust)
        with np.errstate(all="ignore"):  # a step too far is refused, whatever it overflows
            optimum = optimum_of(posed, settings.limited(ITERATIONS), start)
    except (EstimationError, IdentificationError, DataError):
        return None
    return Estimates(posed, settings, optimum, estimates.record)


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
