"""Covariances of the estimates of a problem at its optimum, and what to say about them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlsem.core.clusters.reduced import MixedClusters
from mlsem.core.clusters.unions import summed, unions
from mlsem.core.implied.derivatives import leading
from mlsem.core.implied.means import fixed_effects, is_mixed
from mlsem.core.optimise.maximise import Optimum, Restricted
from mlsem.core.optimise.objective import MomentDerivatives, well_conditioned
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.errors import listed
from mlsem.estimation.ml import involved
from mlsem.estimation.problem import Problem
from mlsem.estimation.settings import InformationKind, SeKind, Settings
from mlsem.inference.covariance.cautions import cautions
from mlsem.inference.covariance.equations import EstimatingEquations, WorkingClusters
from mlsem.inference.covariance.freedom import df_method, with_freedom
from mlsem.inference.covariance.implicit_means import with_means
from mlsem.inference.covariance.matrix import (
    Covariance,
    covariance,
    effective_clusters,
    no_covariance,
    robust_covariance,
    silenced,
)

LOOKED_AT = 500  # clusters up to which MLR looks for effects that few of them carry


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Well-conditioned directions at the optimum, of the optimiser's parameters.

    Attributes
    ----------
    at : MomentDerivatives
        Along them.
    lost : (npar, l)
        Directions that the data do not determine there.
    fixed : int
        How many of the first are those of the fixed effects of a linear mixed model of one
        outcome; 0 where the model is none.
    """

    at: MomentDerivatives
    lost: Array
    fixed: int = 0


@quiet
def covariance_of(
    problem: Problem, settings: Settings, optimum: Optimum, *, clustered: bool
) -> tuple[Covariance, tuple[str, ...]]:
    """The covariance that the settings ask for, and what is wrong with it.

    All NaN if the optimiser did not converge, if the information is not positive definite, or if
    the numbers are too large or small for the arithmetic; NaN for the parameters that the data do
    not determine at the estimates.
    """
    kind = settings.kind(two_level=problem.table.two_level, clustered=clustered)
    try:
        return _covariance_of(problem, settings, optimum, kind, clustered)
    except np.linalg.LinAlgError:
        return no_covariance(optimum.params, kind), (
            "standard errors could not be computed: some numbers are too large or too small. "
            "Measure the variables in units that make their standard deviations about 1.",
        )


def _covariance_of(
    problem: Problem, settings: Settings, optimum: Optimum, kind: SeKind, clustered: bool
) -> tuple[Covariance, tuple[str, ...]]:
    two_level = problem.table.two_level
    if kind == "none" or not optimum.converged:
        return no_covariance(optimum.params, kind), ()
    method = df_method(problem, settings, clustered=clustered)
    if kind == "standard" and optimum.restricted is not None:
        found, wrong = _restricted(problem, optimum, optimum.restricted)
        return (with_freedom(found, problem, optimum, method) if method else found), wrong
    inner = "expected" if method else _bread(problem, settings, optimum, kind)
    if kind == "standard" or kind == "MLR":
        directions = _directions(problem, optimum)
        clusters = len(problem.robust.labels)
        small = kind == "MLR" and clustered and not two_level
        factor = clusters / (clusters - 1.0) if small else 1.0
        form = inner + (", times J/(J-1)" if small else "")
        equations = _equations(problem, optimum, directions, inner, with_scores=kind == "MLR")
        found = covariance(equations, kind, form, factor)
        if method:
            found = with_freedom(found, problem, optimum, method)
        if found.flat:
            working = _with_clusters(problem, optimum, directions, equations)
            found = silenced(found, robust_covariance(working, "CR0", form).robust)
    else:
        own = len(optimum.params)
        seen, there = with_means(problem, optimum)
        directions = _apart(seen, there)
        equations = working_equations(seen, there, directions, inner)
        equations = replace(equations, params=optimum.params, basis=equations.basis[:own])
        directions = replace(directions, lost=directions.lost[:own])
        found = robust_covariance(equations, kind, inner, z=settings.test == "z")
    if found.robust is None and np.isnan(found.matrix).all():
        return found, (
            f"the {inner} information is not positive definite at the estimates: they are not a "
            "maximum, or the model is hardly identified there. There are no standard errors.",
        )
    if not directions.lost.shape[1]:
        return found, ()
    found, doubt = _without(found, directions.lost, problem.table.names)
    return found, (doubt,)


