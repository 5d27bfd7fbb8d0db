"""Through which free paths the means of a level run.

    Π = S (I - B)⁻¹ Γ = Σ_k S Bᵏ Γ

is a sum over walks: from an intercept or a covariate's effect (a cell of Γ), along paths (cells of
B), to an observed variable (a row of S). A mean is linear in the free cells of Γ, and apart from
Σ, where no such walk takes a free path. A loading of a factor whose mean is zero by the model is a
free path that none takes. Only cells that are zero whatever the parameters count as missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.pattern import LevelPattern
from mlsem.core.records import Index


@dataclass(frozen=True, slots=True, eq=False)
class MeanPaths:
    """The free paths of a level that a mean takes.

    Attributes
    ----------
    params : (m,)
        Their parameters.
    sources : (m,)
        The variables that they start from, positions in v.
    """

    params: Index
    sources: Index


def mean_paths(level: LevelPattern) -> MeanPaths:
    """The cells of B with a walk from Γ to their column, and one from their row to S."""
    directed = level.directed
    if not len(directed.params):
        return MeanPaths(directed.params, directed.cols)
    paths = directed.support()
    observed = np.zeros(len(paths), dtype=np.bool_)
    observed[level.observed] = True
    carrying = reached(paths, np.array(level.exogenous.support().any(axis=1)))
    seen = reached(paths.T, observed)
    taken = carrying[directed.cols] & seen[directed.rows]
    return MeanPaths(directed.params[taken], directed.cols[taken])


def reached(paths: NDArray[np.bool_], start: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The variables `start` (n,) and all that walks from them lead to; paths (to n, from n)."""
    found, grown = start, start | (paths @ start)
    while (grown != found).any():
        found, grown = grown, grown | (paths @ grown)
    return found
