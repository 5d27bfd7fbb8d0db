"""Covariances of the estimates of a problem at its optimum, and what to say about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlsem.core.objective import Derivatives, well_conditioned
from mlsem.core.optimize import Optimum
from mlsem.core.records import Array, frozen
from mlsem.core.scores import cluster_scores
from mlsem.errors import listed
from mlsem.estimate import involved
from mlsem.inference.covariance import Covariance, EstimatingEquations, covariance, no_covariance
from mlsem.problem import Problem
from mlsem.spec.settings import InformationKind, Settings


def covariance_of(
    problem: Problem, settings: Settings, optimum: Optimum, *, clustered: bool
) -> tuple[Covariance, str]:
    """The covariance that the settings ask for, and what is wrong with it (nothing: "").

    All NaN if the optimiser did not converge, or if the information is not positive definite;
    NaN for the parameters that the data do not determine at the estimates.
    """
    two_level = problem.table.two_level
    kind = settings.kind(two_level=two_level, clustered=clustered)
    inner = settings.bread(kind, two_level=two_level)
    if kind == "none" or not optimum.converged:
        return no_covariance(optimum.params, kind), ""
    at, lost = _directions(problem, optimum)
    equations = EstimatingEquations(
        params=optimum.params,
        basis=problem.coordinates.jacobian(optimum.params) @ at.basis[:, lost:],
        information=_information(problem, optimum, at, inner)[lost:, lost:],
        scores=_scores(problem, optimum, at)[:, lost:] if kind == "MLR" else None,
    )
    clusters = problem.moments.n_clusters
    small = kind == "MLR" and clustered and not two_level
    factor = clusters / (clusters - 1.0) if small else 1.0
    found = covariance(equations, kind, inner + (", times J/(J-1)" if small else ""), factor)
    if np.isnan(found.matrix).any():
        return found, (
            f"the {inner} information is not positive definite at the estimates: they are not a "
            "maximum, or the model is hardly identified there. There are no standard errors."
        )
    return _without(found, at.basis[:, :lost], problem.table.names) if lost else (found, "")


def _directions(problem: Problem, optimum: Optimum) -> tuple[Derivatives, int]:
    """Well-conditioned directions at the optimum; how many of the first ones are lost."""
    if optimum.observed is not None and optimum.at and well_conditioned(optimum.observed):
        return optimum.at, 0
    found = problem.inner.conditioned(optimum.point, optimum.free)
    return found.at, found.lost


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


def information_along(
    problem: Problem, optimum: Optimum, basis: Array, kind: InformationKind
) -> Array:
    """Information along the columns of `basis` (npar, n), directions of the user's parameters;
    the observed one is that of the Lagrangian."""
    return _information(problem, optimum, _derivatives(problem, optimum, basis), kind)


def scores_along(problem: Problem, optimum: Optimum, basis: Array) -> Array:
    """Cluster scores along the columns of `basis`, (J, n), directions of the user's parameters."""
    return _scores(problem, optimum, _derivatives(problem, optimum, basis))


def _derivatives(problem: Problem, optimum: Optimum, basis: Array) -> Derivatives:
    inner: Array = np.asarray(
        np.linalg.solve(problem.coordinates.jacobian(optimum.params), basis), dtype=np.float64
    )
    return problem.inner.derivatives(optimum.point, inner)


def _information(
    problem: Problem, optimum: Optimum, at: Derivatives, kind: InformationKind
) -> Array:
    if kind == "expected":
        return problem.inner.expected(optimum.point, at)
    if at is optimum.at and optimum.observed is not None:
        return optimum.observed
    observed = problem.inner.observed(optimum.point, at)
    if optimum.curvature is None:
        return observed
    return observed - at.basis.T @ optimum.curvature @ at.basis


def _scores(problem: Problem, optimum: Optimum, at: Derivatives) -> Array:
    point, sizes = optimum.point, problem.sizes
    if not problem.table.two_level:
        point = problem.inner.single_level_point(point, sizes)
    return cluster_scores(point, problem.moments, problem.shape_of, sizes, at.along)
