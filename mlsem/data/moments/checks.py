"""Checks of counts and moments: too few rows, constant, misplaced and collinear columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlsem.base.caching import remember
from mlsem.core.linalg import lower_factor
from mlsem.core.sample.moments import total_products
from mlsem.data.moments.bases import CONSTANT, SAME
from mlsem.errors import DataError, listed

if TYPE_CHECKING:
    from mlsem.core.records import Array, ClusterMoments
    from mlsem.data.table.grouping import Grouping
    from mlsem.model.table import ParameterTable

OWN_MEAN = 1e-10
"""1 − R² of an outcome's cluster means on a predictor up to which these are the same."""
DEPENDENT = 1e-12
"""1 − R² of a column on others up to which it is a linear combination of them."""


def check_counts(table: ParameterTable, grouping: Grouping, cluster: str | None) -> tuple[str, ...]:
    """Enough rows and clusters for the model; returns notes on clusters that are few."""
    rows, clusters = grouping.n_rows, len(grouping.sizes)
    if cluster is not None and clusters < 2:
        raise DataError(
            f"all {rows} rows are in one cluster of {cluster!r} ({grouping.labels.tolist()[0]!r}); "
            "at least two clusters are needed. Is this the right column?"
        )
    if table.two_level and grouping.singletons:
        raise DataError(
            f"every cluster of {cluster!r} has one row, so that the two levels cannot be told "
            "apart. Name the column that many rows share, or write the model without levels."
        )
    free = len(table.names) - sum(each.equality for each in table.constraints)
    values = rows * len(table.observed)
    if values < free:
        raise DataError(
            f"the model has {free} free parameters but only {rows} rows of "
            f"{len(table.observed)} variables are left. Free fewer parameters, or find out where "
            "rows were lost."
        )
    few = f"the model has {free} free parameters and only {rows} rows: estimates and standard "
    fragile = (few + "errors are fragile.",) if rows < free else ()
    if cluster is not None and not table.two_level:
        return (
            *fragile,
            f"the model has one level: the clusters of {cluster!r} count in robust standard errors "
            "only. For a part within and a part between clusters write 'level: 1' and 'level: 2', "
            "each on a line of its own with formulas below it.",
        )
    for block in table.blocks[1:]:
        free = len({row.free for row in block.rows if row.free >= 0})
        if clusters < free:
            level = f"level {block.key.level}"
            fragile += (
                f"{level} has {free} free parameters but there are only {clusters} clusters of "
                f"{cluster!r}: estimates and standard errors at {level} are fragile.",
            )
    return fragile


def check_columns(table: ParameterTable, moments: ClusterMoments) -> None:
    """Columns of the model that are constant, or never vary within a cluster at level 1."""
    rows, varying = moments.n_rows, moments.varying
    total, within, between, outer = _spreads(moments)
    index = {name: place for place, name in enumerate(moments.columns)}
    for name in table.observed:
        place = index[name]
        sd = total[place] if place < varying else outer[place - varying]
        if not np.isfinite(sd):
            raise DataError(
                f"the values of {name!r} are too large to square; measure it in a larger unit."
            )
        if sd <= CONSTANT * abs(moments.shift[place]):
            raise DataError(
                f"{name!r} is constant in the {rows} rows used. Leave it out of the model."
            )
        if place < varying and table.two_level and within[place] <= SAME * sd:
            where = "both levels" if name in table.split else "level 1"
            if name in {slope.carrier for slope in table.slopes}:
                if table.semidefinite:
                    continue  # clusters whose variance depends on it, as in partially nested trials
                raise DataError(
                    f"the slope of {name!r} cannot be random: {name!r} does not vary within any "
                    "cluster. Name it at level 2, without rv(); a variance that depends on it is "
                    f"for mlsem.lmm: (0 + {name} | …)."
                )
            raise DataError(
                f"{name!r} is named at {where} but does not vary within any cluster. Name it at "
                "level 2 only."
            )
        centred = place < varying and name in table.split and between[place] <= SAME * sd
        if centred and not table.semidefinite:  # a mixed model's variance may be zero
            raise DataError(
                f"{name!r} is named at both levels, but its mean is the same in every cluster (is "
                "it centred within clusters?), so that it has no part at level 2. Name it at level "
                "1 only; at level 2 belong its cluster means before centring "
                "(mlsem.cluster_means)."
            )


