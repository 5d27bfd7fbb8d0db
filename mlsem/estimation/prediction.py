"""What a fitted model says of clusters and rows: of those that it was fitted to, and of others.

New rows come as the model's variables x (`data.moments.new_rows`), h = (1, x - c): the pattern is
built once more on these, at the estimates, in the user's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlsem.core.evidence.prediction import (
    ClusterEvidence,
    Evidence,
    cluster_evidence,
    expected,
    predicted,
    regression_maps,
    row_evidence,
)
from mlsem.core.implied.pattern import LevelPattern, ModelPattern
from mlsem.core.patterns.carriers import pattern_moments
from mlsem.core.records import Array, CellMoments, Index
from mlsem.data.moments.history import joined
from mlsem.data.moments.new_rows import NewRows, read_new_rows
from mlsem.errors import DataError, InferenceError
from mlsem.estimation.estimates import Estimates
from mlsem.estimation.posterior import posterior_at
from mlsem.estimation.problem import Problem
from mlsem.model.pattern import build_pattern, with_saturated_moments

SINGULAR = "the implied covariance matrix of a cluster is singular."


@dataclass(frozen=True, eq=False)
class Seen:
    """Units of a level and what the data say of them.

    Attributes
    ----------
    level : LevelPattern
    params : (npar,)
    evidence : Evidence
    rows : (n, D)
        h of each, in which `level` has its maps.
    """

    level: LevelPattern
    params: Array
    evidence: Evidence
    rows: Array

    def expected(self, chosen: Index) -> Array:
        """E(v) of some variables, (n, k)."""
        return expected(self.level, self.params, self.rows, chosen)


@dataclass(frozen=True, eq=False)
class NewData:
    """Rows of a frame met with a fit.

    Attributes
    ----------
    rows : NewRows
    pattern : ModelPattern
        Of the fit, its maps acting on h = (1, variables - centre).
    centre : (m,)
    """

    estimates: Estimates
    rows: NewRows
    pattern: ModelPattern
    centre: Array

    @property
    def h(self) -> Array:
        """(n, 1 + m) of the rows; zero for what is missing."""
        return self._entries(self.rows.values)

    @property
    def first(self) -> Array:
        """h of the first row of each cluster, for variables of level 2."""
        return self._entries(self.rows.first())

    def _entries(self, values: Array) -> Array:
        values = values - self.centre
        values[np.isnan(values)] = 0.0
        return np.concatenate((np.ones((len(values), 1)), values), axis=1)

    @property
    def outcomes(self) -> tuple[NDArray[np.bool_], Index]:
        """Patterns of observed outcomes of level 1 (P, p), and the one of each row: an outcome is
        observed where all variables are that it is made of."""
        if self.rows.classes is not None:
            return np.eye(self.pattern.classes, dtype=np.bool_), self.rows.classes
        needed = self.pattern.within.responses[:, 1:] != 0.0
        patterns, codes = self.rows.patterns()
        return ~(~patterns @ needed.T), codes


def fitted_clusters(estimates: Estimates) -> Seen:
    """The clusters that the model was fitted to."""
    problem, found = estimates.problem, estimates.posterior()
    if found is None:
        raise InferenceError(SINGULAR)
    rows, evidence = problem.moments.cluster_rows, cluster_evidence(found)
    return Seen(problem.pattern.between, estimates.params, evidence, rows)


def new_data(estimates: Estimates, data: object, names: tuple[str, ...] | None = None) -> NewData:
    """Read rows of a frame: all variables of the model, or some."""
    problem, table = estimates.problem, estimates.table
    needed = table.observed if names is None else names
    rows = read_new_rows(table, estimates.record, data, needed, level2=table.two_level)
    missing = [name for name in table.observed if name not in rows.names]
    anchored = table.two_level or table.meanstructure
    centre = np.array([problem.means[name] for name in rows.names])
    units = np.eye(len(rows.names) + 1)
    maps = {name: units[1 + k] + anchored * m * units[0]
            for k, (name, m) in enumerate(zip(rows.names, centre, strict=True))}  # fmt: skip
    maps |= dict.fromkeys(missing, np.zeros(len(units)))
    pattern = build_pattern(table, maps)
    if problem.saturated is not None:
        pattern = with_saturated_moments(table, pattern, problem.saturated, maps)
    return NewData(estimates, rows, pattern, centre)


def new_clusters(found: NewData, *, history: bool) -> Seen:
    """The clusters of new rows; with `history` joined with those that the fit has seen."""
    estimates, rows = found.estimates, found.rows
    moments = rows.moments(found.centre)
    if history and found.estimates.weighted:
        raise InferenceError(
            "history=True joins rows with those of the fit, which have weights: the new ones have "
            "none. Leave it out."
        )
    if history and found.rows.classes is not None:
        raise InferenceError(
            "history=True does not join rows that have residual variances by group (residual=): "
            "pass all rows of these clusters in data=, old and new, without it."
        )
    if history:
        _refuse_cluster_means(estimates)
        problem = estimates.problem
        maps = np.array([problem.maps[name] for name in rows.names])
        moments = joined(moments, problem.moments, maps, found.centre)
    posterior = posterior_at(found.pattern, moments, estimates.params)
    if posterior is None:
        raise InferenceError(SINGULAR)
    evidence = cluster_evidence(posterior)
    return Seen(found.pattern.between, estimates.params, evidence, found.first)


def _refuse_cluster_means(estimates: Estimates) -> None:
    moved = [name for name, how, _ in estimates.record.centered if how == "cluster"]
    if moved:
        raise DataError(
            f"history=True: {moved[0]!r} is centred at its cluster means, which new rows move. "
            "Pass all rows of these clusters in data=, old and new, without history=True."
        )


def new_rows(found: NewData, *, history: bool) -> Seen:
    """New rows given their clusters."""
    estimates, pattern, q = found.estimates, found.pattern, found.pattern.split
    effects = np.zeros((1, 0)), np.zeros((1, 0, 0))
    if estimates.table.two_level:
        clusters = new_clusters(found, history=history)
        effects = _effects(clusters, q)
    evidence = row_evidence(
        pattern, estimates.params, found.h, found.rows.codes, effects, found.outcomes
    )
    if evidence is None:
        raise InferenceError("the implied covariance matrix of level 1 is singular.")
    return Seen(pattern.within, estimates.params, evidence, found.h)


def _effects(clusters: Seen, q: int) -> tuple[Array, Array]:
    """û_j (J, q), its mean included, and P_j."""
    between = clusters.level.moments(clusters.params)
    assert between is not None
    evidence = clusters.evidence
    assert isinstance(evidence, ClusterEvidence)
    across = between.sigma[:q]
    means = clusters.rows @ between.mean[:q].T + evidence.pulled @ across.T
    return means, between.sigma[:q, :q] - across @ evidence.omega @ across.T


def posterior_variances(estimates: Estimates, params: Array, level: int, names: list[str]) -> Array:
    """Mean over rows or clusters of Var(v | data) of some variables, at any parameters; at level 1
    of a model without random slopes, where it depends on the clusters' sizes only."""
    problem, pattern = estimates.problem, estimates.problem.pattern
    moments, (counts, codes, seen) = problem.moments, _kinds_of_rows(problem)
    effects = np.zeros((1, 0)), np.zeros((1, 0, 0))
    if estimates.table.two_level:
        posterior = posterior_at(pattern, moments, params)
        if posterior is None:
            return np.full(len(names), np.nan)
        if level == 2:
            own = [posterior.names.index(name) for name in names]
            variances = np.diagonal(posterior.covariance, axis1=1, axis2=2)[:, own]
            return moments.weights @ variances / moments.weights.sum()
        q = pattern.split
        effects = posterior.mean[:, :q], posterior.covariance[:, :q, :q]
    constant = np.zeros((len(codes), pattern.within.responses.shape[1]))
    constant[:, 0] = 1.0
    evidence = row_evidence(pattern, params, constant, codes, effects, seen)
    if evidence is None:
        return np.full(len(names), np.nan)
    places = np.array([pattern.within.names.index(name) for name in names], dtype=np.intp)
    _, errors = predicted(regression_maps, pattern.within, params, places, evidence)
    return counts @ errors**2 / counts.sum()


def _kinds_of_rows(
    problem: Problem,
) -> tuple[Array, Index, tuple[NDArray[np.bool_], Index] | None]:
    """Rows that are alike but for their values: what they weigh together, their cluster, and what
    of them is observed (as `row_evidence` takes it)."""
    moments, two_level = problem.moments, problem.table.two_level
    if isinstance(moments, CellMoments):
        data, cells = pattern_moments(problem.pattern, moments)
        if two_level:
            seen = data.observed, cells.pattern_of
            return moments.cell_weights, moments.cluster_of, seen
        count = len(data.observed)
        return data.counts, np.zeros(count, dtype=np.intp), (data.observed, np.arange(count))
    if two_level:
        return moments.row_weights, np.arange(moments.n_clusters), None
    return np.array([moments.row_weights.sum()]), np.zeros(1, dtype=np.intp), None
