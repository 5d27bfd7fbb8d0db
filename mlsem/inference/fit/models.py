"""The models that a fit is compared with, each estimated when it is first asked for.

All are models of the fit's rows and variables: the saturated one, the baseline, and for fit at one
level those whose other level is saturated (`model.reference`). The saturated model and the
baseline of several groups have no parameter in two of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated as Shaped

import numpy as np

from mlsem.core.linalg import least_squares
from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.core.sample.independent import independent_moments
from mlsem.errors import EstimationError, IdentificationError
from mlsem.estimation.estimates import Estimates, GroupEstimates
from mlsem.estimation.estimator import optimum_of
from mlsem.estimation.problem import Problem
from mlsem.estimation.saturated import (
    SaturatedModel,
    SaturatedPoint,
    bounds_variances,
    saturated_fit,
)
from mlsem.estimation.settings import Settings
from mlsem.inference.fit.chisquare import (
    ChiSquare,
    chi_square,
    trace_of_estimates,
    trace_of_saturated,
)
from mlsem.inference.fit.score import ScoreTest, score_test_of_fit
from mlsem.model import reference
from mlsem.model.regrouped import with_rows
from mlsem.model.table import ParameterTable, Row

Cell = tuple[str, str, str, int]
"""op, lhs, rhs and level of a row."""


@dataclass(frozen=True, eq=False)
class FitModels:
    """A fit and the models that it is compared with.

    Attributes
    ----------
    estimates : Estimates
    robust : bool
        Whether likelihood-ratio tests are to be scaled.
    """

    estimates: Estimates
    robust: bool

    @cached_property
    def seen(self) -> Estimates:
        """The fit; of a single-level model with clusters with the intercepts that it implicitly
        has, which have scores within clusters."""
        return self.estimates.with_means() if self.estimates.clustered else self.estimates

    @cached_property
    def saturated(self) -> SaturatedModel:
        """h1. Raises InferenceError where there is none."""
        return saturated_fit(self.seen)

    @cached_property
    def baseline(self) -> Estimates | None:
        """None where it has no maximum."""
        return self._fitted(reference.baseline(self.seen.table))

    @cached_property
    def score(self) -> ScoreTest | None:
        return score_test_of_fit(self.seen)

    @cached_property
    def test(self) -> ChiSquare:
        """Of the model."""
        return self.against_saturated(self.seen)

    @cached_property
    def baseline_test(self) -> ChiSquare | None:
        return None if self.baseline is None else self.against_saturated(self.baseline)

    @property
    def groups(self) -> list[tuple[GroupEstimates, SaturatedPoint]]:
        """The fit and the saturated model of each group."""
        return list(zip(self.seen.groups, self.saturated.groups, strict=True))

    def contributions(self) -> list[tuple[GroupEstimates, float]]:
        """The part of each group in the likelihood-ratio statistic."""
        return [
            (group, 2.0 * (saturated.loglik - group.estimates.loglik))
            for group, saturated in self.groups
        ]

    def at_level(self, level: int) -> Estimates | None:
        """The model with the other level saturated; None where a label or a constraint ties the
        levels, or there is no maximum."""
        table = reference.at_level(self.estimates.table, level)
        return None if table is None else self._fitted(table, level)

    def baseline_at_level(self, level: int) -> Estimates | None:
        """The baseline of that level, the other one saturated."""
        return self._fitted(reference.baseline_at_level(self.estimates.table, level))

    def against_saturated(self, model: Estimates) -> ChiSquare:
        """The likelihood-ratio test of one of these models."""
        traces = None
        if self.robust:
            own = self.trace if model is self.seen else self.trace_of(model)
            traces = own, self.saturated_trace
        return chi_square(model, self.saturated, traces)

    @cached_property
    def saturated_trace(self) -> float:
        return self.factor * trace_of_saturated(self.saturated)

    @cached_property
    def trace(self) -> float:
        """Of the fit."""
        return self.trace_of(self.seen)

    def trace_of(self, model: Estimates) -> float:
        """tr(M I⁻¹) of one of these models."""
        return self.factor * trace_of_estimates(model)

    @property
    def factor(self) -> float:
        """G / (G - 1) of the clusters of a single-level model, as in its standard errors."""
        estimates = self.estimates
        clusters = len(estimates.cluster_labels)
        corrected = estimates.problem.only_robust
        return clusters / (clusters - 1.0) if corrected and clusters > 1 else 1.0

    @quiet
    def _fitted(self, table: ParameterTable, own: int = 0) -> Estimates | None:
        """Estimates of another table; the level `own` starts at the fit's estimates, the others
        at saturated moments."""
        estimates = self.seen
        if bounds_variances(estimates):
            rows = tuple(map(_not_negative, table.rows))
            table = replace(with_rows(table, rows, table.names), constraints=table.constraints)
        problem = estimates.problem.with_table(table, self._guess(table, own))
        settings = Settings(max_iter=estimates.settings.max_iter, tol=estimates.settings.tol)
        try:
            optimum = optimum_of(problem, settings)
        except (EstimationError, IdentificationError):
            return None
        fitted = Estimates(problem, settings, optimum, estimates.record)
        return fitted if fitted.converged else None

    def _guess(self, table: ParameterTable, own: int) -> Shaped[Array, "npar"]:
        """Starting values: what is estimated in one go is at its maximum."""
        guess = np.zeros(len(table.names))
        every = range(len(table.names))
        parts = [(group.table, group.places) for group in table.groups] or [(table, every)]
        for (part, places), (group, saturated) in zip(parts, self.groups, strict=True):
            guess[list(places)] = _guess_of_group(group.estimates, saturated, part, own)
        return guess


def _guess_of_group(
    estimates: Estimates[Problem], saturated: SaturatedPoint, table: ParameterTable, own: int
) -> Shaped[Array, "npar"]:
    """Of the parameters of a group's table, by its fit and its saturated model."""
    guess = np.zeros(len(table.names))
    found = dict(zip(estimates.names, estimates.params, strict=True))
    values = _saturated_values(estimates, saturated)
    values |= _independent_values(estimates.problem, table)
    for row in table.rows:
        if row.free < 0:
            continue
        if row.level == own:
            guess[row.free] = found[table.names[row.free]]
        elif (cell := (row.op, row.lhs, row.rhs, row.level)) in values:
            guess[row.free] = max(values[cell], row.lower)
    return guess


