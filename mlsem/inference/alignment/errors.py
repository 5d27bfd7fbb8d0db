"""Standard errors of many functions of the parameters, by the delta method."""

from __future__ import annotations

from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array
from mlsem.inference.covariance.matrix import Covariance


def spread_of(covariance: Covariance, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c c"]:
    """The covariance matrix of functions with these gradients, many of them; NaN where one uses a
    parameter without a variance, or has no gradient."""
    lost = np.isnan(np.diagonal(covariance.matrix))
    matrix = np.where(lost | lost[:, None], 0.0, covariance.matrix)
    unknown = gradients[:, lost].any(axis=1) | np.isnan(gradients).any(axis=1)
    found = gradients @ matrix @ gradients.T
    found[unknown] = found[:, unknown] = np.nan
    diagonal = np.diagonal(found)
    found[np.diag_indices(len(found))] = np.maximum(diagonal, 0.0)
    return found


def df_of(
    covariance: Covariance, gradients: Shaped[Array, "c npar"], se: Shaped[Array, "c"]
) -> Shaped[Array, "c"]:
    """Degrees of freedom of functions with these gradients; infinite where they do not vary."""
    df, varies = np.full(len(se), np.inf), se > 0
    if covariance.reference is not None and varies.any():
        df[varies] = covariance.reference.df(gradients[varies])
    return df
