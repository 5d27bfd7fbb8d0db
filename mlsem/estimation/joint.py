"""Moments of all observed variables of a level: outcomes as implied, fixed covariates as in the
sample.

Of modelled y with mean μ(h) = M h and covariance Σ given the covariates x, whose sample mean and
covariance at the level are m_x, S_x (over rows at level 1, over clusters at level 2):

    mean (E M h, m_x),     covariance [[Cov M h + Σ, Cov(M h, x)], [Cov(x, M h), S_x]].
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from mlsem.core.implied.pattern import LevelMoments
from mlsem.core.records import Array
from mlsem.core.sample.shapes import covariate_sample
from mlsem.estimation.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class JointMoments:
    """Of one level's variables, modelled ones first.

    Attributes
    ----------
    names : tuple of str
        The v observed variables.
    cov : (v, v)
    mean : (v,)
        In a model without mean structure the sample's.
    modelled : int
        How many of them are modelled, the first ones.
    """

    names: tuple[str, ...]
    cov: Array
    mean: Array
    modelled: int

    def without(self, names: Collection[str]) -> JointMoments:
        """Those of the other variables."""
        kept = [k for k, name in enumerate(self.names) if name not in names]
        if len(kept) == len(self.names):
            return self
        return JointMoments(
            names=tuple(self.names[k] for k in kept),
            cov=self.cov[np.ix_(kept, kept)],
            mean=self.mean[kept],
            modelled=sum(k < self.modelled for k in kept),
        )


def joint_moments(problem: Problem, level: int, moments: LevelMoments) -> JointMoments:
    """At moments of a level's outcomes given its covariates."""
    table = problem.table
    pattern = problem.pattern.levels[level - 1]
    outcomes = tuple(pattern.names[k] for k in pattern.observed)
    covariates = table.levels[level - 1].covariates
    rows = [moments.mean, *(problem.maps[name][None] for name in covariates)]
    mean, cov = covariate_sample(problem.sample, np.concatenate(rows), level)
    p = len(outcomes)
    cov[:p, :p] += moments.sigma
    names = outcomes + covariates
    if not table.meanstructure:
        mean = np.array([problem.means[name] for name in names])
    return JointMoments(names, cov, mean, p)
