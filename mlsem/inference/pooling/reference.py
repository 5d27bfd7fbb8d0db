"""The pooled covariance T as tables and tests take one, with degrees of freedom of contrasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Literal

import numpy as np

from mlsem.core.records import Array, Index, frozen
from mlsem.errors import InferenceError
from mlsem.inference.covariance.matrix import Covariance
from mlsem.inference.covariance.reference import DfMethod
from mlsem.inference.covariance.statistics import Statistic, scaled_f
from mlsem.inference.pooling.joint import JointTest, d1
from mlsem.inference.pooling.rules import Parts, PooledDf, pooled


@dataclass(frozen=True, slots=True, eq=False)
class PooledReference:
    """Degrees of freedom and D1 of contrasts of pooled estimates.

    Attributes
    ----------
    parts : Parts
    covariances : tuple of Covariance
        Of each data set, which know its degrees of freedom ν.
    df_kind : {"matching", "barnard-rubin", "rubin"}
    complete_df : float or None
        ν in place of theirs.
    nested : bool
    """

    parts: Parts
    covariances: tuple[Covariance, ...]
    df_kind: PooledDf
    complete_df: float | None
    nested: bool

    @property
    def joint_test(self) -> Literal["F"]:
        return "F"

    @property
    def method(self) -> DfMethod | None:
        return None

    def tests(self, gradients: Shaped[Array, "q npar"]) -> bool:
        return all(
            each.reference is None or each.reference.tests(gradients) for each in self.covariances
        )

    def complete(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c"]:
        """ν of contrasts, the mean over data sets."""
        if self.complete_df is not None:
            return np.full(len(gradients), float(self.complete_df))
        single = len(gradients) == gradients.shape[1] and np.array_equal(
            gradients, np.eye(len(gradients))
        )
        found = [
            each.df if single else each.of_functions(gradients)[1] for each in self.covariances
        ]
        return np.mean(found, axis=0)

    def df(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c"]:
        """Of contrasts one by one."""
        return self.parts.along(gradients).df(self.complete(gradients), self.df_kind)

    def joint(
        self,
        estimate: Shaped[Array, "q"],
        gradients: Shaped[Array, "q npar"],
        spread: Shaped[Array, "q q"],
    ) -> Statistic:
        """D1."""
        return self.d1(estimate, gradients).statistic

    def d1(self, estimate: Shaped[Array, "q"], gradients: Shaped[Array, "q npar"]) -> JointTest:
        """D1 of contrasts; of one contrast the t test, squared.

        Raises
        ------
        InferenceError
            There are several contrasts, and the values are nested; or there is no such test in a
            data set.
        """
        if len(estimate) == 1:
            own = self.parts.along(gradients)
            distance = float(estimate[0] ** 2 / own.total[0])
            return JointTest(scaled_f(distance, 1, float(self.df(gradients)[0])), float(own.riv[0]))
        if self.nested:
            raise InferenceError(
                "there is no joint test of several constraints for nested imputations: test them "
                "one at a time."
            )
        within, added = (
            gradients @ matrix @ gradients.T
            for matrix in (self.parts.within, self.parts.matrices[0])
        )
        nu = self._joint_complete(estimate, gradients)
        return d1(estimate, within, added, len(self.covariances), nu)

    def _joint_complete(
        self, estimate: Shaped[Array, "q"], gradients: Shaped[Array, "q npar"]
    ) -> float:
        """ν of the test in a completed data set, the mean over them."""
        if self.df_kind == "rubin":
            return np.inf
        if self.complete_df is not None:
            return float(self.complete_df)
        found = [
            np.inf
            if each.reference is None
            else each.reference.joint(
                estimate, gradients, gradients @ each.matrix @ gradients.T
            ).df_denom
            for each in self.covariances
        ]
        return float(np.mean(found))


def pooled_covariance(
    estimates: Shaped[Array, "m npar"],
    covariances: Sequence[Covariance],
    nests: Sequence[Shaped[Index, "e"]],
    df_kind: PooledDf,
    complete_df: float | None,
) -> Covariance:
    """T of estimates by Rubin's rules, its reference that of the pooled contrasts."""
    first = covariances[0]
    parts = pooled(estimates, np.array([each.matrix for each in covariances]), nests)
    reference = PooledReference(parts, tuple(covariances), df_kind, complete_df, bool(nests))
    return Covariance(frozen(parts.total), first.kind, first.form, reference, forms=first.forms)
