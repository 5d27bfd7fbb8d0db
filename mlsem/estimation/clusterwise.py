"""Log-likelihood and distance of each cluster, and of each cluster of a robust covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlsem.core.clusters.unions import summed
from mlsem.core.evidence.clusterwise import ClusterFit
from mlsem.core.implied.pattern import Pattern
from mlsem.core.patterns import clusterwise as incomplete
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, CellMoments, RobustClusters
from mlsem.core.slopes import clusterwise as complete
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.problem import Problem


@quiet
def clusters_of(estimates: Estimates[Problem]) -> ClusterFit:
    """Those of one group, at the estimates."""
    return cluster_fit(estimates.problem, estimates.problem.inner.pattern, estimates.optimum.params)


def cluster_fit(problem: Problem, pattern: Pattern, params: Array) -> ClusterFit:
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
    return found


def united_fit(parts: Sequence[ClusterFit], robust: RobustClusters) -> ClusterFit:
    """Of robust clusters, which are unions of the clusters of these groups."""
    columns = [np.column_stack((each.loglik, each.distance, each.df)) for each in parts]
    whole = np.concatenate(columns)
    return ClusterFit(*(whole if robust.same else summed(whole, robust.codes)).T)
