"""The fraction of the information on each parameter that missing values took.

With the model's covariance of the estimates given what is observed, V = H⁻¹ by the observed
information H, and the one that the same rows and clusters would give with nothing missing,
V_c = A_c⁻¹ by the expected information A_c at the estimates,

    FMI_k = 1 - (V_c)_kk / V_kk        (Savalei & Rhemtulla, 2012, eq. 6 in words),

so that 1 / √(1 - FMI_k) is by how much missing values widened the confidence interval. Fixed
covariates are as observed. Defined parameters have g V gᵀ, g their gradient.

Savalei, V. & Rhemtulla, M. (2012). On obtaining estimates of the fraction of missing information
from full information maximum likelihood. Structural Equation Modeling, 19(3), 477-494.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlsem.core.linalg import cholesky
from mlsem.core.records import Array
from mlsem.errors import EstimationError, InferenceError
from mlsem.estimation.directions import Directions
from mlsem.estimation.estimates import Estimates
from mlsem.results.tables import defined_parameters


def with_missing_information(columns: dict[str, Any], estimates: Estimates) -> dict[str, Any]:
    """The columns of the table of estimates with `fmi`; NaN in rows that are not estimated."""
    found = row_fractions(estimates)
    more = len(columns["est"]) - len(found)  # rows of R²
    return columns | {"fmi": np.concatenate((found, np.full(more, np.nan)))}


def row_fractions(estimates: Estimates) -> Array:
    """Of the rows of the table, definitions last; NaN of what is fixed.

    Raises
    ------
    InferenceError
        The fit did not converge.
    """
    if not estimates.converged:
        raise InferenceError("the fit did not converge: there is no information to compare.")
    table, (_, slopes) = estimates.table, defined_parameters(estimates)
    free = np.array([row.free for row in table.rows], dtype=np.intp)
    gradients = np.concatenate((np.eye(len(table.names)), slopes))
    found = fractions(estimates, gradients)
    own, defined = found[: len(table.names)], found[len(table.names) :]
    return np.concatenate((np.where(free >= 0, own[free], np.nan), defined))


def fractions(estimates: Estimates, gradients: Array) -> Array:
    """Of functions of the parameters with these gradients (c, npar): (c,). NaN where the data do
    not determine one, or H is not positive definite."""
    directions = estimates.directions()
    if not estimates.problem.incomplete:
        found = np.zeros(len(gradients))
    else:
        observed = _variances(directions, estimates.information(directions, "observed"), gradients)
        try:
            complete = estimates.complete_information(directions)
        except EstimationError:
            return np.full(len(gradients), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = 1.0 - _variances(directions, complete, gradients) / observed
    apart = np.abs(gradients @ directions.lost).max(axis=1, initial=0.0) > 1e-8
    return np.where(apart | ~gradients.any(axis=1), np.nan, found)


def _variances(directions: Directions, information: Array, gradients: Array) -> Array:
    """diag(G B I⁻¹ Bᵀ Gᵀ), (c,); NaN where I is not positive definite."""
    factor = cholesky(information)
    if factor is None:
        return np.full(len(gradients), np.nan)
    half = np.linalg.solve(factor, (gradients @ directions.basis).T)
    return np.einsum("nc,nc->c", half, half)
