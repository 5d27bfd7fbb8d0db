"""Empirical Bayes predictions of the random effects and level-2 latent variables of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.evidence.posterior import Posterior
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.data.table.frame import make_frame
from mlsem.errors import InferenceError, listed
from mlsem.model.table import ParameterTable

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.estimation.estimates import Estimates
    from mlsem.estimation.problem import Problem

INTERCEPT = "(Intercept)"
SE = "_se"
NO_SCORES = (
    "The columns of {} are what their covariates leave unexplained (zero on average), not factor "
    "scores: lavaan's lavPredict adds what the model expects of the cluster."
)


@quiet
def random_effects(fit: Estimates[Problem]) -> pd.DataFrame:
    """Predictions and their standard errors, clusters in rows.

    Of a latent variable that is explained or has a mean they are not lavaan's `lavPredict`: the
    frame's `attrs["note"]` says so.

    Raises
    ------
    InferenceError
        The model has one level, or did not converge.
    """
    table = fit.table
    if not table.two_level:
        raise InferenceError("the model has one level, and so no random effects to predict.")
    if not fit.converged:
        raise InferenceError("the fit did not converge: there is nothing to predict with.")
    posterior = fit.posterior()
    if posterior is None:
        raise InferenceError("the implied covariance matrix of a cluster is singular.")
    shown = _shown(table, posterior)
    variance = np.diagonal(posterior.covariance, axis1=1, axis2=2)
    se = np.sqrt(np.maximum(variance, 0.0))
    mixed = mixed_names(table, fit.record.cluster)
    columns: dict[str, Array] = {}
    for name in shown:
        k = posterior.names.index(name)
        label = mixed.get(name, name)
        columns[label], columns[label + SE] = posterior.mean[:, k], se[:, k]
    frame = make_frame(columns, fit.problem.moments.labels)
    latent = [name for name in _expected(table) if name in shown]
    if latent:
        frame.attrs["note"] = NO_SCORES.format(listed(latent))
    return frame


def _expected(table: ParameterTable) -> list[str]:
    """Latent variables of level 2, no random slopes, of which the model expects more than zero."""
    slopes = {slope.name for slope in table.slopes}
    above = table.blocks[-1]
    moved = {row.lhs for row in above.rows if row.moves_mean}
    return [name for name in above.variables.latent if name in moved and name not in slopes]


def _shown(table: ParameterTable, posterior: Posterior) -> list[str]:
    """Split variables that vary between clusters, random slopes, latent variables of level 2; no
    auxiliary variables."""
    slopes = [slope.name for slope in table.slopes]
    above = table.blocks[-1]
    latent = [name for name in above.variables.latent if name not in slopes]
    fixed = {row.lhs for row in above.rows if row.is_variance and row.free < 0}
    variances = dict(zip(posterior.names, np.diagonal(posterior.prior), strict=True))
    constant = {name for name in fixed if name in variances and variances[name] == 0.0}
    apart = constant | {*table.auxiliary}
    return [name for name in (*table.split, *slopes, *latent) if name not in apart]


def is_mixed(table: ParameterTable) -> bool:
    """Whether it is a model in lme4's language, with lme4's names."""
    return table.semidefinite and ("Residual" in table.names or bool(table.classes))


def mixed_names(table: ParameterTable, cluster: str | None) -> dict[str, str]:
    """lme4's names of the random effects, of a model that was written in lme4's language."""
    if cluster is None or not is_mixed(table):
        return {}
    if not any(name.startswith(f"{cluster}.") for name in table.names):
        return {}
    names = {slope.name: slope.carrier for slope in table.slopes}
    return names | dict.fromkeys(table.split, INTERCEPT)
