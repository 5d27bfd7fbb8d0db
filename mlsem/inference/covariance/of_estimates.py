"""Covariances of estimates, and what to say about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.arrow import Arrow, Layout, arrow_of, as_arrow, dense
from mlsem.core.clusters.unions import summed
from mlsem.core.clusters.view import RobustTerm
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, Index, frozen
from mlsem.errors import InferenceError, listed
from mlsem.estimation.directions import Directions
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.ml import involved
from mlsem.estimation.settings import InformationKind
from mlsem.estimation.standard_errors import CR0, STANDARD, Factor, StandardErrors
from mlsem.inference.covariance.cautions import cautions
from mlsem.inference.covariance.equations import EstimatingEquations
from mlsem.inference.covariance.freedom import df_method, with_freedom
from mlsem.inference.covariance.matrix import (
    Covariance,
    covariance,
    no_covariance,
    robust_covariance,
    silenced,
)
from mlsem.inference.covariance.replicated import on_replicates, replicated_covariance
from mlsem.inference.covariance.working import MixedTerm, WorkingClusters, working_term

LOOKED_AT = 500  # clusters up to which MLR looks for effects that few of them carry


@quiet
def covariance_of(estimates: Estimates) -> tuple[Covariance, tuple[str, ...]]:
    """The covariance that the settings ask for, and what is wrong with it.

    All NaN if the optimiser did not converge, if the information is not positive definite, or if
    the numbers are too large or small for the arithmetic; NaN for the parameters that the data do
    not determine at the estimates.
    """
    kind = kind_of(estimates)
    try:
        return _covariance_of(estimates, kind)
    except np.linalg.LinAlgError:
        return no_covariance(estimates.params, kind), (
            "standard errors could not be computed: some numbers are too large or too small. "
            "Measure the variables in units that make their standard deviations about 1.",
        )


def kind_of(estimates: Estimates) -> StandardErrors:
    """The standard errors that the settings mean for the model."""
    return estimates.settings.kind(robust=estimates.problem.only_robust)


def _covariance_of(
    estimates: Estimates, kind: StandardErrors
) -> tuple[Covariance, tuple[str, ...]]:
    problem, settings = estimates.problem, estimates.settings
    if not kind.exists or not estimates.converged:
        return no_covariance(estimates.params, kind), ()
    clusters = len(problem.robust.labels)
    if kind.sandwich and problem.robust.name is None and clusters < problem.moments.n_rows:
        raise InferenceError(
            "the fit has moments of all rows together (of a query, or made without cluster=): "
            "robust standard errors need rows or clusters. Ask for them as you fit the rows, "
            'mlsem.fit(…, se="MLR"), or name cluster="…".'
        )
    if kind.replicated:
        return replicated_covariance(estimates), ()
    method = df_method(problem, settings)
    if kind.model_based and estimates.restricted:
        found, wrong = _restricted(estimates)
        return (with_freedom(found, estimates, method) if method else found), wrong
    inner = "expected" if method else bread_of(estimates, kind)
    if kind.adjustment is None:
        directions = estimates.directions()
        small = None if problem.robust.strata is not None else factor_of(estimates, kind)
        form = inner if small is None else f"{inner}, times {small.formula}"
        if problem.robust.strata is not None:
            form = f"{inner}, by strata"
        sizes = len(problem.robust.labels), problem.moments.n_rows, len(estimates.params)
        factor = 1.0 if small is None else small(*sizes)
        equations = equations_of(estimates, directions, inner, with_scores=kind.sandwich)
        found = covariance(equations, kind, form, factor)
        if method:
            found = with_freedom(found, estimates, method)
        if found.flat:
            working = _with_clusters(estimates, directions, equations)
            found = silenced(found, robust_covariance(working, CR0, form).robust)
        lost = directions.lost
    else:
        own, seen = len(estimates.params), estimates.with_means()
        directions = seen.directions_apart()
        equations = working_equations(seen, directions, inner)
        equations = replace(equations, params=estimates.params, basis=equations.basis[:own])
        found = robust_covariance(equations, kind, inner, z=settings.test == "z")
        lost = directions.lost[:own]
    if found.robust is None and np.isnan(found.matrix).all():
        return found, (
            f"the {inner} information is not positive definite at the estimates: they are not a "
            "maximum, or the model is hardly identified there. There are no standard errors.",
        )
    return _without(found, lost, estimates.names)


@quiet
def doubted(estimates: Estimates, found: Covariance) -> tuple[Covariance, tuple[str, ...]]:
    """The covariance with the effective clusters of each parameter, where they were looked at, and
    what a user should be told of it."""
    if found.robust is None and np.isnan(found.matrix).all():
        return found, ()
    if found.kind.replicated:
        return found, on_replicates(estimates)
    unseen = found.kind.sandwich and found.kind.adjustment is None
    if unseen and len(estimates.problem.robust.labels) <= LOOKED_AT:
        found = replace(found, effective=_effective(estimates, bread_of(estimates, found.kind)))
    return found, cautions(estimates.problem, found)


def _effective(estimates: Estimates, kind: InformationKind) -> Shaped[Array, "npar"]:
    """1 / Σ_j h_j² with h_j the share of cluster j in the variance of each parameter if the model
    is right, (npar,); NaN where constraints leave it no freedom."""
    directions = estimates.directions()
    root = as_arrow(estimates.arranged_information(directions, kind)).root()
    assert root is not None  # there is a covariance
    along = root.solved(directions.basis.T).T
    variances = estimates.robust_variances(directions, along)
    return variances.sum(axis=0) ** 2 / (variances**2).sum(axis=0)


def bread_of(estimates: Estimates, kind: StandardErrors) -> InformationKind:
    """The information whose inverse is the bread: on the boundary the gradient is not zero, and
    the observed one no curvature; there it is for those only who ask for it. Where values are
    missing at random the expected information is that of others (Kenward & Molenberghs, 1998)."""
    settings, table = estimates.settings, estimates.table
    incomplete = estimates.problem.incomplete
    if estimates.boundary and settings.information is None:
        return "expected"
    observed = table.multilevel or bool(table.endogenous_products) or incomplete
    return settings.bread(kind, expected=not observed)


def factor_of(estimates: Estimates, kind: StandardErrors) -> Factor | None:
    """The factor of the kind, if it goes with the model."""
    factor = kind.factor
    if factor is None or not factor.single_level:
        return factor
    return factor if estimates.problem.only_robust else None


def _restricted(estimates: Estimates) -> tuple[Covariance, tuple[str, ...]]:
    """Of the fixed effects given the variances, as lme4's, and of these by REML."""
    matrix, lost = estimates.restricted_covariance()
    found = replace(no_covariance(estimates.params, STANDARD, "expected"), matrix=matrix)
    return _without(found, lost, estimates.names)


