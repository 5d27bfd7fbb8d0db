"""Columns that are linear combinations of others: collinear covariates, sum scores beside items."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlsem.base.caching import remember
from mlsem.core.linalg import lower_factor
from mlsem.core.records import CellMoments
from mlsem.core.sample.moments import total_products
from mlsem.data.moments.available import clusters_with, rows_with
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsem.core.records import Array, ClusterMoments
    from mlsem.model.table import ParameterTable

DEPENDENT = 1e-12
"""1 − R² of a column on others up to which it is a linear combination of them."""


def check_dependence(table: ParameterTable, moments: ClusterMoments | CellMoments) -> None:
    """Collinear fixed covariates, and modelled variables that are combinations of others.

    Level 1: covariates by their covariance over all rows (the intercept is among them; where no
    outcome has one, by their cross-products), modelled variables by the covariance within
    clusters. Level 2: over clusters. Covariates count that have an effect, not those that only
    carry a random slope whose mean is zero.
    """
    if isinstance(moments, CellMoments):
        _check_available(table, moments)
        return
    index = {name: place for place, name in enumerate(moments.columns)}
    mean, spread = total_products(moments)
    rows = _Units("rows", moments.n_rows, spread, mean)
    _check_covariates(table, 1, index, rows, moments.shift)
    within, freedom = rows.spread, rows.number - 1
    if table.multilevel:
        within, freedom = moments.within.sum(axis=0), rows.number - moments.n_clusters
    level = table.levels[0]
    where = " within clusters" if table.multilevel and freedom else ""
    _check_modelled(level.covariates, level.modelled, index, within, freedom, where)
    for number, level in enumerate(table.levels[1:], start=2):
        mean = moments.means.mean(axis=0)
        away = moments.means - mean
        clusters = _Units("clusters", moments.n_clusters, away.T @ away, mean)
        _check_covariates(table, number, index, clusters, moments.shift)
        alone = tuple(name for name in level.modelled if index[name] >= moments.varying)
        freedom = clusters.number - 1
        _check_modelled(level.covariates, alone, index, clusters.spread, freedom, "")


def _check_available(table: ParameterTable, moments: CellMoments) -> None:
    """Covariates over all rows, which have them all; modelled variables where all are observed,
    and then again where those are that depend on one another."""
    lowest, *above = table.levels
    part = rows_with(moments, lowest.covariates)
    mean, spread = total_products(part)
    rows = _Units("rows", part.n_rows, spread, mean)
    _check_covariates(table, 1, _places(part.columns), rows, part.shift)

    def within(names: tuple[str, ...]) -> tuple[Array, int]:
        part = rows_with(moments, names)
        if not part.n_rows:
            return np.zeros((len(names), len(names))), 0
        if not table.two_level:
            return total_products(part)[1], part.n_rows - 1
        return part.within.sum(axis=0), part.n_rows - part.n_clusters

    def between(names: tuple[str, ...]) -> tuple[Array, int]:
        values = clusters_with(moments, names)
        away = values - values.mean(axis=0) if len(values) else values
        return away.T @ away, len(values) - 1

    where = " within clusters" if table.two_level else ""
    _check_observed(lowest.covariates, lowest.modelled, within, where)
    index = _places(moments.columns)
    for number, level in enumerate(above, start=2):
        values = clusters_with(moments, level.covariates)
        mean = values.mean(axis=0)
        clusters = _Units("clusters", len(values), (values - mean).T @ (values - mean), mean)
        shift = moments.shift[[index[name] for name in level.covariates]]
        _check_covariates(table, number, _places(level.covariates), clusters, shift)
        alone = tuple(name for name in level.modelled if index[name] >= moments.varying)
        _check_observed(level.covariates, alone, between, "")


def _check_observed(
    covariates: tuple[str, ...],
    modelled: tuple[str, ...],
    products: Callable[[tuple[str, ...]], tuple[Array, int]],
    where: str,
) -> None:
    """Modelled variables by the cross-products of the rows or clusters that have all of them.

    These may be so few that variables depend on one another by chance: those that do are looked at
    again where they are observed.
    """
    names = covariates + modelled
    if not modelled:
        return
    spread, freedom = products(names)
    if freedom < len(names):
        return
    involved = {names[i] for i in dependent(spread, range(len(covariates), len(names)))}
    if involved:
        covariates = tuple(name for name in covariates if name in involved)
        modelled = tuple(name for name in modelled if name in involved)
        names = covariates + modelled
        _check_modelled(covariates, modelled, _places(names), *products(names), where)


def _places(names: tuple[str, ...]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


class _Units(NamedTuple):
    """What a level consists of: how many, and the stored columns' cross-products over them about
    their mean, (D, D) and (D,)."""

    name: str
    number: int
    spread: Array
    mean: Array


@remember
def _with_effects(table: ParameterTable, level: int) -> tuple[str, ...]:
    """Covariates of a level, less carriers of random slopes with a mean of zero."""
    slopes = {slope.name: slope.carrier for slope in table.slopes}
    means = {slopes[row.lhs] for row in table.rows if row.lhs in slopes and row.moves_mean}
    idle = set(slopes.values()) - means  # all of level 1
    return tuple(name for name in table.levels[level - 1].covariates if name not in idle)


@remember
def has_intercept(table: ParameterTable) -> bool:
    """Unless the means of all variables that are no random slopes are fixed."""
    slopes = {slope.name for slope in table.slopes}
    rows = [row for row in table.rows if row.op == "~1" and not row.exo and row.lhs not in slopes]
    return not rows or not table.meanstructure or any(row.free >= 0 for row in rows)


def _check_covariates(
    table: ParameterTable,
    level: int,
    index: dict[str, int],
    units: _Units,
    shift: Array,
) -> None:
    names, intercept = _with_effects(table, level), has_intercept(table)
    if units.number - intercept < len(names):
        raise DataError(
            f"{units.number} {units.name} cannot carry the {len(names)} covariates {listed(names)}"
            f"{' and an intercept' if intercept else ''} at level {level}. Use fewer covariates."
        )
    places = [index[name] for name in names]
    spread = units.spread[np.ix_(places, places)]
    if not intercept:
        mean = (units.mean + shift)[places]
        spread = spread + units.number * np.outer(mean, mean)
    dependence = dependent(spread, range(len(names)))
    if dependence:
        raise DataError(
            f"the covariates {_involved(names, dependence)} at level {level} are collinear: "
            f"{names[dependence[0]]!r} is a linear combination of the others"
            f"{' and the intercept' if intercept else ''}. Leave one of them out."
        )


def _check_modelled(
    covariates: tuple[str, ...],
    modelled: tuple[str, ...],
    index: dict[str, int],
    spread: Array,
    freedom: int,
    where: str,
) -> None:
    names = covariates + modelled
    if not modelled or freedom < len(names):
        return
    places = [index[name] for name in names]
    dependence = dependent(spread[np.ix_(places, places)], range(len(covariates), len(names)))
    if dependence:
        others = [names[i] for i in dependence[1:]]
        raise DataError(
            f"{names[dependence[0]]!r} is a linear combination of {listed(others)}{where}: their "
            "covariance matrix is singular. Leave one of them out (a sum score beside its items?)."
        )


def _involved(names: tuple[str, ...], places: list[int]) -> str:
    return listed(names[i] for i in sorted(places))


def dependent(spread: Array, watched: range) -> list[int]:
    """A watched column that is a linear combination of columns before it, then those columns.

    Parameters
    ----------
    spread : (k, k)
        Centred cross-products with positive diagonal where watched.
    watched : range
        Columns that count; others that depend on earlier ones are passed over.

    Returns
    -------
    list of int
        Empty where there is none.
    """
    if len(spread) < 2:
        return []
    scale = np.sqrt(spread.diagonal())
    scale[scale == 0.0] = 1.0
    related = spread / scale[:, None] / scale
    factor = lower_factor(related)
    if factor is not None and (factor.diagonal() ** 2 > 2 * DEPENDENT).all():
        return []
    free: list[int] = []
    for place in range(len(related)):
        if related[place, place] <= DEPENDENT and place not in watched:
            continue  # a carrier that is constant in all clusters explains nothing within them
        if not free:
            free.append(place)
            continue
        weights = np.linalg.solve(related[np.ix_(free, free)], related[free, place])
        left = related[place, place] - weights @ related[free, place]
        if left > DEPENDENT:
            free.append(place)
        elif place in watched:
            return [place, *(f for f, w in zip(free, weights, strict=True) if abs(w) > 1e-6)]
    return []
