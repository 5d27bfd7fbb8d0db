"""Units of parameters: standard deviations that the model implies at a level.

A path is divided by the standard deviation of where it goes, and multiplied by that of where it
comes from; a variance and an intercept are divided by theirs; a covariance by those of the
residuals that covary, so that it is a correlation. The variables are the latent ones ("lv"), all
("all"), or all but the fixed covariates ("nox").
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from mlsem.core.sample.shapes import covariate_sample
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.model.table import Row

Kind = Literal["lv", "all", "nox"]
Deviations = dict[tuple[str, int], float]


class Scales:
    """Of a fit's variables.

    Attributes
    ----------
    total, residual : mapping of (name, level) to float
        Standard deviations; NaN where a variance is negative.
    latent : set of (name, level)
    """

    def __init__(self, estimates: Estimates) -> None:
        self.total: Deviations = {}
        self.residual: Deviations = {}
        problem, table = estimates.problem, estimates.table
        point = problem.objective.evaluate(estimates.params)
        if point is None:
            raise InferenceError("the estimates are outside the parameter space.")
        pattern = problem.pattern
        levels = (pattern.within, point.within), (pattern.between, point.between)
        for number, (variables, (own, moments)) in enumerate(
            zip(table.levels, levels, strict=False), 1
        ):
            given = np.array([problem.maps[name] for name in variables.covariates])
            rows = moments.coefficients @ own.covariates
            given = given.reshape(len(variables.covariates), rows.shape[1])
            _, spread = covariate_sample(problem.sample, np.concatenate((rows, given)), number)
            size = len(own.names)
            spread[:size, :size] += moments.covariance
            names = own.names + variables.covariates
            residual = own.symmetric.symmetric_at(estimates.params)
            self._add(self.total, names, number, np.diagonal(spread))
            self._add(self.residual, own.names, number, np.diagonal(residual))
        self.latent = {(f, k) for k, each in enumerate(table.levels, 1) for f in each.latent}
        self.given = {(x, k) for k, each in enumerate(table.levels, 1) for x in each.covariates}

    @staticmethod
    def _add(found: Deviations, names: tuple[str, ...], level: int, variances: np.ndarray) -> None:
        for name, variance in zip(names, variances, strict=True):
            found[name, level] = float(np.sqrt(variance)) if variance >= 0 else np.nan

    def standardized(self, row: Row, value: float, kind: Kind) -> float:
        """A value of a parameter, in these units; NaN where one of them is zero."""
        one, other = (row.lhs, row.level), (row.rhs, row.level)
        if row.op == "=~":
            return self._ratio(value, other, one, kind)
        if row.op == "~":
            return self._ratio(value, one, other, kind)
        if row.op == "~1":
            return value / self._unit(one, kind)
        units = self.total if row.is_variance else self.residual
        return value / (self._unit(one, kind, units) * self._unit(other, kind, units))

    def _ratio(
        self, value: float, target: tuple[str, int], source: tuple[str, int], kind: Kind
    ) -> float:
        return value * self._unit(source, kind) / self._unit(target, kind)

    def _unit(self, name: tuple[str, int], kind: Kind, units: Deviations | None = None) -> float:
        """Its standard deviation, or 1 where this kind leaves it as it is; never zero."""
        if (kind == "lv" and name not in self.latent) or (kind == "nox" and name in self.given):
            return 1.0
        return (self.total if units is None else units).get(name, np.nan) or np.nan
