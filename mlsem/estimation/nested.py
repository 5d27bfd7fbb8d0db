"""Linear mixed models of three levels, estimated: parameters, search, `NestedEstimates`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsem.core.optimise.factored import ZERO, Factors, block_of
from mlsem.core.optimise.maximise import climb
from mlsem.core.optimise.optimum import ADVICE, Maximum, Optimum
from mlsem.core.records import Array, RobustClusters
from mlsem.core.restricted.nested.effects import NestedEffects, effects
from mlsem.core.restricted.nested.likelihood import (
    NestedChanges,
    NestedModel,
    NestedObjective,
    NestedPoint,
    changes,
)
from mlsem.data.design.columns import INTERCEPT
from mlsem.data.design.nested import LevelEffects, NestedData
from mlsem.data.design.variables import RESIDUAL
from mlsem.errors import DataError, IdentificationError, listed
from mlsem.estimation.faces import bounded, concluded
from mlsem.estimation.maximum_within import PATIENCE, brought_within
from mlsem.estimation.ml import involved
from mlsem.estimation.settings import Settings
from mlsem.model.elements import LevelVariables
from mlsem.model.table import ParameterTable, Row

SHARE = 0.25  # of the variance that least squares leave, at the start, of each level
FURTHER = (1.0, 0.05)  # variances of the effects at further starts, in residual ones


# --- parameters ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cell:
    """A variance or covariance of the random effects."""

    level: LevelEffects
    number: int
    first: str
    second: str

    @property
    def name(self) -> str:
        """lme4's: ``school.(Intercept)``, ``school.x.(Intercept)``."""
        both = (self.first,) if self.first == self.second else (self.second, self.first)
        return ".".join((self.level.name, *both))

    def row(self, outcome: str, place: int) -> Row:
        lhs, rhs = (
            outcome if each == INTERCEPT else f"{each}|{self.level.name}"
            for each in (self.first, self.second)
        )
        return Row(lhs, "~~", rhs, self.number, True, place)


def _cells(data: NestedData) -> list[_Cell]:
    """In lme4's order: inner clusters first; of each block variances, then covariances."""
    return [
        _Cell(level, number, *pair)
        for number, level in ((2, data.lower), (3, data.upper))
        for block in level.blocks
        for pair in (*((each, each) for each in block), *combinations(block, 2))
    ]


def variance_keys(data: NestedData) -> list[tuple[int, str, str]]:
    """Variances and covariances of the random effects, in the order of the parameters: the level,
    and the two effects by alphabet."""
    return [(cell.number, *sorted((cell.first, cell.second))) for cell in _cells(data)]  # type: ignore[misc]


def nested_table(data: NestedData) -> ParameterTable:
    """The parameter table, its parameters named as in lme4.

    Raises
    ------
    DataError
        Two parameters would have one name.
    """
    cells, outcome = _cells(data), data.outcome
    names = (*data.fixed, *(cell.name for cell in cells), RESIDUAL)
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DataError(
            f"two parameters would be named {listed(twice)}: rename that column of the data."
        )
    rows = [
        Row(outcome, "~1", "", level, True, k)
        if name == INTERCEPT
        else Row(outcome, "~", name, level, True, k)
        for k, (name, level) in enumerate(zip(data.fixed, data.levels, strict=True))
    ]
    rows += [cell.row(outcome, k) for k, cell in enumerate(cells, start=len(rows))]
    rows.append(Row(outcome, "~~", outcome, 1, True, len(names) - 1))
    return ParameterTable(
        rows=tuple(sorted(rows, key=lambda row: row.level)),
        names=names,
        levels=tuple(
            _variables(data, number, level)
            for number, level in ((1, None), (2, data.lower), (3, data.upper))
        ),
        level_labels=("1", "2", "3"),
        split=(outcome,),
        products=(),
        definitions=(),
        constraints=(),
        meanstructure=True,
        semidefinite=True,
    )


def _variables(data: NestedData, number: int, level: LevelEffects | None) -> LevelVariables:
    """Those of a level of the table: random slopes, the outcome, fixed effects that vary there."""
    slopes = [] if level is None else [each for each in level.effects if each != INTERCEPT]
    fixed = zip(data.fixed, data.levels, strict=True)
    return LevelVariables(
        latent=tuple(f"{each}|{level.name}" for each in slopes if level is not None),
        modelled=(data.outcome,),
        covariates=tuple(name for name, own in fixed if own == number and name != INTERCEPT),
    )