def equations_of(
    estimates: Estimates, directions: Directions, kind: InformationKind, *, with_scores: bool
) -> EstimatingEquations:
    information = estimates.arranged_information(directions, kind)
    if not with_scores:
        return EstimatingEquations(estimates.params, directions.basis, as_arrow(information))
    return _scored(estimates, directions, information)


def _scored(
    estimates: Estimates, directions: Directions, information: Shaped[Array, "... n n"] | Arrow
) -> EstimatingEquations:
    terms, arrow = _matched(estimates, directions, information)
    strata = estimates.problem.robust.strata
    return EstimatingEquations(
        params=estimates.params,
        basis=directions.basis,
        information=arrow,
        scores=tuple(
            _rows(arrow.layout, k, term.columns, stratified(term.scores(), strata))
            for k, term in enumerate(terms)
        ),
    )


def _matched(
    estimates: Estimates, directions: Directions, information: Shaped[Array, "... n n"] | Arrow
) -> tuple[tuple[RobustTerm, ...], Arrow]:
    """The robust clusters and the information by the same terms."""
    by_term = isinstance(information, Arrow) and not _as_one(estimates)
    terms = estimates.robust_terms(directions, by_term=by_term)
    return terms, as_arrow(information) if len(terms) > 1 else arrow_of(dense(information))


