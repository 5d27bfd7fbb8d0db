"""`ReplicateEstimates`: what fits by replicate weights found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlsem.core.records import Array, Index


@dataclass(frozen=True, slots=True, eq=False)
class ReplicateEstimates:
    """Estimates by replicate weights.

    Attributes
    ----------
    params : (R, npar)
        Of the replicates that converged.
    factors : (R,)
        c_r of these, raised by the share of those that failed.
    numbers : (R,)
        Which they are, from 1.
    n_failed : int
    df : float
        Degrees of freedom of the design.
    title : str
        The method and the columns.
    """

    params: Array
    factors: Array
    numbers: Index
    n_failed: int
    df: float
    title: str

    def covariance(self, params: Array) -> Array:
        """V, (npar, npar)."""
        away = np.sqrt(self.factors)[:, None] * (self.params - params)
        return away.T @ away