def nested_model(data: NestedData, *, restricted: bool) -> NestedModel:
    """V as a linear function of the variances and covariances."""
    cells, sizes = _cells(data), (len(data.lower.effects), len(data.upper.effects))
    lower, upper = (np.zeros((len(cells) + 1, size, size)) for size in sizes)
    for k, cell in enumerate(cells):
        places = [cell.level.effects.index(each) for each in (cell.first, cell.second)]
        for a, b in (places, places[::-1]):
            (lower if cell.number == 2 else upper)[k, a, b] = 1.0
    return NestedModel(data.rows, lower, upper, restricted)


def to_user(model: NestedModel) -> Array:
    """The map from the parameters of the search, of effects that are turned, to the user's: with A
    the turn, Ψ = A Ψ* Aᵀ, and each parameter is a cell of Ψ or Ω."""
    found, p = np.eye(model.n_fixed + len(model.lower)), model.n_fixed
    for cells, turn in (
        (model.lower, model.rows.lower_turn),
        (model.upper, model.rows.upper_turn),
    ):
        own = np.flatnonzero(cells.any(axis=(1, 2)))
        first = cells[own].reshape(len(own), -1).argmax(axis=1)
        turned = (turn @ cells[own] @ turn.T).reshape(len(own), -1)
        found[np.ix_(p + own, p + own)] = turned[:, first].T
    return found


# --- search -------------------------------------------------------------------------------------


def factors_of_levels(data: NestedData, model: NestedModel, sigma2: float) -> Factors:
    """The covariance matrices that are kept positive semidefinite, in units of the residuals."""
    names, blocks, first = [cell.name for cell in _cells(data)], [], model.n_fixed
    moved = {data.lower.name: model.rows.lower, data.upper.name: model.rows.upper}
    for number, level in ((2, data.lower), (3, data.upper)):
        columns = moved[level.name]
        metric = np.einsum("daj,dbj->ab", columns, columns) / (model.rows.n_rows * sigma2)
        for block in level.blocks:
            own = np.array([level.effects.index(each) for each in block], dtype=np.intp)
            cells = np.empty((len(block), len(block)), dtype=np.intp)
            for a, one in enumerate(block):
                for b, other in enumerate(block[: a + 1]):
                    name = _Cell(level, number, other, one).name
                    cells[a, b] = cells[b, a] = first + names.index(name)
            blocks.append(block_of(cells, metric[np.ix_(own, own)], own))
    return Factors(tuple(blocks))


@dataclass(frozen=True, slots=True, eq=False)
class _Semidefinite:
    """The bound of a search: covariance matrices that are positive semidefinite."""

    objective: NestedObjective
    factors: Factors
    first: Array
    free: Array
    settings: Settings

    def accepted(self, maximum: Maximum[NestedPoint]) -> Maximum[NestedPoint] | None:
        lowest = self.factors.lowest(maximum.params)
        if lowest < 0.0:
            return None
        return maximum.at_boundary() if lowest < ZERO**2 else maximum

    def searched(self, outside: Optimum[NestedPoint]) -> Optimum[NestedPoint]:
        """Over faces."""
        how = self.free, self.settings, self.factors
        again = bounded(self.objective, self._starts(outside), *how)
        singular = self.factors.singular(again.params)
        return concluded(self.objective, self.free, again, singular=singular)

    def _starts(self, outside: Optimum[NestedPoint]) -> Iterator[Array]:
        if outside.converged:
            yield outside.params
        yield self.first
        for variance in FURTHER:
            params = self.first.copy()
            for block in self.factors.blocks:
                params[block.cells] = variance * block.unit @ block.unit.T
            yield params


