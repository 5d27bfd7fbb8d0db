"""The reference distribution of a covariance: degrees of freedom of its t tests, joint tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Literal, Protocol

from mlsem.core.records import Array
from mlsem.estimation.standard_errors import StandardErrors
from mlsem.inference.covariance.cluster_robust import RobustContrasts, robust_contrasts
from mlsem.inference.covariance.equations import WhiteClusters
from mlsem.inference.covariance.statistics import Statistic, hotelling_f, wald_distance, wishart_df

JointTest = Literal["F", "HTZ"]
DfMethod = Literal["satterthwaite", "kenward-roger"]


class Reference(Protocol):
    """Where the degrees of freedom of a covariance come from."""

    @property
    def joint_test(self) -> JointTest:
        """The name of its joint test."""
        ...

    @property
    def method(self) -> DfMethod | None:
        """Of model-based errors."""
        ...

    def tests(self, gradients: Shaped[Array, "q npar"]) -> bool:
        """Whether contrasts with these gradients (q, npar) have such tests."""
        ...

    def df(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c"]:
        """Of contrasts cᵀθ one by one, gradients (c, npar) -> (c,); NaN where there is none."""
        ...

    def joint(
        self,
        estimate: Shaped[Array, "q"],
        gradients: Shaped[Array, "q npar"],
        spread: Shaped[Array, "q q"],
    ) -> Statistic:
        """Of contrasts (q,) with gradients (q, npar) and covariance `spread` (q, q) together.

        Raises
        ------
        InferenceError
            The test does not exist.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ClusterReference:
    """Of a cluster-robust covariance."""

    clusters: WhiteClusters
    kind: StandardErrors

    @property
    def joint_test(self) -> JointTest:
        return "HTZ"

    @property
    def method(self) -> DfMethod | None:
        return None

    def tests(self, gradients: Shaped[Array, "q npar"]) -> bool:
        return True

    def contrasts(self, gradients: Shaped[Array, "c npar"]) -> RobustContrasts:
        """Of contrasts cᵀθ, gradients (c, npar)."""
        return robust_contrasts(self.clusters, self.kind, self.clusters.contrasts(gradients))

    def df(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c"]:
        return self.contrasts(gradients).df

    def joint(
        self,
        estimate: Shaped[Array, "q"],
        gradients: Shaped[Array, "q npar"],
        spread: Shaped[Array, "q q"],
    ) -> Statistic:
        """HTZ (Pustejovsky & Tipton, 2018)."""
        assert self.kind.adjustment is not None
        nu = wishart_df(self.clusters, self.kind.adjustment, self.clusters.contrasts(gradients))
        return hotelling_f(wald_distance(estimate, spread), len(spread), nu)
