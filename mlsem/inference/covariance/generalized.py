"""Covariances of generalised linear models and of estimating equations (GEE).

With scores s_j and parts B_j in the information, M = (ΣB_j)⁻¹, they are what the seam takes
(`EstimatingEquations`); a cluster's score is linear in the data, its cumulants are taken for 0.
Kauermann & Carroll's (2001) correction is CR2 of the scores, for D'V⁻¹ (I - D M D'V⁻¹)^{-½} =
(I - B M)^{-½} D'V⁻¹; Mancl & DeRouen's (2001) is CR3. Morel, Bokossa & Neerchal (2003):

    V = k M (Σ s sᵀ) M + δ ξ M,   k = (N-1)/(N-p) · J/(J-1),   δ = min(½, p/(J-p)),
    ξ = max(1, tr(M Σ s sᵀ)/p)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.arrow import arrow_of
from mlsem.core.clusters.unions import unions
from mlsem.core.generalized.parts import KnownParts
from mlsem.core.generalized.residual_form import ResidualForm, residual_form
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.errors import listed
from mlsem.estimation.generalized.estimates import GlmEstimates
from mlsem.estimation.standard_errors import MBN, StandardErrors
from mlsem.inference.covariance.equations import EstimatingEquations
from mlsem.inference.covariance.matrix import (
    Covariance,
    no_covariance,
    robust_covariance,
)
from mlsem.inference.covariance.reference import DfMethod, JointTest
from mlsem.inference.covariance.statistics import Statistic, naive_f, wald_distance
from mlsem.inference.covariance.working import WorkingClusters, WorkingTerm

FEW_CLUSTERS = 30
FEW_DF = 4.0
FEW_EFFECTIVE = 10.0


@dataclass(frozen=True, slots=True)
class ClustersLessParameters:
    """A `Reference` of J - p degrees of freedom."""

    clusters: int
    left: int

    @property
    def joint_test(self) -> JointTest:
        return "F"

    @property
    def method(self) -> DfMethod | None:
        return None

    def tests(self, gradients: Shaped[Array, "q npar"]) -> bool:
        return True

    def df(self, gradients: Shaped[Array, "c npar"]) -> Shaped[Array, "c"]:
        return np.full(len(gradients), float(self.left))

    def joint(
        self,
        estimate: Shaped[Array, "q"],
        gradients: Shaped[Array, "q npar"],
        spread: Shaped[Array, "q q"],
    ) -> Statistic:
        """Q / q ~ F(q, J - p)."""
        return naive_f(wald_distance(estimate, spread), len(spread), self.left + 1)


def equations_of(estimates: GlmEstimates) -> EstimatingEquations:
    """Along φ = θ in units in which the information has a unit diagonal."""
    found = estimates.solution
    total = found.informations.sum(axis=0)
    scale = np.sqrt(np.diagonal(total))
    parts = found.informations / scale[:, None] / scale
    information = arrow_of(total / scale[:, None] / scale)
    count, size = len(parts), len(scale)
    everyone, every = np.arange(count), np.arange(size)
    return EstimatingEquations(
        params=found.params,
        basis=np.diag(1.0 / scale),
        information=information,
        scores=(found.scores / scale,),
        clusters=WorkingClusters(
            terms=(
                WorkingTerm(unions(KnownParts(parts), everyone, apart=True), everyone, every, size),
            ),
            total=information,
            mixed=None,
            labels=estimates.data.labels,
            n_rows=estimates.n_rows,
            n_fixed=size + estimates.data.n_absorbed,
            residual=_residual_form(estimates, scale),
        ),
    )


def _residual_form(estimates: GlmEstimates, scale: Shaped[Array, "p"]) -> ResidualForm | None:
    """Where residuals are adjusted, in the same units."""
    if estimates.settings.se_form == "scores":
        return None
    (family, link), rows = estimates.settings.records, estimates.data.rows
    there = estimates.solution.rows
    variance = family.variance(there.mean) / rows.trials
    moved = rows.design * link.slope(there.eta) / scale[:, None]
    correlation = estimates.solution.correlation
    return residual_form(rows, correlation, moved, variance, rows.outcome - there.mean)


@quiet
def glm_covariance(estimates: GlmEstimates) -> tuple[Covariance, tuple[str, ...]]:
    """The covariance that the settings ask for, and what a reader should know of it."""
    settings = estimates.settings
    kind, size = settings.kind, len(estimates.params)
    if not kind.exists:
        return no_covariance(estimates.params, kind), ()
    clusters = len(estimates.data.labels)
    if kind.model_based:
        found = _model_based(estimates, kind)
    else:
        z = settings.df == "z"
        found = robust_covariance(equations_of(estimates), kind, "expected", z=z or kind is MBN)
        if kind is MBN and found.robust is not None:
            found = _with_identity(estimates, found)
    usual = settings.df is None and not kind.has_df and not kind.model_based
    if settings.df == "J-p" or usual:
        left = clusters - size
        if left < 1:
            none = no_covariance(estimates.params, kind, found.form)
            return none, (f"J - p: {clusters} clusters are not more than {size} parameters.",)
        found = replace(found, reference=ClustersLessParameters(clusters, left))
        if found.robust is not None:
            df = np.full(size, float(left))
            found = replace(found, robust=replace(found.robust, df=frozen(df)))
    elif settings.df == "z" and found.robust is not None:
        found = replace(found, robust=replace(found.robust, df=np.full(size, np.inf)))
    return found, tuple(_cautions(estimates, found))


def _model_based(estimates: GlmEstimates, kind: StandardErrors) -> Covariance:
    """φ M; φ is 1 for binomial and Poisson models of independent rows."""
    family, _ = estimates.settings.records
    equations = equations_of(estimates)
    root = equations.information.root()
    if root is None:
        return no_covariance(estimates.params, kind)
    dispersed = family.dispersed or estimates.settings.corr != "independence"
    dispersion = estimates.dispersion if dispersed else 1.0
    return Covariance(frozen(dispersion * root.sandwich(equations.basis)), kind, "expected")


def _with_identity(estimates: GlmEstimates, found: Covariance) -> Covariance:
    """Morel, Bokossa & Neerchal's."""
    solution = estimates.solution
    bread = np.linalg.inv(solution.informations.sum(axis=0))
    meat = solution.scores.T @ solution.scores
    size, rows, clusters = len(bread), estimates.n_rows, len(solution.scores)
    factor = (rows - 1) / (rows - size) * clusters / (clusters - 1)
    share = min(0.5, size / (clusters - size)) if clusters > size else 0.5
    spread = max(1.0, float(np.trace(bread @ meat)) / size)
    return replace(found, matrix=frozen(factor * found.matrix + share * spread * bread))