def _searched(data: NestedData, model: NestedModel, settings: Settings) -> Optimum[NestedPoint]:
    """The maximum over positive semidefinite covariances of the random effects.

    Raises
    ------
    IdentificationError
        The data do not determine some variance.
    """
    rows, p = model.rows, model.n_fixed
    left = float(rows.columns[:, p].ravel() @ rows.columns[:, p].ravel() + rows.rest[p, p].sum())
    sigma2 = left / rows.n_rows
    params = np.zeros(p + len(model.lower))
    params[-1] = (1.0 - 2.0 * SHARE) * sigma2
    factors = factors_of_levels(data, model, params[-1])
    for block in factors.blocks:
        share = SHARE * sigma2 / params[-1] / len(block.cells)
        params[block.cells] = share * block.unit @ block.unit.T
    objective, free = NestedObjective(model), np.eye(len(params))[:, p:]
    first = objective.evaluate(params)
    if first is None:
        raise DataError(
            "the likelihood does not exist at the start: some numbers are too large or too small. "
            "Measure the variables in units that make their standard deviations about 1."
        )
    at = objective.conditioned(first, free)
    if at.lost:
        names = nested_table(data).names
        lost = listed(involved(to_user(model) @ at.at.basis[:, : at.lost], names))
        raise IdentificationError(
            f"the data do not determine {lost}: clusters are too few or too small for these random "
            "effects, or fixed effects take up what varies between them. Leave some out."
        )
    bound = _Semidefinite(objective, factors, params, free, settings)
    without = climb(
        objective, first, free, at, tol=settings.tol, max_iter=min(PATIENCE, settings.max_iter)
    )
    return brought_within(bound, without)


# --- estimates ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class NestedEstimates:
    """A linear mixed model of three levels at its estimates; see `mlsem.inference.estimated`.

    Attributes
    ----------
    table : ParameterTable
    data : NestedData
    settings : Settings
    optimum : Optimum
    """

    table: ParameterTable
    data: NestedData
    settings: Settings
    optimum: Optimum[NestedPoint]

    @property
    def names(self) -> tuple[str, ...]:
        return self.table.names

    @property
    def point(self) -> NestedPoint:
        """Where the search ended."""
        return self.optimum.point

    @property
    def params(self) -> Array:
        return self.to_user @ self.point.params

    @cached_property
    def to_user(self) -> Array:
        """What the user's parameters are of those of the search, (npar, npar)."""
        return to_user(self.point.model)

    @property
    def free(self) -> Array:
        return np.eye(len(self.params))

    @property
    def converged(self) -> bool:
        return self.optimum.converged

    @property
    def loglik(self) -> float:
        """ℓ, or ℓ_R of a restricted fit."""
        return self.optimum.loglik

    @property
    def restricted(self) -> bool:
        """Whether they are a maximum of ℓ_R."""
        return self.point.model.restricted

    @property
    def boundary(self) -> bool:
        """Whether a covariance matrix of the random effects is singular."""
        return self.optimum.singular

    @property
    def weighted(self) -> bool:
        """Rows and clusters have no weights here."""
        return False

    @property
    def robust(self) -> RobustClusters:
        """The outer clusters, which robust errors sum over."""
        groups = self.data.groups
        return RobustClusters(groups.names[0], np.arange(len(groups.labels)), groups.labels)

    @property
    def cluster_labels(self) -> NDArray[Any]:
        return self.data.groups.labels

    @cached_property
    def changes(self) -> NestedChanges:
        """How V moves with the variances, there."""
        return changes(self.point)

    @cached_property
    def effects(self) -> NestedEffects:
        """Predictions of the random effects."""
        rows = self.point.model.rows
        return effects(self.point).turned(rows.lower_turn, rows.upper_turn)

    def under(self, settings: Settings) -> NestedEstimates:
        """The same with the standard errors of other settings, and what is known of them."""
        other = replace(self, settings=settings)
        vars(other).update(
            {k: v for k, v in vars(self).items() if k in ("changes", "effects", "to_user")}
        )
        return other


def estimate_nested(data: NestedData, settings: Settings) -> NestedEstimates:
    """Search for the estimates.

    Raises
    ------
    IdentificationError, DataError
        There are none.
    """
    table = nested_table(data)
    model = nested_model(data, restricted=settings.estimator == "REML")
    with np.errstate(all="ignore"):
        optimum = _searched(data, model, settings)
    return NestedEstimates(table, data, settings, optimum)


def unreached(estimates: NestedEstimates) -> str:
    """Why the search ended elsewhere than at a maximum, and what to try."""
    optimum = estimates.optimum
    advice = ADVICE[optimum.status].format(
        max_iter=estimates.settings.max_iter, where=optimum.where
    )
    return f"{advice} (remaining step: {optimum.distance:.2g} standard errors)."