@quiet
def doubted(
    problem: Problem, settings: Settings, optimum: Optimum, found: Covariance
) -> tuple[Covariance, tuple[str, ...]]:
    """The covariance with the effective clusters of each parameter, where they were looked at, and
    what a user should be told of it."""
    if found.robust is None and np.isnan(found.matrix).all():
        return found, ()
    if found.kind == "MLR" and len(problem.robust.labels) <= LOOKED_AT:
        directions, inner = _directions(problem, optimum), _bread(problem, settings, optimum, "MLR")
        equations = _equations(problem, optimum, directions, inner, with_scores=False)
        working = _with_clusters(problem, optimum, directions, equations)
        found = replace(found, effective=effective_clusters(working))
    return found, cautions(problem, found)


def _bread(problem: Problem, settings: Settings, optimum: Optimum, kind: SeKind) -> InformationKind:
    """The information whose inverse is the bread: on the boundary the gradient is not zero, and
    the observed one no curvature; there it is for those only who ask for it."""
    if optimum.singular and settings.information is None:
        return "expected"
    table = problem.table
    return settings.bread(kind, expected=not (table.two_level or table.endogenous_products))


def _restricted(
    problem: Problem, optimum: Optimum, restricted: Restricted
) -> tuple[Covariance, tuple[str, ...]]:
    """Of the fixed effects given the variances, as lme4's, and of these by REML."""
    root = problem.coordinates.jacobian(optimum.params) @ restricted.root
    found = replace(
        no_covariance(optimum.params, "standard", "expected"), matrix=frozen(root @ root.T)
    )
    if not restricted.lost.shape[1]:
        return found, ()
    found, doubt = _without(found, restricted.lost, problem.table.names)
    return found, (doubt,)


def _directions(problem: Problem, optimum: Optimum) -> Directions:
    none = np.zeros((len(optimum.params), 0))
    at, observed = optimum.at, optimum.observed
    if observed is not None and isinstance(at, MomentDerivatives) and well_conditioned(observed):
        return Directions(at, none)
    return _conditioned(problem, optimum, [optimum.free])


def _apart(problem: Problem, optimum: Optimum) -> Directions:
    """Directions in which the fixed effects of a linear mixed model come first."""
    pattern = problem.inner.pattern
    split = fixed_effects(pattern, optimum.free) if is_mixed(pattern) else None
    if split is None or not split[0].shape[1]:
        return _directions(problem, optimum)
    at = problem.inner.derivatives(optimum.point, np.concatenate(split, axis=1))
    if well_conditioned(problem.inner.expected(optimum.point, at)):
        return Directions(at, np.zeros((len(optimum.params), 0)), split[0].shape[1])
    return _conditioned(problem, optimum, list(split))


def _conditioned(problem: Problem, optimum: Optimum, blocks: list[Array]) -> Directions:
    found = [problem.inner.conditioned(optimum.point, block) for block in blocks]
    kept = [each.at.basis[:, each.lost :] for each in found]
    lost = np.concatenate([each.at.basis[:, : each.lost] for each in found], axis=1)
    at = problem.inner.derivatives(optimum.point, np.concatenate(kept, axis=1))
    return Directions(at, lost, kept[0].shape[1] if len(blocks) > 1 else 0)


def _equations(
    problem: Problem,
    optimum: Optimum,
    directions: Directions,
    kind: InformationKind,
    *,
    with_scores: bool,
) -> EstimatingEquations:
    at = directions.at
    scores = _scores(problem, optimum, at) if with_scores else None
    return EstimatingEquations(
        params=optimum.params,
        basis=problem.coordinates.jacobian(optimum.params) @ at.basis,
        information=_information(problem, optimum, at, kind),
        scores=None if scores is None else _by_robust(problem, scores),
    )


