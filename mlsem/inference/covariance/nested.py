"""Covariances of the estimates of a linear mixed model of three levels.

What the model says of them has nothing between fixed effects and variances: Φ = (XᵀV⁻¹X)⁻¹, and the
inverse information of the variances. Robust ones sum over the outer clusters, those that the model
takes for independent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.arrow import arrow_of
from mlsem.core.clusters.unions import unions
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.core.restricted.nested.clusters import NestedMixedRows, nested_parts, scores
from mlsem.core.restricted.nested.likelihood import derivatives_of
from mlsem.core.restricted.nested.variation import NestedVariation
from mlsem.core.restricted.variation import scaled_root
from mlsem.errors import listed
from mlsem.estimation.nested import NestedEstimates
from mlsem.estimation.settings import InformationKind
from mlsem.estimation.standard_errors import STANDARD, StandardErrors
from mlsem.inference.covariance.cautions import cautions
from mlsem.inference.covariance.equations import EstimatingEquations
from mlsem.inference.covariance.freedom import referred
from mlsem.inference.covariance.matrix import (
    Covariance,
    covariance,
    no_covariance,
    robust_covariance,
)
from mlsem.inference.covariance.reference import DfMethod
from mlsem.inference.covariance.working import MixedTerm, WorkingClusters, WorkingTerm


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """A `Source` of the variation, taken when a test asks for it."""

    estimates: NestedEstimates

    @property
    def variation(self) -> NestedVariation:
        own = self.estimates
        return NestedVariation(own.point, own.changes, interior=not own.boundary)


def nested_df_method(estimates: NestedEstimates) -> DfMethod | None:
    """How model-based standard errors get degrees of freedom; None for z tests and other kinds."""
    settings, kind = estimates.settings, estimates.settings.kind()
    asked = settings.asked_df(kind)
    if asked is not None:
        return asked
    plain = kind.takes_df and settings.test is None and settings.information != "observed"
    return "satterthwaite" if plain else None


@quiet
def nested_covariance(estimates: NestedEstimates) -> tuple[Covariance, tuple[str, ...]]:
    """The covariance that the settings ask for, and what a reader should know of it."""
    settings, kind = estimates.settings, estimates.settings.kind()
    if not kind.exists or not estimates.converged:
        return no_covariance(estimates.params, kind), ()
    method = nested_df_method(estimates)
    inner = "expected" if method else _bread(estimates, kind)
    lost = estimates.names[len(estimates.data.fixed) :]
    if kind.model_based:
        found = _model_based(estimates, inner)
        gone = tuple(n for n in lost if np.isnan(found.se[estimates.names.index(n)]))
        if method is not None:
            found = referred(found, _Fit(estimates), method)
    else:
        equations = nested_equations(estimates, inner)
        if kind.adjustment is None:
            found = covariance(equations, kind, inner)
        else:
            found = robust_covariance(equations, kind, inner, z=settings.test == "z")
        gone = lost if np.isnan(found.matrix).all() else ()
    said = cautions(estimates, found)
    if gone:
        said = (
            f"at these estimates the data do not determine {listed(gone)} (a variance near zero is "
            "the usual cause): they have no standard errors.",
            *said,
        )
    return found, said


def _bread(estimates: NestedEstimates, kind: StandardErrors) -> InformationKind:
    """On the boundary, where the observed information is no curvature, the expected one."""
    settings = estimates.settings
    if estimates.boundary and settings.information is None:
        return "expected"
    return settings.bread(kind, expected=False)


def _information(estimates: NestedEstimates, kind: InformationKind) -> Shaped[Array, "K K"]:
    """Of the variances, by what was maximised."""
    expected, observed, _ = derivatives_of(estimates.point, estimates.changes)[1]
    return expected if kind == "expected" or estimates.boundary else observed


def _model_based(estimates: NestedEstimates, kind: InformationKind) -> Covariance:
    """Φ, and the inverse information of the variances; NaN where that is singular."""
    fixed = estimates.point.root
    p, matrix = len(fixed), np.zeros((len(estimates.params),) * 2)
    root = scaled_root(_information(estimates, kind))
    matrix[:p, :p] = fixed @ fixed.T
    half = None if root is None else estimates.to_user[p:, p:] @ root
    matrix[p:, p:] = np.nan if half is None else half @ half.T
    return replace(no_covariance(estimates.params, STANDARD, kind), matrix=frozen(matrix))


def nested_equations(estimates: NestedEstimates, kind: InformationKind) -> EstimatingEquations:
    """Along ξ, and along variances in units in which their expected information has a unit
    diagonal."""
    point, found = estimates.point, estimates.changes
    p, count = len(point.root), len(point.params)
    unit = np.ones(count)
    unit[p:] = np.sqrt(0.5 * np.einsum("kkg->k", found.pairs))
    basis = np.zeros((count, count))
    basis[:p, :p] = point.root
    basis[p:, p:] = np.diag(1.0 / unit[p:])
    parts = nested_parts(point, found, unit)
    everyone, places = np.arange(parts.n_clusters), np.arange(count)
    bread = np.eye(count)
    bread[p:, p:] = _information(estimates, kind) / np.outer(unit[p:], unit[p:])
    term, variances = (
        WorkingTerm(
            unions(each, everyone, apart=True),
            everyone,
            places[: each.n_directions],
            each.n_directions,
        )
        for each in (parts, parts.only(places[p:]))
    )
    total = parts.each.sum(axis=0)
    robust = estimates.robust
    return EstimatingEquations(
        params=estimates.params,
        basis=estimates.to_user @ basis,
        information=arrow_of(bread),
        scores=(scores(point, found) / unit,),
        clusters=WorkingClusters(
            terms=(term,),
            total=arrow_of(total),
            mixed=MixedTerm(NestedMixedRows(point), variances),
            labels=robust.labels,
            n_rows=estimates.data.n_rows,
            n_fixed=p,
        ),
    )
