"""The parts of a fitted mixed model y = Xβ + Zb + ε, b_j ~ N(0, Ψ), by name. Residuals ε are
independent with variance σ², or σ_g² in rows of class g."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mlsem.core.records import Array
from mlsem.data.design.classes import ResidualClasses
from mlsem.data.design.remade import Recipe
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posterior import posterior_at
from mlsem.estimation.prediction import SINGULAR
from mlsem.estimation.problem import Problem
from mlsem.results.random_effects import mixed_names

if TYPE_CHECKING:
    import pandas as pd


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
    sigma2 : (G,)
        σ_g² of the classes of rows, most often one.
    classes : tuple of str
        Their labels; empty where there is one.
    """

    group: str
    fixed: tuple[str, ...]
    beta: Array
    effects: tuple[str, ...]
    blocks: tuple[tuple[int, ...], ...]
    psi: Array
    sigma2: Array
    classes: tuple[str, ...] = ()

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


def classes_of(estimates: Estimates) -> ResidualClasses | None:
    """Which rows have which residual variance; None where all have one."""
    return recipe_of(estimates).classes


def class_shares(recipe: Recipe, frame: pd.DataFrame) -> Array:
    """How many of the rows of a frame are of each class, (G,); they add up to 1."""
    classes = recipe.classes
    if classes is None:
        return np.ones(1)
    codes = classes.codes(frame)
    return np.bincount(codes[codes >= 0], minlength=len(classes.cells)) / max(1, (codes >= 0).sum())


def row_variances(estimates: Estimates, frame: pd.DataFrame) -> Array:
    """σ² of rows of a frame, (n,) or (1,); NaN where the class is missing.

    Raises
    ------
    DataError
        A column of the classes is absent, or has a value that the fit did not know.
    """
    sigma2, classes = parts_of(estimates).sigma2, classes_of(estimates)
    return sigma2 if classes is None else np.append(sigma2, np.nan)[classes.codes(frame)]


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
        params[len(names) - max(len(table.classes), 1) :],
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
    return replace(parts, blocks=blocks, psi=psi, classes=table.classes)


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
        step = abs(float(params[k])) + float(np.sqrt(parts.sigma2.max())) + 1.0
        beside = np.array(params)
        beside[k] += step
        there: Any = posterior_at(problem.pattern, problem.moments, beside)
        slopes[:, :, k] = (mean - there.mean[:, own]) / step
    return ClusterEffects(mean, covariance, slopes)
