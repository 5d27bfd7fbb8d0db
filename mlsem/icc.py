"""Intraclass correlations of the variables that have a part at both levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlsem.core.pattern import LevelMoments, level_moments
from mlsem.core.quiet import quiet
from mlsem.core.records import Array, frozen
from mlsem.core.shapes import covariate_sample
from mlsem.data.frame import make_frame
from mlsem.errors import InferenceError
from mlsem.problem import Problem

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.fitted import Fitted

STEP = 6e-6  # of numerical derivatives, relative: about the cube root of the rounding error


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Icc:
    """Intraclass correlations, between / (between + within); prints as a table.

    Attributes
    ----------
    variables : tuple of str
        The v split variables.
    between, within : (v,)
        Implied variances, what covariates explain included.
    icc, se : (v,)
        Unconditional: of these variances.
    adjusted, adjusted_se : (v,)
        Of the variances given the covariates of each level.
    """

    variables: tuple[str, ...]
    between: Array
    within: Array
    icc: Array
    se: Array
    adjusted: Array
    adjusted_se: Array

    @property
    def frame(self) -> pd.DataFrame:
        """One row per variable."""
        names = ("between", "within", "icc", "se", "adjusted", "adjusted_se")
        return make_frame({name: getattr(self, name) for name in names}, list(self.variables))

    def __str__(self) -> str:
        table = "Intraclass correlations:\n" + self.frame.round(4).to_string()
        return table + improper_shares(np.concatenate((self.icc, self.adjusted)))

    def __repr__(self) -> str:
        return f"<Icc: {', '.join(map('{}={:.3f}'.format, self.variables, self.icc))}>"


def improper_shares(shares: Array) -> str:
    """A line on shares of variance that are none; empty if all lie between 0 and 1."""
    if ((shares >= 0) & (shares <= 1)).all():
        return ""
    return "\nBelow 0 or above 1: a variance is estimated to be negative, so that this is no share."


@quiet
def icc(fit: Fitted) -> Icc:
    """Intraclass correlations with delta-method standard errors.

    Raises
    ------
    InferenceError
        The model has no variable at both levels, or did not converge.
    """
    table, problem = fit.table, fit.problem
    if not (table.two_level and table.split):
        raise InferenceError(
            "no variable of the model has a part at both levels: there is no intraclass "
            "correlation."
        )
    if not fit.converged:
        raise InferenceError("the fit did not converge: its variances are no estimates.")
    size = len(table.split)

    def value(params: Array) -> Array:
        parts = _variances(problem, params)
        return np.concatenate([part[0] / part.sum(axis=0) for part in parts])

    estimates = fit.estimates
    found = value(estimates)
    se, _ = fit.covariance.of_functions(numerical_jacobian(value, estimates))
    (between, within), _ = _variances(problem, estimates)
    return Icc(
        variables=table.split,
        between=frozen(between),
        within=frozen(within),
        icc=found[:size],
        se=se[:size],
        adjusted=found[size:],
        adjusted_se=se[size:],
    )


def numerical_jacobian(function: Callable[[Array], Array], params: Array) -> Array:
    """Central differences, (m, npar)."""
    columns: list[Array] = []
    for k, value in enumerate(params):
        step = np.zeros_like(params)
        step[k] = STEP * max(1.0, abs(value)) if value == 0 else STEP * abs(value)
        columns.append((function(params + step) - function(params - step)) / (2 * step[k]))
    return np.array(columns).T


def level_parts(problem: Problem, params: Array, level: int) -> tuple[LevelMoments, Array]:
    """A level's moments, and the covariances of all its variables, those of v by sample moments of
    fixed covariates: E Ψ Eᵀ + E Γ S_x Γᵀ Eᵀ."""
    both = problem.objective.pattern
    pattern = both.within if level == 1 else both.between
    moments = level_moments(pattern, params)
    assert moments is not None
    names = problem.table.levels[level - 1].covariates
    if not names:
        return moments, moments.covariance
    maps = np.array([problem.maps[name] for name in names])
    _, spread = covariate_sample(problem.sample, maps, level)
    slopes = moments.coefficients[:, moments.coefficients.shape[1] - len(names) :]
    return moments, moments.covariance + slopes @ spread @ slopes.T


def _variances(problem: Problem, params: Array) -> tuple[Array, Array]:
    """Variances between and within (2, v): in total, and given the covariates.

    Of an outcome with random slopes the variance between clusters is that at the overall means c
    of its carriers, Var(u + Σ c_a s_a); what its carriers explain within clusters counts at
    neither level.
    """
    pattern, table = problem.objective.pattern, problem.table
    first, total_within = level_parts(problem, params, 1)
    second, total_between = level_parts(problem, params, 2)
    rows, names = pattern.between.observed, [*table.split, *(s.name for s in table.slopes)]
    take = np.eye(len(table.split), len(names))
    for k, slope in enumerate(table.slopes, start=len(table.split)):
        if slope.outcome in table.split:
            take[table.split.index(slope.outcome), k] = problem.means[slope.carrier]
    effects = rows[: len(names)]
    own = [pattern.within.names.index(name) for name in table.split]
    found: list[Array] = []
    for within, between in (
        (total_within, total_between),
        (first.covariance, second.covariance),
    ):
        inner = between[effects[:, None], effects]
        found.append(np.array([np.diagonal(take @ inner @ take.T), np.diagonal(within)[own]]))
    return found[0], found[1]
