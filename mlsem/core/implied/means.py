"""Through which free paths the means of a level run.

    Π = S (I - B)⁻¹ Γ = Σ_k S Bᵏ Γ

is a sum over walks: from an intercept or a covariate's effect (a cell of Γ), along paths (cells of
B), to an observed variable (a row of S). A mean is linear in the free cells of Γ, and apart from
Σ, where no such walk takes a free path. A loading of a factor whose mean is zero by the model is a
free path that none takes. Only cells that are zero whatever the parameters count as missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsem.core.implied.pattern import LevelPattern, ModelPattern
from mlsem.core.linalg import null_space
from mlsem.core.records import Array, Index


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

    params: Shaped[Index, "m"]
    sources: Shaped[Index, "m"]


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


def reached(
    paths: Shaped[NDArray[np.bool_], "nv nv"], start: Shaped[NDArray[np.bool_], "nv"]
) -> Shaped[NDArray[np.bool_], "nv"]:
    """The variables `start` and all that walks from them lead to; paths (to, from)."""
    found, grown = start, start | (paths @ start)
    while (grown != found).any():
        found, grown = grown, grown | (paths @ grown)
    return found


Mask: TypeAlias = NDArray[np.bool_]


def is_mixed(pattern: ModelPattern) -> bool:
    """Whether the model is a linear mixed (or, with one level, linear) model of one outcome, of at
    most two levels."""
    if len(pattern.levels) != 2:
        return False
    within, between = pattern.levels
    if any(level.observed.size != len(level.names) for level in pattern.levels):
        return False  # latent variables
    return len(within.names) == pattern.classes and len(between.names) == pattern.split


@dataclass(frozen=True, slots=True, eq=False)
class MeanParts:
    """Which parameters are of means: all (npar,).

    Attributes
    ----------
    means, others : (npar,)
        Which stand in Γ, and which in B or Ψ.
    paths : (npar,)
        Which are free paths that a mean takes.
    """

    means: Shaped[Mask, "npar"]
    others: Shaped[Mask, "npar"]
    paths: Shaped[Mask, "npar"]

    @property
    def tied(self) -> bool:
        """Whether means and covariances have a parameter in common."""
        return bool(self.paths.any() or (self.means & self.others).any())

    def apart(
        self, free: Shaped[Array, "npar n"]
    ) -> tuple[Shaped[Array, "npar a"], Shaped[Array, "npar b"]] | None:
        """Split the free directions (npar, n) into those of means and those of covariances; None
        where a mean takes a free path, or labels or constraints tie the two."""
        if free[self.paths].any():
            return None
        first = free @ null_space(free[self.others])
        second = free @ null_space(free[self.means])
        apart = first.shape[1] + second.shape[1] == free.shape[1]
        return (first, second) if apart else None


def mean_parts(pattern: ModelPattern) -> MeanParts:
    """Of a pattern's parameters."""
    means, others, paths = np.zeros((3, pattern.n_params), dtype=np.bool_)
    for level in pattern.levels:
        means[level.exogenous.params] = True
        others[level.directed.params] = True
        others[level.symmetric.params] = True
        paths[mean_paths(level).params] = True
    return MeanParts(means, others, paths)


def mean_parameters(pattern: ModelPattern) -> Shaped[Mask, "npar"] | None:
    """Which parameters are intercepts and effects of covariates; None where one of them is in a
    covariance as well, or a mean takes a free path (`means`)."""
    parts = mean_parts(pattern)
    return None if parts.tied else parts.means


def fixed_effects(
    pattern: ModelPattern, free: Shaped[Array, "npar n"]
) -> tuple[Shaped[Array, "npar a"], Shaped[Array, "npar b"]] | None:
    """Split the free directions (npar, n) into those of means and those of covariances; None
    where a mean takes a free path (`means`), or labels or constraints tie the two."""
    return mean_parts(pattern).apart(free)


def outside_means(pattern: ModelPattern, count: int) -> Shaped[Index, "m"]:
    """Parameters other than those of intercepts and effects of covariates."""
    means = np.concatenate([level.exogenous.params for level in pattern.levels])
    covariances = np.concatenate([level.cells.covariance_params for level in pattern.levels])
    return np.setdiff1d(np.arange(count), np.setdiff1d(means, covariances))