def _spreads(moments: ClusterMoments) -> tuple[Array, Array, Array, Array]:
    """Standard deviations: total, within and of the cluster means of varying columns, over
    clusters of the others."""
    rows, varying = moments.n_rows, moments.varying
    inside = np.einsum("jvv->v", moments.within)
    inner, outer = moments.means[:, :varying], moments.means[:, varying:]
    with np.errstate(over="ignore", invalid="ignore"):
        between = moments.rows @ (inner * inner)
        return (
            np.sqrt((inside + between) / rows),
            np.sqrt(inside / rows),
            np.sqrt(between / rows),
            outer.std(axis=0),
        )


def check_own_means(table: ParameterTable, moments: ClusterMoments) -> tuple[str, ...]:
    """Refuse the cluster means of an outcome among its own predictors at level 2.

    Given these the outcome has no variance between clusters but what is negative, V̄_j = 0, and
    the likelihood no maximum. A mixed model keeps that variance at zero: a note there.
    """
    index = {name: place for place, name in enumerate(moments.columns)}
    split, notes = frozenset(table.split), []
    for row in (row for block in table.blocks[1:] for row in block.rows):
        if row.op != "~" or row.lhs not in split or row.rhs not in index:
            continue
        if index[row.rhs] < moments.varying:
            continue
        pair = moments.means[:, [index[row.lhs], index[row.rhs]]]
        away = pair - pair.mean(axis=0)
        squares = away.T @ away
        left = squares[0, 0] - squares[0, 1] ** 2 / squares[1, 1]
        if len(pair) < 3 or left > OWN_MEAN * squares[0, 0]:
            continue
        told = (
            f"{row.rhs!r} is the cluster mean of {row.lhs!r} (or a linear function of it) and "
            f"predicts {row.lhs!r} at level 2: it leaves nothing of {row.lhs!r} to differ between "
            "clusters."
        )
        if not table.semidefinite:
            raise DataError(
                f"{told} Leave it out. A contextual effect is that of the cluster means of "
                "another variable."
            )
        notes.append(told)
    return tuple(notes)


def check_dependence(table: ParameterTable, moments: ClusterMoments) -> None:
    """Collinear fixed covariates, and modelled variables that are combinations of others.

    Level 1: covariates by their covariance over all rows (the intercept is among them; where no
    outcome has one, by their cross-products), modelled variables by the covariance within
    clusters. Level 2: over clusters. Covariates count that have an effect, not those that only
    carry a random slope whose mean is zero.
    """
    index = {name: place for place, name in enumerate(moments.columns)}
    mean, spread = total_products(moments)
    rows = _Units("rows", moments.n_rows, spread, mean)
    _check_covariates(table, 1, index, rows, moments)
    within, freedom = rows.spread, rows.number - 1
    if table.two_level:
        within, freedom = moments.within.sum(axis=0), rows.number - moments.n_clusters
    level = table.levels[0]
    where = " within clusters" if table.two_level and freedom else ""
    _check_modelled(level.covariates, level.modelled, index, within, freedom, where)
    for number, level in enumerate(table.levels[1:], start=2):
        mean = moments.means.mean(axis=0)
        away = moments.means - mean
        clusters = _Units("clusters", moments.n_clusters, away.T @ away, mean)
        _check_covariates(table, number, index, clusters, moments)
        alone = tuple(name for name in level.modelled if index[name] >= moments.varying)
        freedom = clusters.number - 1
        _check_modelled(level.covariates, alone, index, clusters.spread, freedom, "")


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
def _has_intercept(table: ParameterTable) -> bool:
    """Unless the means of all variables that are no random slopes are fixed."""
    slopes = {slope.name for slope in table.slopes}
    rows = [row for row in table.rows if row.op == "~1" and not row.exo and row.lhs not in slopes]
    return not rows or not table.meanstructure or any(row.free >= 0 for row in rows)


def _check_covariates(
    table: ParameterTable,
    level: int,
    index: dict[str, int],
    units: _Units,
    moments: ClusterMoments,
) -> None:
    names, intercept = _with_effects(table, level), _has_intercept(table)
    if units.number - intercept < len(names):
        raise DataError(
            f"{units.number} {units.name} cannot carry the {len(names)} covariates {listed(names)}"
            f"{' and an intercept' if intercept else ''} at level {level}. Use fewer covariates."
        )
    places = [index[name] for name in names]
    spread = units.spread[np.ix_(places, places)]
    if not intercept:
        mean = (units.mean + moments.shift)[places]
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