def _cautions(estimates: GlmEstimates, found: Covariance) -> list[str]:
    """Sentences on a covariance; none where nothing is doubtful."""
    names, labels = estimates.names, estimates.data.labels
    clusters, cluster = len(labels), estimates.data.cluster
    said: list[str] = []
    if cluster is None:
        return said
    if found.kind.model_based:
        return [
            f"model-based standard errors take the rows of a cluster of {cluster!r} for "
            + (
                "independent: they are too small for what varies between clusters. "
                if estimates.settings.corr == "independence"
                else "correlated as the working correlation says. "
            )
            + 'se="CR2" needs neither.'
        ]
    robust = found.robust
    if robust is not None and robust.undetermined.any():
        lost = [names[k] for k in np.flatnonzero(robust.undetermined)]
        shares = robust.alone[robust.undetermined].max(axis=0)
        alone = labels[robust.soloists[shares > shares.max() / 100]].tolist()
        shown = ", ".join(str(each) for each in alone[:5])
        said.append(
            f"no cluster-robust standard error of {listed(lost)}: cluster {shown} of {cluster!r} "
            "alone determines it, so that no other cluster shows how uncertain that is (leverage "
            "1). More clusters are needed, or the effect is left out."
        )
    if np.isinf(found.df[~np.isnan(found.df)]).all() and clusters < FEW_CLUSTERS:
        said.append(
            f"{clusters} clusters are few: z tests reject too often. "
            'df="satterthwaite" (the default of se="CR2") has t tests that correct for that.'
        )
    if clusters < len(names):
        said.append(
            f"{clusters} clusters are fewer than the {len(names)} parameters: the robust "
            "covariance matrix is singular, and joint tests of many parameters do not exist."
        )
    effects = np.array([name != "(Intercept)" for name in names])
    low = effects & (found.df < FEW_DF)
    if low.any():
        shown = ", ".join(f"{names[k]} {found.df[k]:.1f}" for k in np.flatnonzero(low)[:5])
        said.append(
            f"few degrees of freedom ({shown}): read the p values as rough, the intervals are wide."
        )
    if found.effective is not None:
        few = effects & (found.effective < min(FEW_EFFECTIVE, clusters / 2)) & ~low
        few &= ~np.isnan(found.se)
        if few.any():
            shown = ", ".join(
                f"{names[k]} {found.effective[k]:.1f}" for k in np.flatnonzero(few)[:5]
            )
            said.append(
                f"far fewer effective clusters than {clusters} ({shown}): a few clusters carry the "
                "information on these effects."
            )
    return said
