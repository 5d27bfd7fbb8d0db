"""Expected outcomes given what is exogenous, and the effects of clusters that the fit has seen.

With x the exogenous ones of the modelled variables, the others y, and effects u_j of a cluster,

    E(y_ij | x_ij, u_j) = E(y_ij | u_j) + Σ_W,yx Σ_W,xx⁻¹ (x_ij - E(x_ij | u_j)),

linear in u_j, for which stands û_j given all rows of the fit, or of a cluster that it has not seen
given the x of its new rows. Outcomes of level 2 are expected given the exogenous variables alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlsem.core.implied.pattern import Carriers, LevelPattern, ModelPattern
from mlsem.core.linalg import least_squares
from mlsem.core.records import Array, CellMoments, ClusterMoments, Index
from mlsem.data.moments.history import known_places
from mlsem.errors import InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posterior import posterior_at
from mlsem.estimation.prediction import SINGULAR, NewData
from mlsem.model.table import ParameterTable


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Expectations (n, k) of the outcomes `names`; and where the cluster of each unit is among
    those of the fit, -1 for new ones."""

    names: tuple[str, ...]
    values: Array
    places: Index


def exogenous(table: ParameterTable, level: int) -> tuple[str, ...]:
    """Modelled observed variables of a level that nothing explains at any level, and that explain
    others."""
    explained = {row.lhs for row in table.rows if row.op == "~"}
    explained |= {row.rhs for row in table.rows if row.op == "=~"}
    regressors = {row.rhs for row in table.rows if row.op == "~"} - explained
    return tuple(name for name in table.levels[level - 1].modelled if name in regressors)


def given(table: ParameterTable) -> tuple[str, ...]:
    """All that is conditioned on: fixed covariates and exogenous modelled variables."""
    levels = range(1, len(table.levels) + 1)
    names = [name for level in table.levels for name in level.covariates]
    return tuple(dict.fromkeys([*names, *(n for level in levels for n in exogenous(table, level))]))


def predicted_rows(found: NewData) -> Predicted:
    """Of the outcomes of level 1."""
    estimates, pattern, table = found.estimates, found.pattern, found.estimates.table
    within = pattern.within.moments(estimates.params)
    assert within is not None
    rows = found.h
    values, places = rows @ within.mean.T, np.full(len(rows), -1, dtype=np.intp)
    if table.two_level:
        effects, known = _effects(found, estimates)
        places = known[found.rows.codes]
        carriers = pattern.random_effects
        moved = rows @ carriers.maps.T * effects[found.rows.codes, : pattern.split]
        carriers.added(values.T, slice(None), moved.T)
    names = [pattern.within.names[k] for k in pattern.within.observed]
    x = [names.index(name) for name in exogenous(table, 1)]
    y = [k for k in range(len(names)) if k not in x]
    if x:
        away = rows @ pattern.within.responses[x].T - values[:, x]
        values[:, y] += _given_rows(found, within.sigma, away, x, y)
    if not (table.two_level or table.meanstructure):  # the data count from their means
        values += np.array([estimates.problem.means[name] for name in names])
    return Predicted(tuple(names[k] for k in y), values[:, y], places)


def _given_rows(found: NewData, sigma: Array, away: Array, x: list[int], y: list[int]) -> Array:
    """Σ_yx Σ_xx⁻¹ (x - E(x)) of the exogenous variables that are observed in each row."""
    observed, codes = found.outcomes
    moved = np.empty((len(away), len(y)))
    for k, seen in enumerate(observed[:, x]):
        own, units = np.array(x, dtype=np.intp)[seen], codes == k
        slopes = least_squares(sigma[own[:, None], own], sigma[own[:, None], y])
        moved[units] = away[np.ix_(units, seen)] @ slopes
    return moved


def predicted_clusters(found: NewData | None, estimates: Estimates) -> Predicted:
    """Of the variables of level 2: parts between clusters, random slopes, outcomes."""
    values, places = _effects(found, estimates)
    pattern = estimates.problem.pattern
    names = [pattern.between.names[k] for k in pattern.between.observed]
    own = set(exogenous(estimates.table, 2)) - set(estimates.table.split)
    y = [k for k, name in enumerate(names) if name not in own]
    return Predicted(tuple(names[k] for k in y), values[:, y], places)


def _effects(found: NewData | None, estimates: Estimates) -> tuple[Array, Index]:
    """Of the observed variables of level 2, (J, q + r): those of random effects from the fit, in
    clusters that it has seen; and where these are."""
    problem, params = estimates.problem, estimates.params
    seen = estimates.posterior()
    if seen is None:
        raise InferenceError(SINGULAR)
    if found is None:
        pattern, moments = problem.pattern, problem.moments
        rows = moments.cluster_rows
        places = np.arange(moments.n_clusters)
    else:
        pattern, rows = found.pattern, found.first
        moments = found.rows.moments(found.centre)
        places = known_places(found.rows.labels, problem.moments.labels)
    between = pattern.between.moments(params)
    assert between is not None
    values = rows @ between.mean.T
    away = _given_exogenous(estimates.table, pattern, moments, params)
    q, known = pattern.split, places >= 0
    away[known, :q] = seen.mean[places[known], :q]
    return values + away, places


def _given_exogenous(
    table: ParameterTable,
    pattern: ModelPattern,
    moments: ClusterMoments | CellMoments,
    params: Array,
) -> Array:
    """Deviations of the observed variables of level 2 (J, q + r) expected of a cluster given its
    exogenous modelled variables."""
    level = pattern.between
    names = [level.names[k] for k in level.observed]
    part = _restricted(pattern, exogenous(table, 1), exogenous(table, 2))
    if not len(part.between.observed):
        return np.zeros((moments.n_clusters, len(names)))
    posterior = posterior_at(part, moments, params)
    if posterior is None:
        raise InferenceError(SINGULAR)
    return posterior.mean[:, [posterior.names.index(name) for name in names]]


def _restricted(
    pattern: ModelPattern, first: tuple[str, ...], second: tuple[str, ...]
) -> ModelPattern:
    """The same variables, of which only these are observed."""
    within, between = pattern.within, pattern.between
    inner = [k for k, place in enumerate(within.observed) if within.names[place] in first]
    effects, q = pattern.random_effects, pattern.split
    own = [a for a in range(q) if between.names[between.observed[a]] in {*first} & {*second}]
    outer = [k for k, place in enumerate(between.observed) if between.names[place] in second]
    outer = own + [k for k in outer if k >= q]
    responses = np.array([inner.index(effects.responses[a]) for a in own], dtype=np.intp)
    return replace(
        pattern,
        levels=(_observing(within, inner), _observing(between, outer)),
        split=len(own),
        carriers=Carriers(responses, effects.maps[own]),
    )


def _observing(level: LevelPattern, rows: list[int]) -> LevelPattern:
    return replace(level, observed=level.observed[rows], responses=level.responses[rows])
