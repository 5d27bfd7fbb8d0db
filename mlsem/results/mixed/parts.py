"""The parts of a fitted mixed model y = Xβ + Zb + ε, b_j ~ N(0, Ψ), ε ~ N(0, σ²I), by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from mlsem.core.records import Array
from mlsem.data.design.remade import Recipe
from mlsem.data.design.variables import RESIDUAL
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posterior import posterior_at
from mlsem.estimation.prediction import SINGULAR
from mlsem.estimation.problem import Problem
from mlsem.results.random_effects import mixed_names


@dataclass(frozen=True, slots=True, eq=False)
class MixedParts:
    """The estimates by what they are.

    Attributes
    ----------
    group : str
        The column of the clusters.
    fixed : tuple of str
    beta : (p,)
    effects : tuple of str
        Random effects.
    blocks : tuple of tuple of int
        Those that covary, by their places.
    psi : (q, q)
    sigma2 : float
    """

    group: str
    fixed: tuple[str, ...]
    beta: Array
    effects: tuple[str, ...]
    blocks: tuple[tuple[int, ...], ...]
    psi: Array
    sigma2: float

    def covariance_place(self, names: tuple[str, ...], first: int, second: int) -> int:
        """Where a (co)variance of effects stands among the parameters; -1 where it is none."""
        a, b = self.effects[first], self.effects[second]
        if first == second:
            return names.index(f"{self.group}.{a}")
        for name in (f"{self.group}.{b}.{a}", f"{self.group}.{a}.{b}"):
            if name in names:
                return names.index(name)
        return -1


def recipe_of(estimates: Estimates) -> Recipe:
    """How the columns of the formula are made."""
    return cast(Recipe, estimates.record.formula)


def parts_of(estimates: Estimates) -> MixedParts:
    """Of a model that `lmm` fitted."""
    table, params = estimates.table, estimates.params
    names, group = table.names, cast(str, estimates.record.cluster)
    fixed = recipe_of(estimates).fixed
    possible = set(mixed_names(table, group).values())
    own = {f"{group}.{effect}": effect for effect in possible}
    effects = tuple(own[name] for name in names[len(fixed) :] if name in own)
    parts = MixedParts(
        group, fixed, params[: len(fixed)], effects, (), np.zeros((len(effects),) * 2),
        float(params[names.index(RESIDUAL)]),
    )  # fmt: skip
    psi = np.zeros((len(effects), len(effects)))
    home = list(range(len(effects)))
    for k in range(len(effects)):
        for m in range(k + 1):
            place = parts.covariance_place(names, m, k)
            if place >= 0:
                psi[k, m] = psi[m, k] = params[place]
                home[k] = min(home[k], home[m])
    blocks = tuple(
        tuple(k for k, first in enumerate(home) if first == start) for start in dict.fromkeys(home)
    )
    return MixedParts(group, fixed, parts.beta, effects, blocks, psi, parts.sigma2)


@dataclass(frozen=True, slots=True, eq=False)
class ClusterEffects:
    """What the data say of the random effects of the clusters of the fit.

    Attributes
    ----------
    mean : (J, q)
        b̂_j = Ψ Z_jᵀ V_j⁻¹ (y_j - X_j β̂).
    covariance : (J, q, q)
        K_j = Ψ - Ψ Z_jᵀ V_j⁻¹ Z_j Ψ, of b_j given the data, were β known.
    moved : (J, q, p)
        M_j = Ψ Z_jᵀ V_j⁻¹ X_j = -∂b̂_j/∂β; empty where it was not asked for.
    """

    mean: Array
    covariance: Array
    moved: Array


def cluster_effects(
    estimates: Estimates[Problem], parts: MixedParts, *, moved: bool
) -> ClusterEffects:
    """Of the clusters of the fit; `moved` with M_j.

    Raises
    ------
    InferenceError
        The covariance matrix of a cluster is singular.
    """
    problem, params = estimates.problem, estimates.params
    posterior = estimates.posterior()
    if posterior is None:
        raise InferenceError(SINGULAR)
    called = {label: name for name, label in mixed_names(estimates.table, parts.group).items()}
    own = [posterior.names.index(called[effect]) for effect in parts.effects]
    mean, covariance = posterior.mean[:, own], posterior.covariance[:, own][:, :, own]
    count = len(parts.fixed) if moved else 0
    slopes = np.zeros((*mean.shape, count))
    for k in range(count):
        # b̂ is linear in β, so that a step of any size gives its slope
        step = abs(float(params[k])) + float(np.sqrt(parts.sigma2)) + 1.0
        beside = np.array(params)
        beside[k] += step
        there: Any = posterior_at(problem.pattern, problem.moments, beside)
        slopes[:, :, k] = (mean - there.mean[:, own]) / step
    return ClusterEffects(mean, covariance, slopes)
