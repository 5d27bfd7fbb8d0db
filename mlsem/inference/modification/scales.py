"""Units of parameters: standard deviations that the model implies at a level.

A path is divided by the standard deviation of where it goes, and multiplied by that of where it
comes from; a variance and an intercept are divided by theirs; a covariance by those of the
residuals that covary, so that it is a correlation. The variables are the latent ones ("lv"), all
("all"), or all but the fixed covariates ("nox").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated as Shaped
from typing import Literal

import numpy as np

from mlsem.core.records import Array
from mlsem.core.sample.shapes import covariate_sample
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.model.table import Row

Kind = Literal["lv", "all", "nox"]
Place = tuple[str, int]
Deviations = dict[Place, float]


@dataclass(frozen=True, slots=True)
class Scales:
    """Of a fit's variables.

    Attributes
    ----------
    total, residual : mapping of (name, level) to float
        Standard deviations; NaN where a variance is negative.
    latent, given : frozenset of (name, level)
        Latent variables, and fixed covariates with their parts.
    """

    total: Deviations
    residual: Deviations
    latent: frozenset[Place]
    given: frozenset[Place]

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

    def _ratio(self, value: float, target: Place, source: Place, kind: Kind) -> float:
        return value * self._unit(source, kind) / self._unit(target, kind)

    def _unit(self, name: Place, kind: Kind, units: Deviations | None = None) -> float:
        """Its standard deviation, or 1 where this kind leaves it as it is; never zero."""
        if (kind == "lv" and name not in self.latent) or (kind == "nox" and name in self.given):
            return 1.0
        return (self.total if units is None else units).get(name, np.nan) or np.nan


def scales_of(estimates: Estimates) -> Scales:
    """At the estimates."""
    problem, table = estimates.problem, estimates.table
    point = problem.objective.evaluate(estimates.params)
    if point is None:
        raise InferenceError("the estimates are outside the parameter space.")
    total: Deviations = {}
    residual: Deviations = {}
    levels = zip(problem.pattern.levels, point.levels, strict=True)
    for number, (variables, (own, moments)) in enumerate(
        zip(table.levels, levels, strict=False), 1
    ):
        rows = moments.coefficients @ own.covariates
        given = [problem.maps[name] for name in variables.covariates]
        maps = np.concatenate((rows, np.reshape(given, (len(given), rows.shape[1]))))
        _, spread = covariate_sample(problem.sample, maps, number)
        size = len(own.names)
        spread[:size, :size] += moments.covariance
        psi = own.symmetric.symmetric_at(estimates.params)
        total |= _deviations((*own.names, *variables.covariates), number, spread)
        residual |= _deviations(own.names, number, psi)
    places = tuple(enumerate(table.levels, 1))
    return Scales(
        total,
        residual,
        frozenset((name, k) for k, each in places for name in each.latent),
        frozenset((name, k) for k, each in places for name in (*each.covariates, *each.parts)),
    )


def _deviations(names: Sequence[str], level: int, covariance: Shaped[Array, "..."]) -> Deviations:
    variances = np.diagonal(covariance)
    roots = np.sqrt(np.where(variances >= 0, variances, np.nan))
    return {(name, level): float(root) for name, root in zip(names, roots, strict=True)}