def stratified(
    scores: Shaped[Array, "... G n"], strata: Shaped[Index, "G"] | None
) -> Shaped[Array, "... G n"]:
    """√(J_h/(J_h - 1)) (s_j - s̄_h) of clusters of stratum h, of which there are J_h: their squares
    sum to the covariance of Σ s_j where clusters are drawn stratum by stratum."""
    if strata is None:
        return scores
    count = np.bincount(strata).astype(float)
    means = summed(scores, strata) / count[:, None]
    return np.sqrt(count / (count - 1.0))[strata, None] * (scores - means[strata])


def _as_one(estimates: Estimates) -> bool:
    """Whether robust clusters are taken as those of one term: what they count, and the strata that
    they were drawn from, go across groups."""
    return estimates.problem.moments.is_weighted or estimates.problem.robust.strata is not None


def _rows(
    layout: Layout, term: int, columns: Shaped[Index, "k"], scores: Shaped[Array, "... g k"]
) -> Shaped[Array, "... g m"]:
    """Rows along the directions that move a term, along `Layout.places`."""
    if not len(layout.shared):
        return scores
    total = np.zeros((len(scores), len(layout.places(term))))
    total[:, layout.placed(term, columns)] = scores
    return total


def working_equations(
    estimates: Estimates, directions: Directions, kind: InformationKind
) -> EstimatingEquations:
    """With the robust clusters, for the kinds of covariance that adjust their scores.

    The fixed effects of a linear mixed model have their information given the variances; after
    REML the observed information is that of the restricted likelihood, on the boundary, where
    it is no curvature and only for those who ask for it, that of the likelihood.
    """
    own = None
    if kind == "observed" and not estimates.boundary:
        own = estimates.restricted_information(directions)
    if own is not None:
        return _with_clusters(estimates, directions, _scored(estimates, directions, own))
    equations = equations_of(estimates, directions, kind, with_scores=True)
    information = equations.information
    if directions.fixed:
        information = _apart(information, directions.fixed)
    return _with_clusters(estimates, directions, replace(equations, information=information))


def _apart(information: Arrow, fixed: int) -> Arrow:
    """Without what it has between the first directions, those of fixed effects, and the others."""
    first = np.arange(information.size) < fixed
    return arrow_of(np.where(first == first[:, None], information.dense, 0.0))


def _with_clusters(
    estimates: Estimates, directions: Directions, equations: EstimatingEquations
) -> EstimatingEquations:
    problem, rows = estimates.problem, estimates.mixed_rows(directions)
    assert equations.scores is not None
    layout, moments = equations.layout, problem.moments
    weights = moments.weights if moments.is_weighted else None
    terms = estimates.robust_terms(directions, by_term=len(equations.scores) > 1)
    total = as_arrow(estimates.arranged_information(directions, "expected"))
    mixed = None
    if rows is not None:
        (term,), first = terms, rows.fixed
        total = _apart(total, first)
        unions, columns = term.unions(apart=False, first=first), term.columns[first:]
        mixed = MixedTerm(rows, working_term(unions, term.numbers, layout, 0, columns))
    clusters = WorkingClusters(
        terms=tuple(
            working_term(
                term.unions(apart=mixed is not None), term.numbers, layout, k, term.columns, weights
            )
            for k, term in enumerate(terms)
        ),
        total=total if len(terms) > 1 else arrow_of(total.dense),
        mixed=mixed,
        labels=problem.robust.labels,
        n_rows=moments.n_rows,
        n_fixed=directions.fixed,
    )
    return replace(equations, clusters=clusters)


def _without(
    found: Covariance, directions: Shaped[Array, "npar l"], names: tuple[str, ...]
) -> tuple[Covariance, tuple[str, ...]]:
    """NaN for the parameters that move along directions (npar, l) that are lost, and so said."""
    if not directions.shape[1]:
        return found, ()
    lost = involved(directions, names)
    matrix = found.matrix.copy()
    gone = [names.index(name) for name in lost]
    matrix[gone], matrix[:, gone] = np.nan, np.nan
    return replace(found, matrix=frozen(matrix)), (
        f"at these estimates the data do not determine {listed(lost)} (a variance near zero is "
        "the usual cause): they have no standard errors.",
    )