def _independent_values(problem: Problem, table: ParameterTable) -> dict[Cell, float]:
    """Maximum-likelihood estimates of what a table says of variables that have variances alone, at
    both levels."""
    rows = [row for row in table.rows if row.op in ("~", "~~", "=~") and not row.is_variance]
    tied = {name for row in rows for name in (row.lhs, row.rhs)}
    names = [name for name in table.split if name not in tied]
    if not table.two_level or not names:
        return {}
    maps = np.array([problem.maps[name] for name in names])
    found, values = independent_moments(problem.sample, maps), {}
    for name, mean, *variances in zip(names, *map(np.ndarray.tolist, found), strict=True):
        if mean == mean:
            values["~1", name, "", 2] = mean
            for level, variance in enumerate(variances, 1):
                values["~~", name, name, level] = variance
    return values


def _saturated_values(
    estimates: Estimates[Problem], saturated: SaturatedPoint
) -> dict[Cell, float]:
    """Of the saturated model, by row."""
    values: dict[Cell, float] = {}
    patterns, levels = estimates.problem.pattern.levels, estimates.table.levels
    for number, (variables, pattern, moments) in enumerate(
        zip(levels, patterns, saturated.moments, strict=False), 1
    ):
        names = [pattern.names[k] for k in pattern.observed]
        means = least_squares(pattern.covariates.T, moments.mean.T).T
        regressors = ("",) * (means.shape[1] > len(variables.covariates)) + variables.covariates
        for j, name in enumerate(names):
            for k, other in enumerate(names):
                values["~~", name, other, number] = moments.sigma[j, k]
            for k, regressor in enumerate(regressors):
                op = "~" if regressor else "~1"
                values[op, name, regressor, number] = means[j, k]
    return values


def _not_negative(row: Row) -> Row:
    bounded = row.is_variance and row.level > 1 and row.free >= 0
    return replace(row, lower=max(row.lower, 0.0)) if bounded else row
