"""The covariance of estimates by replicate weights, V = Σ_r c_r (θ_r - θ)(θ_r - θ)ᵀ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.records import Array, frozen
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.replicated import ReplicateEstimates
from mlsem.estimation.standard_errors import REPLICATES
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.reference import DfMethod, JointTest
from mlsem.inference.covariance.statistics import Statistic, hotelling_f, wald_distance


@dataclass(frozen=True, slots=True)
class DesignReference:
    """t tests with the degrees of freedom of a design, for all contrasts the same.

    Attributes
    ----------
    design : float
    """

    design: float

    @property
    def joint_test(self) -> JointTest:
        return "F"

    @property
    def method(self) -> DfMethod | None:
        return None

    def tests(self, gradients: Shaped[Array, "q npar"]) -> bool:
        return True

    def df(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c"]:
        return np.full(len(gradients), self.design)

    def joint(
        self,
        estimate: Shaped[Array, "q"],
        gradients: Shaped[Array, "q npar"],
        spread: Shaped[Array, "q q"],
    ) -> Statistic:
        """F with q and df - q + 1 degrees of freedom (Korn & Graubard, 1990)."""
        return hotelling_f(wald_distance(estimate, spread), len(spread), self.design)


def replicated_covariance(estimates: Estimates) -> Covariance:
    """Raises `InferenceError` where there are no replicates."""
    found = _known(estimates)
    z = estimates.settings.test == "z"
    matrix = frozen(found.covariance(estimates.params))
    reference = None if z else DesignReference(found.df)
    return Covariance(matrix, REPLICATES, found.title, reference)


def on_replicates(estimates: Estimates) -> tuple[str, ...]:
    """What a user should be told."""
    found = _known(estimates)
    if not found.n_failed:
        return ()
    count = len(found.params) + found.n_failed
    return (
        f"{found.n_failed} of {count} fits by replicate weights did not converge; the others stand "
        "for them.",
    )


def _known(estimates: Estimates) -> ReplicateEstimates:
    if estimates.replicates is None:
        raise InferenceError(
            'se="replicates" takes fits by replicate weights, and there are none here: fit the '
            "rows with replicates=."
        )
    return estimates.replicates