def working_equations(
    problem: Problem, optimum: Optimum, directions: Directions, kind: InformationKind
) -> EstimatingEquations:
    """With the robust clusters, for the kinds of covariance that adjust their scores.

    The fixed effects of a linear mixed model have their information given the variances; after
    REML the observed information is that of the restricted likelihood, on the boundary, where
    it is no curvature and only for those who ask for it, that of the likelihood.
    """
    equations = _equations(problem, optimum, directions, kind, with_scores=True)
    information = equations.information
    if kind == "observed" and optimum.restricted is not None and not optimum.singular:
        half = np.linalg.lstsq(optimum.restricted.bread, directions.at.basis)[0]
        information = half.T @ half
    elif directions.fixed:
        own = np.arange(len(information)) < directions.fixed
        information = np.where(own == own[:, None], information, 0.0)
    equations = replace(equations, information=information)
    return _with_clusters(problem, optimum, directions, equations)


def _with_clusters(
    problem: Problem, optimum: Optimum, directions: Directions, equations: EstimatingEquations
) -> EstimatingEquations:
    return replace(equations, clusters=_working_clusters(problem, optimum, directions))


def _working_clusters(
    problem: Problem, optimum: Optimum, directions: Directions
) -> WorkingClusters:
    """The robust clusters as the fitted model sees them."""
    mixed = _mixed(problem, optimum, directions)
    parts = problem.clusters.parts(optimum.point, directions.at.along)
    grouped = unions(parts, problem.robust.codes, apart=mixed is not None)
    return WorkingClusters(
        information=frozen(grouped.information()),
        kind=frozen(grouped.kind),
        cumulants=grouped.cumulants,
        third=grouped.third_cumulants,
        mixed=mixed,
        labels=problem.robust.labels,
        n_rows=problem.moments.n_rows,
    )


def _mixed(problem: Problem, optimum: Optimum, directions: Directions) -> MixedClusters | None:
    if not directions.fixed:
        return None
    fixed = leading(directions.at.along, directions.fixed)
    return problem.clusters.mixed(optimum.point, fixed, problem.robust.codes)


def _without(
    found: Covariance, directions: Array, names: tuple[str, ...]
) -> tuple[Covariance, str]:
    lost = involved(directions, names)
    matrix = found.matrix.copy()
    gone = [names.index(name) for name in lost]
    matrix[gone], matrix[:, gone] = np.nan, np.nan
    return replace(found, matrix=frozen(matrix)), (
        f"at these estimates the data do not determine {listed(lost)} (a variance near zero is "
        "the usual cause): they have no standard errors."
    )


@quiet
def information_along(
    problem: Problem, optimum: Optimum, basis: Array, kind: InformationKind
) -> Array:
    """Information along the columns of `basis` (npar, n), directions of the user's parameters;
    the observed one is that of the Lagrangian."""
    return _information(problem, optimum, _derivatives(problem, optimum, basis), kind)


@quiet
def scores_along(problem: Problem, optimum: Optimum, basis: Array) -> Array:
    """Cluster scores along the columns of `basis`, (J, n), directions of the user's parameters."""
    return _scores(problem, optimum, _derivatives(problem, optimum, basis))


def _derivatives(problem: Problem, optimum: Optimum, basis: Array) -> MomentDerivatives:
    inner: Array = np.asarray(
        np.linalg.solve(problem.coordinates.jacobian(optimum.params), basis), dtype=np.float64
    )
    return problem.inner.derivatives(optimum.point, inner)


def _information(
    problem: Problem, optimum: Optimum, at: MomentDerivatives, kind: InformationKind
) -> Array:
    if kind == "expected":
        return problem.inner.expected(optimum.point, at)
    if at is optimum.at and optimum.observed is not None:
        return optimum.observed
    observed = problem.inner.observed(optimum.point, at)
    if optimum.curvature is None:
        return observed
    return observed - at.basis.T @ optimum.curvature @ at.basis


def _scores(problem: Problem, optimum: Optimum, at: MomentDerivatives) -> Array:
    return problem.clusters.scores(optimum.point, at.along)


def _by_robust(problem: Problem, scores: Array) -> Array:
    """Scores of the robust clusters, (G, n)."""
    robust = problem.robust
    return scores if robust.same else summed(scores, robust.codes)
