"""Posteriors of the level-2 variables of clusters, whatever values are missing."""

from __future__ import annotations

from mlsem.core.evidence.posterior import Posterior
from mlsem.core.implied.pattern import ModelPattern
from mlsem.core.patterns import posterior as incomplete
from mlsem.core.records import Array, CellMoments, ClusterMoments
from mlsem.core.slopes import posterior as complete


def posterior_at(
    pattern: ModelPattern,
    moments: ClusterMoments | CellMoments,
    params: Array,
    turn: Array | None = None,
) -> Posterior | None:
    """The posterior at parameters of the pattern; `turn` K gives the variables K (u, s, z). None
    outside the parameter space."""
    if isinstance(moments, CellMoments):
        return incomplete.posterior_at(pattern, moments, params, turn)
    return complete.posterior_at(pattern, moments, params, turn)
