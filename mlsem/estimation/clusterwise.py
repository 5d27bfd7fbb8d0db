"""Log-likelihood and distance of each cluster of a robust covariance, unions of the model's."""

from __future__ import annotations

import numpy as np

from mlsem.core.clusters.unions import summed
from mlsem.core.evidence.clusterwise import ClusterFit
from mlsem.core.implied.pattern import Pattern
from mlsem.core.patterns import clusterwise as incomplete
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, CellMoments
from mlsem.core.slopes import clusterwise as complete
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.problem import Problem


@quiet
def clusters_of(estimates: Estimates) -> ClusterFit:
    """At the estimates."""
    return robust_fit(estimates.problem, estimates.problem.inner.pattern, estimates.optimum.params)


def robust_fit(problem: Problem, pattern: Pattern, params: Array) -> ClusterFit:
    """At parameters of a pattern of the problem's stored columns.

    Raises
    ------
    InferenceError
        They are outside the parameter space.
    """
    moments = problem.moments
    if isinstance(moments, CellMoments):
        found = incomplete.cluster_fit(pattern, moments, params)
    else:
        found = complete.cluster_fit(pattern, moments, params)
    if found is None:
        raise InferenceError("the implied covariance matrix of a cluster is singular.")
    if problem.robust.same:
        return found
    columns = np.column_stack((found.loglik, found.distance, found.df))
    return ClusterFit(*summed(columns, problem.robust.codes).T)
