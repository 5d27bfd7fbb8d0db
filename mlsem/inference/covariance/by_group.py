"""The robust clusters of several groups: how many each has, and how many bear on a parameter.

The clusters of one group say nothing of the parameters that only others have. With nothing in
common each group is a sample of its own, and few clusters are few in each.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated as Shaped

import numpy as np
from numpy.typing import NDArray

from mlsem.core.records import Index
from mlsem.estimation.posed import Posed

Flags = NDArray[np.bool_]


def members(problem: Posed) -> Shaped[Flags, "G g"]:
    """Whether each robust cluster has rows of each group."""
    groups = problem.groups
    counts = [len(group.problem.moments.top_labels) for group in groups]
    found = np.zeros((problem.robust.n_clusters, len(groups)), dtype=np.bool_)
    found[problem.robust.codes, np.repeat(np.arange(len(groups)), counts)] = True
    return found


def holders(problem: Posed) -> Shaped[Flags, "npar g"]:
    """Whether each parameter is one of each group."""
    found = np.zeros((len(problem.table.names), len(problem.groups)), dtype=np.bool_)
    for k, group in enumerate(problem.groups):
        found[group.places, k] = True
    return found


def clusters_of_groups(problem: Posed) -> dict[Hashable, int]:
    """Robust clusters of each of several groups; empty where there is one."""
    if not problem.table.groups:
        return {}
    counts = members(problem).sum(axis=0).tolist()
    return {group.label: count for group, count in zip(problem.groups, counts, strict=True)}


def clusters_of_parameters(problem: Posed) -> Shaped[Index, "npar"]:
    """Robust clusters that bear on each parameter: those of the groups that have it."""
    if not problem.table.groups:
        return np.full(len(problem.table.names), problem.robust.n_clusters)
    return bearing(members(problem), holders(problem))


def fewest_clusters(problem: Posed) -> int:
    """Robust clusters that bear on a parameter, the fewest."""
    return min(clusters_of_parameters(problem).tolist(), default=problem.robust.n_clusters)


def bearing(member: Shaped[Flags, "G g"], held: Shaped[Flags, "c g"]) -> Shaped[Index, "c"]:
    """How many clusters are of any of the groups that hold something."""
    if (member.sum(axis=1) <= 1).all():
        return (held @ member.sum(axis=0)).astype(np.intp)
    return (member.astype(np.float64) @ held.T > 0.0).sum(axis=0)
